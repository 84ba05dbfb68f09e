//! A `prometheus.yml` as a team has it: what is scraped and how failures show, and a reload that changes all or nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::process::Signal;

use crate::engine::Engine;
use crate::home::{Home, until};
use crate::http::Server;

const ORDERS: &str = "# TYPE shop_orders_total counter\nshop_orders_total{city=\"Ulm\"} 7\n";

/// A service that answers 200 with its metrics, or the status it is told to.
fn target(status: &Arc<AtomicU16>) -> Server {
    let status = status.clone();
    Server::start(move |head| match status.load(Ordering::SeqCst) {
        200 if !head.starts_with("GET /metrics HTTP/1.1") => (404, String::new()),
        status => (status, ORDERS.to_owned()),
    })
}

/// `apm:secret` in base64, as basic auth has it.
fn guarded() -> Server {
    Server::start(|head| {
        let is_known = head.to_ascii_lowercase().contains("authorization: basic yxbtonnly3jlda==");
        (if is_known { 200 } else { 401 }, ORDERS.to_owned())
    })
}

#[test]
fn targets_this_machine_and_the_engine_itself_are_scraped() {
    let home = Home::new();
    let (status, healthy) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicU16::new(200)));
    let (shop, moody, guarded) = (target(&healthy), target(&status), guarded());
    home.write("apm.yaml", "project: shop\nobserve: { scrape: conf/prometheus.yml, self_interval: 1s }\n");
    let job = |name: &str, address: &str, more: &str| {
        format!(
            "- job_name: {name}\n  {more}\n  static_configs: [{{ targets: ['{address}'], labels: {{ team: a }} }}]\n"
        )
    };
    let file = |jobs: &[String]| {
        home.write(
            "conf/prometheus.yml",
            &format!("global: {{ scrape_interval: 200ms, scrape_timeout: 200ms }}\nscrape_configs:\n{}", jobs.concat()),
        );
    };
    let auth = "basic_auth: { username: apm, password: secret }";
    let fixed = job("fixed", &shop.address, "honor_labels: false");
    let found = "- job_name: found\n  file_sd_configs: [{ files: ['targets-*.json'] }]\n".to_owned();
    file(&[
        fixed.clone(),
        found.clone(),
        job("moody", &moody.address, "scrape_interval: 200ms"),
        job("guarded", &guarded.address, auth),
        job("locked_out", &guarded.address, "scheme: http"),
        job("too_long", &shop.address, "body_size_limit: 10B"),
        // Port 1 is nobody's.
        job("absent", "127.0.0.1:1", "scheme: http"),
    ]);
    home.write(
        "conf/targets-a.json",
        &format!(r#"[{{"targets": ["{}"], "labels": {{"via": "file"}}}}]"#, shop.address),
    );
    home.write("conf/targets-b.json", r#"[{"targetts": []}]"#);
    let engine = Engine::start(&home, &[]);

    let up = |job: &str, expect: Option<f64>| engine.becomes(&format!("up{{job=\"{job}\"}}"), expect);
    for job in ["fixed", "found", "moody", "guarded", "apm"] {
        up(job, Some(1.0));
    }
    for job in ["locked_out", "too_long", "absent"] {
        up(job, Some(0.0));
    }
    let orders = |via: &str| format!("shop_orders_total{{{via},city=\"Ulm\",instance=\"{}\"}}", shop.address);
    engine.becomes(&orders("job=\"fixed\",team=\"a\""), Some(7.0));
    engine.becomes(&orders("job=\"found\",via=\"file\""), Some(7.0));
    engine.becomes(&format!("apm_build_info{{job=\"apm\",instance=\"{}\"}}", engine.address()), Some(1.0));
    for query in ["count(node_uname_info{job=\"node\"})", "clamp_max(count(node_filesystem_size_bytes), 1)"] {
        engine.becomes(query, Some(1.0));
    }
    let said = engine.process().stderr();
    assert!(said.contains("targets-b.json cannot be read: ") && said.contains("`targetts`"), "{said}");
    // A second look at the same files says nothing new, and what a target had is not forgotten.
    assert_eq!(engine.ask("POST", "/-/reload", "").status, 200);
    // A service that falls ill, and is well again.
    status.store(500, Ordering::SeqCst);
    up("moody", Some(0.0));
    engine.becomes("shop_orders_total{job=\"moody\"}", None);
    status.store(200, Ordering::SeqCst);
    up("moody", Some(1.0));

    // A wrong file changes nothing, by HTTP and by the signal alike.
    file(&[fixed.replace("job_name", "job_nme")]);
    let reply = engine.ask("POST", "/-/reload", "");
    let wrong = "error: unknown key `job_nme`
 --> conf/prometheus.yml:3:3
  |
3 | - job_nme: fixed
  |   ^^^^^^^
  |
  = help: did you mean `job_name`?

";
    assert_eq!((reply.status, reply.body.as_str()), (500, wrong));
    engine.process().signal(Signal::HUP);
    engine.process().says("did you mean `job_name`?");
    let before = shop.asked();
    until(
        "more scrapes after the refused reload",
        || shop.asked().to_string(),
        || (shop.asked() > before + 3).then_some(()),
    );
    up("absent", Some(0.0));

    // A good one changes all: a job that stays, one that is renamed, those that are gone.
    file(&[fixed.clone(), job("renamed", &moody.address, "scheme: http")]);
    engine.process().signal(Signal::HUP);
    until(
        "the word that it was read",
        || engine.process().stdout(),
        || engine.process().stdout().contains("configuration read again").then_some(()),
    );
    up("fixed", Some(1.0));
    up("renamed", Some(1.0));
    for job in ["found", "moody", "guarded", "absent"] {
        up(job, None);
    }
    // The same target under other settings is scraped by those.
    file(&[job("fixed", &shop.address, "body_size_limit: 10B")]);
    assert_eq!(engine.ask("POST", "/-/reload", "").status, 200);
    up("fixed", Some(0.0));
    let ended = engine.terminate();
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stderr.matches("targets-b.json cannot be read").count(), 1, "{}", ended.stderr);
}
