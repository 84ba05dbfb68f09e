//! A scan as a person, a program or a code host reads it: text, JSON, SARIF 2.1.0 (OASIS). Prints nothing itself.

use std::collections::BTreeMap;

use base_explain::finding::{self, About, Counts, Rule};
use base_explain::{Point, Severity, Span};
use serde_json::{Value, json};

use crate::finding::{Finding, Scan};
use crate::verdict::Verdict;

/// A person reads no more.
const LINES_MAX: usize = 100;

pub fn text(scan: &Scan, limit: Option<Severity>) -> String {
    let mut out = String::new();
    for one in scan.counted().take(LINES_MAX) {
        let fixed = one.fixed.as_ref().map_or_else(|| "no fix yet".to_owned(), |version| format!("fixed in {version}"));
        out.push_str(&format!("{:<8}  {}  {} {} ({fixed})", one.severity.name(), one.id, one.package, one.version));
        if !one.title.is_empty() {
            let title: String = one.title.chars().filter(|c| !c.is_control()).take(100).collect();
            out.push_str(&format!("  {title}"));
        }
        out.push('\n');
    }
    let counted = scan.counted().count();
    if counted > LINES_MAX {
        out.push_str(&format!("{} more are not shown; `--output json` has them all\n", counted - LINES_MAX));
    }
    let ignored: Vec<&Finding> = scan.findings.iter().filter(|one| one.ignored.is_some()).collect();
    for one in ignored.iter().take(LINES_MAX) {
        let why = one.ignored.as_deref().unwrap_or_default();
        out.push_str(&format!("ignored   {}  {} {}: {why}\n", one.id, one.package, one.version));
    }
    let counts = Counts::of(scan.counted().map(|one| one.severity));
    let packages = scan.packages.map(|count| format!(" in {count} packages")).unwrap_or_default();
    out.push_str(&format!("{}: {counts}{packages} (by {})\n", scan.image, scan.by));
    out.push_str(&format!("{}\n", scan.verdict_on_base()));
    scan.unknown.iter().for_each(|what| out.push_str(&format!("unknown: {what}\n")));
    if let Some(limit) = limit {
        out.push_str(&match scan.verdict(limit) {
            Verdict::Pass(_) => format!("passes: the limit is {}\n", limit.name()),
            Verdict::Fail(_) => format!("fails: the limit is {}\n", limit.name()),
            Verdict::Unknown(sentence) => format!("neither passes nor fails: {sentence}\n"),
        });
    }
    out
}

pub fn json(scan: &Scan, limit: Option<Severity>) -> Value {
    json!({
        "version": 1,
        "scan": scan,
        "base_verdict": scan.verdict_on_base(),
        "fail_on": limit,
        // Nobody knows whether a blind scan fails.
        "fails": limit.filter(|limit| !matches!(scan.verdict(*limit), Verdict::Unknown(_))).map(|limit| scan.fails(limit)),
        "verdict": limit.map(|limit| scan.verdict(limit)),
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
        let suppressed = one.ignored.as_ref().map(|why| finding::Suppressed { in_source: false, reason: why.clone() });
        Some(finding::Finding { severity: one.severity, about, suppressed, ..finding })
    });
    let findings: Vec<finding::Finding> = found.collect();
    let file = finding::File { path: &scan.image, text: None, findings: &findings, ignored: 0, beyond: 0 };
    finding::sarif(&format!("apm docker scan ({})", scan.by), version, &rules, &[file])
}
