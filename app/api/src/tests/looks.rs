//! What is looked at beside a journal, as a program sees it.

use operate_execute::Event;
use operate_plan::{Class, Failure};

use super::deployments::at;
use super::*;

#[tokio::test]
async fn attempts_tell_how_they_went() {
    let server = Server::new();
    let run = server.desk.run("cart-1", "cart").await;
    server.desk.until_it_asks(&run).await;
    let failure = Failure::new(Class::Transient, "docker.away", "nobody answers", "wait");
    let step = || "start".into();
    for event in [
        Event::Attempt { step: step(), number: 1 },
        Event::AttemptFailed { step: step(), number: 1, failure, again_ms: Some(500) },
        // Cut off by a kill: nothing tells how it went.
        Event::Attempt { step: step(), number: 2 },
        Event::Attempt { step: step(), number: 3 },
        Event::Acted { step: step(), note: "it runs".into() },
        Event::Attempt { step: step(), number: 4 },
    ] {
        server.desk.write(&run, event, true).await;
    }
    let (_, body) = server.documented("GET", &at(&run, "/history"), &[], "").await;
    let told = |attempt: &Value| {
        (
            attempt["step"].clone(),
            attempt["number"].clone(),
            attempt["outcome"].clone(),
            attempt["failure"]["code"].clone(),
        )
    };
    let attempts: Vec<_> = body["attempts"].as_array().unwrap().iter().map(told).collect();
    let expect = [
        ("create", 1, json!("acted"), Value::Null),
        ("start", 1, json!("failed"), json!("docker.away")),
        ("start", 2, Value::Null, Value::Null),
        ("start", 3, json!("acted"), Value::Null),
        ("start", 4, Value::Null, Value::Null),
    ];
    assert_eq!(attempts, expect.map(|(step, number, outcome, code)| (json!(step), json!(number), outcome, code)));
    assert_eq!((&body["audit"][0]["action"], &body["deployments"][0]["run"]), (&json!("create"), &json!("cart-1")));
}

#[tokio::test]
async fn a_change_is_told_against_the_release_before() {
    let server = Server::new();
    let first = server.desk.run("cart-1", "cart").await;
    let second = server.desk.run("web-1", "web").await;
    let paths = async |run| {
        let (_, body) = server.documented("GET", &at(run, "/diff"), &[], "").await;
        let changes = body["changes"].as_array().unwrap().iter();
        let changes: Vec<_> = changes.map(|change| change["path"].as_str().unwrap().to_owned()).collect();
        (body["against"].clone(), changes, body["objects"].clone())
    };
    // The first one brings everything.
    let (against, changes, objects) = paths(&first).await;
    assert_eq!((against, changes), (Value::Null, vec!["/labels".to_owned(), "/made".to_owned()]));
    assert_eq!(objects, json!([{"object": "container/cart", "verbs": ["create", "start"]}]));
    let (against, changes, _) = paths(&second).await;
    let expect = ["/labels/service", "/made/create cart", "/made/create web", "/made/start cart", "/made/start web"];
    assert_eq!((against, changes), (json!("cart-1"), expect.map(str::to_owned).to_vec()));
}

#[tokio::test]
async fn health_is_the_judges_words_and_the_containers() {
    let server = Server::new();
    let run = server.desk.run("cart-1", "cart").await;
    server.desk.until_it_asks(&run).await;
    let wait = operate_execute::Ruling::Wait { again_ms: 5, sentence: "too early".into() };
    let fail = operate_execute::Ruling::Fail { sentence: "errors rose".into(), hurt_since_ms: Some(1) };
    for ruling in [wait, fail] {
        server
            .desk
            .write(&run, Event::Judged { step: "approve".into(), ruling, health: Default::default() }, true)
            .await;
    }
    let (_, body) = server.documented("GET", &at(&run, "/health"), &[], "").await;
    let said: Vec<_> =
        body["said"].as_array().unwrap().iter().map(|said| (&said["outcome"], &said["sentence"])).collect();
    let expect =
        [("wait", "too early"), ("fail", "errors rose")].map(|(word, sentence)| (json!(word), json!(sentence)));
    assert_eq!(said, expect.iter().map(|(word, sentence)| (word, sentence)).collect::<Vec<_>>());
    let states: Vec<_> =
        body["objects"].as_array().unwrap().iter().map(|object| object["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["running", "absent", "stopped", "unknown"]);
    assert_eq!(body["objects"][3]["why"], json!("nobody answers"));
}

#[tokio::test]
async fn lines_come_with_the_page_that_shows_them() {
    let server = Server::new();
    let run = server.desk.run("cart-1", "cart").await;
    let (_, body) = server.documented("GET", &at(&run, "/logs?limit=2"), &[], "").await;
    assert_eq!((body["lines"].as_array().unwrap().len(), &body["truncated"]), (2, &json!(true)));
    let page = body["page"].as_str().unwrap();
    assert!(page.starts_with("/ui/logs?q=%7Bservice_name%3D%22cart%22%7D") && page.ends_with("&from=1&to=9"), "{page}");
    assert_eq!(server.documented("GET", &at(&run, "/logs?limit=x"), &[], "").await.0, 400);
}

#[tokio::test]
async fn a_rollback_is_shown_before_it_is_asked_for() {
    let server = Server::new();
    let run = server.desk.run("cart-1", "cart").await;
    assert_eq!(server.documented("GET", &at(&run, "/rollback"), &[], "").await.0, 409, "it has not ended");
    let ended = Event::Ended { status: operate_execute::Status::Complete, sentence: String::new() };
    server.desk.until_it_asks(&run).await;
    server.desk.write(&run, ended, true).await;
    for (query, version) in [("", "1"), ("?to=0.9", "0.9")] {
        let (status, body) = server.documented("GET", &at(&run, &format!("/rollback{query}")), &[], "").await;
        assert_eq!((status, &body["plan"]["title"]), (200, &json!("deploy cart 2 to prod")));
        let wanted = server.desk.wanted.lock().pop().unwrap();
        assert_eq!((wanted.version.as_deref(), wanted.back.as_ref()), (Some(version), Some(&run)));
    }
    let (status, body) = server.documented("GET", "/apm/v1/deployments/metrics?days=7", &[], "").await;
    // One release makes no elite.
    assert_eq!((status, &body["dora"]["per_day"]["band"]), (200, &json!("unknown")));
    assert_eq!(body["since_ms"], json!(NOW_MS - 7 * 86_400_000));
}
