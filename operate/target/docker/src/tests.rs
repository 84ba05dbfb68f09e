//! What can be told without an engine: where a port is reached, what is taken out of last words, which images are the same. The rest is
//! tried on a real engine.

use connect_docker::{ContainerView, DockerError, Protocol, PublishedPort, Said};
use operate_execute::Image;
use serde_json::{Value, json};

use crate::check::{masked, reachable};
use crate::failure::failure;
use crate::image::is_same;

#[test]
fn a_port_is_reached_where_it_is_published() {
    let published =
        |address: &str| PublishedPort { container: 80, protocol: Protocol::Tcp, address: address.into(), port: 8080 };
    let mut view =
        ContainerView { networks: [("shop".to_owned(), "172.18.0.2".to_owned())].into(), ..Default::default() };
    assert_eq!(reachable(&view, 80), "172.18.0.2:80");
    view.ports = vec![published("0.0.0.0")];
    assert_eq!(reachable(&view, 80), "127.0.0.1:8080");
    view.ports = vec![published("10.0.0.5")];
    assert_eq!(reachable(&view, 80), "10.0.0.5:8080");
    assert_eq!(reachable(&view, 81), "172.18.0.2:81");
    assert_eq!(reachable(&ContainerView::default(), 81), "127.0.0.1:81", "the machine's own network");
}

#[test]
fn last_words_hold_no_values_of_variables() {
    let env = ["DB_URL=postgres://u:hunter2@db/x".to_owned(), "PASSWORD=hunter2x".to_owned(), "N=1".to_owned()];
    let line = "cannot connect to postgres://u:hunter2@db/x with hunter2x, try 1";
    assert_eq!(masked(line, &env), "cannot connect to $DB_URL with $PASSWORD, try 1");
}

/// Whether a container's image counts as the one recorded after this change of it.
fn check_same(change: impl FnOnce(&mut Value), expect: bool) {
    let before = json!({
        "id": "aaaa", "image_id": "sha256:1", "running": true, "joins": [],
        "body": {"Image": "shop/cart:1", "Env": ["A=1"], "Labels": {}},
    });
    let mut now = before.clone();
    change(&mut now);
    assert_eq!(is_same(&Image::Present(before), &Image::Present(now)), expect);
}

#[test]
fn a_container_made_anew_is_the_same_but_nothing_else_may_differ() {
    check_same(|_| {}, true);
    check_same(|now| now["id"] = json!("bbbb"), true);
    check_same(|now| now["body"]["Image"] = json!("sha256:1"), true);
    check_same(|now| now["image_id"] = json!("sha256:2"), false);
    check_same(|now| now["running"] = json!(false), false);
    check_same(|now| now["body"]["Env"] = json!(["A=2"]), false);
    // As an engine that was started again tells it.
    check_same(|now| now["body"]["HostConfig"] = json!({"Dns": [], "DnsOptions": null, "LogConfig": {}}), true);
    check_same(|now| now["body"]["HostConfig"] = json!({"Dns": ["10.0.0.1"]}), false);
    check_same(|now| now["body"]["Env"] = json!(["A=1", {}]), false);
    check_same(|now| now["joins"] = json!([["other", {}]]), false);
    assert!(!is_same(&Image::Absent, &Image::Present(json!({}))));
    assert!(!is_same(&Image::Present(json!({"id": "1"})), &Image::Present(json!({"id": "2"}))), "an image is its id");
}

#[test]
fn an_error_of_the_engine_tells_its_class_and_what_to_do() {
    let said = || Said { status: Some(429), message: "toomanyrequests".into() };
    let object = || connect_docker::Object { kind: "image", name: "shop/cart:2".into() };
    let throttled =
        DockerError::Throttled { object: object(), retry_after: Some(std::time::Duration::from_secs(7)), said: said() };
    let told = failure(&throttled);
    assert_eq!(
        (told.class.word(), told.code.as_str(), told.retry_after_ms),
        ("throttled", "docker.throttled", Some(7000))
    );
    let taken = failure(&DockerError::PortTaken { address: Some("127.0.0.1:80".into()), said: said() });
    assert_eq!((taken.class.word(), taken.code.as_str()), ("conflict", "docker.port-taken"));
    assert!(taken.next.contains("ss -ltnp"), "{}", taken.next);
}
