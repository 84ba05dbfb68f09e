//! The page's place of releases, in a real Chromium beside a release on a real Docker engine that was asked for over the API: found in the list,
//! approved there, followed to its end without a reload, and marked on the charts of its service.

use serde_json::{Value, json};
use tests_journeys::{Engine, http, peer, wait};

use super::customers::Customers;
use super::shop::{Stage, answers, otlp};
use crate::browser::{browse, harmless};

pub(crate) fn releases_are_followed_and_approved_on_the_page(stage: &Stage) {
    let host = format!("DOCKER_HOST={}", stage.docker.host);
    let engine = Engine::start_with("deploy_page", &[], &["env", &host, "USER=ann"]);
    // Nothing was deployed yet, and the page says how to begin.
    let empty = browse(
        "walk",
        &engine,
        "empty",
        &json!({"paths": [{"path": "/ui/deploys", "waitFor": "[data-testid=no-deploys]"}], "stay": true}),
    );
    harmless(empty.as_array().expect("pages"));

    let port = peer::free_port();
    let settings = |deploy: &str| {
        let env = [("PORT", port.to_string()), ("FEED", stage.feed_url.clone())].into_iter().chain(otlp(&engine));
        let env = env.map(|(name, value)| format!("      {name}: \"{value}\"\n")).collect::<String>();
        let yaml = format!(
            "services:\n  paged:\n    image: journey/store\n    port: {port}\n    env:\n{env}    deploy:\n      networks: [host]\n      checks: [{{ http: /readyz }}]\n      stop_grace: 5s\n      {deploy}\njudge: {{ settings: {{ bake: 60s }} }}\n"
        );
        std::fs::write(engine.home().join("apm.yaml"), yaml).expect("the settings can be written");
    };
    let create = |version: &str| -> String {
        let said = json!({"service": "paged", "version": version, "actor": "ann", "reason": "the new prices"});
        let reply = http::post_json(&format!("{}/apm/v1/deployments", engine.url), &said);
        assert_eq!(reply.status, 202, "{}", reply.text());
        reply.json()["run"].as_str().expect("a run").to_owned()
    };
    let look = |run: &str| engine.get(&format!("/apm/v1/deployments/{run}"), &[]).ok().json();
    let is = |run: &str, status: &str| {
        wait::until(&format!("{run} to be {status}"), 120, || {
            let found = look(run);
            if found["status"] == status { Ok(()) } else { Err(found["status"].clone()) }
        });
    };
    settings("judged: false");
    let first = create("1");
    is(&first, "complete");
    wait::until("the store", 60, || answers(&format!("http://127.0.0.1:{port}/readyz")));
    let customers = Customers::of(&format!("http://127.0.0.1:{port}"));
    settings("approval: true");
    let second = create("2");
    is(&second, "waiting");

    let wanted = json!({"run": second, "service": "paged", "until": "complete"});
    let told = browse("deploys", &engine, "release", &wanted);
    assert_eq!((&told["errors"], &told["serious"]), (&json!([]), &json!([])), "nothing failed, and nobody is shut out");
    let step = |name: &str| -> Value {
        let steps = told["steps"].as_array().into_iter().flatten();
        steps.clone().find(|step| step["step"] == name).cloned().unwrap_or_else(|| panic!("no step {name}: {told}"))
    };
    let says = |name: &str, words: &str| {
        let text = step(name)["text"].as_str().unwrap_or_default().to_owned();
        assert!(text.contains(words), "{name} says \"{words}\": {text}");
    };
    assert_eq!((&step("list")["status"], &step("waiting")["status"]), (&json!("waiting"), &json!("waiting")));
    says("list", "1 → 2");
    says("waiting", "Deploy paged 2 to default?");
    assert_eq!(step("ended")["status"], "complete");
    says("ended", "looked at the plan");
    // What the page shows of each step is what the API says of it.
    let run = look(&second);
    let states: Vec<Value> =
        run["steps"].as_array().into_iter().flatten().map(|step| json!([step["id"], step["state"]])).collect();
    assert_eq!(step("ended")["states"], json!(states));
    assert_eq!(run["steps"][1]["answer"]["reason"], "looked at the plan", "{}", run["steps"]);
    assert!(
        step("rollback")["plan"].as_str().is_some_and(|plan| plan.contains("deploy paged 1 to default")),
        "{}",
        step("rollback")
    );
    assert_eq!(
        step("service")["href"].as_str().map(|href| href.starts_with(&format!("/ui/deploys/{second}"))),
        Some(true)
    );
    assert_eq!(step("service")["mark"], "paged 1 → 2 · default · complete");
    let lines: Option<f64> = step("ended")["lines"].as_str().and_then(|count| count.parse().ok());
    assert!(lines.is_some_and(|count| count > 0.0), "the new version's lines are there: {lines:?}");

    // Everything again in the dark and on a phone.
    let paths = [format!("/ui/deploys/{second}"), "/ui/deploys".to_owned(), "/ui/services/paged".to_owned()];
    for (name, dark, width) in [("dark", true, 1280), ("phone", false, 390), ("dark_phone", true, 390)] {
        let told = browse(
            "walk",
            &engine,
            name,
            &json!({"paths": paths, "dark": dark, "width": width, "height": 844, "stay": true}),
        );
        harmless(told.as_array().expect("pages"));
    }

    // The engine counts its releases among its own metrics.
    let total = "sum(apm_deployments_total{service=\"paged\",outcome=\"complete\"})";
    wait::until("both releases to be counted", 60, || match engine.number(total) {
        Some(2.0) => Ok(()),
        other => Err(other),
    });
    drop(customers);
}
