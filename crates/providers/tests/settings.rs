//! What an operator says of providers, as any binary hands it in.
#![cfg(feature = "http")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops where something is wrong")]

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use models::{CarbonTarget, Timestamp};
use providers::Plan;
use providers::settings::{BadSetting, Given, MixedProviders, SPECS, chain};
use providers::trace::TraceAdapter;

/// Settings by flag, and one file.
struct Typed(BTreeMap<&'static str, &'static str>);

impl Given for Typed {
    fn text(&self, flag: &str) -> Option<&str> {
        assert!(SPECS.iter().any(|spec| spec.flag == flag), "{flag} is no setting");
        self.0.get(flag).copied()
    }

    fn wrong(&self, flag: &str, problem: &dyn Display) -> BadSetting {
        BadSetting::new(format!("--{flag} {}: {problem}", self.0.get(flag).copied().unwrap_or_default()))
    }

    fn file(&self, path: &str) -> Result<String, String> {
        if path == "/key" { Ok("from-a-file\n".into()) } else { Err("no such file".into()) }
    }
}

fn typed(settings: &[(&'static str, &'static str)]) -> Typed {
    Typed(settings.iter().copied().collect())
}

/// The names of who is asked, and what the first one asks for `target`.
fn asked(settings: &[(&'static str, &'static str)], target: &str) -> (Vec<String>, String) {
    let chain = chain(&typed(settings)).unwrap();
    let no_trace = |_: &Path| -> Result<TraceAdapter, MixedProviders> { panic!("no trace is asked for") };
    let adapters = chain.adapters(no_trace).unwrap();
    let now: Timestamp = "2026-11-23T15:00:00Z".parse().unwrap();
    let url = match adapters.first().unwrap().plan(&CarbonTarget::from(target), now).unwrap() {
        Plan::Ask(request) => request.url,
        Plan::Known(_) => String::new(),
    };
    (adapters.iter().map(|adapter| adapter.name().to_owned()).collect(), url)
}

fn refused(settings: &[(&'static str, &'static str)]) -> String {
    chain(&typed(settings)).unwrap_err().to_string()
}

#[test]
fn every_provider_is_made_of_its_settings() {
    for (settings, target, names, url) in [
        (&[][..], "national", &["uk-carbon-intensity"][..], "https://api.carbonintensity.org.uk/"),
        (
            &[("carbon-api-url", "http://legacy.example"), ("carbon-api-zone", "zone:DE")],
            "national",
            &["uk-carbon-intensity", "legacy-forecast"],
            "http://legacy.example/intensity",
        ),
        (
            &[
                ("carbon-provider", "electricity-maps"),
                ("electricity-maps-token-file", "/key"),
                ("electricity-maps-url", "http://maps.example"),
                ("electricity-maps-emission-factor-type", "direct"),
                ("electricity-maps-horizon-hours", "48"),
                ("electricity-maps-granularity", "15_minutes"),
                ("electricity-maps-header", "x-key"),
            ],
            "zone:DE",
            &["electricity-maps"],
            "http://maps.example/",
        ),
        (
            &[("carbon-provider", "carbon-aware-sdk"), ("carbon-aware-sdk-url", "http://sdk.example")],
            "location:eastus",
            &["carbon-aware-sdk"],
            "http://sdk.example/",
        ),
        (
            &[
                ("carbon-provider", "configmap"),
                ("carbon-configmap-file", "/etc/forecast"),
                ("carbon-configmap-signal", "marginal"),
                ("carbon-configmap-zone", "zone:DE"),
            ],
            "zone:DE",
            &["configmap"],
            "file:///etc/forecast",
        ),
        (
            &[
                ("carbon-provider", "prometheus, static:250"),
                ("carbon-prometheus-query", "carbon"),
                ("prometheus-url", "http://prometheus.example"),
                ("carbon-prometheus-slot", "900"),
            ],
            "national",
            &["prometheus", "static"],
            "http://prometheus.example/",
        ),
    ] {
        let (made, asks) = asked(settings, target);
        assert_eq!(made, names, "{settings:?}");
        assert!(asks.starts_with(url), "{asks} for {settings:?}");
    }
    let watttime = [
        ("carbon-provider", "watttime"),
        ("watttime-username", "somebody"),
        ("watttime-password", "secret"),
        ("watttime-url", "http://watttime.example"),
    ];
    let no_trace = |_: &Path| -> Result<TraceAdapter, MixedProviders> { panic!("no trace is asked for") };
    let adapters = chain(&typed(&watttime)).unwrap().adapters(no_trace).unwrap();
    assert_eq!(adapters.first().unwrap().name(), "watttime");
    assert!(!format!("{:?}", chain(&typed(&watttime)).unwrap()).contains("secret"));
}

#[test]
fn what_is_wrong_is_named_with_what_would_be_right() {
    let messages: Vec<String> = [
        &[("carbon-provider", "uk")][..],
        &[("carbon-provider", "static:-5")],
        &[("carbon-provider", "trace:")],
        &[("carbon-api-url", "ftp://x")],
        &[("carbon-api-url", "http://x.example"), ("carbon-api-zone", "nowhere at all")],
        &[("carbon-provider", "electricity-maps")],
        &[("carbon-provider", "electricity-maps"), ("electricity-maps-token-file", "/none")],
        &[("carbon-provider", "electricity-maps"), ("electricity-maps-token", "k\u{e9}y")],
        &[
            ("carbon-provider", "electricity-maps"),
            ("electricity-maps-token", "k"),
            ("electricity-maps-token-file", "/key"),
        ],
        &[
            ("carbon-provider", "electricity-maps"),
            ("electricity-maps-token", "k"),
            ("electricity-maps-header", "a b"),
        ],
        &[
            ("carbon-provider", "electricity-maps"),
            ("electricity-maps-token", "k"),
            ("electricity-maps-emission-factor-type", "both"),
        ],
        &[
            ("carbon-provider", "electricity-maps"),
            ("electricity-maps-token", "k"),
            ("electricity-maps-horizon-hours", "7"),
        ],
        &[
            ("carbon-provider", "electricity-maps"),
            ("electricity-maps-token", "k"),
            ("electricity-maps-granularity", "daily"),
        ],
        &[("carbon-provider", "watttime")],
        &[("carbon-provider", "watttime"), ("watttime-username", "a:b"), ("watttime-password", "s")],
        &[("carbon-provider", "carbon-aware-sdk")],
        &[
            ("carbon-provider", "carbon-aware-sdk"),
            ("carbon-aware-sdk-url", "http://x.example"),
            ("carbon-aware-sdk-signal", "mean"),
        ],
        &[("carbon-provider", "configmap")],
        &[
            ("carbon-provider", "configmap"),
            ("carbon-configmap-url", "http://x.example"),
            ("carbon-configmap-file", "/f"),
        ],
        &[("carbon-provider", "prometheus")],
        &[("carbon-provider", "prometheus"), ("carbon-prometheus-query", "q")],
        &[
            ("carbon-provider", "prometheus"),
            ("carbon-prometheus-query", "q"),
            ("prometheus-url", "http://x.example"),
            ("carbon-prometheus-slot", "0"),
        ],
        &[
            ("carbon-provider", "configmap,static:5,carbon-aware-sdk"),
            ("carbon-configmap-file", "/f"),
            ("carbon-configmap-signal", "marginal"),
            ("carbon-aware-sdk-url", "http://x.example"),
        ],
    ]
    .into_iter()
    .map(refused)
    .collect();
    insta::assert_snapshot!(messages.join("\n"));
}
