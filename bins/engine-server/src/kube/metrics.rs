//! What is counted of the cluster.

/// What may become of a status that is written.
pub(super) const OUTCOMES: [&str; 6] =
    ["written", "conflict", "gone", "rejected", "throttled", "unavailable"];

/// Says what the series mean, and begins them at zero: an increase from nothing shows nowhere.
pub(crate) fn describe() {
    metrics::describe_counter!("kubernetes_requests_total", "Requests to the API server, by verb.");
    metrics::describe_counter!(
        "kubernetes_watch_events_total",
        "What the API server told, by kind of object; a list counts once."
    );
    metrics::describe_counter!(
        "kubernetes_watch_errors_total",
        "Lists and watches that failed or ended with an error, by kind of object."
    );
    metrics::describe_counter!("kubernetes_status_writes_total", "Statuses written, by what became of it.");
    metrics::describe_gauge!("kubernetes_objects", "TrafficSchedules that are known.");
    metrics::describe_gauge!(
        "kubernetes_status_lag_seconds",
        "How long the status that waits longest has been due."
    );
    for verb in ["read", "watch", "write"] {
        metrics::counter!("kubernetes_requests_total", "verb" => verb).increment(0);
    }
    for kind in ["TrafficSchedule", "Deployment"] {
        metrics::counter!("kubernetes_watch_events_total", "kind" => kind).increment(0);
        metrics::counter!("kubernetes_watch_errors_total", "kind" => kind).increment(0);
    }
    for outcome in OUTCOMES {
        metrics::counter!("kubernetes_status_writes_total", "outcome" => outcome).increment(0);
    }
    metrics::gauge!("kubernetes_objects").set(0.0);
    metrics::gauge!("kubernetes_status_lag_seconds").set(0.0);
}
