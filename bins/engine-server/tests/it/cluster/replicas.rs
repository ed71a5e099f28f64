//! Several replicas: one leads, the others serve reads and take over.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{World, ready};
use crate::server::Server;
use crate::{eventually, within};

/// Whether that one leads.
pub(super) fn leads(server: &Server) -> bool {
    // One that has just ended answers nothing.
    let answer = server.metrics.try_send("GET", "/metrics", None);
    answer.is_ok_and(|answer| answer.text().lines().any(|line| line == "replica_leads 1"))
}

#[test]
fn a_follower_serves_the_same_bytes_and_passes_writes_on() {
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
    // What only the leader does is done by it, and answered by it.
    follower.configure("shop/search", &json!({"targetError": 0.3}));
    let answer = leader.get("/config/shop/search").json();
    assert_eq!(answer["config"]["targetError"]["value"], 0.3);
    let wrong = follower.put("/config/shop/search", &json!({"targetError": 3}));
    assert_eq!((wrong.status, &wrong.json()["errors"][0]["pointer"]), (422, &json!("/targetError")));
    assert_eq!(follower.client.send_with("PUT", "/config/shop/search", &[], "{}").status, 415);
    let counts =
        json!({"window_seconds": 30, "total_requests": 100, "flavour_counts": {"precision-100": 100}});
    assert_eq!(follower.post("/feedback/shop/search", &counts).json()["total_requests"], 100);
    assert_eq!(follower.delete("/config/shop/search").json(), json!({"status": "deleted"}));
    eventually("it is gone there, too", || {
        (follower.get("/schedule/shop/search").status == 404).then_some(())
    });
    // What was passed on already is passed on no further.
    let fields = [("Via", "1.1 engine-server"), ("Content-Type", "application/json")];
    let refused = follower.client.send_with("PUT", "/config/shop/search", &fields, "{}");
    assert_eq!((refused.status, refused.field("retry-after")), (503, "1"), "{refused:?}");
    assert!(refused.text().contains("another replica decides, at http://"), "{refused:?}");
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

#[test]
fn without_an_address_writes_are_turned_away_for_a_while() {
    let world = World::new();
    let launch = || world.launch_replica().env("REPLICA_ADDRESS", "https://leader.invalid");
    let leader = ready(launch());
    eventually("the first one leads", || leads(&leader).then_some(()));
    let follower = ready(launch());
    let refused = follower.put("/config/shop/search", &json!({}));
    assert_eq!((refused.status, refused.field("retry-after")), (503, "1"), "{refused:?}");
    assert!(refused.text().contains("https://leader.invalid"), "{refused:?}");
}

#[test]
fn while_the_cluster_cannot_be_asked_both_serve_and_decide_and_afterwards_agree_again() {
    let mut world = World::fake();
    let mut leader = ready(world.launch_replica());
    eventually("the first one leads", || leads(&leader).then_some(()));
    leader.configure("shop/search", &json!({"validFor": 2}));
    let follower = ready(world.launch_replica());
    let valid_until = |server: &Server| crate::instant(&server.schedule("shop/search")["validUntil"]);
    eventually("it follows", || (follower.get("/schedule/shop/search").status == 200).then_some(()));
    world.api_mut().go_down();
    let begun = valid_until(&leader);
    for server in [&leader, &follower] {
        // Longer than the lease lasts, and than what was published is valid.
        let later = begun + Duration::from_secs(6);
        server.schedule_when("shop/search", |schedule| crate::instant(&schedule["validUntil"]) >= later);
        let refused = server.put("/config/shop/search", &json!({"targetError": 0.3}));
        assert_eq!(refused.status, 503, "{refused:?}");
    }
    world.api_mut().come_back();
    eventually("one leads", || (leads(&leader) || leads(&follower)).then_some(()));
    // Whoever led and does not any more begins anew.
    if within(Duration::from_secs(2), || leader.has_ended()).is_some() {
        leader = ready(world.launch_replica());
    }
    eventually("writes are taken again", || {
        (follower.put("/config/shop/search", &json!({"validFor": 2, "targetError": 0.4})).status == 202)
            .then_some(())
    });
    eventually("both serve the same", || {
        let (one, other) = (leader.get("/schedule/shop/search"), follower.get("/schedule/shop/search"));
        (one.status == 200 && one.text() == other.text()).then_some(())
    });
}

#[test]
fn a_lease_is_over_by_ones_own_watch_whatever_time_its_holder_thought_it_was() {
    for renewed in ["2001-01-01T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z"] {
        let world = World::new();
        let spec = json!({"holderIdentity": "ghost", "leaseDurationSeconds": 2, "renewTime": renewed});
        world.create("Lease", json!({"metadata": {"name": "engine-server"}, "spec": spec}));
        let began = Instant::now();
        let server = world.launch_replica().start();
        eventually("it leads", || leads(&server).then_some(()));
        // Not before it has seen for that long that nobody renews it, and soon afterwards.
        assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    }
}
