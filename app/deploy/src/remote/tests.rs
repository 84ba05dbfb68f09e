//! What is asked of an engine elsewhere, word by word, and what is made of its answers and refusals.

use operate_deploy::Strategy;
use operate_execute::Status;
use operate_plan::{Digest, Draft, Inventory, OnFailure};

use super::*;
use crate::paper::http::Server;

fn plan() -> Plan {
    let draft = Draft {
        title: "deploy cart 2".into(),
        reason: String::new(),
        target: "docker:shop".into(),
        labels: std::collections::BTreeMap::new(),
        made_ms: 0,
        time_limit_ms: 1,
        on_failure: OnFailure::Undo,
        steps: Vec::new(),
    };
    Plan::new(draft, &Inventory::new("docker:shop"))
}

fn event(seq: u64, kind: &str, detail: &Value) -> Value {
    let hash = Digest::of_bytes(b"");
    json!({"run": "cart 2", "seq": seq, "at_ms": 0, "kind": kind, "detail": detail, "hash": hash})
}

/// An engine that answers everything so, and its desk.
async fn engine(status: u16, body: Value) -> (Server, Remote) {
    let server = Server::start(move |_| (status, body.to_string())).await;
    let remote = Remote::new(&format!("{}/", server.url), Some("a-token")).expect("a client");
    (server, remote)
}

fn run() -> RunId {
    RunId("cart 2".into())
}

fn asked() -> Asked {
    let (version, strategy) = (Some("2".into()), Some(Strategy::Rolling));
    Asked { version, strategy, actor: "ann".into(), reason: "prices".into(), ..Asked::default() }
}

#[tokio::test]
async fn runs_are_asked_for_by_what_the_api_can_filter() {
    let row = json!({"run": "cart-2", "title": "t", "target": "docker:shop", "labels": {}, "status": "complete", "created_ms": 1, "ended_ms": 2, "sentence": ""});
    let (server, remote) = engine(200, json!({"deployments": [row]})).await;
    let labels = [("service", "cart"), ("promotion", "p")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let tags = ["golden", "calm"].map(|name| Tag::new(name).expect("a tag")).into();
    let filter = Filter { status: Some(Status::Complete), labels: labels.into(), tags, before: Some(run()), limit: 7 };
    let runs = remote.runs(&filter).await.expect("runs");
    assert_eq!((runs[0].run.0.as_str(), runs[0].status), ("cart-2", Status::Complete));
    assert_eq!(remote.find(None).await.expect("the newest").0, "cart-2");
    assert_eq!(remote.find(Some("x")).await.expect("that one").0, "x");
    let lines: Vec<String> = server.asked().into_iter().map(|asked| asked.line).collect();
    let first = "GET /apm/v1/deployments?limit=7&status=complete&service=cart&tag=golden%2Ccalm&before=cart+2";
    assert_eq!(lines, [first, "GET /apm/v1/deployments?limit=1"]);
    let (_server, remote) = engine(200, json!({"deployments": []})).await;
    let none = remote.find(None).await.expect_err("nothing").report().one_line();
    assert!(none.contains("nothing was deployed yet"), "{none}");
}

#[tokio::test]
async fn what_is_wanted_is_sent_whole() {
    let (server, remote) = engine(200, json!({"plan": plan(), "run": "cart-2", "findings": []})).await;
    assert_eq!(remote.prepare(&asked(), Some("dev")).await.expect("a plan").plan.title, "deploy cart 2");
    assert_eq!(remote.create(&asked(), None).await.expect("a run").0, "cart-2");
    assert_eq!(remote.prepare_back(&run(), &asked()).await.expect("a plan").plan.title, "deploy cart 2");
    assert_eq!(remote.back(&run(), &asked()).await.expect("a run").0, "cart-2");
    let asked = server.asked();
    let sent: Vec<_> = asked.iter().map(|one| (one.line.as_str(), one.body["dry_run"] == json!(true))).collect();
    let (all, back) = ("POST /apm/v1/deployments", "POST /apm/v1/deployments/cart%202/rollback");
    assert_eq!(sent, [(all, true), (all, false), (back, true), (back, false)]);
    let first = &asked[0].body;
    assert_eq!(
        (&first["environment"], &first["strategy"], &first["reason"]),
        (&json!("dev"), &json!("rolling"), &json!("prices"))
    );
    assert_eq!(asked[3].body["to"], json!("2"));
}

#[tokio::test]
async fn each_order_has_its_own_address() {
    let (server, remote) = engine(200, json!({})).await;
    let step = || StepId("ask".into());
    let orders = [
        (Order::Pause, "pause", Value::Null),
        (Order::Resume, "resume", Value::Null),
        (Order::UndoAgain, "resume", Value::Null),
        (Order::Cancel, "cancel", Value::Null),
        (Order::Skip(step()), "skip", json!("ask")),
        (Order::Approve(step()), "approve", json!("ask")),
        (Order::Reject(step()), "reject", json!("ask")),
    ];
    for (order, _, _) in &orders {
        let command = Command { order: order.clone(), actor: "ann".into(), reason: "why".into() };
        remote.order(&run(), &command).await.expect("taken");
    }
    for (asked, (_, verb, step)) in server.asked().iter().zip(&orders) {
        assert_eq!(asked.line, format!("POST /apm/v1/deployments/cart%202/{verb}"));
        assert_eq!(asked.body, json!({"step": step, "actor": "ann", "reason": "why"}));
    }
}

#[tokio::test]
async fn a_journal_is_read_to_its_end_whatever_it_holds() {
    // A whole page of events of a newer engine, and then one that is known.
    let server = Server::start(|asked| {
        let after: u64 = asked.parameter("after").parse().unwrap_or(0);
        let events: Vec<Value> = match after {
            0 => (1..=PAGE as u64).map(|seq| event(seq, "sang", &json!({}))).collect(),
            _ => vec![event(after + 1, "step-begun", &json!({"step": "pull"}))],
        };
        (200, json!({"events": events}).to_string())
    });
    let server = server.await;
    let remote = Remote::new(&server.url, None).expect("a client");
    let run = run();
    let entries = tokio::time::timeout(Duration::from_secs(20), remote.entries(&run, 0))
        .await
        .expect("an end")
        .expect("a journal");
    assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [PAGE as u64 + 1]);
    assert_eq!(server.asked().len(), 2);
}

/// The code, and the report, of an engine that answers so.
async fn check(status: u16, body: &str, code: Option<&str>, words: &[&str]) {
    let text = body.to_owned();
    let server = Server::start(move |_| (status, text.clone())).await;
    let remote = Remote::new(&server.url, None).expect("a client");
    let error = remote.plan(&run()).await.expect_err("no plan");
    let found = match &error {
        RemoteError::Away(_) => None,
        RemoteError::Refused { code, .. } => Some(code.as_str()),
    };
    assert_eq!(found, code, "{error}");
    let told = error.report().terminal(false);
    for word in words {
        assert!(told.contains(word), "`{word}` is missing in {told}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_as_it_would_be_there() {
    let own = r#"{"error": {"code": "busy", "message": "docker:shop is being changed", "causes": ["by bob"], "hint": "wait for it"}}"#;
    check(409, own, Some("busy"), &["docker:shop is being changed", "by bob", "wait for it"]).await;
    check(401, own, Some("busy"), &["docker:shop is being changed", "APM_TOKEN or `--token-file` gives the token"])
        .await;
    check(403, "", Some(""), &["answers 403", "APM_TOKEN"]).await;
    check(404, "<html>", Some(""), &["answers 404", "one that takes no deployments"]).await;
    check(502, "bad gateway", Some(""), &["answers 502", "`apm up` prints where the engine listens"]).await;
    check(200, "{}", None, &["answers something that is not understood", "of another version"]).await;
    let nobody = Remote::new("http://127.0.0.1:1", None).expect("a client");
    let error = nobody.plan(&run()).await.expect_err("nobody").report().terminal(false);
    assert!(error.contains("`--server` names the engine, as `apm up` prints it"), "{error}");
}
