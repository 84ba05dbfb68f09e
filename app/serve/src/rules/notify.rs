//! Alerts on their way to Alertmanagers, each with a queue of its own, so that one that is away keeps none of the others waiting. What is lost comes
//! again: an alert that lasts is told of every minute. <https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use observe_ingest::relabel::Relabel;
use observe_rules::SentAlert;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::plan::{Manager, RulePlan};

/// The oldest go first.
const QUEUE_MAX: usize = 10_000;
/// Of one request.
const BATCH_MAX: usize = 256;
/// A request is tried so often.
const TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Cheap to clone; clones send to the same.
#[derive(Clone, Default)]
pub(super) struct Notifier(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    ways: Vec<Way>,
    external: BTreeMap<String, String>,
    relabel: Arc<Relabel>,
}

/// One Alertmanager and its task.
struct Way {
    manager: Manager,
    queue: Arc<Queue>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Queue {
    alerts: Mutex<VecDeque<Value>>,
    more: Notify,
}

impl Drop for Way {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Notifier {
    /// Other Alertmanagers; what waits for one that stays waits on.
    pub(super) fn take(&self, plan: &RulePlan) {
        let mut state = self.0.lock();
        let mut old = std::mem::take(&mut state.ways);
        for manager in &plan.managers {
            let same = |way: &Way| {
                let known = &way.manager;
                (&known.url, known.timeout_ms) == (&manager.url, manager.timeout_ms)
                    && known.fetch.is_alike(&manager.fetch)
            };
            let way = match old.iter().position(same) {
                Some(at) => old.swap_remove(at),
                None => {
                    let queue = Arc::<Queue>::default();
                    let task = tokio::spawn(send(manager.clone(), queue.clone()));
                    Way { manager: manager.clone(), queue, task }
                }
            };
            state.ways.push(way);
        }
        state.external = plan.external_labels.clone();
        state.relabel = plan.relabel.clone();
    }

    pub(super) fn end(&self) {
        self.0.lock().ways.clear();
    }

    pub(super) fn send(&self, alerts: &[SentAlert]) {
        let state = self.0.lock();
        let told: Vec<Value> =
            alerts.iter().filter_map(|alert| shown(alert, &state.external, &state.relabel)).collect();
        if told.is_empty() {
            return;
        }
        for way in &state.ways {
            let mut waiting = way.queue.alerts.lock();
            waiting.extend(told.iter().cloned());
            let over = waiting.len().saturating_sub(QUEUE_MAX);
            if over > 0 {
                waiting.drain(..over);
                tracing::warn!(url = way.manager.url, "{over} alerts were dropped: the queue is full");
            }
            drop(waiting);
            way.queue.more.notify_one();
        }
    }
}

/// As Alertmanager takes it; `None` for one that relabelling leaves out.
fn shown(alert: &SentAlert, external: &BTreeMap<String, String>, relabel: &Relabel) -> Option<Value> {
    // The alert's own count before those of the site.
    let mut labels = external.clone();
    labels.extend(alert.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    relabel.apply(&mut labels).then(|| {
        json!({
            "labels": labels,
            "annotations": alert.annotations,
            "startsAt": time(alert.starts_at_ms),
            "endsAt": time(alert.ends_at_ms),
            "generatorURL": alert.generator_url,
        })
    })
}

fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap_or_default().to_string()
}

/// Sends what waits, for ever.
async fn send(manager: Manager, queue: Arc<Queue>) {
    loop {
        let batch: Vec<Value> = {
            let mut waiting = queue.alerts.lock();
            let most = waiting.len().min(BATCH_MAX);
            waiting.drain(..most).collect()
        };
        if batch.is_empty() {
            queue.more.notified().await;
            continue;
        }
        let (count, body) = (batch.len(), Bytes::from(Value::Array(batch).to_string()));
        if let Err(why) = post(&manager, body).await {
            tracing::warn!(
                url = manager.url,
                why,
                "{count} alerts did not reach the Alertmanager; those that last are told of again"
            );
        }
    }
}

/// Tries a few times; what it refuses it would refuse again.
async fn post(manager: &Manager, body: Bytes) -> Result<(), String> {
    let (mut pause, mut tries) = (FIRST_PAUSE, 0);
    loop {
        tries += 1;
        let why = match manager.fetch.post(&manager.url, body.clone(), Duration::from_millis(manager.timeout_ms)).await
        {
            Ok((200..=299, _)) => return Ok(()),
            Ok((status, text)) => {
                let why = format!("it answered with status {status}: {text}");
                if (400..500).contains(&status) && status != 429 {
                    return Err(why);
                }
                why
            }
            Err(why) => why,
        };
        if tries == TRIES {
            return Err(why);
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}
