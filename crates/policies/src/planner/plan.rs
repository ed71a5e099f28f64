//! What to spend in the first slot, and at what price.

use super::book::{Bid, Book};
use super::segments::Segments;
use super::{Account, Load};

/// A plan's first step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Mean error to serve the first slot with.
    pub error: f64,
    /// Shadow price of credit: grams saved by one more unit of it. 0 where credit is left over, infinite
    /// while a debt is being repaid.
    pub price: f64,
}

/// The planner. Its buffers are reused: after the first plan of a kind it allocates nothing.
#[derive(Debug, Clone, Default)]
pub struct Planner {
    book: Book,
}

impl Planner {
    /// The optimal first step over the slots of `loads`, `terminal` being bids for credit left at the end.
    ///
    /// Without a slot, or where the first one weighs nothing in the ledger, the least error is planned.
    pub fn plan(&mut self, segments: &Segments, account: Account, loads: &[Load], terminal: &[Bid]) -> Plan {
        self.book.clear();
        for bid in terminal {
            self.book.insert(Bid { slot: Bid::TERMINAL, ..*bid });
        }
        self.book.cut(account.capacity);
        let idle = Plan { error: segments.least_error(), price: f64::INFINITY };
        let Some((first, rest)) = loads.split_first() else { return idle };
        for load in rest.iter().rev() {
            self.book.step_back(segments, account, *load, 0, |_| ());
        }
        let allotted = self.book.allot(segments, account, *first, account.credit);
        if first.ledger > 0.0 {
            Plan { error: segments.least_error() + allotted.won / first.ledger, price: allotted.price }
        } else {
            Plan { price: allotted.price, ..idle }
        }
    }
}

/// How credit was divided between a slot and the book of what comes after it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Allotted {
    /// Credit the slot's own bids won.
    pub(super) won: f64,
    /// The price at which credit ran out.
    pub(super) price: f64,
}

/// What a slot earns by serving its requests with the least error.
pub(super) fn income(segments: &Segments, account: Account, load: Load) -> f64 {
    load.ledger * (account.target_error - segments.least_error())
}

impl Book {
    /// From the value of credit after a slot to its value before the slot.
    pub(super) fn step_back(
        &mut self,
        segments: &Segments,
        account: Account,
        load: Load,
        slot: u32,
        gone: impl FnMut(Bid),
    ) -> super::book::Cut {
        if load.ledger > 0.0 {
            let worth = load.emissions / load.ledger;
            for segment in segments.list() {
                let quantity = load.ledger * segment.length;
                self.insert(Bid { price: worth * segment.saving, quantity, slot });
            }
        }
        let income = income(segments, account, load);
        if income < 0.0 {
            // The least error alone costs credit: it must be there.
            self.insert(Bid { price: f64::INFINITY, quantity: -income, slot });
        }
        self.serve(income, gone);
        self.cut(account.capacity)
    }

    /// Divides `credit` and the slot's income among the slot's own bids and the book's, dearest first.
    pub(super) fn allot(&self, segments: &Segments, account: Account, load: Load, credit: f64) -> Allotted {
        let mut left = credit + income(segments, account, load);
        let mut won = 0.0;
        let worth = if load.ledger > 0.0 { load.emissions / load.ledger } else { 0.0 };
        let mut own = segments.list().iter().peekable();
        let mut others = self.dearest_first().peekable();
        if left <= 0.0 {
            return Allotted { won, price: f64::INFINITY };
        }
        loop {
            let own_price = own.peek().map_or(0.0, |segment| worth * segment.saving);
            let other_price = others.peek().map_or(0.0, |bid| bid.price);
            let price = own_price.max(other_price);
            if price <= 0.0 {
                return Allotted { won, price: 0.0 };
            }
            // Equal prices: what is spent now needs no forecast to come true.
            let (quantity, is_own) = if own_price >= other_price {
                (own.next().map_or(0.0, |segment| load.ledger * segment.length), true)
            } else {
                (others.next().map_or(0.0, |bid| bid.quantity), false)
            };
            let taken = quantity.min(left);
            if is_own {
                won += taken;
            }
            left -= taken;
            if left <= 0.0 {
                return Allotted { won, price };
            }
        }
    }
}
