//! Messages as they lie in the queue, and several of them as one request. See `docs/formats/forward-queue.md`.

use base_signal::TenantId;
use observe_block::codec::{self, Malformed};
use observe_block::{Frame, FrameBuilder, Lsn, RecordKind};
use observe_wire::compression::{pack_snappy, snappy_block};
use observe_wire::delivery::Mark;
use observe_wire::otlp::Encoding;

/// Something to be passed on: one message of its way's protocol, unpacked.
#[derive(Clone, Copy, Debug)]
pub struct Message<'b> {
    pub encoding: Encoding,
    /// Samples, lines or spans.
    pub items: u64,
    pub body: &'b [u8],
}

/// What goes out as one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub tenant: TenantId,
    pub encoding: Encoding,
    /// Unpacked.
    pub body: Vec<u8>,
    pub items: u64,
    pub messages: u64,
    /// The first frame that is in it.
    pub first: Lsn,
    /// The last one, and a checksum of its message.
    pub last: Mark,
    /// When the first of it was queued, in Unix milliseconds.
    pub queued_ms: i64,
}

/// Larger ones are not ours: no limit on bodies is that high.
const BODY_BYTES_MAX: usize = 1 << 30;

pub(crate) fn put(frame: &mut FrameBuilder, tenant: &TenantId, message: &Message<'_>, now_ms: i64) {
    let mut payload = Vec::with_capacity(message.body.len() / 2 + 24);
    codec::put_u64(&mut payload, now_ms as u64);
    codec::put_varint(&mut payload, message.items);
    payload.push(match message.encoding {
        Encoding::Protobuf => 0,
        Encoding::Json => 1,
    });
    payload.extend_from_slice(&pack_snappy(message.body));
    frame.record(RecordKind::Forwarded, tenant.as_str(), &payload);
}

/// One message as a batch of its own.
pub(crate) fn take(frame: &Frame) -> Result<Batch, Malformed> {
    let malformed = |what| Malformed { what, at: 0 };
    let records = frame.records()?;
    let record = records.first().ok_or(malformed("record"))?;
    let mut reader = codec::Reader::new(record.payload);
    let queued_ms = reader.u64("time")? as i64;
    let items = reader.varint("items")?;
    let encoding = match reader.u8("encoding")? {
        0 => Encoding::Protobuf,
        1 => Encoding::Json,
        _ => return Err(reader.malformed("encoding")),
    };
    let packed = reader.take(reader.remaining(), "message")?;
    let body = snappy_block(packed, BODY_BYTES_MAX).map_err(|_| malformed("message"))?;
    let tenant = TenantId::new(record.tenant).ok_or(malformed("tenant"))?;
    let last = Mark { through: frame.seq, stamp: crc32c::crc32c(record.payload) };
    Ok(Batch { tenant, encoding, body, items, messages: 1, first: frame.seq, last, queued_ms })
}

impl Batch {
    /// Whether the other can follow in the same request. In protobuf two messages one after the other are one with the parts of both, for
    /// every protocol that goes out here; in JSON they are not.
    pub(crate) fn takes(&self, other: &Batch, bytes_max: usize) -> bool {
        self.encoding == Encoding::Protobuf
            && other.encoding == Encoding::Protobuf
            && self.tenant == other.tenant
            && self.body.len() + other.body.len() <= bytes_max
    }

    pub(crate) fn join(&mut self, other: Batch) {
        self.body.extend_from_slice(&other.body);
        self.items += other.items;
        self.messages += other.messages;
        self.last = other.last;
    }
}
