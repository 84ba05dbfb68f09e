//! Measures the webhook: `cargo run -p app-admission --example load [ADMISSIONS_PER_S] [SECONDS]`. Each admission has its instant; its latency counts from
//! there, so that a stall is not hidden by what it delays.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a measuring program")]

#[path = "../tests/support/client.rs"]
mod client;

use std::time::Duration;

use app_admission::{Options, Server};
use base_world::{World, replace_file};
use client::{Client, body, certificate};
use operate_manifest::inject::Admission;
use tokio::time::Instant;

/// The API server keeps few connections, and asks on each of them for many pods.
const CONNECTIONS: u64 = 16;

#[tokio::main]
async fn main() {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<u64>().expect("a number"));
    let (rate, seconds) = (words.next().unwrap_or(1000), words.next().unwrap_or(10));
    let folder = tempfile::tempdir().unwrap();
    let (world, (chain, key, _)) = (World::real(), certificate("kube"));
    let paths = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    replace_file(world.disk.as_ref(), &paths.0, &chain).unwrap();
    replace_file(world.disk.as_ref(), &paths.1, &key).unwrap();
    let listen = "127.0.0.1:0".parse().unwrap();
    let options =
        Options { listen, certificate: paths.0, key: paths.1, admission: Admission::default(), connections_max: 64 };
    let server = Server::bind(options, world).await.unwrap();
    let port = server.address().port();
    tokio::spawn(server.serve(std::future::pending()));
    let start = Instant::now() + Duration::from_millis(500);
    let senders = (0..CONNECTIONS).map(|number| {
        tokio::spawn(async move {
            let (mut client, body) = (Client::connect(port).await.unwrap(), body());
            let mut took = Vec::new();
            for at in (number..rate * seconds).step_by(CONNECTIONS as usize) {
                let due = start + Duration::from_nanos(at * 1_000_000_000 / rate);
                tokio::time::sleep_until(due).await;
                let (status, _) = client.post(&body).await.unwrap();
                assert_eq!(status, 200);
                took.push(due.elapsed());
            }
            took
        })
    });
    let mut took = Vec::new();
    for sender in senders.collect::<Vec<_>>() {
        took.extend(sender.await.unwrap());
    }
    took.sort();
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize];
    let rate_seen = took.len() as f64 / start.elapsed().as_secs_f64();
    println!("{} admissions, {rate_seen:.0}/s: p50 {:?}, p99 {:?}, most {:?}", took.len(), at(0.5), at(0.99), at(1.0));
}
