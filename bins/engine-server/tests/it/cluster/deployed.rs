//! What the manifests allow is what is asked for, and the definition is the one of the code.

use std::collections::BTreeSet;

use serde_json::json;

use super::api::Faults;
use super::replicas::leads;
use super::{World, holds, ready};
use crate::eventually;
use crate::server::Launch;

const DEFINITION: &str = include_str!("../../../../../deploy/kustomize/base/crd.yaml");
const CLUSTER_ROLE: &str = include_str!("../../../../../deploy/kustomize/base/rbac.yaml");
const ROLE: &str = include_str!("../../../../../deploy/kustomize/overlays/replicated/rbac.yaml");

/// Verbs that are seldom needed, or not seen here: a second Event of the same words, an object that an attempt left
/// behind, an object that was changed meanwhile.
const RARE: [(&str, &str); 3] = [
    ("events.k8s.io/events", "patch"),
    ("/configmaps", "delete"),
    ("scheduling.carbonrouter.io/trafficschedules", "get"),
];

/// What the roles of a file allow: its rules are written a line for each of their lists.
fn allowed(roles: &str) -> BTreeSet<(String, String)> {
    let list = |line: &str| -> Vec<String> {
        let inner = line.split_once('[').unwrap().1.trim_end().trim_end_matches(']');
        inner.split(',').map(|one| one.trim().trim_matches('"').to_owned()).collect()
    };
    let (mut groups, mut resources, mut allowed) = (Vec::new(), Vec::new(), BTreeSet::new());
    for line in roles.lines() {
        let text = line.trim().trim_start_matches("- ");
        if text.starts_with("apiGroups: [") {
            groups = list(text);
        } else if text.starts_with("resources: [") {
            resources = list(text);
        } else if text.starts_with("verbs: [") {
            for verb in list(text) {
                for group in &groups {
                    allowed.extend(resources.iter().map(|one| (format!("{group}/{one}"), verb.clone())));
                }
            }
        }
    }
    allowed
}

#[test]
fn the_committed_definition_is_what_the_code_makes() {
    let printed = Launch::bare().arg("crd").run();
    assert!(
        printed.stdout == DEFINITION.as_bytes(),
        "deploy/kustomize/base/crd.yaml is not what the code makes. To mend it, at the top of the repository:\n  \
         cargo run -p engine-server -- crd > deploy/kustomize/base/crd.yaml"
    );
}

#[test]
fn the_roles_allow_what_is_asked_for_and_nothing_else() {
    let world = World::fake();
    for (name, policy) in [("good", "credit-greedy"), ("bad", "nope")] {
        let spec = json!({"scheduler": {"policy": policy, "validFor": 2, "discoveryInterval": 1}});
        world.create_schedule(name, &spec);
    }
    world.api().forget_verbs();
    world.api().set(Faults { conflicts: 3, ..Faults::default() });
    let mut leader = ready(world.launch_replica().arg("--kubernetes"));
    eventually("it leads", || leads(&leader).then_some(()));
    let asked = |resource: &str, verb: &str| {
        let asked = (resource.to_owned(), verb.to_owned());
        eventually(&format!("{verb} {resource}"), || world.api().verbs().contains(&asked).then_some(()));
    };
    asked("scheduling.carbonrouter.io/trafficschedules/status", "patch");
    asked("events.k8s.io/events", "create");
    asked("apps/deployments", "list");
    // The next one deletes what the last base of this one has made needless, with a base of its own.
    leader.terminate();
    assert!(leader.ended().success());
    let asked = world.api().verbs();
    let allowed: BTreeSet<_> = allowed(CLUSTER_ROLE).union(&allowed(ROLE)).cloned().collect();
    let refused: Vec<_> = asked.difference(&allowed).collect();
    assert!(refused.is_empty(), "not allowed: {refused:?}");
    let is_rare = |(resource, verb): &(String, String)| RARE.contains(&(resource.as_str(), verb.as_str()));
    let unused: Vec<_> = allowed.difference(&asked).filter(|one| !is_rare(one)).collect();
    assert!(unused.is_empty(), "allowed, and not asked for: {unused:?}");
    world.status_when("good", |status| holds(status, "Ready", "Scheduled"));
}
