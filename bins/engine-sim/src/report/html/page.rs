//! What a page is made of.

use crate::recording::Recording;

/// Everything the page shows. It is built from this alone, so the same page is the same bytes.
pub(crate) struct Page {
    pub(crate) title: String,
    /// The command line that made it, as it can be typed again.
    pub(crate) command: String,
    /// What was simulated: a name and what it is, e.g. `("carbon", "gb_2023.csv.gz, 17,520 slots")`.
    pub(crate) world: Vec<(String, String)>,
    /// Allowed mean error, in [0, 1).
    pub(crate) target_error: f64,
    /// What [`Sample::emissions`](crate::recording::Sample::emissions) is in: `"g"`; with anything else only
    /// its ratios are taken to mean something, and shown relative to p100.
    pub(crate) unit: String,
    /// One per policy, and one each for `p100`, `constant-mix` and `hindsight`. The first of a name counts.
    pub(crate) recordings: Vec<Recording>,
    /// Cells; the first row is the header.
    pub(crate) table: Vec<Vec<String>>,
    /// What a reader of the results should know.
    pub(crate) notes: Vec<String>,
}
