//! Forecasts of carbon intensity: slots, when they were issued, who said so.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::signal::{Accounting, Signal};
use crate::units::CarbonIntensity;

/// Most slots of one forecast: two weeks of five-minute slots.
pub const MAX_SLOTS: usize = 4_032;
/// Most slots that one gap is filled with.
const MOST_FILLED: f64 = 24.0;
/// Most slots published with a schedule: 48 h of half-hours.
pub const MAX_PUBLISHED_SLOTS: usize = 96;
/// Most gaps that are shown of one forecast.
pub const MAX_SHOWN_GAPS: usize = 10;

/// The UK API's five bands, which dashboards know.
///
/// The thresholds are NESO's bands for 2024; a provider's own word wins over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Index {
    /// Below 35 gCO2eq/kWh.
    #[serde(rename = "very low")]
    VeryLow,
    /// 35 to 110 gCO2eq/kWh.
    #[serde(rename = "low")]
    Low,
    /// 110 to 190 gCO2eq/kWh.
    #[serde(rename = "moderate")]
    Moderate,
    /// 190 to 270 gCO2eq/kWh.
    #[serde(rename = "high")]
    High,
    /// From 270 gCO2eq/kWh.
    #[serde(rename = "very high")]
    VeryHigh,
}

impl Index {
    /// Every band, cleanest first.
    pub const ALL: [Self; 5] = [Self::VeryLow, Self::Low, Self::Moderate, Self::High, Self::VeryHigh];

    /// The band of an intensity.
    pub fn of(intensity: CarbonIntensity) -> Self {
        match intensity.get() {
            grams if grams < 35.0 => Self::VeryLow,
            grams if grams < 110.0 => Self::Low,
            grams if grams < 190.0 => Self::Moderate,
            grams if grams < 270.0 => Self::High,
            _ => Self::VeryHigh,
        }
    }

    /// The band by the UK API's word for it.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|index| index.as_str() == word)
    }

    /// The UK API's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VeryLow => "very low",
            Self::Low => "low",
            Self::Moderate => "moderate",
            Self::High => "high",
            Self::VeryHigh => "very high",
        }
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One slot `[from, to)` with its mean carbon intensity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Slot {
    /// First instant of the slot.
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Instant"))]
    pub from: Timestamp,
    /// First instant after it.
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Instant"))]
    pub to: Timestamp,
    /// Mean carbon intensity, gCO2eq/kWh.
    pub forecast: CarbonIntensity,
    /// The band the provider (or else the intensity) puts it in.
    pub index: Index,
}

impl Slot {
    /// A slot with the band of its intensity.
    pub fn new(from: Timestamp, to: Timestamp, forecast: CarbonIntensity) -> Self {
        Self { from, to, forecast, index: Index::of(forecast) }
    }
}

/// A stretch between two slots that no slot speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Gap {
    /// First instant of it.
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Instant"))]
    pub from: Timestamp,
    /// First instant after it.
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Instant"))]
    pub to: Timestamp,
}

/// One vintage of a forecast: what was known, when. A missing value is a gap, never zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Parts")]
pub struct Forecast {
    /// Which provider it came from.
    pub source: Arc<str>,
    /// When the provider made it, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Timestamp>,
    /// When it was received.
    pub retrieved_at: Timestamp,
    /// Which power plants its intensities are about.
    pub signal: Signal,
    /// Which emissions they count.
    pub accounting: Accounting,
    /// The zone of the grid it is for, by the provider's name for it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Arc<str>>,
    /// The provider that was preferred and gave none, where this one stands in for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stand_in_for: Option<Arc<str>>,
    #[serde(skip_serializing_if = "is_zero")]
    filled_slots: usize,
    slots: Vec<Slot>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in references")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A forecast as it was written down, before [`Forecast::new`] has seen its slots.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parts {
    source: Arc<str>,
    #[serde(default)]
    issued_at: Option<Timestamp>,
    retrieved_at: Timestamp,
    // What was written before these were known of reads as the default.
    #[serde(default)]
    signal: Signal,
    #[serde(default)]
    accounting: Accounting,
    #[serde(default)]
    zone: Option<Arc<str>>,
    #[serde(default)]
    stand_in_for: Option<Arc<str>>,
    #[serde(default)]
    filled_slots: usize,
    slots: Vec<Slot>,
}

impl TryFrom<Parts> for Forecast {
    type Error = EmptyForecast;

    fn try_from(parts: Parts) -> Result<Self, EmptyForecast> {
        let forecast = Self::new(parts.source, parts.issued_at, parts.retrieved_at, parts.slots)?;
        Ok(Self {
            signal: parts.signal,
            accounting: parts.accounting,
            zone: parts.zone,
            stand_in_for: parts.stand_in_for,
            filled_slots: parts.filled_slots.min(forecast.slots.len()),
            ..forecast
        })
    }
}

/// A forecast without a single usable slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the forecast has no usable slot: expected at least one slot with an intensity")]
pub struct EmptyForecast;

impl Forecast {
    /// A forecast of average intensity, of unknown accounting, from slots in any order.
    ///
    /// Slots are sorted; one that ends before it begins is left out; of two with the same beginning the
    /// later in the list wins; one that reaches into the next is cut there; beyond [`MAX_SLOTS`] the
    /// rest is left out.
    ///
    /// # Errors
    ///
    /// [`EmptyForecast`] if no slot is left.
    pub fn new(
        source: impl Into<Arc<str>>,
        issued_at: Option<Timestamp>,
        retrieved_at: Timestamp,
        mut slots: Vec<Slot>,
    ) -> Result<Self, EmptyForecast> {
        slots.retain(|slot| slot.from < slot.to);
        slots.reverse();
        slots.sort_by_key(|slot| slot.from);
        slots.dedup_by_key(|slot| slot.from);
        slots.truncate(MAX_SLOTS);
        for index in 1..slots.len() {
            let next = slots[index].from;
            let slot = &mut slots[index - 1];
            slot.to = slot.to.min(next);
        }
        if slots.is_empty() {
            return Err(EmptyForecast);
        }
        Ok(Self {
            source: source.into(),
            issued_at,
            retrieved_at,
            signal: Signal::default(),
            accounting: Accounting::default(),
            zone: None,
            stand_in_for: None,
            filled_slots: 0,
            slots,
        })
    }

    /// The same forecast, of this signal.
    #[must_use]
    pub fn with_signal(self, signal: Signal) -> Self {
        Self { signal, ..self }
    }

    /// The same forecast, by this accounting.
    #[must_use]
    pub fn with_accounting(self, accounting: Accounting) -> Self {
        Self { accounting, ..self }
    }

    /// The same forecast, for this zone of the grid.
    #[must_use]
    pub fn with_zone(self, zone: impl Into<Arc<str>>) -> Self {
        Self { zone: Some(zone.into()), ..self }
    }

    /// The same forecast, in place of one by `preferred`.
    #[must_use]
    pub fn standing_in_for(self, preferred: impl Into<Arc<str>>) -> Self {
        Self { stand_in_for: Some(preferred.into()), ..self }
    }

    /// The slots, in order of time, never overlapping; gaps between them are possible.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The length that at least half of the slots have; `None` where none is that common. Of two lengths
    /// that share the slots equally it is the longer: a slot cut short is the exception.
    pub fn step(&self) -> Option<SignedDuration> {
        let mut lengths: Vec<_> = self.slots.iter().map(|slot| slot.to.duration_since(slot.from)).collect();
        lengths.sort_unstable();
        let common = lengths.chunk_by(|one, other| one == other).max_by_key(|equal| equal.len())?;
        if common.len() * 2 < lengths.len() { None } else { common.first().copied() }
    }

    /// The stretches between the first slot and the last that no slot speaks of, in order of time.
    pub fn gaps(&self) -> impl Iterator<Item = Gap> {
        let between = self.slots.iter().zip(self.slots.iter().skip(1));
        between.map(|(slot, next)| Gap { from: slot.to, to: next.from }).filter(|gap| gap.from < gap.to)
    }

    /// How many of its slots nobody forecast: [`Forecast::fill_gaps`] drew them.
    pub fn filled_slots(&self) -> usize {
        self.filled_slots
    }

    /// Fills gaps of at most `longest` between two slots by a straight line from one to the other, in slots
    /// about as long as the one before the gap; longer gaps stay. Answers how many slots were filled in.
    pub fn fill_gaps(&mut self, longest: SignedDuration) -> usize {
        let mut filled = Vec::new();
        for (slot, next) in self.slots.iter().zip(self.slots.iter().skip(1)) {
            let gap = next.from.duration_since(slot.to);
            if gap <= SignedDuration::ZERO || gap > longest {
                continue;
            }
            let length = slot.to.duration_since(slot.from);
            let parts = libm::round(gap.as_secs_f64() / length.as_secs_f64()).clamp(1.0, MOST_FILLED);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the clamp")]
            let parts = parts as u32;
            let bound = |part: u32| {
                let part = i32::try_from(part).unwrap_or_default();
                slot.to.checked_add(gap * part / i32::try_from(parts).unwrap_or(1)).unwrap_or(next.from)
            };
            let (before, after) = (slot.forecast.get(), next.forecast.get());
            filled.extend((0..parts).map(|part| {
                let way = f64::from(part + 1) / f64::from(parts + 1);
                let grams = CarbonIntensity::new(before + way * (after - before));
                Slot::new(bound(part), bound(part + 1), grams.unwrap_or(slot.forecast))
            }));
        }
        filled.truncate(MAX_SLOTS.saturating_sub(self.slots.len()));
        let count = filled.len();
        self.filled_slots += count;
        self.slots.append(&mut filled);
        self.slots.sort_by_key(|slot| slot.from);
        count
    }

    /// The slots that end after `at`: the current one first, if there is one.
    pub fn from_instant(&self, at: Timestamp) -> &[Slot] {
        &self.slots[self.slots.partition_point(|slot| slot.to <= at)..]
    }

    /// The slot that contains `at`.
    pub fn at(&self, at: Timestamp) -> Option<&Slot> {
        self.from_instant(at).first().filter(|slot| slot.from <= at)
    }

    /// The slot after the one that contains `at`: adjacent to it, or, in a gap, the first that follows.
    pub fn after(&self, at: Timestamp) -> Option<&Slot> {
        let ahead = self.from_instant(at);
        match self.at(at) {
            Some(current) => ahead.get(1).filter(|next| next.from == current.to),
            None => ahead.first(),
        }
    }

    /// The newest slot that had begun by `at`, whatever its end: what was last known.
    pub fn last_known(&self, at: Timestamp) -> &Slot {
        let begun = self.slots.partition_point(|slot| slot.from <= at);
        &self.slots[begun.saturating_sub(1)]
    }

    /// The next [`MAX_PUBLISHED_SLOTS`] slots as the JSON list `forecast.schedule`. Whoever needs it again
    /// and again as time passes keeps a [`SlotTexts`].
    pub fn published_slots(&self, at: Timestamp) -> Bytes {
        SlotTexts::new(self).published(self, at)
    }
}

/// The slots of a forecast as JSON, written once: what is published of them changes with every slot that
/// passes, and is then only copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotTexts {
    /// Every slot and a comma.
    text: Vec<u8>,
    /// Where each slot begins in `text`.
    begins: Vec<usize>,
}

impl SlotTexts {
    /// Writes every slot of `forecast`.
    pub fn new(forecast: &Forecast) -> Self {
        let mut texts = Self { text: Vec::new(), begins: Vec::new() };
        for slot in forecast.slots() {
            texts.begins.push(texts.text.len());
            // Instants and finite numbers: writing them into memory cannot fail.
            texts.text.extend(serde_json::to_vec(slot).unwrap_or_default());
            texts.text.push(b',');
        }
        texts
    }

    /// The next [`MAX_PUBLISHED_SLOTS`] slots of `forecast`, the one these texts were made of, as a JSON list.
    pub fn published(&self, forecast: &Forecast, at: Timestamp) -> Bytes {
        let first = forecast.slots().len() - forecast.from_instant(at).len();
        let begin = |index: usize| self.begins.get(index).copied().unwrap_or(self.text.len());
        let shown = &self.text[begin(first)..begin(first + MAX_PUBLISHED_SLOTS)];
        [b"[", shown.strip_suffix(b",").unwrap_or(shown), b"]"].concat().into()
    }
}

/// Which forecast a schedule asks for: `national`, `region:13`, `postcode:OX1`, or whatever an adapter
/// understands. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(inline, description = "A carbon target, as configured.")
)]
#[serde(from = "String", into = "String")]
pub struct CarbonTarget(Arc<str>);

/// Longest carbon target, in bytes.
pub const MAX_CARBON_TARGET: usize = 253;

impl CarbonTarget {
    /// The target as it was configured.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for CarbonTarget {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for CarbonTarget {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<CarbonTarget> for String {
    fn from(target: CarbonTarget) -> Self {
        target.0.to_string()
    }
}

impl fmt::Display for CarbonTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn slot(from: &str, to: &str, grams: f64) -> Slot {
        Slot::new(from.parse().unwrap(), to.parse().unwrap(), CarbonIntensity::new(grams).unwrap())
    }

    fn at(instant: &str) -> Timestamp {
        instant.parse().unwrap()
    }

    fn forecast(slots: Vec<Slot>) -> Forecast {
        Forecast::new("test", None, at("2026-01-01T00:00:00Z"), slots).unwrap()
    }

    #[test]
    fn slots_are_sorted_cut_and_deduplicated() {
        let forecast = forecast(vec![
            slot("2026-01-01T01:00:00Z", "2026-01-01T01:30:00Z", 3.0),
            slot("2026-01-01T00:00:00Z", "2026-01-01T00:45:00Z", 1.0),
            slot("2026-01-01T00:30:00Z", "2026-01-01T01:00:00Z", 9.0),
            slot("2026-01-01T00:30:00Z", "2026-01-01T01:00:00Z", 2.0),
            slot("2026-01-01T02:00:00Z", "2026-01-01T01:00:00Z", 7.0),
        ]);
        let shape: Vec<_> = forecast
            .slots()
            .iter()
            .map(|s| (s.from.to_string(), s.to.to_string(), s.forecast.get()))
            .collect();
        assert_eq!(
            shape,
            [
                ("2026-01-01T00:00:00Z".into(), "2026-01-01T00:30:00Z".into(), 1.0),
                ("2026-01-01T00:30:00Z".into(), "2026-01-01T01:00:00Z".into(), 2.0),
                ("2026-01-01T01:00:00Z".into(), "2026-01-01T01:30:00Z".into(), 3.0),
            ]
        );
        assert_eq!(Forecast::new("test", None, at("2026-01-01T00:00:00Z"), vec![]), Err(EmptyForecast));
    }

    #[test]
    fn a_gap_is_neither_the_slot_before_it_nor_the_one_after() {
        let forecast = forecast(vec![
            slot("2026-01-01T00:00:00Z", "2026-01-01T00:30:00Z", 1.0),
            slot("2026-01-01T01:00:00Z", "2026-01-01T01:30:00Z", 3.0),
        ]);
        let grams = |slot: Option<&Slot>| slot.map(|slot| slot.forecast.get());
        for (instant, now, next, last) in [
            ("2025-12-31T23:00:00Z", None, Some(1.0), 1.0),
            ("2026-01-01T00:00:00Z", Some(1.0), None, 1.0),
            ("2026-01-01T00:30:00Z", None, Some(3.0), 1.0),
            ("2026-01-01T01:29:59Z", Some(3.0), None, 3.0),
            ("2026-01-01T01:30:00Z", None, None, 3.0),
        ] {
            let found = (grams(forecast.at(at(instant))), grams(forecast.after(at(instant))));
            assert_eq!(found, (now, next), "{instant}");
            assert_eq!(forecast.last_known(at(instant)).forecast.get(), last, "{instant}");
        }
    }

    #[test]
    fn the_step_is_the_length_of_most_slots() {
        let at_minute = |minute: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute);
        for (bounds, expected) in [
            (&[0, 30, 60, 90][..], Some(30)),
            (&[0, 5, 10][..], Some(5)),
            (&[0, 60], Some(60)),
            // Cut at the present, cut at the end: what is whole counts, even if it is only half of them.
            (&[7, 30, 60, 90, 95], Some(30)),
            (&[7, 30, 60], Some(30)),
            (&[0, 30, 41], Some(30)),
            // Hours, then half-hours.
            (&[0, 60, 120, 180, 210, 240, 270, 300], Some(30)),
            (&[0, 1, 3, 6], None),
            (&[0, 5, 10, 25, 55, 115], None),
        ] {
            let slot = |pair: &[i64]| {
                Slot::new(at_minute(pair[0]), at_minute(pair[1]), CarbonIntensity::new(1.0).unwrap())
            };
            let forecast = forecast(bounds.windows(2).map(slot).collect());
            assert_eq!(forecast.step(), expected.map(SignedDuration::from_mins), "{bounds:?}");
        }
    }

    #[test]
    fn gaps_are_what_lies_between_slots() {
        let forecast = forecast(vec![
            slot("2026-01-01T00:00:00Z", "2026-01-01T00:30:00Z", 1.0),
            slot("2026-01-01T00:30:00Z", "2026-01-01T01:00:00Z", 2.0),
            slot("2026-01-01T02:00:00Z", "2026-01-01T02:30:00Z", 3.0),
            slot("2026-01-01T02:45:00Z", "2026-01-01T03:00:00Z", 4.0),
        ]);
        let expected = [("01:00", "02:00"), ("02:30", "02:45")].map(|(from, to)| {
            let clock = |text: &str| at(&alloc::format!("2026-01-01T{text}:00Z"));
            Gap { from: clock(from), to: clock(to) }
        });
        assert_eq!(forecast.gaps().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_was_filled_in_is_counted() {
        let mut forecast = forecast(vec![
            slot("2026-01-01T00:00:00Z", "2026-01-01T00:30:00Z", 1.0),
            slot("2026-01-01T01:30:00Z", "2026-01-01T02:00:00Z", 2.0),
            slot("2026-01-01T02:30:00Z", "2026-01-01T03:00:00Z", 3.0),
            slot("2026-01-01T05:00:00Z", "2026-01-01T05:30:00Z", 4.0),
        ]);
        assert_eq!(forecast.filled_slots(), 0);
        // Half an hour first, then an hour: what was filled once is filled.
        for (longest, filled, in_all, gaps) in [(30, 1, 1, 2), (60, 2, 3, 1), (60, 0, 3, 1)] {
            assert_eq!(forecast.fill_gaps(SignedDuration::from_mins(longest)), filled);
            assert_eq!((forecast.filled_slots(), forecast.gaps().count()), (in_all, gaps));
        }
        let written = serde_json::to_string(&forecast).unwrap();
        assert_eq!(serde_json::from_str::<Forecast>(&written).unwrap(), forecast, "{written}");
    }

    #[test]
    fn what_it_knows_about_itself_is_written_and_read_back() {
        let plain = forecast(vec![slot("2026-01-01T00:00:00Z", "2026-01-01T00:30:00Z", 1.0)]);
        let told = plain
            .clone()
            .with_signal(Signal::Marginal)
            .with_accounting(Accounting::Direct)
            .with_zone("CAISO_NORTH")
            .standing_in_for("watttime");
        for forecast in [&plain, &told] {
            let written = serde_json::to_string(forecast).unwrap();
            assert_eq!(&serde_json::from_str::<Forecast>(&written).unwrap(), forecast, "{written}");
        }
        let written = serde_json::to_value(&told).unwrap();
        assert_eq!(
            (&written["signal"], &written["accounting"], &written["zone"]),
            (&"marginal".into(), &"direct".into(), &"CAISO_NORTH".into())
        );
    }

    #[test]
    fn a_forecast_from_before_signals_is_average() {
        let old = r#"{"source":"test","retrievedAt":"2026-01-01T00:00:00Z","slots":[
            {"from":"2026-01-01T00:00:00Z","to":"2026-01-01T00:30:00Z","forecast":1.0,"index":"very low"}]}"#;
        let expected = forecast(vec![slot("2026-01-01T00:00:00Z", "2026-01-01T00:30:00Z", 1.0)]);
        assert_eq!(serde_json::from_str::<Forecast>(old).unwrap(), expected);
        assert_eq!((expected.signal, expected.accounting), (Signal::Average, Accounting::Unknown));
    }

    #[test]
    fn what_is_published_is_what_the_operator_decodes() {
        let forecast = forecast(vec![slot("2026-01-01T00:00:00Z", "2026-01-01T00:30:00Z", 250.0)]);
        let published = forecast.published_slots(at("2026-01-01T00:10:00Z"));
        assert_eq!(
            core::str::from_utf8(&published).unwrap(),
            r#"[{"from":"2026-01-01T00:00:00Z","to":"2026-01-01T00:30:00Z","forecast":250.0,"index":"high"}]"#
        );
        assert_eq!(&*forecast.published_slots(at("2026-01-01T00:30:00Z")), b"[]");
    }
}
