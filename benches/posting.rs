//! What does a posting to the credit ledger cost?
#![expect(clippy::unwrap_used, reason = "constants in range; a bench may stop where one is not")]

use std::collections::VecDeque;
use std::hint::black_box;

use benches::{Question, start};
use jiff::SignedDuration;
use ledger::{Bounds, CreditLedger};

fn main() {
    let question = Question::ask("What does a posting to the credit ledger cost?");
    let bounds = Bounds::new(-0.5, 0.5).unwrap();
    let minute = SignedDuration::from_secs(60);

    let mut list = VecDeque::from([(start(), 0.0); 16]);
    let mut now = start();
    question.measure("(a bare list: push one, pop one)", || {
        now += minute;
        list.push_back((now, 0.01));
        black_box(list.pop_front());
    });
    for (window, shown) in
        [(300, "creditWindow 300 s"), (36_000, "creditWindow 10 h"), (2_592_000, "creditWindow 30 d")]
    {
        let mut ledger = CreditLedger::new(bounds, SignedDuration::from_secs(window));
        let mut now = start();
        question.measure(&format!("posting, {shown}"), || {
            now += minute;
            black_box(ledger.post(now, 0.05, black_box(0.045)));
        });
        question.measure(&format!("velocity, {shown}"), || {
            black_box(ledger.velocity(black_box(now)));
        });
    }
    let mut ledger = CreditLedger::new(bounds, SignedDuration::from_secs(300));
    let mut now = start();
    question.measure("posting, cut short, settled twice", || {
        now += minute;
        let id = ledger.post(now, 0.05, black_box(0.045));
        black_box(ledger.scale(id, 0.5)).unwrap();
        black_box(ledger.settle(id, 0.06)).unwrap();
        black_box(ledger.settle(id, 0.05)).unwrap();
    });
    question.measure("snapshot", || {
        black_box(ledger.snapshot());
    });
}
