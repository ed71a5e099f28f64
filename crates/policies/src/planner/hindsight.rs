//! The optimum in hindsight: the same market with the truth as forecast and the whole trace as horizon.

use alloc::vec::Vec;

use super::book::{Bid, Book};
use super::plan::income;
use super::segments::Segments;
use super::{Account, Load};

/// An optimum over a whole trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Hindsight {
    /// What is emitted, in the unit of energy x intensity.
    pub emissions: f64,
    /// Mean error of each slot.
    pub errors: Vec<f64>,
    /// Shadow price of credit in each slot.
    pub prices: Vec<f64>,
}

/// The optimum under the ledger: exact, in two passes. Going back, every step of the book is noted so that
/// it can be undone; going forward, the steps are undone one by one, and each slot's book is there again
/// without having been kept. Memory is linear in the number of bids.
pub fn hindsight(segments: &Segments, account: Account, loads: &[Load]) -> Hindsight {
    let mut book = Book::default();
    let mut served: Vec<Bid> = Vec::new();
    let mut steps = Vec::with_capacity(loads.len());
    for (slot, load) in numbered(loads).rev() {
        let before = served.len();
        let income = income(segments, account, *load);
        let cut = book.step_back(segments, *load, slot, income, account.capacity, |bid| served.push(bid));
        steps.push((before, cut));
    }
    let mut found = Hindsight {
        emissions: 0.0,
        errors: Vec::with_capacity(loads.len()),
        prices: Vec::with_capacity(loads.len()),
    };
    let mut credit = account.credit;
    for (slot, load) in numbered(loads) {
        let Some((before, cut)) = steps.pop() else { break };
        book.uncut(cut);
        while served.len() > before
            && let Some(bid) = served.pop()
        {
            book.unserve(bid);
        }
        book.remove(slot);
        credit += income(segments, account, *load);
        let allotted = book.allot(segments, *load, credit);
        credit = (credit - allotted.won).min(account.capacity);
        let spent = if load.ledger > 0.0 { allotted.won / load.ledger } else { 0.0 };
        found.emissions += load.emissions * segments.energy(spent);
        found.errors.push(segments.least_error() + spent);
        found.prices.push(allotted.price);
    }
    found
}

/// The loads with their numbers; beyond 2^32 slots nobody looks.
fn numbered(loads: &[Load]) -> impl DoubleEndedIterator<Item = (u32, &Load)> {
    let count = u32::try_from(loads.len()).unwrap_or(u32::MAX);
    (0..count).zip(loads)
}

/// The optimum under one average over the whole trace: every bid by its price, until the budget is spent.
/// No order of time, no bound of a ledger; nothing that must keep a budget can do better.
pub fn hindsight_global(segments: &Segments, target_error: f64, loads: &[Load]) -> Hindsight {
    let account = Account { target_error, capacity: f64::INFINITY, credit: 0.0 };
    let mut bids: Vec<Bid> = Vec::with_capacity(loads.len() * segments.list().len());
    for (slot, load) in numbered(loads).filter(|(_, load)| load.ledger > 0.0) {
        let own = segments.list().iter().map(|segment| Bid {
            price: load.emissions / load.ledger * segment.saving,
            quantity: load.ledger * segment.length,
            slot,
        });
        bids.extend(own);
    }
    // Of one slot's bids the dearest is its steepest segment, so segments are filled in their order.
    bids.sort_by(|one, two| two.price.total_cmp(&one.price));
    let mut left: f64 = loads.iter().map(|load| income(segments, account, *load)).sum();
    let mut spent = alloc::vec![0.0; loads.len()];
    let mut price = 0.0;
    for bid in bids {
        let taken = bid.quantity.min(left.max(0.0));
        left -= taken;
        // The price at which the budget ran out, be it at the dearest bid of all.
        if left <= 0.0 {
            price = bid.price;
        }
        if let Some(slot) = spent.get_mut(bid.slot as usize) {
            *slot += taken;
        }
        if left <= 0.0 {
            break;
        }
    }
    let mut found = Hindsight { emissions: 0.0, errors: spent, prices: alloc::vec![price; loads.len()] };
    for (error, load) in found.errors.iter_mut().zip(loads) {
        if load.ledger > 0.0 {
            *error /= load.ledger;
        }
        found.emissions += load.emissions * segments.energy(*error);
        *error += segments.least_error();
    }
    found
}
