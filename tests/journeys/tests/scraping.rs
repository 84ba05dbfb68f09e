//! A team's `prometheus.yml` as it is: static and file targets are scraped, one that is down says so, one that leaves ends, and a file that is wrong on
//! reload changes nothing.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use parking_lot::Mutex;
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

/// A web service that answers everybody the same, until it is told otherwise: status line and body.
fn service(answer: &Arc<Mutex<(&'static str, String)>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/targets", listener.local_addr().expect("an address"));
    let answer = answer.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut asked = [0; 4096];
            let length = stream.read(&mut asked).unwrap_or(0);
            assert!(String::from_utf8_lossy(&asked[..length]).contains("accept: application/json"));
            let (status, body) = answer.lock().clone();
            let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n");
            let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len());
        }
    });
    url
}

#[test]
fn targets_that_a_web_service_tells_come_stay_and_go() {
    let target = Engine::start("http_sd_target");
    let address = target.url.trim_start_matches("http://").to_owned();
    let told = format!(r#"[{{"targets": ["{address}"], "labels": {{"via": "http", "__meta_zone": "north"}}}}]"#);
    let answer = Arc::new(Mutex::new(("200 OK", told)));
    let url = service(&answer);
    let say = |status: &'static str, body: &str| *answer.lock() = (status, body.to_owned());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let zone =
        "[{ source_labels: [__meta_zone], target_label: zone }, { source_labels: [__meta_url], target_label: url }]";
    let job = format!(
        "- job_name: sd\n  http_sd_configs: [{{ url: '{url}', refresh_interval: 1s }}]\n  relabel_configs: {zone}\n"
    );
    let text = format!("global: {{ scrape_interval: 1s }}\nscrape_configs:\n{job}");
    fs::write(folder.path().join("prometheus.yml"), text).expect("a file is written");
    fs::write(folder.path().join("apm.yaml"), "version: 1\nobserve: { scrape: prometheus.yml }\n").expect("written");
    let config = folder.path().join("apm.yaml");
    let engine = Engine::start_with("http_sd", &["--config", config.to_str().expect("a path in UTF-8")], &[]);
    let becomes = |expected: Option<f64>| {
        let query = format!("up{{job=\"sd\",via=\"http\",zone=\"north\",url=\"{url}\"}}");
        wait::until(&format!("`{query}` to be {expected:?}"), 30, || match engine.number(&query) {
            found if found == expected => Ok(()),
            found => Err(found),
        });
    };
    becomes(Some(1.0));
    // What was told last holds while nobody answers, and the log says why.
    say("500 Internal Server Error", "[]");
    wait::until("the log to say why", 30, || {
        let told = engine.printed().contains("server returned HTTP status 500");
        if told { Ok(()) } else { Err(engine.printed()) }
    });
    becomes(Some(1.0));
    say("200 OK", "[]");
    becomes(None);
}
