//! The real Prometheus beside us: it scrapes itself every second and remote-writes what it scraped to the engine, so that both hold the same samples; or
//! it takes what the engine has by federation.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{Engine, Peer, http, peer, tools, wait};

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    peer: Peer,
    /// `http://127.0.0.1:…`
    pub url: String,
}

impl Prometheus {
    /// Starts it with the engine as its remote; `message` is the protobuf message of remote write 1 or 2.
    pub fn start(engine: &Engine, message: &str) -> Self {
        let port = peer::free_port();
        let config = format!(
            "global: {{ scrape_interval: 1s }}\n\
             scrape_configs:\n- job_name: prometheus\n  static_configs: [{{ targets: ['127.0.0.1:{port}'] }}]\n\
             remote_write:\n- url: {}/api/v1/write\n  protobuf_message: {message}\n  queue_config: {{ batch_send_deadline: 500ms }}\n",
            engine.url
        );
        // Version 2 carries metadata with each series, which Prometheus keeps only with this feature.
        Self::launch(engine, port, &config, &["--enable-feature=metadata-wal-records"])
    }

    /// Starts one that takes what the engine has of services, containers and hosts, as a team that has a Prometheus would have it.
    pub fn federating(engine: &Engine) -> Self {
        let address = engine.url.trim_start_matches("http://");
        let config = format!(
            "global: {{ scrape_interval: 5s }}\n\
             scrape_configs:\n- job_name: apm\n  honor_labels: true\n  metrics_path: /federate\n\
             \x20 params: {{ 'match[]': ['{{__name__=~\"traces_spanmetrics_.+\"}}', '{{job=~\"cadvisor|node\"}}'] }}\n\
             \x20 static_configs: [{{ targets: ['{address}'] }}]\n"
        );
        Self::launch(engine, peer::free_port(), &config, &[])
    }

    /// Starts one that scrapes nothing and takes remote write; its files lie with the engine's.
    pub fn receiving(engine: &Engine) -> Self {
        Self::launch(engine, peer::free_port(), "global: {}\n", &["--web.enable-remote-write-receiver"])
    }

    /// Starts one with this configuration and these flags.
    pub fn launch(engine: &Engine, port: u16, config: &str, flags: &[&str]) -> Self {
        Self::launch_on(engine, &engine.home().join("prometheus"), port, config, flags)
    }

    /// The same on a data folder that may hold something already.
    pub fn launch_on(engine: &Engine, data: &Path, port: u16, config: &str, flags: &[&str]) -> Self {
        let home = engine.artefacts();
        let file = home.join("prometheus.yml");
        std::fs::write(&file, config).expect("the artefacts' folder can be written");
        let mut command = Command::new(tools::tool("prometheus"));
        command.arg(format!("--config.file={}", file.display())).arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command.arg(format!("--storage.tsdb.path={}", data.display())).args(flags);
        let mut peer = Peer::start(&mut command, home.join("prometheus.log"));
        let url = format!("http://127.0.0.1:{port}");
        wait::until("Prometheus to be ready", 60, || {
            assert!(peer.ended().is_none(), "Prometheus ended:\n{}", peer.printed());
            let reply = http::try_get(&format!("{url}/-/ready"), &[])?;
            if reply.status == 200 { Ok(()) } else { Err(reply.text()) }
        });
        Self { peer, url }
    }

    /// Ends it in good order.
    pub fn stop(mut self) {
        let ended = self.peer.terminate(60);
        assert!(ended.success(), "Prometheus ended with {ended}:\n{}", self.peer.printed());
    }

    /// What it printed until now.
    pub fn printed(&self) -> String {
        self.peer.printed()
    }

    /// Waits for some seconds of samples, and until the engine has them too. Gives the moment, in seconds since 1970, up to which both hold the same.
    pub fn wait_for_history(&self, engine: &Engine, seconds: f64) -> f64 {
        wait::until("some seconds of samples in Prometheus", 90, || {
            let count = number(&self.url, "count_over_time(up{job=\"prometheus\"}[5m])").unwrap_or(0.0);
            if count >= seconds { Ok(()) } else { Err(count) }
        });
        let at = wait::now_s();
        // Two scrapes past that moment, on both sides: what was scraped before it has arrived.
        for url in [&self.url, &engine.url] {
            wait::until("two scrapes past that moment", 60, || {
                let seen = number(url, "timestamp(up{job=\"prometheus\"})").unwrap_or(0.0);
                if seen > at + 1.0 { Ok(()) } else { Err((url, seen, at, self.peer.printed())) }
            });
        }
        at
    }
}

/// The single number an instant query gives now.
pub fn number(url: &str, query: &str) -> Option<f64> {
    let answer = http::get(&format!("{url}/api/v1/query"), &[("query", query)]).ok().json();
    answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
}

/// Equal, whatever the order of a vector; numbers up to the last bits, because a sum may be taken in another order.
pub fn alike(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Array(ours), Value::Array(theirs)) => {
            let sorted = |values: &[Value]| {
                let mut values: Vec<Value> = values.to_vec();
                values.sort_by_key(|value| value["metric"].to_string());
                values
            };
            let (ours, theirs) = (sorted(ours), sorted(theirs));
            ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(ours, theirs)| alike(ours, theirs))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            let same = |(key, value): (&String, &Value)| theirs.get(key).is_some_and(|other| alike(value, other));
            ours.len() == theirs.len() && ours.iter().all(same)
        }
        (Value::String(ours), Value::String(theirs)) => ours == theirs || close(ours.parse().ok(), theirs.parse().ok()),
        (ours, theirs) => ours == theirs,
    }
}

fn close(ours: Option<f64>, theirs: Option<f64>) -> bool {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => (ours - theirs).abs() <= 1e-12 * ours.abs().max(theirs.abs()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::alike;

    #[test]
    fn the_comparison_sees_a_difference() {
        let parsed = |text: &str| serde_json::from_str(text).expect("the rows are JSON");
        let check = |ours: &str, theirs: &str, same: bool| {
            assert_eq!(alike(&parsed(ours), &parsed(theirs)), same, "{ours} {theirs}")
        };
        let one =
            r#"[{"metric":{"job":"a"},"value":[1,"0.30000000000000004"]},{"metric":{"job":"b"},"value":[1,"2"]}]"#;
        check(one, one, true);
        check(one, r#"[{"metric":{"job":"b"},"value":[1,"2"]},{"metric":{"job":"a"},"value":[1,"0.3"]}]"#, true);
        check(one, r#"[{"metric":{"job":"a"},"value":[1,"0.3001"]},{"metric":{"job":"b"},"value":[1,"2"]}]"#, false);
        check(one, r#"[{"metric":{"job":"a"},"value":[1,"0.3"]}]"#, false);
        check(one, r#"[{"metric":{"job":"a"},"value":[2,"0.3"]},{"metric":{"job":"b"},"value":[1,"2"]}]"#, false);
        check(r#"["NaN"]"#, r#"["NaN"]"#, true);
        check(r#"["NaN"]"#, r#"["1"]"#, false);
    }
}
