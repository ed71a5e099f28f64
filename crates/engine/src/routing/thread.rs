//! A thread that turns a driver.

use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::{io, thread};

use models::Timestamp;

use super::{Driver, Turned};

/// A driver and the thread that turns it, which ends with it, after a last turn. It is used as the [`Turned`] that it holds.
///
/// ```
/// use engine::routing::{Driver, ThreadDriver};
/// use engine::{Engine, EngineOptions};
/// use models::{Overrides, ScheduleId, Timestamp};
/// use policies::Registry;
///
/// // The one place where a clock is read: `Timestamp::now`, with jiff's feature `std`.
/// let clock = || "2026-11-23T15:00:00Z".parse::<Timestamp>().unwrap();
/// let driver = Driver::new(Engine::new(EngineOptions::default(), Registry::builtin()));
/// let turned = ThreadDriver::start(driver, clock)?;
///
/// let id = ScheduleId::new("shop", "search")?;
/// turned.update(|engine, now| engine.configure(&id, Overrides::default(), now))?;
/// let handle = turned.handle(&id);
/// let pick = handle.pick().expect("it is configured");
/// assert_eq!(pick.flavour(), "precision-100");
/// pick.record();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ThreadDriver {
    turned: Arc<Turned>,
    news: Arc<News>,
    thread: Option<thread::JoinHandle<()>>,
}

/// What the thread sleeps for.
#[derive(Default)]
struct News {
    latest: Mutex<Latest>,
    told: Condvar,
}

#[derive(Default)]
struct Latest {
    is_changed: bool,
    is_over: bool,
}

impl ThreadDriver {
    /// Starts a thread that turns `driver` by `clock`.
    ///
    /// # Errors
    ///
    /// The system's, where it starts no thread.
    pub fn start(driver: Driver, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> io::Result<Self> {
        let news = Arc::new(News::default());
        let changed = Arc::clone(&news);
        let wake = move || changed.tell(|latest| latest.is_changed = true);
        let turned = Arc::new(Turned::new(driver, clock, wake));
        let (turning, told) = (Arc::clone(&turned), Arc::clone(&news));
        #[expect(clippy::disallowed_methods, reason = "asked for by name, behind a feature")]
        let thread = thread::Builder::new().name("engine".into()).spawn(move || told.turn(&turning))?;
        Ok(Self { turned, news, thread: Some(thread) })
    }

    /// Whether the thread goes on: one that a policy, publisher or store of yours has panicked in does not.
    pub fn is_turning(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Deref for ThreadDriver {
    type Target = Turned;

    fn deref(&self) -> &Turned {
        &self.turned
    }
}

impl Drop for ThreadDriver {
    fn drop(&mut self) {
        self.news.tell(|latest| latest.is_over = true);
        if let Some(thread) = self.thread.take() {
            // One that has panicked has ended all the same.
            let _ = thread.join();
        }
    }
}

impl News {
    fn turn(&self, turned: &Turned) {
        loop {
            let wait = turned.turn();
            let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
            let idle = |latest: &mut Latest| !latest.is_changed && !latest.is_over;
            let slept = self.told.wait_timeout_while(latest, wait, idle);
            let (mut latest, _) = slept.unwrap_or_else(PoisonError::into_inner);
            if latest.is_over {
                drop(latest);
                turned.turn();
                return;
            }
            latest.is_changed = false;
        }
    }

    fn tell(&self, what: impl FnOnce(&mut Latest)) {
        what(&mut self.latest.lock().unwrap_or_else(PoisonError::into_inner));
        self.told.notify_one();
    }
}
