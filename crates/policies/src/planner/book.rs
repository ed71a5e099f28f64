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
        if bid.quantity > 0.0 && bid.price > 0.0 {
            let place = self.bids[self.head..].partition_point(|other| other.price <= bid.price);
            self.bids.insert(self.head + place, bid);
            self.total += bid.quantity;
        }
    }

    /// Serves the dearest bids with `income`; hands what was served to `gone`.
    pub(super) fn serve(&mut self, income: f64, mut gone: impl FnMut(Bid)) {
        let mut left = income;
        while left > 0.0
            && self.bids.len() > self.head
            && let Some(dearest) = self.bids.last_mut()
        {
            if dearest.quantity > left {
                dearest.quantity -= left;
                self.total -= left;
                gone(Bid { quantity: left, ..*dearest });
                return;
            }
            left -= dearest.quantity;
            self.total -= dearest.quantity;
            gone(*dearest);
            self.bids.pop();
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
