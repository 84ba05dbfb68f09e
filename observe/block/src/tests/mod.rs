//! What the stores rely on. The crash sweep replays one seed with `APM_SEED=… cargo test -p observe-block`;
//! `APM_SEEDS=…` sweeps that many.

mod crash;
mod files;
mod reading;

use std::path::Path;

use base_world::sim::SimWorld;

use crate::{Frame, FrameBuilder, RecordKind, Wal, WalReport, WalSettings};

const DIR: &str = "/data/wal";

fn settings() -> WalSettings {
    WalSettings { segment_bytes: 2048, spares_max: 2, frame_bytes_max: 1 << 20 }
}

fn open(sim: &SimWorld, covered: u64) -> (Wal, Vec<Frame>, WalReport) {
    let (wal, mut replay) = Wal::open(&sim.world(), Path::new(DIR), settings(), covered).expect("open");
    let frames = replay.by_ref().collect::<Result<Vec<_>, _>>().expect("replay");
    (wal, frames, replay.report)
}

fn frame(payload: &[u8]) -> FrameBuilder {
    let mut frame = FrameBuilder::new();
    frame.record(RecordKind::Samples, "t", payload);
    frame
}

fn payloads(frames: &[Frame]) -> Vec<(u64, Vec<u8>)> {
    let payload = |f: &Frame| f.records().expect("records").iter().flat_map(|r| r.payload.to_vec()).collect();
    frames.iter().map(|f| (f.seq, payload(f))).collect()
}
