//! The queue against a model, with a fickle other side, full disks and crashes at drawn operations: what was acknowledged arrives, in the order
//! in which it was taken, nothing arrives that was not queued, and nothing is stored twice by another side that knows deliveries.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base_world::Rng;
use base_world::sim::{PowerLoss, SimWorld, sweep};
use observe_source::SourceError;
use observe_wire::delivery::{Delivery, Mark, QueueId};
use observe_wire::otlp::Encoding;

use super::{FOLDER, append, ids, settings};
use crate::{Batch, Outcome, Queue, Step, Told, of_status};

#[derive(Default)]
struct Model {
    next_id: u32,
    queued: BTreeSet<u32>,
    /// Since the last sync of this life.
    appended: Vec<u32>,
    acknowledged: BTreeSet<u32>,
    /// As they were stored.
    arrived: Vec<u32>,
    /// How far each queue was stored; this outlives the sender.
    marks: BTreeMap<QueueId, Mark>,
    /// Stands for another side that knows no deliveries.
    forgetful: bool,
    refused: BTreeSet<u32>,
}

/// The other side takes it, puts it off, or finds in it what it never takes.
fn answer(model: &mut Model, batch: &Batch, delivery: Delivery, rng: &mut Rng) -> Option<Outcome> {
    if rng.chance(20) {
        return Some(of_status(503, "away".into(), None));
    }
    match model.marks.get(&delivery.queue) {
        Some(mark) if *mark == delivery.last => return Some(of_status(204, String::new(), None)),
        Some(mark) if delivery.first <= mark.through => return Some(Outcome::Stored(*mark)),
        _ => {}
    }
    let request = &ids(&batch.body)[..];
    if request.iter().any(|id| id % 13 == 0) {
        if request.len() == 1 {
            model.refused.extend(request);
        }
        return Some(of_status(400, "bad".into(), None));
    }
    model.arrived.extend(request);
    if !model.forgetful {
        model.marks.insert(delivery.queue, delivery.last);
    }
    // Taken, but the answer is lost.
    if rng.chance(10) { Some(of_status(502, "lost".into(), None)) } else { Some(of_status(204, String::new(), None)) }
}

fn step(sim: &SimWorld, queue: &mut Queue, model: &mut Model, rng: &mut Rng) -> Result<(), String> {
    let text = |error: observe_block::BlockError| error.to_string();
    match rng.below(10) {
        0..=3 => {
            for _ in 0..1 + rng.below(4) {
                model.next_id += 1;
                let encoding = if rng.chance(10) { Encoding::Json } else { Encoding::Protobuf };
                let tenant = if rng.chance(80) { "anonymous" } else { "other" };
                // What a crash interrupts may survive.
                model.queued.insert(model.next_id);
                let len = if rng.chance(3) { 90_000 } else { 8 + rng.index(900) };
                match append(queue, tenant, model.next_id, len, encoding) {
                    Ok(()) => model.appended.push(model.next_id),
                    Err(SourceError::Shed { .. }) => {}
                    Err(error) => return Err(error.to_string()),
                }
            }
            if rng.chance(70) {
                queue.sync_handle().run().map_err(text)?;
                model.acknowledged.extend(model.appended.drain(..));
            }
            Ok(())
        }
        4..=8 => {
            match queue.step().map_err(text)? {
                Step::Send(batch) => {
                    if let Some(outcome) = answer(model, &batch, queue.delivery(&batch), rng)
                        && queue.done(outcome) == Told::Renamed
                    {
                        return Err("a crash was taken for another history".to_owned());
                    }
                }
                Step::Wait(span) => sim.clock.advance_ms(span.as_millis() as u32 + 1),
                Step::Idle => {}
            }
            Ok(())
        }
        _ => queue.keep().map_err(text),
    }
}

fn reopen(sim: &SimWorld) -> Result<Queue, String> {
    let (queue, damage) =
        Queue::open(&sim.world(), Path::new(FOLDER), settings()).map_err(|error| error.to_string())?;
    if damage.is_empty() { Ok(queue) } else { Err(format!("a crash was taken for damage: {damage:?}")) }
}

fn run(seed: u64, ignore_sync: bool, forgetful: bool) -> Result<(), String> {
    let (sim, mut rng) = (SimWorld::new(seed), Rng::new(seed));
    let mut model = Model { forgetful, ..Model::default() };
    sim.disk.ignore_sync(ignore_sync);
    for _life in 0..5 {
        let mut queue = reopen(&sim)?;
        model.appended.clear();
        let at = sim.disk.operations() + 1 + rng.below(250);
        if rng.chance(75) {
            sim.disk.crash_at(at);
        } else {
            sim.disk.fail_at(at);
        }
        for number in 0..80 {
            match step(&sim, &mut queue, &mut model, &mut rng) {
                Ok(()) => {}
                Err(_) if sim.disk.has_crashed() || sim.disk.has_failed() => break,
                Err(why) => return Err(format!("step {number}: {why}")),
            }
        }
        sim.disk.reboot(match rng.below(3) {
            0 => PowerLoss::KeepAll,
            1 => PowerLoss::DropAll,
            _ => PowerLoss::Subset(rng.next_u64()),
        });
    }
    let mut queue = reopen(&sim)?;
    loop {
        match queue.step().map_err(|error| error.to_string())? {
            Step::Idle => break,
            Step::Wait(span) => sim.clock.advance_ms(span.as_millis() as u32 + 1),
            Step::Send(batch) => {
                let outcome = answer(&mut model, &batch, queue.delivery(&batch), &mut rng);
                if outcome.map(|outcome| queue.done(outcome)) == Some(Told::Renamed) {
                    return Err("a crash was taken for another history".to_owned());
                }
            }
        }
    }
    judge(&model)?;
    match queue.figures().waiting_bytes {
        0 => Ok(()),
        bytes => Err(format!("{bytes} bytes wait although nothing is left")),
    }
}

fn judge(model: &Model) -> Result<(), String> {
    let arrived: BTreeSet<u32> = model.arrived.iter().copied().collect();
    let lost: Vec<_> = model.acknowledged.iter().filter(|id| !arrived.contains(id) && *id % 13 != 0).collect();
    if !lost.is_empty() {
        return Err(format!("acknowledged and lost: {lost:?}"));
    }
    if let Some(id) = model.acknowledged.iter().find(|id| *id % 13 == 0 && !model.refused.contains(id)) {
        return Err(format!("{id} was neither taken nor refused"));
    }
    if let Some(strange) = arrived.iter().find(|id| !model.queued.contains(id)) {
        return Err(format!("{strange} arrived and was never queued"));
    }
    // In order, and each once.
    match model.arrived.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => Err(format!("{} was stored behind {}", pair[1], pair[0])),
        None => Ok(()),
    }
}

#[test]
fn what_was_acknowledged_is_stored_once_whatever_happens() {
    sweep(300, |seed| run(seed, false, false)).unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn the_sweep_sees_what_is_stored_twice_by_one_that_knows_no_deliveries() {
    let failures = (0..40).filter(|seed| run(*seed, false, true).is_err()).count();
    assert!(failures > 20, "only {failures} of 40 seeds noticed");
}

#[test]
fn the_sweep_fails_when_syncs_do_nothing() {
    let failures = (0..40).filter(|seed| run(*seed, true, false).is_err()).count();
    assert!(failures > 20, "only {failures} of 40 seeds noticed that nothing is synced");
}
