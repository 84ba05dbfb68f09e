//! kill -9 in the middle of writing: the test starts itself again as the writer, and kills it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use base_world::Rng;
use operate_execute::{Filter, History as _, Order, State};
use operate_history::{Action, Deed};

use crate::open;
use crate::support::{command, event, leased, plan, run_id};

const FILE: &str = "APM_TEST_HISTORY_FILE";
const LIFE: &str = "APM_TEST_HISTORY_LIFE";

/// Writes until it is killed, and says each line once it is kept. Does nothing unless the test below starts it.
#[tokio::test]
async fn the_writer_that_is_killed() {
    let (Ok(file), Ok(life)) = (std::env::var(FILE), std::env::var(LIFE)) else { return };
    let life: i64 = life.parse().expect("a number");
    let (history, run) = (open(Path::new(&file)).await, run_id("r"));
    let fence = leased(&history, "t", life * 1_000, 1).await;
    for number in 0.. {
        let entry = history.append(&run, fence, life, event(number)).await.expect("kept");
        println!("line {}", entry.seq);
        if number % 3 == 0 {
            let why = "w".repeat(3_000);
            let deed =
                Deed { actor: "ann".into(), role: String::new(), action: Action::Pause, run: Some(run.clone()), why };
            println!("deed {}", history.record(life, &deed).await.expect("kept").seq);
            println!("order {}", history.order(&run, life, &command(Order::Pause)).await.expect("kept"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("history.db");
    let run = run_id("r");
    let first = open(&file).await;
    first.create(&run, &plan("t", &[("service", "cart")]), 0, &command(Order::Resume)).await.expect("a new run");
    drop(first);
    let mut rng = Rng::new(9);
    let (mut line, mut deed, mut order) = (1, 0, 0);
    for life in 1..=20 {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "kills::the_writer_that_is_killed", "--nocapture"])
            .env(FILE, &file)
            .env(LIFE, life.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut acknowledged = 0;
        let kill_after = rng.below(60) + 1;
        for said in lines.by_ref().map_while(Result::ok) {
            let Some((word, number)) = said.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match word {
                "line" => line = number,
                "deed" => deed = number,
                "order" => order = number,
                _ => continue,
            }
            acknowledged += 1;
            if acknowledged == kill_after {
                // Somewhere within the next write, not always at its beginning.
                tokio::time::sleep(Duration::from_micros(rng.below(3_000))).await;
                child.kill().expect("kill -9");
            }
        }
        assert!(acknowledged >= kill_after, "life {life} ended by itself");
        child.wait().expect("gone");

        let history = open(&file).await;
        assert_eq!(history.verify_run(&run).await, Ok(None), "life {life}");
        assert_eq!(history.verify_audit().await, Ok(None), "life {life}");
        let entries = history.entries(&run, 0, usize::MAX).await.expect("all");
        let orders = history.orders(&run, 0).await.expect("all");
        let audit = history.audit(0, usize::MAX).await.expect("all");
        let found = (entries.len() as u64, audit.len() as u64, orders.len() as u64);
        assert!(
            found.0 >= line && found.1 >= deed && found.2 >= order,
            "life {life}: {line} {deed} {order}, {found:?}"
        );
        let rows = history.runs(&Filter { limit: 1, ..Filter::default() }).await.expect("a list");
        assert_eq!(rows.first().map(|row| row.status), Some(State::of(&entries).status()), "life {life}");
    }
}
