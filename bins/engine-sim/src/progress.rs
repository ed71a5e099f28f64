//! A bar on standard error while a long simulation runs; nothing where that is not a terminal.

use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Evaluations between two looks at their bar.
const STRIDE: u64 = 1024;

/// Counts what is done by all simulations together.
pub(crate) struct Progress {
    bar: ProgressBar,
    done: AtomicU64,
    /// Steps between two looks at the bar.
    stride: u64,
}

impl Progress {
    /// A bar of that many evaluations. Hidden by itself where standard error is not a terminal.
    pub(crate) fn evaluations(count: u64) -> Self {
        Self::new(count, STRIDE, "evaluations")
    }

    /// A bar of that many simulations.
    pub(crate) fn simulations(count: u64) -> Self {
        Self::new(count, 1, "simulations")
    }

    fn new(count: u64, stride: u64, what: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(count), ProgressDrawTarget::stderr());
        let template = format!("{{bar:40.cyan/dim}} {{human_pos}}/{{human_len}} {what}, {{eta}} left");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        Self { bar, done: AtomicU64::new(0), stride }
    }

    /// No bar, for who shows another.
    pub(crate) fn hidden() -> Self {
        Self { bar: ProgressBar::hidden(), done: AtomicU64::new(0), stride: STRIDE }
    }

    /// One more.
    pub(crate) fn step(&self) {
        if self.done.fetch_add(1, Ordering::Relaxed) % self.stride == self.stride - 1 {
            self.bar.inc(self.stride);
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
