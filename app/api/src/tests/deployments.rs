//! Deployments as a program sees them: every route, who may, and what is refused.

use operate_execute::{Event, Order, RunId, Status};
use operate_plan::StepId;

use super::desk::SEALED;
use super::*;
use crate::{Refused, RefusedKind};

const ALL: &str = "/apm/v1/deployments";

pub(super) fn at(run: &RunId, rest: &str) -> String {
    format!("{ALL}/{run}{rest}")
}

#[tokio::test]
async fn runs_are_listed_page_by_page() {
    let server = Server::new();
    assert_eq!(server.documented("GET", ALL, &[], "").await, (200, json!({"deployments": [], "next": null})));
    for (name, service) in [("cart-1", "cart"), ("cart-2", "cart"), ("web-1", "web")] {
        server.desk.run(name, service).await;
    }
    let waiting = RunId("cart-2".into());
    server.desk.until_it_asks(&waiting).await;
    let check = async |query: &str, expect: &[&str], next: Value| {
        let (status, body) = server.documented("GET", &format!("{ALL}?{query}"), &[], "").await;
        let runs: Vec<_> =
            body["deployments"].as_array().unwrap().iter().map(|row| row["run"].as_str().unwrap()).collect();
        assert_eq!((status, runs.as_slice(), &body["next"]), (200, expect, &next), "{query}");
    };
    check("", &["web-1", "cart-2", "cart-1"], Value::Null).await;
    check("limit=2", &["web-1", "cart-2"], json!("cart-2")).await;
    check("limit=2&before=cart-2", &["cart-1"], Value::Null).await;
    check("service=cart", &["cart-2", "cart-1"], Value::Null).await;
    check("service=cart&environment=dev", &[], Value::Null).await;
    check("status=waiting", &["cart-2"], Value::Null).await;
    for (query, code, word) in
        [("status=fine", 400, "rolling-back"), ("limit=x", 400, "openapi"), ("sort=age", 400, "openapi")]
    {
        let (status, body) = server.documented("GET", &format!("{ALL}?{query}"), &[], "").await;
        assert!(status == code && body["error"]["hint"].as_str().unwrap().contains(word), "{query}: {body}");
    }
}

#[tokio::test]
async fn a_run_tells_where_it_stands() {
    let server = Server::new();
    let run = server.desk.run("cart-1", "cart").await;
    let (_, body) = server.documented("GET", &at(&run, ""), &[], "").await;
    assert_eq!((&body["status"], &body["percent"], &body["actor"]), (&json!("planned"), &json!(0), &json!("ann")));
    server.desk.until_it_asks(&run).await;
    let (_, body) = server.documented("GET", &at(&run, ""), &[], "").await;
    let steps: Vec<_> = body["steps"].as_array().unwrap().iter().map(|step| (&step["id"], &step["state"])).collect();
    let expect =
        [("create", "done"), ("approve", "asks"), ("start", "waits")].map(|(id, state)| (json!(id), json!(state)));
    assert_eq!(steps, expect.iter().map(|(id, state)| (id, state)).collect::<Vec<_>>());
    assert_eq!((&body["status"], &body["last_seq"]), (&json!("waiting"), &json!(9)));
    assert_eq!((&body["steps"][0]["note"], &body["steps"][1]["question"]), (&json!("0123456789ab"), &json!("Go on?")));
    // A person's time is nobody's estimate.
    assert_eq!((&body["left_ms"], &body["stage"]), (&Value::Null, &body["steps"][1]["stage"]));
    let part = &body["components"][0];
    assert_eq!((&part["stage"], &part["steps"][1]["state"]), (&body["stage"], &json!("asks")));
    assert!(body["percent"].as_u64().unwrap() > 0 && part["steps"][0]["percent"] == json!(100), "{body}");
    let failure = operate_plan::Failure::new(operate_plan::Class::Conflict, "docker.busy", "somebody uses it", "wait");
    server.desk.write(&run, Event::StepFailed { step: "approve".into(), failure }, true).await;
    let sentence = "undone, because somebody uses it".to_owned();
    server.desk.write(&run, Event::Ended { status: Status::RolledBack, sentence: sentence.clone() }, true).await;
    let (_, body) = server.documented("GET", &at(&run, ""), &[], "").await;
    assert_eq!(
        (&body["status"], &body["sentence"], &body["left_ms"]),
        (&json!("rolled-back"), &json!(sentence), &Value::Null)
    );
    assert_eq!(body["steps"][1]["failure"]["next"], json!("wait"));
}

#[tokio::test]
async fn what_is_sealed_stays_inside() {
    let server = Server::new();
    let run = server.desk.run("cart-1", "cart").await;
    server.desk.until_it_asks(&run).await;
    server.desk.write(&run, Event::Ended { status: Status::Complete, sentence: String::new() }, true).await;
    let whole =
        serde_json::to_string(&operate_execute::History::entries(&server.desk.history, &run, 0, 99).await.unwrap());
    assert!(whole.unwrap().contains(SEALED), "the journal has nothing sealed, so this shows nothing");
    for rest in ["", "/plan", "/events", "/watch", "/history", "/health", "/logs", "/diff"] {
        let (status, body) = server.documented("GET", &at(&run, rest), &[], "").await;
        let text = body.to_string();
        assert!(status == 200 && !text.contains(SEALED) && !text.contains("sealed"), "{rest}: {text}");
    }
    let (_, body) = server.documented("POST", ALL, &[], r#"{"dry_run": true}"#).await;
    assert!(!body.to_string().contains(SEALED));
    let (_, body) = server.documented("GET", &at(&run, "/plan"), &[], "").await;
    assert_eq!(body["plan"]["steps"][0]["work"]["act"]["with"]["secrets"]["TOKEN"], json!({"mark": "0f"}));
    assert!(body["report"].as_str().unwrap().contains("ask a person"));
}

#[tokio::test]
async fn the_journal_is_read_in_pages() {
    let server = Server::new();
    let run = server.desk.run("cart-1", "cart").await;
    server.desk.until_it_asks(&run).await;
    let check = async |query: &str, expect: &[&str], next: u64| {
        let (_, body) = server.documented("GET", &at(&run, &format!("/events{query}")), &[], "").await;
        let kinds: Vec<_> =
            body["events"].as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
        assert_eq!((kinds.as_slice(), &body["next"]), (expect, &json!(next)), "{query}");
    };
    check("?limit=2", &["created", "taken"], 2).await;
    check("?after=6", &["step-done", "step-begun", "asked"], 9).await;
    check("?after=9", &[], 9).await;
    let (_, body) = server.documented("GET", &at(&run, "/events?after=8"), &[], "").await;
    assert_eq!(body["events"][0]["detail"], json!({"step": "approve", "question": "Go on?"}));
    assert_eq!(server.documented("GET", &at(&run, "/events?after=-1"), &[], "").await.0, 400);
}

#[tokio::test]
async fn orders_reach_the_desk_with_who_and_why() {
    let server = Server::new();
    let run = server.desk.run("cart-1", "cart").await;
    let waits = StepId::from("approve");
    let check = async |word: &str, body: &str, expect: Order, actor: &str, reason: &str| {
        let (status, answer) = server.documented("POST", &at(&run, &format!("/{word}")), &[], body).await;
        assert_eq!(
            (status, &answer["actor"], &answer["step"]),
            (202, &json!(actor), &json!(expect.step())),
            "{word} {body}"
        );
        let (given, role) = server.desk.ordered.lock().pop().unwrap();
        assert_eq!((given.order, given.actor.as_str(), given.reason.as_str(), role), (expect, actor, reason, "admin"));
    };
    let (status, body) = server.documented("POST", &at(&run, "/approve"), &[], "").await;
    assert_eq!((status, &body["error"]["code"]), (409, &json!("nothing-waits")));
    server.desk.until_it_asks(&run).await;
    check("approve", "", Order::Approve(waits.clone()), "somebody (no token)", "").await;
    check("reject", r#"{"actor": "bob", "reason": "not today"}"#, Order::Reject(waits), "bob (no token)", "not today")
        .await;
    check("skip", r#"{"step": "start"}"#, Order::Skip("start".into()), "somebody (no token)", "").await;
    check("pause", "{}", Order::Pause, "somebody (no token)", "").await;
    check("resume", "", Order::Resume, "somebody (no token)", "").await;
    // A name that would paint the terminal of whoever reads it.
    check("cancel", r#"{"actor": "e\u001b[2Jve", "reason": "a\nb"}"#, Order::Cancel, "e [2Jve (no token)", "a b").await;
    let long = format!(r#"{{"reason": "{}"}}"#, "x".repeat(2001));
    let huge = format!(r#"{{"reason": "{}"}}"#, "x".repeat(70_000));
    for body in [r#"{"why": "x"}"#, "[]", "{", long.as_str(), huge.as_str()] {
        let (status, answer) = server.documented("POST", &at(&run, "/cancel"), &[], body).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &json!("invalid-request")), "{answer}");
    }
    let form = [("content-type", "text/plain")];
    assert_eq!(server.documented("POST", &at(&run, "/cancel"), &form, "{}").await.0, 400);
    assert!(server.desk.ordered.lock().is_empty());
}

#[tokio::test]
async fn refusals_have_a_status_a_code_and_a_hint() {
    let server = Server::new();
    let run = server.desk.run("cart-1", "cart").await;
    let gone = RunId("gone".into());
    for rest in ["", "/plan", "/events", "/watch", "/history", "/health", "/logs", "/diff"] {
        let (status, body) = server.documented("GET", &at(&gone, rest), &[], "").await;
        assert_eq!((status, &body["error"]["code"]), (404, &json!("no-run")), "{rest}");
    }
    for word in ["approve", "reject", "skip", "pause", "resume", "cancel", "rollback"] {
        assert_eq!(server.documented("POST", &at(&gone, &format!("/{word}")), &[], "{}").await.0, 404, "{word}");
    }
    use RefusedKind::{Away, Conflict, Refused as Impossible};
    for (kind, code, expect) in [(Conflict, "run-ended", 409), (Impossible, "no-step", 422), (Away, "history", 503)] {
        let report = base_explain::Report::new("it does not go").because("so it is").hint("do otherwise");
        *server.desk.refuses.lock() = Some(Refused::new(kind, code, report));
        for path in [at(&run, "/cancel"), ALL.to_owned()] {
            let (status, body) = server.documented("POST", &path, &[], "{}").await;
            let error =
                json!({"code": code, "message": "it does not go", "causes": ["so it is"], "hint": "do otherwise"});
            assert_eq!((status, body), (expect, json!({"error": error})), "{path}");
        }
    }
}

#[tokio::test]
async fn who_may() {
    let file =
        "viewer viewer-0123456789\ningest ingest-0123456789\ndeployer deploy-0123456789\nadmin admins-0123456789\n";
    let server = Server::with(|api| api.tokens = Tokens::parse(file).unwrap());
    let run = server.desk.run("cart-1", "cart").await;
    // What a viewer, an ingester, a deployer, an admin and a stranger get.
    let (look, change) = ([200, 403, 200, 200, 401], [403, 403, 202, 202, 401]);
    let words = ["pause", "resume", "cancel", "approve", "reject", "skip"];
    let mut table = vec![("GET", ALL.to_owned(), look), ("POST", ALL.to_owned(), change)];
    table.extend(["", "/plan", "/events"].map(|rest| ("GET", at(&run, rest), look)));
    table.extend(words.map(|word| ("POST", at(&run, &format!("/{word}")), change)));
    table.push(("GET", "/apm/v1/openapi.json".into(), look));
    for (method, path, expect) in table {
        let body = if method == "POST" && path != ALL { r#"{"step": "start", "actor": "bob"}"# } else { "" };
        for (token, expect) in ["viewer-", "ingest-", "deploy-", "admins-", "strange"].iter().zip(expect) {
            let bearer = format!("Bearer {token}0123456789");
            let (status, answer) = server.documented(method, &path, &[("authorization", &bearer)], body).await;
            assert_eq!(status, expect, "{method} {path} as {token}: {answer}");
        }
    }
    let roles: Vec<_> =
        server.desk.ordered.lock().iter().map(|(command, role)| (command.actor.clone(), *role)).collect();
    let (by_deployer, by_admin) = (("bob (deployer)".to_owned(), "deployer"), ("bob (admin)".to_owned(), "admin"));
    assert_eq!(roles, vec![[by_deployer, by_admin]; words.len()].concat());
}

#[tokio::test]
async fn a_release_is_asked_for() {
    let server = Server::new();
    let asked =
        r#"{"service": "cart", "version": "2", "strategy": "rolling", "adopt": true, "actor": "ann", "reason": "new"}"#;
    let (status, body) = server.documented("POST", ALL, &[], asked).await;
    assert_eq!((status, body), (202, json!({"run": "cart-2/a", "url": "/apm/v1/deployments/cart-2%2Fa"})));
    let wanted = server.desk.wanted.lock().pop().unwrap();
    let expect = crate::Wanted {
        service: Some("cart".into()),
        version: Some("2".into()),
        strategy: Some(operate_deploy::Strategy::Rolling),
        adopt: true,
        actor: "ann (no token)".into(),
        role: "admin",
        reason: "new".into(),
        ..crate::Wanted::default()
    };
    assert_eq!(wanted, expect);
    let (status, body) = server.documented("POST", ALL, &[], r#"{"dry_run": true}"#).await;
    assert_eq!((status, &body["plan"]["title"]), (200, &json!("deploy cart 2 to prod")));
    assert_eq!(server.documented("POST", ALL, &[], r#"{"strategy": "hope"}"#).await.0, 400);
}

#[tokio::test]
async fn going_back_is_a_release_of_the_version_before() {
    let server = Server::new();
    let run = server.desk.run("cart-1", "cart").await;
    let path = at(&run, "/rollback");
    let (status, body) = server.documented("POST", &path, &[], "").await;
    assert_eq!((status, &body["error"]["code"]), (409, &json!("not-ended")));
    server.desk.until_it_asks(&run).await;
    server.desk.write(&run, Event::Ended { status: Status::Complete, sentence: String::new() }, true).await;
    let check = async |body: &str, status: u16, version: &str, reason: &str| {
        assert_eq!(server.documented("POST", &path, &[], body).await.0, status, "{body}");
        let wanted = server.desk.wanted.lock().pop().unwrap();
        let named = (wanted.service.as_deref(), wanted.environment.as_deref(), wanted.version.as_deref());
        assert_eq!(named, (Some("cart"), Some("prod"), Some(version)));
        assert_eq!((wanted.back.as_ref(), wanted.reason.as_str()), (Some(&run), reason));
    };
    check("", 202, "1", "back from cart-1").await;
    check(r#"{"to": "0.9", "reason": "it leaks"}"#, 202, "0.9", "it leaks").await;
    check(r#"{"dry_run": true}"#, 200, "1", "back from cart-1").await;
    // By the tag of a run that released it.
    let tagged = server.documented("PUT", &at(&run, "/tags"), &[], r#"{"tags": ["golden"]}"#).await;
    assert_eq!(tagged.0, 200);
    check(r#"{"to": "golden"}"#, 202, "2", "back from cart-1").await;
    check(r#"{"to": "unheard"}"#, 202, "unheard", "back from cart-1").await;
}

#[tokio::test]
async fn runs_get_tags_and_are_found_by_them() {
    let server = Server::new();
    for name in ["cart-1", "cart-2"] {
        server.desk.run(name, "cart").await;
    }
    let run = RunId("cart-1".into());
    let path = at(&run, "/tags");
    let check = async |method: &str, query: &str, body: &str, expect: &[&str]| {
        let (status, answer) = server.documented(method, &format!("{path}{query}"), &[], body).await;
        assert_eq!((status, answer), (200, json!({"run": "cart-1", "tags": expect})), "{method} {query} {body}");
        server.desk.retagged.lock().pop().unwrap()
    };
    let given =
        check("PUT", "", r#"{"tags": ["golden", "calm"], "actor": "ann", "reason": "good"}"#, &["calm", "golden"])
            .await;
    assert_eq!(
        (given.actor.as_str(), given.role, given.reason.as_str(), given.takes),
        ("ann (no token)", "admin", "good", false)
    );
    check("PUT", "", r#"{"tags": ["old"]}"#, &["calm", "golden", "old"]).await;
    assert!(check("DELETE", "?tag=calm", r#"{"tags": ["old"]}"#, &["golden"]).await.takes);
    check("DELETE", "?tag=calm&tag=old", "", &["golden"]).await;
    let list = async |query: &str| {
        let (_, body) = server.documented("GET", &format!("{ALL}?{query}"), &[], "").await;
        let rows = body["deployments"].as_array().unwrap().clone();
        rows.into_iter().map(|row| (row["run"].clone(), row["tags"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(list("tag=golden").await, [(json!("cart-1"), json!(["golden"]))]);
    assert_eq!(list("tag=calm").await, []);
    assert_eq!((list("tag=golden,golden").await.len(), list("tag=golden,calm").await.len()), (1, 0));
    assert_eq!(list("").await[0], (json!("cart-2"), Value::Null));
    for (method, rest, body) in [
        ("PUT", "", ""),
        ("PUT", "", r#"{"tags": []}"#),
        ("PUT", "", r#"{"tags": ["a b"]}"#),
        ("PUT", "", r#"{"tags": ["a"], "takes": true}"#),
        ("DELETE", "", ""),
        ("DELETE", "?name=golden", ""),
        ("DELETE", "?tag=a/b", ""),
    ] {
        let (status, answer) = server.documented(method, &format!("{path}{rest}"), &[], body).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (400, &json!("invalid-request")),
            "{method} {rest} {body}: {answer}"
        );
    }
    assert_eq!(server.documented("GET", &format!("{ALL}?tag=a%20b"), &[], "").await.0, 400);
    let gone = at(&RunId("gone".into()), "/tags");
    assert_eq!(server.documented("PUT", &gone, &[], r#"{"tags": ["a"]}"#).await.0, 404);
    assert!(server.desk.retagged.lock().is_empty());
}

#[tokio::test]
async fn every_documented_path_answers() {
    let server = Server::new();
    let run = server.desk.run("cart-1", "cart").await;
    server.desk.until_it_asks(&run).await;
    server.desk.write(&run, Event::Ended { status: Status::Complete, sentence: String::new() }, true).await;
    let (_, document) = server.documented("GET", "/apm/v1/openapi.json", &[], "").await;
    assert_eq!(document["openapi"], json!("3.1.0"));
    let mut walked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let asked =
            path.replace("{run}", &run.0).replace("{name}", "cart.log").replace("{promotion}", "promote-cart-2-ab");
        // Streams that go on for ever, and sockets, have tests of their own.
        if path.ends_with("/ws") || path == "/apm/v1/deployments/watch" || path.ends_with("/output/watch") {
            walked += 1;
            continue;
        }
        for method in ["get", "post", "put", "delete"] {
            let reply = server.ask(&method.to_ascii_uppercase(), &asked, &[], Body::empty()).await;
            // What is there is documented, and what is documented is there.
            assert_eq!(reply.status != 405, item[method].is_object(), "{method} {path}: {}", reply.status);
            if item[method].is_object() {
                let body = if path.starts_with("/apm/v1/promotions") {
                    ""
                } else if path.ends_with("skip") || path.ends_with("ove") || path.ends_with("ject") {
                    r#"{"step": "start"}"#
                } else if path.ends_with("tags") {
                    r#"{"tags": ["golden"]}"#
                } else {
                    ""
                };
                let (status, answer) = server.documented(&method.to_ascii_uppercase(), &asked, &[], body).await;
                assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
                walked += 1;
            }
        }
    }
    assert_eq!(walked, 38);
    // Every reference leads somewhere.
    let text = document.to_string();
    for place in text.split("\"$ref\":\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        super::contract::follow(&document, place);
    }
}
