//! A history that can be killed around each write, before it is durable and after. It keeps nothing itself.

use std::sync::Arc;

use async_trait::async_trait;
use operate_execute::{
    Begun, Command, Entry, Event, Fence, Filter, History, HistoryError, Lease, NewRun, RunId, RunRow,
};
use operate_plan::Plan;

use crate::Crash;

/// Another history with moments around its writes.
pub struct CrashingHistory {
    pub inner: Arc<dyn History>,
    pub crash: Arc<Crash>,
}

#[async_trait]
impl History for CrashingHistory {
    async fn begin(&self, new: NewRun<'_>, at_ms: i64, holder: &str, ttl_ms: u64) -> Result<Begun, HistoryError> {
        self.crash.moment().await;
        let begun = self.inner.begin(new, at_ms, holder, ttl_ms).await;
        self.crash.moment().await;
        begun
    }

    async fn create(&self, run: &RunId, plan: &Plan, at_ms: i64, command: &Command) -> Result<(), HistoryError> {
        self.inner.create(run, plan, at_ms, command).await
    }

    async fn plan(&self, run: &RunId) -> Result<Plan, HistoryError> {
        self.inner.plan(run).await
    }

    async fn entries(&self, run: &RunId, after: u64, limit: usize) -> Result<Vec<Entry>, HistoryError> {
        self.inner.entries(run, after, limit).await
    }

    async fn append(&self, run: &RunId, fence: Fence, at_ms: i64, event: Event) -> Result<Entry, HistoryError> {
        self.crash.moment().await;
        let kept = self.inner.append(run, fence, at_ms, event).await;
        self.crash.moment().await;
        kept
    }

    async fn lease(&self, target: &str, holder: &str, now_ms: i64, ttl_ms: u64) -> Result<Lease, HistoryError> {
        let leased = self.inner.lease(target, holder, now_ms, ttl_ms).await;
        self.crash.moment().await;
        leased
    }

    async fn renew(&self, target: &str, fence: Fence, now_ms: i64, ttl_ms: u64) -> Result<(), HistoryError> {
        self.inner.renew(target, fence, now_ms, ttl_ms).await
    }

    async fn release(&self, target: &str, fence: Fence) -> Result<(), HistoryError> {
        self.crash.moment().await;
        self.inner.release(target, fence).await
    }

    async fn order(&self, run: &RunId, at_ms: i64, command: &Command) -> Result<u64, HistoryError> {
        self.inner.order(run, at_ms, command).await
    }

    async fn orders(&self, run: &RunId, after: u64) -> Result<Vec<(u64, Command)>, HistoryError> {
        self.inner.orders(run, after).await
    }

    async fn runs(&self, filter: &Filter) -> Result<Vec<RunRow>, HistoryError> {
        self.inner.runs(filter).await
    }
}
