//! A thread that turns a driver.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::{io, thread};

use models::{ScheduleId, Timestamp};

use super::turning::Turned;
use super::{Driver, Handle};
use crate::engine::Engine;

/// A driver and the thread that turns it, which ends with it. Picks and records never wait for either.
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
        self.shared.turned.handle(id)
    }

    /// Changes the engine, as [`Driver::update`] does, at the instant that is handed in.
    pub fn update<T>(&self, change: impl FnOnce(&mut Engine, Timestamp) -> T) -> T {
        let answer = self.shared.turned.update(change);
        self.shared.tell(|news| news.is_changed = true);
        answer
    }

    /// Looks at the driver: its counters, its engine.
    pub fn with<T>(&self, look: impl FnOnce(&Driver) -> T) -> T {
        self.shared.turned.with(look)
    }

    /// One more turn, now: what was recorded is booked. The last thing to do before a process ends.
    pub fn settle(&self) {
        self.shared.turned.turn();
    }
}

impl Drop for ThreadDriver {
    fn drop(&mut self) {
        self.shared.tell(|news| news.is_over = true);
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, it has ended all the same.
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
