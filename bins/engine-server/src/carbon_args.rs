//! Flags and environment of the carbon providers.

use std::fmt::Display;

use clap::Arg;
use providers::settings::{BadSetting, SPECS};

use crate::args::{Given, text};

/// The flags, under their heading.
pub(crate) fn flags() -> impl Iterator<Item = Arg> {
    // Prometheus is asked for feedback, too: its flag stands there.
    SPECS.iter().filter(|spec| spec.flag != "prometheus-url").map(|spec| {
        let flag = text(spec.flag, spec.variable, spec.value, spec.help).hide_env_values(spec.hidden);
        match spec.default {
            Some(default) => flag.default_value(default),
            None => flag,
        }
    })
}

impl providers::settings::Given for Given<'_> {
    fn text(&self, flag: &str) -> Option<&str> {
        Given::text(self, flag)
    }

    fn wrong(&self, flag: &str, problem: &dyn Display) -> BadSetting {
        BadSetting::new(Given::wrong(self, flag, problem).to_string())
    }

    fn file(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    }
}
