//! What the suites share: plans, commands and events that look like real ones, and a way past the crate to the tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use operate_execute::{Command, Event, Fence, History, Lease, Order, Ruling, RunId, Status};
use operate_history::SqlHistory;
use operate_plan::{Class, Draft, Failure, Inventory, OnFailure, Plan, Severity, Step, StepId, Work};
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};

/// The same store by two handles, as two processes have it.
pub(crate) struct Two {
    pub(crate) a: Arc<dyn History>,
    pub(crate) b: Arc<dyn History>,
}

/// A history in a database, another handle to it, and the tables themselves.
pub(crate) struct Stored {
    pub(crate) a: SqlHistory,
    pub(crate) b: SqlHistory,
    pub(crate) raw: Raw,
    /// What [`SqlHistory::open`] takes.
    pub(crate) address: String,
    /// Held until the test is over.
    pub(crate) _folder: Option<tempfile::TempDir>,
}

impl Stored {
    pub(crate) fn two(&self) -> Two {
        Two { a: Arc::new(self.a.clone()), b: Arc::new(self.b.clone()) }
    }
}

#[allow(dead_code, reason = "each test binary has one of the two")]
pub(crate) enum Raw {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Raw {
    pub(crate) async fn run(&self, sql: &str) -> Result<(), String> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Raw::Sqlite(pool) => sql.execute(pool).await.map(drop).map_err(|error| error.to_string()),
            Raw::Postgres(pool) => sql.execute(pool).await.map(drop).map_err(|error| error.to_string()),
        }
    }

    /// What a person with all rights does who wants to change what must not be changed.
    pub(crate) async fn run_without_guards(&self, table: &str, sql: &str) {
        match self {
            Raw::Sqlite(_) => {
                for trigger in ["update", "delete"] {
                    self.run(&format!("DROP TRIGGER IF EXISTS {table}_no_{trigger}")).await.expect("dropped");
                }
            }
            Raw::Postgres(_) => {
                self.run(&format!("ALTER TABLE {table} DISABLE TRIGGER USER")).await.expect("disabled");
            }
        }
        self.run(sql).await.expect("done");
    }
}

pub(crate) fn run_id(name: &str) -> RunId {
    RunId(name.to_owned())
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn plan(target: &str, named: &[(&str, &str)]) -> Plan {
    let draft = Draft {
        title: format!("deploy to {target}"),
        reason: "the test wants it".into(),
        target: target.into(),
        labels: labels(named),
        made_ms: 1_700_000_000_000,
        time_limit_ms: 60_000,
        on_failure: OnFailure::Undo,
        steps: vec![Step::new("tell", "tell", Work::Alert { severity: Severity::Info, message: "hello".into() })],
    };
    Plan::new(draft, &Inventory::new("test"))
}

pub(crate) fn command(order: Order) -> Command {
    Command { order, actor: "ann".into(), reason: "it is late".into() }
}

/// A run and the right to write into it.
pub(crate) async fn begun(history: &dyn History, run: &str, target: &str) -> (RunId, Fence) {
    let id = run_id(run);
    history
        .create(&id, &plan(target, &[("service", "cart")]), 1_000, &command(Order::Resume))
        .await
        .expect("a new run");
    (id, leased(history, target, 1_000, 15_000).await)
}

pub(crate) async fn leased(history: &dyn History, target: &str, now_ms: i64, ttl_ms: u64) -> Fence {
    match history.lease(target, "apm 1 on host", now_ms, ttl_ms).await.expect("an answer") {
        Lease::Got(fence) => fence,
        Lease::Held { holder, until_ms } => panic!("{holder} has `{target}` until {until_ms}"),
    }
}

pub(crate) fn begin(step: &str) -> Event {
    Event::StepBegun { step: StepId::from(step) }
}

pub(crate) fn done(step: &str) -> Event {
    Event::StepDone { step: StepId::from(step) }
}

pub(crate) fn ended(status: Status) -> Event {
    Event::Ended { status, sentence: format!("it is {status}") }
}

/// One of each that changes where a run stands, by a number.
pub(crate) fn event(number: u64) -> Event {
    let step = || StepId(format!("step-{}", number % 3));
    let failure = || Failure::new(Class::Transient, "x.y", "refused", "wait").retry_after_ms(Some(number));
    let ordered = |order| Event::Ordered { number, command: command(order) };
    match number % 16 {
        0 => Event::Taken { holder: "apm 1".into(), token: number },
        1 => ordered(Order::Pause),
        2 => ordered(Order::Resume),
        3 => begin(&step().0),
        4 => Event::Checked { step: step() },
        5 => Event::Attempt { step: step(), number: 1 },
        6 => Event::AttemptFailed { step: step(), number: 1, failure: failure(), again_ms: None },
        7 => Event::Acted { step: step(), note: "pulled 12 MB".into() },
        8 => Event::Judged {
            step: step(),
            ruling: Ruling::Wait { again_ms: 5, sentence: "too early".into() },
            health: [("service".to_owned(), 75)].into(),
        },
        9 => Event::Asked { step: step(), question: "on to prod?".into() },
        10 => ordered(Order::Approve(step())),
        11 => Event::Halted { step: step(), why: "odd\0text \u{1f600} 'quoted'".into() },
        12 => Event::StepFailed { step: step(), failure: failure() },
        13 => done(&step().0),
        14 => Event::Recorded { step: step(), before: Vec::new() },
        _ => Event::Told { step: step(), severity: Severity::Warning, message: "look".into() },
    }
}
