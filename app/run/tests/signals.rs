//! Signals reach the program and everything it started. Alone in its binary: a signal is sent to the whole test process.
#![expect(clippy::disallowed_methods, reason = "the tests play the person who edits files")]

use std::path::Path;
use std::time::Duration;

use app_run::{RunOptions, Tone, run};
use rustix::process::{Signal, getpid, kill_process};

/// The program starts a helper; both write down the signal they got.
const SCRIPT: &str =
    "sh -c 'trap \"echo helper >> got.txt; exit 0\" HUP; echo up >> ready.txt; while true; do sleep 0.02; done' &
trap 'echo program >> got.txt; wait; exit 33' HUP
echo up >> ready.txt
while true; do sleep 0.02; done";

async fn lines(file: &Path, count: usize) {
    while std::fs::read_to_string(file).unwrap_or_default().lines().count() < count {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_signal_reaches_the_whole_group_and_the_code_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let mut options = RunOptions::new(["/bin/sh", "-c", SCRIPT].map(Into::into).into(), folder.to_owned());
    options.api_url = "http://127.0.0.1:9".to_owned();
    options.cache_dir = Some(folder.join(".cache"));
    let mut silent = |_: Tone, _: &str| {};
    let person = async {
        lines(&folder.join("ready.txt"), 2).await;
        kill_process(getpid(), Signal::HUP).unwrap();
    };
    let (code, ()) =
        tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(run(options, &mut silent), person) })
            .await
            .expect("the signal did not end the run");
    assert_eq!(code.unwrap(), 33);
    let got = std::fs::read_to_string(folder.join("got.txt")).unwrap();
    assert!(got.contains("program") && got.contains("helper"), "{got}");
}
