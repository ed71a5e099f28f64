//! Every sentence a reader can meet: messages are part of the interface.

mod common;
mod menus;

use common::{decide, situation};
use insta::assert_snapshot;
use ledger::Bounds;
use menus::{builtin_menu, menu};
use models::{Flavour, FlavourSet, Precision};
use policies::{Decision, Menu, P100, Policy, Reason, Registry, Situation};

const CONFIGURATION: &str = include_str!("../../../docs/configuration.md");
const CREDIT_SCHEDULER: &str = include_str!("../../../docs/credit-scheduler.md");

#[test]
fn reasons_of_spending_credit() {
    let menu = builtin_menu();
    let say = |balance, max| {
        let bounds = Bounds::new(-0.5, max).unwrap();
        decide("credit-greedy", &Situation { balance, bounds, ..situation(&menu) }).reason
    };
    assert_snapshot!(say(0.2, 0.5), @"spending 40 % of the credit: 0.2 of 0.5 banked");
    assert_snapshot!(say(0.1 + 0.2, 0.5), @"spending 60 % of the credit: 0.3 of 0.5 banked");
    assert_snapshot!(say(0.01234, 0.5), @"spending 2.5 % of the credit: 0.0123 of 0.5 banked");
    assert_snapshot!(say(0.0001, 0.5), @"spending less than 0.1 % of the credit: 1.00e-4 of 0.5 banked");
    assert_snapshot!(say(0.5, 0.5), @"spending 100 % of the credit: 0.5 of 0.5 banked");
    assert_snapshot!(say(1e12, 3e12), @"spending 33.3 % of the credit: 1.00e12 of 3.00e12 banked");
    assert_snapshot!(say(0.0, 0.5), @"no credit to spend: 0 of 0.5 banked");
    assert_snapshot!(say(-0.0775, 0.5), @"no credit to spend: 0.0775 is owed");
    assert_snapshot!(say(0.0, 0.0), @"no credit to spend: creditMax is 0, so none is ever banked");
    assert_snapshot!(say(-0.1, 0.0), @"no credit to spend: creditMax is 0, so none is ever banked");
}

#[test]
fn reasons_of_the_trend() {
    let menu = builtin_menu();
    let say = |now, next| {
        decide("forecast-aware", &Situation { balance: 0.2, now, next, ..situation(&menu) }).reason
    };
    assert_snapshot!(say(Some(250.0), Some(300.0)), @"spending 40 % of the credit: 0.2 of 0.5 banked; carbon intensity rises from 250 to 300 gCO2eq/kWh, so every other flavour yields up to 10 points to the heaviest");
    assert_snapshot!(say(Some(300.0), Some(250.5)), @"spending 40 % of the credit: 0.2 of 0.5 banked; carbon intensity falls from 300 to 250.5 gCO2eq/kWh, so the heaviest flavour yields up to 8.2 points to every other");
    assert_snapshot!(say(Some(250.0), Some(250.0)), @"spending 40 % of the credit: 0.2 of 0.5 banked; carbon intensity stays at 250 gCO2eq/kWh");
    assert_snapshot!(say(Some(250.0), Some(250.001)), @"spending 40 % of the credit: 0.2 of 0.5 banked; carbon intensity rises from 250 to 250.001 gCO2eq/kWh, so every other flavour yields less than 0.1 points to the heaviest");
    assert_snapshot!(say(Some(250.0), None), @"spending 40 % of the credit: 0.2 of 0.5 banked; the carbon intensity of this slot or the next is not known, so no trend counts");
}

#[test]
fn reasons_of_the_tiers() {
    let menu = builtin_menu();
    let say = |balance| decide("precision-tier", &Situation { balance, ..situation(&menu) }).reason;
    assert_snapshot!(say(0.2), @"spending 40 % of the credit: 0.2 of 0.5 banked; 60 % goes to precision 0.95 and above, 24 % to 0.8 and above, 16 % below");
    assert_snapshot!(say(0.0), @"no credit to spend: 0 of 0.5 banked; 100 % goes to precision 0.95 and above, 0 % to 0.8 and above, 0 % below");
}

#[test]
fn reasons_of_the_reference_policies() {
    let menu = builtin_menu();
    let say = |policy, target_error| decide(policy, &Situation { target_error, ..situation(&menu) }).reason;
    assert_snapshot!(say("p100", 0.05), @"always the best flavour: precision-100");
    assert_snapshot!(say("round-robin", 0.05), @"all 3 flavours take the same share");
    assert_snapshot!(say("random", 0.05), @"the shares of 3 flavours are drawn at random");
    assert_snapshot!(say("constant-mix", 0.05), @"the cheapest mix that spends the target error of 0.05: 66.7 % precision-100, 33.3 % precision-85");
    assert_snapshot!(say("constant-mix", 0.15), @"the cheapest mix that spends the target error of 0.15: precision-85 alone");
    assert_snapshot!(say("constant-mix", 0.9), @"precision-70 takes everything: its error of 0.3 is the largest there is, below the target of 0.9");
    let rough = menus::menu(&[("b", 0.9, 0.7), ("c", 0.7, 0.4)]);
    assert_snapshot!(decide("constant-mix", &situation(&rough)).reason, @"b takes everything: its error of 0.1 is the least there is, above the target of 0.05");
}

#[test]
fn reasons_where_there_is_nothing_to_choose() {
    let only = menu(&[("precision-90", 0.9, 1.0)]);
    let say = |policy| decide(policy, &situation(&only)).reason;
    assert_snapshot!(say("credit-greedy"), @"precision-90 is the only enabled flavour and takes everything");
    assert_snapshot!(say("constant-mix"), @"precision-90 is the only enabled flavour and takes everything");
    assert_snapshot!(say("p100"), @"always the best flavour: precision-90");
    assert_snapshot!(say("round-robin"), @"the only enabled flavour takes everything");
    assert_snapshot!(say("random"), @"the only enabled flavour takes everything");
    assert_snapshot!(Decision::default().reason, @"the policy gave no reason");
    assert_snapshot!(Reason::Other("tomorrow is a holiday".into()), @"tomorrow is a holiday");
}

#[test]
fn the_warning_about_energy() {
    let flavours = [1.0, 0.5].map(|precision| Flavour::new(Precision::new(precision).unwrap()));
    let menu = Menu::new(&FlavourSet::new(flavours.to_vec()).unwrap()).unwrap();
    assert_snapshot!(menu.warnings().next().unwrap(), @"energy per request is taken to be proportional to precision: expected energyWh, or carbonIntensity above 0, for every enabled flavour");
    assert_eq!(builtin_menu().warnings().next(), None);
    let only = Menu::new(&FlavourSet::new(flavours[..1].to_vec()).unwrap()).unwrap();
    assert_eq!(only.warnings().next(), None, "one flavour's energy is compared with nothing");
}

#[test]
fn an_unknown_policy_is_answered_with_the_known_ones() {
    let registry = Registry::builtin();
    assert_snapshot!(registry.create("credit-greed", 0).unwrap_err(), @"`credit-greed` is not a policy: expected one of constant-mix, credit-greedy, forecast-aware, forecast-aware-global, p100, precision-tier, random, receding-horizon, round-robin");
    assert_snapshot!(registry.create("", 0).unwrap_err(), @"`` is not a policy: expected one of constant-mix, credit-greedy, forecast-aware, forecast-aware-global, p100, precision-tier, random, receding-horizon, round-robin");
    let hostile = registry.create(&"\u{1b}[2J".repeat(50), 0).unwrap_err();
    assert!(hostile.name.len() < 300 && !hostile.name.contains('\u{1b}'), "{hostile}");
}

#[test]
fn the_documents_tell_of_every_policy() {
    let registry = Registry::builtin();
    let (_, section) = CONFIGURATION.split_once("\n### Policies\n").unwrap();
    let (section, _) = section.split_once("\n### ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut told: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    told.sort_unstable();
    let known: Vec<&str> = registry.names().collect();
    assert_eq!(told, known, "the rows of docs/configuration.md, section Policies, and the registry");
    for name in known {
        let words = [format!("**{name}.**"), format!("**{name}**")];
        let is_told = words.iter().any(|word| CREDIT_SCHEDULER.contains(word.as_str()));
        assert!(is_told, "docs/credit-scheduler.md, section Policies, should say what **{name}.** does");
    }
}

#[test]
fn an_alias_says_who_serves() {
    let registry = Registry::builtin();
    let created = registry.create("forecast-aware-global", 0).unwrap();
    assert_eq!(created.policy.name(), "receding-horizon");
    assert_snapshot!(created.warning.unwrap(), @"policy forecast-aware-global is served by receding-horizon, which plans the whole forecast");
    assert_eq!(registry.aliases().collect::<Vec<_>>(), [("forecast-aware-global", "receding-horizon")]);
    for name in registry.names().filter(|name| *name != "forecast-aware-global") {
        let created = registry.create(name, 0).unwrap();
        assert_eq!((created.policy.name(), created.warning.as_deref()), (name, None));
    }
}

#[test]
fn a_service_registers_a_policy_of_its_own() {
    /// Hands its seed out as a diagnostic.
    struct Seeded(u64);

    impl Policy for Seeded {
        fn name(&self) -> &'static str {
            "seeded-2"
        }

        fn decide(&mut self, situation: &Situation<'_>, decision: &mut Decision) {
            P100.decide(situation, decision);
            decision.note(format!("seed {}", self.0), 1.0);
        }
    }

    let mut registry = Registry::builtin();
    registry.register("seeded-2", |seed| Box::new(Seeded(seed))).unwrap();
    let mut decision = Decision::default();
    registry.create("seeded-2", 5).unwrap().policy.decide(&situation(&builtin_menu()), &mut decision);
    assert_eq!(decision.diagnostics[1], ("seed 5".into(), 1.0));
    assert!(registry.names().any(|name| name == "seeded-2"));
    assert!(registry.create("x", 0).unwrap_err().known.iter().any(|name| name == "seeded-2"));

    let mut refused = |name: &str| registry.register(name, |_| Box::new(P100)).unwrap_err();
    assert_snapshot!(refused("seeded-2"), @"`seeded-2` is the name of a policy already: expected another one");
    assert_snapshot!(refused("forecast-aware-global"), @"`forecast-aware-global` is the name of a policy already: expected another one");
    assert_snapshot!(refused("My Policy"), @"`My Policy` is not a policy name: expected 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit");
    for name in ["", "-a", "a-", "é", &"a".repeat(64)] {
        assert!(refused(name).to_string().contains("is not a policy name"), "{name}");
    }
    registry.register(&"a".repeat(63), |_| Box::new(P100)).unwrap();
}
