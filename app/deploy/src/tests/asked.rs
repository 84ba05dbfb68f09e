//! What settings and words come to before anything is planned: the release that is meant, or what is missing and where to write it.

use std::path::Path;

use app_config::Tree;
use operate_execute::Seal;

use super::*;
use crate::{Asked, NotifySettings, Project};

fn project(yaml: &str) -> Project {
    let mut tree = Tree::default();
    tree.add_file("apm.yaml", yaml, &|_: &str| None).expect("settings");
    Project::read(tree, Some("dev"), "shop").unwrap_or_else(|error| panic!("{yaml}\n{}", error.report().one_line()))
}

/// The release's service, version and container's environment; or what is said, with its hint.
fn check(yaml: &str, service: Option<&str>, expect: Result<&str, &[&str]>) {
    let seal = Seal::new(&[7; 32], World::real().random).expect("a seal");
    let asked = Asked { service: service.map(str::to_owned), version: Some("2".into()), ..Asked::default() };
    let found = project(yaml).release(&asked, &seal, &*World::real().disk, Path::new("/fronts"));
    match (found, expect) {
        (Ok(release), Ok(expect)) => assert_eq!(format!("{} {}", release.service, release.version), expect),
        (Err(report), Err(words)) => {
            let told = report.terminal(false);
            words.iter().for_each(|word| assert!(told.contains(word), "`{word}` is missing in {told}"));
        }
        (found, expect) => panic!("{yaml}\n{found:?}, not {expect:?}"),
    }
}

#[test]
fn the_service_that_is_meant_is_named_where_there_are_several() {
    const TWO: &str = "services: { cart: { image: shop/cart }, web: { image: shop/web } }";
    check(TWO, Some("web"), Ok("web 2"));
    check(TWO, None, Err(&["there are several services", "name one: cart, web"]));
    check(TWO, Some("wob"), Err(&["no service `wob`", "did you mean `web`?"]));
    check(TWO, Some("something-else"), Err(&["no service `something-else`", "there are cart, web"]));
    check("services: { cart: { image: shop/cart } }", None, Ok("cart 2"));
    check("project: shop", None, Err(&["there is nothing to deploy", "write `services: {"]));
    check("project: shop", Some("cart"), Err(&["no service `cart`", "add it to apm.yaml under `services`"]));
}

#[test]
fn settings_that_cannot_be_carried_out_say_what_can() {
    let service = |more: &str| format!("services: {{ cart: {{ image: shop/cart, {more} }} }}");
    check(
        &service("deploy: { target: moon }"),
        None,
        Err(&["`moon` is no target of apm deploy", "`docker` or `kubernetes`"]),
    );
    check(&service("deploy: { checks: [{ http: /ok }] }"), None, Err(&["a check needs a port", "give `port`"]));
    check(&service("port: 80, deploy: { checks: [{ http: /ok }, { tcp: 5432 }] }"), None, Ok("cart 2"));
    check(&service("deploy: { checks: [{ http: /ok, tcp: 80 }] }"), None, Err(&["either `http` or `tcp`"]));
    check(&service("deploy: { checks: [{}] }"), None, Err(&["either `http` or `tcp`", "{ tcp: 5432 }"]));
    check(&service("deploy: { ports: ['x'] }"), None, Err(&["`x` is no port", "127.0.0.1:8080:80"]));
    check(&service("deploy: { volumes: [data] }"), None, Err(&["`data` is no volume", "NAME:/PATH"]));
    check(&service("deploy: { health: { test: a, http: /ok } }"), None, Err(&["one of `test`, `command`, `http`"]));
    check(&service("build: { inject: volume }"), None, Err(&["needs to know the language of cart"]));
    check(&service("language: python, build: { inject: volume }"), None, Ok("cart 2"));
    check(&service("secrets: { KEY: none.txt }"), None, Err(&["none.txt"]));
    let judge = "judge: { settings: { alpha: 0.9 } }\n";
    check(&format!("{judge}{}", service("")), None, Err(&["alpha is 0.9, and has to be above 0 and below 0.5"]));
}

#[test]
fn a_receiver_that_cannot_be_meant_is_refused_and_never_repeated() {
    let disk = World::real().disk;
    let refused = |settings: &NotifySettings| match settings.receiver(&*disk) {
        Ok(_) => panic!("taken: {settings:?}"),
        Err(report) => report.terminal(false),
    };
    let ftp = NotifySettings { webhook: "ftp://example.org/hush".into(), ..NotifySettings::default() };
    let told = refused(&ftp);
    assert!(told.contains("`webhook` of `notify` is no address") && !told.contains("hush"), "{told}");
    assert!(!format!("{ftp:?}").contains("hush"));
    let webhook = "https://example.org/hush".to_owned();
    let secret = NotifySettings { webhook, secret: Some("none.key".into()), ..NotifySettings::default() };
    assert!(refused(&secret).contains("none.key"));
}
