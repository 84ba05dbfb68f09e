//! The store against a model, under crashes at drawn operations. After each reboot the store must be exactly the model at
//! one position of the log that is not before the last acknowledged one: nothing lost, nothing invented, bits equal.

use std::collections::BTreeMap;
use std::path::Path;

use base_signal::{Exemplar, Labels, MatchOp, Matcher, Metadata, MetricKind, RangeMs, STALE_NAN_BITS};
use base_world::Rng;
use base_world::sim::{PowerLoss, SimWorld, sweep};
use observe_source::{MetricSource, MetricWrite, SourceError};

use super::codecs::histogram;
use super::{Answer, DIR, all_metrics, labels, select, settings, tenant, with_query};
use crate::histogram::histogram_bytes;
use crate::points::Point;
use crate::{FlushJob, MergeJob, MetricStore, Settings};

/// What must be in the store after some number of writes.
#[derive(Clone, Default)]
struct State {
    points: Answer,
    /// (labels, time, value bits)
    exemplars: BTreeMap<(Labels, i64, u64), ()>,
    metadata: BTreeMap<String, Metadata>,
}

struct Model {
    /// State by log position, back to the last one acknowledged.
    states: BTreeMap<u64, State>,
    acknowledged: u64,
    /// A deletion that a crash interrupted: it may have happened.
    deletion: Option<(Labels, RangeMs)>,
    oldest_ms: i64,
}

impl Model {
    fn newest(&self) -> &State {
        self.states.values().next_back().expect("there is always a state")
    }
}

impl State {
    /// Applies a write as the store should; returns how many items it should accept.
    fn apply(&mut self, write: &MetricWrite) -> u64 {
        let mut accepted = 0;
        let points = write.samples.iter().map(|(set, time, value)| (*set, *time, Point::Float(value.to_bits())));
        let histograms = write.histograms.iter();
        let histograms = histograms.map(|(set, time, h)| (*set, *time, Point::Histogram(histogram_bytes(h).into())));
        for (set, time, point) in points.chain(histograms) {
            let series = self.points.entry(write.series.get(set).to_labels()).or_default();
            accepted += u64::from(*series.entry(time).or_insert_with(|| point.clone()) == point);
        }
        for (set, exemplar) in &write.exemplars {
            let labels = write.series.get(*set).to_labels();
            self.exemplars.insert((labels, exemplar.time_ms, exemplar.value.to_bits()), ());
            accepted += 1;
        }
        self.metadata.extend(write.metadata.iter().cloned());
        self.points.retain(|_, points| !points.is_empty());
        accepted
    }

    fn delete(&mut self, labels: &Labels, range: RangeMs) {
        if let Some(points) = self.points.get_mut(labels) {
            points.retain(|time, _| !range.contains(*time));
        }
        self.exemplars.retain(|(l, time, _), ()| l != labels || !range.contains(*time));
        self.points.retain(|_, points| !points.is_empty());
    }

    fn expire(&mut self, oldest_ms: i64) {
        self.points.values_mut().for_each(|points| points.retain(|time, _| *time >= oldest_ms));
        self.exemplars.retain(|(_, time, _), ()| *time >= oldest_ms);
        self.points.retain(|_, points| !points.is_empty());
    }

    fn compare(&self, store: &MetricStore) -> Result<(), String> {
        let (answer, annotations) = select(store, &all_metrics(), RangeMs::ALL)?;
        if !annotations.is_empty() {
            return Err(format!("unexpected annotations {annotations:?}"));
        }
        for (labels, points) in &self.points {
            let found = answer.get(labels).ok_or_else(|| format!("{labels} is lost"))?;
            if let Some((time, point)) = points.iter().find(|(time, point)| found.get(time) != Some(point)) {
                return Err(format!("{labels} at {time}: wrote {point:?}, found {:?}", found.get(time)));
            }
            if let Some((time, point)) = found.iter().find(|(time, _)| !points.contains_key(time)) {
                return Err(format!("{labels} at {time}: {point:?} was never written or is deleted"));
            }
        }
        if let Some(labels) = answer.keys().find(|labels| !self.points.contains_key(*labels)) {
            return Err(format!("{labels} was never written or is deleted"));
        }
        let found = with_query(&[], RangeMs::ALL, |query| store.exemplars(query)).map_err(|e| e.to_string())?;
        let mut exemplars = BTreeMap::new();
        for series in found {
            let all = series.exemplars.iter().map(|e| ((series.labels.clone(), e.time_ms, e.value.to_bits()), ()));
            exemplars.extend(all);
        }
        if exemplars != self.exemplars {
            return Err(format!("exemplars: wrote {:?}, found {exemplars:?}", self.exemplars));
        }
        let metadata = store.metadata(&tenant(), None).map_err(|e| e.to_string())?;
        if metadata.iter().cloned().collect::<BTreeMap<_, _>>() != self.metadata {
            return Err(format!("metadata: wrote {:?}, found {metadata:?}", self.metadata));
        }
        Ok(())
    }
}

fn random_write(rng: &mut Rng, now_ms: i64) -> MetricWrite {
    let mut write = MetricWrite::default();
    for _ in 0..1 + rng.below(12) {
        let set =
            write.series.push_set(labels(["up", "cpu", "mem"][rng.index(3)], ["a", "b", "c"][rng.index(3)]).as_ref());
        // Few distinct times, so that same, duplicate and late samples are frequent.
        let time_ms = now_ms - 1000 * rng.below(120) as i64;
        match rng.below(20) {
            0..=15 => {
                let value =
                    [1.0, 2.5, f64::from_bits(STALE_NAN_BITS), -0.0, f64::from_bits(rng.next_u64())][rng.index(5)];
                write.samples.push((set, time_ms, value));
            }
            16 | 17 => write.histograms.push((set, time_ms, histogram(rng))),
            18 => {
                let labels = Labels::from_pairs([("trace_id", "abc")]);
                write.exemplars.push((set, Exemplar { labels, time_ms, value: rng.below(5) as f64 }));
            }
            _ => {
                let metadata =
                    Metadata { kind: MetricKind::Gauge, help: rng.below(3).to_string(), unit: String::new() };
                write.metadata.push(("up".to_owned(), metadata));
            }
        }
    }
    write
}

fn live(sim: &SimWorld, store: &mut MetricStore, model: &mut Model, rng: &mut Rng) -> Result<(), String> {
    let (mut job, mut merge, mut written) = (None, None, None);
    for step in 0..40 {
        let now_ms = sim.world().clock.now_ms();
        let done = match rng.below(28) {
            0..=11 => append(store, model, &random_write(rng, now_ms))?,
            12..=16 => store.sync().map(|lsn| model.acknowledged = lsn),
            17 | 18 => store.flush(),
            19 => store.compact().map(|_| ()),
            20 => store.enforce_retention().map(|_| ()),
            21 => {
                let (name, job) = (["up", "cpu", "mem"][rng.index(3)], ["a", "b", "c"][rng.index(3)]);
                let start = now_ms - 1000 * rng.below(120) as i64;
                let range = RangeMs::new(start, start + 20_000);
                let set =
                    vec![Matcher::equal("__name__", name), Matcher::new("job", MatchOp::Regex, job).expect("regex")];
                model.deletion = Some((labels(name, job), range));
                let deleted = store.delete_series(&tenant(), &[set], range);
                if deleted.is_ok() {
                    // Durable on return: only the state after it is left.
                    let mut state = model.newest().clone();
                    state.delete(&labels(name, job), range);
                    model.states = BTreeMap::from([(store.last_lsn(), state)]);
                    model.acknowledged = store.last_lsn();
                    model.deletion = None;
                }
                deleted
            }
            22 => store.clean_deletions(),
            // The long work in three steps, with anything in between, even another flush.
            23 => store.begin_flush().map(|begun| job = begun),
            24 => store
                .begin_merge()
                .and_then(|begun| begun.map(|merge| merge.run()).transpose())
                .map(|done| written = done),
            25 | 26 => {
                let run = match (merge.take(), job.take()) {
                    (Some(merge), kept) => {
                        job = kept;
                        Some(MergeJob::run(merge))
                    }
                    (None, Some(flush)) => Some(FlushJob::run(flush)),
                    (None, None) => None,
                };
                match (written.take(), run) {
                    (Some(done), _) => store.install(done),
                    (None, run) => run.transpose().map(|done| written = done),
                }
            }
            _ => {
                sim.clock.advance_ms(1 + rng.below(40_000) as u32);
                Ok(())
            }
        };
        match done {
            Ok(()) => {}
            Err(_) if sim.disk.has_crashed() || sim.disk.has_failed() => return Ok(()),
            Err(error) => return Err(format!("step {step}: {error}")),
        }
        if rng.chance(10) {
            let oldest = store.oldest_ms();
            let mut state = model.newest().clone();
            state.expire(oldest);
            match state.compare(store) {
                Err(_) if sim.disk.has_crashed() || sim.disk.has_failed() => return Ok(()),
                compared => compared.map_err(|e| format!("step {step}, still running: {e}"))?,
            }
        }
    }
    Ok(())
}

fn append(store: &mut MetricStore, model: &mut Model, write: &MetricWrite) -> Result<Result<(), SourceError>, String> {
    let (before, mut state) = (store.last_lsn(), model.newest().clone());
    state.expire(store.oldest_ms());
    let expect = state.apply(write);
    // What a crash interrupts may survive whole.
    model.states.insert(before + 1, state);
    match store.append(&tenant(), write) {
        Ok(appended) => {
            if store.last_lsn() == before {
                model.states.remove(&(before + 1));
            }
            if appended.accepted != expect || appended.rejected_count() != write.len() as u64 - expect {
                return Err(format!(
                    "accepted {} of {}, expected {expect}: {}",
                    appended.accepted,
                    write.len(),
                    appended.message()
                ));
            }
            Ok(Ok(()))
        }
        Err(error) => Ok(Err(error)),
    }
}

fn reopen(sim: &SimWorld, settings: &Settings, model: &mut Model) -> Result<MetricStore, String> {
    let opened = MetricStore::open(&sim.world(), Path::new(DIR), settings.clone());
    let (store, report) = opened.map_err(|e| format!("does not open: {e}"))?;
    if !report.damage.is_empty() {
        return Err(format!("a crash was taken for damage: {:?}", report.damage));
    }
    let last = store.last_lsn();
    if last < model.acknowledged {
        return Err(format!("ends at {last}, {} was acknowledged", model.acknowledged));
    }
    let found = model.states.range(..=last).next_back();
    let mut state = found.map(|(_, state)| state.clone()).ok_or_else(|| format!("no state at {last}"))?;
    model.oldest_ms = store.oldest_ms();
    state.expire(model.oldest_ms);
    let compared = state.compare(&store);
    if let (Err(_), Some((labels, range))) = (&compared, model.deletion.take()) {
        let mut deleted = state.clone();
        deleted.delete(&labels, range);
        deleted.compare(&store)?;
        state = deleted;
    } else {
        compared?;
    }
    model.states = BTreeMap::from([(last, state)]);
    model.acknowledged = last;
    Ok(store)
}

/// A crash, or one failing operation, somewhere in the next `within`.
fn order_fault(sim: &SimWorld, rng: &mut Rng, within: u64) {
    let at = sim.disk.operations() + 1 + rng.below(within);
    if rng.chance(75) { sim.disk.crash_at(at) } else { sim.disk.fail_at(at) }
}

fn run(seed: u64, ignore_sync: bool) -> Result<(), String> {
    let (sim, mut rng) = (SimWorld::new(seed), Rng::new(seed));
    sim.disk.ignore_sync(ignore_sync);
    let retention_ms = if rng.chance(50) { Some(150_000) } else { None };
    let settings = Settings { retention_ms, ..settings() };
    let states = BTreeMap::from([(0, State::default())]);
    let mut model = Model { states, acknowledged: 0, deletion: None, oldest_ms: i64::MIN };
    let loss = |rng: &mut Rng| match rng.below(3) {
        0 => PowerLoss::KeepAll,
        1 => PowerLoss::DropAll,
        _ => PowerLoss::Subset(rng.next_u64()),
    };
    for _life in 0..4 {
        let mut store = reopen(&sim, &settings, &mut model)?;
        order_fault(&sim, &mut rng, 250);
        live(&sim, &mut store, &mut model, &mut rng)?;
        sim.disk.reboot(loss(&mut rng));
        if rng.chance(40) {
            // A crash while opening must do no harm either.
            order_fault(&sim, &mut rng, 30);
            drop(MetricStore::open(&sim.world(), Path::new(DIR), settings.clone()));
            sim.disk.reboot(loss(&mut rng));
        }
    }
    reopen(&sim, &settings, &mut model).map(|_| ())
}

#[test]
fn acknowledged_data_survives_every_crash() {
    sweep(400, |seed| run(seed, false)).unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn the_sweep_fails_when_syncs_do_nothing() {
    let failures = (0..40).filter(|seed| run(*seed, true).is_err()).count();
    assert!(failures > 20, "only {failures} of 40 seeds noticed that nothing is synced");
}
