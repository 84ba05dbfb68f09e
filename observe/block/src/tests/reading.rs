//! A log that is read while it grows: every durable frame once and in order, over files that are recycled, restarts and damage.

use base_world::sim::{PowerLoss, SimWorld};

use super::{DIR, frame, open};
use crate::{BlockError, Wal, WalCursor};

/// All that can be read now.
fn read(wal: &Wal, cursor: &mut WalCursor) -> Vec<u64> {
    let mut found = Vec::new();
    while let Some(frame) = wal.read_next(cursor).expect("read") {
        let records = frame.records().expect("records");
        assert_eq!(records[0].payload[0] as u64, frame.seq % 256, "frame {}", frame.seq);
        found.push(frame.seq);
    }
    found
}

fn append(wal: &mut Wal, count: usize) {
    for _ in 0..count {
        let next = wal.last_lsn() + 1;
        wal.append(&mut frame(&[(next % 256) as u8; 300])).expect("append");
    }
}

#[test]
fn only_durable_frames_are_read_and_each_once() {
    let sim = SimWorld::new(1);
    let (mut wal, ..) = open(&sim, 0);
    let mut cursor = WalCursor::after(0);
    append(&mut wal, 3);
    assert_eq!(read(&wal, &mut cursor), [0u64; 0], "nothing is synced yet");
    wal.sync().expect("sync");
    assert_eq!(read(&wal, &mut cursor), [1, 2, 3]);
    let mut expect = 4..;
    for _ in 0..30 {
        append(&mut wal, 7);
        wal.sync().expect("sync");
        assert_eq!(read(&wal, &mut cursor), expect.by_ref().take(7).collect::<Vec<_>>());
        // Its own file is recycled under it now and then.
        wal.truncate_through(cursor.position()).expect("truncate");
    }
    assert!(wal.disk_bytes() < 8 * 2048);
}

#[test]
fn after_a_restart_reading_goes_on_behind_what_was_covered() {
    let sim = SimWorld::new(1);
    let (mut wal, ..) = open(&sim, 0);
    append(&mut wal, 20);
    wal.sync().expect("sync");
    sim.disk.reboot(PowerLoss::DropAll);
    let (mut wal, ..) = open(&sim, 12);
    let mut cursor = WalCursor::after(12);
    assert_eq!(read(&wal, &mut cursor), (13..=20).collect::<Vec<_>>());
    append(&mut wal, 5);
    wal.sync().expect("sync");
    assert_eq!(read(&wal, &mut cursor), (21..=25).collect::<Vec<_>>());
    let mut again = WalCursor::after(18);
    assert_eq!(read(&wal, &mut again), (19..=25).collect::<Vec<_>>());
}

#[test]
fn damage_is_told_once_and_reading_goes_on_behind_it() {
    let sim = SimWorld::new(1);
    let (mut wal, ..) = open(&sim, 0);
    append(&mut wal, 20);
    wal.sync().expect("sync");
    let first = format!("{DIR}/{:016x}.wal", 1);
    assert!(sim.disk.flip_bit(first.as_ref(), 32 + 2 * (16 + 305) + 40, 3));
    let mut cursor = WalCursor::after(0);
    let (mut found, mut damage) = (Vec::new(), Vec::new());
    loop {
        match wal.read_next(&mut cursor) {
            Ok(Some(frame)) => found.push(frame.seq),
            Ok(None) => break,
            Err(error @ BlockError::Corrupt { .. }) => damage.push(error.to_string()),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(found, [vec![1, 2], (7..=20).collect()].concat());
    assert_eq!(damage.len(), 1, "{damage:?}");
    assert!(damage[0].contains("the writes 3 to 6 cannot be read"), "{damage:?}");
}
