//! Deletions: which series, which times, and up to which segment. They live in the manifest until a merge has applied them.

use base_signal::{LabelsRef, MatchOp, Matcher, RangeMs};
use observe_block::codec::{self, Malformed, Reader};

/// Points of matching series in segments with an id below `before_id` do not exist. What came later does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tombstone {
    pub(crate) tenant: String,
    pub(crate) before_id: u64,
    pub(crate) range: RangeMs,
    pub(crate) matchers: Vec<Matcher>,
}

impl Tombstone {
    pub(crate) fn hits(&self, tenant: &str, segment_id: u64, labels: LabelsRef<'_>) -> bool {
        let place = segment_id < self.before_id && self.tenant == tenant;
        place && self.matchers.iter().all(|matcher| matcher.matches_labels(labels))
    }
}

/// The deleted ranges of one series in one segment.
pub(crate) fn deleted(all: &[Tombstone], tenant: &str, segment_id: u64, labels: LabelsRef<'_>) -> Vec<RangeMs> {
    all.iter().filter(|tombstone| tombstone.hits(tenant, segment_id, labels)).map(|t| t.range).collect()
}

pub(crate) fn encode(all: &[Tombstone]) -> Vec<u8> {
    let mut out = Vec::new();
    for tombstone in all {
        codec::put_bytes(&mut out, tombstone.tenant.as_bytes());
        codec::put_varint(&mut out, tombstone.before_id);
        codec::put_zigzag(&mut out, tombstone.range.start_ms);
        codec::put_zigzag(&mut out, tombstone.range.end_ms);
        codec::put_varint(&mut out, tombstone.matchers.len() as u64);
        for matcher in &tombstone.matchers {
            out.push(match matcher.op {
                MatchOp::Equal => 0,
                MatchOp::NotEqual => 1,
                MatchOp::Regex => 2,
                MatchOp::NotRegex => 3,
            });
            codec::put_bytes(&mut out, matcher.name.as_bytes());
            codec::put_bytes(&mut out, matcher.value.as_bytes());
        }
    }
    out
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<Tombstone>, Malformed> {
    let (mut reader, mut all) = (Reader::new(bytes), Vec::new());
    while !reader.is_empty() {
        let tenant = reader.str("tenant")?.to_owned();
        let before_id = reader.varint("segment")?;
        let range = RangeMs::new(reader.zigzag("start")?, reader.zigzag("end")?);
        let mut matchers = Vec::new();
        for _ in 0..reader.count("matchers")? {
            let op = match reader.u8("operator")? {
                0 => MatchOp::Equal,
                1 => MatchOp::NotEqual,
                2 => MatchOp::Regex,
                3 => MatchOp::NotRegex,
                _ => return Err(reader.malformed("operator")),
            };
            let (name, value) = (reader.str("name")?, reader.str("value")?);
            matchers.push(Matcher::new(name, op, value).map_err(|_| reader.malformed("pattern"))?);
        }
        all.push(Tombstone { tenant, before_id, range, matchers });
    }
    Ok(all)
}
