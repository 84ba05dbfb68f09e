//! A desk in memory: a real journal, a plan with something sealed in it, and nothing that carries it out.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::BoxFuture;
use operate_execute::{
    Command, Entry, Event, Fence, Filter, History, HistoryError, Lease, MemoryHistory, Order, Recorded, RunId, RunRow,
    Tag,
};
use operate_plan::{
    Act, Class, Degraded, Draft, Failure, Inventory, ObjectId, OnFailure, Plan, Seen, Step, StepId, Work,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};

use crate::{
    Deployments, Following, Health, JudgeWanted, Kept, Lines, OutputWanted, Past, Prepared, Promoted, Refused,
    RefusedKind, Retag, Wanted, Yes,
};

mod office;

/// Stands for everything that must not leave the engine.
pub(super) const SEALED: &str = "c2VhbGVkLXNlY3JldA";

pub(super) struct Desk {
    pub(super) history: MemoryHistory,
    live: broadcast::Sender<Entry>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) wanted: Mutex<Vec<Wanted>>,
    pub(super) ordered: Mutex<Vec<(Command, &'static str)>>,
    pub(super) retagged: Mutex<Vec<Retag>>,
    tags: Mutex<BTreeMap<RunId, BTreeSet<Tag>>>,
    pub(super) promoted: Mutex<Vec<Promoted>>,
    /// Yes or no to promotions.
    pub(super) said: Mutex<Vec<Yes>>,
    /// The answer to whoever wants something changed.
    pub(super) refuses: Mutex<Option<Refused>>,
}

impl Default for Desk {
    fn default() -> Desk {
        Desk {
            history: MemoryHistory::default(),
            live: broadcast::channel(16).0,
            stop: watch::channel(false).0,
            wanted: Mutex::default(),
            ordered: Mutex::default(),
            retagged: Mutex::default(),
            tags: Mutex::default(),
            promoted: Mutex::default(),
            said: Mutex::default(),
            refuses: Mutex::default(),
        }
    }
}

/// Creates a container, asks a person, starts it.
pub(super) fn plan(service: &str) -> Plan {
    let object = ObjectId::new("container", service);
    let with = json!({"secrets": {"TOKEN": {"sealed": SEALED, "mark": "0f"}}});
    let act = |verb: &str| Act {
        verb: verb.into(),
        object: object.clone(),
        with: with.clone(),
        touches: vec![object.clone()],
    };
    let mut create = Step::new("create", "create it", Work::Act(act("create")));
    create.stage = "deploying".into();
    create.estimate.usual_ms = 1_000;
    let mut approve = Step::new("approve", "ask a person", Work::Approve { question: "Go on?".into() });
    approve.after = vec!["create".into()];
    let mut start = Step::new("start", "start it", Work::Act(act("start")));
    start.after = vec!["approve".into()];
    start.estimate.usual_ms = 3_000;
    let mut inventory = Inventory::new("test");
    inventory.add(object, Seen::Absent, "test", 0);
    let labels = [("service", service), ("environment", "prod"), ("version", "2"), ("version_before", "1")];
    let draft = Draft {
        title: format!("deploy {service} 2 to prod"),
        reason: String::new(),
        target: "docker:shop".into(),
        labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        made_ms: 0,
        time_limit_ms: 60_000,
        on_failure: OnFailure::Undo,
        steps: vec![create, approve, start],
    };
    Plan::new(draft, &inventory)
}

fn no_run(error: &HistoryError) -> Refused {
    Refused::new(RefusedKind::Unknown, "no-run", base_explain::Report::of(error).hint("`apm deploy list` names them"))
}

impl Desk {
    /// A run that nobody has taken.
    pub(super) async fn run(&self, name: &str, service: &str) -> RunId {
        let run = RunId(name.to_owned());
        let command = Command { order: Order::Resume, actor: "ann".into(), reason: "a new version".into() };
        self.history.create(&run, &plan(service), super::NOW_MS, &command).await.unwrap();
        run
    }

    /// The next line of its journal; `tells` whether this process wrote it.
    pub(super) async fn write(&self, run: &RunId, event: Event, tells: bool) {
        let lease = self.history.lease("docker:shop", "apm 1", super::NOW_MS, 0).await.unwrap();
        let Lease::Got(fence) = lease else { panic!("{lease:?}") };
        let entry = self.history.append(run, fence, super::NOW_MS, event).await.unwrap();
        if tells {
            let _ = self.live.send(entry);
        }
    }

    /// The first step is done, the second asks.
    pub(super) async fn until_it_asks(&self, run: &RunId) {
        let create = StepId::from("create");
        let before = vec![Recorded {
            object: ObjectId::new("container", "cart"),
            mark: "ab".into(),
            sealed: Some(SEALED.into()),
        }];
        for event in [
            Event::Taken { holder: "apm 1".into(), token: Fence(1).0 },
            Event::StepBegun { step: create.clone() },
            Event::Recorded { step: create.clone(), before },
            Event::Attempt { step: create.clone(), number: 1 },
            Event::Acted { step: create.clone(), note: "0123456789ab".into() },
            Event::StepDone { step: create },
            Event::StepBegun { step: "approve".into() },
            Event::Asked { step: "approve".into(), question: "Go on?".into() },
        ] {
            self.write(run, event, true).await;
        }
    }

    fn refused(&self) -> Result<(), Refused> {
        self.refuses.lock().clone().map_or(Ok(()), Err)
    }
}

impl Deployments for Desk {
    fn runs(&self, filter: Filter) -> BoxFuture<'_, Result<Vec<RunRow>, Refused>> {
        Box::pin(async move {
            let Filter { tags, limit, .. } = filter.clone();
            // The history in memory knows no tags.
            let all = Filter { tags: Vec::new(), limit: usize::MAX, ..filter };
            let mut rows = self.history.runs(&all).await.map_err(|error| no_run(&error))?;
            for row in &mut rows {
                row.tags = self.tags.lock().get(&row.run).into_iter().flatten().cloned().collect();
            }
            rows.retain(|row| tags.iter().all(|tag| row.tags.contains(tag)));
            rows.truncate(limit);
            Ok(rows)
        })
    }
    fn plan(&self, run: RunId) -> BoxFuture<'_, Result<Plan, Refused>> {
        Box::pin(async move { self.history.plan(&run).await.map_err(|error| no_run(&error)) })
    }
    fn entries(&self, run: RunId, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Entry>, Refused>> {
        Box::pin(async move { self.history.entries(&run, after, limit).await.map_err(|error| no_run(&error)) })
    }
    fn past(&self, run: RunId) -> BoxFuture<'_, Result<Past, Refused>> {
        Box::pin(async move {
            self.history.plan(&run).await.map_err(|error| no_run(&error))?;
            let line = json!({
                "seq": 1, "at_ms": super::NOW_MS, "actor": "ann", "role": "admin", "action": "create", "run": run,
                "why": "a new version", "hash": "00",
            });
            let runs = self.history.runs(&Filter { limit: 9, ..Filter::default() }).await;
            let degraded = Vec::new();
            Ok(Past { audit: vec![line], runs: runs.map_err(|error| no_run(&error))?, degraded })
        })
    }
    fn health(&self, run: RunId) -> BoxFuture<'_, Result<Health, Refused>> {
        Box::pin(async move {
            self.history.plan(&run).await.map_err(|error| no_run(&error))?;
            let mut objects = Inventory::new("test");
            let present =
                |running: bool| Seen::Present(json!({"running": running, "image": "shop/cart:2", "labels": {}}));
            let away = Failure::new(Class::Transient, "docker.away", "nobody answers", "start it");
            for (name, seen) in [
                ("cart", present(true)),
                ("cart-next", Seen::Absent),
                ("cart-previous", present(false)),
                ("web", Seen::Unknown(away)),
            ] {
                objects.add(ObjectId::new("container", name), seen, "test", super::NOW_MS);
            }
            let degraded = vec![Degraded::new("container web", "nobody answers", "docker")];
            Ok(Health { objects, verdict: office::verdict(), degraded })
        })
    }
    fn lines(&self, run: RunId, limit: usize) -> BoxFuture<'_, Result<Lines, Refused>> {
        Box::pin(async move {
            self.history.plan(&run).await.map_err(|error| no_run(&error))?;
            let lines = (0..3).map(|at| (at, format!("line {at}"))).take(limit).collect();
            let query = r#"{service_name="cart"} | service_version=~"2|""#.to_owned();
            Ok(Lines { query, start_ms: 1, end_ms: 9, lines, truncated: limit < 3, failed: None })
        })
    }
    fn before(&self, run: RunId) -> BoxFuture<'_, Result<Option<(RunId, Plan)>, Refused>> {
        Box::pin(async move {
            let filter = Filter { before: Some(run), limit: 1, ..Filter::default() };
            let rows = self.history.runs(&filter).await.map_err(|error| no_run(&error))?;
            let Some(row) = rows.into_iter().next() else { return Ok(None) };
            let plan = self.history.plan(&row.run).await.map_err(|error| no_run(&error))?;
            Ok(Some((row.run, plan)))
        })
    }
    fn figures(&self, since_ms: i64) -> BoxFuture<'_, Result<Value, Refused>> {
        Box::pin(async move {
            let reached = operate_plan::Reached { ended_ms: super::NOW_MS, ..operate_plan::Reached::default() };
            Ok(json!({
                "since_ms": since_ms, "until_ms": super::NOW_MS, "total": 1,
                "outcomes": {"complete": 1, "rolled-back": 0, "failed": 0}, "success_ratio": 1.0,
                "duration_ms": {"p50": 5, "p95": null}, "hurt_ms": 0,
                "dora": operate_plan::dora(&[reached], since_ms, super::NOW_MS),
            }))
        })
    }
    fn live(&self) -> broadcast::Receiver<Entry> {
        self.live.subscribe()
    }
    fn order(&self, run: RunId, command: Command, role: &'static str) -> BoxFuture<'_, Result<(), Refused>> {
        Box::pin(async move {
            self.history.plan(&run).await.map_err(|error| no_run(&error))?;
            self.refused()?;
            self.ordered.lock().push((command, role));
            Ok(())
        })
    }
    fn retag(&self, run: RunId, retag: Retag) -> BoxFuture<'_, Result<Vec<Tag>, Refused>> {
        Box::pin(async move {
            self.history.plan(&run).await.map_err(|error| no_run(&error))?;
            self.refused()?;
            let mut all = self.tags.lock();
            let kept = all.entry(run).or_default();
            for tag in &retag.tags {
                if retag.takes {
                    kept.remove(tag)
                } else {
                    kept.insert(tag.clone())
                };
            }
            self.retagged.lock().push(retag);
            Ok(kept.iter().cloned().collect())
        })
    }
    fn prepare(&self, wanted: Wanted) -> BoxFuture<'_, Result<Prepared, Refused>> {
        Box::pin(async move {
            self.refused()?;
            self.wanted.lock().push(wanted);
            Ok(Prepared { plan: plan("cart"), findings: Vec::new(), notes: Vec::new() })
        })
    }
    fn create(&self, wanted: Wanted) -> BoxFuture<'_, Result<RunId, Refused>> {
        Box::pin(async move {
            self.refused()?;
            self.wanted.lock().push(wanted);
            Ok(RunId("cart-2/a".into()))
        })
    }
    fn judged(
        &self,
        wanted: JudgeWanted,
        service: Option<String>,
        _environment: Option<String>,
    ) -> BoxFuture<'_, Result<Value, Refused>> {
        Box::pin(self.judges(wanted, service))
    }
    fn differences(&self, wanted: Wanted) -> BoxFuture<'_, Result<Value, Refused>> {
        Box::pin(async move {
            self.refused()?;
            let one = json!({"container": "shop-cart", "what": "image", "was": null, "becomes": "shop/cart:2"});
            Ok(json!({"service": wanted.service.unwrap_or_default(), "version": "2", "differences": [one]}))
        })
    }
    fn output(&self, run: RunId, wanted: OutputWanted) -> BoxFuture<'_, Result<Value, Refused>> {
        Box::pin(self.wrote(run, wanted))
    }
    fn follow_output(&self, run: RunId, wanted: OutputWanted) -> BoxFuture<'_, Result<Following, Refused>> {
        Box::pin(self.writes(run, wanted))
    }
    fn artefacts(&self, run: RunId) -> BoxFuture<'_, Result<Value, Refused>> {
        Box::pin(self.keeps(run))
    }
    fn artefact(&self, _run: RunId, name: String) -> BoxFuture<'_, Result<Kept, Refused>> {
        Box::pin(async move { office::artefact(&name) })
    }
    fn promotions(&self, limit: usize) -> BoxFuture<'_, Result<Value, Refused>> {
        Box::pin(async move { Ok(vec![office::standing(office::PROMOTION); limit.min(2)].into()) })
    }
    fn promotion(&self, id: String) -> BoxFuture<'_, Result<Value, Refused>> {
        Box::pin(async move { office::known(&id) })
    }
    fn promote(&self, wanted: Promoted) -> BoxFuture<'_, Result<Value, Refused>> {
        Box::pin(async move {
            self.refused()?;
            self.promoted.lock().push(wanted);
            Ok(json!({"promotion": office::standing(office::PROMOTION), "found": "shop/cart:2: it is on this engine"}))
        })
    }
    fn prepare_next(&self, yes: Yes) -> BoxFuture<'_, Result<Prepared, Refused>> {
        Box::pin(async move {
            office::known(&yes.promotion)?;
            Ok(Prepared { plan: plan("cart"), findings: Vec::new(), notes: Vec::new() })
        })
    }
    fn approve_next(&self, yes: Yes) -> BoxFuture<'_, Result<RunId, Refused>> {
        Box::pin(async move {
            self.refused()?;
            office::known(&yes.promotion)?;
            self.said.lock().push(yes);
            Ok(RunId("promote-cart-2-ab-dev".into()))
        })
    }
    fn reject_next(&self, no: Yes) -> BoxFuture<'_, Result<Value, Refused>> {
        Box::pin(async move {
            let now = office::known(&no.promotion)?;
            self.said.lock().push(no);
            Ok(now)
        })
    }
}
