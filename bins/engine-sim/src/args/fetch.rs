//! What a recording is asked for.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, CommandFactory, FromArgMatches};
use jiff::SignedDuration;
use providers::refresh::{MAX_TTL, MIN_TTL};
use providers::settings::{BadSetting, Given, SPECS, Spec};

use super::{Cli, TextFormat, values};

pub(super) const TEACHING: &str = "\
Asks now, or again and again (--every, --count, --for, until Ctrl-C), and appends to the folder:
  vintages.csv    `issued_at,target_start,forecast`: every forecast that says something new, from
                  when it was received on
  actuals.csv     `timestamp,actual`: what was measured, where the provider tells it
  recording.json  of which target and signal they are: another one is refused

A folder is gone on with: what it has is not written again, a last line that was torn is cut off.
Keys come from the environment or from files, as for engine-server.

Examples:
  engine-sim fetch --provider uk-carbon-intensity --target national --out gb
  engine-sim fetch --provider electricity-maps --target zone:DE --out de --every 15m --for 7d
  engine-sim compare --carbon gb/actuals.csv --forecast gb/vintages.csv --forecast-mode vintages

Exit codes:
  0  done, or ended by Ctrl-C or SIGTERM after the current write
  1  no forecast came at all, or a file could not be read or written
  2  the command line, or a provider's setting, is wrong";

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    #[command(flatten)]
    pub(crate) providers: ProviderArgs,

    /// Folder to write to; made where there is none
    #[arg(long, value_name = "DIR", help_heading = "Recording")]
    pub(crate) out: PathBuf,
    /// Ask again so long after each answer: seconds, or 30m, 1h; from 1 s to 24 h [default: 30m where
    /// --count or --for is given, else ask once]
    #[arg(long, value_name = "SPAN", help_heading = "Recording", value_parser = every)]
    every: Option<SignedDuration>,
    /// End after so many answers
    #[arg(long, value_name = "N", help_heading = "Recording", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after so long: seconds, or 30m, 48h, 7d
    #[arg(long = "for", value_name = "SPAN", help_heading = "Recording", value_parser = span)]
    pub(crate) lasting: Option<SignedDuration>,
    /// Patience with one request, in seconds in [1, 60]
    #[arg(long, value_name = "SECONDS", help_heading = "Recording", value_parser = clap::value_parser!(i64).range(1..=60), default_value_t = 10)]
    pub(crate) timeout: i64,

    /// Form of the summary
    #[arg(long, help_heading = "Output", value_enum, default_value_t = TextFormat::Text)]
    pub(crate) format: TextFormat,
}

/// How often is asked where nobody says.
const OFTEN: SignedDuration = SignedDuration::from_mins(30);

impl FetchArgs {
    /// How long after an answer the next is asked for.
    pub(crate) fn every(&self) -> SignedDuration {
        self.every.unwrap_or(OFTEN)
    }

    /// After how many answers it is enough; one where nothing is said of asking again.
    pub(crate) fn count(&self) -> Option<u64> {
        let once = self.every.is_none() && self.lasting.is_none();
        self.count.or_else(|| once.then_some(1))
    }

    /// Whether a failure is followed by another attempt.
    pub(crate) fn goes_on(&self) -> bool {
        self.every.is_some() || self.lasting.is_some() || self.count.is_some_and(|count| count > 1)
    }
}

/// The providers' settings: the same flags and variables as engine-server has, `--provider` and `--target`
/// for the first of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProviderArgs {
    /// By flag: the text, and whether it came from the environment.
    given: BTreeMap<&'static str, (String, bool)>,
}

/// The flag here of a setting.
fn flag(spec: &Spec) -> &'static str {
    match spec.flag {
        "carbon-provider" => "provider",
        "carbon-api-target" => "target",
        other => other,
    }
}

impl ProviderArgs {
    /// What a forecast is wanted for.
    pub(crate) fn target(&self) -> &str {
        self.text("carbon-api-target").unwrap_or(models::config::DEFAULT_CARBON_TARGET)
    }

    /// Ends the process as a wrong flag does.
    pub(crate) fn refuse(problem: &dyn Display) -> ! {
        Cli::command().error(ErrorKind::ValueValidation, problem).exit()
    }
}

impl Given for ProviderArgs {
    fn text(&self, flag: &str) -> Option<&str> {
        self.given.get(flag).map(|(text, _)| text.trim()).filter(|text| !text.is_empty())
    }

    fn wrong(&self, name: &str, problem: &dyn Display) -> BadSetting {
        let value = models::json::excerpt(self.text(name).unwrap_or_default());
        let spec = SPECS.iter().find(|spec| spec.flag == name);
        match (spec, self.given.get(name)) {
            (Some(spec), Some((_, true))) => BadSetting::new(format!("{}={value}: {problem}", spec.variable)),
            (Some(spec), _) => BadSetting::new(format!("--{} {value}: {problem}", flag(spec))),
            (None, _) => BadSetting::new(format!("{name}: {problem}")),
        }
    }

    fn file(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    }
}

impl Args for ProviderArgs {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.args(SPECS.iter().map(|spec| {
            let arg = Arg::new(spec.flag)
                .long(flag(spec))
                .env(spec.variable)
                .value_name(spec.value)
                .help(spec.help)
                .hide_env_values(spec.hidden)
                .help_heading("Provider");
            let arg = if flag(spec) == spec.flag { arg } else { arg.alias(spec.flag) };
            match spec.default {
                Some(default) => arg.default_value(default),
                None => arg,
            }
        }))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ProviderArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = SPECS.iter().filter_map(|spec| {
            let text = matches.get_one::<String>(spec.flag)?;
            let from_environment = matches.value_source(spec.flag) == Some(ValueSource::EnvVariable);
            Some((spec.flag, (text.clone(), from_environment)))
        });
        Ok(Self { given: given.collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn span(text: &str) -> Result<SignedDuration, String> {
    let seconds = values::span(text)?;
    if !(1.0..=3.2e9).contains(&seconds) {
        return Err("expected a span from 1 s to 100 years, as 30m, 48h or 7d".to_owned());
    }
    SignedDuration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn every(text: &str) -> Result<SignedDuration, String> {
    let every = span(text).ok().filter(|every| (MIN_TTL..=MAX_TTL).contains(every));
    every.ok_or_else(|| "expected a span from 1 s to 24 h, as 90, 30m or 1h".to_owned())
}
