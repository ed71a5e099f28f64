//! The order book: what credit is worth, slope by slope.

use alloc::vec::Vec;

/// Somebody's wish for credit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bid {
    /// Grams saved per unit of credit, > 0.
    pub price: f64,
    /// Units of credit, > 0.
    pub quantity: f64,
    /// Whose it is: the number of a slot, or [`Bid::TERMINAL`].
    pub slot: u32,
}

impl Bid {
    /// The owner of a bid for credit left at the end of the horizon.
    pub const TERMINAL: u32 = u32::MAX;
}

/// Bids by rising price. The cheap end is cut by moving `head`, so that a look back can undo it; the dear
/// end is the end of the list, where serving is a pop.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    bids: Vec<Bid>,
    head: usize,
    total: f64,
}

/// A book this short is kept in order by moving bids one by one.
const SHORT: usize = 24;

/// How to undo one cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    head: usize,
    /// What the new cheapest bid had before.
    partial: f64,
}

impl Book {
    pub(super) fn clear(&mut self) {
        self.bids.clear();
        self.head = 0;
        self.total = 0.0;
    }

    /// The bids, dearest first.
    pub(super) fn dearest_first(&self) -> impl Iterator<Item = &Bid> {
        self.bids[self.head..].iter().rev()
    }

    /// Adds a bid; among equal prices the newest is the dearest.
    pub(super) fn insert(&mut self, bid: Bid) {
        if bid.quantity <= 0.0 || bid.price <= 0.0 {
            return;
        }
        self.total += bid.quantity;
        if self.bids.len() - self.head > SHORT {
            let place = self.bids[self.head..].partition_point(|other| other.price <= bid.price);
            self.bids.insert(self.head + place, bid);
            return;
        }
        // A day's budget is a handful of bids: moving them one by one beats searching and copying.
        self.bids.push(bid);
        let live = &mut self.bids[self.head..];
        let mut place = live.len() - 1;
        while place > 0 && live[place - 1].price > bid.price {
            live[place] = live[place - 1];
            place -= 1;
        }
        live[place] = bid;
    }

    /// The dearest bid.
    pub(super) fn dearest(&self) -> Option<&Bid> {
        self.bids[self.head..].last()
    }

    /// The cheapest bid.
    pub(super) fn cheapest(&self) -> Option<&Bid> {
        self.bids.get(self.head)
    }

    /// Whether all that can be banked is bid for.
    pub(super) fn is_full(&self, capacity: f64) -> bool {
        self.total >= capacity
    }

    /// Serves the dearest bid with `income` and hands what was served to `gone`. Answers what is left.
    pub(super) fn serve_dearest(&mut self, income: f64, gone: &mut impl FnMut(Bid)) -> f64 {
        let Some(dearest) = self.bids[self.head..].last_mut() else { return income };
        if dearest.quantity > income {
            dearest.quantity -= income;
            self.total -= income;
            gone(Bid { quantity: income, ..*dearest });
            return 0.0;
        }
        let served = *dearest;
        self.total -= served.quantity;
        self.bids.pop();
        gone(served);
        income - served.quantity
    }

    /// Serves the dearest bids with `income`.
    pub(super) fn serve(&mut self, mut income: f64) {
        while income > 0.0 && self.dearest().is_some() {
            income = self.serve_dearest(income, &mut |_| ());
        }
    }

    /// Cuts what exceeds `capacity` at the cheap end.
    pub(super) fn cut(&mut self, capacity: f64) -> Cut {
        let before = self.head;
        while let Some(cheapest) = self.bids.get(self.head)
            && self.total - cheapest.quantity >= capacity
        {
            self.total -= cheapest.quantity;
            self.head += 1;
        }
        let Some(cheapest) = self.bids.get_mut(self.head) else {
            self.total = 0.0;
            return Cut { head: before, partial: 0.0 };
        };
        let partial = cheapest.quantity;
        let excess = self.total - capacity;
        if excess > 0.0 {
            cheapest.quantity -= excess;
            self.total = capacity;
        }
        Cut { head: before, partial }
    }

    /// Undoes the last cut.
    pub(super) fn uncut(&mut self, cut: Cut) {
        if let Some(cheapest) = self.bids.get_mut(self.head) {
            cheapest.quantity = cut.partial;
        }
        self.head = cut.head;
    }

    /// Undoes the last serving: the bids come back in the order they went.
    pub(super) fn unserve(&mut self, bid: Bid) {
        match self.bids[self.head..].last_mut() {
            // The rest of a bid that was served in part.
            Some(last) if last.slot == bid.slot && last.price == bid.price => last.quantity += bid.quantity,
            _ => self.bids.push(bid),
        }
    }

    /// Takes the bids of `slot` out.
    pub(super) fn remove(&mut self, slot: u32) {
        // What lies before the head belongs to undone cuts of later slots: it stays where it is.
        let mut kept = self.head;
        for index in self.head..self.bids.len() {
            if self.bids[index].slot != slot {
                self.bids.swap(kept, index);
                kept += 1;
            }
        }
        self.bids.truncate(kept);
    }
}
