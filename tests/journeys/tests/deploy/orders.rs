//! Whoever has the history can order a run about from another process; and only one run at a time changes a target.

use super::customers::Customers;
use super::shop::{Shop, Stage, end};

pub(crate) fn orders_come_from_anywhere(stage: &Stage) {
    let (shop, old) = Shop::with_version_1(stage, "orders");
    let customers = Customers::of(&shop.url());
    let mut running = shop.begin(&["--version", "2"]);
    shop.is_watched();

    // A second deployer is told who is at it, and leaves no trace.
    let (before, containers) = (shop.deploy(&["list"]).text.lines().count(), shop.containers());
    let holder = format!("is being changed by apm {} of ann", running.pid());
    shop.deploy(&["--version", "3"]).expect(4, &[&holder]);
    assert_eq!(shop.containers(), containers);
    assert_eq!(shop.deploy(&["list"]).text.lines().count(), before, "it left a run behind");

    shop.deploy(&["pause", "--reason", "lunch"]).expect(0, &[]);
    shop.says("paused");
    shop.deploy(&["resume"]).expect(0, &[]);
    shop.says("running");
    shop.deploy(&["cancel", "--reason", "wrong day"]).expect(0, &[]);
    let said = end(&mut running).expect(1, &["rolled-back: undone, because", "wrong day"]);
    assert!(said.text.contains("ann paused it: lunch") && said.text.contains("ann lets it go on"), "{}", said.text);
    shop.is_restored(&old);
    shop.deploy(&["cancel"]).expect(4, &["rolled-back, and takes no order"]);
    drop(customers);
}

pub(crate) fn a_person_is_asked(stage: &Stage) {
    let (shop, old) = Shop::with_version_1(stage, "asked");
    shop.settings("judged: false\napproval: true", "");
    let question = "Deploy asked 2 to default?";

    let mut running = shop.begin(&["--version", "2"]);
    let status = shop.says("waiting");
    assert!(status.contains("asks") && running.printed().contains(question), "{status}\n{}", running.printed());
    assert_eq!((shop.id(), shop.containers()), (old.clone(), vec![shop.container()]), "it did not wait");
    shop.deploy(&["reject", "--reason", "not on a Friday"]).expect(0, &[]);
    end(&mut running).expect(1, &["ann says no to", "not on a Friday", "rolled-back"]);
    shop.is_restored(&old);
    shop.deploy(&["approve"]).expect(4, &["takes no order"]);

    let mut running = shop.begin(&["--version", "2"]);
    shop.says("waiting");
    shop.deploy(&["approve", "--reason", "read it"]).expect(0, &[]);
    end(&mut running).expect(0, &["ann says yes to", "read it", "complete"]);
    assert_eq!(shop.inspect("{{index .Config.Labels \"apm.image\"}} {{.State.Running}}"), "journey/store:2 true");
    assert_ne!(shop.id(), old);
}
