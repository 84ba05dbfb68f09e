//! The log against a model, under crashes at drawn operations: what was synced is there, in order, bit for bit; nothing
//! else than what was appended ever appears; no crash looks like damage.

use std::collections::BTreeMap;
use std::path::Path;

use base_world::Rng;
use base_world::sim::{PowerLoss, SimWorld, sweep};

use super::{DIR, frame, settings};
use crate::{BlockError, Manifest, Wal};

const FOLDER: &str = "/data";

#[derive(Default)]
struct Model {
    appended: BTreeMap<u64, Vec<u8>>,
    acknowledged: u64,
    covered: u64,
}

/// Runs until the ordered crash; every error but the crash is a finding.
fn live(
    sim: &SimWorld,
    wal: &mut Wal,
    manifest: &mut Manifest,
    model: &mut Model,
    rng: &mut Rng,
) -> Result<(), String> {
    for step in 0..60u64 {
        let done: Result<(), BlockError> = match rng.below(10) {
            0..=5 => {
                let len = if rng.chance(3) { 5000 } else { 1 + rng.index(400) };
                let payload: Vec<u8> = (0..len).map(|_| rng.next_u64() as u8).collect();
                // What a crash interrupts may survive, under the next number.
                model.appended.insert(wal.last_lsn() + 1, payload.clone());
                wal.append(&mut frame(&payload)).map(|_| ())
            }
            6..=8 => {
                let handle = wal.sync_handle();
                handle.run().map(|durable| model.acknowledged = model.acknowledged.max(durable))
            }
            _ => {
                let covered = model.acknowledged.saturating_sub(rng.below(3)).max(manifest.wal_covered);
                manifest.wal_covered = covered;
                let committed = manifest.commit(&*sim.world().disk, Path::new(FOLDER));
                committed.and_then(|()| {
                    model.covered = covered;
                    wal.truncate_through(covered)
                })
            }
        };
        match done {
            Ok(()) => {}
            Err(_) if sim.disk.has_crashed() || sim.disk.has_failed() => return Ok(()),
            Err(e) => return Err(format!("step {step}: {e}")),
        }
    }
    Ok(())
}

fn reopen(sim: &SimWorld, model: &mut Model) -> Result<(Wal, Manifest), String> {
    let world = sim.world();
    world.disk.create_folder(Path::new(FOLDER)).map_err(|e| e.to_string())?;
    let (manifest, damage) = Manifest::load(&*world.disk, Path::new(FOLDER)).map_err(|e| e.to_string())?;
    if !damage.is_empty() {
        return Err(format!("the manifest is said to be damaged: {damage:?}"));
    }
    let manifest = manifest.unwrap_or_default();
    if manifest.wal_covered < model.covered {
        return Err(format!("manifest covers {}, {} was committed", manifest.wal_covered, model.covered));
    }
    model.covered = manifest.wal_covered;
    let opened = Wal::open(&world, Path::new(DIR), settings(), manifest.wal_covered).map_err(|e| e.to_string())?;
    let (wal, mut replay) = opened;
    if !replay.report.damage.is_empty() {
        return Err(format!("a crash was taken for damage: {:?}", replay.report.damage));
    }
    let mut next = manifest.wal_covered + 1;
    for frame in replay.by_ref() {
        let frame = frame.map_err(|e| e.to_string())?;
        let records = frame.records().map_err(|e| e.to_string())?;
        let payload = records.first().map(|r| r.payload.to_vec());
        if frame.seq != next {
            return Err(format!("frame {} came where {next} was due", frame.seq));
        }
        if payload.as_ref() != model.appended.get(&frame.seq) {
            return Err(format!("frame {} is not what was appended", frame.seq));
        }
        next += 1;
    }
    if next <= model.acknowledged {
        return Err(format!("replay ends before {next}, {} was acknowledged", model.acknowledged));
    }
    // What was not replayed is gone for good: its numbers are given again.
    model.appended.split_off(&next.max(wal.last_lsn() + 1));
    model.acknowledged = wal.durable_lsn();
    Ok((wal, manifest))
}

/// A crash, or one failing operation, somewhere in the next `within`.
fn order_fault(sim: &SimWorld, rng: &mut Rng, within: u64) {
    let at = sim.disk.operations() + 1 + rng.below(within);
    if rng.chance(75) { sim.disk.crash_at(at) } else { sim.disk.fail_at(at) }
}

fn run(seed: u64, ignore_sync: bool) -> Result<(), String> {
    let (sim, mut rng, mut model) = (SimWorld::new(seed), Rng::new(seed), Model::default());
    sim.disk.ignore_sync(ignore_sync);
    for _life in 0..6 {
        let (mut wal, mut manifest) = reopen(&sim, &mut model)?;
        order_fault(&sim, &mut rng, 120);
        live(&sim, &mut wal, &mut manifest, &mut model, &mut rng)?;
        // A crash while opening must do no harm either.
        let loss = |rng: &mut Rng| match rng.below(3) {
            0 => PowerLoss::KeepAll,
            1 => PowerLoss::DropAll,
            _ => PowerLoss::Subset(rng.next_u64()),
        };
        sim.disk.reboot(loss(&mut rng));
        if rng.chance(50) {
            order_fault(&sim, &mut rng, 12);
            let opened = Wal::open(&sim.world(), Path::new(DIR), settings(), model.covered);
            drop(opened);
            sim.disk.reboot(loss(&mut rng));
        }
    }
    reopen(&sim, &mut model).map(|_| ())
}

#[test]
fn acknowledged_frames_survive_every_crash() {
    sweep(600, |seed| run(seed, false)).unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn the_sweep_fails_when_syncs_do_nothing() {
    let failures = (0..40).filter(|seed| run(*seed, true).is_err()).count();
    assert!(failures > 20, "only {failures} of 40 seeds noticed that nothing is synced");
}
