//! The store against a model, under crashes at drawn operations. After each reboot the store must be exactly the model at
//! one position of the log that is not before the last acknowledged one: nothing lost, nothing invented.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use base_signal::{Labels, RangeNs, Span, SpanId, TraceId};
use base_world::Rng;
use base_world::sim::{PowerLoss, SimWorld, sweep};
use observe_source::{Direction, LogSource, SourceError, SpanSource, SpanWrite};

use super::{Ask, DIR, S, Seen, entry, log_write, select_spans, settings, span, tenant};
use crate::{EventStore, FlushJob, MergeJob, Written};

/// How the simulated disk words a failure that was ordered.
const ORDERED: &str = "input/output error (simulated)";

/// What must be in the store after some number of writes.
#[derive(Clone, Default)]
struct State {
    /// In order of arrival, each once.
    lines: Vec<Seen>,
    spans: BTreeMap<(TraceId, SpanId, u8), Arc<Span>>,
}

struct Model {
    /// State by log position, back to the last one acknowledged.
    states: BTreeMap<u64, State>,
    acknowledged: u64,
}

enum Write {
    Lines(Vec<Seen>),
    Spans(Vec<Span>),
}

impl State {
    fn apply(&mut self, write: &Write) {
        match write {
            Write::Lines(lines) => {
                for line in lines {
                    if !self.lines.contains(line) {
                        self.lines.push(line.clone());
                    }
                }
            }
            Write::Spans(spans) => {
                for span in spans {
                    let key = (span.trace_id, span.span_id, span.kind.number());
                    self.spans.entry(key).or_insert_with(|| Arc::new(span.clone()));
                }
            }
        }
    }

    fn sorted(&self, direction: Direction) -> Vec<Seen> {
        let mut lines = self.lines.clone();
        lines.sort_by(|a, b| (a.time_ns, &a.labels).cmp(&(b.time_ns, &b.labels)));
        if direction == Direction::Backward {
            lines.reverse();
        }
        lines
    }

    fn compare(&self, store: &EventStore) -> Result<(), String> {
        for direction in [Direction::Forward, Direction::Backward] {
            let (found, annotations) = Ask { direction, ..Ask::default() }.of(store).map_err(|e| e.to_string())?;
            if !annotations.is_empty() {
                return Err(format!("unexpected annotations {annotations:?}"));
            }
            let expect = self.sorted(direction);
            if let Some(i) = (0..expect.len().max(found.len())).find(|i| expect.get(*i) != found.get(*i)) {
                let (wrote, read) = (expect.get(i), found.get(i));
                return Err(format!("line {i} {direction:?}: wrote {wrote:?}, found {read:?}"));
            }
        }
        let expect: BTreeSet<&Labels> = self.lines.iter().map(|line| &line.labels).collect();
        let streams = store.streams(&tenant(), &[], RangeNs::ALL, &observe_source::Budget::unlimited());
        if !streams.map_err(|e| e.to_string())?.iter().eq(expect) {
            return Err("the streams differ".to_owned());
        }
        let found = select_spans(store, RangeNs::ALL, &[], None).map_err(|e| e.to_string())?;
        let mut by_key = BTreeMap::new();
        let mut newest = i64::MAX;
        for span in found {
            if span.start_ns > newest {
                return Err("spans are not newest first".to_owned());
            }
            newest = span.start_ns;
            if by_key.insert((span.trace_id, span.span_id, span.kind.number()), span).is_some() {
                return Err("a span came twice".to_owned());
            }
        }
        if by_key != self.spans {
            return Err(format!("spans: wrote {}, found {}, or they differ", self.spans.len(), by_key.len()));
        }
        if let Some(span) = self.spans.values().next() {
            let trace = select_spans(store, RangeNs::ALL, &[], Some(&[span.trace_id])).map_err(|e| e.to_string())?;
            let expect = self.spans.values().filter(|s| s.trace_id == span.trace_id).count();
            if trace.len() != expect {
                return Err(format!("a trace of {expect} spans came with {}", trace.len()));
            }
        }
        let services: BTreeSet<&str> = self.spans.values().map(|span| span.resource.service_name()).collect();
        let found = store.services(&tenant(), RangeNs::ALL).map_err(|e| e.to_string())?;
        if !found.iter().map(String::as_str).eq(services) {
            return Err(format!("services: found {found:?}"));
        }
        Ok(())
    }
}

fn draw(rng: &mut Rng, now_ns: i64) -> Write {
    // Few distinct times and texts, so that equal times, duplicates and late data are frequent.
    let time_ns = |rng: &mut Rng| now_ns - S * rng.below(400) as i64 * 60;
    if rng.chance(60) {
        let labels = |rng: &mut Rng| Labels::from_pairs([("app", ["a", "b", "c"][rng.index(3)])]);
        let line = |rng: &mut Rng| {
            let ids = [("trace_id", ["x1", "y2"][rng.index(2)])];
            let text = if rng.chance(5) { "long ".repeat(300) } else { format!("text {}", rng.below(6)) };
            entry(&labels(rng), time_ns(rng), &text, if rng.chance(50) { &ids } else { &[] })
        };
        Write::Lines((0..1 + rng.below(12)).map(|_| line(rng)).collect())
    } else {
        let one = |rng: &mut Rng| {
            let (trace, number) = (rng.below(20), rng.below(8));
            // The same span is always sent with the same content.
            let start_ns = now_ns - now_ns % (3600 * S) - (trace * 50 + number) as i64 * 60 * S;
            span(
                trace,
                number,
                ["web", "db"][(trace % 2) as usize],
                ["get", "put", "scan"][(number % 3) as usize],
                start_ns,
            )
        };
        Write::Spans((0..1 + rng.below(10)).map(|_| one(rng)).collect())
    }
}

/// Where the long work of a flush or merge stands.
#[derive(Default)]
enum Stage {
    #[default]
    Idle,
    Flush(FlushJob),
    Merge(MergeJob),
    Written(Written),
}

impl Stage {
    fn next(self, store: &mut EventStore, rng: &mut Rng) -> Result<Stage, SourceError> {
        Ok(match self {
            Stage::Idle if rng.chance(60) => store.begin_flush()?.map_or(Stage::Idle, Stage::Flush),
            Stage::Idle => store.begin_merge()?.map_or(Stage::Idle, Stage::Merge),
            Stage::Flush(job) => Stage::Written(job.run()?),
            Stage::Merge(job) => Stage::Written(job.run()?),
            Stage::Written(written) => {
                store.install(written)?;
                Stage::Idle
            }
        })
    }
}

/// Runs until the ordered crash or failure; every other error, but shedding on a full disk, is a finding.
fn live(sim: &SimWorld, store: &mut EventStore, model: &mut Model, rng: &mut Rng) -> Result<(), String> {
    let mut job = Stage::Idle;
    for step in 0..60u64 {
        let done: Result<(), SourceError> = match rng.below(22) {
            0..=11 => {
                let write = draw(rng, sim.world().clock.now_ns());
                let before = store.last_lsn();
                let mut next = model.states.values().next_back().cloned().unwrap_or_default();
                next.apply(&write);
                // What a crash interrupts may survive, under the next number.
                model.states.insert(before + 1, next.clone());
                let appended = match write {
                    Write::Lines(lines) => store.append_logs(&tenant(), &log_write(&lines)),
                    Write::Spans(spans) => store.append_spans(&tenant(), SpanWrite { spans }),
                };
                if store.last_lsn() == before && !sim.disk.has_crashed() {
                    // Nothing went into the log: shed, or all of it was known.
                    model.states.remove(&(before + 1));
                    if appended.is_ok() {
                        model.states.insert(before, next);
                    }
                }
                appended.map(|_| ())
            }
            12..=15 => store.sync().map(|durable| model.acknowledged = model.acknowledged.max(durable)),
            16 => match rng.below(4) {
                0 => store.flush(),
                1 => store.compact().map(|_| ()),
                _ => Ok(()),
            },
            17 | 20 | 21 => {
                // A job at a time, as a thread beside the store works: other steps come between.
                let stage = std::mem::take(&mut job);
                stage.next(store, rng).map(|next| job = next)
            }
            18 => {
                let room = sim.disk.used_bytes() + 2_000 + rng.below(20_000);
                sim.disk.set_budget_bytes(rng.chance(30).then_some(room));
                Ok(())
            }
            19 => {
                let state = model.states.values().next_back().cloned().unwrap_or_default();
                match state.compare(store) {
                    Err(why) if sim.disk.has_crashed() || why.contains(ORDERED) => return Ok(()),
                    other => other.map_err(|why| format!("step {step}, while running: {why}"))?,
                }
                Ok(())
            }
            _ => Ok(()),
        };
        match done {
            Ok(()) | Err(SourceError::Shed { .. }) => {}
            Err(_) if sim.disk.has_crashed() => return Ok(()),
            Err(error) if error.to_string().contains(ORDERED) => return after_a_failure(store),
            Err(error) => return Err(format!("step {step}: {error}")),
        }
    }
    Ok(())
}

/// After a failed write or sync nobody knows what is on the disk: the store must either have put it right or take nothing.
fn after_a_failure(store: &mut EventStore) -> Result<(), String> {
    let probe = [entry(&Labels::from_pairs([("app", "probe")]), i64::MAX, "not acknowledged", &[])];
    match store.append_logs(&tenant(), &log_write(&probe)) {
        // Refused for its time: the store still works.
        Ok(appended) if appended.accepted == 0 => Ok(()),
        Err(SourceError::Unavailable { .. }) => Ok(()),
        Err(SourceError::Shed { .. }) => Ok(()),
        other => Err(format!("after a failed write: {other:?}")),
    }
}

fn reopen(sim: &SimWorld, model: &mut Model) -> Result<EventStore, String> {
    let opened = EventStore::open(&sim.world(), Path::new(DIR), settings()).map_err(|e| e.to_string())?;
    let (store, report) = opened;
    if !report.damage.is_empty() {
        return Err(format!("a crash was taken for damage: {:?}", report.damage));
    }
    let last = store.last_lsn();
    if last < model.acknowledged {
        return Err(format!("the log ends at {last}, {} was acknowledged", model.acknowledged));
    }
    let state = model.states.range(..=last).next_back().map(|(_, state)| state.clone()).unwrap_or_default();
    state.compare(&store)?;
    model.states = BTreeMap::from([(last, state)]);
    model.acknowledged = last;
    Ok(store)
}

fn run(seed: u64, ignore_sync: bool) -> Result<(), String> {
    let (sim, mut rng) = (SimWorld::new(seed), Rng::new(seed));
    let mut model = Model { states: BTreeMap::from([(0, State::default())]), acknowledged: 0 };
    sim.disk.ignore_sync(ignore_sync);
    for _life in 0..4 {
        let mut store = reopen(&sim, &mut model)?;
        let at = sim.disk.operations() + 1 + rng.below(250);
        if rng.chance(25) {
            sim.disk.fail_at(at)
        } else {
            sim.disk.crash_at(at)
        }
        live(&sim, &mut store, &mut model, &mut rng)?;
        drop(store);
        let loss = |rng: &mut Rng| match rng.below(3) {
            0 => PowerLoss::KeepAll,
            1 => PowerLoss::DropAll,
            _ => PowerLoss::Subset(rng.next_u64()),
        };
        sim.disk.reboot(loss(&mut rng));
        sim.disk.set_budget_bytes(None);
        if rng.chance(30) {
            // A crash while opening must do no harm either.
            sim.disk.crash_at(sim.disk.operations() + 1 + rng.below(20));
            drop(EventStore::open(&sim.world(), Path::new(DIR), settings()));
            sim.disk.reboot(loss(&mut rng));
        }
    }
    reopen(&sim, &mut model).map(|_| ())
}

#[test]
fn acknowledged_events_survive_every_crash() {
    sweep(300, |seed| run(seed, false)).unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn the_sweep_fails_when_syncs_do_nothing() {
    let failures = (0..40).filter(|seed| run(*seed, true).is_err()).count();
    assert!(failures > 20, "only {failures} of 40 seeds noticed that nothing is synced");
}

/// A bit anywhere in a closed store turns over: what is answered was written, and what is missing is spoken of.
fn rot(seed: u64) -> Result<(), String> {
    let (sim, mut rng, mut state) = (SimWorld::new(seed), Rng::new(seed), State::default());
    let mut store = EventStore::open(&sim.world(), Path::new(DIR), settings()).map_err(|e| e.to_string())?.0;
    for _ in 0..20 {
        let write = draw(&mut rng, sim.world().clock.now_ns());
        state.apply(&write);
        match write {
            Write::Lines(lines) => store.append_logs(&tenant(), &log_write(&lines)),
            Write::Spans(spans) => store.append_spans(&tenant(), SpanWrite { spans }),
        }
        .map_err(|e| e.to_string())?;
        if rng.chance(20) {
            store.flush().map_err(|e| e.to_string())?;
        }
    }
    store.flush().and_then(|()| store.compact().map(|_| ())).map_err(|e| e.to_string())?;
    drop(store);
    let mut files = sim.disk.files();
    files.retain(|(path, len)| *len > 0 && path.extension().is_some_and(|e| e == "logs" || e == "spans"));
    let (path, len) = files.get(rng.index(files.len())).cloned().ok_or("there are no segments")?;
    sim.disk.flip_bit(&path, rng.below(len), rng.below(8) as u8);
    let (store, report) = EventStore::open(&sim.world(), Path::new(DIR), settings()).map_err(|e| e.to_string())?;
    let (lines, annotations) = Ask::default().of(&store).map_err(|e| e.to_string())?;
    let spans = select_spans(&store, RangeNs::ALL, &[], None).map_err(|e| e.to_string())?;
    if let Some(line) = lines.iter().find(|line| !state.lines.contains(line)) {
        return Err(format!("{line:?} was never written"));
    }
    if let Some(span) = spans.iter().find(|span| !state.spans.values().any(|known| known == *span)) {
        return Err(format!("{span:?} was never written"));
    }
    let whole = (lines.len(), spans.len()) == (state.lines.len(), state.spans.len());
    let named = report.damage.iter().chain(&store.damage()).any(|damage| damage.path == path);
    let told = lines.len() == state.lines.len() || !annotations.is_empty() || !report.damage.is_empty();
    if whole || (named && told) { Ok(()) } else { Err(format!("{} is damaged and nobody said so", path.display())) }
}

#[test]
fn rotten_bits_are_told_and_invent_nothing() {
    for seed in 0..150 {
        if let Err(why) = rot(seed) {
            panic!("seed {seed}: {why}");
        }
    }
}
