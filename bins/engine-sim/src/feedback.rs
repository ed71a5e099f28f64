//! How the engine comes to know what was served: promptly, late, in parts, or not at all.

use std::collections::VecDeque;

use models::{Feedback, FlavourSet, Timestamp};

use crate::args::Reports;
use crate::noise::{Noise, Stream};

/// Routers that share the traffic where it is split.
const ROUTERS: usize = 3;

/// Posts what was served, as the fault has it.
pub(crate) struct Reporter {
    reports: Reports,
    noise: Noise,
    /// What is posted now; buffers are reused.
    posts: [Feedback; ROUTERS],
    /// Posts on their way, oldest first.
    waiting: VecDeque<Feedback>,
}

impl Reporter {
    pub(crate) fn new(reports: Reports, flavours: &FlavourSet, seed: u64) -> Self {
        let counts = flavours.iter().map(|flavour| (flavour.name.to_string(), 0)).collect();
        let empty = Feedback { counts, ..Feedback::default() };
        Self {
            reports,
            noise: Noise::new(seed, Stream::Reports),
            posts: [empty.clone(), empty.clone(), empty],
            waiting: VecDeque::new(),
        }
    }

    /// What arrives at the end of an interval in which `counts` were served.
    pub(crate) fn served(&mut self, from: Timestamp, to: Timestamp, counts: &[u64]) -> &[Feedback] {
        let routers = if self.reports == Reports::Split { ROUTERS } else { 1 };
        for (router, post) in self.posts.iter_mut().take(routers).enumerate() {
            post.window_seconds = to.duration_since(from).as_secs_f64();
            post.window_end = Some(to);
            for ((_, part), count) in post.counts.iter_mut().zip(counts) {
                // Whole parts that add up.
                *part = (count + router as u64) / routers as u64;
            }
        }
        let arriving = match self.reports {
            Reports::Prompt => 1,
            Reports::Late(evaluations) => {
                self.waiting.push_back(self.posts[0].clone());
                let due = self.waiting.len() > evaluations as usize;
                if let Some(post) = self.waiting.pop_front_if(|_| due) {
                    self.posts[0] = post;
                }
                usize::from(due)
            }
            Reports::Lost(probability) => usize::from(self.noise.uniform() >= probability),
            Reports::Split => {
                self.shuffle();
                ROUTERS
            }
            Reports::None => 0,
        };
        &self.posts[..arriving]
    }

    /// Any order, each alike.
    fn shuffle(&mut self) {
        for last in (1..ROUTERS).rev() {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 0..=last")]
            let chosen = (self.noise.uniform() * (last + 1) as f64) as usize;
            self.posts.swap(chosen, last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    const MINUTES: u64 = 200;

    /// Every post over some time, with when it arrived.
    fn posts(reports: Reports, seed: u64) -> Vec<(u64, Feedback)> {
        let mut reporter = Reporter::new(reports, &FlavourSet::builtin(), seed);
        let at =
            |minute: u64| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(i64::try_from(minute).unwrap());
        let arrived = (0..MINUTES).flat_map(|minute| {
            let counts = [minute, 7 * minute % 11, 1];
            let arriving = reporter.served(at(minute), at(minute + 1), &counts).to_vec();
            arriving.into_iter().map(move |post| (minute + 1, post))
        });
        arrived.collect()
    }

    fn total(posts: &[(u64, Feedback)]) -> u64 {
        posts.iter().map(|(_, post)| post.total()).sum()
    }

    fn end(post: &Feedback) -> u64 {
        u64::try_from(post.window_end.unwrap().as_second() / 60).unwrap()
    }

    #[test]
    fn faults_conserve_requests() {
        let all = total(&posts(Reports::Prompt, 1));
        assert_eq!(total(&posts(Reports::Split, 1)), all);
        assert_eq!(total(&posts(Reports::Lost(0.0), 1)), all);
        assert_eq!(total(&posts(Reports::Lost(1.0), 1)), 0);
        assert_eq!(total(&posts(Reports::None, 1)), 0);
        let late = posts(Reports::Late(10), 1);
        let prompt: Vec<Feedback> = posts(Reports::Prompt, 1).into_iter().map(|(_, post)| post).collect();
        let arrived: Vec<Feedback> = late.iter().map(|(_, post)| post.clone()).collect();
        assert_eq!(arrived, prompt[..prompt.len() - 10], "late, but otherwise as they were");
        assert!(late.iter().all(|(at, post)| *at == end(post) + 10));
    }

    #[test]
    fn a_split_window_is_posted_whole_by_three_in_mixed_order() {
        let (whole, split) = (posts(Reports::Prompt, 1), posts(Reports::Split, 1));
        let mut orders = Vec::new();
        for (minute, (_, whole)) in whole.iter().enumerate() {
            let parts = &split[3 * minute..3 * minute + 3];
            for (index, (_, count)) in whole.counts.iter().enumerate() {
                assert_eq!(parts.iter().map(|(_, part)| part.counts[index].1).sum::<u64>(), *count);
            }
            assert!(parts.iter().all(|(at, part)| *at == end(part) && end(part) == end(whole)));
            let order: Vec<u64> = parts.iter().map(|(_, part)| part.total()).collect();
            if !orders.contains(&order) {
                orders.push(order);
            }
        }
        assert!(orders.len() > 100, "{}", orders.len());
    }

    #[test]
    fn losses_are_as_many_as_asked_for_and_repeat() {
        let some = posts(Reports::Lost(0.3), 4);
        assert!((100..180).contains(&some.len()), "{}", some.len());
        assert_eq!(some, posts(Reports::Lost(0.3), 4));
        assert_ne!(some, posts(Reports::Lost(0.3), 5));
    }
}
