//! The file that CONTRIBUTING.md shows, as this crate would have it.

#[expect(unreachable_pub, reason = "it stands as it would if its crate named it")]
#[path = "../tests/contributing/grid_hub.rs"]
mod grid_hub;

use models::CarbonTarget;

use crate::adapter::{Adapter as _, Plan};

#[test]
fn slots_of_a_grid_hub_are_asked_for_and_read() {
    let hub = grid_hub::GridHub::new("http://hub.example/");
    let (target, now) = (CarbonTarget::from("national"), "2026-11-23T15:00:00Z".parse().unwrap());
    let Ok(Plan::Ask(request)) = hub.plan(&target, now) else { panic!("it asks at once") };
    assert_eq!((request.url.as_str(), hub.name()), ("http://hub.example/slots", "grid-hub"));
    let body =
        br#"{"slots": [{"start": "2026-11-23T15:00:00Z", "end": "2026-11-23T15:30:00Z", "grams": 250}]}"#;
    let answer = hub.parse(&target, body, now).unwrap();
    assert_eq!(answer.forecast.at(now).map(|slot| slot.forecast.get()), Some(250.0));
    assert!(hub.knows_one_grid() && hub.parse(&target, b"{}", now).is_err());
}
