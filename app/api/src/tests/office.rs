//! What an engine does for whoever asks it in the place of doing it there: the judge, differences, containers' lines, artefacts, promotions and
//! compose projects, held to the document.

use std::time::Duration;

use futures_util::StreamExt as _;

use super::deployments::at;
use super::*;

const PROMOTION: &str = "/apm/v1/promotions/promote-cart-2-ab";

#[tokio::test]
async fn the_judge_says_what_he_had_to_do_without() {
    let server = Server::new();
    let run = server.desk.run("cart-1", "cart").await;
    for path in ["/apm/v1/deployments/judge?service=web&environment=dev".to_owned(), at(&run, "/judge")] {
        let (status, body) = server.documented("GET", &path, &[], "").await;
        assert_eq!((status, &body["verdict"]["outcome"]), (200, &json!("fail")), "{path}");
        assert_eq!(body["degraded"][0]["source"], "loki");
    }
    assert_eq!(server.documented("GET", "/apm/v1/deployments/cart-9/judge", &[], "").await.0, 404);
    let (status, body) = server.documented("GET", "/apm/v1/deployments/replay?since_ms=77", &[], "").await;
    assert_eq!((status, &body["judged"][0]["after_ms"]), (200, &json!(77)));
    assert_eq!(server.documented("GET", "/apm/v1/deployments/replay?since=77", &[], "").await.0, 400);
    let (status, body) = server.documented("GET", "/apm/v1/deployments/diff?service=cart", &[], "").await;
    assert_eq!((status, &body["differences"][0]["what"]), (200, &json!("image")));
}

#[tokio::test]
async fn what_is_lacking_is_said_beside_what_is_there() {
    let server = Server::new();
    let run = server.desk.run("cart-1", "cart").await;
    server.desk.until_it_asks(&run).await;
    let (_, body) = server.documented("GET", &at(&run, "/health"), &[], "").await;
    assert_eq!(body["degraded"][0]["why"], "nobody answers");
    let (_, body) = server.documented("GET", &at(&run, "/logs?limit=2"), &[], "").await;
    assert_eq!(body["degraded"][0]["what"], "older lines");
    let (_, body) = server.documented("GET", &at(&run, "/logs?limit=3"), &[], "").await;
    assert_eq!(body["degraded"], json!([]));
    let (_, body) = server.documented("GET", &at(&run, "/history"), &[], "").await;
    assert_eq!(body["degraded"], json!([]));
}

#[tokio::test]
async fn lines_of_containers_are_given_and_followed() {
    let server = Server::new();
    let run = server.desk.run("cart-1", "cart").await;
    let (status, body) = server.documented("GET", &at(&run, "/output?since_ms=1&tail=1"), &[], "").await;
    assert_eq!((status, &body["lines"][0]["at_ms"], &body["lines"][1]), (200, &json!(1), &Value::Null));
    assert_eq!(body["degraded"][0]["source"], "docker");
    assert_eq!(server.documented("GET", &at(&run, "/output?tail=-1"), &[], "").await.0, 400);
    assert_eq!(server.documented("GET", "/apm/v1/deployments/cart-9/output/watch", &[], "").await.0, 404);

    let request = Request::builder().uri(at(&run, "/output/watch")).header("host", "127.0.0.1:4300");
    let response = server.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.into_body().into_data_stream();
    let (mut text, root) = (String::new(), serde_json::from_str::<Value>(crate::deployments::OPENAPI).unwrap());
    let form = super::contract::follow(&root, "#/components/schemas/Heard");
    while text.matches("\n\n").count() < 2 {
        let more = tokio::time::timeout(Duration::from_secs(60), stream.next()).await.expect("within a minute");
        text.push_str(std::str::from_utf8(&more.expect("more").unwrap()).unwrap());
    }
    let heard: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    heard.iter().for_each(|one| assert_eq!(super::contract::faults(&root, form, one, "$"), Vec::<String>::new()));
    assert_eq!((&heard[0]["line"]["text"], &heard[1]["lacks"]["source"]), (&json!("hello"), &json!("docker")));
    // An engine that stops lets its watchers go.
    server.desk.stop.send_replace(true);
    let end = tokio::time::timeout(Duration::from_secs(60), stream.next()).await.expect("an end");
    assert!(end.is_none(), "{end:?}");
}

#[tokio::test]
async fn artefacts_are_bytes_and_never_a_page() {
    let server = Server::new();
    let run = server.desk.run("cart-1", "cart").await;
    let (_, body) = server.documented("GET", &at(&run, "/artefacts"), &[], "").await;
    assert_eq!(body["artefacts"][0]["name"], "cart.log");
    let (status, body) = server.documented("GET", &at(&run, "/artefacts/cart.log"), &[], "").await;
    assert_eq!((status, body), (200, json!("exit 3\n")));
    let page = server.ask("GET", &at(&run, "/artefacts/page"), &[], Body::empty()).await;
    assert_eq!(page.header("content-type"), "application/octet-stream");
    assert_eq!(server.documented("GET", &at(&run, "/artefacts/other"), &[], "").await.0, 404);
}

#[tokio::test]
async fn a_promotion_is_decided_looked_at_and_answered() {
    let server = Server::new();
    let asked = r#"{"service": "cart", "from": "dev", "actor": "ann", "reason": "new prices"}"#;
    let (status, body) = server.documented("POST", "/apm/v1/promotions", &[], asked).await;
    assert_eq!((status, &body["promotion"]["next"]["approval"]["stage"]), (201, &json!(1)));
    let promoted = server.desk.promoted.lock().pop().unwrap();
    assert_eq!((promoted.from.as_deref(), promoted.actor.as_str()), (Some("dev"), "ann (no token)"));
    let (_, body) = server.documented("GET", "/apm/v1/promotions?limit=1", &[], "").await;
    assert_eq!(body["promotions"].as_array().map(Vec::len), Some(1));
    assert_eq!(server.documented("GET", PROMOTION, &[], "").await.0, 200);
    let (status, body) = server.documented("GET", "/apm/v1/promotions/other", &[], "").await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("no-promotion")));

    let approve = format!("{PROMOTION}/approve");
    let (status, body) = server.documented("POST", &approve, &[], r#"{"dry_run": true}"#).await;
    assert_eq!((status, &body["plan"]["title"]), (200, &json!("deploy cart 2 to prod")));
    assert!(server.desk.said.lock().is_empty(), "a dry run says yes");
    let (status, body) = server.documented("POST", &approve, &[], r#"{"reason": "looked at it"}"#).await;
    assert_eq!((status, &body["run"]), (202, &json!("promote-cart-2-ab-dev")));
    let (status, _) = server.documented("POST", &format!("{PROMOTION}/reject"), &[], "").await;
    assert_eq!(status, 200);
    let said: Vec<_> = server.desk.said.lock().iter().map(|yes| yes.reason.clone()).collect();
    assert_eq!(said, ["looked at it", ""]);
}

#[tokio::test]
async fn a_compose_project_may_be_larger_than_a_few_names() {
    let limits = crate::BodyLimits { body_bytes: 1 << 20, in_flight_bytes: 4 << 20, ..crate::BodyLimits::default() };
    let server = Server::with(|api| api.bodies = Bodies::new(limits));
    let text = "x".repeat(200 << 10);
    let body = json!({"dry_run": true, "compose": {"project": {"name": "shop", "x": text}}});
    let (status, body) = server.documented("POST", "/apm/v1/deployments", &[], &body.to_string()).await;
    assert_eq!((status, &body["notes"]), (200, &json!([])));
    let sent = server.desk.wanted.lock().pop().unwrap().compose.expect("a project");
    assert_eq!(sent["project"]["name"], "shop");
    let (status, _) =
        server.documented("POST", "/apm/v1/promotions", &[], &json!({ "service": text }).to_string()).await;
    assert_eq!(status, 400, "other requests stay small");
}
