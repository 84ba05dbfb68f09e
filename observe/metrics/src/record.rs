//! Payloads of the log's records: what a metric write leaves there. See `docs/formats/metric-segment.md`.
//! Series are named by numbers that a `Series` record of the log defines before their first use; a later definition of
//! the same number replaces it.

use base_signal::{Exemplar, Labels, LabelsRef, Metadata, NativeHistogram};
use observe_block::codec::{self, Malformed, Reader};
use observe_block::{FrameBuilder, Record, RecordKind};

use crate::histogram;

/// Of a sample's first byte: its time differs from that of the sample before. The other bits are how many bytes of the value follow.
const TIMED: u8 = 0x10;

type Result<T> = std::result::Result<T, Malformed>;

/// Collects one write; each kind becomes one record.
#[derive(Default)]
pub(crate) struct WriteRecords {
    series: Vec<u8>,
    samples: Vec<u8>,
    /// Series and time of the sample before: neighbours differ little.
    last_sample: (u32, i64),
    histograms: Vec<u8>,
    exemplars: Vec<u8>,
    metadata: Vec<u8>,
    created: Vec<u8>,
}

impl WriteRecords {
    pub(crate) fn series(&mut self, id: u32, labels: LabelsRef<'_>) {
        codec::put_varint(&mut self.series, u64::from(id));
        codec::put_bytes(&mut self.series, labels.as_bytes());
    }

    pub(crate) fn sample(&mut self, id: u32, time_ms: i64, bits: u64) {
        let (last_id, last_ms) = std::mem::replace(&mut self.last_sample, (id, time_ms));
        codec::put_zigzag(&mut self.samples, i64::from(id) - i64::from(last_id));
        // Whole numbers and few decimals end in zeros; neighbours are mostly of one time.
        let kept = 8 - (bits.trailing_zeros() / 8).min(8) as usize;
        let timed = if time_ms == last_ms { 0 } else { TIMED };
        self.samples.push(kept as u8 | timed);
        if timed != 0 {
            codec::put_zigzag(&mut self.samples, time_ms.wrapping_sub(last_ms));
        }
        self.samples.extend_from_slice(bits.to_be_bytes().get(..kept).unwrap_or_default());
    }

    pub(crate) fn histogram(&mut self, id: u32, time_ms: i64, encoded: &[u8]) {
        codec::put_varint(&mut self.histograms, u64::from(id));
        codec::put_zigzag(&mut self.histograms, time_ms);
        self.histograms.extend_from_slice(encoded);
    }

    pub(crate) fn exemplar(&mut self, id: u32, exemplar: &Exemplar) {
        codec::put_varint(&mut self.exemplars, u64::from(id));
        histogram::put_exemplar(&mut self.exemplars, exemplar);
    }

    pub(crate) fn metadata(&mut self, family: &str, metadata: &Metadata) {
        histogram::put_metadata(&mut self.metadata, family, metadata);
    }

    pub(crate) fn created(&mut self, id: u32, time_ms: i64) {
        codec::put_varint(&mut self.created, u64::from(id));
        codec::put_zigzag(&mut self.created, time_ms);
    }

    /// Moves what was collected into a frame; series first, as the others refer to them.
    pub(crate) fn finish(self, tenant: &str, frame: &mut FrameBuilder) {
        let parts = [
            (RecordKind::Series, self.series),
            (RecordKind::ShortSamples, self.samples),
            (RecordKind::NativeHistograms, self.histograms),
            (RecordKind::Exemplars, self.exemplars),
            (RecordKind::Metadata, self.metadata),
            (RecordKind::CreatedTimestamps, self.created),
        ];
        for (kind, payload) in parts.into_iter().filter(|(_, payload)| !payload.is_empty()) {
            frame.record(kind, tenant, &payload);
        }
    }
}

/// One entry of a record read back.
pub(crate) enum Entry {
    Series(u32, Labels),
    Sample(u32, i64, u64),
    Histogram(u32, i64, Box<NativeHistogram>),
    Exemplar(u32, Exemplar),
    Metadata(String, Metadata),
    Created(u32, i64),
}

/// Calls `each` for every entry. Records of kinds that metrics do not write are left alone.
pub(crate) fn read(record: &Record<'_>, mut each: impl FnMut(Entry)) -> Result<()> {
    let mut reader = Reader::new(record.payload);
    let (mut last_id, mut last_ms) = (0i64, 0i64);
    while !reader.is_empty() {
        let entry = match record.kind {
            RecordKind::Series => Entry::Series(reader.varint_u32("series")?, histogram::take_labels(&mut reader)?),
            RecordKind::Samples => {
                last_id = last_id.wrapping_add(reader.zigzag("series")?);
                last_ms = last_ms.wrapping_add(reader.zigzag("time")?);
                let id = u32::try_from(last_id).map_err(|_| reader.malformed("series"))?;
                Entry::Sample(id, last_ms, reader.u64("value")?)
            }
            RecordKind::ShortSamples => {
                last_id = last_id.wrapping_add(reader.zigzag("series")?);
                let id = u32::try_from(last_id).map_err(|_| reader.malformed("series"))?;
                let head = reader.u8("sample")?;
                if head & TIMED != 0 {
                    last_ms = last_ms.wrapping_add(reader.zigzag("time")?);
                }
                let (kept, mut bytes) = (usize::from(head & !TIMED), [0; 8]);
                let to = bytes.get_mut(..kept).ok_or_else(|| reader.malformed("sample"))?;
                to.copy_from_slice(reader.take(kept, "value")?);
                Entry::Sample(id, last_ms, u64::from_be_bytes(bytes))
            }
            RecordKind::NativeHistograms => {
                let (id, time_ms) = (reader.varint_u32("series")?, reader.zigzag("time")?);
                Entry::Histogram(id, time_ms, Box::new(histogram::take_histogram(&mut reader)?))
            }
            RecordKind::Exemplars => {
                Entry::Exemplar(reader.varint_u32("series")?, histogram::take_exemplar(&mut reader)?)
            }
            RecordKind::Metadata => {
                let (family, metadata) = histogram::take_metadata(&mut reader)?;
                Entry::Metadata(family, metadata)
            }
            RecordKind::CreatedTimestamps => Entry::Created(reader.varint_u32("series")?, reader.zigzag("time")?),
            _ => return Ok(()),
        };
        each(entry);
    }
    Ok(())
}
