//! Chains of carbon providers: each by its name and settings, with keys that nobody is shown.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::eventually;
use crate::server::Launch;
use crate::upstream::{Reply, Upstream, hours};

const KEY: &str = "k3y-of-mine";
const MAPS: (&str, &str) = ("CARBON_PROVIDER", "electricity-maps");
const MAPS_KEY: (&str, &str) = ("ELECTRICITY_MAPS_TOKEN", KEY);

/// Instants a step apart, the first one at or before now.
fn instants(step: i64) -> impl Iterator<Item = Timestamp> {
    let now = Timestamp::now().as_second();
    let first = Timestamp::from_second(now - now.rem_euclid(step)).unwrap();
    (0..12).map(move |index| first + SignedDuration::from_secs(step * index))
}

fn electricity_maps(zone: &str, grams: f64) -> Value {
    let points = instants(3_600).map(|at| json!({"carbonIntensity": grams, "datetime": at}));
    json!({"zone": zone, "forecast": points.collect::<Vec<_>>(), "updatedAt": Timestamp::now()})
}

fn watttime(pounds: f64) -> Value {
    let points = instants(300).map(|at| json!({"point_time": at, "value": pounds}));
    json!({"data": points.collect::<Vec<_>>(),
           "meta": {"data_point_period_seconds": 300, "region": "CAISO_NORTH", "signal_type": "co2_moer",
                    "units": "lbs_co2_per_mwh", "generated_at": Timestamp::now()}})
}

fn rows(grams: f64) -> Value {
    let row = |at| json!({"location": "IE", "timestamp": at, "duration": 30, "value": grams});
    instants(1_800).map(row).collect()
}

fn from(source: &str, grams: f64) -> impl Fn(&Value) -> bool {
    let source = source.to_owned();
    move |schedule| schedule["forecast"]["source"] == source && schedule["forecast"]["now"] == grams
}

#[test]
fn electricity_maps_is_asked_with_its_key() {
    let upstream = Upstream::start(|_| Reply::Json(electricity_maps("DE", 301.0)));
    let server = Launch::new()
        .env("CARBON_PROVIDER", "electricity-maps")
        .env("ELECTRICITY_MAPS_TOKEN", KEY)
        .env("ELECTRICITY_MAPS_URL", &format!("{}/v3/", upstream.url()))
        .env("ELECTRICITY_MAPS_HEADER", "X-BLOBR-KEY")
        .env("ELECTRICITY_MAPS_EMISSION_FACTOR_TYPE", "direct")
        .env("ELECTRICITY_MAPS_HORIZON_HOURS", "72")
        .env("ELECTRICITY_MAPS_GRANULARITY", "15_minutes")
        .env("CARBON_API_TARGET", "zone:DE")
        .start();
    server.schedule_when("default/default", from("electricity-maps", 301.0));
    let path = "/v3/carbon-intensity/forecast?zone=DE&disableCallerLookup=true&emissionFactorType=direct\
                &horizonHours=72&temporalGranularity=15_minutes";
    assert_eq!(upstream.asked(), [path]);
    let fields = upstream.fields("forecast").unwrap().to_ascii_lowercase();
    assert!(fields.lines().any(|field| field == format!("x-blobr-key: {KEY}")), "{fields}");
}

#[test]
fn watttime_logs_in_first() {
    let upstream = Upstream::start(|path| match path {
        "/login" => Reply::Json(json!({"token": "eyJ0b2tlbg"})),
        _ => Reply::Json(watttime(1_000.0)),
    });
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "pa55word\n").unwrap();
    let server = Launch::new()
        .env("CARBON_PROVIDER", "watttime, static:400")
        .env("WATTTIME_USERNAME", "ada")
        .env("WATTTIME_PASSWORD_FILE", &password.display().to_string())
        .env("WATTTIME_URL", &upstream.url())
        .env("CARBON_API_TARGET", "region:CAISO_NORTH")
        .env("CARBON_API_CACHE_TTL", "1")
        .start();
    server.schedule_when("default/default", from("watttime", 453.592_37));
    eventually("it is asked again", || (upstream.count("/v3/forecast") >= 3).then_some(()));
    assert_eq!(upstream.count("/login"), 1, "one login serves them all");
    let field = |part: &str| upstream.fields(part).unwrap().to_ascii_lowercase();
    assert!(field("/login").contains("authorization: basic ywrhonbhntv3b3jk"), "{}", field("/login"));
    assert!(field("/v3").contains("authorization: bearer eyj0b2tlbg"), "{}", field("/v3"));
    // The stand-in is of the same signal: it takes over without a refusal.
    upstream.set(|_| Reply::Status(500, "down"));
    server.schedule_when("default/default", from("static", 400.0));
    upstream.set(|_| Reply::Json(watttime(500.0)));
    server.schedule_when("default/default", from("watttime", 226.796_185));
    let log = server.log();
    assert!(!log.contains("marginal") && !log.contains("pa55"), "{log}");
}

#[test]
fn the_chain_is_asked_in_order() {
    let upstream = Upstream::start(|path| match path {
        path if path.starts_with("/intensity/") => Reply::Json(hours(&[100.0, 100.0])),
        _ => Reply::Status(401, r#"{"error":"Endpoint not available"}"#),
    });
    let server = Launch::new()
        .env("CARBON_PROVIDER", "electricity-maps,uk-carbon-intensity,static:250")
        .env("ELECTRICITY_MAPS_TOKEN", KEY)
        .env("ELECTRICITY_MAPS_URL", &upstream.url())
        .upstream(&upstream)
        .env("CARBON_API_TARGET", "zone:GB")
        .env("CARBON_API_CACHE_TTL", "1")
        .start();
    for (source, grams) in [("uk-carbon-intensity", 100.0), ("static", 250.0), ("electricity-maps", 90.0)] {
        let schedule = server.schedule_when("default/default", from(source, grams));
        let preferred = (source != "electricity-maps").then_some("electricity-maps");
        assert_eq!(schedule["forecast"]["standInFor"].as_str(), preferred, "{source}");
        match source {
            "uk-carbon-intensity" => upstream.set(|_| Reply::Status(503, "down")),
            _ => upstream.set(|_| Reply::Json(electricity_maps("GB", 90.0))),
        }
    }
}

#[test]
fn the_carbon_aware_sdk_is_asked_for_a_location() {
    let answer =
        json!([{"generatedAt": Timestamp::now(), "location": "northeurope", "forecastData": rows(448.5)}]);
    let upstream = Upstream::start(move |_| Reply::Json(answer.clone()));
    let server = Launch::new()
        .env("CARBON_PROVIDER", "carbon-aware-sdk")
        .env("CARBON_AWARE_SDK_URL", &upstream.url())
        .env("CARBON_AWARE_SDK_SIGNAL", "marginal")
        .env("CARBON_API_TARGET", "location:northeurope")
        .start();
    server.schedule_when("default/default", from("carbon-aware-sdk", 448.5));
    assert_eq!(upstream.asked(), ["/emissions/forecasts/current?location=northeurope"]);
}

#[test]
fn what_was_measured_is_what_the_own_forecast_learns_from() {
    // Half-hours that were over an hour ago and more, and one that is not: only as actual values do the
    // former say anything about what is to come.
    let current = instants(1_800).next().unwrap();
    let slot = move |begins: i64, forecast: f64, actual: Value| {
        let from = current + SignedDuration::from_mins(begins);
        let to = from + SignedDuration::from_mins(30);
        json!({"from": from, "to": to, "intensity": {"forecast": forecast, "actual": actual, "index": "low"}})
    };
    let slots = [
        slot(-120, 90.0, json!(150)),
        slot(-90, 90.0, json!(160)),
        slot(0, 100.0, Value::Null),
        slot(30, 100.0, Value::Null),
    ];
    let upstream = Upstream::start(move |_| Reply::Json(json!({"data": slots})));
    let server = Launch::new().upstream(&upstream).start();
    server.configure("t/plan", &json!({"policy": "receding-horizon", "validFor": 1, "carbonCacheTTL": 1}));
    let schedule = server.schedule_when("t/plan", |schedule| {
        let used = schedule["forecast"]["usedFor"].as_array();
        used.is_some_and(|used| used.iter().any(|stretch| stretch["source"] == "own"))
    });
    assert_eq!(schedule["forecast"]["source"], "uk-carbon-intensity");
}

#[test]
fn no_content_is_no_forecast() {
    let upstream = Upstream::start(|_| Reply::Status(204, ""));
    let server = Launch::new()
        .env("CARBON_PROVIDER", "carbon-aware-sdk")
        .env("CARBON_AWARE_SDK_URL", &upstream.url())
        .env("CARBON_API_TARGET", "eastus")
        .start();
    let said = "carbon-aware-sdk answered no slot with an intensity";
    eventually("it is said", || server.log().contains(said).then_some(()));
}

#[test]
fn a_config_map_is_read_from_its_file_and_over_http() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    std::fs::write(&path, rows(300.0).to_string()).unwrap();
    let server = Launch::new()
        .env("CARBON_PROVIDER", "configmap,static:7")
        .env("CARBON_CONFIGMAP_FILE", &path.display().to_string())
        .env("CARBON_API_CACHE_TTL", "1")
        .start();
    server.schedule_when("default/default", from("configmap", 300.0));
    // It is replaced as a whole: gone for a while, then there again.
    std::fs::remove_file(&path).unwrap();
    server.schedule_when("default/default", from("static", 7.0));
    std::fs::create_dir(&path).unwrap();
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, rows(310.0).to_string()).unwrap();
    server.schedule_when("default/default", from("configmap", 310.0));

    let answer = json!({"kind": "ConfigMap", "data": {"data": rows(320.0).to_string(), "message": ""}});
    let upstream = Upstream::start(move |_| Reply::Json(answer.clone()));
    let url = format!("{}/api/v1/namespaces/kube-system/configmaps/carbon-intensity", upstream.url());
    let server = Launch::new().env("CARBON_PROVIDER", "configmap").env("CARBON_CONFIGMAP_URL", &url).start();
    server.schedule_when("default/default", from("configmap", 320.0));
}

#[test]
fn a_config_map_that_is_no_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let server = Launch::new()
        .env("CARBON_PROVIDER", "configmap")
        .env("CARBON_CONFIGMAP_FILE", &folder.path().display().to_string())
        .start();
    let said = format!("file://{} could not be read: it is not a file", folder.path().display());
    eventually("it is said", || server.log().contains(&said).then_some(()));
}

#[test]
fn an_expression_is_asked_of_prometheus() {
    let upstream = Upstream::start(|path| {
        let time = path.split("&time=").nth(1).and_then(|time| time.parse::<i64>().ok());
        Reply::Json(json!({"status": "success", "data": {"resultType": "vector",
                           "result": [{"metric": {}, "value": [time, "193.5"]}]}}))
    });
    let server = Launch::new()
        .env("CARBON_PROVIDER", "prometheus")
        .env("PROMETHEUS_URL", &upstream.url())
        .env("CARBON_PROMETHEUS_QUERY", "avg(grid)")
        .env("CARBON_PROMETHEUS_ZONE", "DE")
        .env("CARBON_API_TARGET", "zone:DE")
        .start();
    let schedule = server.schedule_when("default/default", from("prometheus", 193.5));
    assert_eq!(schedule["forecast"]["schedule"].as_array().unwrap().len(), 1, "a present, no forecast");
    assert!(upstream.asked()[0].starts_with("/api/v1/query?query=avg%28grid%29&time="));
    assert!(!server.log().contains("not active yet"), "{}", server.log());
}

#[test]
fn what_a_provider_misses_stops_the_start_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (empty, odd) = (folder.path().join("empty"), folder.path().join("odd"));
    std::fs::write(&empty, " \n").unwrap();
    std::fs::write(&odd, "k3y\nof mine").unwrap();
    let (empty, odd) = (empty.display().to_string(), odd.display().to_string());
    let mut said = String::new();
    for variables in [
        &[("CARBON_PROVIDER", "electricity-maps")][..],
        &[("CARBON_PROVIDER", "electricity-maps"), ("ELECTRICITY_MAPS_TOKEN", KEY)],
        &[MAPS, MAPS_KEY, ("ELECTRICITY_MAPS_TOKEN_FILE", &empty)],
        &[("CARBON_PROVIDER", "electricity-maps"), ("ELECTRICITY_MAPS_TOKEN_FILE", &empty)],
        &[("CARBON_PROVIDER", "electricity-maps"), ("ELECTRICITY_MAPS_TOKEN_FILE", &odd)],
        &[("CARBON_PROVIDER", "electricity-maps"), ("ELECTRICITY_MAPS_TOKEN", "k3y\u{e9}")],
        &[MAPS, MAPS_KEY, ("ELECTRICITY_MAPS_HEADER", "a b")],
        &[MAPS, MAPS_KEY, ("ELECTRICITY_MAPS_URL", "maps.example")],
        &[MAPS, MAPS_KEY, ("ELECTRICITY_MAPS_EMISSION_FACTOR_TYPE", "all")],
        &[MAPS, MAPS_KEY, ("ELECTRICITY_MAPS_HORIZON_HOURS", "60")],
        &[MAPS, MAPS_KEY, ("ELECTRICITY_MAPS_GRANULARITY", "minutes")],
        &[("CARBON_PROVIDER", "static:5,watttime")],
        &[("CARBON_PROVIDER", "watttime"), ("WATTTIME_USERNAME", "ada")],
        &[("CARBON_PROVIDER", "watttime"), ("WATTTIME_USERNAME", "a:da"), ("WATTTIME_PASSWORD", KEY)],
        &[("CARBON_PROVIDER", "carbon-aware-sdk")],
        &[
            ("CARBON_PROVIDER", "carbon-aware-sdk"),
            ("CARBON_AWARE_SDK_URL", "http://sdk"),
            ("CARBON_AWARE_SDK_SIGNAL", "both"),
        ],
        &[("CARBON_PROVIDER", "configmap")],
        &[
            ("CARBON_PROVIDER", "configmap"),
            ("CARBON_CONFIGMAP_URL", "http://x"),
            ("CARBON_CONFIGMAP_FILE", "x"),
        ],
        &[("CARBON_PROVIDER", "prometheus"), ("PROMETHEUS_URL", "http://prometheus")],
        &[("CARBON_PROVIDER", "prometheus"), ("CARBON_PROMETHEUS_QUERY", "up")],
        &[
            ("CARBON_PROVIDER", "prometheus"),
            ("PROMETHEUS_URL", "http://p"),
            ("CARBON_PROMETHEUS_QUERY", "up"),
            ("CARBON_PROMETHEUS_SLOT", "0"),
        ],
        &[("CARBON_PROVIDER", "uk-carbon-intensity,,static:5")],
        &[
            ("CARBON_PROVIDER", "watttime,uk-carbon-intensity"),
            ("WATTTIME_USERNAME", "ada"),
            ("WATTTIME_PASSWORD", KEY),
        ],
        &[
            ("CARBON_PROVIDER", "uk-carbon-intensity,configmap"),
            ("CARBON_CONFIGMAP_FILE", "x"),
            ("CARBON_CONFIGMAP_SIGNAL", "marginal"),
        ],
    ] {
        let launch = variables.iter().fold(Launch::bare(), |launch, (name, value)| launch.env(name, value));
        let output = launch.run();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{variables:?}: {output:?}");
        said += std::str::from_utf8(&output.stderr).unwrap();
    }
    assert!(!said.contains(KEY) && !said.contains("k3y"), "{said}");
    let said = said.replace(&empty, "EMPTY").replace(&odd, "ODD");
    insta::assert_snapshot!(said, @r#"
    engine-server: CARBON_PROVIDER=electricity-maps: ELECTRICITY_MAPS_TOKEN and ELECTRICITY_MAPS_TOKEN_FILE are missing: expected the key of an account in one of them
    engine-server: CARBON_API_TARGET is missing: carbonTarget `national` is not one of electricity-maps: expected a zone such as `zone:DE` or `US-CAL-CISO`, or a place as `latitude,longitude` such as `52.5,13.4`
    engine-server: ELECTRICITY_MAPS_TOKEN and ELECTRICITY_MAPS_TOKEN_FILE are both set: expected one of them
    engine-server: ELECTRICITY_MAPS_TOKEN_FILE: expected the key of an account in printable ASCII
    engine-server: ELECTRICITY_MAPS_TOKEN_FILE: expected the key of an account in printable ASCII
    engine-server: ELECTRICITY_MAPS_TOKEN: expected the key of an account in printable ASCII
    engine-server: ELECTRICITY_MAPS_HEADER=a b: expected at most 64 letters, digits, - and _
    engine-server: ELECTRICITY_MAPS_URL=maps.example: expected an absolute http or https URL, as in https://carbon.example/api
    engine-server: ELECTRICITY_MAPS_EMISSION_FACTOR_TYPE=all: expected lifecycle or direct
    engine-server: ELECTRICITY_MAPS_HORIZON_HOURS=60: expected 6, 24, 48 or 72 hours
    engine-server: ELECTRICITY_MAPS_GRANULARITY=minutes: expected hourly, 15_minutes or 5_minutes
    engine-server: CARBON_PROVIDER=static:5,watttime: WATTTIME_USERNAME is missing: expected the user name of an account there
    engine-server: CARBON_PROVIDER=watttime: WATTTIME_PASSWORD and WATTTIME_PASSWORD_FILE are missing: expected the password of an account in one of them
    engine-server: WATTTIME_USERNAME has a `:`: expected a user name without one
    engine-server: CARBON_PROVIDER=carbon-aware-sdk: CARBON_AWARE_SDK_URL is missing: expected the URL of its WebApi there
    engine-server: CARBON_AWARE_SDK_SIGNAL=both: expected average or marginal
    engine-server: CARBON_PROVIDER=configmap: CARBON_CONFIGMAP_URL and CARBON_CONFIGMAP_FILE are missing: expected where the ConfigMap is in one of them
    engine-server: CARBON_CONFIGMAP_URL and CARBON_CONFIGMAP_FILE are both set: expected one of them
    engine-server: CARBON_PROVIDER=prometheus: CARBON_PROMETHEUS_QUERY is missing: expected a PromQL expression in gCO2eq/kWh there
    engine-server: CARBON_PROVIDER=prometheus: PROMETHEUS_URL is missing: expected the URL of the server it is asked at there
    engine-server: CARBON_PROMETHEUS_SLOT=0: expected a number of seconds in [1, 86400]
    engine-server: CARBON_PROVIDER=uk-carbon-intensity,,static:5: `` is not a carbon provider: expected uk-carbon-intensity, electricity-maps, watttime, carbon-aware-sdk, configmap, prometheus, static:GRAMS (gCO2eq/kWh) or trace:FILE, or several of them with commas between
    engine-server: CARBON_PROVIDER=watttime,uk-carbon-intensity: watttime tells marginal carbon intensity and uk-carbon-intensity average: expected providers of one signal, since a series never mixes the two
    engine-server: CARBON_PROVIDER=uk-carbon-intensity,configmap: uk-carbon-intensity tells average carbon intensity and configmap marginal: expected providers of one signal, since a series never mixes the two
    "#);
}

#[test]
fn a_grid_that_is_none_or_not_the_default_target_stops_the_start() {
    let none = "expected a carbonTarget such as DE, zone:DE or region:CAISO_NORTH: a name of 1 to 64 characters \
                of ASCII without spaces";
    let map = || Launch::bare().env("CARBON_PROVIDER", "configmap").env("CARBON_CONFIGMAP_FILE", "x");
    for (launch, said) in [
        (map().env("CARBON_CONFIGMAP_ZONE", "zone:"), format!("CARBON_CONFIGMAP_ZONE=zone:: {none}")),
        (
            Launch::bare().env("CARBON_API_URL", "http://x").env("CARBON_API_ZONE", "a b"),
            format!("CARBON_API_ZONE=a b: {none}"),
        ),
        (
            map().env("CARBON_CONFIGMAP_ZONE", "zone:DE"),
            "CARBON_API_TARGET is missing: carbonTarget `national` is not one of configmap: expected `zone:DE`, \
             the one grid it knows"
                .into(),
        ),
    ] {
        let output = launch.run();
        let stderr = std::str::from_utf8(&output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.trim_end()), (Some(2), &*format!("engine-server: {said}")));
    }
}

#[test]
fn keys_are_shown_to_nobody() {
    let upstream = Upstream::start(|path| match path {
        "/login" => Reply::Status(403, "<html>wrong: pa55word, Basic YWRhOnBhNTV3b3Jk</html>"),
        _ => Reply::Status(401, r#"{"error":"Invalid auth-token k3y-of-mine"}"#),
    });
    let launch = || {
        Launch::new()
            .env("ELECTRICITY_MAPS_TOKEN", KEY)
            .env("ELECTRICITY_MAPS_URL", &upstream.url())
            .env("WATTTIME_USERNAME", "ada")
            .env("WATTTIME_PASSWORD", "pa55word")
            .env("WATTTIME_URL", &upstream.url())
            .env("LOGLEVEL", "DEBUG")
    };
    let maps = || launch().env("CARBON_PROVIDER", "electricity-maps").env("CARBON_API_TARGET", "DE");
    let watttime = || launch().env("CARBON_PROVIDER", "watttime").env("CARBON_API_TARGET", "PSCO");
    let mut shown = String::new();
    for flag in ["--help", "--check"] {
        for output in [maps().arg(flag).run(), watttime().arg(flag).run()] {
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            shown += &String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        }
    }
    for (server, said) in [(maps().start(), "answered 401"), (watttime().start(), "logging in to watttime: ")]
    {
        eventually("it failed", || server.log().contains(said).then_some(()));
        shown += &server.log();
        for path in ["/schedule", "/config/default/default"] {
            shown += server.get(path).text();
        }
        shown += server.metrics.send("GET", "/metrics", None).text();
    }
    for key in [KEY, "pa55word", "YWRhOnBhNTV3b3Jk"] {
        assert!(!shown.contains(key), "{shown}");
    }
}

#[test]
fn a_target_the_first_provider_lacks_stops_the_start() {
    let maps = || {
        Launch::bare().env("CARBON_PROVIDER", "electricity-maps,static:5").env("ELECTRICITY_MAPS_TOKEN", KEY)
    };
    let output = maps().run();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with(
            "engine-server: CARBON_API_TARGET is missing: carbonTarget `national` is not one of electricity-maps"
        ),
        "{said}"
    );
    let output = maps().env("CARBON_API_TARGET", "zone:DE").arg("--check").run();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_key_that_is_echoed_is_in_neither_the_list_nor_the_log() {
    let key = (0..150).map(|index| format!("{index:03x}")).collect::<Vec<_>>().concat();
    let (plain, slash) = (key.as_str(), "sekrit/KEY+123");
    let echoes = [
        (
            slash,
            Reply::Bytes(
                "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"error\":\"bad key sekrit\\/KEY\\u002b123\"}",
            ),
        ),
        (slash, Reply::Status(401, r#"{"error":"bad key sekrit\/KEY+123"}"#)),
        (plain, Reply::Status(401, String::leak(key.clone()))),
    ];
    for (key, reply) in echoes {
        let reply = std::sync::Mutex::new(Some(reply));
        let upstream =
            Upstream::start(move |_| reply.lock().unwrap().take().unwrap_or(Reply::Status(500, "down")));
        let launch =
            Launch::new().env("CARBON_PROVIDER", "electricity-maps").env("ELECTRICITY_MAPS_TOKEN", key);
        let launch = launch.env("ELECTRICITY_MAPS_URL", &upstream.url()).env("CARBON_API_TARGET", "zone:DE");
        shown_without(&launch.start(), &["sekrit", "KEY", "03d03e"]);
    }
    let upstream = Upstream::start(|_| {
        Reply::Json(json!({"data": {"message": "token=QUERYSECRET dXNlcjpwYXNzdzByZFg= passw0rdX"}}))
    });
    let url = format!("{}/cm?token=QUERYSECRET", upstream.url().replace("http://", "http://user:passw0rdX@"));
    let launch = Launch::new().env("CARBON_PROVIDER", "configmap").env("CARBON_CONFIGMAP_URL", &url);
    shown_without(&launch.start(), &["QUERYS", "passw0", "dXNlcj"]);
}

/// Neither the list of forecasts nor the log has any of these, once the provider has failed.
fn shown_without(server: &crate::server::Server, secrets: &[&str]) {
    let failed = |list: &Value| list["items"][0]["lastError"].is_string();
    let list = eventually("it failed", || Some(server.get("/forecasts").json()).filter(failed)).to_string();
    assert!(list.contains("***"), "{list}");
    let log = eventually("it is logged", || Some(server.log()).filter(|log| log.contains("WARN")));
    for secret in secrets {
        assert!(!list.contains(secret) && !log.contains(secret), "{secret}: {list} {log}");
    }
}
