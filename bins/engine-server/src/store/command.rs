//! `engine-server state`: looking after what lasts, while no server has it.
use clap::{ArgMatches, Command};

pub(crate) fn command() -> Command {
    Command::new("state")
}

pub(crate) fn run(_: &ArgMatches) -> anyhow::Result<()> {
    Ok(())
}
