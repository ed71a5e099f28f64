//! How the engine comes to know what was served: promptly, late, in parts, or not at all.

use std::collections::VecDeque;

use models::{Feedback, FlavourSet, Timestamp};

use crate::args::Reports;
use crate::noise::{Noise, Stream};

/// Routers that share the traffic where it is split.
const ROUTERS: u64 = 3;

/// Posts what was served, as the fault has it.
pub(crate) struct Reporter {
    reports: Reports,
    noise: Noise,
    names: Vec<String>,
    /// Posts on their way, oldest first.
    waiting: VecDeque<Feedback>,
    /// Posts that arrive now.
    arriving: Vec<Feedback>,
}

impl Reporter {
    pub(crate) fn new(reports: Reports, flavours: &FlavourSet, seed: u64) -> Self {
        Self {
            reports,
            noise: Noise::new(seed, Stream::Reports),
            names: flavours.iter().map(|flavour| flavour.name.to_string()).collect(),
            waiting: VecDeque::new(),
            arriving: Vec::new(),
        }
    }

    /// What arrives at the end of an interval in which `counts` were served.
    pub(crate) fn served(&mut self, from: Timestamp, to: Timestamp, counts: &[u64]) -> &[Feedback] {
        self.arriving.clear();
        match self.reports {
            Reports::Prompt => self.arriving.push(post(&self.names, from, to, counts.iter().copied())),
            Reports::Late(evaluations) => {
                self.waiting.push_back(post(&self.names, from, to, counts.iter().copied()));
                if self.waiting.len() > evaluations as usize {
                    self.arriving.extend(self.waiting.pop_front());
                }
            }
            Reports::Lost(probability) => {
                if self.noise.uniform() >= probability {
                    self.arriving.push(post(&self.names, from, to, counts.iter().copied()));
                }
            }
            Reports::Split => {
                for router in 0..ROUTERS {
                    // Whole parts that add up; who gets what is left over goes round.
                    let part = |count: &u64| count / ROUTERS + u64::from(router < count % ROUTERS);
                    self.arriving.push(post(&self.names, from, to, counts.iter().map(part)));
                }
                // Any of the six orders.
                for last in (1..self.arriving.len()).rev() {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "in 0..=last"
                    )]
                    let chosen = (self.noise.uniform() * (last + 1) as f64) as usize;
                    self.arriving.swap(chosen, last);
                }
            }
            Reports::None => {}
        }
        &self.arriving
    }
}

fn post(names: &[String], from: Timestamp, to: Timestamp, counts: impl Iterator<Item = u64>) -> Feedback {
    Feedback {
        window_seconds: to.duration_since(from).as_secs_f64(),
        window_end: Some(to),
        counts: names.iter().cloned().zip(counts).collect(),
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
