//! What the cluster has, as far as it was told: the schedules' objects, and what runs beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use models::ScheduleId;
use serde_json::Value;

use super::crd::Condition;
use super::discovery::{Discovered, Labels};
use super::spec;

/// One object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Object {
    pub(super) uid: String,
    /// Counts the specs it has had.
    pub(super) generation: i64,
    /// Of the newest state that was seen of it.
    pub(super) resource_version: String,
    pub(super) spec: Value,
    /// As they stand in its status.
    pub(super) conditions: Vec<Condition>,
}

/// What became of an object's spec.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Outcome {
    /// The generation that was looked at last.
    pub(super) generation: Option<i64>,
    /// Why it is not in force, where it is not.
    pub(super) problem: Option<String>,
    /// Whether that is since there are as many schedules as there may be.
    pub(super) is_one_too_many: bool,
    /// How often its flavours are to be looked for, where it says so.
    pub(super) discovery_interval: Option<Duration>,
}

/// How often flavours are looked for where nobody says.
const DISCOVERY_INTERVAL: Duration = Duration::from_mins(1);

/// Everything that was told, and who has to be looked at again because of it.
#[derive(Debug, Default)]
pub(super) struct Objects {
    known: BTreeMap<ScheduleId, Object>,
    outcomes: BTreeMap<ScheduleId, Outcome>,
    /// Labels of Deployments, by namespace and name.
    deployments: BTreeMap<String, BTreeMap<String, Labels>>,
    discovered: BTreeMap<String, Discovered>,
    /// Counts what was told of Deployments.
    deployment_news: u64,
    /// To be configured, or to be freed.
    unsettled: BTreeSet<ScheduleId>,
}

impl Objects {
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn get(&self, id: &ScheduleId) -> Option<&Object> {
        self.known.get(id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &ScheduleId> {
        self.known.keys()
    }

    /// Takes up an object that is there. Whoever has another spec than before has to be configured.
    pub(super) fn put(&mut self, id: ScheduleId, object: Object) {
        let is_settled = self.known.get(&id).is_some_and(|known| {
            known.uid == object.uid && known.generation == object.generation && known.spec == object.spec
        });
        if !is_settled {
            self.unsettled.insert(id.clone());
        }
        self.known.insert(id, object);
    }

    /// Takes note that an object is gone.
    pub(super) fn remove(&mut self, id: &ScheduleId) {
        if self.known.remove(id).is_some() {
            self.outcomes.remove(id);
            self.unsettled.insert(id.clone());
        }
    }

    /// Takes note of what an object is by now, where it is still the same one.
    pub(super) fn note_version(
        &mut self,
        id: &ScheduleId,
        uid: &str,
        version: String,
        conditions: Vec<Condition>,
    ) {
        if let Some(object) = self.known.get_mut(id).filter(|object| object.uid == uid) {
            object.resource_version = version;
            object.conditions = conditions;
        }
    }

    /// Takes up the labels of a Deployment; `None` is one that is gone, or has no such labels any more.
    pub(super) fn put_deployment(&mut self, namespace: &str, name: &str, labels: Option<Labels>) {
        self.deployment_news += 1;
        let all = self.deployments.entry(namespace.to_owned()).or_default();
        let changed = match labels {
            Some(labels) => {
                all.get(name) != Some(&labels) && {
                    all.insert(name.to_owned(), labels);
                    true
                }
            }
            None => all.remove(name).is_some(),
        };
        let is_empty = all.is_empty();
        if changed {
            self.discover(namespace);
        }
        if is_empty {
            self.deployments.remove(namespace);
        }
    }

    /// Takes up all Deployments there are, in `namespace` or everywhere.
    pub(super) fn put_deployments(
        &mut self,
        namespace: Option<&str>,
        all: BTreeMap<String, BTreeMap<String, Labels>>,
    ) {
        self.deployment_news += 1;
        let stays = |other: &String| namespace.is_some_and(|namespace| namespace != other);
        let mut now: BTreeMap<_, _> = self
            .deployments
            .iter()
            .filter(|(other, _)| stays(other))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        now.extend(all);
        let before = std::mem::replace(&mut self.deployments, now);
        let touched: BTreeSet<String> = before.keys().chain(self.deployments.keys()).cloned().collect();
        for namespace in touched {
            if before.get(&namespace) != self.deployments.get(&namespace) {
                self.discover(&namespace);
            }
        }
    }

    fn discover(&mut self, namespace: &str) {
        let found = self.deployments.get(namespace).map(Discovered::of).unwrap_or_default();
        let before = self.discovered.get(namespace).cloned().unwrap_or_default();
        if found == before {
            return;
        }
        if found == Discovered::default() {
            self.discovered.remove(namespace);
        } else {
            self.discovered.insert(namespace.to_owned(), found);
        }
        let here = self.known.keys().filter(|id| id.namespace() == namespace).cloned();
        self.unsettled.extend(here);
    }

    /// What runs in that namespace.
    pub(super) fn discovered(&self, namespace: &str) -> Option<&Discovered> {
        self.discovered.get(namespace)
    }

    /// Changes with everything that is told of Deployments one by one.
    pub(super) fn deployment_news(&self) -> u64 {
        self.deployment_news
    }

    /// How often flavours are to be looked for in `namespace`, or everywhere: as often as the most eager asks.
    pub(super) fn discovery_interval(&self, namespace: Option<&str>) -> Duration {
        let is_here = |id: &ScheduleId| namespace.is_none_or(|namespace| namespace == id.namespace());
        let here = self.outcomes.iter().filter(|(id, _)| is_here(id));
        here.filter_map(|(_, outcome)| outcome.discovery_interval).min().unwrap_or(DISCOVERY_INTERVAL)
    }

    /// Asks for a look at those that were one too many: there may be room by now.
    pub(super) fn unsettle_refused(&mut self) {
        let refused = self.outcomes.iter().filter(|(_, outcome)| outcome.is_one_too_many);
        self.unsettled.extend(refused.map(|(id, _)| id.clone()));
    }

    /// Asks for a look at these.
    pub(super) fn unsettle(&mut self, ids: impl IntoIterator<Item = ScheduleId>) {
        self.unsettled.extend(ids);
    }

    /// Who has to be looked at; nobody has, afterwards.
    pub(super) fn take_unsettled(&mut self) -> BTreeSet<ScheduleId> {
        std::mem::take(&mut self.unsettled)
    }

    /// What became of an object's spec.
    pub(super) fn outcome(&self, id: &ScheduleId) -> Outcome {
        self.outcomes.get(id).cloned().unwrap_or_default()
    }

    /// Notes what became of it. Answers whether that is news.
    pub(super) fn settle(&mut self, id: &ScheduleId, outcome: Outcome) -> bool {
        if !self.known.contains_key(id) {
            return false;
        }
        let before = self.outcomes.insert(id.clone(), outcome.clone());
        before != Some(outcome)
    }

    /// Who routes for a schedule.
    pub(super) fn evaluator(&self, id: &ScheduleId) -> &'static str {
        self.known.get(id).map_or(spec::DEFAULT_EVALUATOR, |object| spec::evaluator(&object.spec))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(name: &str) -> ScheduleId {
        ScheduleId::new("shop", name).unwrap()
    }

    fn object(uid: &str, generation: i64, spec: Value) -> Object {
        Object { uid: uid.into(), generation, resource_version: "1".into(), spec, conditions: Vec::new() }
    }

    fn labels(precision: &str) -> Labels {
        Labels::from([(super::super::discovery::PRECISION.into(), precision.into())])
    }

    fn unsettled(objects: &mut Objects) -> Vec<String> {
        objects.take_unsettled().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_another_spec_or_other_flavours_ask_for_a_look() {
        let mut objects = Objects::default();
        objects.put(id("a"), object("u", 1, json!({})));
        assert_eq!(unsettled(&mut objects), ["shop/a"]);
        // What a status' own write sends back.
        objects.put(id("a"), Object { resource_version: "2".into(), ..object("u", 1, json!({})) });
        assert_eq!(unsettled(&mut objects), Vec::<String>::new());
        objects.put(id("a"), object("u", 2, json!({"scheduler": {}})));
        assert_eq!(unsettled(&mut objects), ["shop/a"]);
        // Deleted and made again while nobody looked.
        objects.put(id("a"), object("v", 2, json!({"scheduler": {}})));
        assert_eq!(unsettled(&mut objects), ["shop/a"]);
        objects.put_deployment("shop", "high", Some(labels("1")));
        assert_eq!(unsettled(&mut objects), ["shop/a"]);
        objects.put_deployment("shop", "high", Some(labels("1")));
        objects.put_deployment("other", "high", Some(labels("1")));
        assert_eq!(unsettled(&mut objects), Vec::<String>::new());
        objects.put_deployment("shop", "high", None);
        assert_eq!(unsettled(&mut objects), ["shop/a"]);
        assert!(objects.discovered("shop").is_none() && objects.discovered("other").is_some());
        objects.remove(&id("a"));
        objects.remove(&id("b"));
        assert_eq!(unsettled(&mut objects), ["shop/a"]);
    }

    #[test]
    fn a_list_of_deployments_takes_the_place_of_what_was_known_there() {
        let mut objects = Objects::default();
        for namespace in ["shop", "other"] {
            objects.put_deployment(namespace, "high", Some(labels("1")));
        }
        objects.put(id("a"), object("u", 1, json!({})));
        objects.take_unsettled();
        let here = BTreeMap::from([("shop".into(), BTreeMap::from([("high".into(), labels("1"))]))]);
        objects.put_deployments(Some("shop"), here.clone());
        assert_eq!(unsettled(&mut objects), Vec::<String>::new());
        assert!(objects.discovered("other").is_some());
        objects.put_deployments(None, here);
        assert!(objects.discovered("other").is_none());
        objects.put_deployments(None, BTreeMap::new());
        assert_eq!(unsettled(&mut objects), ["shop/a"]);
    }

    #[test]
    fn an_outcome_is_news_once_and_of_what_is_there() {
        let mut objects = Objects::default();
        let outcome = Outcome { generation: Some(1), problem: Some("bad".into()), ..Outcome::default() };
        assert!(!objects.settle(&id("a"), outcome.clone()));
        objects.put(id("a"), object("u", 1, json!({})));
        assert!(objects.settle(&id("a"), outcome.clone()));
        assert!(!objects.settle(&id("a"), outcome));
        objects.remove(&id("a"));
        assert_eq!(objects.outcome(&id("a")), Outcome::default());
    }
}
