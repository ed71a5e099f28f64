//! A thread that turns a driver.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::{io, thread};

use models::{ScheduleId, Timestamp};

use super::turning::Turned;
use super::{Driver, Handle};
use crate::engine::Engine;
use crate::journal::{Answer, Input, StoreError};

/// A driver and the thread that turns it, which ends with it, after a last turn. Picks and records never wait for either.
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
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Shared {
    turned: Turned,
    news: Mutex<News>,
    told: Condvar,
}

#[derive(Default)]
struct News {
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
        let shared = Arc::new(Shared {
            turned: Turned::new(driver, clock),
            news: Mutex::default(),
            told: Condvar::new(),
        });
        let turning = Arc::clone(&shared);
        #[expect(clippy::disallowed_methods, reason = "asked for by name, behind a feature")]
        let thread = thread::Builder::new().name("engine".into()).spawn(move || turning.turn())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// A handle of a schedule, which may be configured later.
    pub fn handle(&self, id: &ScheduleId) -> Handle {
        let handle = self.shared.turned.handle(id);
        self.shared.tell(|news| news.is_changed = true);
        handle
    }

    /// Changes the engine, as [`Driver::update`] does, at the instant that is handed in. It waits for a turn that is
    /// going on; whoever asks this driver for something from in there waits for ever.
    pub fn update<T>(&self, change: impl FnOnce(&mut Engine, Timestamp) -> T) -> T {
        let answer = self.shared.turned.update(change);
        self.shared.tell(|news| news.is_changed = true);
        answer
    }

    /// Acts upon something that comes in, as [`Driver::apply`] does, at the instant that the clock says.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn apply(&self, input: Input) -> Result<Answer, StoreError> {
        let answer = self.shared.turned.apply(input);
        self.shared.tell(|news| news.is_changed = true);
        answer
    }

    /// Looks at the driver: its counters, its engine. Whoever asks the driver for something from in here waits for ever.
    pub fn with<T>(&self, look: impl FnOnce(&Driver) -> T) -> T {
        self.shared.turned.with(look)
    }

    /// Whether the thread goes on: one that a policy, publisher or store of yours has panicked in does not.
    pub fn is_turning(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// One more turn, now: what was recorded is booked.
    pub fn settle(&self) {
        self.shared.turned.turn();
    }
}

impl Drop for ThreadDriver {
    fn drop(&mut self) {
        self.shared.tell(|news| news.is_over = true);
        if let Some(thread) = self.thread.take() {
            // One that has panicked has ended all the same.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn turn(&self) {
        loop {
            let wait = self.turned.turn();
            let news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
            let idle = |news: &mut News| !news.is_changed && !news.is_over;
            let slept = self.told.wait_timeout_while(news, wait, idle);
            let (mut news, _) = slept.unwrap_or_else(PoisonError::into_inner);
            if news.is_over {
                drop(news);
                self.turned.turn();
                return;
            }
            news.is_changed = false;
        }
    }

    fn tell(&self, what: impl FnOnce(&mut News)) {
        what(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner));
        self.told.notify_one();
    }
}
