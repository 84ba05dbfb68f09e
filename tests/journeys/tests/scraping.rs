//! A team's `prometheus.yml` as it is: static and file targets are scraped, one that is down says so, one that leaves ends, and a file that is wrong on
//! reload changes nothing.

use std::fs;

use tests_journeys::{Engine, wait};

#[test]
fn static_and_file_targets_are_scraped_and_reloaded_all_or_nothing() {
    // Something real to scrape that is not the engine under test.
    let target = Engine::start("scraping_target");
    let address = target.url.trim_start_matches("http://").to_owned();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file is written");
    let scrape = |jobs: &str| format!("global: {{ scrape_interval: 1s }}\nscrape_configs:\n{jobs}");
    let fixed = format!("- job_name: fixed\n  static_configs: [{{ targets: ['{address}'], labels: {{ team: a }} }}]\n");
    let files = "- job_name: files\n  file_sd_configs: [{ files: ['targets-*.json'] }]\n";
    // Port 1 is nobody's.
    let dead = "- job_name: dead\n  static_configs: [{ targets: ['127.0.0.1:1'] }]\n";
    write("apm.yaml", "version: 1\nobserve: { scrape: prometheus.yml }\n");
    write("prometheus.yml", &scrape(&format!("{fixed}{files}{dead}")));
    write("targets-a.json", &format!(r#"[{{"targets": ["{address}"], "labels": {{"via": "file"}}}}]"#));
    let config = folder.path().join("apm.yaml");
    let engine = Engine::start_with("scraping", &["--config", config.to_str().expect("a path in UTF-8")], &[]);

    let becomes = |query: &str, expected: Option<f64>| {
        wait::until(&format!("`{query}` to be {expected:?}"), 30, || match engine.number(query) {
            found if found == expected => Ok(()),
            found => Err(found),
        });
    };
    becomes("up{job=\"fixed\",team=\"a\"}", Some(1.0));
    becomes("up{job=\"files\",via=\"file\"}", Some(1.0));
    becomes("up{job=\"dead\"}", Some(0.0));
    becomes(&format!("apm_build_info{{job=\"fixed\",instance=\"{address}\"}}"), Some(1.0));

    fs::remove_file(folder.path().join("targets-a.json")).expect("the targets' file is removed");
    becomes("up{job=\"files\"}", None);

    write("prometheus.yml", &scrape(&fixed.replace("job_name", "job_nme")));
    let reply = engine.post("/-/reload", &[], "");
    assert_eq!(reply.status, 500, "{}", reply.text());
    assert!(reply.text().contains("did you mean `job_name`?"), "{}", reply.text());
    becomes("up{job=\"dead\"}", Some(0.0));

    write("prometheus.yml", &scrape(&fixed.replace("fixed", "renamed")));
    assert_eq!(engine.post("/-/reload", &[], "").status, 200);
    becomes("up{job=\"renamed\"}", Some(1.0));
}
