//! Acting upon what came in.

use std::sync::Arc;

use models::Timestamp;

use super::{Input, Record};
use crate::answers::{Accepted, FeedbackReport, Polled, Tick};
use crate::engine::Engine;
use crate::error::{ConfigureError, MixedSignals, RequestError, UnknownSchedule};

/// What an [`Input`] came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Of [`Input::Start`]; schedules whose configuration the new defaults leave impossible keep what they had.
    Started(Vec<ConfigureError>),
    /// Of [`Input::Configure`] and [`Input::ConfigureInCluster`].
    Configured(Result<Accepted, ConfigureError>),
    /// Of [`Input::Remove`].
    Removed(Result<(), UnknownSchedule>),
    /// Of [`Input::LeaveCluster`].
    Left(Result<(), ConfigureError>),
    /// Of [`Input::Reset`].
    Reset(Result<(), ConfigureError>),
    /// Of [`Input::SetManual`]: when it ends.
    Set(Result<Timestamp, RequestError>),
    /// Of [`Input::ClearManual`]: whether there was one.
    Cleared(Result<bool, UnknownSchedule>),
    /// Of [`Input::Feedback`].
    Counted(Result<FeedbackReport, RequestError>),
    /// Of [`Input::Poll`].
    Polled(Result<Polled, UnknownSchedule>),
    /// Of [`Input::Note`].
    Noted(Result<(), UnknownSchedule>),
    /// Of [`Input::Forecast`].
    Observed(Result<(), MixedSignals>),
    /// Of [`Input::Tick`].
    Ticked(Tick),
    /// Of [`Input::Unrecorded`].
    Unrecorded,
}

impl Engine {
    /// Acts upon what came in.
    pub fn apply(&mut self, Record { at, input }: &Record) -> Answer {
        let at = *at;
        match input {
            Input::Start { options, refused } => Answer::Started(self.start(options, refused, at)),
            Input::Configure { id, overrides, refused } => {
                Answer::Configured(self.configure_checked(id, overrides.clone(), refused.as_deref(), at))
            }
            Input::ConfigureInCluster { id, wanted, refused } => {
                let refused = refused.as_deref();
                Answer::Configured(self.configure_in_cluster_checked(id, wanted.clone(), refused, at))
            }
            Input::LeaveCluster { id, stay } => Answer::Left(self.leave_cluster(id, *stay, at)),
            Input::Remove { id } => Answer::Removed(self.remove(id)),
            Input::Reset { id } => Answer::Reset(self.reset(id, at)),
            Input::SetManual { id, manual } => Answer::Set(self.set_manual(id, manual.clone(), at)),
            Input::ClearManual { id } => Answer::Cleared(self.clear_manual(id, at)),
            Input::Feedback { id, feedback } => Answer::Counted(self.feedback(id, feedback, at)),
            Input::Poll { id, from, to, counts } => Answer::Polled(self.poll(id, (*from, *to), counts, at)),
            Input::Note { id, notes } => Answer::Noted(self.note(id, notes.clone())),
            Input::Forecast { target, forecast, actuals, is_current } => {
                // A chain is of one signal, whoever of it answers.
                let observed = if *is_current {
                    self.observe_forecast(target, Arc::clone(forecast), at)
                } else {
                    Ok(())
                };
                // Of measured values, none that belong to a refused forecast.
                if observed.is_ok() {
                    for slot in actuals {
                        self.observe_actual(target, slot);
                    }
                }
                Answer::Observed(observed)
            }
            Input::Tick => Answer::Ticked(self.tick(at)),
            Input::Unrecorded => Answer::Unrecorded,
        }
    }
}
