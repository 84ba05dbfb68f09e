//! The timetable of container metrics: looks for the engine until there is one, reads it at the host's pace, and says once when it is lost.
//!
//! What the metrics are is `observe/ingest`'s, how an engine is asked `app/adapt`'s.

use std::time::Duration;

use app_adapt::DockerContainers;
use app_deploy::DockerSurroundings;
use observe_ingest::containers::{JOB, ReadContainers, Unread, exposition};
use observe_ingest::scrape::{Fetched, ScrapeLoop};
use observe_ingest::self_metrics::Protocol;

use super::{Scraper, only};

/// How often an engine is looked for where there is none.
const LOOK_MS: i64 = 15_000;
/// Reading may take one part in so many of the time: with many containers it is done more seldom. It is waiting for the most part.
const SHARE: i64 = 2;
/// A reading that takes longer is given up.
const READ_MAX: Duration = Duration::from_secs(60);
const TEXT: &str = "text/plain; version=0.0.4";

/// Where an engine is looked for.
pub(super) struct Place {
    surroundings: DockerSurroundings,
    /// A person named it: that nobody answers there is worth a word.
    named: bool,
}

/// `None` for `off`.
pub(super) fn place(setting: &str, surroundings: DockerSurroundings) -> Option<Place> {
    match setting {
        "off" => None,
        "auto" | "" => Some(Place { named: surroundings.docker_host.is_some(), surroundings }),
        host => {
            let surroundings = DockerSurroundings { docker_host: Some(host.to_owned()), ..surroundings };
            Some(Place { named: true, surroundings })
        }
    }
}

pub(super) async fn run(scraper: Scraper, place: Place, interval_ms: i64) {
    let mut told = None;
    loop {
        match begin(&scraper, &place, interval_ms).await {
            Ok((docker, state)) => keep(&scraper, &docker, state, interval_ms).await,
            Err(unread) => {
                let silent = unread.absent && !place.named;
                // The same trouble is told once.
                if !silent && told.as_ref() != Some(&unread.why) {
                    tracing::warn!("containers are not measured: {}", unread.why);
                }
                told = Some(unread.why);
            }
        }
        let now_ms = scraper.world.clock.now_ms();
        scraper.until(now_ms + LOOK_MS).await;
    }
}

async fn begin(scraper: &Scraper, place: &Place, interval_ms: i64) -> Result<(DockerContainers, ScrapeLoop), Unread> {
    let docker = DockerContainers::find(&place.surroundings, &*scraper.world.disk)?;
    let machine = docker.machine().await?;
    let not_made = || Unread { why: format!("`{machine}` is no name of a machine"), absent: false };
    let state = only(JOB, machine.clone(), interval_ms).ok_or_else(not_made)?;
    tracing::info!("containers of {} are measured", docker.place());
    Ok((docker, state))
}

/// As long as the process lives: an engine that was there may come back.
async fn keep(scraper: &Scraper, docker: &DockerContainers, mut state: ScrapeLoop, interval_ms: i64) {
    let mut lost = false;
    loop {
        let now_ms = scraper.world.clock.now_ms();
        let mut due_ms = now_ms - now_ms.rem_euclid(interval_ms) + interval_ms;
        scraper.until(due_ms).await;
        let began_ns = scraper.world.clock.monotonic_ns();
        let read = match tokio::time::timeout(READ_MAX, docker.read()).await {
            Ok(read) => read,
            Err(_) => Err(Unread { why: format!("no end within {} s", READ_MAX.as_secs()), absent: false }),
        };
        let took_ns = scraper.world.clock.monotonic_ns().saturating_sub(began_ns);
        match (&read, lost) {
            (Err(unread), false) => {
                tracing::warn!("containers of {} are measured no more: {}", docker.place(), unread.why)
            }
            (Ok(_), true) => tracing::info!("containers of {} are measured again", docker.place()),
            _ => {}
        }
        lost = read.is_err();
        let answer = read.map(|containers| Fetched {
            content_type: TEXT.into(),
            body: exposition(&containers, due_ms).into_bytes(),
        });
        let scraped = state.finish(answer.as_ref().map_err(|unread| unread.why.as_str()), due_ms, took_ns);
        scraper.store(Protocol::Containers, scraped.write);
        let took_ms = i64::try_from(took_ns / 1_000_000).unwrap_or(i64::MAX);
        due_ms = due_ms.saturating_add(took_ms.saturating_mul(SHARE));
        scraper.until(due_ms).await;
    }
}
