//! The webhook as an API server meets it: over TLS, with a certificate that changes, and with bodies that are none.

#[path = "support/client.rs"]
mod client;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use app_admission::{AdmissionError, Options, Server};
use base_world::{World, replace_file};
use client::{Client, body, certificate};
use operate_manifest::inject::{Admission, BODY_BYTES_MAX};

/// A pair of files with a certificate that is good for `localhost`.
fn write(folder: &Path, certificate_of: &str, key_of: &str) {
    let disk = World::real().disk;
    replace_file(disk.as_ref(), &folder.join("tls.crt"), &certificate(certificate_of).0).expect("written");
    replace_file(disk.as_ref(), &folder.join("tls.key"), &certificate(key_of).1).expect("written");
}

fn options(folder: &Path) -> Options {
    Options {
        listen: "127.0.0.1:0".parse().expect("an address"),
        certificate: folder.join("tls.crt"),
        key: folder.join("tls.key"),
        admission: Admission::default(),
        connections_max: 64,
    }
}

async fn served(folder: &Path) -> u16 {
    let server = Server::bind(options(folder), World::real()).await.expect("it listens");
    let port = server.address().port();
    tokio::spawn(server.serve(std::future::pending()));
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_changes_under_load_and_no_admission_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "kube", "kube");
    let port = served(folder.path()).await;
    let (answered, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (answered, over) = (Arc::clone(&answered), Arc::clone(&over));
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    // A connection of its own for each, so that each meets whatever certificate is in force.
                    let mut client = Client::connect(port).await.expect("TLS");
                    let (status, answer) = client.post(&body()).await.expect("an answer");
                    assert_eq!((status, answer["response"]["patchType"].as_str()), (200, Some("JSONPatch")));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for next in ["docker", "kube", "docker"] {
        // First a pair that does not fit: half of a change.
        write(folder.path(), next, if next == "kube" { "docker" } else { "kube" });
        let before = answered.load(Ordering::Relaxed);
        until(|| answered.load(Ordering::Relaxed) > before + 5).await;
        write(folder.path(), next, next);
        loop {
            let client = Client::connect(port).await.expect("TLS");
            if client.certificate == certificate(next).2 {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    over.store(true, Ordering::Relaxed);
    for one in load {
        one.await.expect("no admission failed");
    }
}

async fn until(done: impl Fn() -> bool) {
    while !done() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_no_review_gets_a_status() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "kube", "kube");
    let port = served(folder.path()).await;
    let check = async |body: Vec<u8>, expect: u16| {
        let mut client = Client::connect(port).await.expect("TLS");
        // A body that is refused may be cut off while it is sent.
        if let Ok((status, _)) = client.post(&body).await {
            assert_eq!(status, expect);
        } else {
            assert_eq!(expect, 413);
        }
    };
    check(Vec::new(), 400).await;
    check(b"{\"kind\":\"Pod\"}".to_vec(), 400).await;
    check(vec![b'['; 100_000], 400).await;
    check(vec![b' '; BODY_BYTES_MAX + 1], 413).await;
    check(body(), 200).await;
}

#[tokio::test]
async fn files_that_are_no_pair_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = async || Server::bind(options(folder.path()), World::real()).await.err().expect("refused");
    assert!(matches!(error().await, AdmissionError::Disk(_)));
    write(folder.path(), "kube", "docker");
    assert!(matches!(error().await, AdmissionError::Pair { .. }));
    replace_file(World::real().disk.as_ref(), &folder.path().join("tls.crt"), b"none").expect("written");
    assert!(matches!(error().await, AdmissionError::Pem { .. }));
}
