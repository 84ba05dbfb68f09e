//! What both databases must keep of old runs and of what receivers were told.

use operate_execute::{Filter, History as _, HistoryError, Order, RunId, Status, Tag};
use operate_history::{Action, ArtefactFilter, Deed, NewArtefact, Pruned, Retention, TagError};

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
        let rows = store.b.prunable(retention, &[], now_ms).await.expect("a list");
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
    let pruned = store.b.prune(&asked, &[], now_ms, &by).await.expect("pruned");
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

pub(crate) async fn a_run_with_a_tag_is_found_by_it_and_kept(store: &Stored) {
    const DAY_MS: i64 = 86_400_000;
    let tag = |name: &str| Tag::new(name).expect("a tag");
    for number in 0..5_i64 {
        let (run, at_ms) = (run_id(&format!("run-{number}")), number * DAY_MS);
        let plan = plan("t", &[("service", if number == 4 { "pay" } else { "cart" })]);
        store.a.create(&run, &plan, at_ms, &command(Order::Resume)).await.expect("a new run");
        let fence = leased(&store.a, "t", at_ms, 1).await;
        store.a.append(&run, fence, at_ms, ended(Status::Complete)).await.expect("kept");
        let new =
            NewArtefact { run: Some(run), name: "scan".into(), expires_ms: Some(at_ms), ..NewArtefact::default() };
        store.a.put_artefact(at_ms, &new, b"bytes").await.expect("kept");
    }
    let by = Deed { run: None, why: String::new(), ..deed(Action::Create, "") };
    let golden = run_id("run-0");
    let given = store.a.tag(&golden, &[tag("golden"), tag("first")], 1, &by).await.expect("tagged");
    assert_eq!(given, [tag("first"), tag("golden")]);
    let why = Deed { why: "it never failed".into(), ..by.clone() };
    store.b.tag(&golden, &[tag("golden"), tag("calm")], 2, &why).await.expect("tagged");
    store.b.tag(&run_id("run-2"), &[tag("golden")], 3, &by).await.expect("tagged");
    store.b.tag(&run_id("run-4"), &[tag("golden")], 4, &by).await.expect("tagged");
    // What changes nothing is no deed.
    store.b.tag(&golden, &[tag("golden")], 5, &by).await.expect("tagged");
    store.b.untag(&golden, &[tag("unheard")], 5, &by).await.expect("no tag of it");
    let left = store.a.untag(&golden, &[tag("first")], 6, &by).await.expect("untagged");
    assert_eq!(left, [tag("calm"), tag("golden")]);
    let nobody = store.a.tag(&run_id("nobody"), &[tag("golden")], 7, &by).await;
    assert_eq!(nobody, Err(TagError::History(HistoryError::NoRun(run_id("nobody")))));
    let many: Vec<Tag> = (0..19).map(|number| tag(&format!("t{number}"))).collect();
    assert!(matches!(store.a.tag(&golden, &many, 7, &by).await, Err(TagError::TooMany { count: 21, .. })));
    let lines = store.b.audit(0, 20).await.expect("the log");
    let told: Vec<_> = lines.iter().map(|line| (line.deed.action, line.deed.why.as_str())).collect();
    let expect = [
        (Action::Tag, "first, golden"),
        (Action::Tag, "calm: it never failed"),
        (Action::Tag, "golden"),
        (Action::Tag, "golden"),
        (Action::Untag, "first"),
    ];
    assert_eq!((told.as_slice(), store.b.verify_audit().await), (expect.as_slice(), Ok(None)));

    let check = async |tags: &[&str], service: Option<&str>, before: Option<&str>, expect: &[&str]| {
        let labels = service.map(|name| ("service".to_owned(), name.to_owned())).into_iter().collect();
        let tags = tags.iter().map(|name| tag(name)).collect();
        let filter = Filter { tags, labels, before: before.map(run_id), limit: 9, ..Filter::default() };
        let rows = store.b.runs(&filter).await.expect("a list");
        let names: Vec<_> = rows.iter().map(|row| row.run.0.as_str()).collect();
        assert_eq!(names, expect, "{filter:?}");
    };
    check(&["golden"], None, None, &["run-4", "run-2", "run-0"]).await;
    check(&["golden"], Some("cart"), None, &["run-2", "run-0"]).await;
    check(&["golden", "calm"], None, None, &["run-0"]).await;
    check(&["calm", "golden"], Some("cart"), None, &["run-0"]).await;
    check(&["golden"], None, Some("run-2"), &["run-0"]).await;
    check(&["first"], None, None, &[]).await;
    let rows = store.b.runs(&Filter { limit: 9, ..Filter::default() }).await.expect("a list");
    assert_eq!(rows.last().map(|row| row.tags.clone()), Some(vec![tag("calm"), tag("golden")]));
    assert_eq!(rows[1].tags, []);

    // Old as they are, those with a tag stay, and what belongs to them too.
    let (now_ms, retention) = (9 * DAY_MS, Retention { older_ms: 1, keep: 1 });
    let old = async |forced: &[RunId]| {
        let rows = store.b.prunable(retention, forced, now_ms).await.expect("a list");
        rows.into_iter().map(|row| row.run.0).collect::<Vec<_>>()
    };
    assert_eq!(old(&[]).await, ["run-1"]);
    assert_eq!(old(&[run_id("run-2")]).await, ["run-1", "run-2"]);
    let asked = ["run-0", "run-1", "run-2"].map(run_id);
    let pruned = store.a.prune(&asked, &[run_id("run-2")], now_ms, &by).await.expect("pruned");
    // Those of run-1 and run-3; run-2's went with its tag only after.
    assert_eq!(pruned, Pruned { runs: 2, artefacts: 2 });
    check(&["golden"], None, None, &["run-4", "run-0"]).await;
    assert_eq!(store.a.expire_artefacts(now_ms).await, Ok(1));
    assert_eq!(store.b.verify_run(&golden).await, Ok(None));
}
