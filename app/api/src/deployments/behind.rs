//! What must stand behind the deployments of the API, and what it is asked and answers. It knows no history, no engine of containers and no settings.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use operate_deploy::Strategy;
use operate_execute::{Command, Entry, Filter, RunId, RunRow, Tag};
use operate_plan::{Degraded, Finding, Inventory, Plan};
use serde_json::Value;
use tokio::sync::broadcast;

use super::{Refused, Retag};

/// A release that somebody asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// May be left out where there is one service only.
    pub service: Option<String>,
    /// The engine's own when left out.
    pub environment: Option<String>,
    pub image: Option<String>,
    pub version: Option<String>,
    pub strategy: Option<Strategy>,
    pub adopt: bool,
    pub force: bool,
    /// Nobody is at work on a release of Helm that hangs: it is repaired, however old it is.
    pub repair: bool,
    /// The run that this one takes back.
    pub back: Option<RunId>,
    /// The run whose very image is meant, where one version was several.
    pub as_of: Option<RunId>,
    /// A compose project that was read elsewhere, in the form in which `apm deploy --compose` sends it.
    pub compose: Option<Arc<Value>>,
    pub actor: String,
    /// Of whoever asks: `deployer`, `admin`.
    pub role: &'static str,
    pub reason: String,
}

/// A release as it would be carried out.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub plan: Plan,
    pub findings: Vec<Finding>,
    /// What was seen in what was sent and changes nothing.
    pub notes: Vec<String>,
}

/// What was done to a run, and the releases around it.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Lines of the audit log: `{seq, at_ms, actor, role, action, run, why, hash}`.
    pub audit: Vec<Value>,
    /// Of the same service and environment, the newest first, the run itself among them.
    pub runs: Vec<RunRow>,
    pub degraded: Vec<Degraded>,
}

/// What became of a run's containers, and how the judge sees it from the telemetry of that time.
#[derive(Clone, Debug)]
pub struct Health {
    pub objects: Inventory,
    /// In the judge's form; null where no judge was asked.
    pub verdict: Value,
    pub degraded: Vec<Degraded>,
}

/// What a run's service said.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// LogQL.
    pub query: String,
    pub start_ms: i64,
    pub end_ms: i64,
    /// Unix milliseconds and text, in order.
    pub lines: Vec<(i64, String)>,
    pub truncated: bool,
    /// Why nothing is known.
    pub failed: Option<String>,
}

/// What the judge is asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum JudgeWanted {
    /// The service as it runs now.
    #[default]
    Now,
    /// This release, as it went.
    Run(RunId),
    /// All past releases that began since then.
    Replay { since_ms: i64 },
}

/// Which lines of a run's containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputWanted {
    pub since_ms: i64,
    /// At most so many of each container that are there already.
    pub tail: u64,
}

/// What containers write as it comes: each an object of the form `Heard` of `openapi.json`; it ends when nobody listens.
pub type Following = BoxStream<'static, Value>;

/// What is kept with a run.
#[derive(Clone, Debug)]
pub struct Kept {
    pub media_type: String,
    pub bytes: Vec<u8>,
}

/// A version that is to go through environments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promoted {
    pub service: Option<String>,
    pub version: Option<String>,
    pub image: Option<String>,
    /// Begin with what serves there already.
    pub from: Option<String>,
    /// Whose settings say the way; the engine's own when left out.
    pub environment: Option<String>,
    pub actor: String,
    pub reason: String,
}

/// A person's yes or no to the next stage of a promotion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Yes {
    pub promotion: String,
    pub actor: String,
    pub role: &'static str,
    pub reason: String,
}

/// The desk at which releases are asked for. What it reads it reads from the history, so runs of other processes are among it.
pub trait Deployments: Send + Sync {
    /// The newest first.
    fn runs(&self, filter: Filter) -> BoxFuture<'_, Result<Vec<RunRow>, Refused>>;
    fn plan(&self, run: RunId) -> BoxFuture<'_, Result<Plan, Refused>>;
    /// Entries after `after` in order, at most `limit`; none for a run that has no more.
    fn entries(&self, run: RunId, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Entry>, Refused>>;
    fn past(&self, run: RunId) -> BoxFuture<'_, Result<Past, Refused>>;
    fn health(&self, run: RunId) -> BoxFuture<'_, Result<Health, Refused>>;
    /// The newest `limit` lines.
    fn lines(&self, run: RunId, limit: usize) -> BoxFuture<'_, Result<Lines, Refused>>;
    /// The newest complete run of the same service and environment before this one, with its plan.
    fn before(&self, run: RunId) -> BoxFuture<'_, Result<Option<(RunId, Plan)>, Refused>>;
    /// What became of the releases that were over since then: `{total, outcomes, duration_ms, hurt_ms, dora}`.
    fn figures(&self, since_ms: i64) -> BoxFuture<'_, Result<Value, Refused>>;
    /// Entries of runs that this process carries out, as they are kept.
    fn live(&self) -> broadcast::Receiver<Entry>;
    /// Leaves an order for whoever carries the run out, and a line in the audit log.
    fn order(&self, run: RunId, command: Command, role: &'static str) -> BoxFuture<'_, Result<(), Refused>>;
    /// Gives a run tags or takes them, with a line in the audit log; all that it has then.
    fn retag(&self, run: RunId, retag: Retag) -> BoxFuture<'_, Result<Vec<Tag>, Refused>>;
    /// Looks at the world and plans; changes nothing.
    fn prepare(&self, wanted: Wanted) -> BoxFuture<'_, Result<Prepared, Refused>>;
    /// Plans, keeps the run, and begins to carry it out.
    fn create(&self, wanted: Wanted) -> BoxFuture<'_, Result<RunId, Refused>>;

    /// The judge's word, as an object in his own form. `service` and `environment` may be left out where there is one only.
    fn judged(
        &self,
        wanted: JudgeWanted,
        service: Option<String>,
        environment: Option<String>,
    ) -> BoxFuture<'_, Result<Value, Refused>>;
    /// What a release would change: `{service, version, differences}`.
    fn differences(&self, wanted: Wanted) -> BoxFuture<'_, Result<Value, Refused>>;
    /// What the containers of a run have written: `{writers, lines, degraded}`.
    fn output(&self, run: RunId, wanted: OutputWanted) -> BoxFuture<'_, Result<Value, Refused>>;
    /// The same as it comes.
    fn follow_output(&self, run: RunId, wanted: OutputWanted) -> BoxFuture<'_, Result<Following, Refused>>;
    /// A list of what is kept with a run, the oldest first.
    fn artefacts(&self, run: RunId) -> BoxFuture<'_, Result<Value, Refused>>;
    fn artefact(&self, run: RunId, name: String) -> BoxFuture<'_, Result<Kept, Refused>>;
    /// As they stand, the newest first.
    fn promotions(&self, limit: usize) -> BoxFuture<'_, Result<Value, Refused>>;
    fn promotion(&self, id: String) -> BoxFuture<'_, Result<Value, Refused>>;
    /// Decides and keeps one, and begins nothing: `{promotion, found}`.
    fn promote(&self, wanted: Promoted) -> BoxFuture<'_, Result<Value, Refused>>;
    /// The plan of what a yes would begin; changes nothing.
    fn prepare_next(&self, yes: Yes) -> BoxFuture<'_, Result<Prepared, Refused>>;
    /// Begins it.
    fn approve_next(&self, yes: Yes) -> BoxFuture<'_, Result<RunId, Refused>>;
    /// Ends the promotion; as it stands then.
    fn reject_next(&self, no: Yes) -> BoxFuture<'_, Result<Value, Refused>>;
}
