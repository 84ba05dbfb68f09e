//! The answer's forms, as golden files.

use super::*;
use base_explain::finding::{json, sarif, text};

#[test]
#[expect(clippy::disallowed_methods, reason = "a test reads its golden files")]
fn the_answer_has_three_forms() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/golden");
    let source = std::fs::read_to_string(folder.join("shop.yaml")).unwrap();
    let mut manifests = Manifests::default();
    manifests.add("shop.yaml", source, &Limits::default());
    let options = LintOptions { minor: 34, edits: true, ..LintOptions::default() };
    let checked = check(&manifests, &options);
    let files = manifests.lend(&checked);
    let mut log = sarif("apm k8s check", "1.0.0", lint_rules(), &files);
    // The catalogue has a test of its own: here are those that the results name.
    let results = log["runs"][0]["results"].as_array().unwrap().clone();
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array_mut().unwrap();
    assert_eq!(rules.len(), lint_rules().len());
    rules.retain(|rule| results.iter().any(|result| result["ruleId"] == rule["id"]));
    for (name, form) in [
        ("shop.txt", text(&files, false)),
        ("shop.json", format!("{:#}\n", json(&files))),
        ("shop.sarif", format!("{log:#}\n")),
    ] {
        let path = folder.join(name);
        if std::env::var_os("APM_BLESS").is_some() {
            std::fs::write(&path, &form).unwrap();
        }
        assert_eq!(form, std::fs::read_to_string(&path).unwrap_or_default(), "{name}");
    }
}
