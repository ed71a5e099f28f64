//! How the engine comes to know what was served: promptly, late, in parts, twice, or not at all.
//!
//! Posts under a fault are numbered, as those of a router that repeats what was not answered have to be.

use std::collections::VecDeque;

use models::feedback::Sender;
use models::{Feedback, FlavourSet, Timestamp};

use crate::args::Reports;
use crate::noise::{Noise, Stream};

/// Routers that share the traffic where it is split.
const ROUTERS: usize = 3;
/// Posts of an interval where some are overtaken: what may be held back for it has to be told in parts.
const HALVES: usize = 2;
/// Most posts at once: a part of each router; a post, its repeat, and a repeat of the one before; or halves, and
/// one of the interval before.
const MOST: usize = ROUTERS;

/// Posts what was served, as the fault has it.
pub(crate) struct Reporter {
    reports: Reports,
    noise: Noise,
    /// What is posted now; buffers are reused.
    posts: [Feedback; MOST],
    /// Intervals that ended: the number of a post, starting from 0.
    ended: u64,
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
            ended: 0,
            waiting: VecDeque::new(),
        }
    }

    /// What arrives at the end of an interval in which `counts` were served.
    pub(crate) fn served(&mut self, from: Timestamp, to: Timestamp, counts: &[u64]) -> &[Feedback] {
        let (routers, halves) = match self.reports {
            Reports::Split => (ROUTERS, 1),
            Reports::Overtaken(_) => (1, HALVES),
            _ => (1, 1),
        };
        let (parts, length) = (routers * halves, to.duration_since(from));
        for (part, post) in self.posts.iter_mut().take(parts).enumerate() {
            let (router, half) = (part / halves, part % halves);
            post.window_seconds = length.as_secs_f64() / halves as f64;
            post.window_end = Some(if half + 1 < halves { from + length / 2 } else { to });
            post.sender = (self.reports != Reports::Prompt).then(|| Sender {
                source: format!("router-{router}"),
                sequence: Some(self.ended * halves as u64 + half as u64),
            });
            for ((_, count), all) in post.counts.iter_mut().zip(counts) {
                // Whole parts that add up.
                *count = (all + part as u64) / parts as u64;
            }
        }
        self.ended += 1;
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
            Reports::Overtaken(probability) => {
                let late = self.waiting.pop_front();
                let mut arriving = HALVES;
                if self.noise.uniform() < probability {
                    self.waiting.push_back(self.posts[0].clone());
                    self.posts.swap(0, 1);
                    arriving -= 1;
                }
                if let Some(late) = late {
                    self.posts[arriving] = late;
                    arriving += 1;
                }
                arriving
            }
            Reports::Split => {
                self.shuffle(ROUTERS);
                ROUTERS
            }
            Reports::Duplicated => {
                // What the first of them says is known in time; repeats come at once or an interval late.
                let mut arriving = 1;
                if let Some(repeat) = self.waiting.pop_front() {
                    self.posts[arriving] = repeat;
                    arriving += 1;
                }
                if self.noise.uniform() < 0.5 {
                    self.waiting.push_back(self.posts[0].clone());
                } else {
                    self.posts[arriving] = self.posts[0].clone();
                    arriving += 1;
                }
                self.shuffle(arriving);
                arriving
            }
            Reports::None => 0,
        };
        &self.posts[..arriving]
    }

    /// The first `count` posts in any order, each alike.
    fn shuffle(&mut self, count: usize) {
        for last in (1..count).rev() {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 0..=last")]
            let chosen = (self.noise.uniform() * (last + 1) as f64) as usize;
            self.posts.swap(chosen, last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::{Engine, EngineOptions};
    use jiff::SignedDuration;
    use models::{Overrides, ScheduleId};
    use policies::Registry;

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
        let said = |(_, post): &(u64, Feedback)| Feedback { sender: None, ..post.clone() };
        let prompt: Vec<Feedback> = posts(Reports::Prompt, 1).iter().map(said).collect();
        let arrived: Vec<Feedback> = late.iter().map(said).collect();
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
    fn an_overtaken_half_arrives_an_interval_late_and_after_the_others() {
        let (whole, halves) = (posts(Reports::Prompt, 1), posts(Reports::Overtaken(0.3), 1));
        assert_eq!(posts(Reports::Overtaken(0.0), 1).len(), 2 * whole.len());
        let number = |post: &Feedback| post.sender.as_ref().and_then(|sender| sender.sequence).unwrap();
        let mut late = 0;
        for (minute, (_, whole)) in whole.iter().enumerate() {
            let said: Vec<usize> =
                (0..halves.len()).filter(|at| number(&halves[*at].1) / 2 == minute as u64).collect();
            if said.len() < 2 {
                assert_eq!(minute as u64 + 1, MINUTES, "the last one may be under way yet");
                continue;
            }
            let mut said: Vec<_> = said.into_iter().map(|at| &halves[at]).collect();
            late += usize::from(number(&said[0].1) % 2 == 1);
            said.sort_by_key(|(_, post)| number(post));
            let [(first_at, first), (second_at, second)] = said[..] else { panic!("{said:?}") };
            assert_eq!((first.total() + second.total(), *second_at), (whole.total(), end(whole)));
            assert!(*first_at == end(whole) || *first_at == end(whole) + 1);
            assert_eq!((second.window_end, second.window_seconds), (whole.window_end, 30.0));
            let between = second.window_end.unwrap().duration_since(first.window_end.unwrap());
            assert_eq!((between, first.window_seconds), (SignedDuration::from_secs(30), 30.0));
        }
        assert!((40..80).contains(&late), "{late}");
    }

    #[test]
    fn every_post_but_the_last_arrives_twice_in_mixed_order() {
        let (once, twice) = (posts(Reports::Prompt, 1), posts(Reports::Duplicated, 1));
        let (mut at_once, mut late, mut overtaken) = (0, 0, 0);
        for (minute, whole) in once {
            let copies: Vec<usize> = (0..twice.len()).filter(|at| end(&twice[*at].1) == minute).collect();
            let [first, repeat] = copies[..] else {
                assert_eq!((copies.len(), minute), (1, MINUTES), "the last repeat may be under way yet");
                continue;
            };
            let ((arrived, first_post), (again, second_post)) = (&twice[first], &twice[repeat]);
            assert_eq!(first_post, second_post);
            assert_eq!((first_post.total(), *arrived), (whole.total(), minute));
            assert!(first_post.sender.as_ref().is_some_and(|sender| sender.sequence == Some(minute - 1)));
            if again == arrived {
                at_once += 1;
            } else {
                assert_eq!(*again, minute + 1);
                late += 1;
                overtaken += usize::from(end(&twice[repeat - 1].1) > minute);
            }
        }
        assert!(at_once > 70 && late > 70 && overtaken > 30, "{at_once} {late} {overtaken}");
        assert_eq!(twice, posts(Reports::Duplicated, 1));
        assert_ne!(twice, posts(Reports::Duplicated, 2));
    }

    /// Requests that an engine counted of what was served.
    fn counted(reports: Reports, seed: u64, numbered: bool) -> u64 {
        let at =
            |minute: u64| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(i64::try_from(minute).unwrap());
        let mut engine = Engine::new(EngineOptions::default(), Registry::builtin());
        let id = ScheduleId::new("simulation", "simulation").unwrap();
        engine.configure(&id, Overrides::default(), at(0)).unwrap();
        for (minute, mut post) in posts(reports, seed) {
            post.sender = post.sender.filter(|_| numbered);
            engine.tick(at(minute));
            engine.feedback(&id, &post, at(minute)).unwrap();
        }
        engine.tick(at(MINUTES + 60));
        let published = engine.published(&id).unwrap();
        published.schedule.budget.as_ref().unwrap().served_requests
    }

    #[test]
    fn the_engine_counts_what_was_served_however_often_it_is_told() {
        let truth = total(&posts(Reports::Prompt, 1));
        for seed in 1..5 {
            for reports in [Reports::Prompt, Reports::Split, Reports::Duplicated] {
                assert_eq!(counted(reports, seed, true), truth, "{reports}, {seed}");
            }
            // Without numbers it could not tell.
            assert_eq!(counted(Reports::Split, seed, false), truth);
            assert!(counted(Reports::Duplicated, seed, false) > truth * 19 / 10);
        }
    }

    #[test]
    fn losses_are_as_many_as_asked_for_and_repeat() {
        let some = posts(Reports::Lost(0.3), 4);
        assert!((100..180).contains(&some.len()), "{}", some.len());
        assert_eq!(some, posts(Reports::Lost(0.3), 4));
        assert_ne!(some, posts(Reports::Lost(0.3), 5));
    }
}
