//! From the bytes of a container's files to its lines: raw lines, parts joined, ends that never came. Which file is read when is decided in
//! `container.rs`.

use super::batch::{Oddities, Whole};
use super::container::{Container, Reading, Turn};
use super::file::Long;
use super::join::Join;
use super::line::{self, Stream};

/// Of a line that does not fit the buffer, what may stand before its text.
const BEFORE_TEXT_BYTES: usize = 256;

impl Container {
    /// Takes the complete lines out of what was read at the file's `read`.
    pub(super) fn lines(&mut self, at: usize, bytes: &[u8], full: bool, reading: &mut Reading<'_>) -> Turn {
        let base = self.files[at].progress.read;
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            let raw = &bytes[start..end];
            match self.files[at].progress.long.take() {
                Some(long) => {
                    let whole = base + end as u64 - long.start;
                    let cut = whole.saturating_sub(long.head.len() as u64);
                    self.line(at, long.start, &long.head, cut, reading);
                }
                None => self.line(at, base + start as u64, raw, 0, reading),
            }
            start = end + 1;
            self.files[at].progress.read = base + start as u64;
            if reading.builder.is_full() {
                reading.builder.raw_bytes += start as u64;
                // The end of the file may have been in the buffer, and nothing else would say that there is more.
                self.files[at].check = true;
                return Turn::More;
            }
        }
        let file = &mut self.files[at];
        let rest = &bytes[start..];
        let progress = &mut file.progress;
        if progress.long.is_some() {
            progress.read += rest.len() as u64;
            start = bytes.len();
        } else if full && start == 0 {
            let head = &rest[..rest.len().min(reading.settings.line_max_bytes + BEFORE_TEXT_BYTES)];
            progress.long = Some(Long { start: base, head: head.to_vec() });
            progress.read += rest.len() as u64;
            start = bytes.len();
        }
        reading.builder.raw_bytes += start as u64;
        if full { Turn::More } else { Turn::End }
    }

    /// One raw line that begins at `offset`; `cut_bytes` of its end are lost already.
    fn line(&mut self, at: usize, offset: u64, raw: &[u8], cut_bytes: u64, reading: &mut Reading<'_>) {
        let line = line::parse(raw);
        let file = &mut self.files[at];
        let (restart, max) = (file.name.restart, reading.settings.line_max_bytes);
        let before = file.progress.replay.filter(|point| offset < point.offset);
        if let Some(point) = before {
            let from =
                line.said.and_then(|(_, stream)| if stream == Stream::Stdout { point.stdout } else { point.stderr });
            // Everything else was handed out before.
            if from.is_none_or(|from| offset < from) {
                return;
            }
        }
        let Some((time_ns, stream)) = line.said else {
            let time_ns = file.progress.time_ns.unwrap_or(reading.wall_ns);
            let odd = Oddities { malformed: true, ..Oddities::default() };
            let whole = Whole { time_ns, stream: None, restart, text: line.text.into_owned(), odd };
            reading.stats.lines_malformed += 1;
            return self.put(cut(whole, cut_bytes, max), reading);
        };
        file.progress.time_ns = Some(time_ns);
        let number = usize::from(stream == Stream::Stderr);
        let slot = &mut self.joins[number];
        if line.partial || slot.is_some() {
            let join = slot.get_or_insert_with(|| Join::new(restart, stream, time_ns, reading.now_ns));
            join.push(file.progress.id, offset, &line.text, cut_bytes, max);
            if !line.partial
                && let Some(mut join) = slot.take()
            {
                let origins = std::mem::take(&mut join.origins);
                self.record(number, &origins, join.finish(false), reading);
            }
            return;
        }
        let (odd, origin) = (Oddities::default(), (file.progress.id, offset));
        let whole = Whole { time_ns, stream: Some(stream), restart, text: line.text.into_owned(), odd };
        self.record(number, &[origin], cut(whole, cut_bytes, max), reading);
    }

    /// A line that another run of the container began is not ended by this one.
    pub(super) fn flush_other_runs(&mut self, restart: u32, reading: &mut Reading<'_>) {
        self.end_records_of_other_runs(restart, reading);
        for slot in 0..self.joins.len() {
            if self.joins[slot].as_ref().is_some_and(|join| join.restart < restart)
                && let Some(join) = self.joins[slot].take()
            {
                self.put(join.finish(true), reading);
            }
        }
    }

    /// Sends what waited too long for its rest.
    pub(super) fn flush_old(&mut self, reading: &mut Reading<'_>) {
        let max_ns = u64::from(reading.settings.partial_wait_ms) * 1_000_000;
        for slot in 0..self.joins.len() {
            let old = |join: &Join| reading.now_ns.saturating_sub(join.since_ns) > max_ns;
            if self.joins[slot].as_ref().is_some_and(old)
                && let Some(join) = self.joins[slot].take()
            {
                self.end_record(slot, reading);
                self.put(join.finish(true), reading);
            }
        }
    }

    /// A file that nobody writes into any more may end without a newline: a writer was killed in the middle. What is there is a line too.
    pub(super) fn finish(&mut self, at: usize, reading: &mut Reading<'_>) {
        let file = &self.files[at];
        let later = self.files[at + 1..].iter().any(|later| later.mirror_of.is_none());
        let quiet_ns = reading.now_ns.saturating_sub(file.grown_ns);
        let over = (later || file.missing > 1) && quiet_ns > u64::from(reading.settings.partial_wait_ms) * 1_000_000;
        if !over || file.is_done() {
            return;
        }
        let Some(handle) = file.handle.clone() else { return };
        let (start, end) = (file.progress.line_start(), file.seen_len);
        let raw = match self.files[at].progress.long.take() {
            Some(long) => long.head,
            None => {
                let mut raw = vec![0; usize::try_from(end - start).unwrap_or(0)];
                match handle.read_at(start, &mut raw) {
                    Ok(got) => raw.truncate(got),
                    Err(error) => return reading.stats.fail(error),
                }
                raw
            }
        };
        let cut_bytes = (end - start).saturating_sub(raw.len() as u64);
        self.files[at].progress.read = end;
        reading.builder.raw_bytes += end - start;
        self.line(at, start, &raw, cut_bytes, reading);
    }
}

/// What is over the limit is cut off.
fn cut(mut whole: Whole, cut_bytes: u64, max: usize) -> Whole {
    if cut_bytes > 0 || whole.text.len() > max {
        whole.odd.whole_bytes = Some(whole.text.len() as u64 + cut_bytes);
        whole.text.truncate(max);
    }
    whole
}
