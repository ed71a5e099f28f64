//! Flags and variables: what is refused, and how it is said.

use std::net::TcpListener;
use std::process::Output;

use serde_json::json;

use crate::eventually;
use crate::server::Launch;

fn told(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn a_bad_variable_stops_the_start_with_its_name_its_value_and_what_is_right() {
    let mut said = String::new();
    for (variable, value) in [
        ("TARGET_ERROR", "abc"),
        ("TARGET_ERROR", "1"),
        ("CREDIT_MIN", "0.1"),
        ("CREDIT_MAX", "inf"),
        ("CREDIT_WINDOW", "0"),
        ("SCHEDULE_VALID_FOR", "1 minute"),
        ("THROTTLE_MIN", "2"),
        ("SCHEDULER_STRATEGIES", "precision-100"),
        ("SCHEDULER_STRATEGIES", r#"[{"precision": 200}, {"precision": 1, "energyWh": -1}]"#),
        ("CARBON_API_TARGET", "region:99"),
        ("CARBON_API_URL", "carbon.example"),
        ("CARBON_PROVIDER", "static:-1"),
        ("CARBON_PROVIDER", "nothing"),
        ("DEFAULT_SCHEDULE_NAMESPACE", "Shop"),
        ("DEFAULT_SCHEDULE_NAME", "a b"),
        ("METRICS_PORT", "70000"),
        ("LISTEN", "here"),
        ("METRICS_LISTEN", "8001"),
        ("ALLOW_ANONYMOUS_WRITES", "maybe"),
        ("MAX_SCHEDULES", "0"),
        ("MAX_BODY_BYTES", "1MiB"),
        ("MAX_BODY_BYTES", "1000"),
        ("MAX_HEAD_BYTES", "131073"),
        ("MAX_CONNECTIONS", "0"),
        ("MAX_METRICS_CONNECTIONS", "-1"),
        ("MAX_REQUESTS_IN_FLIGHT", "many"),
        ("MAX_SCRAPES_IN_FLIGHT", "0"),
        ("REQUEST_TIMEOUT_SECONDS", "0"),
        ("KEEP_ALIVE_SECONDS", "1.5"),
        ("MAX_FLAVOURS", "65"),
        ("MAX_LABEL_LENGTH", "254"),
        ("DRAIN_SECONDS", "3601"),
        ("METRICS_MAX_SCHEDULES", "-1"),
        ("WORKERS", "-1"),
        ("LOGLEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("PROMETHEUS_URL", "prometheus:9090"),
        ("METRICS_POLL_INTERVAL_SEC", "often"),
        ("METRICS_POLL_INTERVAL_SEC", "3601"),
        ("METRICS_QUERY", "increase(requests_total[15s])"),
        ("METRICS_FLAVOUR_LABEL", "a-b"),
        ("SCHEDULER_CALIBRATE", "maybe"),
    ] {
        let output = Launch::bare().env(variable, value).run();
        assert_eq!(output.status.code(), Some(2), "{variable}={value}: {output:?}");
        assert!(output.stdout.is_empty());
        assert!(told(&output).starts_with(&format!("engine-server: {variable}=")), "{}", told(&output));
        said += told(&output);
    }
    insta::assert_snapshot!(said, @r#"
    engine-server: TARGET_ERROR=abc: `abc` is not a target error: expected a number in [0, 1)
    engine-server: TARGET_ERROR=1: 1 is not a target error: expected a number in [0, 1)
    engine-server: CREDIT_MIN=0.1: 0.1 is not a lower credit bound: expected a number <= 0
    engine-server: CREDIT_MAX=inf: inf is not an upper credit bound: expected a number >= 0
    engine-server: CREDIT_WINDOW=0: 0 is not a credit window: expected a number of seconds in [1, 2592000]
    engine-server: SCHEDULE_VALID_FOR=1 minute: `1 minute` is not a validity: expected a number of seconds in [1, 86400]
    engine-server: THROTTLE_MIN=2: 2 is not a smallest throttle: expected a number in [0, 1]
    engine-server: SCHEDULER_STRATEGIES=precision-100: expected value at line 1 column 1: expected a JSON array such as [{"precision": 0.85}]
    engine-server: SCHEDULER_STRATEGIES=[{\"precision\": 200}, {\"precision\": 1, \"energyWh\": -1}]: /0/precision: 200 is not a precision (a fraction up to 1, a percentage above): expected a number in (0, 100]; /1/energyWh: -1 is not an energy per request: expected a number of Wh >= 0
    engine-server: CARBON_API_TARGET=region:99: carbonTarget `region:99` is not one of uk-carbon-intensity: expected `national`, `region:1` to `region:17`, or `postcode:` with the outward part, as in `postcode:OX1`
    engine-server: CARBON_API_URL=carbon.example: expected an absolute http or https URL, as in https://carbon.example/api
    engine-server: CARBON_PROVIDER=static:-1: -1 is not a carbon intensity: expected a number of gCO2eq/kWh in [0, 10000]
    engine-server: CARBON_PROVIDER=nothing: `nothing` is not a carbon provider: expected uk-carbon-intensity, electricity-maps, watttime, carbon-aware-sdk, configmap, prometheus, static:GRAMS (gCO2eq/kWh) or trace:FILE, or several of them with commas between
    engine-server: DEFAULT_SCHEDULE_NAMESPACE=Shop: /namespace: `Shop` is not a namespace: expected a DNS label (1 to 63 of a-z, 0-9 and -, no - at an end)
    engine-server: DEFAULT_SCHEDULE_NAME=a b: /name: `a b` is not a name: expected a DNS subdomain (at most 253 of a-z, 0-9, - and ., each part beginning and ending with a letter or digit)
    engine-server: METRICS_PORT=70000: expected a port from 0 to 65535
    engine-server: LISTEN=here: expected an address and port such as 127.0.0.1:8080
    engine-server: METRICS_LISTEN=8001: expected an address and port such as 127.0.0.1:8080
    engine-server: ALLOW_ANONYMOUS_WRITES=maybe: expected true or false
    engine-server: MAX_SCHEDULES=0: expected a whole number in [1, 10000000]
    engine-server: MAX_BODY_BYTES=1MiB: expected a whole number in [1024, 67108864]
    engine-server: MAX_BODY_BYTES=1000: expected a whole number in [1024, 67108864]
    engine-server: MAX_HEAD_BYTES=131073: expected a whole number in [1024, 131072]
    engine-server: MAX_CONNECTIONS=0: expected a whole number in [1, 1000000]
    engine-server: MAX_METRICS_CONNECTIONS=-1: expected a whole number in [1, 10000]
    engine-server: MAX_REQUESTS_IN_FLIGHT=many: expected a whole number in [1, 1000000]
    engine-server: MAX_SCRAPES_IN_FLIGHT=0: expected a whole number in [1, 1000]
    engine-server: REQUEST_TIMEOUT_SECONDS=0: expected a whole number in [1, 3600]
    engine-server: KEEP_ALIVE_SECONDS=1.5: expected a whole number in [1, 3600]
    engine-server: MAX_FLAVOURS=65: expected a whole number in [1, 64]
    engine-server: MAX_LABEL_LENGTH=254: expected a whole number in [1, 253]
    engine-server: DRAIN_SECONDS=3601: expected a whole number of seconds in [0, 3600]
    engine-server: METRICS_MAX_SCHEDULES=-1: expected a whole number
    engine-server: WORKERS=-1: expected a whole number above 0
    engine-server: LOGLEVEL=loud: expected DEBUG, INFO, WARNING, ERROR or CRITICAL
    engine-server: LOG_FORMAT=xml: expected text or json
    engine-server: PROMETHEUS_URL=prometheus:9090: expected an absolute http or https URL, as in https://carbon.example/api
    engine-server: METRICS_POLL_INTERVAL_SEC=often: `often` is not a poll interval: expected a number of seconds in [1, 3600], or 0 for never
    engine-server: METRICS_POLL_INTERVAL_SEC=3601: 3601 is not a poll interval: expected a number of seconds in [1, 3600], or 0 for never
    engine-server: METRICS_QUERY=increase(requests_total[15s]): expected a PromQL query with {window} (seconds) in it, as in increase(requests_total[{window}s])
    engine-server: METRICS_FLAVOUR_LABEL=a-b: expected a label's name: 1 to 63 letters, digits and _, no digit first
    engine-server: SCHEDULER_CALIBRATE=maybe: expected true or false
    "#);
}

#[test]
fn default_flavours_keep_to_the_limits_too() {
    let three = r#"[{"precision": 1}, {"precision": 0.9}, {"precision": 0.8}]"#;
    let output = Launch::bare().env("SCHEDULER_STRATEGIES", three).arg("--max-flavours=2").run();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(told(&output).ends_with("3 flavours: this server takes at most 2\n"), "{}", told(&output));
}

#[test]
fn an_unknown_policy_stops_the_start_and_the_known_ones_are_named() {
    let output = Launch::bare().env("SCHEDULER_POLICY", "carbon-first").run();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = told(&output);
    assert!(said.starts_with("engine-server: SCHEDULER_POLICY=carbon-first: `carbon-first` is not a policy: expected one of constant-mix, credit-greedy, "), "{said}");
}

#[test]
fn a_bad_flag_is_named_as_it_was_typed() {
    for (flag, said) in [
        (
            "--target-error=7",
            "engine-server: --target-error 7: 7 is not a target error: expected a number in [0, 1)\n",
        ),
        (
            "--loglevel=loud",
            "engine-server: --loglevel loud: expected DEBUG, INFO, WARNING, ERROR or CRITICAL\n",
        ),
    ] {
        // The flag wins, also over a good variable.
        let output = Launch::bare().env("TARGET_ERROR", "0.1").env("LOGLEVEL", "INFO").arg(flag).run();
        assert_eq!((output.status.code(), told(&output)), (Some(2), said));
    }
    let unknown = Launch::bare().arg("--no-such-flag").run();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(told(&unknown).contains("unexpected argument '--no-such-flag'"), "{}", told(&unknown));
}

#[test]
fn a_port_that_is_taken_names_the_flag_that_chooses_another() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let free = "127.0.0.1:0";
    for (flag, listen, metrics) in
        [("--listen", address.as_str(), free), ("--metrics-listen", free, address.as_str())]
    {
        let output = Launch::bare()
            .env("LISTEN", listen)
            .env("METRICS_LISTEN", metrics)
            .env("CARBON_PROVIDER", "static:1")
            .run();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{output:?}");
        let start = format!(
            "engine-server: cannot listen on {address}: choose another place with {flag}, e.g. {flag} 127.0.0.1:8080: "
        );
        assert!(told(&output).lines().any(|line| line.starts_with(&start)), "{}", told(&output));
    }
}

#[test]
fn the_metrics_port_is_that_of_the_environment_on_every_address() {
    let launch = Launch::bare()
        .arg("--listen=127.0.0.1:0")
        .env("METRICS_PORT", "0")
        .env("CARBON_PROVIDER", "static:1");
    let server = launch.start();
    assert!(server.metrics.address.ip().is_unspecified(), "{}", server.metrics.address);
    assert_eq!(server.metrics.send("GET", "/metrics", None).status, 200);
}

#[test]
fn an_empty_variable_is_as_good_as_none() {
    let variables = [
        "TARGET_ERROR",
        "CREDIT_WINDOW",
        "SCHEDULER_POLICY",
        "SCHEDULER_STRATEGIES",
        "CARBON_API_TARGET",
        "CARBON_API_URL",
        "LOGLEVEL",
        "LISTEN",
        "METRICS_PORT",
        "METRICS_LISTEN",
        "DEFAULT_SCHEDULE_NAME",
        "ALLOW_ANONYMOUS_WRITES",
        "TOKENS",
        "TLS_CERT",
        "TLS_KEY",
        "TLS_CLIENT_CA",
        "METRICS_TOKENS",
        "METRICS_TLS",
        "MAX_SCHEDULES",
        "MAX_BODY_BYTES",
        "MAX_HEAD_BYTES",
        "KEEP_ALIVE_SECONDS",
        "DRAIN_SECONDS",
        "METRICS_MAX_SCHEDULES",
        "PROMETHEUS_URL",
        "METRICS_QUERY",
        "METRICS_FLAVOUR_LABEL",
        "METRICS_POLL_INTERVAL_SEC",
        "SCHEDULER_CALIBRATE",
    ];
    let launch =
        variables.iter().fold(Launch::bare().arg("--check"), |launch, variable| launch.env(variable, ""));
    let output = launch.run();
    assert_eq!((output.status.code(), &output), (Some(0), &Launch::bare().arg("--check").run()));
}

#[test]
fn check_says_what_would_be_in_force_and_starts_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let launch = Launch::bare().arg("--check").env("LISTEN", &taken.local_addr().unwrap().to_string());
    let output = launch
        .env("TARGET_ERROR", "0.1")
        .env("SCHEDULER_POLICY", "p100")
        .env("STRATEGY_DISCOVERY_INTERVAL", "30")
        .run();
    assert_eq!((output.status.code(), told(&output)), (Some(0), ""));
    let said = String::from_utf8(output.stdout).unwrap();
    for line in [
        "configuration is valid",
        "  targetError = 0.1 (env)",
        "  creditMin = -0.5 (default)",
        "  policy = \"p100\" (env)",
        "warning: discoveryInterval is kept but inactive: flavours are discovered only in Kubernetes",
    ] {
        assert!(said.lines().any(|other| other == line), "{line}: {said}");
    }
    let wrong = Launch::bare().arg("--check").env("TARGET_ERROR", "2").run();
    assert_eq!(wrong.status.code(), Some(2));
    let missing = Launch::bare().arg("--check").env("CARBON_PROVIDER", "trace:/no/such/file.csv").run();
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        told(&missing).starts_with("engine-server: cannot read the trace /no/such/file.csv"),
        "{}",
        told(&missing)
    );
}

#[test]
fn what_is_accepted_but_does_nothing_is_said_once_at_the_start() {
    let launch = Launch::new().env("CARBON_PROVIDER", "static:1").env("STRATEGY_DISCOVERY_INTERVAL", "30");
    let server = launch.start();
    let part = "discoveryInterval is kept but inactive";
    eventually(part, || server.log().contains(part).then_some(()));
    assert_eq!(server.log().matches(part).count(), 1);
    // Not in every schedule: nobody asked for it there.
    assert_eq!(server.configure("t/quiet", &json!({}))["warnings"], json!([]));
}

#[test]
fn the_command_under_try_it_works() {
    let server = Launch::bare()
        .arg("--listen")
        .arg("127.0.0.1:0")
        .arg("--metrics-port")
        .arg("0")
        .arg("--carbon-provider")
        .arg("static:250")
        .start();
    let schedule = server.schedule_when("default/default", |schedule| schedule["forecast"]["now"] == 250.0);
    assert_eq!(schedule["forecast"]["source"], "static");
}
