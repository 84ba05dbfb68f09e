//! Rules as a timetable of tasks, one a group, each with its own offset. What a rule means is `observe/rules`'; here are only the timers, the writes and
//! the way to Alertmanagers.

mod notify;
mod plan;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use app_api::Queries;
use base_signal::{Labels, Matcher, RangeMs, TenantId};
use base_world::World;
use observe_rules::{Group, GroupState, Over, Settings};
use observe_source::{Appended, Budget, Cancel, MetricSource, MetricWrite, SelectHints, SelectMetrics};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::engine::{Engine, SharedMetrics};
use crate::scrape::ScrapePlan;
use notify::Notifier;
pub(crate) use plan::RulePlan;

/// File, then name: in this order groups are told.
type Key = (String, String);

/// What is told of groups and Alertmanagers to whoever asks. Cheap to clone; clones show the same.
#[derive(Clone, Default)]
pub(crate) struct Told {
    groups: Arc<Mutex<BTreeMap<Key, GroupState>>>,
    managers: Arc<Mutex<Vec<String>>>,
}

impl Told {
    pub(crate) fn groups(&self) -> Vec<GroupState> {
        self.groups.lock().values().cloned().collect()
    }

    pub(crate) fn managers(&self) -> Vec<String> {
        self.managers.lock().clone()
    }
}

/// What every group needs.
#[derive(Clone)]
pub(crate) struct Evaluator {
    pub(crate) world: World,
    pub(crate) engine: Arc<OnceLock<Engine>>,
    pub(crate) told: Told,
    /// Where people reach the engine.
    pub(crate) external_url: String,
    /// Evaluations wait and are bounded together with what people ask.
    pub(crate) queries: Queries,
}

/// A group's task; ended by `gone`.
struct Running {
    group: Arc<Mutex<Group>>,
    gone: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Evaluates until `stop`.
pub(crate) async fn run(evaluator: Evaluator, mut plans: watch::Receiver<ScrapePlan>, mut stop: watch::Receiver<bool>) {
    let notifier = Notifier::default();
    let mut running: BTreeMap<Key, Running> = BTreeMap::new();
    let mut restored = false;
    loop {
        let plan = plans.borrow_and_update().rules().clone();
        *evaluator.told.managers.lock() = plan.managers.iter().map(|manager| manager.url.clone()).collect();
        notifier.take(&plan);
        carry_out(&evaluator, &plan, &notifier, &mut running, restored).await;
        // What comes by a reload has nothing that an outage took.
        restored = true;
        if *stop.borrow() {
            break;
        }
        tokio::select! {
            _ = stop.changed() => break,
            changed = plans.changed() => {
                if changed.is_err() {
                    break;
                }
            }
        }
    }
    for (_, old) in running {
        old.end().await;
    }
    notifier.end();
}

/// Begins, goes on with and ends groups, so that they are those of the plan.
async fn carry_out(
    evaluator: &Evaluator,
    plan: &RulePlan,
    notifier: &Notifier,
    running: &mut BTreeMap<Key, Running>,
    restored: bool,
) {
    let defaults = Settings::default();
    let interval_ms = plan.interval_ms.unwrap_or(defaults.interval_ms);
    let settings = Arc::new(Settings {
        engine: observe_promql::Engine { subquery_step_ms: interval_ms, ..observe_promql::Engine::default() },
        interval_ms,
        query_offset_ms: plan.query_offset_ms,
        external_labels: Labels::from_pairs(plan.external_labels.clone()),
        external_url: evaluator.external_url.clone(),
        ..defaults
    });
    let mut old = std::mem::take(running);
    for (file, rules) in &plan.files {
        for spec in &rules.groups {
            let key = (file.clone(), spec.name.clone());
            let before = old.remove(&key);
            let mut group = Group::new(file, spec.clone(), &settings, restored);
            if let Some(before) = before {
                // A group of the same rules goes on in time, with settings that may be others.
                let alike = before.group.lock().is_alike(file, spec, &settings);
                let before = before.end().await;
                group = match alike {
                    true => before,
                    false => {
                        group.take_over(before);
                        group
                    }
                };
            }
            running.insert(key.clone(), begin(evaluator, &settings, notifier, key, group));
        }
    }
    for (key, gone) in old {
        let group = gone.end().await;
        evaluator.told.groups.lock().remove(&key);
        let (evaluator, wait_ms) = (evaluator.clone(), 2 * group.interval_ms());
        let (series, ended_at_ms) = (group.into_written(), evaluator.world.clock.now_ms());
        // A rule that was only renamed or moved has written its series anew by then.
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0))).await;
            let queries = evaluator.queries.clone();
            let ended = queries.run(None, move |budget, cancel| {
                let gone = series.into_iter().filter(|labels| !evaluator.goes_on(labels, ended_at_ms, budget, cancel));
                let gone: Vec<Labels> = gone.collect();
                evaluator.write_lazily(observe_rules::stale(&gone, ended_at_ms))
            });
            if let Ok(Err(why)) = ended.await {
                tracing::warn!(why, "series of rules that are gone were not ended");
            }
        });
    }
}

fn begin(evaluator: &Evaluator, settings: &Arc<Settings>, notifier: &Notifier, key: Key, group: Group) -> Running {
    let restore = group.awaits_restoring();
    evaluator.told.groups.lock().insert(key.clone(), group.told());
    let group = Arc::new(Mutex::new(group));
    let (gone, heard) = watch::channel(false);
    let timetable = Timetable {
        evaluator: evaluator.clone(),
        settings: settings.clone(),
        notifier: notifier.clone(),
        key,
        group: group.clone(),
        gone: heard,
    };
    let task = tokio::spawn(timetable.keep(restore));
    Running { group, gone, task }
}

impl Running {
    /// Ends it; hands back the group as it stands.
    async fn end(self) -> Group {
        let _ = self.gone.send(true);
        // An error means that it ended already.
        let _ = self.task.await;
        // An evaluation that was cancelled may still be on its way out.
        let group = self.group;
        let held = group.clone();
        match tokio::task::spawn_blocking(move || held.lock().clone()).await {
            Ok(group) => group,
            Err(_) => group.lock().clone(),
        }
    }
}

struct Timetable {
    evaluator: Evaluator,
    settings: Arc<Settings>,
    notifier: Notifier,
    key: Key,
    group: Arc<Mutex<Group>>,
    gone: watch::Receiver<bool>,
}

impl Timetable {
    async fn keep(self, mut restore: bool) {
        let mut gone = self.gone.clone();
        let interval_ms = self.group.lock().interval_ms().max(1);
        let clock = self.evaluator.world.clock.clone();
        let mut due_ms = next_slot(clock.now_ms(), interval_ms, offset(&self.key));
        let mut count = 0;
        loop {
            let wait_ms = due_ms.saturating_sub(clock.now_ms());
            let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = gone.changed() => return,
            }
            self.evaluate(due_ms, false).await;
            count += 1;
            if restore && count == 2 {
                // Not before: what the rules read was perhaps not there at the first one.
                self.evaluate(clock.now_ms(), true).await;
                restore = false;
            }
            // After a pause longer than an interval the missed ones are not made up for.
            due_ms += interval_ms * ((clock.now_ms() - due_ms) / interval_ms).max(0) + interval_ms;
        }
    }

    /// Evaluates the group for this moment, or takes up what was stored before a restart.
    async fn evaluate(&self, at_ms: i64, restore: bool) {
        let (evaluator, settings, group) = (self.evaluator.clone(), self.settings.clone(), self.group.clone());
        let running = self.evaluator.queries.run(None, move |budget, cancel| {
            let mut group = group.lock();
            let sent = evaluator.evaluate(&mut group, &settings, at_ms, restore, budget, cancel);
            (group.told(), sent)
        });
        let mut gone = self.gone.clone();
        // Whoever no longer waits for it cancels it.
        let done = tokio::select! {
            done = running => done,
            _ = gone.changed() => return,
        };
        match done {
            Ok((told, sent)) => {
                self.evaluator.told.groups.lock().insert(self.key.clone(), told);
                self.notifier.send(&sent);
            }
            Err(error) => tracing::warn!(file = self.key.0, group = self.key.1, %error, "a group of rules broke off"),
        }
    }
}

impl Evaluator {
    fn evaluate(
        &self,
        group: &mut Group,
        settings: &Settings,
        at_ms: i64,
        restore: bool,
        budget: &Budget,
        cancel: &Cancel,
    ) -> Vec<observe_rules::SentAlert> {
        let Some(engine) = self.engine.get() else { return Vec::new() };
        let source = SharedMetrics(engine.metrics.clone());
        let tenant = TenantId::default();
        let clock = self.world.clock.as_ref();
        let over = Over { source: &source, tenant: &tenant, budget, cancel, clock };
        if restore {
            if let Err(error) = group.restore(at_ms, settings, &over) {
                tracing::warn!(group = group.name(), error, "`for` begins anew: what was stored could not be read");
            }
            return Vec::new();
        }
        let known = errors(&group.told());
        let sent = group.evaluate(at_ms, settings, &over, &mut |write| self.write_lazily(write));
        for (rule, why) in errors(&group.told()).difference(&known) {
            // Once while it lasts, not at every evaluation.
            tracing::warn!(group = group.name(), rule, why, "a rule failed");
        }
        sent
    }

    /// Whether a series has samples after this time.
    fn goes_on(&self, labels: &Labels, after_ms: i64, budget: &Budget, cancel: &Cancel) -> bool {
        let Some(engine) = self.engine.get() else { return false };
        let matchers: Vec<Matcher> = labels.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
        let request = SelectMetrics {
            tenant: &TenantId::default(),
            matchers: &matchers,
            range: RangeMs::new(after_ms + 1, i64::MAX),
            hints: SelectHints::default(),
            budget,
            cancel,
        };
        let first = SharedMetrics(engine.metrics.clone()).select(&request).and_then(|mut batches| batches.next());
        // Series with further labels are others.
        matches!(first, Ok(Some(batch)) if batch.series.contains(labels))
    }

    /// Returns when the next question sees it; it is durable about a second later, as what is scraped.
    fn write_lazily(&self, write: MetricWrite) -> Result<Appended, String> {
        let engine = self.engine.get().ok_or("the engine is starting")?;
        let (reply, answer) = mpsc::channel();
        let apply = move |store: &mut observe_metrics::MetricStore| {
            let outcome = store.append(&TenantId::default(), &write);
            let _ = reply.send(outcome.clone());
            outcome
        };
        engine.metric_writer.write_lazily(apply).map_err(|error| error.to_string())?;
        let outcome = answer.recv().map_err(|_| "the engine is stopping".to_owned())?;
        outcome.map_err(|error| error.to_string())
    }
}

/// The rules of a group that fail, and why.
fn errors(group: &GroupState) -> std::collections::BTreeSet<(String, String)> {
    let bad = |rule: &observe_rules::RuleState| match &rule.health {
        observe_rules::Health::Bad(why) => Some((rule.name.clone(), why.clone())),
        _ => None,
    };
    group.rules.iter().filter_map(bad).collect()
}

/// A number of a group's own, so that not all groups are evaluated at once; FNV-1a.
fn offset(key: &Key) -> u64 {
    let bytes = key.0.bytes().chain([0xff]).chain(key.1.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The first moment after `now_ms` that lies so far behind a multiple of the interval.
fn next_slot(now_ms: i64, interval_ms: i64, offset: u64) -> i64 {
    let offset_ms = (offset % u64::try_from(interval_ms).unwrap_or(1)) as i64;
    (now_ms - offset_ms).div_euclid(interval_ms) * interval_ms + offset_ms + interval_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_lie_an_interval_apart_and_ahead() {
        for (now_ms, interval_ms, offset, expect_ms) in [
            (0, 1000, 0, 1000),
            (999, 1000, 0, 1000),
            (1000, 1000, 0, 2000),
            (1000, 1000, 300, 1300),
            (1300, 1000, 1300, 2300),
        ] {
            assert_eq!(next_slot(now_ms, interval_ms, offset), expect_ms, "{now_ms} {offset}");
        }
    }
}
