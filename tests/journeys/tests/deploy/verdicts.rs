//! A good release stays and a bad one is undone, as its users would notice.

use std::time::Instant;

use tests_journeys::http;
use tests_journeys::prometheus::Prometheus;

use super::customers::{Answer, Customers, hurt};
use super::shop::{BAKE, Shop, Stage, inspected};

pub(crate) fn a_good_release_stays(stage: &Stage) {
    let docker = stage.docker;
    docker.docker(&["network", "create", "bystanders"]);
    let words = ["run", "-d", "--name", "bystander", "--network", "bystanders", "-v", "theirs:/data"];
    docker.docker(&[&words[..], &[docker.busybox_image(), "sleep", "1000"]].concat());
    let (shop, old) = Shop::with_version_1(stage, "steady");
    let customers = Customers::of(&shop.url());
    let (others, bystander) = (stage.others(), inspected(docker, "bystander"));

    let begun = Instant::now();
    shop.deploy(&["--version", "2", "--reason", "a better cache"]).expect(0, &["complete", "the service was down for"]);
    let took_s = begun.elapsed().as_secs_f64();
    stage.note(&format!("a good release took {took_s:.1} s"));
    assert!(took_s < 120.0, "{took_s:.1} s");

    // The new one serves, the old one is gone, and nobody else has noticed.
    assert_ne!(shop.id(), old);
    assert_eq!(shop.inspect("{{index .Config.Labels \"apm.image\"}} {{.State.Running}}"), "journey/store:2 true");
    assert_eq!(shop.containers(), [shop.container()]);
    assert_eq!(stage.id(&old), None, "the old container is still there");
    assert_eq!(stage.others(), others);
    assert_eq!(inspected(docker, "bystander"), bystander);
    customers.good_answers(10);
    let requests = customers.leave();
    let errors = requests.iter().filter(|request| request.answer == Answer::Error).count();
    let down = hurt(&requests, begun).unwrap_or_default();
    stage.note(&format!("a good release: nobody answered for {:.1} s", down.as_secs_f64()));
    assert!(errors == 0 && down.as_secs() < 15, "{errors} errors, nobody answered for {down:?}");

    // It can be read afterwards, by anybody.
    let list = shop.deploy(&["list"]).expect(0, &["deploy steady 2 to default", "deploy steady 1 to default"]).text;
    let newest = list.lines().next().expect("two runs");
    assert!(newest.starts_with("steady-2-") && newest.contains(" complete ") && newest.contains(" ago "), "{list}");
    let run = newest.split_whitespace().next().expect("a name");
    let status = shop.deploy(&["status", run]).expect(0, &[run, "100 %", "complete"]).text;
    let plan = shop
        .deploy(&["plan", run])
        .expect(0, &["because a better cache", "docker create --name shop-steady-next"])
        .text;
    for step in ["gate", "create-shop-steady", "stop-shop-steady", "judge", "remove-shop-steady-previous"] {
        let done =
            status.lines().any(|line| line.trim_start().starts_with("done") && line.contains(&format!(" {step} ")));
        assert!(done && plan.contains(&format!("({step}, at most")), "{step}:\n{status}\n{plan}");
    }
    // The judge's word can be had again, and is the same.
    shop.deploy(&["judge", run]).expect(0, &["steady 2 in default passes", "health: service", "charts:"]);
    let replay = shop.deploy(&["judge", "--replay", "--output", "json"]).expect(0, &[]).text;
    let replay: serde_json::Value = serde_json::from_str(&replay).expect("JSON");
    assert_eq!((&replay["tally"]["good"], &replay["tally"]["false_aborts"]), (&1.into(), &0.into()), "{replay}");
    shop.deploy(&["diff", "--version", "2"]).expect(0, &["nothing would change"]);
    // Going back is a release too; a second one of the same is none.
    shop.deploy(&["--version", "2"]).expect(4, &["steady 2 runs already"]);
    shop.settings("judged: false", "");
    shop.deploy(&["rollback", "--yes"]).expect(0, &["deploy steady 1 to default", "complete"]);
    assert_eq!(shop.inspect("{{index .Config.Labels \"apm.image\"}}"), "journey/store:1");
}

pub(crate) fn a_release_with_errors_is_undone(stage: &Stage) {
    undone(stage, "shaky", "errors");
}

pub(crate) fn a_slow_release_is_undone(stage: &Stage) {
    undone(stage, "slack", "slow");
}

/// The team's own Prometheus takes the metrics by federation, and is what the judge asks.
pub(crate) fn a_real_prometheus_is_asked(stage: &Stage) {
    let prometheus = Prometheus::federating(&stage.engine);
    let (mut shop, old) = Shop::with_version_1(stage, "federated");
    shop.judge = format!("prometheus: \"{}\", {BAKE}", prometheus.url);
    shop.settings("", "");
    undone_in(&shop, &old, "errors");
    let asked = http::get(&format!("{}/metrics", prometheus.url), &[]).ok().text();
    let asked = asked.lines().find(|line| {
        line.starts_with("prometheus_http_requests_total")
            && line.contains("/api/v1/query_range\"")
            && line.contains("200")
    });
    let times = asked.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or(0.0);
    assert!(times >= 10.0, "Prometheus was asked {times} times");
    // And a good one stays.
    let _customers = Customers::of(&shop.url());
    shop.deploy(&["--version", "2"]).expect(0, &["complete"]);
}

/// It serves well while it lives: only its restarts tell.
pub(crate) fn a_release_that_crashes_again_and_again_is_undone(stage: &Stage) {
    told(stage, "crashy", "crash", "", BAKE, "restarts ");
}

/// It serves well too, but its memory fills up to the limit.
pub(crate) fn a_release_that_leaks_is_undone(stage: &Stage) {
    // Short of memory it is slow as well, as it would be anywhere.
    let lenient = "settings: { bake: 60s, metrics: { latency_p95: { allowed_increase: 50, critical_increase: 60 } } }";
    told(stage, "leaky", "leak", "memory: 72 MiB", lenient, "memory ");
}

fn told(stage: &Stage, name: &'static str, version: &str, deploy: &str, judge: &str, reason: &str) {
    let mut shop = Shop::new(stage, name);
    shop.judge = judge.to_owned();
    shop.settings(&format!("judged: false\n{deploy}"), "");
    shop.deploy(&["--version", "1"]).expect(0, &["complete"]);
    let old = shop.id();
    shop.settings(deploy, "");
    let customers = Customers::of(&shop.url());
    let begun = Instant::now();
    shop.deploy(&["--version", version]).expect(1, &["rolled-back: undone, because"]);
    let status = shop.deploy(&["status"]).expect(1, &["rolled-back: undone, because"]).text;
    let why = status.lines().find(|line| line.contains("undone, because")).unwrap_or_default();
    stage.note(&format!("{version}: undone {:.1} s after it began: {why}", begun.elapsed().as_secs_f64()));
    assert!(why.contains(&format!("s: {reason}")), "not by its {}:\n{status}", reason.trim());
    shop.is_restored(&old);
    drop(customers);
}

fn undone(stage: &Stage, name: &'static str, version: &str) {
    let (shop, old) = Shop::with_version_1(stage, name);
    undone_in(&shop, &old, version);
}

fn undone_in(shop: &Shop<'_>, old: &str, version: &str) {
    let (stage, name) = (shop.stage, shop.name);
    let customers = Customers::of(&shop.url());
    let begun = Instant::now();
    let said = shop.deploy(&["--version", version]).expect(1, &["rolled-back: undone, because"]).text;
    let took_s = begun.elapsed().as_secs_f64();
    shop.is_restored(old);
    customers.good_answers(10);
    let requests = customers.leave();

    let first = requests.iter().find(|request| request.at >= begun && request.answer == Answer::Error);
    let after = first.map_or(begun, |request| request.at);
    // Errors begin with the new version; that nobody answers while containers change places is told apart.
    let hurt_s = hurt(&requests, after).unwrap_or_default().as_secs_f64();
    let all_s = hurt(&requests, begun).unwrap_or_default().as_secs_f64();
    stage.note(&format!("{name} {version}: undone {took_s:.1} s after it began; {hurt_s:.1} s from the first bad answer to the old version, {all_s:.1} s with the gap"));
    assert!(took_s < 90.0, "{took_s:.1} s");
    let list = shop.deploy(&["list"]).expect(0, &["rolled-back"]).text;
    // Nobody brought it back, so it was bad; today's judge finds it as well.
    let run = list.split_whitespace().next().expect("a name");
    shop.deploy(&["judge", run]).expect(1, &[" fails after ", "HIGH"]);
    let replay = ["misses 0/1 (0.0 %)", "never came again", "1 run left out: no judge was asked"];
    shop.deploy(&["judge", "--replay"]).expect(0, &replay);
    let status = shop.deploy(&["status"]).expect(1, &["rolled-back: undone, because", "undone "]).text;
    assert!(list.contains("undone, because"), "{list}");
    let told = "people were hurt for ";
    let told_s = status.split(told).nth(1).and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok());
    let told_s = told_s.unwrap_or_else(|| panic!("not `{told}`:\n{status}\n{said}"));
    stage.note(&format!("{name} {version}: the record says {told_s} s"));
    assert!(all_s < 30.0, "people were hurt for {all_s:.1} s");
    assert!((told_s - hurt_s).abs() < 12.0, "the record says {told_s} s, people say {hurt_s:.1} s");
}
