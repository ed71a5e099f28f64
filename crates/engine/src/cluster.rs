//! What a schedule's cluster asks for: one more layer, above what a PUT does.

use models::{Overrides, ScheduleId, Timestamp};

use crate::answers::Accepted;
use crate::engine::Engine;
use crate::error::ConfigureError;
use crate::layers::Layer;

impl Engine {
    /// [`Engine::configure`] by the schedule's object in its cluster, and by what runs there: its flavours are
    /// the discovered ones. It stands above what a PUT asks for, of which nothing is lost.
    ///
    /// # Errors
    ///
    /// [`ConfigureError`]; nothing is changed then.
    pub fn configure_in_cluster(
        &mut self,
        id: &ScheduleId,
        wanted: Overrides,
        now: Timestamp,
    ) -> Result<Accepted, ConfigureError> {
        let refused = self.options.refused(&wanted);
        self.configure_in_cluster_checked(id, wanted, refused.as_deref(), now)
    }

    /// [`Engine::configure_in_cluster`] where it is known why no provider has the carbon target, if that is so.
    pub(crate) fn configure_in_cluster_checked(
        &mut self,
        id: &ScheduleId,
        wanted: Overrides,
        refused: Option<&str>,
        now: Timestamp,
    ) -> Result<Accepted, ConfigureError> {
        let mut layers = self.sessions.get(id).map(|session| session.layers.clone()).unwrap_or_default();
        layers.cluster = Some(Layer::new(wanted, refused));
        self.put_in_force(id, layers, now)
    }

    /// The schedule's object in its cluster is gone: the schedule is freed, or put back to the defaults where it
    /// is to `stay`.
    ///
    /// # Errors
    ///
    /// [`ConfigureError`], where the defaults themselves cannot be put in force. One that is not known is none.
    pub fn leave_cluster(
        &mut self,
        id: &ScheduleId,
        stay: bool,
        now: Timestamp,
    ) -> Result<(), ConfigureError> {
        // A base that is being handed out is of what there was.
        self.touch(id);
        let Some(session) = self.sessions.get_mut(id) else { return Ok(()) };
        session.layers.cluster = None;
        if stay {
            return self.reset(id, now);
        }
        // It was found above.
        let _ = self.remove(id);
        Ok(())
    }

    /// Whether a schedule has an object in its cluster, as far as that was told.
    pub fn is_in_cluster(&self, id: &ScheduleId) -> bool {
        self.asked_in_cluster(id).is_some()
    }

    /// What the schedule's cluster asks for, where it has an object there.
    pub fn asked_in_cluster(&self, id: &ScheduleId) -> Option<&Overrides> {
        let cluster = self.sessions.get(id)?.layers.cluster.as_ref()?;
        Some(&cluster.overrides)
    }

    /// The schedules of which [`Engine::is_in_cluster`] holds, in order of their names.
    pub fn in_cluster(&self) -> impl Iterator<Item = &ScheduleId> {
        self.sessions.iter().filter(|(_, session)| session.layers.cluster.is_some()).map(|(id, _)| id)
    }
}
