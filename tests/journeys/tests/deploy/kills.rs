//! `apm deploy` killed in the middle: another process goes on where it was, once nobody holds the release any more.

use std::time::Instant;

use tests_journeys::wait;

use super::customers::Customers;
use super::shop::{Shop, Stage};

/// A lease lasts 15 s; one who takes over looks often.
const TAKEN_OVER_S: f64 = 20.0;

pub(crate) fn killed_while_it_is_judged(stage: &Stage) {
    let (shop, old) = Shop::with_version_1(stage, "judged");
    let customers = Customers::of(&shop.url());
    let mut running = shop.begin(&["--version", "errors"]);
    shop.is_watched();
    running.kill();
    let killed = Instant::now();
    shop.deploy(&["watch"]).expect(1, &["goes on with it", "rolled-back: undone, because"]);
    stage.note(&format!("killed while it was judged: undone {:.1} s later", killed.elapsed().as_secs_f64()));
    shop.is_restored(&old);
    drop(customers);
    // Whoever looks once more changes nothing.
    shop.deploy(&["watch"]).expect(1, &["rolled-back"]);
    shop.is_restored(&old);
}

pub(crate) fn killed_after_the_new_container_was_made(stage: &Stage) {
    resumed(stage, "created", |shop| stage.id(&format!("{}-next", shop.container())).is_some());
}

pub(crate) fn killed_after_the_old_container_was_stopped(stage: &Stage) {
    resumed(stage, "stopped", |shop| {
        let old = [shop.container(), format!("{}-previous", shop.container())];
        let stopped = |name: &String| {
            let words =
                ["container", "inspect", "-f", "{{index .Config.Labels \"apm.image\"}} {{.State.Running}}", name];
            stage.docker.try_docker(&words).is_ok_and(|text| text == "journey/store:1 false")
        };
        old.iter().any(stopped)
    });
}

/// A good release that is killed as soon as this holds is carried to its end by another process.
fn resumed(stage: &Stage, name: &'static str, holds: impl Fn(&Shop) -> bool) {
    let (shop, old) = Shop::with_version_1(stage, name);
    shop.settings("judged: false", "");
    let mut running = shop.begin(&["--version", "2"]);
    wait::until("the moment of the kill", 60, || if holds(&shop) { Ok(()) } else { Err(running.printed()) });
    running.kill();
    let killed = Instant::now();
    let said = shop.deploy(&["watch"]);
    if said.text.contains("goes on with it") {
        let took_s = killed.elapsed().as_secs_f64();
        stage.note(&format!("{name}: complete {took_s:.1} s after the kill"));
        assert!(took_s < TAKEN_OVER_S + 10.0, "{took_s:.1} s");
    }
    said.expect(0, &["complete", "goes on with it"]);
    assert_ne!(shop.id(), old);
    assert_eq!(shop.inspect("{{index .Config.Labels \"apm.image\"}} {{.State.Running}}"), "journey/store:2 true");
    assert_eq!(shop.containers(), [shop.container()]);
    assert_eq!(stage.id(&old), None, "the old container is still there");
}
