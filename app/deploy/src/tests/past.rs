//! Releases of an hour ago, and what is found of them now: by the judge of today, by a look at what they left, and in the figures of all releases.

use std::path::Path;

use app_config::Tree;
use operate_execute::{Command, Entry, Order, Ruling, RunId};
use operate_gate::Outcome;
use operate_history::Action;
use operate_plan::Seen as Present;

use super::*;
use crate::paper::telemetry::{Doing, Hands, Oracle, Says};
use crate::paper::{self, Paper};
use crate::{Asked, Judging, Ledger, Looked, Project, Replay, keys};

const HOUR_MS: i64 = 3_600_000;

/// A project whose releases were judged an hour ago.
struct Then {
    folder: tempfile::TempDir,
    paper: Arc<Paper>,
    clock: Hands,
    judge: Arc<Says>,
}

fn project() -> Project {
    let text = "project: shop\nservices:\n  cart: { image: shop/cart, deploy: { ready: 60s } }\n";
    let mut tree = Tree::default();
    tree.add_file("apm.yaml", text, &|_: &str| None).expect("settings");
    let mut project = Project::read(tree, Some("prod"), "shop").expect("a project");
    project.judge.settings.days_back.clear();
    project
}

impl Then {
    /// The judge takes so long, and then says these.
    fn new(takes_ms: i64, rulings: Vec<Ruling>) -> Then {
        let clock = Hands::ahead(-HOUR_MS);
        let judge = Says { rulings: parking_lot::Mutex::new(rulings.into()), clock: clock.clone(), takes_ms };
        let folder = tempfile::tempdir().expect("a folder");
        Then { folder, paper: Arc::new(Paper::new()), clock, judge: Arc::new(judge) }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    async fn desk(&self) -> Desk {
        paper::desk(self.folder(), "apm 1", self.clock.world(), self.paper.clone(), self.judge.clone()).await
    }

    /// The same, as somebody opens it now.
    async fn desk_now(&self, oracle: &Oracle) -> Desk {
        let mut desk = paper::desk(self.folder(), "apm 2", World::real(), self.paper.clone(), self.judge.clone()).await;
        desk.telemetry = Some(oracle.telemetry());
        desk
    }

    /// One release from its plan to its end; `first` is said to it before it is carried out.
    async fn release(&self, version: &str, first: Option<Order>) -> (RunId, Status) {
        let desk = self.desk().await;
        let asked = Asked { version: Some(version.into()), actor: "ann".into(), ..Asked::default() };
        let planned = desk.plan(&desk.release(&project(), &asked).expect("a release")).await.expect("a plan");
        let run = desk.create(&planned, "ann", "").await.expect("a run");
        if let Some(order) = first {
            let command = Command { order, actor: "ann".into(), reason: "wait".into() };
            desk.order(&run, command).await.expect("an order");
        }
        let ended = desk.execute(&run).await.expect("an end");
        self.clock.moved(60_000);
        (run, ended)
    }
}

fn fails() -> Ruling {
    Ruling::Fail { sentence: "errors 35 %".into(), hurt_since_ms: None }
}

fn judging(oracle: &Oracle) -> Judging {
    Judging { telemetry: oracle.telemetry(), clock: World::real().clock }
}

async fn again(oracle: &Oracle, desk: &Desk, run: &RunId) -> Option<Looked> {
    let (plan, entries): (Plan, Vec<Entry>) =
        (desk.plan_of(run).await.expect("a plan"), desk.entries(run, 0).await.expect("a journal"));
    judging(oracle).of(&project(), &plan, &entries).await
}

#[tokio::test]
async fn a_past_release_is_judged_by_the_telemetry_of_its_time() {
    let then = Then::new(0, Vec::new());
    let (run, status) = then.release("2", None).await;
    assert_eq!(status, Status::Complete);
    let oracle = Oracle::start(Doing::Well).await;
    let desk = then.desk_now(&oracle).await;
    let looked = again(&oracle, &desk, &run).await.expect("it was judged");
    assert_eq!((looked.verdict.outcome, looked.is_alone), (Outcome::Pass, false), "{}", looked.verdict.render());
    assert_eq!(
        (looked.service.as_str(), looked.environment.as_str(), looked.version.as_deref()),
        ("cart", "prod", Some("2"))
    );
    // Each chart is of something that the verdict was found by.
    assert!(looked.charts.iter().any(|chart| chart.expression.contains("by (status_code)")), "{:#?}", looked.charts);
    let from_ms = looked.charts.iter().map(|chart| chart.start_ms).min().expect("a chart");
    assert!(World::real().clock.now_ms() - from_ms > HOUR_MS, "it is not of that time");

    oracle.does(Doing::FailsSince(World::real().clock.now_ms() - HOUR_MS));
    let looked = again(&oracle, &desk, &run).await.expect("it was judged");
    assert_eq!(looked.verdict.outcome, Outcome::Fail, "{}", looked.verdict.render());
    // Nobody who answers is no verdict.
    oracle.does(Doing::Refused);
    let looked = again(&oracle, &desk, &run).await.expect("it was judged");
    assert!(looked.is_alone && looked.unanswered.iter().all(|why| why.contains("503: out of memory")), "{looked:#?}");
}

#[tokio::test]
async fn who_was_never_judged_has_no_verdict() {
    let then = Then::new(0, Vec::new());
    let (run, status) = then.release("2", Some(Order::Cancel)).await;
    assert_eq!(status, Status::RolledBack);
    let oracle = Oracle::start(Doing::Well).await;
    let desk = then.desk_now(&oracle).await;
    assert!(again(&oracle, &desk, &run).await.is_none());
    assert!(!oracle.was_asked());
}

#[tokio::test]
async fn a_service_is_judged_as_it_runs_now() {
    let then = Then::new(0, Vec::new());
    let (run, _) = then.release("2", None).await;
    let oracle = Oracle::start(Doing::Well).await;
    let desk = then.desk_now(&oracle).await;
    let (plan, entries) = (desk.plan_of(&run).await.expect("a plan"), desk.entries(&run, 0).await.expect("a journal"));
    let looked = judging(&oracle).now(&project(), "cart", Some((&plan, &entries))).await;
    assert_eq!(
        (looked.verdict.outcome, looked.version.as_deref()),
        (Outcome::Pass, Some("2")),
        "{}",
        looked.verdict.render()
    );
    // The last five minutes, not the hour since the release.
    let since_ms = looked.charts.iter().filter(|chart| chart.label.ends_with("since the release"));
    let since_ms = since_ms.map(|chart| chart.start_ms).min().expect("a chart");
    assert!(World::real().clock.now_ms() - since_ms <= 310_000, "{:#?}", looked.charts);
    oracle.does(Doing::FailsSince(World::real().clock.now_ms() - 300_000));
    let looked = judging(&oracle).now(&project(), "cart", None).await;
    assert_eq!((looked.verdict.outcome, looked.version), (Outcome::Fail, None));
}

async fn replayed(oracle: &Oracle, desk: &Desk, since_ms: i64) -> (Replay, Vec<RunId>) {
    let mut told = Vec::new();
    let replay = judging(oracle).replay(desk, &project(), "cart", since_ms, |run| told.push(run.clone())).await;
    (replay.expect("a replay"), told)
}

#[tokio::test]
async fn a_replay_holds_the_judge_against_what_people_did() {
    let then = Then::new(40_000, vec![Ruling::Pass { sentence: "fine".into() }, fails()]);
    let (stayed, _) = then.release("1", None).await;
    let (undone, status) = then.release("2", None).await;
    assert_eq!(status, Status::RolledBack);
    let (never, _) = then.release("3", Some(Order::Cancel)).await;
    let oracle = Oracle::start(Doing::Well).await;
    let desk = then.desk_now(&oracle).await;
    let (replay, told) = replayed(&oracle, &desk, 0).await;
    assert_eq!(told, [stayed.clone(), undone.clone()]);
    let found: Vec<_> = replay.judged.iter().map(|one| (one.run.clone(), one.was_bad, one.outcome)).collect();
    // The second was taken back before today's judge would have passed it.
    assert_eq!(found, [(stayed, Some(false), Outcome::Pass), (undone.clone(), Some(true), Outcome::Inconclusive)]);
    assert_eq!(replay.judged[1].how, "it was undone, and never came again");
    assert!((35_000..=45_000).contains(&replay.judged[1].after_ms), "{}", replay.judged[1].after_ms);
    assert_eq!(
        (replay.never_judged, replay.gone, replay.miss_rate, replay.false_abort_rate),
        (vec![never], vec![], 1.0, 0.0)
    );

    // Its telemetry is gone by now.
    oracle.does(Doing::Unknown);
    let (replay, _) = replayed(&oracle, &desk, 0).await;
    assert_eq!((replay.judged.len(), replay.gone.len(), replay.unanswered.len()), (0, 2, 0));
    // Nobody answers: that is said, and is no figure.
    oracle.does(Doing::Refused);
    let (replay, _) = replayed(&oracle, &desk, 0).await;
    assert!(replay.judged.is_empty() && replay.unanswered[0].contains("503"), "{replay:#?}");
    // Older ones than asked for are left alone.
    let (replay, told) = replayed(&oracle, &desk, World::real().clock.now_ms()).await;
    assert!(told.is_empty() && replay.never_judged.is_empty());
}

#[tokio::test]
async fn what_a_release_left_is_looked_at() {
    let then = Then::new(0, Vec::new());
    let (first, _) = then.release("1", None).await;
    let (second, _) = then.release("2.0", None).await;
    let oracle = Oracle::start(Doing::FailsSince(World::real().clock.now_ms() - HOUR_MS / 2)).await;
    let desk = then.desk_now(&oracle).await;
    desk.record("eve", "viewer", Action::Approve, &second, "looked at it").await.expect("recorded");

    let past = desk.past(&second).await.expect("its past");
    let runs: Vec<_> = past.runs.iter().map(|row| row.run.clone()).collect();
    assert_eq!(runs, [second.clone(), first.clone()]);
    assert!(past.audit.iter().any(|line| line.deed.actor == "eve"), "{:#?}", past.audit);
    let (before, plan) = desk.release_before(&second).await.expect("the history answers").expect("a release");
    assert_eq!((&before, plan.labels["version"].as_str()), (&first, "1"));
    assert!(desk.release_before(&first).await.expect("the history answers").is_none());

    let seen = desk.seen(&second).await.expect("a look");
    let cart = operate_plan::ObjectId::new("container", "shop-prod-cart");
    assert!(matches!(seen.objects.look(&cart), Present::Present(value) if value["running"] == true));
    assert!(seen.verdict.is_some());

    // What it said since its first change, of its version or of none.
    let said = desk.said(&second, 100).await.expect("a look");
    assert_eq!(said.query, r#"{service_name="cart"} | service_version=~"2\\.0|""#);
    assert_eq!(said.lines.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["ERROR the till is stuck"]);
    assert!(
        said.end_ms - said.start_ms >= 15 * 60_000 && said.end_ms < World::real().clock.now_ms(),
        "{}",
        said.end_ms - said.start_ms
    );
    assert!(!said.truncated && desk.said(&second, 1).await.expect("a look").truncated);
    oracle.does(Doing::Refused);
    let said = desk.said(&second, 100).await.expect("a look");
    assert!(said.failed.as_ref().is_some_and(|why| why.contains("out of memory")), "{:?}", said.failed);
    // Nobody said where telemetry is: that is no verdict, and no silence.
    let desk = then.desk().await;
    assert!(desk.seen(&second).await.expect("a look").verdict.is_none());
    assert_eq!(desk.said(&second, 100).await.expect("a look").failed.as_deref(), Some("nobody said where logs are"));
}

#[tokio::test]
async fn the_ledger_reads_each_release_once_it_is_over() {
    let hurt_since_ms = Some(World::real().clock.now_ms() - HOUR_MS);
    let failed = Ruling::Fail { sentence: "errors 35 %".into(), hurt_since_ms };
    let then = Then::new(10_000, vec![Ruling::Pass { sentence: "fine".into() }, failed]);
    let mut ledger = Ledger::default();
    ledger.catch_up(&then.desk().await).await.expect("read");
    assert!(ledger.told().is_empty());
    let (first, _) = then.release("1", None).await;
    ledger.catch_up(&then.desk().await).await.expect("read");
    assert!(matches!(&ledger.told()[..], [told] if told.run == first));
    let (second, _) = then.release("2", None).await;
    let (third, _) = then.release("3", Some(Order::Cancel)).await;
    ledger.catch_up(&then.desk().await).await.expect("read");
    let told = ledger.told();
    let all: Vec<_> = told.iter().map(|told| (told.run.clone(), told.version.as_str(), told.status)).collect();
    use Status::{Complete, RolledBack};
    assert_eq!(all, [(first, "1", Complete), (second, "2", RolledBack), (third, "3", RolledBack)]);
    // Who was told no before anything was changed changed nothing.
    assert_eq!(told.iter().map(|told| told.changed_ms.is_some()).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!((told[0].hurt_ms(), told[1].hurt_since_ms, told[1].version_before.as_str()), (0, hurt_since_ms, "1"));
    assert!(told[1].hurt_ms() >= 10_000 && told[0].took_ms >= 10_000, "{told:#?}");
    let keys = keys(&told, 0, World::real().clock.now_ms());
    assert_eq!((keys.per_day.releases, keys.failure_ratio.value), (2, Some(0.5)));
}
