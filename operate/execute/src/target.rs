//! What the executor asks of the world: a target that can be looked at and changed, and a judge. The traits are owned here, by their
//! consumer; a crate a target fills them.

use async_trait::async_trait;
use operate_plan::{Act, Condition, Failure, Inventory, ObjectId, StepId};
use serde_json::Value;

use crate::{Fence, Judgement, RunId};

/// On whose behalf a call is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    pub run: RunId,
    pub step: StepId,
    /// A target that can compare tokens refuses a lower one than it has seen.
    pub fence: Fence,
}

/// The answer to a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Met {
    Yes,
    /// What was seen instead, for people: `exited with code 1`. It may come into the journal, so it holds no value that could be a secret.
    No(String),
}

/// What an object was at one moment, as far as [`Target::restore`] can make it so again. Values that change by themselves (uptime,
/// counters) are not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    Absent,
    Present(Value),
}

/// What an act did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// What it changed; anything that the step did not name is a failure.
    pub touched: Vec<ObjectId>,
    /// For people: `pulled 12 MB`.
    pub note: String,
}

/// Something that plans are carried out on: a Docker engine, a cluster, the fake world.
///
/// Every call may be made again after it was cut off anywhere, by this process or another, and must then lead to the same end. A call is
/// cut off by dropping its future.
#[async_trait]
pub trait Target: Send + Sync {
    /// Looks at the objects. A look that fails is a fact of its own, not an error of the whole.
    async fn survey(&self, objects: &[ObjectId]) -> Inventory;

    /// Whether a condition holds now. Changes nothing.
    async fn check(&self, context: &Context, condition: &Condition) -> Result<Met, Failure>;

    /// What an object is now. Changes nothing.
    async fn image(&self, context: &Context, object: &ObjectId) -> Result<Image, Failure>;

    /// Makes the change.
    async fn act(&self, context: &Context, act: &Act) -> Result<Done, Failure>;

    /// Makes an object what it was, from whatever it has become. Of one step, what was there is restored before what was not there is
    /// removed: a thing that was moved is moved back, not deleted where it went.
    async fn restore(&self, context: &Context, object: &ObjectId, before: &Image) -> Result<(), Failure>;

    /// Whether an object is what it was. A target whose images hold an identity that a restore cannot bring back leaves that out.
    fn is_same(&self, before: &Image, now: &Image) -> bool {
        before == now
    }
}

/// Decides by telemetry.
#[async_trait]
pub trait Judge: Send + Sync {
    /// Asked again and again until it rules; `since_ms` is when the step first asked, the same after a restart.
    async fn judge(&self, context: &Context, request: &Value, since_ms: i64) -> Result<Judgement, Failure>;
}
