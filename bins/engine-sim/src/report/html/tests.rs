//! What a reader, a screen reader and a browser without a network can rely on.

use std::collections::BTreeSet;

use models::Timestamp;

use super::{Page, render};
use crate::recording::{Recording, Sample};

const TARGET: f64 = 0.05;
const FLAVOURS: [&str; 3] = ["precision-100", "precision-85", "precision-70"];
const POLICIES: [&str; 8] = [
    "credit-greedy",
    "forecast-aware",
    "precision-tier",
    "receding-horizon",
    "random",
    "p100",
    "constant-mix",
    "hindsight",
];

/// Half-hours of a grid with days, seasons and weather, and policies that follow it more or less well.
fn recording(policy: &str, half_hours: u32) -> Recording {
    // How far a policy goes with the grid; all of these keep the target.
    let keen = match policy {
        "hindsight" => 0.055,
        "receding-horizon" => 0.045,
        "forecast-aware" => 0.01,
        _ => 0.0,
    };
    let kept = POLICIES[..5].contains(&policy);
    let mut budget = 1500.0;
    let samples = (0..half_hours).map(|index| {
        let day = f64::from(index) / 48.0;
        let turn = |days: f64, at: f64| (std::f64::consts::TAU * (day / days - at)).cos();
        let swing = 0.5 * turn(1.0, 0.77) + 0.4 * turn(1.7, 0.2);
        let intensity = 210.0 + 40.0 * turn(365.0, 0.04) + 30.0 * turn(4.37, 0.2) + 90.0 * swing;
        let requests = (700.0 + 400.0 * turn(1.0, 0.52)).round();
        let error: f64 = match policy {
            "p100" => 0.0,
            "random" => 0.15,
            _ => TARGET + keen * swing,
        };
        let cheap = error / 0.3;
        budget += requests * (TARGET - error);
        Sample {
            from: Timestamp::from_second(1_767_571_200 + i64::from(index) * 1800).unwrap(),
            seconds: 1800.0,
            intensity,
            requests,
            weights: vec![1.0 - cheap * 1.1, cheap * 0.2, cheap * 0.9],
            error,
            emissions: requests * intensity / 1000.0 * (1.0 - 2.0 * error),
            credit: if kept { 0.5 * turn(0.7, 0.0) } else { 0.0 },
            budget: Some((budget.min(2880.0), 2880.0)),
        }
    });
    Recording {
        policy: policy.to_owned(),
        flavours: FLAVOURS.map(Into::into).to_vec(),
        samples: samples.collect(),
    }
}

fn page(policies: &[&str], half_hours: u32) -> Page {
    let row = |cells: [&str; 3]| cells.map(Into::into).to_vec();
    Page {
        title: "engine-sim compare: a grid that was made up".to_owned(),
        command: "engine-sim compare --carbon gb.csv --report out.html".to_owned(),
        world: vec![("carbon".to_owned(), "gb.csv, half-hours".to_owned())],
        target_error: TARGET,
        unit: "g".to_owned(),
        recordings: policies.iter().map(|policy| recording(policy, half_hours)).collect(),
        table: vec![row(["policy", "saved", "error"]), row(["p100", "0.00 %", "0.0000"])],
        notes: vec!["gb.csv: 2 rows missing".to_owned()],
    }
}

/// Start tags with their attributes; panics where tags do not nest or text is not escaped.
fn tags(html: &str) -> Vec<(String, Vec<(String, String)>)> {
    let (mut open, mut found) = (Vec::new(), Vec::new());
    let mut rest = html.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some(start) = rest.find('<') {
        let (text, tag) = rest.split_at(start);
        assert!(!text.contains('>') || open.last().is_some_and(is_raw), "a bare > in {text:?}");
        let (tag, after) = tag[1..].split_once('>').unwrap();
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
            continue;
        }
        let (tag, closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut named = Vec::new();
        while let Some((key, value)) = attributes.split_once("=\"") {
            let (value, after) = value.split_once('"').unwrap();
            named.push((key.trim().to_owned(), value.to_owned()));
            attributes = after;
        }
        assert_eq!(attributes.trim(), "", "in <{tag}>");
        found.push((name.to_owned(), named));
        if !closed {
            open.push(name.to_owned());
        }
    }
    assert_eq!(open, Vec::<String>::new());
    found
}

fn is_raw(name: &String) -> bool {
    name == "style" || name == "script"
}

fn attribute<'a>(attributes: &'a [(String, String)], key: &str) -> Option<&'a str> {
    attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

#[test]
fn a_year_of_eight_policies_fits_into_two_megabytes() {
    let mut policies = POLICIES.to_vec();
    policies.extend(["round-robin", "best-of-both", "another"]);
    let html = render(&page(&policies, 17_520));
    assert!(html.len() < 2_000_000, "{} bytes", html.len());
    assert!(
        html.contains("Best week of receding-horizon") && html.contains("Worst week of receding-horizon")
    );
}

#[test]
fn the_page_is_well_formed_and_needs_nothing_else() {
    for half_hours in [1, 40, 48 * 6, 48 * 21, 48 * 90] {
        let html = render(&page(&POLICIES, half_hours));
        let tags = tags(&html);
        let ids: Vec<_> = tags.iter().filter_map(|(_, attributes)| attribute(attributes, "id")).collect();
        assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len());
        for (name, attributes) in &tags {
            assert!(!matches!(
                name.as_str(),
                "link" | "img" | "iframe" | "object" | "embed" | "base" | "use"
            ));
            assert!(attribute(attributes, "src").is_none() && attribute(attributes, "href").is_none());
            if let Some(id) = attribute(attributes, "for") {
                assert!(ids.contains(&id), "{id}");
            }
        }
        for outside in ["http://", "https://", "url(", "@import", "@font-face", "NaN", "inf"] {
            let outside_in =
                html.find(outside).filter(|at| outside != "inf" || html[*at..].starts_with("inf\""));
            assert_eq!(outside_in.map(|at| &html[at.saturating_sub(80)..at]), None, "{outside}");
        }
    }
}

#[test]
fn every_drawing_says_what_is_to_be_seen() {
    let html = render(&page(&POLICIES, 48 * 90));
    let drawings: Vec<_> = tags(&html).into_iter().filter(|(name, _)| name == "svg").collect();
    assert!(drawings.len() > POLICIES.len() * 6, "{}", drawings.len());
    for (_, attributes) in drawings {
        assert_eq!(attribute(&attributes, "role"), Some("img"));
        let words = attribute(&attributes, "aria-label").unwrap();
        assert!(words.len() > 20 && words.bytes().any(|byte| byte.is_ascii_digit()), "{words}");
    }
}

#[test]
fn text_from_outside_stays_text() {
    let evil = "</script><img src=x onerror='alert(1)'>\"&\u{1}";
    let mut page = page(&["p100", "constant-mix", "receding-horizon"], 48 * 20);
    page.title = evil.to_owned();
    page.command = evil.to_owned();
    page.unit = evil.to_owned();
    page.world = vec![(evil.to_owned(), evil.to_owned())];
    page.notes = vec![evil.to_owned()];
    page.table = vec![vec![evil.to_owned()], vec![evil.to_owned()]];
    for recording in &mut page.recordings {
        recording.policy = format!("{}{evil}", recording.policy);
        recording.flavours = vec![evil.to_owned(); 3];
    }
    let html = render(&page);
    assert!(!html.contains("<img") && !html.contains('\u{1}'));
    assert_eq!(tags(&html).iter().filter(|(name, _)| name == "script").count(), 1);
}

#[test]
fn the_same_page_is_the_same_bytes() {
    let page = page(&POLICIES, 48 * 21);
    assert_eq!(render(&page), render(&page));
}

#[test]
fn what_was_not_recorded_is_not_missed() {
    let mut nothing = page(&[], 0);
    assert!(render(&nothing).contains("Nothing was recorded"));
    nothing.recordings = vec![Recording { policy: "p100".to_owned(), ..Recording::default() }];
    tags(&render(&nothing));
    // No baseline, no budget, a gap, no request, and numbers that are none.
    let mut alone = page(&["receding-horizon"], 48 * 20);
    alone.target_error = 0.0;
    let samples = &mut alone.recordings[0].samples;
    samples.drain(200..400);
    for sample in samples.iter_mut() {
        (sample.budget, sample.requests) = (None, 0.0);
    }
    (samples[3].intensity, samples[4].error, samples[5].emissions) = (f64::NAN, f64::INFINITY, f64::NAN);
    let html = render(&alone);
    tags(&html);
    assert!(!html.contains("NaN") && !html.contains("Error budget"));
}

#[test]
fn only_relative_emissions_are_not_called_grams() {
    let mut page = page(&POLICIES, 48 * 21);
    page.unit = "% of p100".to_owned();
    let html = render(&page);
    assert!(html.contains("% of p100") && !html.contains("CO2eq saved") && !html.contains("kg CO2eq"));
}

#[test]
fn what_was_not_saved_is_not_called_saved() {
    let mut page = page(&["receding-horizon", "p100", "constant-mix", "hindsight"], 48 * 21);
    page.recordings[0].samples.iter_mut().for_each(|sample| sample.emissions *= 1.05);
    let html = render(&page);
    let words = ["more emitted by receding-horizon than by a constant mix", "captured none of that"];
    assert!(words.iter().all(|words| html.contains(words)));
    assert!(!html.contains("saved by receding-horizon"));
}

/// A change of what the page says in words shows here.
#[test]
fn findings_in_words() {
    let html = render(&page(&POLICIES, 48 * 90));
    let shown = html.find("id=\"panel-1\"").unwrap();
    let end = html.find("id=\"panel-2\"").unwrap();
    let mut words = Vec::new();
    let lead = html.split_once("<p class=\"lead\">").unwrap().1.split_once('<').unwrap().0;
    words.push(lead.to_owned());
    let labels = |part: &str| -> Vec<String> {
        let tags = part.split("aria-label=\"").skip(1);
        tags.map(|tag| tag.split_once('"').unwrap().0.to_owned()).collect()
    };
    let before = html.find("id=\"panel-0\"").unwrap();
    words.extend(labels(&html[..before]));
    words.extend(labels(&html[shown..end]));
    insta::assert_snapshot!(words.join("\n\n"));
}

#[test]
fn numbers_read_well() {
    let shown: Vec<String> = [0.0, -0.000_001, -1234.5, 1_234_567.0, f64::NAN]
        .into_iter()
        .map(|value| super::text::number(value, 1))
        .collect();
    assert_eq!(shown, ["0.0", "0.0", "\u{2212}1,234.5", "1,234,567.0", "?"]);
    assert_eq!(super::text::significant(0.012_345), "0.0123");
    assert_eq!(super::text::significant(12_345.6), "12,346");
    assert_eq!(super::text::decimals(0.05), 2);
}

#[test]
fn scales_are_round_and_hold_everything() {
    for values in
        [vec![0.0, 0.3], vec![-0.7, 1.4], vec![87.0, 406.0], vec![5.0], vec![f64::NAN], vec![-1e-9, 2e7]]
    {
        let scale = super::scale::Scale::from_zero(values.clone());
        let ticks = scale.ticks();
        assert!((2..=8).contains(&ticks.len()), "{values:?}: {ticks:?}");
        for value in values.into_iter().filter(|value| value.is_finite()) {
            assert!((-1e-9..=1.0 + 1e-9).contains(&scale.part(value)), "{value} in {scale:?}");
        }
    }
}

#[test]
fn points_are_slots_while_there_is_room() {
    let axis = |half_hours| super::axis::Axis::over(&[recording("p100", half_hours)]).unwrap();
    assert_eq!((axis(700).step, axis(700).count, axis(700).full), (1800, 700, true));
    assert_eq!((axis(1008).step, axis(1008).count, axis(1008).full), (3600, 504, false));
    assert_eq!((axis(17_520).step, axis(17_520).count), (86_400, 365));
    assert_eq!((axis(175_200).step, axis(175_200).count), (7 * 86_400, 522));
    for half_hours in [1, 30, 60, 336, 700, 1008, 4000, 17_520, 175_200] {
        let ticks = axis(half_hours).ticks();
        let always = ticks.iter().filter(|tick| tick.rank == super::axis::Rank::Major).count();
        assert!(
            always <= 6 && ticks.iter().all(|tick| (0.0..1.0).contains(&tick.at)),
            "{half_hours}: {always}"
        );
    }
}

#[test]
fn lines_break_where_nothing_is_known() {
    let scale = super::scale::Scale { low: 0.0, high: 1.0, step: 0.5 };
    let values = [Some(0.0), Some(1.0), None, Some(0.5), Some(0.5)];
    assert_eq!(super::path::line(values, &scale), "M1 500l2-500M7 250h2");
    assert_eq!(super::path::steps(values, &scale, true), "M0 500h2v-500h2V500H0zM6 250h2h2V500H6z");
    assert_eq!(super::path::sums([0.5, 1.0], &scale), "M0 500l2-250 2-250");
    let band = [Some((0.0, 1.0)), Some((0.2, 0.8)), None];
    assert_eq!(super::path::band(&band, &scale), "M1 0l2 100v300l-2 100z");
}
