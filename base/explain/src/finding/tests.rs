//! What a reader is told of findings that are allowed, of things that are no text, and of edits that touch each other. The usual forms are kept letter by
//! letter beside the checks that use them.

use super::*;

const RULES: [Rule<'static>; 2] = [
    Rule {
        id: "AM0001",
        name: "no-limit",
        severity: Severity::High,
        area: "resources",
        also: Vec::new(),
        title: "Memory is not limited",
        why: "One pod can take the node's.",
        fix: "Set `limits.memory`.",
    },
    Rule {
        id: "AM0002",
        name: "latest",
        severity: Severity::Warning,
        area: "images",
        also: Vec::new(),
        title: "The image is whatever is newest",
        why: "",
        fix: "",
    },
];

const YAML: &str = "kind: Pod\nimage: cart:latest\n";

fn found(rule: usize, start: usize, end: usize) -> Finding<'static> {
    static CATALOGUE: [Rule<'static>; 2] = RULES;
    let at = Lines::of(YAML).point(YAML, start);
    Finding::new(&CATALOGUE[rule], Span::new(start, end), at, "in cart")
}

fn file<'a>(findings: &'a [Finding<'a>]) -> File<'a> {
    File { path: "pod.yaml", text: Some(YAML), findings, ignored: 0, beyond: 0 }
}

#[test]
fn what_somebody_allows_is_counted_as_ignored_and_closed_at_a_code_host() {
    let suppressed = Some(Suppressed { in_source: true, reason: "a test pod".to_owned() });
    let about = Some(About { kind: "resource", name: "Pod/cart".to_owned() });
    let list = [Finding { suppressed, ..found(0, 0, 4) }, Finding { about, ..found(1, 17, 28) }];
    let shown = text(&[file(&list)], false);
    assert_eq!(
        shown,
        "warning[AM0002]: The image is whatever is newest: in cart\n --> pod.yaml:2:8 (Pod/cart)\n  |\n2 | image: cart:latest\n  |        ^^^^^^^^^^^\n\n1 file: 1 warning; 1 ignored\n"
    );
    let value = json(&[file(&list)]);
    assert_eq!(value["counts"]["high"], 0);
    assert_eq!(value["files"][0]["ignored"], 1);
    assert_eq!(value["files"][0]["findings"][0]["suppressed"]["reason"], "a test pod");
    let log = sarif("apm manifest check", "1.0.0", &RULES, &[file(&list)]);
    let results = &log["runs"][0]["results"];
    assert_eq!(results[0]["suppressions"], json!([{ "kind": "inSource", "justification": "a test pod" }]));
    assert_eq!(results[1]["suppressions"], Value::Null, "what counts must not look closed");
    let place = &results[1]["locations"][0]["logicalLocations"][0];
    assert_eq!((&place["kind"], &place["name"]), (&json!("resource"), &json!("Pod/cart")));
    assert_eq!(results[1]["message"]["text"], "in cart", "a rule without a remedy adds nothing");
}

#[test]
fn what_is_no_text_has_no_columns() {
    let list = [found(0, 0, 0)];
    let image = File { path: "shop:1", text: None, ..file(&list) };
    assert!(text(&[image], false).contains(" --> shop:1\n  = why"), "{}", text(&[image], false));
    let log = sarif("apm", "1.0.0", &RULES, &[image]);
    assert_eq!(log["runs"][0]["columnKind"], Value::Null);
    let location = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(location, &json!({ "artifactLocation": { "uri": "shop%3A1" }, "region": { "startLine": 1 } }));
}

/// From, to, and what stands there then.
type Exchange = (usize, usize, &'static str);

/// The text after all edits up to `up_to` that can be made together, and how many findings that mends.
fn check_edits(up_to: Safety, fixes: &[(Safety, &[Exchange])], expect: (&str, usize)) {
    let findings: Vec<Finding> = fixes
        .iter()
        .map(|(safety, edits)| {
            let edits = edits.iter().map(|(start, end, with)| Edit::new(Span::new(*start, *end), *with)).collect();
            Finding { fix: Some(Fix { safety: *safety, what: String::new(), edits }), ..found(0, 0, 4) }
        })
        .collect();
    let (edits, count) = chosen(&findings, up_to);
    assert_eq!((apply(YAML, &edits).as_str(), count), expect);
}

#[test]
fn edits_are_made_together_unless_they_touch() {
    use Safety::{Safe, Suggested};
    check_edits(Safe, &[], (YAML, 0));
    check_edits(Safe, &[(Suggested, &[(6, 9, "Job")])], (YAML, 0));
    check_edits(Suggested, &[(Suggested, &[(6, 9, "Job")])], ("kind: Job\nimage: cart:latest\n", 1));
    // By place, in whatever order they are found.
    check_edits(Safe, &[(Safe, &[(22, 28, "2")]), (Safe, &[(6, 9, "Job")])], ("kind: Job\nimage: cart:2\n", 2));
    // The second waits for the next round; one that is there twice is made once.
    check_edits(
        Safe,
        &[(Safe, &[(6, 9, "Job")]), (Safe, &[(0, 9, "kind: A")])],
        ("kind: Job\nimage: cart:latest\n", 1),
    );
    check_edits(Safe, &[(Safe, &[(6, 9, "Job")]), (Safe, &[(6, 9, "Job")])], ("kind: Job\nimage: cart:latest\n", 2));
}
