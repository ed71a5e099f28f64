//! What the drawn page shows, made of a study.

use std::path::Path;

use super::Report;
use super::html::{self, Page};
use super::table;
use crate::account::in_grams;
use crate::hindsight;
use crate::recording::Recording;

impl Report<'_> {
    /// Writes the page to a file.
    pub(crate) fn write_page(&self, path: &Path) -> anyhow::Result<()> {
        html::write(path, &self.page())
    }

    fn page(&self) -> Page {
        let grams = in_grams(&self.world.flavours.menu);
        let p100 = self.study.p100.totals.emissions;
        let factor = if grams || p100 <= 0.0 { 1.0 } else { 100.0 / p100 };
        Page {
            title: format!("engine-sim {}: {}", self.command, self.world.carbon),
            command: command_line(std::env::args()),
            world: self.world_in_words(),
            target_error: self.target_error(),
            unit: if grams { "g" } else { "% of p100" }.to_owned(),
            recordings: self.drawn(factor),
            table: table::cells(self),
            notes: self.notes(),
        }
    }

    /// What is drawn: of the two optima only the one under the same budget.
    fn drawn(&self, factor: f64) -> Vec<Recording> {
        let mut recordings = self.study.recordings(factor);
        recordings.retain(|recording| recording.policy != hindsight::AVERAGE);
        for recording in &mut recordings {
            if recording.policy == hindsight::BUDGET {
                "hindsight".clone_into(&mut recording.policy);
            }
        }
        recordings
    }

    /// The head of the table as pairs.
    fn world_in_words(&self) -> Vec<(String, String)> {
        let mut words: Vec<(String, String)> = Vec::new();
        for (what, text) in table::head(self) {
            match words.last_mut() {
                Some((_, last)) if what.is_empty() => {
                    last.push_str("; ");
                    last.push_str(&text);
                }
                _ => words.push((what.to_owned(), text)),
            }
        }
        words
    }
}

/// A command as it can be typed again: words that a shell would take apart in quotes.
fn command_line(arguments: impl Iterator<Item = String>) -> String {
    let plain = |word: &str| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:,=+@%".contains(c))
    };
    let words = arguments.enumerate().map(|(index, word)| match index {
        0 => "engine-sim".to_owned(),
        _ if plain(&word) => word,
        _ => format!("'{}'", word.replace('\'', r"'\''")),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_typed_again() {
        let words = ["/somewhere/engine-sim", "run", "--carbon", "my grid's.csv", "--from", "2026-01-05"];
        let line = command_line(words.into_iter().map(str::to_owned));
        assert_eq!(line, r"engine-sim run --carbon 'my grid'\''s.csv' --from 2026-01-05");
    }
}
