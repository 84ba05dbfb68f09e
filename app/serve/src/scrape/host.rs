//! This machine's own metrics, read where the kernel tells them.

use observe_ingest::host::{FilesystemStats, ReadHost, collect};
use observe_ingest::self_metrics::Protocol;

use super::Scraper;
use crate::memory::read;

struct Machine<'a>(&'a Scraper);

impl ReadHost for Machine<'_> {
    fn read_text(&self, path: &str) -> Option<String> {
        read(&self.0.world, path)
    }

    fn filesystem(&self, mount_point: &str) -> Option<FilesystemStats> {
        let stats = rustix::fs::statvfs(mount_point).ok()?;
        let block = stats.f_frsize;
        Some(FilesystemStats {
            size_bytes: stats.f_blocks.saturating_mul(block),
            free_bytes: stats.f_bfree.saturating_mul(block),
            avail_bytes: stats.f_bavail.saturating_mul(block),
            files: stats.f_files,
            files_free: stats.f_ffree,
            read_only: stats.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
        })
    }
}

pub(crate) async fn run(scraper: Scraper, interval_ms: i64) {
    let name = rustix::system::uname();
    let (hostname, machine) =
        (name.nodename().to_string_lossy().into_owned(), name.machine().to_string_lossy().into_owned());
    loop {
        let now_ms = scraper.world.clock.now_ms();
        let due_ms = now_ms - now_ms.rem_euclid(interval_ms) + interval_ms;
        scraper.until(due_ms).await;
        let (reader, hostname, machine) = (scraper.clone(), hostname.clone(), machine.clone());
        // A file system that hangs must not hold up anything else.
        let collected =
            tokio::task::spawn_blocking(move || collect(&Machine(&reader), &hostname, &machine, due_ms)).await;
        if let Ok(write) = collected {
            scraper.store(Protocol::Host, write);
        }
    }
}
