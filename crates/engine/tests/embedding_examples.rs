//! What the examples print: they are run as an embedder runs them, but for the writer.

#[expect(dead_code, reason = "`cargo run` begins there")]
#[path = "../examples/axum_service.rs"]
mod axum_service;
#[expect(dead_code, reason = "`cargo run` begins there")]
#[path = "../examples/batch_job.rs"]
mod batch_job;
#[expect(dead_code, reason = "`cargo run` begins there")]
#[path = "../examples/llm_gateway.rs"]
mod llm_gateway;
#[expect(dead_code, reason = "`cargo run` begins there")]
#[path = "../examples/minimal.rs"]
mod minimal;
#[expect(dead_code, reason = "`cargo run` begins there")]
#[path = "../examples/offline_evaluation.rs"]
mod offline_evaluation;

use std::error::Error;

fn printed(run: impl FnOnce(&mut Vec<u8>) -> Result<(), Box<dyn Error>>) -> Result<String, Box<dyn Error>> {
    let mut out = Vec::new();
    run(&mut out)?;
    Ok(String::from_utf8(out)?)
}

#[test]
fn minimal() {
    insta::assert_snapshot!(printed(minimal::run).unwrap());
}

#[test]
fn a_batch_spends_its_credit_by_its_end() {
    insta::assert_snapshot!(printed(batch_job::run).unwrap());
}

#[test]
fn no_surge_overdraws_the_gateways_budget() {
    insta::assert_snapshot!(printed(llm_gateway::run).unwrap());
}

#[test]
fn policies_are_replayed_over_a_trace() {
    let trace = offline_evaluation::generated().unwrap();
    insta::assert_snapshot!(printed(|out| offline_evaluation::run(out, &trace)).unwrap());
}

/// What is served depends on the time of day, and on the threads; that all of it is, does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_answers_over_http_and_ends() {
    let mut out = Vec::new();
    axum_service::demo(&mut out).await.unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(out.starts_with("listening on http://127.0.0.1:"), "{out}");
    assert!(out.contains("the plan serves this slot") && out.contains("a demonstration"), "{out}");
    let served = out.lines().filter(|line| line.contains(" requests "));
    let served = served.map(|line| line.split_whitespace().nth(1).unwrap().parse::<u32>().unwrap());
    assert_eq!(served.sum::<u32>(), axum_service::DEMO, "{out}");
}
