//! Writing a metric segment: series sorted by labels, their times shared where equal, their values in pages that cross
//! series. See `docs/formats/metric-segment.md`. Knows nothing of the log, the head or the manifest.

use std::collections::BTreeMap;
use std::path::Path;

use base_signal::{Exemplar, LabelsRef, Metadata};
use base_world::World;
use hashbrown::HashMap;
use observe_block::{BlockError, Codec, SegmentKind, SegmentSummary, SegmentWriter, codec};

use crate::column::{RUN_VALUES, encode_run, encode_times};
use crate::histogram;
use crate::index::SeriesIndex;
use crate::pack::{put_block, put_packed};
use crate::points::Points;

type Result<T> = std::result::Result<T, BlockError>;

/// Values a page holds at least before it is closed: enough for zstd to see repeats, little enough to decode for one.
const PAGE_VALUES: usize = 8192;

/// Writes one segment; series must come sorted by labels.
pub(crate) struct Builder {
    out: SegmentWriter,
    symbols: Vec<u8>,
    symbol_numbers: HashMap<String, u64, ahash::RandomState>,
    /// Symbols of the series before, by their place in it.
    before: Vec<(String, u64)>,
    /// Symbols of name and value, of pairs by the numbers that an index has for them.
    numbered: Vec<Option<(u32, u32)>>,
    labels: Vec<u8>,
    series: Vec<u8>,
    times: Vec<u8>,
    times_known: HashMap<Vec<u8>, (u64, u64), ahash::RandomState>,
    page: Vec<u8>,
    page_values: usize,
    page_index: Vec<u8>,
    histograms: Vec<u8>,
    exemplars: Vec<u8>,
    summary: SegmentSummary,
}

impl Builder {
    pub(crate) fn create(world: &World, path: &Path, tenant: &str, level: u8) -> Result<Self> {
        let mut out = SegmentWriter::create(world, path, SegmentKind::Metrics, tenant)?;
        out.begin("pages");
        let summary = SegmentSummary { time_min: i64::MAX, time_max: i64::MIN, level, ..SegmentSummary::default() };
        Ok(Self {
            out,
            symbols: Vec::new(),
            symbol_numbers: HashMap::default(),
            before: Vec::new(),
            numbered: Vec::new(),
            labels: Vec::new(),
            series: Vec::new(),
            times: Vec::new(),
            times_known: HashMap::default(),
            page: Vec::new(),
            page_values: 0,
            page_index: Vec::new(),
            histograms: Vec::new(),
            exemplars: Vec::new(),
            summary,
        })
    }

    pub(crate) fn add(
        &mut self,
        labels: LabelsRef<'_>,
        points: &Points,
        created_ms: Option<i64>,
        exemplars: &[Exemplar],
    ) -> Result<()> {
        codec::put_varint(&mut self.labels, labels.len() as u64);
        for (place, text) in labels.iter().flat_map(|(name, value)| [name, value]).enumerate() {
            let number = self.symbol(place, text);
            codec::put_varint(&mut self.labels, number);
        }
        self.row(points, created_ms, exemplars)
    }

    /// The same for a series of an index: each text is looked at once a segment, not once a series.
    pub(crate) fn add_numbered(
        &mut self,
        index: &SeriesIndex,
        id: u32,
        points: &Points,
        created_ms: Option<i64>,
        exemplars: &[Exemplar],
    ) -> Result<()> {
        let set = index.set(id);
        codec::put_varint(&mut self.labels, set.len() as u64);
        for pair in set {
            let place = *pair as usize;
            if self.numbered.len() <= place {
                self.numbered.resize(place + 1, None);
            }
            let (name, value) = match self.numbered.get(place).copied().flatten() {
                Some(known) => known,
                None => {
                    let (name, value) = index.pair(*pair);
                    let symbols = (self.interned(name) as u32, self.interned(value) as u32);
                    if let Some(slot) = self.numbered.get_mut(place) {
                        *slot = Some(symbols);
                    }
                    symbols
                }
            };
            codec::put_varint(&mut self.labels, name.into());
            codec::put_varint(&mut self.labels, value.into());
        }
        self.row(points, created_ms, exemplars)
    }

    /// What a series has beside its labels.
    fn row(&mut self, points: &Points, created_ms: Option<i64>, exemplars: &[Exemplar]) -> Result<()> {
        let (times_at, times_len) = self.put_times(&points.times_ms);
        let histograms_at = self.histograms.len();
        self.put_histograms(points)?;
        let exemplars_at = self.exemplars.len();
        self.put_exemplars(exemplars);
        let row = &mut self.series;
        codec::put_varint(row, points.len() as u64);
        codec::put_varint(row, times_at);
        codec::put_varint(row, times_len);
        codec::put_zigzag(row, points.times_ms.first().copied().unwrap_or(0));
        codec::put_zigzag(row, points.times_ms.last().copied().unwrap_or(0));
        row.push(u8::from(created_ms.is_some()));
        codec::put_zigzag(row, created_ms.unwrap_or(0));
        codec::put_varint(row, (self.histograms.len() - histograms_at) as u64);
        codec::put_varint(row, (self.exemplars.len() - exemplars_at) as u64);
        self.put_values(&points.bits)?;
        self.summary.series += 1;
        self.summary.rows += points.len() as u64;
        // A segment of news without points (exemplars, creation) still needs a place in time.
        let exemplar_times = exemplars.iter().map(|exemplar| exemplar.time_ms);
        let ends = points.times_ms.first().into_iter().chain(points.times_ms.last()).copied();
        for time in ends.chain(exemplar_times).chain(created_ms.filter(|_| points.is_empty())) {
            self.summary.time_min = self.summary.time_min.min(time);
            self.summary.time_max = self.summary.time_max.max(time);
        }
        Ok(())
    }

    /// Makes the segment durable. Returns its summary and size. One without any times is of `now_ms`.
    pub(crate) fn finish(
        mut self,
        metadata: &BTreeMap<String, Metadata>,
        now_ms: i64,
    ) -> Result<(SegmentSummary, u64)> {
        self.close_page()?;
        let mut labels = Vec::new();
        codec::put_varint(&mut labels, self.symbol_numbers.len() as u64);
        labels.extend_from_slice(&self.symbols);
        codec::put_varint(&mut labels, self.summary.series);
        labels.extend_from_slice(&self.labels);
        let mut families = Vec::new();
        metadata.iter().for_each(|(family, metadata)| histogram::put_metadata(&mut families, family, metadata));
        for (name, codec, bytes) in [
            ("labels", Codec::Zstd, &labels),
            ("series", Codec::Zstd, &self.series),
            ("page-index", Codec::Zstd, &self.page_index),
            ("times", Codec::Plain, &self.times),
            ("histograms", Codec::Plain, &self.histograms),
            ("exemplars", Codec::Plain, &self.exemplars),
            ("metadata", Codec::Zstd, &families),
        ] {
            self.out.section(name, codec, bytes)?;
        }
        if self.summary.time_min > self.summary.time_max {
            (self.summary.time_min, self.summary.time_max) = (now_ms, now_ms);
        }
        let bytes = self.out.finish(&self.summary)?;
        Ok((self.summary, bytes))
    }

    /// The symbol's number; series are sorted, so that most have what the one before has at the same place.
    fn symbol(&mut self, place: usize, text: &str) -> u64 {
        if self.before.len() <= place {
            self.before.resize_with(place + 1, Default::default);
        }
        if let Some((before, number)) = self.before.get(place)
            && before == text
            && !text.is_empty()
        {
            return *number;
        }
        let number = self.interned(text);
        if let Some((before, known)) = self.before.get_mut(place) {
            before.clear();
            before.push_str(text);
            *known = number;
        }
        number
    }

    fn interned(&mut self, text: &str) -> u64 {
        let fresh = self.symbol_numbers.len() as u64;
        let number = *self.symbol_numbers.entry_ref(text).or_insert(fresh);
        if number == fresh {
            codec::put_bytes(&mut self.symbols, text.as_bytes());
        }
        number
    }

    fn put_times(&mut self, times: &[i64]) -> (u64, u64) {
        let encoded = encode_times(times);
        if let Some(place) = self.times_known.get(&encoded) {
            return *place;
        }
        let place = put_block(&mut self.times, &encoded);
        self.times_known.insert(encoded, place);
        place
    }

    fn put_values(&mut self, bits: &[u64]) -> Result<()> {
        let mut rest = bits;
        while !rest.is_empty() {
            let (run, more) = rest.split_at(rest.len().min(RUN_VALUES));
            encode_run(&mut self.page, run);
            self.page_values += run.len();
            if self.page_values >= PAGE_VALUES {
                self.close_page()?;
            }
            rest = more;
        }
        Ok(())
    }

    fn close_page(&mut self) -> Result<()> {
        if self.page_values == 0 {
            return Ok(());
        }
        let mut block = Vec::new();
        let (_, len) = put_packed(&mut block, &self.page);
        self.out.push(&block)?;
        codec::put_varint(&mut self.page_index, self.page_values as u64);
        codec::put_varint(&mut self.page_index, len);
        self.page.clear();
        self.page_values = 0;
        Ok(())
    }

    fn put_histograms(&mut self, points: &Points) -> Result<()> {
        if points.histograms.is_empty() {
            return Ok(());
        }
        let mut raw = Vec::new();
        for (row, bytes) in &points.histograms {
            codec::put_varint(&mut raw, *row as u64);
            codec::put_bytes(&mut raw, bytes);
        }
        put_packed(&mut self.histograms, &raw);
        Ok(())
    }

    fn put_exemplars(&mut self, exemplars: &[Exemplar]) {
        if exemplars.is_empty() {
            return;
        }
        let mut raw = Vec::new();
        exemplars.iter().for_each(|exemplar| histogram::put_exemplar(&mut raw, exemplar));
        put_packed(&mut self.exemplars, &raw);
    }
}
