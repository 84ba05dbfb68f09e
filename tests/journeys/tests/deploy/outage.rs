//! Docker's engine goes away while a release is watched: the release is not lost, and what it left is not left for ever.

use std::time::Duration;

use tests_journeys::{Dockerd, wait};

use super::customers::Customers;
use super::shop::{Shop, Stage, end, images};

pub(crate) fn the_engine_of_docker_goes_away(stage: &Stage) {
    let docker = Dockerd::start("outage");
    images(&docker);
    let shop = Shop::on(stage, &docker, "outage");
    shop.deploy(&["--version", "1"]).expect(0, &["complete"]);
    let old = shop.id();
    shop.settings("", "");
    let customers = Customers::of(&shop.url());
    let mut running = shop.begin(&["--version", "errors"]);
    shop.is_watched();
    docker.kill();
    // It decides all the same, and waits for the engine to undo.
    wait::until(
        "the undoing",
        60,
        || if running.printed().contains("undoing") { Ok(()) } else { Err(running.printed()) },
    );
    // Longer than a few quick tries take.
    std::thread::sleep(Duration::from_secs(15));
    docker.restart();
    end(&mut running).expect(1, &["rolled-back: undone, because"]);
    drop(customers);
    shop.is_restored(&old);
    // For a new release nobody waits: the engine is named, and where it was looked for.
    docker.kill();
    shop.deploy(&["--version", "2"]).expect(4, &["no Docker engine answers at", "docker.sock", "DOCKER_HOST"]);
}
