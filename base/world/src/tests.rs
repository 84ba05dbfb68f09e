//! What callers may rely on: the same promises of the real disk and the simulated one, and the faults of the latter.

use std::path::Path;

use crate::sim::{PowerLoss, SimDisk, SimWorld};
use crate::{Clock, Disk, DiskErrorKind, File, Rng, os::OsDisk, replace_file};

/// Runs the same story on both disks: a promise that only one keeps is no promise.
fn check(story: fn(&dyn Disk, &Path)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    story(&OsDisk, folder.path());
    let sim = SimDisk::new();
    sim.create_folder(Path::new("/d")).expect("folder");
    story(&sim, Path::new("/d"));
}

#[test]
fn files_are_written_read_and_listed_alike() {
    check(|disk, dir| {
        let file = disk.create(&dir.join("a")).expect("create");
        file.preallocate(10).expect("room");
        assert_eq!(file.len(), Ok(10));
        file.write_at(8, b"four").expect("write");
        let mut bytes = [7; 20];
        assert_eq!(file.read_at(0, &mut bytes), Ok(12));
        assert_eq!(&bytes[..12], b"\0\0\0\0\0\0\0\0four");
        let short = file.read_exact_at(4, &mut bytes).expect_err("too few");
        assert_eq!(short.kind, DiskErrorKind::Short { offset: 4, wanted: 20, got: 8 });
        disk.create_folder(&dir.join("x/y")).expect("folders");
        replace_file(disk, &dir.join("b"), b"one").expect("replace");
        replace_file(disk, &dir.join("b"), b"two").expect("replace");
        assert_eq!(disk.read(&dir.join("b"), 3).expect("read"), b"two");
        assert!(disk.read(&dir.join("b"), 2).is_err());
        let names: Vec<_> = disk.list(dir).expect("list").into_iter().map(|e| (e.name, e.len, e.is_folder)).collect();
        let expect = [("a".to_owned(), 12, false), ("b".to_owned(), 3, false), ("x".to_owned(), 0, true)];
        assert_eq!(names, expect);
    });
}

#[test]
fn errors_name_the_operation_and_the_path() {
    check(|disk, dir| {
        let missing = dir.join("none");
        let error = disk.open(&missing).err().expect("there is no such file");
        assert_eq!(error.to_string(), format!("cannot open {}: not found", missing.display()));
        disk.create(&dir.join("a")).expect("create");
        assert_eq!(disk.create(&dir.join("a")).err().map(|e| e.kind), Some(DiskErrorKind::AlreadyExists));
    });
}

#[test]
fn a_second_holder_is_told_the_pid_of_the_first() {
    check(|disk, dir| {
        let held = disk.lock_folder(dir).expect("lock");
        let refused = disk.lock_folder(dir).err().expect("held");
        assert_eq!(refused.kind, DiskErrorKind::LockedBy { pid: Some(std::process::id()) });
        drop(held);
        disk.lock_folder(dir).expect("free again");
    });
}

#[test]
fn a_removed_file_is_still_read_by_who_holds_it() {
    check(|disk, dir| {
        let file = disk.create(&dir.join("a")).expect("create");
        file.write_at(0, b"abc").expect("write");
        disk.remove(&dir.join("a")).expect("remove");
        let mut bytes = [0; 3];
        file.read_exact_at(0, &mut bytes).expect("still there");
        assert_eq!(&bytes, b"abc");
    });
}

#[test]
fn an_identity_stays_with_the_file_and_not_with_the_name() {
    check(|disk, dir| {
        let (a, b) = (dir.join("a"), dir.join("b"));
        let file = disk.create(&a).expect("create");
        let first = disk.identity(&a).expect("look");
        assert_eq!(file.identity(), Ok(first));
        disk.rename(&a, &b).expect("rename");
        disk.create(&a).expect("create");
        assert_eq!((disk.identity(&b), file.identity()), (Ok(first), Ok(first)));
        assert_ne!(disk.identity(&a).expect("look"), first);
    });
    let (disk, _) = sim_with("/d/a", b"");
    let old = disk.identity(Path::new("/d/a"));
    disk.remove(Path::new("/d/a")).expect("remove");
    disk.sync_folder(Path::new("/d")).expect("sync");
    disk.reboot(PowerLoss::KeepAll);
    disk.create(Path::new("/d/b")).expect("create");
    assert_eq!(disk.identity(Path::new("/d/b")), old, "numbers are given again when nobody holds the old file");
}

fn sim_with(path: &str, bytes: &[u8]) -> (SimDisk, std::sync::Arc<dyn File>) {
    let disk = SimDisk::new();
    disk.create_folder(Path::new("/d")).expect("folder");
    let file = disk.create(Path::new(path)).expect("create");
    file.write_at(0, bytes).expect("write");
    (disk, file)
}

#[test]
fn power_loss_takes_unsynced_bytes_and_names() {
    let (disk, file) = sim_with("/d/a", b"old");
    file.sync().expect("sync");
    disk.reboot(PowerLoss::DropAll);
    assert!(disk.files().is_empty(), "the name was never synced");
    assert_eq!(file.sync().map_err(|e| e.kind), Err(DiskErrorKind::Crashed), "handles die with the machine");

    let (disk, file) = sim_with("/d/a", b"old");
    file.sync().expect("sync");
    disk.sync_folder(Path::new("/d")).expect("sync");
    file.write_at(0, b"new").expect("write");
    disk.reboot(PowerLoss::DropAll);
    assert_eq!(disk.read(Path::new("/d/a"), 9).expect("read"), b"old");
}

#[test]
fn a_subset_tears_at_sectors_and_replays_from_its_seed() {
    let run = |seed| {
        let (disk, file) = sim_with("/d/a", &[1; 4096]);
        file.sync().expect("sync");
        disk.sync_folder(Path::new("/d")).expect("sync");
        file.write_at(0, &[2; 4096]).expect("write");
        disk.reboot(PowerLoss::Subset(seed));
        disk.read(Path::new("/d/a"), 4096).expect("read")
    };
    assert!((0..20).all(|seed| run(seed).chunks(512).all(|sector| sector.iter().all(|b| *b == sector[0]))));
    assert!((0..20).any(|seed| run(seed).contains(&1) && run(seed).contains(&2)), "some seed must tear");
    assert_eq!(run(7), run(7));
}

#[test]
fn a_full_disk_writes_a_part_and_says_so() {
    let (disk, file) = sim_with("/d/a", b"12345678");
    disk.set_budget_bytes(Some(10));
    assert_eq!(file.write_at(8, b"9abc").map_err(|e| e.kind), Err(DiskErrorKind::Full));
    assert_eq!(disk.read(Path::new("/d/a"), 99).expect("read"), b"123456789a");
    assert_eq!(disk.free_bytes(Path::new("/d")), Ok(0));
    disk.set_budget_bytes(None);
    file.write_at(8, b"9abc").expect("room again");
}

#[test]
fn a_crash_stops_everything_until_reboot() {
    let (disk, file) = sim_with("/d/a", b"");
    disk.crash_at(disk.operations() + 2);
    file.write_at(0, b"whole").expect("before");
    assert_eq!(file.write_at(5, b"torn").map_err(|e| e.kind), Err(DiskErrorKind::Crashed));
    assert!(disk.open(Path::new("/d/a")).is_err());
    disk.reboot(PowerLoss::KeepAll);
    assert_eq!(disk.read(Path::new("/d/a"), 99).expect("read"), b"wholeto");
}

#[test]
fn bytes_of_a_failed_sync_are_lost_even_if_the_next_sync_succeeds() {
    let (disk, file) = sim_with("/d/a", b"gone");
    disk.sync_folder(Path::new("/d")).expect("sync");
    disk.fail_at(disk.operations() + 1);
    file.sync().expect_err("ordered to fail");
    assert!(disk.has_failed());
    file.sync().expect("the lie of the kernel");
    disk.reboot(PowerLoss::DropAll);
    assert_eq!(disk.read(Path::new("/d/a"), 9).expect("read"), b"");
}

#[test]
fn time_and_chance_replay() {
    let sim = SimWorld::new(3);
    sim.clock.advance_ms(1500);
    assert_eq!((sim.clock.now_ms(), sim.clock.monotonic_ns()), (1_767_225_601_500, 1_500_000_000));
    assert_eq!(SimWorld::new(3).world().random.next_u64(), sim.world().random.next_u64());
    let mut rng = Rng::new(1);
    assert!((0..1000).all(|_| rng.below(3) < 3) && rng.below(0) == 0);
}
