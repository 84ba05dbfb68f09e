//! What a database of an older version must be after it was opened: all that it held, and what came since. What it held is written by
//! `fill` in tests/sqlite/versions.rs.

use operate_execute::{Filter, History as _, Order, Status, Tag};
use operate_history::{Action, Deed, SqlHistory};

use crate::support::{begin, begun, command, leased, run_id};

/// Looks at a database that held what `fill` wrote in version `version`, and goes on with it.
pub(crate) async fn check_upgraded(history: &SqlHistory, version: u64) {
    let all = Filter { limit: 10, ..Filter::default() };
    let rows = history.runs(&all).await.expect("a list");
    let listed: Vec<_> = rows.iter().map(|row| (row.run.0.as_str(), row.status)).collect();
    assert_eq!(listed, [("run-2", Status::Planned), ("run-1", Status::RolledBack), ("run-0", Status::Planned)]);
    for row in &rows {
        assert_eq!(history.verify_run(&row.run).await, Ok(None), "{}", row.run);
        assert_eq!(history.plan(&row.run).await.expect("a plan").target, row.target);
        assert_eq!(history.orders(&row.run, 0).await.expect("orders"), [(1, command(Order::Pause))]);
    }
    let deeds = history.audit(0, 10).await.expect("the log").len();
    assert_eq!(deeds, usize::from(version >= 2) + usize::from(version >= 4));
    let golden = [Tag::new("golden").expect("a tag")];
    assert_eq!(rows[1].tags, if version >= 4 { golden.to_vec() } else { Vec::new() });
    assert_eq!(history.verify_audit().await, Ok(None));
    if version >= 2 {
        assert_eq!(history.artefact(1).await.expect("found").1, b"bytes");
    }
    // And on: the journal's next line, the next token, everything that is new.
    let fence = leased(history, "target-2", 1_000_000, 1).await;
    assert_eq!(fence.0, 2);
    let run = run_id("run-2");
    assert_eq!(history.append(&run, fence, 3_000, begin("b")).await.expect("kept").seq, 3);
    assert_eq!(history.order(&run, 3_000, &command(Order::Resume)).await, Ok(2));
    let deed = Deed { actor: "bob".into(), role: String::new(), action: Action::Resume, run: None, why: String::new() };
    history.record(3_001, &deed).await.expect("kept");
    history.tag(&run, &golden, 3_002, &deed).await.expect("tagged");
    assert_eq!(history.verify_audit().await, Ok(None));
    begun(history, "run-3", "target-3").await;
    assert_eq!(history.runs(&all).await.expect("a list").first().map(|row| row.run.0.as_str()), Some("run-3"));
}
