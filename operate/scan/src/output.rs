//! A scan as a person, a program or a code host reads it: text, JSON, SARIF 2.1.0 (OASIS). Prints nothing itself.

use std::collections::BTreeMap;

use base_explain::finding::{self, About, Counts, Rule};
use base_explain::{Point, Severity, Span};
use serde_json::{Value, json};

use crate::finding::Scan;

/// A person reads no more.
const LINES_MAX: usize = 100;

pub fn text(scan: &Scan, limit: Option<Severity>) -> String {
    let mut out = String::new();
    for one in scan.findings.iter().take(LINES_MAX) {
        let fixed = one.fixed.as_ref().map_or_else(|| "no fix yet".to_owned(), |version| format!("fixed in {version}"));
        out.push_str(&format!("{:<8}  {}  {} {} ({fixed})", one.severity.name(), one.id, one.package, one.version));
        if !one.title.is_empty() {
            let title: String = one.title.chars().filter(|c| !c.is_control()).take(100).collect();
            out.push_str(&format!("  {title}"));
        }
        out.push('\n');
    }
    if scan.findings.len() > LINES_MAX {
        out.push_str(&format!(
            "{} more are not shown; `--output json` has them all\n",
            scan.findings.len() - LINES_MAX
        ));
    }
    let counts = Counts::of(scan.findings.iter().map(|one| one.severity));
    let packages = scan.packages.map(|count| format!(" in {count} packages")).unwrap_or_default();
    out.push_str(&format!("{}: {counts}{packages} (by {})\n", scan.image, scan.by));
    out.push_str(&format!("{}\n", scan.verdict_on_base()));
    scan.unknown.iter().for_each(|what| out.push_str(&format!("unknown: {what}\n")));
    if let Some(limit) = limit {
        let word = if scan.fails(limit) { "fails" } else { "passes" };
        out.push_str(&format!("{word}: the limit is {}\n", limit.name()));
    }
    out
}

pub fn json(scan: &Scan, limit: Option<Severity>) -> Value {
    json!({
        "version": 1,
        "scan": scan,
        "base_verdict": scan.verdict_on_base(),
        "fail_on": limit,
        "fails": limit.map(|limit| scan.fails(limit)),
    })
}

/// One run; a rule for each id, a result for each package that has it.
pub fn sarif(scan: &Scan, version: &str) -> Value {
    let mut rules: BTreeMap<&str, Rule> = BTreeMap::new();
    for one in &scan.findings {
        let title = if one.title.is_empty() { &one.id } else { &one.title };
        let (severity, also) = (one.severity, Vec::new());
        let rule = Rule { id: &one.id, name: "", severity, area: "security", also, title, why: "", fix: "" };
        rules.entry(&one.id).or_insert(rule);
    }
    let rules: Vec<Rule> = rules.into_values().collect();
    let found = scan.findings.iter().filter_map(|one| {
        let rule = rules.get(rules.binary_search_by(|rule| rule.id.cmp(&one.id)).ok()?)?;
        let fixed =
            one.fixed.as_ref().map_or_else(|| "no version is fixed yet".to_owned(), |to| format!("fixed in {to}"));
        let what = format!("{} {} has {}: {fixed}", one.package, one.version, one.id);
        let about = Some(About { kind: "package", name: one.package.clone() });
        let finding = finding::Finding::new(rule, Span::new(0, 0), Point { line: 1, column: 1 }, what);
        Some(finding::Finding { severity: one.severity, about, ..finding })
    });
    let findings: Vec<finding::Finding> = found.collect();
    let file = finding::File { path: &scan.image, text: None, findings: &findings, ignored: 0, beyond: 0 };
    finding::sarif(&format!("apm docker scan ({})", scan.by), version, &rules, &[file])
}
