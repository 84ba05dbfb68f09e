//! How much memory there is and how much we use. Linux's files; elsewhere the defaults of a small machine.

use std::time::Duration;

use base_world::World;
use tokio::sync::watch;

const MIN: u64 = 512 << 20;
const MAX: u64 = 4 << 30;

/// A quarter of what the cgroup or the machine has, 512 MB to 4 GB.
pub(crate) fn default_limit_bytes() -> u64 {
    let world = World::real();
    let cgroups = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = cgroups.iter().filter_map(|path| read(&world, path)?.trim().parse::<u64>().ok()).min();
    let machine = read(&world, "/proc/meminfo").and_then(|text| kilobytes(&text, "MemTotal:"));
    let total = [limit, machine].into_iter().flatten().min().unwrap_or(MIN * 4);
    (total / 4).clamp(MIN, MAX)
}

/// Resident bytes of this process, 0 where that cannot be known.
pub(crate) fn resident_bytes(world: &World) -> u64 {
    read(world, "/proc/self/status").and_then(|text| kilobytes(&text, "VmRSS:")).unwrap_or(0)
}

/// A resident size that moves by less within a second is one at rest.
const REST_BYTES: u64 = 1 << 20;

/// Gives freed pages back: once a second while more than half of the limit is resident, so that what a burst or a query left does not count against the
/// next one; below that once when a burst is over, because what a flush needed for a moment is nobody's any more.
pub(crate) async fn give_back(world: World, limit_bytes: u64, mut stop: watch::Receiver<bool>) {
    let (mut before, mut moved) = (0, false);
    while !*stop.borrow() {
        tokio::select! {
            _ = stop.changed() => {}
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                let resident = resident_bytes(&world);
                let rests = resident.abs_diff(before) < REST_BYTES;
                moved |= !rests;
                before = resident;
                if resident > limit_bytes / 2 || (moved && rests) {
                    // Its own thread: the walk may take milliseconds.
                    let _ = tokio::task::spawn_blocking(base_world::os::heap::release_freed).await;
                    (before, moved) = (resident_bytes(&world), false);
                }
            }
        }
    }
}

/// Files of /proc say they are empty, so they are read in one piece of the most they can be.
pub(crate) fn read(world: &World, path: &str) -> Option<String> {
    let file = world.disk.open(path.as_ref()).ok()?;
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    while bytes.len() < 4 << 20 {
        let read = file.read_at(bytes.len() as u64, &mut chunk).ok()?;
        if read == 0 {
            break;
        }
        bytes.extend_from_slice(&chunk[..read]);
    }
    String::from_utf8(bytes).ok()
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()? << 10)
}
