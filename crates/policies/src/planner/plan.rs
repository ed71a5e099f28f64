//! What to spend in the first slot, and at what price.

use super::book::{Bid, Book, Cut};
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
    /// The optimal first step over the slots of `loads`.
    ///
    /// `terminal` are bids for credit left at the end. `floors` are the least credit to be kept at the
    /// beginning of each slot and, last, at the end; without any the least is 0. A floor that is out of
    /// reach makes every earlier slot save. Without a slot, or where the first one weighs nothing in the
    /// ledger, the least error is planned.
    pub fn plan(
        &mut self,
        segments: &Segments,
        account: Account,
        loads: &[Load],
        floors: &[f64],
        terminal: &[Bid],
    ) -> Plan {
        self.plan_softly(segments, segments, account, loads, floors, terminal)
    }

    /// The same with softened segments ([`Segments::softened`]) for the first slot's own bids: a small
    /// change of price then moves the first step a little instead of flipping it from end to end. What comes
    /// later is planned anew before it is served, so it needs no softening.
    pub fn plan_softly(
        &mut self,
        segments: &Segments,
        soft: &Segments,
        account: Account,
        loads: &[Load],
        floors: &[f64],
        terminal: &[Bid],
    ) -> Plan {
        let floor = |slot: usize| floors.get(slot).copied().unwrap_or(0.0);
        self.book.clear();
        for bid in terminal {
            self.book.insert(Bid { slot: Bid::TERMINAL, ..*bid });
        }
        // The book is of credit above the floor: what the floor holds has served its dearest bids already.
        self.book.serve(floor(loads.len()));
        self.book.cut(account.capacity - floor(loads.len()));
        let idle = Plan { error: segments.least_error(), price: f64::INFINITY };
        let Some((first, rest)) = loads.split_first() else { return idle };
        for (slot, load) in rest.iter().enumerate().rev().map(|(index, load)| (index + 1, load)) {
            let income = income(segments, account, *load) + floor(slot) - floor(slot + 1);
            self.book.step_back(segments, *load, 0, income, account.capacity - floor(slot), |_| ());
        }
        let credit = account.credit + income(segments, account, *first) - floor(1);
        let allotted = self.book.allot(soft, *first, credit);
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
    /// From the value of credit after a slot to its value before the slot, which earns `income` and before
    /// which `capacity` can be banked. Bids of later slots that income serves go to `gone`.
    ///
    /// Own bids that income serves at once, and those that capacity would cut at once, never enter the book:
    /// most bids of a long horizon are of one kind or the other.
    pub(super) fn step_back(
        &mut self,
        segments: &Segments,
        load: Load,
        slot: u32,
        mut income: f64,
        capacity: f64,
        mut gone: impl FnMut(Bid),
    ) -> Cut {
        let worth = if load.ledger > 0.0 { load.emissions / load.ledger } else { 0.0 };
        let mut own = if worth > 0.0 { segments.list() } else { &[] };
        let mut own_served = 0.0;
        while income > 0.0 {
            let dearest = self.dearest().map_or(0.0, |bid| bid.price);
            match own.first() {
                Some(first) if worth * first.saving >= dearest => {
                    let left = load.ledger * first.length - own_served;
                    if left > income {
                        own_served += income;
                        break;
                    }
                    income -= left;
                    own_served = 0.0;
                    own = &own[1..];
                }
                _ if dearest > 0.0 => income = self.serve_dearest(income, &mut gone),
                _ => break,
            }
        }
        if income < 0.0 {
            // The least error alone costs credit: it must be there.
            self.insert(Bid { price: f64::INFINITY, quantity: -income, slot });
        }
        for segment in own {
            let price = worth * segment.saving;
            if self.is_full(capacity) && self.cheapest().is_some_and(|bid| price <= bid.price) {
                break;
            }
            self.insert(Bid { price, quantity: load.ledger * segment.length - own_served, slot });
            own_served = 0.0;
        }
        self.cut(capacity)
    }

    /// Divides `credit`, the slot's income included, among the slot's own bids and the book's, dearest first.
    pub(super) fn allot(&self, segments: &Segments, load: Load, credit: f64) -> Allotted {
        let mut left = credit;
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
