//! An engine with tokens in a real Chromium: the page asks for one in its own form, keeps a session and not the token, and comes back to where the
//! person wanted to go. A program is challenged as ever.

use serde_json::{Value, json};
use tests_journeys::{Engine, wait};

use super::browse;

const VIEWER: &str = "viewer-0123456789abcdef";
const INGEST: &str = "ingest-0123456789abcdef";

#[test]
fn a_person_signs_in_and_out() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("tokens");
    std::fs::write(&file, format!("viewer {VIEWER}\ningest {INGEST}\n")).expect("the token file can be written");
    let engine = Engine::start_with("browser_sign_in", &["--token-file", &file.display().to_string()], &[]);
    let line =
        json!({"streams": [{"stream": {"service_name": "shop"}, "values": [[wait::now_ns().to_string(), "hello"]]}]});
    let bearer = format!("Bearer {INGEST}");
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    engine.post("/loki/api/v1/push", &headers, line.to_string()).ok();

    let program = engine.get("/apm/v1/status", &[]);
    assert_eq!((program.status, program.header("www-authenticate")), (401, Some("Basic realm=\"apm\", Bearer")));

    let asked = "/ui/logs?q=%7Bservice_name%3D%22shop%22%7D&from=now-1h";
    let wanted = json!({
        "path": asked, "waitFor": "[data-testid=log-list] li", "token": VIEWER, "wrong": "wrong-0123456789abcdef",
    });
    let told = browse("sign_in", &engine, "steps", &wanted);
    assert_eq!(
        (&told["errors"], &told["challenges"]),
        (&json!([]), &json!(0)),
        "nothing else failed, nothing prompted"
    );
    let step = |name: &str| -> Value {
        let steps = told["steps"].as_array().into_iter().flatten();
        steps.clone().find(|step| step["step"] == name).cloned().unwrap_or_else(|| panic!("no step {name}: {told}"))
    };
    let says = |name: &str, words: &str| {
        let text = step(name)["text"].as_str().unwrap_or_default().to_owned();
        assert!(text.contains(words), "{name} says \"{words}\": {text}");
    };
    for (name, form, url, words) in [
        ("asked", 1, asked, "--token-file"),
        ("asked", 1, asked, "APM_TOKEN"),
        ("refused", 1, asked, "this token is not known here"),
        ("signed-in", 0, asked, "hello"),
        ("reloaded", 0, asked, "hello"),
        ("settings", 0, "/ui/settings?from=now-1h", "Sign out"),
        ("signed-out", 1, "/ui/settings?from=now-1h", "You are signed out"),
    ] {
        assert_eq!((&step(name)["form"], &step(name)["url"]), (&json!(form), &json!(url)), "{name}");
        says(name, words);
        let kept = step(name)["kept"].to_string();
        assert!(!kept.contains(VIEWER) && !kept.contains("apm_session"), "no script can read it at {name}: {kept}");
    }
    assert_eq!((&step("asked")["focus"], &step("settings")["role"]), (&json!("token"), &json!("viewer")));

    let cookie = &step("signed-in")["cookies"][0];
    assert_eq!((&cookie["httpOnly"], &cookie["sameSite"]), (&json!(true), &json!("Strict")), "{cookie}");
    assert!(cookie["value"].as_str().is_some_and(|id| id.len() == 64 && !id.contains(VIEWER)), "{cookie}");
    assert!(cookie["expires"].as_f64().is_some_and(|at| at > 0.0), "it ends: {cookie}");
    assert_eq!((&step("signed-out")["cookies"], &told["replayed"]), (&json!([]), &json!(401)), "the session is over");
}
