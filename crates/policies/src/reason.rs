//! Why a policy decided as it did, as a sentence for whoever runs the platform.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use core::fmt;

use crate::Situation;

/// Why. Kept as data and written out only when published, so that deciding stays cheap.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum Reason {
    /// The policy did not say.
    #[default]
    Unsaid,
    /// There was nothing to choose.
    OnlyFlavour(Arc<str>),
    /// Credit is spent, or there is none.
    Spending(Credit),
    /// Credit is spent with an eye on the trend of the carbon intensity, where it is known.
    Trend {
        /// The credit.
        credit: Credit,
        /// The trend.
        trend: Option<Trend>,
    },
    /// Credit opens lower tiers of precision.
    Tiers {
        /// The credit.
        credit: Credit,
        /// Share of each tier in [0, 1], the best first, summing to 1.
        tiers: [f64; 3],
    },
    /// Always the best flavour.
    Best(Arc<str>),
    /// So many flavours alike.
    Equal(usize),
    /// Shares of so many flavours drawn at random.
    Drawn(usize),
    /// The cheapest mix of two flavours that spends the target error.
    Mix {
        /// The flavours around the target error, the more precise first.
        flavours: [Arc<str>; 2],
        /// Share of the second, in [0, 1].
        share: f64,
        /// The target error, in [0, 1).
        target: f64,
    },
    /// Even the flavour with the largest error errs less than it may.
    ErrorsBelow {
        /// That flavour.
        flavour: Arc<str>,
        /// Its error, in [0, 1).
        error: f64,
        /// The target error, in [0, 1).
        target: f64,
    },
    /// Even the flavour with the least error errs more than it may.
    ErrorsAbove {
        /// That flavour.
        flavour: Arc<str>,
        /// Its error, in [0, 1).
        error: f64,
        /// The target error, in [0, 1).
        target: f64,
    },
    /// The first step of a plan.
    Planned {
        /// What decided it.
        bound: Bound,
        /// The mean error that is published, in [0, 1).
        error: f64,
        /// Shadow price of credit, grams per request x error, where there is one.
        price: Option<f64>,
        /// Whether those are grams, or only relative for want of `energyWh`.
        unit: PriceUnit,
    },
    /// What a policy from elsewhere has to say.
    Other(Cow<'static, str>),
}

/// What a shadow price is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriceUnit {
    /// Grams of CO2eq per request x error: every flavour says `energyWh`.
    Grams,
    /// gCO2eq/kWh times relative energy, per request x error.
    Relative,
}

impl PriceUnit {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grams => "g",
            Self::Relative => "relative g",
        }
    }
}

impl fmt::Display for PriceUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What decided the first step of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The plan itself.
    Plan,
    /// The guard: more could break the budget before the next evaluation.
    Guard,
    /// A debt is being repaid.
    Debt,
    /// Nothing is owed and nothing is banked.
    Nothing,
    /// Even the best flavour errs more than the target.
    Degraded,
    /// Nothing is known of the grid: income is spent as it comes.
    NoForecast,
    /// Nobody keeps a budget: income is spent as it comes.
    NoHorizon,
}

/// The credit that a decision spends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Credit {
    /// Share of the credit being spent, in [0, 1].
    pub allowance: f64,
    /// Credit banked; below 0 it is owed.
    pub balance: f64,
    /// The most that can be banked, at least 0.
    pub max: f64,
}

/// How the carbon intensity is about to change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// Carbon intensity of the slot that is, gCO2eq/kWh.
    pub now: f64,
    /// Carbon intensity of the slot to come, gCO2eq/kWh.
    pub next: f64,
}

impl Credit {
    /// The credit of a situation.
    pub fn of(situation: &Situation<'_>) -> Self {
        Self { allowance: situation.allowance(), balance: situation.balance, max: situation.bounds.max() }
    }
}

impl Trend {
    /// The trend of a situation, where both intensities are known.
    pub fn of(situation: &Situation<'_>) -> Option<Self> {
        let known = |intensity: Option<f64>| intensity.filter(|intensity| intensity.is_finite());
        Some(Self { now: known(situation.now)?, next: known(situation.next)? })
    }

    /// What every share but the heaviest gains, in [-0.3, 0.3]: half of the relative change, negative where
    /// the intensity rises, so that credit is saved ahead of dirtier slots and spent ahead of cleaner ones.
    pub fn adjustment(self) -> f64 {
        let trend = self.next - self.now;
        let size = (0.5 * trend.abs() / self.now.max(1e-6)).min(0.3);
        if trend > 0.0 {
            -size
        } else if trend < 0.0 {
            size
        } else {
            0.0
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsaid => f.write_str("the policy gave no reason"),
            Self::OnlyFlavour(name) => write!(f, "{name} is the only enabled flavour and takes everything"),
            Self::Spending(credit) => credit.fmt(f),
            Self::Trend { credit, trend: None } => {
                write!(
                    f,
                    "{credit}; the carbon intensity of this slot or the next is not known, so no trend counts"
                )
            }
            Self::Trend { credit, trend: Some(trend) } => write!(f, "{credit}; {trend}"),
            Self::Tiers { credit, tiers: [first, second, third] } => write!(
                f,
                "{credit}; {} goes to precision 0.95 and above, {} to 0.8 and above, {} below",
                Percent(*first),
                Percent(*second),
                Percent(*third)
            ),
            Self::Best(name) => write!(f, "always the best flavour: {name}"),
            Self::Equal(1) | Self::Drawn(1) => f.write_str("the only enabled flavour takes everything"),
            Self::Equal(count) => write!(f, "all {count} flavours take the same share"),
            Self::Drawn(count) => write!(f, "the shares of {count} flavours are drawn at random"),
            Self::Mix { flavours: [precise, cheap], share, target } => {
                write!(f, "the cheapest mix that spends the target error of {}: ", Figure(*target))?;
                if is_negligible(*share) {
                    write!(f, "{precise} alone")
                } else if is_negligible(1.0 - share) {
                    write!(f, "{cheap} alone")
                } else {
                    write!(f, "{} {precise}, {} {cheap}", Percent(1.0 - share), Percent(*share))
                }
            }
            Self::ErrorsBelow { flavour, error, target } => write!(
                f,
                "{flavour} takes everything: its error of {} is the largest there is, below the target of {}",
                Figure(*error),
                Figure(*target)
            ),
            Self::ErrorsAbove { flavour, error, target } => write!(
                f,
                "{flavour} takes everything: its error of {} is the least there is, above the target of {}",
                Figure(*error),
                Figure(*target)
            ),
            Self::Planned { bound, error, price, unit } => {
                let error = Figure(*error);
                match bound {
                    Bound::Plan => write!(f, "the plan serves this slot with a mean error of {error}"),
                    Bound::Guard => write!(
                        f,
                        "a mean error of {error}: more could break the error budget before the next evaluation"
                    ),
                    Bound::Debt => {
                        write!(f, "the error budget is spent: the best flavours until it is repaid")
                    }
                    Bound::Nothing => {
                        write!(f, "the error budget has no credit yet: the best flavours until it has")
                    }
                    Bound::Degraded => {
                        write!(f, "degraded: even the best flavour errs by {error}, more than the target")
                    }
                    Bound::NoForecast => {
                        write!(f, "no carbon forecast: a mean error of {error}, as credit comes in")
                    }
                    Bound::NoHorizon => {
                        write!(f, "no error budget is kept: a mean error of {error}, as credit comes in")
                    }
                }?;
                match price.filter(|_| matches!(bound, Bound::Plan | Bound::Guard)) {
                    Some(price) if price > 0.0 => {
                        write!(f, "; credit saves {} {unit} per unit of error elsewhere", Figure(price))
                    }
                    Some(_) => f.write_str("; there is more credit than uses for it"),
                    None => Ok(()),
                }
            }
            Self::Other(sentence) => f.write_str(sentence),
        }
    }
}

impl fmt::Display for Credit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.max <= 0.0 {
            f.write_str("no credit to spend: creditMax is 0, so none is ever banked")
        } else if self.balance < 0.0 {
            write!(f, "no credit to spend: {} is owed", Figure(-self.balance))
        } else if self.allowance <= 0.0 {
            write!(f, "no credit to spend: 0 of {} banked", Figure(self.max))
        } else {
            write!(
                f,
                "spending {} of the credit: {} of {} banked",
                Percent(self.allowance),
                Figure(self.balance),
                Figure(self.max)
            )
        }
    }
}

impl fmt::Display for Trend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { now, next } = *self;
        let (now, next) = (Figure(now), Figure(next));
        match self.adjustment() {
            saving if saving < 0.0 => write!(
                f,
                "carbon intensity rises from {now} to {next} gCO2eq/kWh, so every other flavour yields {} to the heaviest",
                Points(-saving)
            ),
            spending if spending > 0.0 => write!(
                f,
                "carbon intensity falls from {now} to {next} gCO2eq/kWh, so the heaviest flavour yields {} to every other",
                Points(spending)
            ),
            _ => write!(f, "carbon intensity stays at {now} gCO2eq/kWh"),
        }
    }
}

/// A number as people read it: at most four decimals, and powers of ten at the ends of the scale.
struct Figure(f64);

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.abs();
        if size != 0.0 && !(1e-3..1e9).contains(&size) {
            write!(f, "{:.2e}", self.0)
        } else {
            (libm::rint(self.0 * 1e4) / 1e4).fmt(f)
        }
    }
}

/// A share as people read it: percent, at most one decimal, never 0 where there is something.
struct Percent(f64);

/// A change of a share, in percentage points.
struct Points(f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            share if share > 0.0 && is_negligible(share) => f.write_str("less than 0.1 %"),
            share => write!(f, "{} %", libm::rint(share * 1000.0) / 10.0),
        }
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // "Up to": no share goes below 0 or above 1, and then all are made to sum to 1.
        match self.0 {
            change if is_negligible(change) => f.write_str("less than 0.1 points"),
            change => write!(f, "up to {} points", libm::rint(change * 1000.0) / 10.0),
        }
    }
}

/// Whether a share, rounded as it is shown, is none.
fn is_negligible(share: f64) -> bool {
    libm::rint(share * 1000.0) == 0.0
}
