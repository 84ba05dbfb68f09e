//! The list of runs: newest first, a page at a time, each page found by an index however deep it lies. It reads rows that the journal's
//! writer keeps true, and never a journal.

use operate_execute::{Filter, HistoryError, RunId, RunRow, Status};
use sqlx::AssertSqlSafe;

use crate::db::{Db, Row, Value};
use crate::tags;
use crate::trouble::store;

const COLUMNS: &str = "r.id, r.title, r.target, r.labels, r.status, r.created_ms, r.ended_ms, r.sentence, r.tags";

pub(crate) async fn list(db: &Db, filter: &Filter) -> Result<Vec<RunRow>, HistoryError> {
    let (sql, values) = query(filter);
    let rows = db.rows(AssertSqlSafe(sql), values).await?;
    rows.iter().map(run).collect()
}

/// The text is made of parts from here alone; what comes from outside is bound.
fn query(filter: &Filter) -> (String, Vec<Value>) {
    let mut values: Vec<Value> = Vec::new();
    let mut bind = |value: Value| {
        values.push(value);
        format!("${}", values.len())
    };
    // The first label leads, by its index; the others are looked up.
    let mut from = "runs r".to_owned();
    let mut number = "r.number";
    let mut tests = Vec::new();
    for (position, (name, value)) in filter.labels.iter().enumerate() {
        let (name, value) = (bind(name.as_str().into()), bind(value.as_str().into()));
        if position == 0 {
            from = "run_labels l JOIN runs r ON r.number = l.number".to_owned();
            number = "l.number";
            tests.push(format!("l.name = {name} AND l.value = {value}"));
        } else {
            tests.push(format!(
                "EXISTS (SELECT 1 FROM run_labels o WHERE o.name = {name} AND o.value = {value} AND o.number = r.number)"
            ));
        }
    }
    for tag in &filter.tags {
        let tag = bind(tag.as_str().into());
        // The first one leads where no label does.
        if from == "runs r" {
            from = "run_tags l JOIN runs r ON r.number = l.number".to_owned();
            number = "l.number";
            tests.push(format!("l.name = {tag}"));
        } else {
            tests.push(format!("EXISTS (SELECT 1 FROM run_tags g WHERE g.name = {tag} AND g.number = r.number)"));
        }
    }
    if let Some(status) = filter.status {
        tests.push(format!("r.status = {}", bind(status.word().into())));
    }
    if let Some(before) = &filter.before {
        tests.push(format!("{number} < (SELECT number FROM runs WHERE id = {})", bind(before.0.as_str().into())));
    }
    let limit = bind((filter.limit as u64).into());
    let tests = if tests.is_empty() { String::new() } else { format!("WHERE {} ", tests.join(" AND ")) };
    (format!("SELECT {COLUMNS} FROM {from} {tests}ORDER BY {number} DESC LIMIT {limit}"), values)
}

fn run(row: &Row) -> Result<RunRow, HistoryError> {
    let run = RunId(row.text(0)?.to_owned());
    let unread =
        |what: &str| store("read", format!("the {what} of `{run}` is not understood: a newer apm may have written it"));
    let status = Status::ALL.into_iter().find(|status| row.text(4).is_ok_and(|word| word == status.word()));
    Ok(RunRow {
        title: row.text(1)?.to_owned(),
        target: row.text(2)?.to_owned(),
        labels: serde_json::from_str(row.text(3)?).map_err(|_| unread("labels"))?,
        status: status.ok_or_else(|| unread("status"))?,
        created_ms: row.int(5)?,
        ended_ms: row.maybe_int(6)?,
        sentence: row.text(7)?.to_owned(),
        tags: tags::read(&run, row.text(8)?)?,
        run,
    })
}
