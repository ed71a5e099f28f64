//! An axum service with three flavours of a model, which picks one for each request.
//!
//! `POST /infer` is answered by the flavour that the schedule picks: for the same `x-user` always the same one while the
//! weights stay, by chance for whoever does not say. `GET /schedule` is the engine's own document. A task turns the engine, another
//! one feeds it forecasts; a stop (Ctrl-C) lets requests end, and books them.
//!
//! `cargo run -p engine --example axum_service -- 8080` listens on that port, then `curl -d hello 127.0.0.1:8080/infer`;
//! with `--demo` it takes a free port, sends itself some hundred requests, says what came of them, and ends.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use engine::routing::{Driver, Handle, Key, Pick, TaskDriver};
use engine::{Engine, EngineOptions};
use jiff::SignedDuration;
use models::{
    CarbonIntensity, Feedback, Forecast, Manual, Overrides, Precision, ScheduleId, Setting, Slot, Timestamp,
};
use policies::Registry;
use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;

const MODELS: &str = r#"{
    "policy": "receding-horizon", "targetError": 0.05,
    "flavours": [
        {"name": "large",  "precision": 1.0,  "energyWh": 2.9},
        {"name": "medium", "precision": 0.94, "energyWh": 1.1},
        {"name": "small",  "precision": 0.8,  "energyWh": 0.4}
    ]
}"#;
/// Requests of a demonstration.
pub(crate) const DEMO: u32 = 400;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    #[expect(clippy::disallowed_methods, reason = "what is below main is handed the port")]
    let argument = std::env::args().nth(1);
    let mut out = io::stdout();
    match argument.as_deref() {
        Some("--demo") => demo(&mut out).await,
        port => {
            let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or("0").parse()?)).await?;
            let stop = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
            serve(&mut out, &Service::start()?, listener, stop).await
        }
    }
}

/// What every request is handed.
struct Service {
    driver: TaskDriver,
    handle: Handle,
    requests: AtomicU64,
    began: Timestamp,
}

impl Service {
    fn start() -> Result<Arc<Self>, Box<dyn Error>> {
        let driver = Driver::new(Engine::new(EngineOptions::default(), Registry::builtin()));
        #[expect(clippy::disallowed_methods, reason = "the one place where a clock is read")]
        let driver = TaskDriver::start(&runtime::Handle::current(), driver, Timestamp::now);
        let id = ScheduleId::new("shop", "inference")?;
        let wanted = Overrides::from_json(&serde_json::from_str(MODELS)?)?.overrides;
        driver.update(|engine, now| engine.configure(&id, wanted, now))?;
        let handle = driver.handle(&id);
        let began = driver.update(|_, now| now);
        let service = Self { driver, handle, requests: AtomicU64::new(0), began };
        service.feed()?;
        Ok(Arc::new(service))
    }

    /// Forecasts for whatever carbon target is followed. Yours asks a provider: `providers` speaks with several.
    fn feed(&self) -> Result<(), Box<dyn Error>> {
        self.driver.update(|engine, now| {
            let forecast = Arc::new(wave(self.began, now)?);
            for target in engine.wanted().into_keys() {
                engine.observe_forecast(&target, Arc::clone(&forecast), now)?;
            }
            Ok(())
        })
    }

    /// As if a day had been served by the best flavour already: then there is credit to spend. A changed configuration is
    /// evaluated at once, so this shows what a forecast alone shows within two seconds.
    fn pretend_a_day(&self) -> Result<(), Box<dyn Error>> {
        self.driver.update(|engine, now| {
            let day = Feedback {
                window_seconds: 86_400.0,
                window_end: Some(now),
                counts: vec![("large".into(), 86_400)],
                ..Feedback::default()
            };
            engine.feedback(self.handle.id(), &day, now)?;
            let mut wanted = Overrides::from_json(&serde_json::from_str(MODELS)?)?.overrides;
            wanted.set_number(Setting::TargetError, 0.06)?;
            engine.configure(self.handle.id(), wanted, now)?;
            Ok(())
        })
    }

    /// Whom to serve by.
    fn pick(&self, user: Option<&[u8]>) -> Option<Pick<'_>> {
        match user {
            Some(user) => self.handle.pick_for(Key::new(user)),
            None => {
                // A small generator for each request, seeded by its number.
                let request = self.requests.fetch_add(1, Ordering::Relaxed);
                self.handle.pick_random(Pcg32::new(request, 1).next_u64())
            }
        }
    }
}

async fn serve(
    out: &mut (impl io::Write + Send),
    service: &Arc<Service>,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Box<dyn Error>> {
    let fed = Arc::clone(service);
    let feeding = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_mins(30)).await;
            // The newest forecast stays in force where there is no newer one.
            let _ = fed.feed();
        }
    });
    writeln!(out, "listening on http://{}", listener.local_addr()?)?;
    let app = Router::new()
        .route("/infer", post(infer))
        .route("/schedule", get(schedule))
        .with_state(Arc::clone(service));
    // Ends once the last answer is out.
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    feeding.abort();
    // What was recorded since the last turn is booked, too.
    service.driver.settle();
    Ok(())
}

async fn infer(State(service): State<Arc<Service>>, headers: HeaderMap, prompt: String) -> Json<Value> {
    let pick = service.pick(headers.get("x-user").map(HeaderValue::as_bytes));
    // Without a schedule the best flavour serves.
    let flavour = pick.as_ref().map_or("large", Pick::flavour);
    let (answer, score) = answer(flavour, &prompt).await;
    // Had this been cancelled meanwhile, the pick would be dropped: nobody was served.
    match (pick, score) {
        (Some(pick), Some(score)) => pick.record_precision(score),
        (Some(pick), None) => pick.record(),
        (None, _) => {}
    }
    Json(json!({"flavour": flavour, "answer": answer}))
}

async fn schedule(State(service): State<Arc<Service>>) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    match service.handle.schedule() {
        Some(published) => (json, published.document.to_bytes()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Stands for a model; to some answers it says how good they are.
async fn answer(flavour: &str, prompt: &str) -> (String, Option<Precision>) {
    tokio::task::yield_now().await;
    let score = match (flavour, prompt.len() % 3) {
        ("medium", 0) => Precision::new(0.95).ok(),
        ("small", 0) => Precision::new(0.82).ok(),
        _ => None,
    };
    (format!("{flavour} says: {prompt}"), score)
}

/// Two days ahead of a wave that begins at its crest: 320 g, and 80 g half a day later.
fn wave(began: Timestamp, now: Timestamp) -> Result<Forecast, Box<dyn Error>> {
    let half_hour = SignedDuration::from_mins(30);
    let mut from = Timestamp::from_second(now.as_second().div_euclid(1_800) * 1_800)?;
    let mut slots = Vec::new();
    for _ in 0..96 {
        let days = from.duration_since(began).as_secs_f64() / 86_400.0;
        let grams = 200.0 + 120.0 * (days * std::f64::consts::TAU).cos();
        slots.push(Slot::new(from, from + half_hour, CarbonIntensity::new(grams)?));
        from += half_hour;
    }
    Ok(Forecast::new("wave", None, now, slots)?)
}

/// The service and a client of it, over loopback: first as the plan has it, then as an operator has it.
pub(crate) async fn demo(out: &mut (impl io::Write + Send)) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let at = listener.local_addr()?;
    let service = Service::start()?;
    service.pretend_a_day()?;
    let (done, stop) = tokio::sync::oneshot::channel::<()>();
    let operated = Arc::clone(&service);
    let client = tokio::spawn(async move {
        let came = rounds(at, &operated).await.map_err(|problem| problem.to_string());
        // The service ends, whatever came.
        let _ = done.send(());
        came
    });
    serve(out, &service, listener, async { stop.await.unwrap_or_default() }).await?;
    out.write_all(client.await??.as_bytes())?;
    Ok(())
}

async fn rounds(at: SocketAddr, service: &Service) -> Result<String, Box<dyn Error>> {
    let planned = round(at).await?;
    let weights = json!({
        "flavourWeights": {"large": 50, "medium": 30, "small": 20},
        "ttlSeconds": 600, "reason": "a demonstration",
    });
    let manual = Manual::from_json(weights.as_object().ok_or("an object")?)?;
    service.driver.update(|engine, now| engine.set_manual(service.handle.id(), manual, now))?;
    Ok(planned + &round(at).await?)
}

/// Half of the requests, every other one of some user. Answers who served them, and why.
async fn round(at: SocketAddr) -> Result<String, Box<dyn Error>> {
    let mut served: BTreeMap<String, u32> = BTreeMap::new();
    for request in 0..DEMO / 2 {
        let header = if request % 2 == 0 { format!("x-user: user-{request}\r\n") } else { String::new() };
        let answer = ask(at, "POST /infer", &header, &format!("question {request}")).await?;
        let flavour = answer["flavour"].as_str().ok_or("an answer says who gave it")?;
        *served.entry(flavour.to_owned()).or_default() += 1;
    }
    let schedule = ask(at, "GET /schedule", "", "").await?;
    let mut text = format!("\n{}\n", schedule["reason"].as_str().ok_or("a schedule has a reason")?);
    for (flavour, requests) in served {
        let percent = 200.0 * f64::from(requests) / f64::from(DEMO);
        writeln!(text, "  {flavour:6} {requests:4} requests  {percent:5.1} %")?;
    }
    Ok(text)
}

/// One request over a connection of its own.
async fn ask(at: SocketAddr, what: &str, header: &str, body: &str) -> Result<Value, Box<dyn Error>> {
    let mut connection = TcpStream::connect(at).await?;
    let length = body.len();
    let request = format!(
        "{what} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\ncontent-length: {length}\r\n{header}\r\n{body}"
    );
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("an answer has a head")?;
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(head.into());
    }
    Ok(serde_json::from_str(body)?)
}
