//! Situations that a policy may come into: the ends of every range, and what lies between.

use ledger::Bounds;
use models::flavour::MAX_FLAVOURS;
use models::{Flavour, FlavourSet, Precision};
use policies::{Ahead, Decision, Horizon, Menu, Reason, Situation};

use super::dice::Dice;

/// Most that the grid emits, gCO2eq/kWh: beyond it no value is taken in.
const MOST_INTENSITY: f64 = 10_000.0;
/// More requests than one schedule is told of in a minute.
const MANY_REQUESTS: f64 = 1e15;
/// Seconds of a slot.
const SLOT: f64 = 1_800.0;

/// Situations in the order in which one policy comes into them.
#[derive(Debug, Clone)]
pub(super) struct Course {
    /// What the policy is made of.
    pub(super) seed: u64,
    pub(super) cases: Vec<Case>,
}

/// One situation, with all that it borrows.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// What is special about it, in a few words.
    pub(super) what: &'static str,
    pub(super) menu: Menu,
    target_error: f64,
    balance: f64,
    bounds: Bounds,
    now: Option<f64>,
    next: Option<f64>,
    outlook: Option<Outlook>,
}

/// What a policy that looks ahead is told.
#[derive(Debug, Clone)]
struct Outlook {
    slots: Vec<Ahead>,
    floors: Vec<f64>,
    is_last: bool,
    credit: f64,
    capacity: f64,
    most_requests: f64,
    elapsed_seconds: f64,
}

impl Case {
    /// The situation, with the horizon for a policy that looks ahead.
    pub(super) fn situation(&self, looks_ahead: bool) -> Situation<'_> {
        let outlook = self.outlook.as_ref().filter(|_| looks_ahead);
        Situation {
            menu: &self.menu,
            target_error: self.target_error,
            balance: self.balance,
            bounds: self.bounds,
            now: self.now,
            next: self.next,
            horizon: outlook.map(|outlook| Horizon {
                slots: &outlook.slots,
                floors: &outlook.floors,
                is_last: outlook.is_last,
                credit: outlook.credit,
                capacity: outlook.capacity,
                most_requests: outlook.most_requests,
                elapsed_seconds: outlook.elapsed_seconds,
            }),
        }
    }

    /// Nothing special: three flavours, some credit, two days of forecast.
    fn ordinary(menu: &Menu) -> Self {
        let slots = (0..96_u32).map(|slot| Ahead {
            seconds: SLOT,
            intensity: 100.0 + f64::from((slot * 37) % 200),
            requests: 500.0 + f64::from((slot * 53) % 300),
        });
        let outlook = Outlook {
            slots: slots.collect(),
            floors: Vec::new(),
            is_last: false,
            credit: 400.0,
            capacity: 2_000.0,
            most_requests: 900.0,
            elapsed_seconds: 60.0,
        };
        Self {
            what: "an ordinary situation",
            menu: menu.clone(),
            target_error: 0.05,
            balance: 0.2,
            bounds: bounds(0.5, 0.5),
            now: Some(100.0),
            next: Some(137.0),
            outlook: Some(outlook),
        }
    }

    fn with(mut self, what: &'static str, change: impl FnOnce(&mut Self)) -> Self {
        self.what = what;
        change(&mut self);
        self
    }

    fn ahead(mut self, what: &'static str, change: impl FnOnce(&mut Outlook)) -> Self {
        self.what = what;
        self.outlook.as_mut().map(change);
        self
    }
}

/// The ends of the ranges, one after the other, as one policy meets them.
pub(super) fn extremes() -> Vec<Course> {
    let ordinary = Case::ordinary(&menu(&flavours(&[(1.0, 2.9), (0.93, 1.2), (0.8, 0.4)])));
    let of = |what, menu: &Menu| ordinary.clone().with(what, |case| case.menu = menu.clone());
    let many = (0..MAX_FLAVOURS).map(|index| (1.0 - 0.015 * index as f64, 9.0 / (1 + index) as f64));
    let many: Vec<_> = many.collect();
    let menus = vec![
        of("one flavour", &menu(&flavours(&[(1.0, 1.0)]))),
        of("one flavour that errs more than it may", &menu(&flavours(&[(0.3, 1.0)]))),
        of("as many flavours as there may be", &menu(&flavours(&many))),
        of("two flavours alike", &menu(&flavours(&[(0.9, 1.0), (0.9, 1.0)]))),
        of("flavours that need nothing", &menu(&flavours(&[(1.0, 0.0), (0.5, 0.0)]))),
        of("a flavour that needs all there is", &menu(&flavours(&[(1.0, f64::MAX), (0.9, 1.0)]))),
        of("a worse flavour that needs more", &menu(&flavours(&[(1.0, 1.0), (0.9, 2.0), (0.8, 0.5)]))),
        of("a flavour that nearly always errs", &menu(&flavours(&[(1.0, 1.0), (f64::MIN_POSITIVE, 1e-300)]))),
        of("flavours whose energy nobody knows", &unknown_energy()),
        of("an ordinary situation again", &ordinary.menu),
    ];
    let grid = vec![
        ordinary.clone().with("no forecast", |case| (case.now, case.next) = (None, None)),
        ordinary.clone().with("a forecast of now alone", |case| case.next = None),
        ordinary.clone().with("a forecast of the next slot alone", |case| case.now = None),
        ordinary.clone().with("a grid without emissions", |case| {
            (case.now, case.next) = (Some(0.0), Some(0.0));
            case.outlook
                .iter_mut()
                .flat_map(|outlook| &mut outlook.slots)
                .for_each(|slot| slot.intensity = 0.0);
        }),
        ordinary.clone().with("the dirtiest grid", |case| {
            (case.now, case.next) = (Some(MOST_INTENSITY), Some(MOST_INTENSITY));
            let slots = case.outlook.iter_mut().flat_map(|outlook| &mut outlook.slots);
            slots.for_each(|slot| slot.intensity = MOST_INTENSITY);
        }),
        ordinary.clone().ahead("no horizon but an empty one", |outlook| outlook.slots.clear()),
        ordinary.clone().ahead("a horizon of one slot", |outlook| outlook.slots.truncate(1)),
        ordinary.clone().with("no horizon", |case| case.outlook = None),
        ordinary.clone().ahead("the end of the service", |outlook| outlook.is_last = true),
    ];
    let credit = vec![
        ordinary.clone().with("no allowed error", |case| case.target_error = 0.0),
        ordinary.clone().with("an allowed error of nearly all", |case| case.target_error = 0.999_999),
        ordinary.clone().with("a debt", |case| {
            case.balance = case.bounds.min();
            case.outlook.iter_mut().for_each(|outlook| outlook.credit = -2_000.0);
        }),
        ordinary.clone().with("a full account", |case| {
            case.balance = case.bounds.max();
            case.outlook.iter_mut().for_each(|outlook| outlook.credit = outlook.capacity);
        }),
        ordinary.clone().with("nothing banked", |case| {
            case.balance = 0.0;
            case.outlook.iter_mut().for_each(|outlook| outlook.credit = 0.0);
        }),
        ordinary.clone().with("an account that holds nothing", |case| {
            (case.bounds, case.balance) = (bounds(0.0, 0.0), 0.0);
            case.outlook.iter_mut().for_each(|outlook| (outlook.capacity, outlook.credit) = (0.0, 0.0));
        }),
        ordinary.clone().ahead("nobody ahead", |outlook| {
            outlook.slots.iter_mut().for_each(|slot| slot.requests = 0.0);
            outlook.most_requests = 1.0;
        }),
        ordinary.clone().ahead("more requests than can be counted on", |outlook| {
            outlook.slots.iter_mut().for_each(|slot| slot.requests = MANY_REQUESTS);
            outlook.most_requests = MANY_REQUESTS;
        }),
        ordinary.clone().ahead("a credit that one minute could use up", |outlook| {
            (outlook.credit, outlook.most_requests) = (1.0, 1e6);
        }),
        ordinary.clone().ahead("two decisions at one instant", |outlook| outlook.elapsed_seconds = 0.0),
        ordinary.clone().ahead("a year since the last decision", |outlook| outlook.elapsed_seconds = 3.2e7),
        ordinary.clone().ahead("credit that is to be kept", |outlook| {
            outlook.floors = vec![outlook.credit; outlook.slots.len() + 1];
        }),
        ordinary,
    ];
    [menus, grid, credit].into_iter().map(|cases| Course { seed: 0, cases }).collect()
}

/// Any situations, of a seed: of one schedule whose flavours are changed now and then.
pub(super) fn course(seed: u64) -> Course {
    let mut dice = Dice::new(seed);
    let mut set = any_menu(&mut dice);
    let count = 3 + dice.below(12);
    let cases = (0..count).map(|_| {
        if dice.once_in(5) {
            set = any_menu(&mut dice);
        }
        any_case(&set, &mut dice)
    });
    Course { seed, cases: cases.collect() }
}

fn any_case(menu: &Menu, dice: &mut Dice) -> Case {
    let bounds = bounds(dice.within(0.0, 2.0), dice.within(0.0, 2.0));
    let grams = |dice: &mut Dice| (!dice.once_in(5)).then(|| dice.within(0.0, 900.0));
    let scale = [1.0, 1e3, 1e6][dice.below(3) as usize];
    let slots: Vec<_> = (0..dice.below(140))
        .map(|slot| Ahead {
            seconds: if slot == 0 { dice.within(1.0, SLOT) } else { SLOT },
            intensity: dice.within(0.0, 900.0),
            requests: dice.within(0.0, scale),
        })
        .collect();
    let capacity = dice.within(0.0, 50.0 * scale);
    let has_floors = dice.once_in(3);
    let floors = has_floors.then(|| (0..=slots.len()).map(|_| dice.within(0.0, capacity)).collect());
    let outlook = Outlook {
        slots,
        floors: floors.unwrap_or_default(),
        is_last: dice.once_in(6),
        credit: dice.within(-0.3 * capacity, capacity),
        capacity,
        most_requests: dice.within(1.0, 1.0 + scale),
        elapsed_seconds: dice.within(0.0, 120.0),
    };
    Case {
        what: "any situation",
        menu: menu.clone(),
        target_error: if dice.once_in(10) { 0.0 } else { dice.within(0.0, 0.3) },
        balance: dice.within(bounds.min(), bounds.max()),
        bounds,
        now: grams(dice),
        next: grams(dice),
        outlook: Some(outlook),
    }
}

fn any_menu(dice: &mut Dice) -> Menu {
    let most = if dice.once_in(6) { 64 } else { 5 };
    let count = 1 + dice.below(most);
    let points: Vec<_> = (0..count)
        .map(|_| {
            // Of equal precision at times.
            let precision = if dice.once_in(4) { 0.9 } else { f64::from(1 + dice.below(1_000)) / 1_000.0 };
            (precision, dice.within(0.0, 5.0))
        })
        .collect();
    let mut flavours = flavours(&points);
    for flavour in flavours.iter_mut().skip(1) {
        flavour.enabled = !dice.once_in(5);
    }
    if dice.once_in(5) {
        without_energy(&mut flavours);
    }
    menu(&flavours)
}

fn flavours(points: &[(f64, f64)]) -> Vec<Flavour> {
    let flavours = points.iter().enumerate().map(|(index, (precision, energy))| {
        let mut flavour = Flavour::new(Precision::new(*precision).unwrap_or(Precision::BEST));
        flavour.energy_wh = Some(*energy);
        flavour.named(&format!("f{index}"))
    });
    flavours.collect()
}

fn unknown_energy() -> Menu {
    let mut flavours = flavours(&[(1.0, 0.0), (0.7, 0.0)]);
    without_energy(&mut flavours);
    menu(&flavours)
}

fn without_energy(flavours: &mut [Flavour]) {
    for flavour in flavours {
        flavour.energy_wh = None;
    }
}

#[expect(
    clippy::expect_used,
    reason = "names differ, figures are in their ranges, the first flavour is enabled"
)]
fn menu(flavours: &[Flavour]) -> Menu {
    let set = FlavourSet::new(flavours.to_vec()).expect("flavours");
    Menu::new(&set).expect("an enabled flavour")
}

#[expect(clippy::expect_used, reason = "both are finite and not below 0")]
fn bounds(down: f64, up: f64) -> Bounds {
    Bounds::new(-down, up).expect("bounds around 0")
}

/// What the policy before may have left: nothing of it may stay.
pub(super) fn soiled() -> Decision {
    Decision {
        shares: vec![f64::NAN; MAX_FLAVOURS + 1],
        avg_precision: f64::NAN,
        allowance: Some(f64::INFINITY),
        diagnostics: vec![("left_by_another_schedule".into(), 1.0)],
        most_error: Some(0.123),
        plan: Some(policies::PlanReport {
            horizon_seconds: 1.0,
            slots: 1,
            planned_error: 0.123,
            shadow_price: Some(0.123),
            unit: policies::PriceUnit::Grams,
        }),
        reason: Reason::Other("what another schedule was told".into()),
    }
}
