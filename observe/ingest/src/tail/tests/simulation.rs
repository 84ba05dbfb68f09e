//! Containers that log, runtimes that rotate, cut and restart, a sink that is slow, a process that is stopped or dies at any operation: by seeds.
//! Without a death each line comes exactly once, with deaths at least once; its container's order is kept.

use std::path::Path;
use std::sync::Arc;

use base_world::sim::{PowerLoss, SimWorld};
use base_world::{Disk, Rng};
use observe_source::Appended;

use super::super::{Batch, Lookup, MultilineRule, NoMetadata, PodFacts, PodMetadata, PodRef, Tail, TailSettings};
use super::writer::{Writer, number};
use super::{LOGS, append, cri, open, small};

const STEPS: usize = 80;
/// Four thousand of each passed when this was written.
const SEEDS: std::ops::Range<u64> = 0..300;

struct Run {
    rng: Rng,
    sim: SimWorld,
    settings: TailSettings,
    pods: Arc<dyn PodMetadata>,
    writers: Vec<Writer>,
    tail: Option<Tail>,
    held: Vec<Batch>,
    deaths: bool,
    /// It is never stopped either.
    lives: bool,
    died: usize,
    step: usize,
    /// The step of the last start.
    started: usize,
}

/// Known only after the first questions.
struct Late(parking_lot::Mutex<u32>);

impl PodMetadata for Late {
    fn pod(&self, _: &PodRef) -> Lookup {
        let mut left = self.0.lock();
        *left = left.saturating_sub(1);
        if *left == 0 { Lookup::Known(Arc::new(PodFacts::default())) } else { Lookup::NotYet }
    }
}

impl Run {
    fn new(seed: u64, deaths: bool, records: bool) -> Run {
        let mut rng = Rng::new(seed);
        let sim = SimWorld::new(seed);
        let writers = (0..1 + rng.index(3)).map(|number| Writer::new(&sim, number, records)).collect();
        let mut settings = TailSettings { partial_wait_ms: 600_000, ..small() };
        if records {
            // None ends by time: what is written is what decides.
            let rule = MultilineRule { namespace: None, pod: None, container: None, start: "^line ".into() };
            settings =
                TailSettings { multiline: vec![rule], multiline_wait_ms: 600_000, line_max_bytes: 1000, ..settings };
        }
        if rng.chance(30) {
            settings.open_files_max = 1 + rng.index(3);
        }
        let late = u32::try_from(rng.index(30)).unwrap_or(0);
        let pods: Arc<dyn PodMetadata> =
            if rng.chance(50) { Arc::new(NoMetadata) } else { Arc::new(Late(parking_lot::Mutex::new(late))) };
        let lives = !deaths && rng.chance(50);
        Run {
            rng,
            sim,
            settings,
            pods,
            writers,
            tail: None,
            held: Vec::new(),
            deaths,
            lives,
            died: 0,
            step: 0,
            started: 0,
        }
    }

    /// Whatever the tail does may be its last operation.
    fn alive<T>(&mut self, act: impl FnOnce(&mut Run) -> T) -> Option<T> {
        if self.deaths && self.rng.chance(8) {
            self.sim.disk.crash_at(self.sim.disk.operations() + 1 + self.rng.below(40));
        }
        let acted = act(self);
        if !self.sim.disk.has_crashed() {
            self.sim.disk.crash_at(u64::MAX);
            return Some(acted);
        }
        self.died += 1;
        (self.tail, self.started) = (None, self.step);
        // What was taken and not acknowledged may have become durable, or not.
        for batch in std::mem::take(&mut self.held) {
            if self.rng.chance(50) {
                break;
            }
            self.arrived(&batch);
        }
        self.sim.disk.reboot(PowerLoss::KeepAll);
        for writer in &mut self.writers {
            writer.file = self.sim.disk.open_write(Path::new(&writer.current())).expect("its file");
        }
        None
    }

    fn arrived(&mut self, batch: &Batch) {
        for entry in &batch.write().entries {
            let labels = batch.write().streams.get(entry.stream);
            let (pod, container) = (labels.get("k8s_pod_name"), labels.get("k8s_container_name"));
            let folder = format!("{LOGS}/ns_{}_uid/{}", pod.expect("a pod"), container.expect("a container"));
            let writer = self.writers.iter_mut().find(|writer| writer.folder == folder).expect("one of ours");
            let stderr = entry.metadata.contains(&("log_iostream".to_owned(), "stderr".to_owned()));
            writer.came[usize::from(writer.records && stderr)].push(entry.line.clone());
        }
    }

    fn poll(&mut self) {
        let polled = self.alive(|run| {
            if run.tail.is_none() {
                let world = run.sim.world();
                run.tail = Tail::open(world, run.settings.clone(), Path::new(super::STATE), run.pods.clone()).ok();
            }
            run.tail.as_mut().and_then(Tail::poll)
        });
        self.held.extend(polled.flatten());
    }

    fn acknowledge(&mut self) {
        if self.held.is_empty() {
            return;
        }
        // Arrivals in order, acknowledgements in any: what the sink makes of order is its own affair.
        let batch = self.held.remove(0);
        self.arrived(&batch);
        self.alive(|run| run.tail.iter_mut().for_each(|tail| tail.acknowledge(batch_of(&batch), &Appended::default())));
    }

    fn stop(&mut self) {
        while !self.held.is_empty() {
            self.acknowledge();
        }
        self.alive(|run| run.tail.take().map(Tail::close));
        self.started = self.step;
    }

    fn write(&mut self) {
        let at = self.rng.index(self.writers.len());
        let (step, started) = (self.step, self.started);
        let writer = &mut self.writers[at];
        let disk = &self.sim.disk;
        match self.rng.below(100) {
            0..60 => (0..1 + self.rng.index(8)).for_each(|_| writer.log(&mut self.rng)),
            // As the kubelet rotates: a runtime goes on for a moment, then opens anew.
            60..75 => {
                writer.finish_half();
                let (from, to) = (writer.current(), writer.stamped());
                disk.rename(Path::new(&from), Path::new(&to)).expect("rename");
                (0..self.rng.index(3)).for_each(|_| writer.log(&mut self.rng));
                writer.finish_half();
                writer.rotated.push((to, writer.begun, step));
                writer.file = append(disk, &from, b"");
            }
            75..82 => {
                writer.finish_half();
                let (from, to) = (writer.current(), writer.stamped());
                let bytes = disk.read(Path::new(&from), 1 << 20).expect("read");
                append(disk, &to, &bytes);
                writer.rotated.push((to, writer.begun, step));
                let looks = self.rng.index(3);
                for _ in 0..looks {
                    self.sim.clock.advance_ms(300);
                    self.poll();
                }
                self.writers[at].file.set_len(0).expect("cut");
            }
            82..88 => {
                writer.finish();
                // Another run does not go on with what this one began.
                for slot in 0..2 {
                    let open = writer.open[slot].take();
                    writer.ended[slot].extend(open);
                }
                writer.restart += 1;
                writer.file = append(disk, &writer.current(), b"");
            }
            // Cut for good: what was not read by then nobody can have.
            88..93 => {
                let came = |slot: usize| {
                    let (came, ended) = (&writer.came[slot], &writer.ended[slot]);
                    came.len() >= ended.len() && ended.iter().all(|line| came.contains(line))
                };
                let everything = came(0) && came(1) && writer.open.iter().all(Option::is_none);
                // And what was told to nobody but a process that died is not known to have been read.
                if everything && !self.deaths && writer.half.is_none() && writer.parts.iter().all(Option::is_none) {
                    writer.file.set_len(0).expect("cut");
                }
            }
            // The oldest is packed away. A file that nobody had the time to see is nobody's.
            _ => {
                let Some((name, lines, since)) = writer.rotated.first().cloned() else { return };
                let numbers: std::collections::BTreeSet<usize> =
                    writer.came.iter().flatten().filter_map(|line| number(line)).collect();
                let came = (1..=lines).all(|line| numbers.contains(&line));
                // Still read by its handle, as long as the process lives.
                let open = |tail: &Tail| {
                    let files = tail.containers().values().flat_map(|container| &container.files);
                    files
                        .into_iter()
                        .any(|file| name.ends_with(&format!("/{}", file.file_name)) && file.handle.is_some())
                };
                let open = self.tail.as_ref().is_some_and(open) && self.settings.open_files_max > 100;
                let seen = open && since.max(started) + 30 < step && self.lives;
                if came || seen {
                    writer.rotated.remove(0);
                    disk.remove(Path::new(&name)).expect("remove");
                    append(disk, &format!("{name}.gz"), b"packed");
                }
            }
        }
    }

    fn run(mut self, seed: u64) -> usize {
        for step in 0..STEPS {
            self.step = step;
            self.sim.clock.advance_ms(20 + u32::try_from(self.rng.below(400)).unwrap_or(0));
            match self.rng.below(100) {
                0..45 => self.write(),
                45..75 => self.poll(),
                75..97 => self.acknowledge(),
                _ if self.lives => {}
                _ => self.stop(),
            }
        }
        self.deaths = false;
        for writer in &mut self.writers {
            writer.finish();
            if writer.records {
                // Ends the records before it, and stays open itself.
                for stream in ["stdout", "stderr"] {
                    writer.raw(&cri(&format!("{stream} F"), "line 1000000"));
                }
                for slot in 0..2 {
                    let open = writer.open[slot].take();
                    writer.ended[slot].extend(open);
                }
            }
        }
        for _ in 0..120 {
            self.sim.clock.advance_ms(250);
            self.poll();
            while !self.held.is_empty() {
                self.acknowledge();
                self.poll();
            }
        }
        for (writer, slot) in self.writers.iter().flat_map(|writer| [(writer, 0), (writer, 1)]) {
            let (mut came, ended) = (writer.came[slot].clone(), &writer.ended[slot]);
            if self.died > 0 {
                let mut seen = std::collections::BTreeSet::new();
                // The end of a line may come again alone: its beginning came before the death, and was removed since.
                came.retain(|line| number(line).is_some() && seen.insert(line.clone()));
            }
            let differs = came.iter().zip(ended).position(|(a, b)| a != b).unwrap_or(came.len().min(ended.len()));
            let around =
                |lines: &[String]| lines[differs.min(lines.len())..].iter().take(3).cloned().collect::<Vec<_>>();
            assert!(
                came == *ended,
                "seed {seed}, {} deaths, {} {slot}: at {differs} came {:?} of {}, written {:?} of {}; {:?}; files {:?}",
                self.died,
                writer.folder,
                around(&came),
                came.len(),
                around(ended),
                ended.len(),
                self.tail.as_ref().map(Tail::stats),
                self.sim.disk.files(),
            );
        }
        self.died
    }
}

/// A batch is given back once; the run keeps it to look at.
fn batch_of(batch: &Batch) -> Batch {
    Batch { id: batch.id, write: batch.write.clone(), bytes: batch.bytes }
}

#[test]
fn each_line_comes_exactly_once_whatever_happens_to_the_files() {
    for seed in SEEDS {
        Run::new(seed, false, false).run(seed);
    }
}

#[test]
fn no_line_is_lost_when_the_process_dies_at_any_operation() {
    let died: usize = SEEDS.map(|seed| Run::new(seed, true, false).run(seed)).sum();
    assert!(died > 300, "the seeds must kill: {died}");
}

#[test]
fn each_record_of_several_lines_comes_exactly_once() {
    for seed in SEEDS.take(150) {
        Run::new(seed, false, true).run(seed);
    }
}

#[test]
fn no_record_is_lost_or_halved_when_the_process_dies() {
    let died: usize = SEEDS.take(150).map(|seed| Run::new(seed, true, true).run(seed)).sum();
    assert!(died > 150, "the seeds must kill: {died}");
}

#[test]
fn a_tail_opens_where_the_last_one_died() {
    let sim = SimWorld::new(1);
    let (world, settings) = (sim.world(), small());
    drop(open(&world, &settings, Arc::new(NoMetadata)));
    open(&world, &settings, Arc::new(NoMetadata)).close().expect("closed");
}
