//! `--help`: it teaches, and it is complete.

use crate::server::Launch;

/// What `flag` alone prints.
fn shown(flag: &str) -> String {
    let output = Launch::bare().arg(flag).run();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is as long as the help")]
fn help_reads_so() {
    insta::assert_snapshot!(shown("--help"), @r#"
    Carbon-aware decision engine: what share of traffic each flavour of a service gets, so that
    emissions fall when the grid is dirty while the mean error stays within budget.

    Usage: engine-server [OPTIONS] [COMMAND]

    Commands:
      state    Check, export and import what --state-dir keeps, while no server uses it
      openapi  Print the description of the API, as GET /openapi.json answers it
      crd      Print the custom resource definition of TrafficSchedule, to be applied to a cluster
      help     Print this message or the help of the given subcommand(s)

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
          --drain-seconds <SECONDS>
              After SIGTERM, how long everything is still served while /readyz says 503, 0 to 3600 [env:
              DRAIN_SECONDS=] [default: 5]
          --metrics-max-schedules <NUMBER>
              Most schedules with series of their own on /metrics [env: METRICS_MAX_SCHEDULES=]
              [default: 10000]
          --workers <NUMBER>
              Threads that serve the API [default: one per core] [env: WORKERS=]
          --loglevel <LEVEL>
              DEBUG (one line an evaluation), INFO, WARNING, ERROR or CRITICAL, in any case [env:
              LOGLEVEL=] [default: INFO]
          --log-format <FORMAT>
              Logs on stderr as text or json [env: LOG_FORMAT=] [default: text]
          --check
              Say whether this configuration could be started, and exit

    Limits:
          --max-body-bytes <BYTES>
              Largest body of a request, in [1024, 67108864]; beyond it: 413 [env: MAX_BODY_BYTES=]
              [default: 1048576]
          --max-head-bytes <BYTES>
              Largest head of a request: its first line and its header fields, 96 at most, in [1024,
              131072]; beyond it: 431, and the connection is closed [env: MAX_HEAD_BYTES=] [default:
              32768]
          --max-connections <NUMBER>
              Most open connections to the API, all workers together, in [1, 1000000]; beyond it: they
              wait, unanswered, until another one ends [env: MAX_CONNECTIONS=] [default: 16384]
          --max-metrics-connections <NUMBER>
              Most open connections to the metrics port, in [1, 10000]; beyond it: they wait,
              unanswered, until another one ends [env: MAX_METRICS_CONNECTIONS=] [default: 64]
          --max-requests-in-flight <NUMBER>
              Most requests under way of those that can wait: writes, lists, exports, in [1, 1000000];
              beyond it: 503 with Retry-After [env: MAX_REQUESTS_IN_FLIGHT=] [default: 1024]
          --max-scrapes-in-flight <NUMBER>
              Most answers of /metrics under way, in [1, 1000]; beyond it: 503 with Retry-After [env:
              MAX_SCRAPES_IN_FLIGHT=] [default: 4]
          --request-timeout-seconds <SECONDS>
              Longest time for a request's head to arrive, and for its body, in [1, 3600]; beyond it:
              408, and the connection is closed [env: REQUEST_TIMEOUT_SECONDS=] [default: 15]
          --keep-alive-seconds <SECONDS>
              How long a connection may be idle between requests, in [1, 3600]; beyond it: it is closed
              [env: KEEP_ALIVE_SECONDS=] [default: 75]
          --max-schedules <NUMBER>
              Most schedules, in [1, 10000000]; beyond it: 429 with Retry-After [env: MAX_SCHEDULES=]
              [default: 100000]
          --max-flavours <NUMBER>
              Most flavours of a schedule, in [1, 64]; beyond it: 422 [env: MAX_FLAVOURS=] [default: 64]
          --max-label-length <BYTES>
              Longest name of a flavour or component: both are labels in metrics, in [1, 253]; beyond
              it: 422 [env: MAX_LABEL_LENGTH=] [default: 253]

    Access:
          --tokens <FILE>                  A file of `ROLE TOKEN` a line, ROLE being read, write or
                                           write:namespace[,namespace..]; then nobody gets in without
                                           one, but for the probes [default: none, anyone may read]
                                           [env: TOKENS]
          --tls-cert <FILE>                PEM file of the certificate that the API is served with, by
                                           https, and those that lead to its authority [default: none,
                                           plain http] [env: TLS_CERT=]
          --tls-key <FILE>                 PEM file of its private key [env: TLS_KEY=]
          --tls-client-ca <FILE>           PEM file of authorities: clients need a certificate of one of
                                           them [env: TLS_CLIENT_CA=]
          --metrics-tokens[=<true|false>]  Ask on the metrics port for a token, too [default: false]
                                           [env: METRICS_TOKENS=]
          --metrics-tls[=<true|false>]     Serve the metrics port with the same certificates, too
                                           [default: false] [env: METRICS_TLS=]

    State:
          --state-dir <FOLDER>   Folder that configurations, ledgers and what was learned are kept in,
                                 made if need be; it outlasts kill -9 and power loss [default: none, a
                                 restart forgets] [env: STATE_DIR=]
          --journal-days <DAYS>  How far back engine-sim replay can begin, in days in [0, 366] [env:
                                 JOURNAL_DAYS=] [default: 7]
          --journal-mib <MIB>    Most disk that only replays need, in MiB in [0, 65535] [env:
                                 JOURNAL_MIB=] [default: 256]

    Kubernetes:
          --kubernetes[=<MODE>]
              Configure schedules by the TrafficSchedules of the cluster that KUBECONFIG or the pod's
              service account names, with flavours by its labelled Deployments, and write their status:
              `full`; or write their status alone: `status-only` [default: no cluster] [env:
              KUBERNETES_MODE=]
          --kubernetes-namespaces <NAMESPACES>
              Namespaces to look at, with commas between [default: all] [env: KUBERNETES_NAMESPACES=]
          --kubernetes-writes-per-second <NUMBER>
              Most statuses written in a second, 1 to 10000 [env: KUBERNETES_WRITES_PER_SECOND=]
              [default: 100]
          --replicated[=<true|false>]
              Be one of several replicas: one leads, the others know what it knows, take over from it,
              and serve reads meanwhile; state is kept in the cluster [env: REPLICATED=]
          --replica-group <NAME>
              Name of the replicas' lease, and what the names of their objects begin with [env:
              REPLICA_GROUP=] [default: engine-server]
          --replica-namespace <NAMESPACE>
              Where those are [default: the pod's namespace, or that of KUBECONFIG] [env:
              REPLICA_NAMESPACE=]
          --replica-address <URL>
              Where the others reach this one, e.g. http://10.1.2.3:80: what only the leader does is
              passed on to it, but not by https [default: where it listens, if that is one address]
              [env: REPLICA_ADDRESS=]
          --lease-seconds <SECONDS>
              How long a leader that is not heard of is waited for, 1 to 3600 [env: LEASE_SECONDS=]
              [default: 10]
          --commit-interval-ms <MILLISECONDS>
              Shortest time from one write of the replicas' state to the next, 0 to 2000: what waits is
              written together [env: COMMIT_INTERVAL_MS=] [default: 200]

    Carbon forecasts:
          --carbon-provider <PROVIDERS>
              Whom to ask, in order, with commas between: uk-carbon-intensity, electricity-maps,
              watttime, carbon-aware-sdk, configmap, prometheus, static:GRAMS (gCO2eq/kWh), or
              trace:FILE (repeated to cover now) [env: CARBON_PROVIDER=] [default: uk-carbon-intensity]
          --carbon-api-url <URL>
              Where the UK's carbon API is: its paths are asked first, then URL/forecast [default: the
              UK's own] [env: CARBON_API_URL=]
          --carbon-api-target <TARGET>
              What the first provider knows: national, region:1..17 or postcode:OUTWARD in the UK,
              zone:DE, region:CAISO_NORTH, location:northeurope [default: national] [env:
              CARBON_API_TARGET=]
          --carbon-api-zone <TARGET>
              The one grid that URL/forecast knows, as a carbonTarget: other targets are not asked there
              [default: it is taken for every target] [env: CARBON_API_ZONE=]
          --electricity-maps-token <SECRET>
              Key of Electricity Maps; the variable or a file keeps it out of the list of processes
              [env: ELECTRICITY_MAPS_TOKEN]
          --electricity-maps-token-file <FILE>
              A file with that key [env: ELECTRICITY_MAPS_TOKEN_FILE=]
          --electricity-maps-url <URL>
              Where Electricity Maps is, version included [env: ELECTRICITY_MAPS_URL=] [default:
              https://api.electricitymaps.com/v3]
          --electricity-maps-header <NAME>
              Header field that takes the key [env: ELECTRICITY_MAPS_HEADER=] [default: auth-token]
          --electricity-maps-emission-factor-type <TYPE>
              Which emissions count: lifecycle or direct [env: ELECTRICITY_MAPS_EMISSION_FACTOR_TYPE=]
              [default: lifecycle]
          --electricity-maps-horizon-hours <HOURS>
              How far ahead to ask: 6, 24, 48 or 72, as the plan covers [default: what the service
              thinks best] [env: ELECTRICITY_MAPS_HORIZON_HOURS=]
          --electricity-maps-granularity <LENGTH>
              Slots to ask for: hourly, 15_minutes or 5_minutes, as the plan covers [default: what the
              service thinks best] [env: ELECTRICITY_MAPS_GRANULARITY=]
          --watttime-username <NAME>
              User name at WattTime [env: WATTTIME_USERNAME]
          --watttime-password <SECRET>
              Password at WattTime; the variable or a file keeps it out of the list of processes [env:
              WATTTIME_PASSWORD]
          --watttime-password-file <FILE>
              A file with that password [env: WATTTIME_PASSWORD_FILE=]
          --watttime-url <URL>
              Where WattTime is [env: WATTTIME_URL=] [default: https://api.watttime.org]
          --carbon-aware-sdk-url <URL>
              Where the Carbon Aware SDK's WebApi is [env: CARBON_AWARE_SDK_URL=]
          --carbon-aware-sdk-signal <SIGNAL>
              What it tells, by the source behind it: average or marginal [env:
              CARBON_AWARE_SDK_SIGNAL=] [default: average]
          --carbon-configmap-url <URL>
              Where the exporter's ConfigMap is answered as JSON [env: CARBON_CONFIGMAP_URL=]
          --carbon-configmap-file <FILE>
              The file of that ConfigMap where it is mounted [env: CARBON_CONFIGMAP_FILE=]
          --carbon-configmap-signal <SIGNAL>
              What it tells, by the source behind it: average or marginal [env:
              CARBON_CONFIGMAP_SIGNAL=] [default: average]
          --carbon-configmap-zone <TARGET>
              The one grid that it knows, as a carbonTarget: other targets are refused [default: it is
              taken for every target] [env: CARBON_CONFIGMAP_ZONE=]
          --carbon-prometheus-query <PROMQL>
              An expression in gCO2eq/kWh that gives one series [env: CARBON_PROMETHEUS_QUERY=]
          --carbon-prometheus-slot <SECONDS>
              How long such a value holds, in seconds in [1, 86400] [env: CARBON_PROMETHEUS_SLOT=]
              [default: 1800]
          --carbon-prometheus-signal <SIGNAL>
              What it tells: average or marginal [env: CARBON_PROMETHEUS_SIGNAL=] [default: average]
          --carbon-prometheus-zone <TARGET>
              The one grid that the expression is of, as a carbonTarget: other targets are refused
              [default: it is taken for every target] [env: CARBON_PROMETHEUS_ZONE=]
          --carbon-rate <CALLS>
              Most calls per second to each provider, evenly spread [env: CARBON_RATE=] [default: 10]
          --carbon-quota <QUOTAS>
              Calls that may be made in any hour and any day, paced over them: PROVIDER=CALLS/h+CALLS/d,
              with commas between providers [default: as many as are wanted] [env: CARBON_QUOTA=]
          --vintages-days <DAYS>
              How far back received forecasts are kept for replays, in [1, 366] [env: VINTAGES_DAYS=]
              [default: 60]
          --vintages-mib <MIB>
              Most memory they take, in MiB in [0, 65535]; an eighth of it for one target [env:
              VINTAGES_MIB=] [default: 64]

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
              Where Prometheus is, to be asked for the requests that were served, and for
              CARBON_PROMETHEUS_QUERY [default: nobody is asked] [env: PROMETHEUS_URL=]
          --metrics-poll-interval-sec <SECONDS>
              How often each schedule's are asked for, 1 to 3600, or 0 for never [default: 15] [env:
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
