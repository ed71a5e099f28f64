//! How many instructions does each of the hot paths take?
//!
//! Machines are noisy, but a program that does the same executes the same number of instructions. So this counts them,
//! by valgrind's callgrind, and compares with `instructions.txt`: a figure that moved by more than the tolerance fails,
//! whichever way, and is shown. `--write` puts the new figures in force. They belong to one compiler and one kind of
//! processor; on another, write your own before a change and compare after it.
#![expect(clippy::unwrap_used, reason = "constants in range; a bench may stop where one is not")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use benches::{forecast, overrides, print, routed, start, value};
use engine::routing::Key;
use engine::{Engine, EngineOptions};
use jiff::SignedDuration;
use ledger::{Bounds, BudgetSettings, CreditLedger, ErrorBudget, ServedAt};
use models::{CarbonTarget, Feedback, ScheduleId};
use policies::Registry;

/// A figure may move by so much of itself.
const TOLERANCE: f64 = 0.03;
/// Work is done so often, and so often again: what differs between the two runs is the work alone.
const TIMES: (u32, u32) = (200, 400);

type Case = (&'static str, fn() -> Box<dyn FnMut()>);

/// What is counted, by name.
const CASES: &[Case] = &[
    ("pick and record, 2 of 3 flavours", || {
        let handle = routed("constant-mix", 3, false);
        Box::new(move || black_box(handle.pick()).unwrap().record())
    }),
    ("pick and record, 3 of 3 flavours", || {
        let handle = routed("round-robin", 3, false);
        Box::new(move || black_box(handle.pick()).unwrap().record())
    }),
    ("pick by key and record, 2 of 3 flavours", || {
        let (handle, key) = (routed("constant-mix", 3, false), Key::new("user-17"));
        Box::new(move || black_box(handle.pick_for(black_box(key))).unwrap().record())
    }),
    ("pick with credit checked and record, 2 of 3", || {
        let handle = routed("constant-mix", 3, true);
        Box::new(move || black_box(handle.pick()).unwrap().record())
    }),
    ("post to the credit ledger", || {
        let bounds = Bounds::new(-0.5, 0.5).unwrap();
        let mut ledger = CreditLedger::new(bounds, SignedDuration::from_secs(300));
        let mut now = start();
        Box::new(move || {
            now += SignedDuration::from_secs(60);
            black_box(ledger.post(now, 0.05, black_box(0.045)));
        })
    }),
    ("book a report in the error budget", || {
        let mut budget = ErrorBudget::new(BudgetSettings::default());
        let mut now = start();
        budget.expect(0.05, 1e6);
        Box::new(move || {
            now += SignedDuration::from_secs(60);
            let served = [ServedAt { requests: 90, error: 0.0 }, ServedAt { requests: 10, error: 0.15 }];
            budget.serve(None, now, black_box(&served));
        })
    }),
    ("evaluate credit-greedy, written and published", || evaluation("credit-greedy")),
    ("evaluate receding-horizon, written and published", || evaluation("receding-horizon")),
    ("read the JSON of a post", || {
        let body = value(br#"{"window_seconds": 30, "flavour_counts": {"flavour-0": 900, "flavour-1": 80, "flavour-2": 20}}"#);
        let text = body.to_string();
        Box::new(move || {
            let body: serde_json::Map<_, _> = serde_json::from_str(black_box(&text)).unwrap();
            black_box(Feedback::from_json(&body)).unwrap();
        })
    }),
];

fn evaluation(policy: &str) -> Box<dyn FnMut()> {
    let id = ScheduleId::new("bench", "schedule").unwrap();
    let mut engine = Engine::new(EngineOptions::default(), Registry::builtin());
    let now = start();
    engine.configure(&id, overrides(policy, 3, 60.0), now).unwrap();
    engine.observe_forecast(&CarbonTarget::from("national"), Arc::new(forecast(now, 96)), now).unwrap();
    Box::new(move || {
        let now = match engine.next_due() {
            Some(due) if due < start() + SignedDuration::from_hours(24) => due,
            _ => start(),
        };
        black_box(engine.tick(now));
    })
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [flag, case, times] = &arguments[..]
        && flag == "--run"
    {
        let (_, make) = CASES.iter().find(|(name, _)| name == case).unwrap();
        let mut work = make();
        (0..times.parse().unwrap()).for_each(|_: u32| work());
        return ExitCode::SUCCESS;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        print("left out: there is no valgrind (Debian's package valgrind)\n");
        return ExitCode::SUCCESS;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.txt");
    let counts: Vec<(&str, u64)> = CASES.iter().map(|(name, _)| (*name, count(name))).collect();
    if arguments.iter().any(|argument| argument == "--write") {
        let lines: Vec<String> = counts.iter().map(|(name, count)| format!("{count:>8} {name}")).collect();
        std::fs::write(path, lines.join("\n") + "\n").unwrap();
        return ExitCode::SUCCESS;
    }
    compare(&counts, &std::fs::read_to_string(path).unwrap_or_default())
}

fn compare(counts: &[(&str, u64)], committed: &str) -> ExitCode {
    let line = |line: &str| {
        let (count, name) = line.trim().split_once(' ')?;
        Some((name.to_owned(), count.parse::<u64>().ok()?))
    };
    let before: BTreeMap<String, u64> = committed.lines().filter_map(line).collect();
    let mut moved = 0;
    print("\nHow many instructions does each take, beside the figure committed?\n\n");
    for (name, count) in counts {
        let (shown, has_moved) = match before.get(*name) {
            None => ("not committed".to_owned(), true),
            Some(before) => {
                let ratio = *count as f64 / *before as f64;
                (format!("{ratio:.3}x"), (ratio - 1.0).abs() > TOLERANCE)
            }
        };
        moved += usize::from(has_moved);
        print(&format!("{} {name:<52} {count:>8} {shown:>14}\n", if has_moved { '!' } else { ' ' }));
    }
    if moved == 0 {
        return ExitCode::SUCCESS;
    }
    print(&format!(
        "\n{moved} moved by more than {:.0} %: find out why, or put the new figures in force with\n  \
         cargo bench -p benches --bench instructions -- --write\n",
        TOLERANCE * 100.0
    ));
    ExitCode::FAILURE
}

/// Instructions of one turn of a case.
fn count(case: &str) -> u64 {
    let (few, many) = TIMES;
    (total(case, many) - total(case, few)) / u64::from(many - few)
}

/// Instructions of a whole process that does a case so often.
fn total(case: &str, times: u32) -> u64 {
    let out = std::env::temp_dir().join(format!("instructions.{}", std::process::id()));
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", &format!("--callgrind-out-file={}", out.display())])
        .arg(std::env::current_exe().unwrap())
        .args(["--run", case, &times.to_string()])
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let written = read(&out);
    let total =
        written.lines().find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")));
    total.unwrap().trim().parse().unwrap()
}

fn read(path: &PathBuf) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    std::fs::remove_file(path).unwrap();
    text
}
