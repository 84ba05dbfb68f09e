//! Texts that are no manifests, and texts that belong together.

use super::*;

fn check_fault(text: &str, expect: &str) {
    let checked = check(&manifests(text), &LintOptions { minor: 34, ..LintOptions::default() });
    let told: Vec<String> = checked[0]
        .findings
        .iter()
        .filter(|finding| !finding.rule.id.starts_with("AK0") || finding.rule.id == "AK0001")
        .map(|f| format!("{} {}:{} {}", f.rule.id, f.at.line, f.at.column, f.what))
        .collect();
    assert_eq!(told, [expect], "{text}");
}

#[test]
fn what_cannot_be_read_is_a_finding_at_its_place() {
    check_fault("a: 1\na: 2\n", "AK0001 2:1 the key `a` is here twice; it stands at 1:1 already; keep one of them");
    check_fault(
        "apiVersion: v1\nkind: Pod\nmetadata:\n\tname: x\n",
        "AK0001 4:1 a tab in the indentation; YAML takes spaces only; replace the tab by spaces",
    );
    check_fault("- 1\n", "AK0001 1:1 a manifest is a map of keys; start it with `apiVersion:` and `kind:`");
    check_fault(
        "apiVersion: apps/v1\nkind: Deploymint\nmetadata: {name: x}\n",
        "kind/unknown 2:7 `kind`: Kubernetes 1.34 has no kind `Deploymint` in `apps/v1`; is it spelt as the API does?",
    );
}

#[test]
fn a_bomb_of_aliases_and_a_text_that_is_too_large_are_refused() {
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (name, before) in [("b", "a"), ("c", "b"), ("d", "c"), ("e", "d"), ("f", "e"), ("g", "f")] {
        let tens = vec![format!("*{before}"); 10].join(", ");
        bomb.push_str(&format!("{name}: &{name} [{tens}]\n"));
    }
    let checked = check(&manifests(&bomb), &LintOptions::default());
    assert_eq!(checked[0].findings[0].rule.id, "AK0001");
    let mut large = Manifests::default();
    large.add("f.yaml", "x".repeat(2_000), &Limits { bytes_max: 1_000, ..Limits::default() });
    assert_eq!(check(&large, &LintOptions::default())[0].findings[0].rule.id, "AK0001");
}

#[test]
fn objects_of_other_files_count() {
    let service =
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {selector: {app: a}, ports: [{port: 80}]}\n";
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {app: a}}\nspec: {containers: [{name: a, image: 'a:1'}]}\n";
    let options = LintOptions { minor: 34, rules: vec!["AK0901"], ..LintOptions::default() };
    let mut alone = manifests(service);
    assert_eq!(told(&check(&alone, &options)[0]), ["AK0901 4:19"]);
    alone.add("pod.yaml", pod.to_owned(), &Limits::default());
    assert!(check(&alone, &options).iter().all(|checked| checked.findings.is_empty()));
}

#[test]
fn the_worst_of_too_many_findings_are_kept() {
    let pod = |name: usize, more: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p{name}}}\nspec: {{{more}containers: [{{name: a, image: a}}]}}\n"
        )
    };
    let mut texts: Vec<String> = (0..300).map(|name| pod(name, "")).collect();
    texts.push(pod(300, "hostPID: true, "));
    let checked = check(&manifests(&texts.join("---\n")), &LintOptions { minor: 34, ..LintOptions::default() });
    assert_eq!(checked[0].findings.len(), FINDINGS_MAX);
    assert!(checked[0].beyond > 0);
    assert!(checked[0].findings.iter().any(|finding| finding.rule.id == "AK0602"));
    assert!(checked[0].findings.is_sorted_by_key(|finding| finding.span.start));
}
