//! One version through three environments, with desks that come and go: whoever carried a stage out is gone when the next one begins.

use std::collections::BTreeMap;
use std::sync::Arc;

use app_config::Tree;
use base_world::World;
use operate_execute::{Command, HistoryError, RunError};
use tempfile::TempDir;

use super::*;
use crate::paper::{self, Nobody, Paper};

const IMAGE: &str = "shop/cart@sha256:5f2c";

struct Rig {
    folder: TempDir,
    paper: Arc<Paper>,
}

impl Rig {
    fn new() -> Rig {
        Rig { folder: TempDir::new().expect("a folder"), paper: Arc::new(Paper::new()) }
    }

    /// A process of its own: nothing is remembered but what the history holds.
    async fn desk(&self, holder: &str) -> Desk {
        paper::desk(self.folder.path(), holder, World::real(), self.paper.clone(), Arc::new(Nobody)).await
    }

    fn versions(&self) -> Vec<String> {
        let objects = self.paper.world.objects();
        let containers = objects.iter().filter(|(object, _)| object.kind == "container");
        containers.map(|(object, value)| format!("{} {}", object.name, value["labels"]["apm.version"])).collect()
    }
}

fn project(environment: &str) -> Project {
    let text = "project: shop\nservices:\n  cart:\n    image: shop/cart\n    deploy: { judged: false, ready: 60s }\n";
    let mut tree = Tree::default();
    tree.add_file("apm.yaml", text, &|_: &str| None).expect("settings");
    Project::read(tree, Some(environment), "shop").expect("a project")
}

fn asked(actor: &str, reason: &str) -> Asked {
    Asked { actor: actor.into(), reason: reason.into(), ..Asked::default() }
}

async fn promote(desk: &Desk) -> Promotion {
    let stages = ["dev", "staging", "prod"].map(str::to_owned).into();
    let (service, version, image) = ("cart".into(), "2".into(), IMAGE.into());
    let (actor, reason) = ("ann".into(), "new prices".into());
    let asked = Promote { service, version, image, stages, first_run: None, actor, reason };
    desk.promote(&project("dev"), &asked).await.expect("a promotion")
}

async fn standing(desk: &Desk, id: &str) -> Standing {
    let promotion = desk.promotion(id).await.expect("the history answers").expect("it is kept");
    desk.standing(promotion).await.expect("where it stands")
}

/// What `apm deploy approve` does, but for carrying it out.
async fn approve(desk: &Desk, id: &str, actor: &str, reason: &str) -> Result<RunId, DeskError> {
    let now = standing(desk, id).await;
    let stage = Desk::begins(&now, reason)?;
    let planned = desk.plan_stage(&project(&now.promotion.stages[stage]), &now, stage, &asked(actor, reason)).await?;
    desk.begin_stage(&now, stage, &planned, actor, "", reason).await
}

fn refused(answer: Result<RunId, DeskError>, words: &str) {
    let error = answer.expect_err(words).report().one_line();
    assert!(error.contains(words), "{error}, not {words}");
}

#[tokio::test]
async fn one_image_goes_all_the_way_with_a_yes_between_and_nothing_is_remembered_by_anyone() {
    let rig = Rig::new();
    let first = rig.desk("apm 1").await;
    let id = promote(&first).await.id;
    // Killed before anything was begun: the next one begins.
    drop(first);
    let second = rig.desk("apm 2").await;
    assert_eq!(standing(&second, &id).await.next, Next::Begin);
    let dev = approve(&second, &id, "ann", "new prices").await.expect("dev");
    assert_eq!(
        (dev.0.as_str(), standing(&second, &id).await.next),
        (&*format!("{id}-dev"), Next::UnderWay { stage: 0 })
    );
    refused(approve(&second, &id, "bob", "").await, "under way in dev");
    assert_eq!(second.execute(&dev).await.expect("it ends"), Status::Complete);

    let third = rig.desk("apm 3").await;
    assert_eq!(standing(&third, &id).await.next, Next::Approval { stage: 1, doubt: None });
    // Two people say yes to what they saw.
    let seen = standing(&third, &id).await;
    let planned = third.plan_stage(&project("staging"), &seen, 1, &asked("bob", "")).await.expect("a plan");
    third.begin_stage(&seen, 1, &planned, "bob", "", "looked at it").await.expect("the first");
    let twice = third.begin_stage(&seen, 1, &planned, "cid", "", "me too").await;
    assert!(matches!(twice, Err(DeskError::Run(RunError::Busy { .. }))), "{twice:?}");
    third.execute(&RunId(format!("{id}-staging"))).await.expect("it ends");
    let late = third.begin_stage(&seen, 1, &planned, "cid", "", "me too").await;
    assert!(matches!(late, Err(DeskError::History(HistoryError::Exists(_)))), "{late:?}");
    let prod = approve(&third, &id, "eve", "go").await.expect("prod");
    third.execute(&prod).await.expect("it ends");

    let now = standing(&rig.desk("apm 4").await, &id).await;
    assert_eq!(now.next, Next::Complete);
    let who: Vec<_> = now.stages.iter().map(|stage| format!("{} {}", stage.actor, stage.reason)).collect();
    assert_eq!(who, ["ann new prices", "bob looked at it", "eve go"]);
    assert_eq!(rig.versions(), ["shop-dev-cart \"2\"", "shop-prod-cart \"2\"", "shop-staging-cart \"2\""]);
    for stage in &now.stages {
        let plan = third.plan_of(stage.run.as_ref().expect("a run")).await.expect("a plan");
        assert_eq!((plan.labels["image"].as_str(), plan.labels[LABEL].as_str()), (IMAGE, id.as_str()));
    }
    assert_eq!(third.history.verify_audit().await.expect("an audit log"), None);
}

#[tokio::test]
async fn a_stage_that_was_undone_can_be_begun_anew_and_a_no_ends_it() {
    let rig = Rig::new();
    let desk = rig.desk("apm 1").await;
    let id = promote(&desk).await.id;
    let dev = approve(&desk, &id, "ann", "").await.expect("dev");
    let cancel = Command { order: Order::Cancel, actor: "ann".into(), reason: "wait".into() };
    desk.order(&dev, cancel).await.expect("an order");
    assert_eq!(desk.execute(&dev).await.expect("it ends"), Status::RolledBack);
    assert!(matches!(standing(&desk, &id).await.next, Next::Stopped { stage: 0, again: true, .. }));
    let again = approve(&desk, &id, "ann", "now").await.expect("dev again");
    assert_eq!(again.0, format!("{id}-dev-2"));
    desk.execute(&again).await.expect("it ends");
    assert_eq!(standing(&desk, &id).await.next, Next::Approval { stage: 1, doubt: None });

    let promotion = desk.promotion(&id).await.expect("the history answers").expect("it is kept");
    desk.reject(&promotion, "bob", "", "the prices are wrong").await.expect("a no");
    refused(approve(&rig.desk("apm 2").await, &id, "ann", "").await, "bob said no: the prices are wrong");
    assert_eq!(rig.versions(), ["shop-dev-cart \"2\""]);
}

#[tokio::test]
async fn what_was_taken_back_goes_no_further() {
    let rig = Rig::new();
    let desk = rig.desk("apm 1").await;
    // Version 1 is there before.
    let release = |version: &str, image: &str| {
        let asked = Asked { version: Some(version.into()), image: Some(image.into()), ..asked("ann", "") };
        desk.release(&project("dev"), &asked).expect("a release")
    };
    for (version, image) in [("1", "shop/cart:1")] {
        let planned = desk.plan(&release(version, image)).await.expect("a plan");
        let run = desk.create(&planned, "ann", "").await.expect("a run");
        desk.execute(&run).await.expect("it ends");
    }
    let id = promote(&desk).await.id;
    let dev = approve(&desk, &id, "ann", "").await.expect("dev");
    desk.execute(&dev).await.expect("it ends");
    let planned = desk.plan(&release("1", "shop/cart:1")).await.expect("a plan");
    let back = desk.create(&planned, "ann", "").await.expect("a run");
    desk.execute(&back).await.expect("it ends");
    assert_eq!(standing(&desk, &id).await.stages[0].stage, Stage::TakenBack);
    refused(approve(&desk, &id, "ann", "").await, "it was taken back");
}

#[tokio::test]
async fn a_name_of_a_run_is_no_promotion() {
    let rig = Rig::new();
    let desk = rig.desk("apm 1").await;
    assert!(desk.promotion("cart-2-ab12cd").await.expect("the history answers").is_none());
    assert!(desk.promotions(10).await.expect("the history answers").is_empty());
}

/// What speaks against a complete run whose judge step went through these events.
fn check_doubt(events: &[Event], expect: Option<&str>) {
    let step = operate_plan::Step::new("judge", "watch cart 2", Work::Judge(serde_json::Value::Null));
    let draft = operate_plan::Draft {
        title: String::new(),
        reason: String::new(),
        target: String::new(),
        labels: BTreeMap::new(),
        made_ms: 0,
        time_limit_ms: 1,
        on_failure: operate_plan::OnFailure::Undo,
        steps: vec![step],
    };
    let plan = Plan::new(draft, &operate_plan::Inventory::new("docker:shop"));
    let mut entries: Vec<Entry> = Vec::new();
    for event in events {
        entries.push(Entry::after(entries.last(), &RunId("cart-2".into()), 0, event.clone()));
    }
    assert_eq!(doubt(&plan, &State::of(&entries), &entries).as_deref(), expect);
}

#[test]
fn only_the_judges_own_pass_leaves_no_doubt() {
    let judged = |ruling| Event::Judged { step: "judge".into(), ruling, health: Default::default() };
    let ordered = |order| {
        let command = Command { order, actor: "ann".into(), reason: String::new() };
        Event::Ordered { number: 1, command }
    };
    let done = Event::StepDone { step: "judge".into() };
    let pass = judged(Ruling::Pass { sentence: "fine".into() });
    let unsure = judged(Ruling::Inconclusive { sentence: "too little traffic".into() });
    check_doubt(&[pass, done.clone()], None);
    let yes = ordered(Order::Approve("judge".into()));
    check_doubt(&[unsure, yes, done.clone()], Some("too little traffic, and ann said yes"));
    check_doubt(&[ordered(Order::Skip("judge".into()))], Some("ann skipped `watch cart 2`"));
    check_doubt(&[done], Some("the judge did not pass `watch cart 2`"));
}
