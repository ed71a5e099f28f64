//! `--help`: it teaches, and it is complete.

use crate::server::Launch;

/// What `flag` alone prints.
fn shown(flag: &str) -> String {
    let output = Launch::bare().arg(flag).run();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help_names_every_variable_with_its_flag_and_default() {
    let help = shown("--help");
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for (variable, default) in [
        ("LISTEN", "0.0.0.0:80"),
        ("METRICS_PORT", "8001"),
        ("LOGLEVEL", "INFO"),
        ("DEFAULT_SCHEDULE_NAMESPACE", "default"),
        ("DEFAULT_SCHEDULE_NAME", "default"),
        ("TARGET_ERROR", "0.05"),
        ("CREDIT_MIN", "-0.5"),
        ("CREDIT_MAX", "0.5"),
        ("CREDIT_WINDOW", "300"),
        ("BUDGET_WINDOW", "172800"),
        ("BUDGET_OVERDRAFT", "0"),
        ("BUDGET_DAILY_AIM", "2"),
        ("SCHEDULER_POLICY", "credit-greedy"),
        ("SCHEDULE_VALID_FOR", "60"),
        ("STRATEGY_DISCOVERY_INTERVAL", "60"),
        ("CARBON_API_TARGET", "national"),
        ("CARBON_API_TIMEOUT", "2"),
        ("CARBON_API_CACHE_TTL", "300"),
        ("CARBON_API_URL", "the UK's own"),
        ("THROTTLE_MIN", "0.2"),
        ("THROTTLE_INTENSITY_FLOOR", "150"),
        ("THROTTLE_INTENSITY_CEILING", "350"),
        ("SCHEDULER_STRATEGIES", "precision 1.0, 0.85 and 0.7"),
        ("METRICS_POLL_INTERVAL_SEC", "15"),
        ("METRICS_LISTEN", "0.0.0.0:METRICS_PORT"),
        ("CARBON_PROVIDER", "uk-carbon-intensity"),
        ("MAX_SCHEDULES", "100000"),
        ("METRICS_FLAVOUR_LABEL", "flavour"),
    ] {
        let flag = format!("--{} ", variable.to_ascii_lowercase().replace('_', "-"));
        let entry = words.split(&flag).nth(1).unwrap_or_else(|| panic!("{flag}: {help}"));
        let entry = entry.split(" --").next().unwrap();
        assert!(
            entry.contains(&format!("[env: {variable}=]"))
                && entry.contains(&format!("[default: {default}]")),
            "{variable}: {entry}"
        );
    }
    for part in ["[env: PROMETHEUS_URL=]", "[env: ALLOW_ANONYMOUS_WRITES=]", "TRY IT", "EXIT CODES"] {
        assert!(help.contains(part), "{part}: {help}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is one text")]
fn help_reads_so() {
    insta::assert_snapshot!(shown("--help"), @r#"
    Carbon-aware decision engine: what share of traffic each flavour of a service gets, so that
    emissions fall when the grid is dirty while the mean error stays within budget.

    Usage: engine-server [OPTIONS]

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Server:
          --listen <ADDRESS:PORT>
              Where the API is served [env: LISTEN=] [default: 0.0.0.0:80]
          --metrics-listen <ADDRESS:PORT>
              Where /metrics is served [default: 0.0.0.0:METRICS_PORT] [env: METRICS_LISTEN=]
          --metrics-port <PORT>
              Port of /metrics [env: METRICS_PORT=] [default: 8001]
          --allow-anonymous-writes[=<true|false>]
              Let anyone who reaches the API write, not loopback alone [env: ALLOW_ANONYMOUS_WRITES=]
          --max-schedules <NUMBER>
              Most schedules; a PUT beyond is answered 429 [env: MAX_SCHEDULES=] [default: 100000]
          --workers <NUMBER>
              Threads that serve the API [default: one per core] [env: WORKERS=]
          --loglevel <LEVEL>
              DEBUG (one line an evaluation), INFO, WARNING, ERROR or CRITICAL, in any case [env:
              LOGLEVEL=] [default: INFO]
          --log-format <FORMAT>
              Logs on stderr as text or json [env: LOG_FORMAT=] [default: text]
          --check
              Say whether this configuration could be started, and exit

    Carbon forecasts:
          --carbon-provider <PROVIDER>  uk-carbon-intensity, static:GRAMS (gCO2eq/kWh), or trace:FILE
                                        (repeated to cover now) [env: CARBON_PROVIDER=] [default:
                                        uk-carbon-intensity]
          --carbon-api-url <URL>        Where the carbon API is: its UK paths are asked first, then
                                        URL/forecast [default: the UK's own] [env: CARBON_API_URL=]
          --carbon-api-target <TARGET>  national, region:1..17 or postcode:OUTWARD [default: national]
                                        [env: CARBON_API_TARGET=]

    Schedule defaults:
          --default-schedule-namespace <NAMESPACE>
              Namespace behind GET /schedule [env: DEFAULT_SCHEDULE_NAMESPACE=] [default: default]
          --default-schedule-name <NAME>
              Name behind GET /schedule [env: DEFAULT_SCHEDULE_NAME=] [default: default]
          --scheduler-policy <POLICY>
              Policy of schedules that name none [default: credit-greedy] [env: SCHEDULER_POLICY=]
          --scheduler-strategies <JSON>
              Flavours of schedules that list none, as a JSON array [default: precision 1.0, 0.85 and
              0.7] [env: SCHEDULER_STRATEGIES=]
          --scheduler-calibrate[=<true|false>]
              Let decisions follow the precision and energy that feedback measured, in schedules that do
              not say [default: false] [env: SCHEDULER_CALIBRATE=]
          --target-error <NUMBER>
              Allowed mean error: a number in [0, 1) [default: 0.05] [env: TARGET_ERROR=]
          --credit-min <NUMBER>
              Lower bound of the credit ledger: a number <= 0 [default: -0.5] [env: CREDIT_MIN=]
          --credit-max <NUMBER>
              Upper bound of the credit ledger: a number >= 0 [default: 0.5] [env: CREDIT_MAX=]
          --credit-window <NUMBER>
              Smoothing window of the credit velocity, in seconds: a number of seconds in [1, 2592000]
              [default: 300] [env: CREDIT_WINDOW=]
          --budget-window <NUMBER>
              Window of the error budget, in seconds: a number of seconds in [3600, 2592000] [default:
              172800] [env: BUDGET_WINDOW=]
          --budget-overdraft <NUMBER>
              Overdraft of the error budget, in budgets of one window: a number in [0, 1] [default: 0]
              [env: BUDGET_OVERDRAFT=]
          --budget-daily-aim <NUMBER>
              Multiple of the target error aimed at in any 24 h: a number >= 1 [default: 2] [env:
              BUDGET_DAILY_AIM=]
          --schedule-valid-for <NUMBER>
              How long a schedule is valid, in seconds: a number of seconds in [1, 86400] [default: 60]
              [env: SCHEDULE_VALID_FOR=]
          --strategy-discovery-interval <NUMBER>
              Pause between flavour discoveries, in seconds: a number of seconds in [1, 86400] [default:
              60] [env: STRATEGY_DISCOVERY_INTERVAL=]
          --carbon-api-timeout <NUMBER>
              Patience with the carbon provider, in seconds: a number of seconds in (0, 86400] [default:
              2] [env: CARBON_API_TIMEOUT=]
          --carbon-api-cache-ttl <NUMBER>
              Life of a fetched forecast, in seconds: a number of seconds in [1, 86400] [default: 300]
              [env: CARBON_API_CACHE_TTL=]
          --throttle-min <NUMBER>
              Smallest processing throttle: a number in [0, 1] [default: 0.2] [env: THROTTLE_MIN=]
          --throttle-intensity-floor <NUMBER>
              Carbon intensity up to which nothing is throttled, in gCO2eq/kWh: a number of gCO2eq/kWh
              >= 0 [default: 150] [env: THROTTLE_INTENSITY_FLOOR=]
          --throttle-intensity-ceiling <NUMBER>
              Carbon intensity from which throttling is complete, in gCO2eq/kWh: a number of gCO2eq/kWh
              >= 0 [default: 350] [env: THROTTLE_INTENSITY_CEILING=]

    Feedback:
          --prometheus-url <URL>
              Where Prometheus is, to be asked for the requests that were served [default: nobody is
              asked] [env: PROMETHEUS_URL=]
          --metrics-poll-interval-sec <SECONDS>
              How often each schedule's are asked for, 1 to 3600 [default: 15] [env:
              METRICS_POLL_INTERVAL_SEC=]
          --metrics-query <PROMQL>
              What is asked; {namespace}, {schedule}, {window} (seconds) and {label} are filled in
              [default: the increase of router_http_requests_total by flavour in the namespace] [env:
              METRICS_QUERY=]
          --metrics-flavour-label <LABEL>
              Label of the answer that names the flavour [env: METRICS_FLAVOUR_LABEL=] [default:
              flavour]

    TRY IT
      engine-server --listen 127.0.0.1:8080 --carbon-provider static:250
      curl http://127.0.0.1:8080/schedule
      curl -X PUT http://127.0.0.1:8080/config/default/default -H 'Content-Type: application/json' \
           -d '{"strategies": [{"precision": 1.0}, {"precision": 0.85}, {"precision": 0.7}]}'

    Every flag can be set by its variable; a flag wins. An empty variable is as good as none.

    EXIT CODES
      0  stopped by SIGTERM or SIGINT, or --check found nothing wrong
      1  could not start, or stopped by a fault
      2  a flag or variable is wrong
    "#);
    assert_eq!(shown("--version"), format!("engine-server {}\n", env!("CARGO_PKG_VERSION")));
}
