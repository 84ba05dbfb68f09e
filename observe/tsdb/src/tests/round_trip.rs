//! What is written comes back with the same bits, however blocks and files are cut.

use base_signal::{MatchOp, Matcher, RangeMs};
use base_world::World;

use super::made::{self, BEGIN_MS, Point, Series};
use crate::block_write::BlockWriter;
use crate::{BLOCK_MS, BlockReader, DataFolder};

#[test]
fn every_point_comes_back_with_its_bits() {
    for seed in 0..12 {
        let folder = tempfile::tempdir().unwrap();
        let series = made::series(seed);
        let source = made::source(&series);
        // Now and then nearly every series is a block of its own.
        let index_bytes_max = if seed % 3 == 0 { 2_000 } else { 1 << 30 };
        let done = made::written(folder.path(), &source, index_bytes_max);
        let expect = made::selected(&source, &[], RangeMs::ALL);
        let found = made::read(folder.path(), &[], RangeMs::ALL).unwrap();
        assert_same(&found, &expect, &format!("seed {seed}"));
        let points: usize = expect.iter().map(|(_, points)| points.len()).sum();
        assert_eq!((done.stats().num_samples, done.series), (points as u64, expect.len() as u64), "seed {seed}");
        check_blocks(folder.path(), &done.blocks.iter().map(|b| b.ulid.clone()).collect::<Vec<_>>());
    }
}

fn assert_same(found: &Series, expect: &Series, what: &str) {
    let names = |series: &Series| series.iter().map(|(labels, _)| labels.clone()).collect::<Vec<_>>();
    assert_eq!(names(found), names(expect), "{what}");
    for ((labels, found), (_, expect)) in found.iter().zip(expect) {
        for (i, (found, expect)) in found.iter().zip(expect).enumerate() {
            assert_eq!(found, expect, "{what}: point {i} of {labels}");
        }
        assert_eq!(found.len(), expect.len(), "{what}: {labels}");
    }
}

/// Each lies within its two hours, as Prometheus's planner of compactions wants it, and nothing else was left behind.
fn check_blocks(folder: &std::path::Path, names: &[String]) {
    let found = DataFolder::open(&World::real(), folder).unwrap();
    assert_eq!(found.left_out, Vec::<String>::new());
    let mut listed: Vec<String> = found.blocks.iter().map(|block| block.meta.ulid.clone()).collect();
    let mut names = names.to_vec();
    listed.sort();
    names.sort();
    assert_eq!(listed, names);
    for block in found.blocks {
        let (first, last) = (block.meta.min_time, block.meta.max_time - 1);
        assert_eq!(first.div_euclid(BLOCK_MS), last.div_euclid(BLOCK_MS), "{:?}", block.meta);
    }
}

#[test]
fn a_part_is_read_as_the_source_gives_it() {
    let folder = tempfile::tempdir().unwrap();
    let series = (3..9).flat_map(made::series).collect::<Series>();
    let source = made::source(&series);
    made::written(folder.path(), &source, 1 << 30);
    let equals = |name: &str, value: &str| Matcher::new(name, MatchOp::Equal, value).unwrap();
    for matchers in [vec![], vec![equals("__name__", "up")], vec![equals("i", "1"), equals("nothing", "")]] {
        for (start, end) in [(0, 1), (0, 7_200_000), (3_600_000, 20_000_000), (9_999_999, 10_000_001)] {
            let range = RangeMs::new(BEGIN_MS + start, BEGIN_MS + end);
            let found = made::read(folder.path(), &matchers, range).unwrap();
            assert_same(&found, &made::selected(&source, &matchers, range), &format!("{matchers:?} {range:?}"));
        }
    }
}

#[test]
fn chunks_go_on_in_the_next_file_when_one_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = BlockWriter::create(&World::real(), folder.path()).unwrap();
    writer.limit_segments(300);
    let labels = |i: usize| base_signal::Labels::from_pairs([("__name__", "m"), ("i", &format!("{i:03}"))]);
    let value = |i: usize, at: i64| (i as f64 * 1.1 + at as f64).sin();
    for i in 0..50 {
        let points = (0..150).map(|at| (BEGIN_MS + at, crate::chunk::Point::Float(value(i, at))));
        writer.add(labels(i).as_ref(), points).unwrap();
    }
    let (meta, _) = writer.finish().unwrap().unwrap();
    assert_eq!((meta.stats.num_series, meta.stats.num_chunks, meta.stats.num_samples), (50, 100, 7500));
    let files = std::fs::read_dir(folder.path().join(&meta.ulid).join("chunks")).unwrap().count();
    assert!(files > 10, "{files}");
    let found = made::read(folder.path(), &[], RangeMs::ALL).unwrap();
    for (i, (found_labels, points)) in found.iter().enumerate() {
        assert_eq!(*found_labels, labels(i));
        let expect: Vec<_> = (0..150).map(|at| (BEGIN_MS + at, Point::Float(value(i, at).to_bits()))).collect();
        assert_eq!(*points, expect);
    }
    assert_eq!(found.len(), 50);
}

#[test]
fn what_is_not_finished_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = BlockWriter::create(&World::real(), folder.path()).unwrap();
    let points = [(BEGIN_MS, crate::chunk::Point::Float(1.0))];
    writer.add(base_signal::Labels::from_pairs([("__name__", "m")]).as_ref(), points.into_iter()).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    drop(writer);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    // Nor does one without a sample.
    assert_eq!(BlockWriter::create(&World::real(), folder.path()).unwrap().finish().unwrap(), None);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_was_deleted_is_not_read_and_what_is_no_block_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let source = made::source(&vec![(
        base_signal::Labels::from_pairs([("__name__", "m")]),
        (0..100).map(|at| (BEGIN_MS + at, Point::Float(at as u64))).collect(),
    )]);
    let done = made::written(folder.path(), &source, 1 << 30);
    let block = folder.path().join(&done.blocks[0].ulid);
    // The first series lies behind symbols of 37 bytes, at byte 64: its number is 4.
    let series = u8::try_from(first_series(&block)).unwrap();
    let mut stones = vec![1];
    let mut body = Vec::new();
    for (start, end) in [(0, 9), (50, 98)] {
        body.push(series);
        crate::bytes::put_varint(&mut body, BEGIN_MS + start);
        crate::bytes::put_varint(&mut body, BEGIN_MS + end);
    }
    stones.extend_from_slice(&body);
    let file = [&0x0130_BA30u32.to_be_bytes()[..], &stones, &crc32c::crc32c(&body).to_be_bytes()].concat();
    std::fs::write(block.join("tombstones"), &file).unwrap();
    for name in ["wal", "chunks_head", "01ARYZ6S41TSV4RRFFQ69G5FAV", "01ARYZ6S41TSV4RRFFQ69G5FAV.tmp-for-deletion"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("wal/00000000"), [0; 100]).unwrap();
    let left: Vec<i64> =
        made::read(folder.path(), &[], RangeMs::ALL).unwrap()[0].1.iter().map(|p| p.0 - BEGIN_MS).collect();
    assert_eq!(left, (10..50).chain([99]).collect::<Vec<_>>());
    let found = DataFolder::open(&World::real(), folder.path()).unwrap();
    let said = found.left_out.join("\n");
    for expect in ["the log (100 bytes)", "no meta.json", "being made or deleted"] {
        assert!(said.contains(expect), "{said}");
    }
    // A file that was cut or changed does not delete something else.
    for spoiled in [file[..file.len() - 1].to_vec(), file[..3].to_vec(), [&file[..8], &[0xff], &file[9..]].concat()] {
        std::fs::write(block.join("tombstones"), spoiled).unwrap();
        let error = BlockReader::open(&World::real(), &block).unwrap().batches(&[], RangeMs::ALL).err().unwrap();
        assert!(error.is_corrupt() && error.to_string().contains("tombstones is damaged"), "{error}");
    }
}

fn first_series(block: &std::path::Path) -> u64 {
    let mut index = crate::index_read::IndexReader::open(&*World::real().disk, block).unwrap();
    index.next().unwrap().unwrap().id
}
