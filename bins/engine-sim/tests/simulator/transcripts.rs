//! Arguments in, transcript out: what people see is part of the interface.

use crate::common::Desk;

const README: &str = include_str!("../../../../README.md");

#[test]
fn compare_over_the_built_in_scenario() {
    let compared = Desk::empty().run("compare");
    insta::assert_snapshot!(compared.transcript());
    let (_, told) = compared.out.split_once("\n\n").unwrap();
    assert!(README.contains(told.trim_end()), "README.md, section Simulate, should quote:\n\n{told}");
}

#[test]
fn compare_as_json() {
    insta::assert_snapshot!(
        Desk::empty().run("compare --policies forecast-aware,p100 --format json").transcript()
    );
}

#[test]
fn compare_as_csv() {
    insta::assert_snapshot!(Desk::empty().run("compare --format csv --seed 7").transcript());
}

#[test]
fn run_says_who_served() {
    insta::assert_snapshot!(Desk::empty().run("run --policy credit-greedy --target-error 0.02").transcript());
}

#[test]
fn without_a_command_the_help_teaches() {
    insta::assert_snapshot!(Desk::empty().run("").transcript());
}

#[test]
fn tables_stay_within_100_columns() {
    for arguments in ["compare --target-error 0.5 --to 2026-01-08", "run --policy random", ""] {
        let out = Desk::empty().run(arguments).fine();
        let widest = out.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{arguments}: {widest:?}");
    }
}

#[test]
fn colour_is_only_where_it_is_asked_for() {
    let desk = Desk::empty();
    let plain = desk.run("compare --to 2026-01-08").fine();
    assert!(!plain.contains('\u{1b}'));
    let coloured = desk.run("compare --to 2026-01-08 --color always").fine();
    assert!(coloured.contains("\u{1b}[1m"));
    let mut stripped = String::new();
    for (index, piece) in coloured.split('\u{1b}').enumerate() {
        stripped.push_str(if index == 0 {
            piece
        } else {
            piece.split_once('m').map_or("", |(_, text)| text)
        });
    }
    assert_eq!(stripped, plain);
}

#[test]
fn every_way_to_be_wrong_says_what_would_be_right() {
    let desk = Desk::with(&[
        ("grid.csv", "timestamp,actual\n2026-01-05T00:00:00Z,100\n2026-01-05T01:00:00Z,200\n"),
        ("empty.csv", ""),
        ("noise.csv", "timestamp,actual\nnever,100\n"),
        ("demand.csv", "timestamp,actual\n2026-01-05T00:00:00Z,100\n"),
        ("idle.csv", "timestamp,requests\n2026-01-05T00:00:00Z,0\n2026-01-05T01:00:00Z,0\n"),
        (
            "families.json",
            r#"{"families": [{"family": "a", "flavours": []}, {"family": "b", "flavours": []}]}"#,
        ),
        ("off.json", r#"[{"precision": 1, "enabled": false}]"#),
        ("cut.gz", "\u{1f}"),
    ]);
    let mut transcript = String::new();
    for arguments in [
        "run --carbon missing.csv",
        "run --carbon empty.csv",
        "run --carbon noise.csv",
        "run --carbon grid.csv --from 2027-01-01",
        "run --carbon grid.csv --forecast-mode column",
        "run --carbon grid.csv --forecast-mode vintages",
        "run --carbon grid.csv --forecast grid.csv",
        "run --demand demand.csv",
        "run --carbon grid.csv --demand idle.csv",
        "run --flavours families.json",
        "run --flavours families.json --family c",
        "run --flavours off.json",
        "run --timeseries nowhere/at/all.csv",
        "run --policy best",
        "compare --policies p100,best",
        "run --target-error 1",
        "run --credit-min 0.5",
        "run --evaluate-every 0",
        "run --from yesterday",
        "run --family a",
        "run --forecast grid.csv",
        "simulate",
    ] {
        let said = desk.run(arguments);
        assert!(said.out.is_empty(), "{arguments}: {}", said.out);
        transcript.extend([format!("$ engine-sim {arguments}\n{}exit code {}\n\n", said.err, said.code)]);
    }
    insta::assert_snapshot!(transcript);
}
