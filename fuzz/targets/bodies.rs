//! Bodies of requests: configuration, feedback, override. What is understood says the same written down again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use models::{Config, Feedback, FlavourSet, Manual, Overrides, body};

fuzz_target!(|bytes: &[u8]| {
    let Ok(body) = body::object(bytes) else { return };
    if let Ok(parsed) = Overrides::from_json(&body) {
        let again = Overrides::from_json(&parsed.overrides.to_json()).expect("it was understood");
        assert_eq!(again.overrides, parsed.overrides);
        let config = Config::resolve(&Overrides::default(), &parsed.overrides);
        assert!(config.to_json().values().all(|value| value.is_object()));
    }
    if let Ok((feedback, _)) = Feedback::from_json(&body) {
        let (again, ignored) = Feedback::from_json(&feedback.to_json()).expect("it was understood");
        assert_eq!((again, ignored), (feedback, Vec::new()));
    }
    if let Ok(manual) = Manual::from_json(&body) {
        let again = Manual::from_json(&manual.to_json()).expect("it was understood");
        assert!(again.ignored.is_empty());
        if let Ok(shares) = manual.shares(&FlavourSet::builtin()) {
            let sum: f64 = shares.iter().sum();
            assert!(shares.iter().all(|share| *share >= 0.0) && (sum - 1.0).abs() < 1e-6, "{shares:?}");
        }
    }
});
