//! Providers that want a login: who logs in, how often, and that no key is shown.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is a failed test")]

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use models::{CarbonIntensity, CarbonTarget, Forecast, Slot, Timestamp};
use providers::{
    Adapter, Answer, AttemptError, BadAnswer, Chain, Fetch, FetchError, Job, Login, NotUnderstood, Plan,
    Request, Secret, Token,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// A provider whose login answers the token itself, good for ten minutes.
#[derive(Debug)]
struct Locked {
    password: Secret,
}

impl Login for Locked {
    fn request(&self) -> Request {
        Request::json("http://locked/login".into()).with("Authorization", self.password.expose())
    }

    fn token(&self, body: &[u8], now: Timestamp) -> Result<Token, BadAnswer> {
        if body.is_empty() {
            return Err(BadAnswer::Empty { provider: "locked".into() });
        }
        let secret = Secret::new(&String::from_utf8_lossy(body));
        Ok(Token { secret, good_until: now + SignedDuration::from_mins(10) })
    }

    fn admitted(&self, request: Request, token: &Token) -> Request {
        request.with("Authorization", token.secret.expose())
    }
}

impl Adapter for Locked {
    fn name(&self) -> &'static str {
        "locked"
    }

    fn plan(&self, _: &CarbonTarget, _: Timestamp) -> Result<Plan, NotUnderstood> {
        Ok(Plan::Ask(Request::json("http://locked/forecast".into())))
    }

    fn parse(&self, _: &CarbonTarget, _: &[u8], now: Timestamp) -> Result<Answer, BadAnswer> {
        let slot = Slot::new(now, now + SignedDuration::from_mins(5), CarbonIntensity::new(7.0).unwrap());
        Ok(Forecast::new("locked", None, now, vec![slot]).unwrap().into())
    }

    fn login(&self) -> Option<&dyn Login> {
        Some(self)
    }
}

/// The provider's side: hands out tokens by number and takes only the newest.
#[derive(Default)]
struct Service {
    issued: RefCell<u32>,
    /// What it answers instead of a forecast, whatever the token.
    refusal: Option<u16>,
    /// What it answers instead of a token.
    login_refusal: Option<u16>,
    log: RefCell<Vec<String>>,
}

impl Service {
    fn took(&self) -> Vec<String> {
        self.log.take()
    }
}

impl Fetch for Service {
    fn fetch(&self, request: &Request, _: Duration) -> Result<Vec<u8>, FetchError> {
        let refuse = |status| FetchError::Status {
            url: request.url.clone(),
            status,
            retry_after: Some(SignedDuration::from_secs(40)),
            excerpt: "go away".into(),
        };
        let (_, key) = request.headers.iter().find(|(name, _)| name == "Authorization").unwrap();
        let path = request.url.rsplit('/').next().unwrap();
        self.log.borrow_mut().push(format!("{path} with {key}"));
        if path == "login" {
            assert_eq!(key, "pa55word");
            if let Some(status) = self.login_refusal {
                return Err(refuse(status));
            }
            *self.issued.borrow_mut() += 1;
            return Ok(format!("token-{}", self.issued.borrow()).into_bytes());
        }
        match self.refusal {
            Some(status) => Err(refuse(status)),
            None if *key == format!("token-{}", self.issued.borrow()) => Ok(b"{}".to_vec()),
            None => Err(refuse(401)),
        }
    }
}

fn job(chain: &Chain) -> Job {
    Job::new(CarbonTarget::from("national"), SignedDuration::from_secs(2), chain.clone())
}

fn chain() -> Chain {
    Chain::new(vec![Arc::new(Locked { password: Secret::new(" pa55word\n") })])
}

#[test]
fn one_login_serves_many_jobs_until_it_expires() {
    let (service, chain) = (Service::default(), chain());
    for second in [0, 1, 599] {
        assert!(job(&chain).run(&service, || at(second)).is_ok());
    }
    assert_eq!(
        service.took(),
        ["login with pa55word", "forecast with token-1", "forecast with token-1", "forecast with token-1"]
    );
    assert!(job(&chain).run(&service, || at(600)).is_ok());
    assert_eq!(service.took(), ["login with pa55word", "forecast with token-2"], "it is over by then");
}

#[test]
fn a_token_that_is_refused_is_replaced_once() {
    let (mut service, chain) = (Service::default(), chain());
    job(&chain).run(&service, || at(0)).unwrap();
    // Somebody else logged in with the same account.
    *service.issued.borrow_mut() += 1;
    service.took();
    assert!(job(&chain).run(&service, || at(1)).is_ok());
    assert_eq!(service.took(), ["forecast with token-1", "login with pa55word", "forecast with token-3"]);
    for (status, second) in [(401, 2), (403, 302)] {
        service.refusal = Some(status);
        let refused = job(&chain).run(&service, || at(second)).unwrap_err();
        let newest = service.issued.borrow();
        assert_eq!(
            service.took(),
            [
                format!("forecast with token-{}", *newest - 1),
                "login with pa55word".into(),
                format!("forecast with token-{newest}")
            ],
            "{status}: once, not again and again"
        );
        assert!(matches!(refused.attempts[0].problem, AttemptError::Fetch(FetchError::Status { .. })));
    }
    // Any other trouble is no reason to log in.
    service.refusal = Some(500);
    job(&chain).run(&service, || at(400)).unwrap_err();
    assert_eq!(service.took().len(), 1);
}

#[test]
fn a_region_that_is_refused_takes_the_token_from_nobody() {
    let (mut service, chain) = (Service::default(), chain());
    job(&chain).run(&service, || at(0)).unwrap();
    service.took();
    service.refusal = Some(403);
    // The token is new: another one would be refused too.
    for second in [1, 60, 120] {
        job(&chain).run(&service, || at(second)).unwrap_err();
        assert_eq!(service.took(), ["forecast with token-1"], "{second}");
    }
    // It may be the token by now: that is found out once.
    job(&chain).run(&service, || at(300)).unwrap_err();
    assert_eq!(service.took(), ["forecast with token-1", "login with pa55word", "forecast with token-2"]);
    for second in [350, 599] {
        job(&chain).run(&service, || at(second)).unwrap_err();
        assert_eq!(service.took(), ["forecast with token-2"], "{second}");
    }
    service.refusal = None;
    assert!(job(&chain).run(&service, || at(800)).is_ok());
    assert_eq!(service.took(), ["forecast with token-2"]);
    // A clock that was set back trusts nothing that is of the old time.
    service.refusal = Some(403);
    job(&chain).run(&service, || at(-86_400)).unwrap_err();
    assert_eq!(service.took().len(), 3);
}

#[test]
fn a_refusal_right_after_the_login_is_the_answer() {
    let service = Service { refusal: Some(403), ..Service::default() };
    job(&chain()).run(&service, || at(0)).unwrap_err();
    assert_eq!(service.took(), ["login with pa55word", "forecast with token-1"]);
}

#[test]
fn a_failed_login_says_so_and_how_long_to_wait() {
    let service = Service { login_refusal: Some(429), ..Service::default() };
    let refused = job(&chain()).run(&service, || at(0)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "no forecast for `national`: logging in to locked: http://locked/login answered 429: `go away`"
    );
    assert_eq!(refused.wait(at(0)), SignedDuration::from_secs(40));
    assert_eq!(service.took().len(), 1, "nothing is asked without a token");
}

#[test]
fn keys_are_shown_to_nobody() {
    let (service, chain) = (Service::default(), chain());
    job(&chain).run(&service, || at(0)).unwrap();
    let shown = format!("{:?} {:?}", job(&chain), Locked { password: Secret::new("pa55word") }.request());
    assert!(!shown.contains("pa55word") && !shown.contains("token-1"), "{shown}");
    assert!(shown.contains("***"), "{shown}");
}
