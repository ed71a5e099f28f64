//! Several replicas: one leads, the others serve reads and take over.

use serde_json::json;

use super::{World, ready};
use crate::eventually;
use crate::server::Server;

/// Whether that one leads.
pub(super) fn leads(server: &Server) -> bool {
    // One that has just ended answers nothing.
    let answer = server.metrics.try_send("GET", "/metrics", None);
    answer.is_ok_and(|answer| answer.text().lines().any(|line| line == "replica_leads 1"))
}

#[test]
fn a_follower_serves_the_same_bytes_and_passes_no_write() {
    let world = World::new();
    let leader = ready(world.launch_replica());
    eventually("the first one leads", || leads(&leader).then_some(()));
    leader.configure("shop/search", &json!({"targetError": 0.2, "validFor": 2}));
    let follower = ready(world.launch_replica());
    assert!(!leads(&follower));
    let same = || {
        let (one, other) = (leader.get("/schedule/shop/search"), follower.get("/schedule/shop/search"));
        (one.status == 200 && other.status == 200 && one.text() == other.text()).then(|| one.json())
    };
    let first = eventually("both serve the same", same);
    eventually("they go on together", || {
        same().filter(|schedule| schedule["validUntil"] != first["validUntil"])
    });
    assert_eq!(leader.get("/config/shop/search").text(), follower.get("/config/shop/search").text());
    let refused = follower.put("/config/shop/search", &json!({"targetError": 0.3}));
    assert_eq!((refused.status, refused.field("retry-after")), (503, "1"), "{refused:?}");
    assert!(refused.text().contains("another replica decides"), "{refused:?}");
    assert!(leads(&leader) && !leads(&follower));
}

#[test]
fn the_follower_goes_on_where_a_killed_leader_ended() {
    let world = World::new();
    let mut leader = ready(world.launch_replica());
    eventually("the first one leads", || leads(&leader).then_some(()));
    leader.configure("shop/search", &json!({"targetError": 0.2}));
    let counts = json!({"window_seconds": 30, "total_requests": 100, "flavour_counts": {"precision-100": 100}, "source": "r", "sequence": 1});
    let told = leader.post("/feedback/shop/search", &counts).json();
    let follower = ready(world.launch_replica());
    leader.kill();
    eventually("the follower leads", || leads(&follower).then_some(()));
    let again = eventually("it counts", || {
        let answer = follower.post("/feedback/shop/search", &counts);
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(again["duplicate"], true, "{told} {again}");
    let config = follower.get("/config/shop/search").json();
    assert_eq!(config["config"]["targetError"], json!({"value": 0.2, "source": "put"}));
}

#[test]
fn a_leader_that_stops_hands_over_at_once() {
    let world = World::new();
    let mut leader = ready(world.launch_replica().arg("--lease-seconds").arg("60"));
    eventually("the first one leads", || leads(&leader).then_some(()));
    leader.configure("shop/search", &json!({"targetError": 0.2}));
    let follower = ready(world.launch_replica().arg("--lease-seconds").arg("60"));
    leader.terminate();
    assert!(leader.ended().success());
    // Nobody waits for a minute.
    eventually("the follower leads", || leads(&follower).then_some(()));
    eventually("it takes writes", || {
        (follower.put("/config/shop/search", &json!({"targetError": 0.3})).status == 202).then_some(())
    });
}
