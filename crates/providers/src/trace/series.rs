//! From rows in any order to slots in order of time: duplicates, disorder and gaps are found here.

use jiff::SignedDuration;
use models::Timestamp;

use super::notes::{NoteKind, Notes};

/// Slot length where a single row gives nothing to infer it from.
const LONE_SLOT: SignedDuration = SignedDuration::from_hours(1);

/// One usable row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<T> {
    /// Where it stood, from 1.
    pub(super) line: u64,
    /// Start of its slot.
    pub(super) from: Timestamp,
    /// End of its slot, where the file says so.
    pub(super) to: Option<Timestamp>,
    /// What it holds.
    pub(super) value: T,
}

/// A slot `[from, to)` with its value, and the line it came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed<T> {
    pub(super) line: u64,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) value: T,
}

/// Sorts rows into slots that never overlap, and infers the step: the median of the distances between
/// neighbours. Of two rows for one slot the later line counts.
pub(super) fn assemble<T: Copy>(
    mut rows: Vec<Row<T>>,
    notes: &mut Notes,
) -> (Vec<Placed<T>>, SignedDuration) {
    let mut newest: Option<Timestamp> = None;
    for row in &rows {
        if let Some(newest) = newest.filter(|newest| row.from < *newest) {
            notes.push(
                NoteKind::Disorder,
                row.line,
                format_args!("{} stands after {newest}: sorted in", row.from),
            );
        }
        newest = newest.max(Some(row.from));
    }
    rows.sort_by_key(|row| row.from);
    rows.dedup_by(|later, kept| {
        let same = later.from == kept.from;
        if same {
            notes.push(
                NoteKind::Duplicate,
                later.line,
                format_args!("{} stood in line {} already: this one counts", later.from, kept.line),
            );
            *kept = *later;
        }
        same
    });
    let step = median_step(&rows);
    let mut placed: Vec<Placed<T>> = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        if let Some(before) = placed.last().filter(|before| before.to < row.from) {
            let missing = row.from.duration_since(before.to).as_nanos();
            let slots = (missing + step.as_nanos() / 2).div_euclid(step.as_nanos().max(1)).max(1);
            let words = if slots == 1 { "slot is" } else { "slots are" };
            notes.push(
                NoteKind::Gap,
                row.line,
                format_args!("{slots} {words} missing before this row, from {} to {}", before.to, row.from),
            );
        }
        let end = row.to.unwrap_or_else(|| row.from.checked_add(step).unwrap_or(Timestamp::MAX));
        let to = rows.get(index + 1).map_or(end, |next| end.min(next.from));
        placed.push(Placed { line: row.line, from: row.from, to, value: row.value });
    }
    (placed, step)
}

/// The median distance between neighbours; the lower one of two.
fn median_step<T>(rows: &[Row<T>]) -> SignedDuration {
    let steps = rows.windows(2).map(|pair| pair[1].from.duration_since(pair[0].from)).collect();
    let lone = || match rows.first() {
        Some(Row { from, to: Some(to), .. }) => to.duration_since(*from),
        _ => LONE_SLOT,
    };
    median(steps).unwrap_or_else(lone)
}

/// The median; the lower one of two; `None` of nothing.
pub(super) fn median(mut steps: Vec<SignedDuration>) -> Option<SignedDuration> {
    steps.sort_unstable();
    steps.get(steps.len().saturating_sub(1) / 2).copied()
}
