//! What a sender and an operator rely on. The crash sweep replays one seed with `APM_SEED=… cargo test -p observe-forward`; `APM_SEEDS=…`
//! sweeps that many.

mod crash;
mod rules;

use std::path::Path;

use base_signal::TenantId;
use base_world::sim::SimWorld;
use observe_source::SourceError;
use observe_wire::otlp::Encoding;

use crate::{Message, Queue, QueueSettings};

const FOLDER: &str = "/data/remote-write";

fn settings() -> QueueSettings {
    QueueSettings { bytes_max: 1 << 20, batch_bytes_max: 2000 }
}

fn open(sim: &SimWorld) -> Queue {
    let (queue, damage) = Queue::open(&sim.world(), Path::new(FOLDER), settings()).expect("open");
    assert_eq!(damage, []);
    queue
}

/// A message that tells its number, `len` bytes long.
fn body(id: u32, len: usize) -> Vec<u8> {
    let len = len.max(8);
    let mut body = Vec::with_capacity(len);
    body.extend_from_slice(&id.to_le_bytes());
    body.extend_from_slice(&(len as u32).to_le_bytes());
    // Not to be packed away.
    let mut noise = u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    while body.len() < len {
        noise = noise.rotate_left(23).wrapping_mul(0xbf58_476d_1ce4_e5b9).wrapping_add(1);
        body.push((noise >> 32) as u8);
    }
    body
}

/// The numbers in a request.
fn ids(mut request: &[u8]) -> Vec<u32> {
    let mut found = Vec::new();
    while !request.is_empty() {
        let number = |at: usize| u32::from_le_bytes(request[at..at + 4].try_into().expect("four bytes"));
        let (id, len) = (number(0), number(4) as usize);
        assert_eq!(request[..len], body(id, len), "message {id} is not what was queued");
        found.push(id);
        request = &request[len..];
    }
    found
}

fn append(queue: &mut Queue, tenant: &str, id: u32, len: usize, encoding: Encoding) -> Result<(), SourceError> {
    let body = body(id, len);
    let tenant = TenantId::new(tenant).expect("tenant");
    queue.append(&tenant, &Message { encoding, items: 1, body: &body })
}
