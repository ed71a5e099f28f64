//! What one policy did over time, slot by slot of the carbon trace: what a report draws.

use models::{FlavourSet, Timestamp};

/// One policy's (or baseline's, or optimum's) course through a simulation.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Recording {
    /// Its name, as in the table.
    pub(crate) policy: String,
    /// The flavours, in the order of every sample's weights.
    pub(crate) flavours: Vec<String>,
    /// One sample per slot, in order of time; gaps of the trace are gaps here.
    pub(crate) samples: Vec<Sample>,
}

/// One slot as it was served.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// First instant of the slot.
    pub(crate) from: Timestamp,
    /// Its length, seconds, > 0.
    pub(crate) seconds: f64,
    /// True carbon intensity, gCO2eq/kWh.
    pub(crate) intensity: f64,
    /// Requests served in it.
    pub(crate) requests: f64,
    /// Mean share by flavour, each in [0, 1], summing to 1.
    pub(crate) weights: Vec<f64>,
    /// Mean error per served request, in [0, 1]; without a request, that of the shares.
    pub(crate) error: f64,
    /// What was emitted: grams where the report says grams, else in percent of what p100 emits over the whole
    /// simulation.
    pub(crate) emissions: f64,
    /// Balance of the credit ledger at the end of the slot; 0 for what keeps none.
    pub(crate) credit: f64,
    /// Balance and capacity of the error budget, requests x error: as the engine published them last in the
    /// slot; without an engine at its end, kept from what was served.
    pub(crate) budget: Option<(f64, f64)>,
}

/// Gathers the intervals of each slot.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    recording: Recording,
    open: Option<Sample>,
}

/// One interval as it was served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served<'a> {
    pub(crate) seconds: f64,
    pub(crate) shares: &'a [f64],
    pub(crate) requests: f64,
    /// Sum over its requests.
    pub(crate) error: f64,
    pub(crate) emissions: f64,
    pub(crate) credit: f64,
    pub(crate) budget: (f64, f64),
}

impl Recorder {
    pub(crate) fn new(policy: &str, flavours: &FlavourSet) -> Self {
        let flavours = flavours.iter().map(|flavour| flavour.name.to_string()).collect();
        Self { recording: Recording { policy: policy.to_owned(), flavours, samples: Vec::new() }, open: None }
    }

    /// A slot begins.
    pub(crate) fn slot(&mut self, from: Timestamp, intensity: f64) {
        self.close();
        self.open = Some(Sample {
            from,
            seconds: 0.0,
            intensity,
            requests: 0.0,
            weights: vec![0.0; self.recording.flavours.len()],
            error: 0.0,
            emissions: 0.0,
            credit: 0.0,
            budget: None,
        });
    }

    /// An interval of the slot was served.
    pub(crate) fn served(&mut self, served: &Served<'_>) {
        let Some(open) = &mut self.open else { return };
        open.seconds += served.seconds;
        open.requests += served.requests;
        for (weight, share) in open.weights.iter_mut().zip(served.shares) {
            *weight += share * served.seconds;
        }
        open.error += served.error;
        open.emissions += served.emissions;
        open.credit = served.credit;
        open.budget = Some(served.budget);
    }

    /// The recording. `errors` are those of the flavours: what a slot without a request is said to err by.
    pub(crate) fn finish(mut self, errors: &[f64]) -> Recording {
        self.close();
        for sample in &mut self.recording.samples {
            if sample.requests <= 0.0 {
                sample.error = sample.weights.iter().zip(errors).map(|(weight, error)| weight * error).sum();
            }
        }
        self.recording
    }

    fn close(&mut self) {
        let Some(mut sample) = self.open.take() else { return };
        if sample.seconds > 0.0 {
            sample.weights.iter_mut().for_each(|weight| *weight /= sample.seconds);
        }
        if sample.requests > 0.0 {
            sample.error /= sample.requests;
        }
        self.recording.samples.push(sample);
    }
}

impl Recording {
    /// Counts emissions in another unit.
    pub(crate) fn scale(&mut self, factor: f64) {
        self.samples.iter_mut().for_each(|sample| sample.emissions *= factor);
    }
}
