//! What both databases must keep of old runs and of what receivers were told.

use operate_execute::{Filter, History as _, HistoryError, Order, Status};
use operate_history::{Action, ArtefactFilter, Deed, NewArtefact, Pruned, Retention};

use crate::databases::deed;
use crate::support::{Stored, begin, begun, command, ended, leased, plan, run_id};

pub(crate) async fn old_runs_are_pruned_and_the_audit_log_stays_whole(store: &Stored) {
    // Ten runs of two services, a day apart, each with an artefact; the newest of `pay` never ended.
    const DAY_MS: i64 = 86_400_000;
    for number in 0..10_i64 {
        let service = if number % 2 == 0 { "cart" } else { "pay" };
        let (run, at_ms) = (run_id(&format!("run-{number}")), number * DAY_MS);
        let plan = plan("t", &[("service", service), ("environment", "prod")]);
        store.a.create(&run, &plan, at_ms, &command(Order::Resume)).await.expect("a new run");
        store.a.record(at_ms, &deed(Action::Create, &run.0)).await.expect("kept");
        let fence = leased(&store.a, "t", at_ms, 1).await;
        store.a.append(&run, fence, at_ms, begin("a")).await.expect("kept");
        store.a.order(&run, at_ms, &command(Order::Pause)).await.expect("kept");
        let expires_ms = (number != 0).then_some(number * DAY_MS);
        let new = NewArtefact { run: Some(run.clone()), name: "scan".into(), expires_ms, ..NewArtefact::default() };
        store.a.put_artefact(at_ms, &new, b"bytes").await.expect("kept");
        if number != 9 {
            store.a.append(&run, fence, at_ms, ended(Status::Complete)).await.expect("kept");
        }
    }
    let now_ms = 10 * DAY_MS;
    let old = async |days: u64, keep: usize| {
        let retention = Retention { older_ms: days * DAY_MS as u64, keep };
        let rows = store.b.prunable(retention, now_ms).await.expect("a list");
        rows.into_iter().map(|row| row.run.0).collect::<Vec<_>>()
    };
    assert_eq!(old(5, 1).await, ["run-0", "run-1", "run-2", "run-3", "run-4"]);
    assert_eq!(old(0, 1).await.len(), 8, "the last of each service stays, ended or not");
    assert_eq!(old(0, 0).await.len(), 8, "keep is at least one");
    assert_eq!(old(5, 4).await, ["run-0", "run-1"]);
    assert_eq!(old(30, 1).await, [""; 0]);

    let gone = run_id("run-0");
    let last = store.a.entries(&gone, 0, 9).await.expect("a journal").pop().expect("a line").hash;
    let by = Deed { run: None, why: "older than 5 days".into(), ..deed(Action::Prune, "") };
    // One that has not ended is left, whoever asks, and so is one that is not there.
    let asked = ["run-0", "run-1", "run-9", "nobody"].map(run_id);
    let pruned = store.b.prune(&asked, now_ms, &by).await.expect("pruned");
    assert_eq!(pruned, Pruned { runs: 2, artefacts: 9 });
    assert_eq!(store.a.entries(&gone, 0, 9).await, Err(HistoryError::NoRun(gone.clone())));
    assert_eq!(store.a.plan(&gone).await, Err(HistoryError::NoRun(gone.clone())));
    assert_eq!(store.a.pruned(&gone).await.expect("read").as_deref(), Some(last.as_str()));
    assert_eq!(store.a.pruned(&run_id("run-2")).await, Ok(None));
    let all = Filter { limit: 100, labels: vec![("service".into(), "cart".into())], ..Filter::default() };
    assert_eq!(store.a.runs(&all).await.expect("a list").len(), 4);
    // An artefact that nobody gave a time stays, by its tag.
    let tagged = ArtefactFilter { tags: vec![("run".into(), "run-0".into())], limit: 9, ..ArtefactFilter::default() };
    let kept = store.a.artefacts(&tagged).await.expect("a list").pop().expect("kept");
    assert_eq!((kept.run, kept.tags["run"].as_str()), (None, "run-0"));
    assert_eq!(store.a.artefact(kept.id).await.expect("found").1, b"bytes");
    // The log lost nothing, and says who.
    let audit = store.a.audit(0, 100).await.expect("the log");
    assert_eq!((audit.len(), store.a.verify_audit().await), (12, Ok(None)));
    let words = |line: &operate_history::AuditLine| (line.deed.action, line.deed.run.clone());
    assert_eq!(words(audit.last().expect("a line")), (Action::Prune, Some(run_id("run-1"))));
    for left in 2..10 {
        assert_eq!(store.a.verify_run(&run_id(&format!("run-{left}"))).await, Ok(None));
    }
    // The guards hold for all that is left, and for what is left of the others.
    for sql in [
        "DELETE FROM entries WHERE run = 'run-2'",
        "DELETE FROM plans",
        "DELETE FROM pruned",
        "UPDATE pruned SET title = ''",
    ] {
        let refused = store.raw.run(sql).await.expect_err(sql);
        assert!(refused.contains("never"), "{sql}: {refused}");
    }
}

pub(crate) async fn what_receivers_were_told_is_known_to_whoever_comes_next(store: &Stored) {
    let (run, fence) = begun(&store.a, "r", "t").await;
    let (other, _) = begun(&store.a, "r2", "t2").await;
    assert_eq!((store.a.told("hook", &run).await, store.a.untold("hook", 9).await), (Ok(None), Ok(vec![])));
    for run in [&run, &other] {
        store.a.set_told("hook", run, 0).await.expect("followed");
    }
    assert_eq!(store.b.untold("hook", 9).await.expect("a list"), [run.clone(), other.clone()]);
    assert_eq!(store.b.untold("hook", 1).await.expect("a list"), std::slice::from_ref(&run));
    store.a.append(&run, fence, 2_000, begin("a")).await.expect("kept");
    store.b.set_told("hook", &run, 2).await.expect("told");
    store.a.set_told("hook", &run, 1).await.expect("late, and no step back");
    assert_eq!((store.a.told("hook", &run).await, store.a.told("another", &run).await), (Ok(Some(2)), Ok(None)));
    assert_eq!(store.a.untold("hook", 9).await.expect("a list"), [other]);
    store.a.append(&run, fence, 2_001, ended(Status::Complete)).await.expect("kept");
    assert_eq!(store.b.untold("hook", 1).await.expect("a list"), [run]);
}
