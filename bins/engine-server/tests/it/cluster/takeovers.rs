//! Two replicas of which the leader is killed, stopped, frozen or cut off, again and again, under load: whatever was
//! acknowledged is there, once, and at no time two write.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::{Value, json};

use super::api::Faults;
use super::replicas::leads;
use super::{World, ready};
use crate::client::{Answer, Client};
use crate::server::Server;
use crate::{eventually, within};

/// Requests in each post.
const REQUESTS: u64 = 10;
/// What a replica that was deposed ends with.
const DEPOSED: i32 = 3;

/// What clients know to be done.
#[derive(Default)]
struct Acknowledged {
    /// Posts, numbered from 1 on.
    posts: u64,
    /// The newest configuration, by its number.
    configured: u64,
    /// The newest one that was asked for.
    asked: u64,
    /// Longest time in which nothing was acknowledged.
    longest: Duration,
}

/// What the clients share.
#[derive(Clone)]
struct Load {
    addresses: Arc<Mutex<[SocketAddr; 2]>>,
    known: Arc<Mutex<Acknowledged>>,
    is_over: Arc<AtomicBool>,
}

impl Load {
    /// Asks one replica after the other until one takes it; `false`: it is over.
    fn insist(&self, send: impl Fn(&Client) -> Result<Answer, ureq::Error>) -> bool {
        while !self.is_over.load(Ordering::Acquire) {
            let addresses = *self.addresses.lock().unwrap();
            for address in addresses {
                match send(&Client::impatient(address)) {
                    Ok(answer) if matches!(answer.status, 200 | 202) => return true,
                    Ok(answer) => assert!(matches!(answer.status, 404 | 503), "{answer:?}"),
                    Err(_) => {}
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// Posts what was served, each post until it is acknowledged.
    fn post(&self) {
        for number in 1.. {
            let began = Instant::now();
            let body = json!({
                "window_seconds": 1, "total_requests": REQUESTS, "flavour_counts": {"precision-100": REQUESTS},
                "source": "router", "sequence": number,
            });
            if !self.insist(|client| client.try_send("POST", "/feedback/shop/search", Some(&body))) {
                return;
            }
            let mut known = self.known.lock().unwrap();
            known.posts = number;
            known.longest = known.longest.max(began.elapsed());
        }
    }

    /// Puts one configuration after the other.
    fn configure(&self) {
        for number in 1.. {
            self.known.lock().unwrap().asked = number;
            let body = json!({"budgetWindow": 3600 + number});
            if !self.insist(|client| client.try_send("PUT", "/config/shop/assist", Some(&body))) {
                return;
            }
            self.known.lock().unwrap().configured = number;
        }
    }
}

/// Which of them leads, as soon as one does.
fn leading(servers: &[Server; 2]) -> usize {
    let leading = within(Duration::from_secs(15), || servers.iter().position(leads));
    leading.unwrap_or_else(|| panic!("nobody leads:\n{}\n{}", servers[0].log(), servers[1].log()))
}

#[test]
fn leaders_come_and_go_and_nothing_is_lost_or_done_twice() {
    let given = |name: &str| std::env::var(name).ok()?.parse().ok();
    let rounds = given("TAKEOVERS").unwrap_or(25);
    let now = || u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap();
    let seed = given("TAKEOVERS_SEED").unwrap_or_else(now);
    println!("TAKEOVERS_SEED={seed}");
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed.to_le_bytes().repeat(4));
    let mut chance = move |below: u64| random.next_u64() % below;

    let world = World::new();
    let launch = |index: usize| world.launch_replica_as(&format!("r{index}"));
    let mut servers = [ready(launch(0)), ready(launch(1))];
    let addresses = [servers[0].client.address, servers[1].client.address];
    servers[leading(&servers)].configure("shop/search", &json!({"validFor": 2}));
    let load =
        Load { addresses: Arc::new(Mutex::new(addresses)), known: Arc::default(), is_over: Arc::default() };
    let clients = [Load::post, Load::configure].map(|work| {
        let load = load.clone();
        std::thread::spawn(move || work(&load))
    });

    let mut took = Vec::new();
    for round in 0..rounds {
        let index = leading(&servers);
        // Every leader does something before it goes.
        let before = load.known.lock().unwrap().posts;
        eventually("a post is taken", || (load.known.lock().unwrap().posts > before).then_some(()));
        std::thread::sleep(Duration::from_millis(chance(300)));
        let server = &mut servers[index];
        match chance(10) {
            0..=4 => {
                let killed = Instant::now();
                server.kill();
                server.ended();
                if within(Duration::from_secs(15), || leads(&servers[1 - index]).then_some(())).is_some() {
                    took.push(killed.elapsed());
                }
            }
            5 => {
                server.terminate();
                let ended = server.ended().code();
                assert!(matches!(ended, Some(0 | DEPOSED)), "{ended:?}");
            }
            6..=7 => freeze(server, chance(1_500)),
            _ if !world.is_fake() => freeze(server, chance(1_500)),
            _ => {
                world.api().set(Faults { cut_off: vec![format!("r{index}")], ..Faults::default() });
                std::thread::sleep(Duration::from_millis(500 + chance(1_500)));
                world.api().set(Faults::default());
            }
        }
        // Whoever has ended is started again, as an orchestrator does.
        within(Duration::from_millis(200), || servers[index].has_ended());
        for (index, server) in servers.iter_mut().enumerate() {
            let Some(status) = server.has_ended() else { continue };
            let log = server.log();
            assert!(matches!(status.code(), None | Some(0 | DEPOSED)), "round {round}: {status}\n{log}");
            *server = launch(index).start();
            load.addresses.lock().unwrap()[index] = server.client.address;
        }
    }
    // Everything that is under way comes to its end.
    let before = load.known.lock().unwrap().posts;
    eventually("posts are taken again", || (load.known.lock().unwrap().posts > before).then_some(()));
    load.is_over.store(true, Ordering::Release);
    for client in clients {
        client.join().unwrap();
    }

    let server = &servers[leading(&servers)];
    let known = load.known.lock().unwrap();
    let counted = || server.schedule("shop/search")["budget"]["servedRequests"].as_u64();
    let least = known.posts * REQUESTS;
    let counted =
        eventually("what was counted is published", || counted().filter(|counted| *counted >= least));
    // One more may have been counted whose answer was not waited for.
    assert!([least, least + REQUESTS].contains(&counted), "{counted} of {} posts", known.posts);
    let config = server.get("/config/shop/assist").json();
    let number = config["config"]["budgetWindow"]["value"].as_u64().unwrap() - 3600;
    assert!((known.configured..=known.asked).contains(&number), "{number} of {}", known.configured);
    let head: Value =
        serde_json::from_str(&super::text(&world.get("ConfigMap", "engine-server-head")["data"]["value"]))
            .unwrap();
    println!("the head at the end: {head}");
    let (epochs, commits) = if world.is_fake() { one_writer_at_a_time(&world) } else { (0, 0) };
    took.sort();
    let taken_over = took.get(took.len() / 2).zip(took.last());
    println!(
        "{rounds} faults, {epochs} epochs, {commits} commits, {} posts, {} PUTs, {:?} at most without an answer; of \
         leases of 1 s taken over after a kill within (median, longest) {taken_over:?}",
        known.posts, known.configured, known.longest
    );
}

/// As long as it takes until the other one leads, or not quite.
fn freeze(server: &Server, more: u64) {
    server.signal("STOP");
    std::thread::sleep(Duration::from_millis(500 + more));
    server.signal("CONT");
}

/// The head of the journal was never changed by an earlier epoch after a later one. Answers how many there were.
fn one_writer_at_a_time(world: &World) -> (u64, usize) {
    let writes = world.api().writes();
    let heads = writes.iter().filter(|write| write.key.name.ends_with("-head") && write.code < 300);
    let (mut newest, mut count) = (0, 0);
    for write in heads {
        let text = write.object.as_ref().unwrap()["data"]["value"].as_str().unwrap().to_owned();
        let head: Value = serde_json::from_str(&text).unwrap();
        let epoch = head["epochs"].as_array().unwrap().last().unwrap()["number"].as_u64().unwrap();
        assert!(epoch >= newest, "epoch {epoch} wrote after {newest}");
        (newest, count) = (epoch, count + 1);
    }
    (newest, count)
}
