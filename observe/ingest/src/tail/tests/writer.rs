//! A container that logs, in lines of every kind: parts, halves, and records of several lines; and what of it has come.

use std::path::Path;
use std::sync::Arc;

use base_world::sim::SimWorld;
use base_world::{Disk, File, Rng};

use super::{LOGS, append, cri};

pub(super) struct Writer {
    pub(super) folder: String,
    pub(super) restart: u32,
    pub(super) file: Arc<dyn File>,
    pub(super) stamp: u32,
    /// Rotated names that are there, with the number of lines that had been begun when they were rotated, and the step.
    pub(super) rotated: Vec<(String, usize, usize)>,
    /// Texts of ended lines, in order; of records the order of each stream.
    pub(super) ended: [Vec<String>; 2],
    /// Lines go on with the one before them.
    pub(super) records: bool,
    /// The record of this stream that no other has followed.
    pub(super) open: [Option<String>; 2],
    /// What has to follow before anything else may be written: the second half of a raw line.
    pub(super) half: Option<(String, Option<(usize, String)>)>,
    /// A line of this stream of which parts are written.
    pub(super) parts: [Option<String>; 2],
    pub(super) begun: usize,
    pub(super) came: [Vec<String>; 2],
}

impl Writer {
    pub(super) fn new(sim: &SimWorld, number: usize, records: bool) -> Writer {
        let folder = format!("{LOGS}/ns_pod-{}_uid/c{number}", number / 2);
        sim.disk.create_folder(Path::new(&folder)).expect("folder");
        let file = append(&sim.disk, &format!("{folder}/0.log"), b"");
        Writer {
            folder,
            restart: 0,
            file,
            stamp: 0,
            rotated: Vec::new(),
            ended: [Vec::new(), Vec::new()],
            records,
            open: [None, None],
            half: None,
            parts: [None, None],
            begun: 0,
            came: [Vec::new(), Vec::new()],
        }
    }

    pub(super) fn current(&self) -> String {
        format!("{}/{}.log", self.folder, self.restart)
    }

    pub(super) fn stamped(&mut self) -> String {
        self.stamp += 1;
        format!("{}.20260101-{:06}", self.current(), self.stamp)
    }

    pub(super) fn raw(&mut self, bytes: &str) {
        self.file.write_at(self.file.len().expect("length"), bytes.as_bytes()).expect("write");
    }

    pub(super) fn finish_half(&mut self) {
        if let Some((rest, text)) = self.half.take() {
            self.raw(&rest);
            text.into_iter().for_each(|(slot, text)| self.end(slot, text));
        }
    }

    /// A line is whole.
    pub(super) fn end(&mut self, slot: usize, text: String) {
        if !self.records {
            return self.ended[0].push(text);
        }
        match &mut self.open[slot] {
            Some(open) if number(&text).is_none() => *open = format!("{open}\n{text}"),
            open => {
                let before = open.replace(text);
                self.ended[slot].extend(before);
            }
        }
    }

    /// One raw line more.
    pub(super) fn log(&mut self, rng: &mut Rng) {
        self.finish_half();
        let slot = rng.index(2);
        let stream = ["stdout", "stderr"][slot];
        let begun = self.parts[slot].take();
        let part = if begun.is_some() {
            format!("+{}", "y".repeat(rng.index(20)))
        } else if self.open[slot].as_ref().is_some_and(|open| open.len() < 400) && rng.chance(50) {
            format!("  more {}", "z".repeat(rng.index(40)))
        } else {
            self.begun += 1;
            format!("line {} {}", self.begun, "x".repeat(rng.index(60)))
        };
        let text = begun.unwrap_or_default() + &part;
        let whole = text.len() > 150 || rng.chance(70);
        let raw = cri(&format!("{stream} {}", if whole { "F" } else { "P" }), &part);
        let ended = if whole {
            Some((slot, text))
        } else {
            self.parts[slot] = Some(text);
            None
        };
        if rng.chance(20) {
            let at = 1 + rng.index(raw.len() - 1);
            self.raw(&raw[..at]);
            self.half = Some((raw[at..].to_owned(), ended));
        } else {
            self.raw(&raw);
            ended.into_iter().for_each(|(slot, text)| self.end(slot, text));
        }
    }

    /// Ends every line that was begun.
    pub(super) fn finish(&mut self) {
        self.finish_half();
        for slot in 0..2 {
            if let Some(text) = self.parts[slot].take() {
                self.raw(&cri(&format!("{} F", ["stdout", "stderr"][slot]), "end"));
                self.end(slot, text + "end");
            }
        }
    }
}

/// `7` of `line 7 xxx`.
pub(super) fn number(line: &str) -> Option<usize> {
    line.strip_prefix("line ")?.split(' ').next()?.parse().ok()
}
