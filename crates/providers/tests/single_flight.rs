//! What several jobs need at once is asked for by one of them, and nobody else is held up by that.

#![expect(clippy::disallowed_methods, reason = "jobs run on threads")]
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is a failed test")]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;
use models::{CarbonTarget, Signal, Timestamp};
use providers::{
    Adapter, Answer, AttemptError, Chain, ConfigMap, Fetch, FetchError, Job, RefreshError, Refresher,
    Request, Secret, Wanted, WattTime,
};

fn now() -> Timestamp {
    "2018-01-20T12:10:07Z".parse().unwrap()
}

/// Keeps who asks first at `gate` until the test lets go; everything is answered well.
struct Gate {
    at: &'static str,
    reached: Sender<()>,
    let_go: Mutex<Receiver<()>>,
    asked: Mutex<Vec<String>>,
}

impl Gate {
    fn new(gate: &'static str) -> (Self, Receiver<()>, Sender<()>) {
        let ((reached, at_gate), (open, let_go)) = (channel(), channel());
        let asked = Mutex::default();
        (Self { at: gate, reached, let_go: Mutex::new(let_go), asked }, at_gate, open)
    }

    /// How often `what` was asked for.
    fn asked(&self, what: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|url| url.contains(what)).count()
    }
}

impl Fetch for Gate {
    fn fetch(&self, request: &Request, _: Duration) -> Result<Vec<u8>, FetchError> {
        self.asked.lock().unwrap().push(request.url.clone());
        if request.url.contains(self.at) && self.asked(self.at) == 1 {
            let _ = self.reached.send(());
            // The test drops its end.
            let _ = self.let_go.lock().unwrap().recv();
        }
        let region = request.url.split("region=").nth(1).and_then(|rest| rest.split('&').next());
        Ok(match region {
            Some(region) => include_str!("../../../fuzz/seeds/answers/watttime_forecast.json")
                .replace("CAISO_NORTH", region)
                .into(),
            None if request.url.ends_with("/login") => br#"{"token":"eyJ0b2tlbg"}"#.into(),
            None => include_bytes!("../../../fuzz/seeds/answers/configmap_rows.json").into(),
        })
    }
}

/// Runs `first` until it stands at the gate; `impatient` then; and `second` while the gate is opened. How the
/// impatient one and the other two ended.
fn meet(
    gate: &'static str,
    first: &Job,
    second: &Job,
    chain: &Chain,
) -> (RefreshError, [Result<Answer, RefreshError>; 2], Gate) {
    let (network, at_gate, open) = Gate::new(gate);
    let (refused, ended) = std::thread::scope(|scope| {
        let one = scope.spawn(|| first.run(&network, now));
        at_gate.recv().unwrap();
        // Whoever looks waits for nothing.
        assert!(chain.links()[0].status(now()).calls >= 1);
        let mut impatient = second.clone();
        impatient.timeout = SignedDuration::from_millis(1);
        let refused = impatient.run(&network, now).unwrap_err();
        assert_eq!(network.asked(gate), 1, "it asked for itself");
        let other = scope.spawn(|| second.run(&network, now));
        drop(open);
        (refused, [one.join().unwrap(), other.join().unwrap()])
    });
    (refused, ended, network)
}

#[test]
fn one_job_logs_in_and_the_others_wait_for_its_token() {
    let watttime = WattTime::new("ada", &Secret::new("pa55word")).at("http://ada:s3cret@locked");
    let chain = Chain::new(vec![Arc::new(watttime)]);
    let job =
        |region: &str| Job::new(CarbonTarget::from(region), SignedDuration::from_mins(1), chain.clone());
    let (refused, ended, network) = meet("/login", &job("CAISO_NORTH"), &job("PSCO"), &chain);
    assert!(matches!(
        &refused.attempts[0].problem,
        AttemptError::Login { problem: FetchError::TimedOut { .. }, .. }
    ));
    assert_eq!(
        refused.to_string(),
        "no forecast for `PSCO`: logging in to watttime: http://locked/login had not answered in full within \
         0.001 s"
    );
    assert!(ended.iter().all(Result::is_ok), "{ended:?}");
    assert_eq!((network.asked("/login"), network.asked("region=")), (1, 2));
}

#[test]
fn one_job_asks_for_what_serves_every_target_and_the_others_wait_for_its_answer() {
    let map: Arc<dyn Adapter> = Arc::new(ConfigMap::new("http://cluster/data", Signal::Average));
    let mut refresher = Refresher::new(vec![map], 1);
    let wanted = Wanted { ttl: SignedDuration::from_mins(5), timeout: SignedDuration::from_mins(1) };
    let targets = ["zone:1", "zone:2"].map(|zone| (CarbonTarget::from(zone), wanted));
    refresher.want(&targets.into(), now());
    let jobs = [(); 2].map(|()| refresher.take_due(now()).unwrap());
    let (refused, ended, network) = meet("/data", &jobs[0], &jobs[1], refresher.chain());
    assert!(matches!(refused.attempts[0].problem, AttemptError::Fetch(FetchError::TimedOut { .. })));
    assert_eq!(ended[0], ended[1]);
    assert!(ended[0].is_ok() && network.asked("/data") == 1);
    assert_eq!(refresher.chain().links()[0].status(now()).calls, 1);
}
