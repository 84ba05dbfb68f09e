//! `apm front` as a person uses it: a port is owned, upstreams are set, drained and shown, and a word ends it.

use crate::home::{Ended, Home, Started};
use crate::http::{Server, ask};
use crate::paper::says;

/// A front on a free port, and what is needed to speak to it.
struct Front {
    home: Home,
    started: Started,
    address: String,
}

impl Front {
    fn start(words: &[&str]) -> Front {
        let home = Home::new();
        let mut all = vec!["front", "run", "--listen", "127.0.0.1:0", "--control", "front.sock"];
        all.extend(words);
        let started = home.start(&mut home.apm(&all));
        started.shows("front on 127.0.0.1:");
        let printed = started.stdout();
        let address = printed.lines().find_map(|line| line.strip_prefix("front on ")).unwrap_or_default().to_owned();
        Front { home, started, address }
    }

    fn run(&self, line: &str) -> Ended {
        let words: Vec<_> = line.split_whitespace().collect();
        self.home.start(self.home.apm(&words).args(["--control", "unix:front.sock"])).ended()
    }

    fn check(&self, line: &str, code: i32, expect: &[&str]) {
        says(line, &self.run(line), code, expect);
    }

    fn body(&self) -> (u16, String) {
        let reply = ask("GET", &format!("http://{}/", self.address), &[], "").expect("an answer");
        (reply.status, reply.body)
    }
}

#[test]
fn upstreams_are_set_drained_and_shown_until_a_word_ends_it() {
    let [blue, green] = ["blue", "green"].map(|name| Server::start(move |_| (200, name.to_owned())));
    let front = Front::start(&["--metrics", "127.0.0.1:0"]);
    front.check("front status", 0, &[&front.address, "generation 0", "pid "]);
    let first = format!("front set blue={}", blue.address);
    front.check(&first, 0, &["generation 1", "blue ", &blue.address, "weight 1", "well", "0 in flight"]);
    assert_eq!(front.body(), (200, "blue".to_owned()));
    // Who decided by an older state is refused.
    front.check(&format!("front set --generation 0 green={}", green.address), 3, &["generation"]);
    assert_eq!(front.body(), (200, "blue".to_owned()));
    let both = format!("front set --check / blue={}*0 green={}*9", blue.address, green.address);
    front.check(&both, 0, &["generation 2", "weight 0", "weight 9"]);
    assert_eq!(front.body(), (200, "green".to_owned()));
    front.check("front drain blue --timeout 5s", 0, &["blue holds nothing any more"]);
    front.check("front status", 0, &["blue ", "draining", "green "]);
    front.check("front drain red", 0, &["no upstream is called red, so it holds nothing"]);
    front.check("front set green", 2, &["`green` is no upstream", "NAME=HOST:PORT*WEIGHT"]);
    front.check("front set green=127.0.0.1:1*heavy", 2, &["`green=127.0.0.1:1*heavy` is no upstream"]);
    front.check("front stop", 0, &["the front on ", &front.address, "ends"]);
    let ended = front.started.ended();
    says("front run", &ended, 0, &["front on ", "metrics on http://127.0.0.1:", "/metrics"]);
}

#[test]
fn what_was_set_is_in_force_again_after_a_signal() {
    let green = Server::start(|_| (200, "green".to_owned()));
    let front = Front::start(&["--threads", "2", "--own-session"]);
    front.check(&format!("front set --check tcp green={}", green.address), 0, &["generation 1"]);
    let Front { home, started, .. } = front;
    started.signal(rustix::process::Signal::TERM);
    says("front run", &started.ended(), 0, &[]);
    let ended = home.start(&mut home.apm(&["front", "status", "--control", "front.sock"])).ended();
    says("front status", &ended, 3, &["front.sock", "start one with `apm front run`"]);
    let words = ["front", "run", "--listen", "127.0.0.1:0", "--control", "front.sock", "--drain-timeout", "1s"];
    let started = home.start(&mut home.apm(&words));
    started.shows("front on 127.0.0.1:");
    let printed = started.stdout();
    let address = printed.trim().trim_start_matches("front on ").to_owned();
    let front = Front { home, started, address };
    assert_eq!(front.body(), (200, "green".to_owned()));
    front.check("front status", 0, &["generation 1", "green "]);
}

#[test]
fn a_port_that_cannot_be_had_is_named() {
    let front = Front::start(&[]);
    let run = |listen: &str, control: &str| {
        let words = ["front", "run", "--listen", listen, "--control", control];
        front.home.start(&mut front.home.apm(&words)).ended()
    };
    says("front run", &run(&front.address, "other.sock"), 3, &[&front.address, "choose another with --listen"]);
    says("front run", &run("nowhere", "other.sock"), 2, &["nowhere", "write `--listen 127.0.0.1:PORT`"]);
    says("front run", &run("127.0.0.1:0", "front.sock"), 3, &["front.sock"]);
}
