//! Values at instants, each of which holds until the next: slots without their ends.

use jiff::SignedDuration;
use models::{CarbonIntensity, Slot, Timestamp};
use serde_json::{Map, Value};

use crate::half_hour::later;
use crate::reading::{self, LONGEST_SLOT};

/// A value from an instant on; `None` where there is an instant and no value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) at: Timestamp,
    pub(crate) grams: Option<CarbonIntensity>,
}

/// Reads a list of objects with a time under `when` and a value. One without a time is left out; one whose
/// value cannot be read stays as a point without. The first problem is told, too.
pub(crate) fn read(
    list: &[Value],
    at: &str,
    when: &str,
    value: impl Fn(&Map<String, Value>) -> Result<Option<CarbonIntensity>, String>,
) -> (Vec<Point>, Option<String>) {
    let mut unreadable = None;
    let (points, first_problem) = reading::each(list, at, |item, at| {
        let item = reading::object(item, at)?;
        let instant = reading::time(item.get(when), &format!("{at}/{when}"))?;
        let grams = value(item).unwrap_or_else(|problem| {
            unreadable.get_or_insert_with(|| format!("{at}/{problem}"));
            None
        });
        Ok(Point { at: instant, grams })
    });
    (points, first_problem.or(unreadable))
}

/// Slots that end where the next point stands, and after `step` at the latest: a point that is missing leaves
/// a gap, and so does one without a value. Without `step` it is the commonest distance between neighbours,
/// and for a point alone `alone`. Of two points at one instant the later in the list wins.
pub(crate) fn slots(
    mut points: Vec<Point>,
    step: Option<SignedDuration>,
    alone: SignedDuration,
) -> Vec<Slot> {
    points.reverse();
    points.sort_by_key(|point| point.at);
    points.dedup_by_key(|point| point.at);
    let plausible = |step: &SignedDuration| *step > SignedDuration::ZERO && *step <= LONGEST_SLOT;
    let step = step.filter(plausible).or_else(|| commonest(&points).filter(plausible)).unwrap_or(alone);
    let nexts = points.iter().skip(1).map(|next| next.at).chain([Timestamp::MAX]);
    let slot = |(point, next): (&Point, Timestamp)| {
        point.grams.map(|grams| Slot::new(point.at, next.min(later(point.at, step)), grams))
    };
    points.iter().zip(nexts).filter_map(slot).collect()
}

/// The commonest distance between neighbours; of two that are as common the shorter, since a missing point
/// makes a longer one.
fn commonest(points: &[Point]) -> Option<SignedDuration> {
    let mut distances: Vec<_> = points.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at)).collect();
    distances.sort_unstable();
    let equals = distances.chunk_by(|one, other| one == other);
    equals.rev().max_by_key(|equal| equal.len()).and_then(|equal| equal.first().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_ends_at_the_next_point_or_after_a_step() {
        let minutes = SignedDuration::from_mins;
        let at = |minute: i64| Timestamp::UNIX_EPOCH + minutes(minute);
        let point = |minute, grams: Option<f64>| Point {
            at: at(minute),
            grams: grams.map(|grams| CarbonIntensity::new(grams).unwrap()),
        };
        for (points, step, expected) in [
            (vec![point(0, Some(1.0))], None, vec![(0, 60)]),
            (vec![point(0, Some(1.0))], Some(5), vec![(0, 5)]),
            (vec![point(5, Some(1.0)), point(0, Some(2.0))], None, vec![(0, 5), (5, 10)]),
            (vec![point(0, Some(1.0)), point(5, None), point(10, Some(2.0))], None, vec![(0, 5), (10, 15)]),
            // The point at 15 is missing; the last ones come closer together.
            (
                [0, 5, 10, 20, 25, 28].map(|minute| point(minute, Some(1.0))).to_vec(),
                None,
                vec![(0, 5), (5, 10), (10, 15), (20, 25), (25, 28), (28, 33)],
            ),
            (
                vec![point(0, Some(1.0)), point(120, Some(2.0)), point(180, Some(2.0))],
                None,
                vec![(0, 60), (120, 180), (180, 240)],
            ),
            // A step that cannot be is as good as none.
            (vec![point(0, Some(1.0)), point(30, Some(2.0))], Some(0), vec![(0, 30), (30, 60)]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(from, to)| (at(from), at(to))).collect();
            let found = slots(points, step.map(minutes), minutes(60));
            assert_eq!(found.iter().map(|slot| (slot.from, slot.to)).collect::<Vec<_>>(), expected);
        }
        let twice = slots(vec![point(0, Some(1.0)), point(0, Some(2.0))], None, minutes(60));
        assert_eq!(twice.iter().map(|slot| slot.forecast.get()).collect::<Vec<_>>(), [2.0]);
    }
}
