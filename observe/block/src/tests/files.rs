//! Log, segments, manifest and timetable one by one: full disks, rot, limits, and the order of work.

use std::path::{Path, PathBuf};

use base_world::sim::{PowerLoss, SimWorld};

use super::{DIR, frame, open, payloads};
use crate::{
    BlockError, Codec, FrameBuilder, Manifest, RecordKind, SegmentKind, SegmentMeta, SegmentReader, SegmentSummary,
    SegmentWriter, Timetable, Wal, codec, plan, quarantine, remove_orphans,
};

#[test]
fn records_come_back_as_they_went_in() {
    let sim = SimWorld::new(1);
    let (mut wal, ..) = open(&sim, 0);
    let mut builder = FrameBuilder::new();
    for kind in RecordKind::ALL {
        builder.record(kind, &format!("tenant-{}", kind as u8), &[kind as u8; 7]);
    }
    assert_eq!(wal.append(&mut builder), Ok(1));
    assert!(builder.is_empty());
    assert_eq!(wal.append(&mut builder), Ok(1), "an empty frame is no frame");
    assert_eq!((wal.durable_lsn(), wal.sync(), wal.durable_lsn()), (0, Ok(1), 1));
    let (_, frames, _) = open(&sim, 0);
    let records = frames[0].records().expect("records");
    let found: Vec<_> = records.iter().map(|r| (r.kind, r.tenant.to_owned(), r.payload.to_vec())).collect();
    let expect: Vec<_> =
        RecordKind::ALL.iter().map(|k| (*k, format!("tenant-{}", *k as u8), vec![*k as u8; 7])).collect();
    assert_eq!(found, expect);
}

#[test]
fn files_are_recycled_and_their_old_frames_stay_dead() {
    let sim = SimWorld::new(1);
    let (mut wal, ..) = open(&sim, 0);
    for round in 0..20u8 {
        for _ in 0..10 {
            wal.append(&mut frame(&[round; 300])).expect("append");
        }
        let durable = wal.sync().expect("sync");
        wal.truncate_through(durable).expect("truncate");
        assert!(wal.disk_bytes() < 8 * 2048, "the log grows: {} bytes", wal.disk_bytes());
    }
    wal.append(&mut frame(b"last")).expect("append");
    wal.sync().expect("sync");
    let (_, frames, report) = open(&sim, 200);
    assert_eq!(payloads(&frames), [(201, b"last".to_vec())]);
    assert_eq!((report.frames, report.torn_bytes, report.damage.len()), (1, 0, 0));
}

#[test]
fn a_rotten_frame_in_an_older_file_is_reported_and_the_rest_is_read() {
    let sim = SimWorld::new(1);
    let (mut wal, ..) = open(&sim, 0);
    for i in 1..=12u8 {
        wal.append(&mut frame(&[i; 500])).expect("append");
    }
    wal.sync().expect("sync");
    let first = PathBuf::from(format!("{DIR}/{:016x}.wal", 1));
    assert!(sim.disk.flip_bit(&first, 700, 3));
    let (mut wal, frames, report) = open(&sim, 0);
    let seqs: Vec<u64> = frames.iter().map(|f| f.seq).collect();
    assert_eq!(seqs, [1, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(report.damage.len(), 1);
    let told = report.damage[0].to_string();
    assert!(told.contains("0000000000000001.wal: writes 2 to 3 are missing"), "{told}");
    wal.truncate_through(12).expect("truncate");
    let kept = sim.disk.files().into_iter().any(|(path, _)| path.ends_with("quarantine/0000000000000001.wal"));
    assert!(kept, "the damaged file is kept aside");
}

#[test]
fn a_rotten_header_does_not_hide_its_frames() {
    let sim = SimWorld::new(1);
    let (mut wal, ..) = open(&sim, 0);
    wal.append(&mut frame(b"kept")).expect("append");
    wal.sync().expect("sync");
    sim.disk.flip_bit(Path::new(&format!("{DIR}/{:016x}.wal", 1)), 9, 0);
    let (_, frames, report) = open(&sim, 0);
    assert_eq!(payloads(&frames), [(1, b"kept".to_vec())]);
    assert_eq!(report.damage.len(), 1);
}

#[test]
fn a_full_disk_is_back_pressure_and_then_works_again() {
    let sim = SimWorld::new(1);
    let (mut wal, ..) = open(&sim, 0);
    wal.append(&mut frame(&[1; 900])).expect("append");
    sim.disk.set_budget_bytes(Some(sim.disk.used_bytes() + 100));
    wal.append(&mut frame(&[2; 900])).expect("room was reserved");
    let mut refused = frame(&[3; 900]);
    let error = wal.append(&mut refused).expect_err("no room for a new file");
    assert!(error.is_full(), "{error}");
    assert!(!refused.is_empty(), "the caller keeps what was refused");
    wal.sync().expect("what was taken is still synced");
    sim.disk.set_budget_bytes(None);
    assert_eq!(wal.append(&mut refused), Ok(3));
    wal.sync().expect("sync");
    sim.disk.reboot(PowerLoss::DropAll);
    let (_, frames, _) = open(&sim, 0);
    assert_eq!(frames.len(), 3);
}

#[test]
fn nothing_is_acknowledged_after_a_failed_sync() {
    let sim = SimWorld::new(1);
    let (mut wal, ..) = open(&sim, 0);
    wal.append(&mut frame(b"a")).expect("append");
    sim.disk.fail_at(sim.disk.operations() + 1);
    wal.sync().expect_err("ordered to fail");
    assert!(matches!(wal.sync(), Err(BlockError::Poisoned { .. })), "the kernel would say yes now: we must not");
    assert!(matches!(wal.append(&mut frame(b"b")), Err(BlockError::Poisoned { .. })));
    assert_eq!(wal.durable_lsn(), 0);
    drop(wal);
    let (mut wal, ..) = open(&sim, 0);
    wal.append(&mut frame(b"c")).expect("works after opening again");
}

#[test]
fn a_newer_format_and_a_giant_frame_are_refused_by_name() {
    let sim = SimWorld::new(1);
    let (mut wal, ..) = open(&sim, 0);
    let error = wal.append(&mut frame(&vec![0; 2 << 20])).expect_err("too large");
    assert!(matches!(error, BlockError::FrameTooLarge { limit: 1_048_576, .. }), "{error}");
    let mut header = b"APMWAL\r\n".to_vec();
    codec::put_u32(&mut header, 2);
    codec::put_u64(&mut header, 1);
    codec::put_u64(&mut header, 1);
    let crc = crc32c::crc32c(&header);
    codec::put_u32(&mut header, crc);
    let path = PathBuf::from(format!("{DIR}/{:016x}.wal", 1));
    sim.world().disk.create(&path).and_then(|file| file.write_at(0, &header)).expect("write");
    let error = Wal::open(&sim.world(), Path::new(DIR), super::settings(), 0).err().expect("refused");
    assert!(error.to_string().contains("write-ahead log version 2, this program reads up to 1"), "{error}");
}

fn segment(sim: &SimWorld) -> PathBuf {
    let path = PathBuf::from("/data/7.seg");
    sim.world().disk.create_folder(Path::new("/data")).expect("folder");
    let mut writer = SegmentWriter::create(&sim.world(), &path, SegmentKind::Logs, "acme").expect("create");
    writer.section("words", Codec::Zstd, &b"again ".repeat(1000)).expect("section");
    writer.begin("pages");
    assert_eq!((writer.push(b"one"), writer.push(b"twotwo")), (Ok(0), Ok(3)));
    writer.section("noise", Codec::Zstd, &[1, 2, 3]).expect("section");
    let summary = SegmentSummary { time_min: -5, time_max: 9, rows: 3, series: 2, level: 1 };
    writer.finish(&summary).expect("finish");
    path
}

#[test]
fn a_segment_reads_back_whole_and_in_parts() {
    let sim = SimWorld::new(1);
    let path = segment(&sim);
    sim.disk.reboot(PowerLoss::DropAll);
    let reader = SegmentReader::open(&sim.world(), &path).expect("open");
    assert_eq!((reader.kind(), reader.tenant(), reader.summary().time_min), (SegmentKind::Logs, "acme", -5));
    assert_eq!(reader.read("words").expect("read"), b"again ".repeat(1000));
    assert!(reader.bytes() < 1000, "zstd was used");
    assert_eq!(reader.read("noise").expect("read"), [1, 2, 3]);
    assert_eq!(reader.read_part("pages", 3, 6).expect("part"), b"twotwo");
    assert!(reader.read_part("pages", 3, 7).is_err() && reader.read_part("pages", u64::MAX, 7).is_err());
    assert!(reader.read("nope").is_err_and(|e| e.to_string().contains("there is no such section")));
}

#[test]
fn every_flipped_bit_of_a_segment_is_noticed() {
    let sim = SimWorld::new(1);
    let path = segment(&sim);
    let sections = ["words", "pages", "noise"];
    let len = SegmentReader::open(&sim.world(), &path).expect("open").bytes();
    for byte in 0..len {
        sim.disk.flip_bit(&path, byte, (byte % 8) as u8);
        let read = SegmentReader::open(&sim.world(), &path)
            .and_then(|reader| sections.iter().try_for_each(|name| reader.read(name).map(|_| ())));
        let error = read.expect_err(&format!("byte {byte}"));
        assert!(error.to_string().contains("/data/7.seg"), "{error}");
        sim.disk.flip_bit(&path, byte, (byte % 8) as u8);
    }
}

#[test]
fn an_abandoned_segment_leaves_nothing() {
    let sim = SimWorld::new(1);
    let world = sim.world();
    world.disk.create_folder(Path::new("/data")).expect("folder");
    let path = Path::new("/data/8.seg");
    let mut writer = SegmentWriter::create(&world, path, SegmentKind::Metrics, "t").expect("create");
    sim.disk.set_budget_bytes(Some(1000));
    let written = writer.section("big", Codec::Plain, &vec![7; 400 << 10]);
    assert!(written.is_err_and(|e| e.is_full()));
    drop(writer);
    assert_eq!(sim.disk.files(), []);
}

fn meta(id: u64, level: u8, time: (i64, i64), bytes: u64) -> SegmentMeta {
    SegmentMeta {
        id,
        kind: SegmentKind::Metrics,
        level,
        tenant: "t".into(),
        file: format!("{id}.seg"),
        time_min: time.0,
        time_max: time.1,
        rows: 1,
        bytes,
        extra: vec![1, 2],
    }
}

#[test]
fn a_manifest_survives_rot_by_its_copy_and_names_orphans() {
    let sim = SimWorld::new(1);
    let (world, folder) = (sim.world(), Path::new("/data"));
    world.disk.create_folder(folder).expect("folder");
    assert_eq!(Manifest::load(&*world.disk, folder), Ok((None, vec![])));
    let segments = vec![meta(1, 0, (-5, 7), 10), meta(2, 1, (8, 9), 20)];
    let mut manifest =
        Manifest { wal_covered: 42, next_segment_id: 2, segments, extra: vec![9], ..Manifest::default() };
    manifest.commit(&*world.disk, folder).expect("commit");
    assert_eq!(Manifest::load(&*world.disk, folder), Ok((Some(manifest.clone()), vec![])));
    for name in ["1.seg", "2.seg", "3.seg", "4.seg.tmp", "README"] {
        world.disk.create(&folder.join(name)).expect("file");
    }
    assert_eq!(remove_orphans(&*world.disk, folder, &manifest, |name| name.ends_with(".seg")), Ok(2));
    for byte in 0..60 {
        sim.disk.flip_bit(Path::new("/data/MANIFEST"), byte, 1);
        let (found, damage) = Manifest::load(&*world.disk, folder).expect("the copy is whole");
        assert_eq!((found.as_ref(), damage.len()), (Some(&manifest), 1), "byte {byte}");
        sim.disk.flip_bit(Path::new("/data/MANIFEST"), byte, 1);
    }
    let aside = quarantine(&*world.disk, folder, &folder.join("1.seg")).expect("aside");
    assert_eq!(aside, Path::new("/data/quarantine/1.seg"));
}

#[test]
fn the_timetable_reads_aloud() {
    let timetable = Timetable {
        retention_age: Some(1000),
        retention_bytes: Some(100),
        window: 100,
        fan_in: 3,
        merge_bytes_max: 50,
    };
    // segments as (id, level, newest row, bytes) | now | dropped | merged
    type Row = (&'static [(u64, u8, i64, u64)], i64, &'static [u64], &'static [&'static [u64]]);
    let rows: [Row; 7] = [
        (&[(1, 0, 10, 5), (2, 0, 20, 5)], 100, &[], &[]),
        (&[(1, 0, 10, 5), (2, 0, 20, 5), (3, 0, 30, 5)], 100, &[], &[&[1, 2, 3]]),
        (&[(1, 0, 10, 5), (2, 0, 20, 5), (3, 0, 130, 5)], 100, &[], &[]),
        (&[(1, 0, 10, 5), (2, 1, 20, 5), (3, 0, 30, 5)], 100, &[], &[]),
        (&[(1, 0, 10, 30), (2, 0, 20, 15), (3, 0, 30, 15)], 100, &[], &[&[1, 2]]),
        (&[(1, 0, 10, 5), (2, 0, 20, 5)], 1015, &[1], &[]),
        (&[(1, 0, 10, 60), (2, 0, 20, 60), (3, 0, 130, 30)], 100, &[1], &[]),
    ];
    for (segments, now, drop, merge) in rows {
        let metas: Vec<_> =
            segments.iter().map(|(id, level, max, bytes)| meta(*id, *level, (0, *max), *bytes)).collect();
        let work = plan(&metas, now, &timetable);
        let merged: Vec<Vec<u64>> = merge.iter().map(|group| group.to_vec()).collect();
        assert_eq!((work.drop.as_slice(), work.merge), (drop, merged), "{segments:?} at {now}");
    }
}

#[test]
fn small_encodings_round_trip_and_refuse_rubbish() {
    let numbers = [0u64, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX];
    for number in numbers {
        let mut bytes = Vec::new();
        codec::put_varint(&mut bytes, number);
        codec::put_zigzag(&mut bytes, number as i64);
        let mut reader = codec::Reader::new(&bytes);
        assert_eq!((reader.varint("n"), reader.zigzag("z")), (Ok(number), Ok(number as i64)));
    }
    for rubbish in [&[0xff; 11][..], &[0x80], &[]] {
        assert!(codec::Reader::new(rubbish).varint("n").is_err(), "{rubbish:?}");
    }
    assert!(codec::Reader::new(&[200, 1, 0]).count("more than is there").is_err());
}
