//! This machine's own metrics, read where the kernel tells them.

use std::path::{Path, PathBuf};

use observe_ingest::host::{FilesystemStats, ReadHost, collect};
use observe_ingest::self_metrics::Protocol;

use super::{Machine, Scraper};
use crate::memory::read;

struct Reader<'a> {
    scraper: &'a Scraper,
    root: Option<&'a Path>,
}

impl ReadHost for Reader<'_> {
    fn read_text(&self, path: &str) -> Option<String> {
        let Some(root) = self.root else { return read(&self.scraper.world, path) };
        // Who asks for its own network or mounts is asked which: the machine's are those of its first process.
        let of_first = match (path.strip_prefix("/proc/net/"), path.strip_prefix("/proc/self/")) {
            (Some(rest), _) => format!("proc/1/net/{rest}"),
            (_, Some(rest)) => format!("proc/1/{rest}"),
            _ => path.trim_start_matches('/').to_owned(),
        };
        read(&self.scraper.world, &root.join(of_first).to_string_lossy())
    }

    fn filesystem(&self, mount_point: &str) -> Option<FilesystemStats> {
        let place = match self.root {
            Some(root) => root.join(mount_point.trim_start_matches('/')),
            None => PathBuf::from(mount_point),
        };
        let stats = rustix::fs::statvfs(&place).ok()?;
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

pub(crate) async fn run(scraper: Scraper, machine: Machine, interval_ms: i64) {
    let uname = rustix::system::uname();
    let hostname = machine.name.unwrap_or_else(|| uname.nodename().to_string_lossy().into_owned());
    let hardware = uname.machine().to_string_lossy().into_owned();
    loop {
        let now_ms = scraper.world.clock.now_ms();
        let due_ms = now_ms - now_ms.rem_euclid(interval_ms) + interval_ms;
        scraper.until(due_ms).await;
        let (scraper_too, root) = (scraper.clone(), machine.root.clone());
        let (hostname, hardware) = (hostname.clone(), hardware.clone());
        // A file system that hangs must not hold up anything else.
        let collected = tokio::task::spawn_blocking(move || {
            let reader = Reader { scraper: &scraper_too, root: root.as_deref() };
            collect(&reader, &hostname, &hardware, due_ms)
        })
        .await;
        if let Ok(write) = collected {
            scraper.store(Protocol::Host, write);
        }
    }
}
