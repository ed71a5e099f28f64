//! Thousands of objects.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{World, holds, metric};
use crate::server::Server;
use crate::{eventually, within};

const SCHEDULES: &str = "scheduling.carbonrouter.io/v1alpha1/trafficschedules";
const COUNT: usize = 5_000;

/// The memory of a server, as the system has it.
fn resident(server: &Server) -> String {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default().to_owned()
}

#[test]
fn five_thousand_objects_are_configured_and_their_statuses_written_at_the_pace_that_was_asked_for() {
    let world = World::fake();
    let spec = json!({"scheduler": {"targetError": "0.1", "validFor": 3600}});
    let objects = (0..COUNT).map(|number| json!({"metadata": {"name": format!("s{number}")}, "spec": spec}));
    world.api().fill(SCHEDULES, &world.namespace, objects);
    let launch = world.launch().arg("--kubernetes-writes-per-second").arg("1000");
    let began = Instant::now();
    let server = launch.start();
    let is_ready = |object: &Value| holds(&object["status"], "Ready", "Scheduled");
    let all = within(Duration::from_mins(2), || {
        let ready = world.api().all(SCHEDULES).iter().filter(|object| is_ready(object)).count();
        (ready == COUNT).then_some(())
    });
    assert!(all.is_some(), "{} writes", world.api().writes().len());
    let took = began.elapsed();
    let writes: Vec<_> = world.api().writes().into_iter().filter(|write| write.is_status).collect();
    // No more than what may come at once, and what is allowed in each second since; some are under way.
    let last = writes.iter().map(|write| write.at).max().unwrap().duration_since(began);
    assert!(COUNT as f64 <= 1_000.0 + 1_000.0 * last.as_secs_f64() + 16.0, "{COUNT} in {last:?}");
    assert_eq!(writes.len(), COUNT, "one write each");
    assert_eq!(metric(&server, "kubernetes_objects"), COUNT as f64);
    println!(
        "{COUNT} objects in {took:?}, {} requests in all, {}",
        world.api().requests(),
        resident(&server)
    );
}

#[test]
fn five_thousand_objects_are_led_and_followed() {
    let world = World::fake();
    let spec = json!({"scheduler": {"targetError": "0.1"}});
    let objects = (0..COUNT).map(|number| json!({"metadata": {"name": format!("s{number}")}, "spec": spec}));
    world.api().fill(SCHEDULES, &world.namespace, objects);
    let launch = || {
        let launch = world.launch_replica().env("LEASE_SECONDS", "10").arg("--kubernetes");
        launch.arg("--kubernetes-writes-per-second").arg("1000")
    };
    let mut leader = launch().start();
    let is_known = |server: &Server| {
        let schedules = metric(server, "scheduler_schedules");
        (schedules > COUNT as f64).then_some(())
    };
    assert!(within(Duration::from_mins(2), || is_known(&leader)).is_some(), "{}", leader.log());
    let follower = launch().start();
    assert!(within(Duration::from_mins(2), || is_known(&follower)).is_some(), "{}", follower.log());
    // Alone with its evaluations.
    let (began, asked) = (Instant::now(), world.api().requests());
    eventually("evaluations go on", || (began.elapsed() > Duration::from_secs(10)).then_some(()));
    let asked = (world.api().requests() - asked) as f64 / began.elapsed().as_secs_f64() * 60.0;
    println!("{COUNT} objects, valid for 60 s: {asked:.0} requests a minute by both");
    println!("leader: {}; follower: {}", resident(&leader), resident(&follower));
    let killed = Instant::now();
    leader.kill();
    let took_over =
        within(Duration::from_mins(1), || super::replicas::leads(&follower).then_some(killed.elapsed()));
    println!("taken over after {:?}, of a lease of 10 s", took_over.unwrap());
}
