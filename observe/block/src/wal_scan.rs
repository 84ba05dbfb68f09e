//! Reading a log folder back: which frames are there, where the torn tail is cut, what is missing.
//!
//! The rule that makes it simple: every open starts a new file whose header states the first sequence number it will
//! hold. So the bytes of an older file from that number on are dead, whatever they look like, and a gap in the sequence
//! is damage, while a broken end without a gap is only the write that a crash cut short.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base_world::{Disk, File};

use crate::codec::{self, Reader};
use crate::error::{BlockError, Damage};
use crate::frame::{FRAME_HEADER_BYTES, Frame, frame_crc};

pub(crate) const FILE_HEADER_BYTES: usize = 32;
const MAGIC: &[u8; 8] = b"APMWAL\r\n";
const VERSION: u32 = 1;

/// What opening a log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalReport {
    /// Frames that will be replayed.
    pub frames: u64,
    pub bytes: u64,
    /// Bytes of a last write that a crash cut short; never acknowledged, dropped.
    pub torn_bytes: u64,
    /// Frames that were in the log and cannot be read.
    pub damage: Vec<Damage>,
}

/// One file of the log, as scanned.
pub(crate) struct Scanned {
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn File>,
    pub(crate) file_bytes: u64,
    /// The sequence number stated in a valid header.
    pub(crate) states_first: Option<u64>,
    /// First and last sequence number of the valid frames, and where they end.
    pub(crate) range: Option<(u64, u64)>,
    pub(crate) end: usize,
    /// Bytes after the end look like a frame that was begun.
    pub(crate) torn_bytes: u64,
    pub(crate) damaged: bool,
}

pub(crate) fn file_header(number: u64, first_seq: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(FILE_HEADER_BYTES);
    header.extend_from_slice(MAGIC);
    codec::put_u32(&mut header, VERSION);
    codec::put_u64(&mut header, number);
    codec::put_u64(&mut header, first_seq);
    let crc = crc32c::crc32c(&header);
    codec::put_u32(&mut header, crc);
    header
}

enum Header {
    States {
        first: u64,
    },
    /// Valid, but of another number: a crash came while the file was being recycled. Its frames had been truncated.
    OfAnother,
    Unreadable,
}

fn read_header(path: &Path, number: u64, bytes: &[u8]) -> Result<Header, BlockError> {
    let parse = || {
        let mut reader = Reader::new(bytes);
        let magic = reader.take(8, "magic").ok()?;
        let (version, stated) = (reader.u32("version").ok()?, reader.u64("number").ok()?);
        let first = reader.u64("first").ok()?;
        let crc = reader.u32("crc").ok()?;
        let valid = magic == MAGIC && bytes.get(..FILE_HEADER_BYTES - 4).map(crc32c::crc32c) == Some(crc);
        valid.then_some((version, stated, first))
    };
    match parse() {
        Some((version, _, _)) if version > VERSION => {
            let path = path.to_path_buf();
            Err(BlockError::Version { path, what: "write-ahead log", found: version, known: VERSION })
        }
        Some((_, stated, first)) if stated == number => Ok(Header::States { first }),
        Some(_) => Ok(Header::OfAnother),
        None => Ok(Header::Unreadable),
    }
}

/// The frame at `at`: its sequence number and the range of its records.
fn frame_at(bytes: &[u8], at: usize, number: u64, expect: Option<u64>) -> Option<(u64, std::ops::Range<usize>)> {
    let mut reader = Reader::new(bytes.get(at..)?);
    let (len, crc, seq) = (reader.u32("len").ok()?, reader.u32("crc").ok()?, reader.u64("seq").ok()?);
    if len == 0 || expect.is_some_and(|expect| expect != seq) {
        return None;
    }
    let records = reader.take(usize::try_from(len).ok()?, "records").ok()?;
    let start = at + FRAME_HEADER_BYTES;
    (frame_crc(number, len, seq, records) == crc).then_some((seq, start..start + records.len()))
}

pub(crate) fn scan_file(disk: &dyn Disk, path: PathBuf, number: u64) -> Result<Scanned, BlockError> {
    let file = disk.open_write(&path)?;
    let bytes = read_all(&*file)?;
    let header = read_header(&path, number, &bytes)?;
    let states_first = if let Header::States { first } = header { Some(first) } else { None };
    let bytes = if matches!(header, Header::OfAnother) { Vec::new() } else { bytes };
    let (mut at, mut range) = (FILE_HEADER_BYTES, None);
    // Without a valid header the frames still prove themselves: their checksum covers the file's number.
    while let Some((seq, records)) =
        frame_at(&bytes, at, number, range.map_or(states_first, |(_, last)| Some(last + 1)))
    {
        range = Some((range.map_or(seq, |(first, _)| first), seq));
        at = records.end;
    }
    let due = range.map(|(_, last)| last + 1).or(states_first);
    let torn_bytes = torn_bytes(bytes.get(at..).unwrap_or_default(), due);
    let damaged = states_first.is_none() && range.is_some();
    let file_bytes = file.len()?;
    Ok(Scanned { number, path, file, file_bytes, states_first, range, end: at, torn_bytes, damaged })
}

/// How much of a begun frame is there: what follows the last good frame counts only if it bears the number that is due,
/// since in a recycled file old frames follow.
fn torn_bytes(rest: &[u8], due: Option<u64>) -> u64 {
    let mut reader = Reader::new(rest);
    match (reader.u32("len"), reader.u32("crc"), reader.u64("seq")) {
        (Ok(len), Ok(_), Ok(seq)) if len > 0 && Some(seq) == due => u64::from(len).min(rest.len() as u64),
        _ => 0,
    }
}

fn read_all(file: &dyn File) -> Result<Vec<u8>, BlockError> {
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(0)];
    file.read_exact_at(0, &mut bytes)?;
    Ok(bytes)
}

/// Joins the files into one sequence: dead frames out, gaps reported. Returns the next sequence number.
pub(crate) fn join(files: &mut [Scanned], covered: u64, report: &mut WalReport) -> u64 {
    // From the back: frames at or above what a later file states as its first are dead.
    let mut bound = u64::MAX;
    for file in files.iter_mut().rev() {
        file.range = file.range.filter(|(first, _)| *first < bound).map(|(first, last)| (first, last.min(bound - 1)));
        if let Some(first) = file.states_first.or(file.range.map(|(first, _)| first)) {
            bound = bound.min(first);
        }
    }
    let mut expect = covered.saturating_add(1);
    let mut broken: Option<usize> = None;
    for i in 0..files.len() {
        let Some(file) = files.get_mut(i) else { break };
        // Below the covered position a file may be half recycled: no one needs its frames.
        file.damaged &= file.range.is_some_and(|(_, last)| last > covered);
        if file.damaged {
            let what = "its header is damaged; its frames are whole and were read".to_owned();
            report.damage.push(Damage { path: file.path.clone(), what });
        }
        let begins = file.states_first.or(file.range.map(|(first, _)| first));
        if let Some(first) = begins
            && first > expect
        {
            let what = format!("writes {expect} to {} are missing: they were in the log and cannot be read", first - 1);
            let culprit = broken.and_then(|b| files.get_mut(b));
            let path = culprit.map(|culprit| {
                culprit.damaged = true;
                culprit.path.clone()
            });
            let path = path.or_else(|| files.get(i).map(|file| file.path.clone())).unwrap_or_default();
            report.damage.push(Damage { path, what });
            expect = first;
        }
        if let Some((_, last)) = files.get(i).and_then(|file| file.range) {
            expect = expect.max(last.saturating_add(1));
        }
        broken = Some(i);
    }
    expect
}

/// Frames after the covered ones, in order, read lazily one file at a time.
pub struct Replay {
    files: std::vec::IntoIter<(Arc<dyn File>, u64, u64)>,
    covered: u64,
    current: Option<Current>,
    pub report: WalReport,
}

struct Current {
    bytes: Vec<u8>,
    at: usize,
    number: u64,
    expect: Option<u64>,
    last: u64,
}

impl Replay {
    /// `files`: open file, number, last live sequence number.
    pub(crate) fn new(files: Vec<(Arc<dyn File>, u64, u64)>, covered: u64, report: WalReport) -> Self {
        Self { files: files.into_iter(), covered, current: None, report }
    }

    fn advance(&mut self) -> Result<Option<Frame>, BlockError> {
        loop {
            if let Some(current) = &mut self.current {
                let next = frame_at(&current.bytes, current.at, current.number, current.expect);
                match next.filter(|(seq, _)| *seq <= current.last) {
                    Some((seq, records)) => {
                        current.at = records.end;
                        current.expect = Some(seq + 1);
                        if seq > self.covered {
                            let records = current.bytes.get(records).unwrap_or_default().to_vec();
                            return Ok(Some(Frame { seq, records }));
                        }
                    }
                    None => self.current = None,
                }
                continue;
            }
            let Some((file, number, last)) = self.files.next() else { return Ok(None) };
            let bytes = read_all(&*file)?;
            self.current = Some(Current { bytes, at: FILE_HEADER_BYTES, number, expect: None, last });
        }
    }
}

impl Iterator for Replay {
    type Item = Result<Frame, BlockError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}
