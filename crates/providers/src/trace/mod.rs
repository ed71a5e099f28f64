//! Traces: recorded carbon, forecasts, demand and flavours, read from what others publish.
//!
//! Bytes in, values out; what a file holds is seen from its content, never from its name. Nothing is
//! repaired: a row that cannot be read is left out, a slot that is missing stays missing (it is never
//! filled in, and never 0), and every such place is named by file and line in the trace's [`Notes`]. Only
//! a file without a single usable row is an error.
//!
//! | [`Format`] | looks like |
//! |---|---|
//! | plain CSV | `timestamp,actual[,forecast]`, also under the names other archives use |
//! | Electricity Maps' yearly CSV | `Datetime (UTC),..,Carbon Intensity gCO₂eq/kWh (LCA),..` |
//! | SGIP Signal's CSV, in kg/kWh | `time,moer,f1,..,f36`: values, and as vintages what was forecast of them |
//! | UK Carbon Intensity API JSON | `{"data":[{"from","to","intensity":{"forecast","actual"}}]}`, national or one region |
//! | Carbon Aware SDK JSON | `{"Emissions":[{"Time","Rating","Duration"}]}` or the bare list |
//! | Energy-Charts JSON | `{"unix_seconds":[..],"co2eq":[..],"co2eq_forecast":[..]}` |
//! | WattTime JSON | `{"data":[{"point_time","value"}],"meta":{"units":"lbs_co2_per_mwh"}}` |
//! | forecast vintages | CSV `issued_at,target_start,forecast` |
//! | demand | CSV `timestamp,requests` |
//!
//! ```
//! use providers::trace::{CarbonTrace, Factors};
//!
//! let file = b"timestamp,actual\n2026-01-01T00:00:00Z,210\n2026-01-01T00:30:00Z,\n2026-01-01T01:00:00Z,190\n";
//! let trace = CarbonTrace::read("grid.csv", file, Factors::default())?;
//! assert_eq!(trace.slots().len(), 2);
//! let notes: Vec<_> = trace.notes().listed().map(|note| trace.notes().located(note)).collect();
//! assert_eq!(notes, ["grid.csv:3: no value for 2026-01-01T00:30:00Z: left as a gap"]);
//! # Ok::<(), providers::trace::TraceError>(())
//! ```

mod carbon;
mod demand;
mod error;
mod flavours;
mod instant;
mod json;
mod laps;
mod meaning;
mod notes;
mod replay;
mod series;
mod sgip;
mod table;
mod vintages;

pub use carbon::{CarbonTrace, Factors, Format, TraceSlot};
pub use demand::{DemandSlot, DemandTrace};
pub use error::TraceError;
pub use flavours::{FlavourFile, FlavourFileError};
pub use instant::instant;
pub use laps::Laps;
pub use notes::{LISTED_PER_KIND, Note, NoteKind, Notes};
pub use replay::{HORIZON, TooShort, TraceAdapter};
pub use vintages::Vintages;

#[cfg(test)]
mod tests;
