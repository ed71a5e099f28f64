//! A bar on standard error while a long simulation runs; nothing where that is not a terminal.

use std::io::Read;
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

    /// A count of bytes that are read.
    pub(crate) fn bytes() -> Self {
        let progress = Self::new(0, 1, "");
        progress.bar.unset_length();
        progress.show("{bytes} replayed");
        progress
    }

    /// So many bytes there will be.
    pub(crate) fn expect(&self, bytes: u64) {
        self.bar.set_length(bytes);
        self.show("{bar:40.cyan/dim} {bytes}/{total_bytes} replayed, {eta} left");
    }

    /// Counts what is read through it.
    pub(crate) fn reading<R: Read>(&self, input: R) -> impl Read + use<R> {
        self.bar.wrap_read(input)
    }

    fn new(count: u64, stride: u64, what: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(count), ProgressDrawTarget::stderr());
        let progress = Self { bar, done: AtomicU64::new(0), stride };
        progress.show(&format!("{{bar:40.cyan/dim}} {{human_pos}}/{{human_len}} {what}, {{eta}} left"));
        progress
    }

    fn show(&self, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
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
