//! A record of several lines while it grows: its text, and where in which file its lines began, so that no position moves past it. Reads nothing.

use super::batch::{Oddities, Whole};
use super::container::{Container, Reading};
use super::multiline::{Judged, State};

/// More lines than this are another record: a pattern that matches nothing must not keep everything.
const LINES_MAX: usize = 1000;

pub(super) struct Record {
    whole: Whole,
    state: State,
    lines: usize,
    /// As [`super::join::Join`] has it.
    origins: Vec<(u64, u64)>,
    /// When its last line was read, on the monotonic clock.
    last_ns: u64,
}

impl Record {
    /// Where it begins in the file.
    pub(super) fn origin(&self, file: u64) -> Option<u64> {
        self.origins.iter().find(|(own, _)| *own == file).map(|(_, offset)| *offset)
    }

    fn has_room(&self, line: &[u8], bytes_max: usize) -> bool {
        self.lines < LINES_MAX && self.whole.text.len() + 1 + line.len() <= bytes_max
    }
}

impl Container {
    /// A line that is whole, and where its parts began: alone, or with those before and behind it.
    pub(super) fn record(&mut self, slot: usize, origins: &[(u64, u64)], whole: Whole, reading: &mut Reading<'_>) {
        let open = self.records[slot].as_ref().map(|record| record.state);
        // What was cut is over every limit by itself, and half a line says nothing of its neighbours.
        let judged = match whole.odd == Oddities::default() {
            true => self.rule.judge(open, &whole.text),
            false => Judged::Alone,
        };
        let state = match judged {
            Judged::Alone => {
                self.end_record(slot, reading);
                return self.put(whole, reading);
            }
            Judged::GoesOn(state) => {
                let bytes_max = reading.settings.line_max_bytes;
                if let Some(record) = self.records[slot].as_mut().filter(|open| open.has_room(&whole.text, bytes_max)) {
                    record.whole.text.push(b'\n');
                    record.whole.text.extend_from_slice(&whole.text);
                    (record.state, record.last_ns) = (state, reading.now_ns);
                    record.lines += 1;
                    for origin in origins {
                        if record.origin(origin.0).is_none() {
                            record.origins.push(*origin);
                        }
                    }
                    return;
                }
                state
            }
            Judged::Begins(state) => state,
        };
        self.end_record(slot, reading);
        let record = Record { whole, state, lines: 1, origins: origins.to_vec(), last_ns: reading.now_ns };
        self.records[slot] = Some(record);
    }

    pub(super) fn end_record(&mut self, slot: usize, reading: &mut Reading<'_>) {
        if let Some(record) = self.records[slot].take() {
            reading.stats.lines_joined += record.lines as u64 - 1;
            self.put(record.whole, reading);
        }
    }

    /// Sends what no line has followed for so long, though all there is was read.
    pub(super) fn end_old_records(&mut self, reading: &mut Reading<'_>) {
        let files = self.files.iter().filter(|file| file.mirror_of.is_none());
        let read = files
            .fold(!self.look_first && self.unsettled.is_empty(), |read, file| read && file.is_done() && !file.check);
        let settings = reading.settings;
        // What is there and cannot be read is not waited for without end.
        let wait_ms = if read { settings.multiline_wait_ms } else { settings.partial_wait_ms };
        for slot in 0..self.records.len() {
            let old = |record: &Record| reading.now_ns.saturating_sub(record.last_ns) > u64::from(wait_ms) * 1_000_000;
            // The rest of its next line may be under way.
            if self.joins[slot].is_none() && self.records[slot].as_ref().is_some_and(old) {
                self.end_record(slot, reading);
            }
        }
    }

    /// Records of a run of the container that is over.
    pub(super) fn end_records_of_other_runs(&mut self, restart: u32, reading: &mut Reading<'_>) {
        for slot in 0..self.records.len() {
            if self.records[slot].as_ref().is_some_and(|record| record.whole.restart < restart) {
                self.end_record(slot, reading);
            }
        }
    }

    pub(super) fn put(&mut self, whole: Whole, reading: &mut Reading<'_>) {
        reading.stats.lines_cut += u64::from(whole.odd.whole_bytes.is_some());
        self.push(whole, reading.builder);
    }
}
