//! A scan as a person, a program or a code host reads it: text, JSON, SARIF 2.1.0 (OASIS). Prints nothing itself.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::finding::{Finding, Scan, Severity};
use crate::verdict::Verdict;

/// A person reads no more.
const LINES_MAX: usize = 100;

pub fn text(scan: &Scan, limit: Option<Severity>) -> String {
    let mut out = String::new();
    for one in scan.counted().take(LINES_MAX) {
        let fixed = one.fixed.as_ref().map_or_else(|| "no fix yet".to_owned(), |version| format!("fixed in {version}"));
        out.push_str(&format!("{:<8}  {}  {} {} ({fixed})", one.severity.word(), one.id, one.package, one.version));
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
    let counts: Vec<String> = [Severity::Critical, Severity::High, Severity::Warning, Severity::Info]
        .into_iter()
        .filter(|severity| scan.count(*severity) > 0)
        .map(|severity| format!("{} {}", scan.count(severity), severity.word()))
        .collect();
    let counts = if counts.is_empty() { "nothing found".to_owned() } else { counts.join(", ") };
    let packages = scan.packages.map(|count| format!(" in {count} packages")).unwrap_or_default();
    out.push_str(&format!("{}: {counts}{packages} (by {})\n", scan.image, scan.by));
    out.push_str(&format!("{}\n", scan.verdict_on_base()));
    scan.unknown.iter().for_each(|what| out.push_str(&format!("unknown: {what}\n")));
    if let Some(limit) = limit {
        out.push_str(&match scan.verdict(limit) {
            Verdict::Pass(_) => format!("passes: the limit is {}\n", limit.word()),
            Verdict::Fail(_) => format!("fails: the limit is {}\n", limit.word()),
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
    let mut rules: BTreeMap<&str, &Finding> = BTreeMap::new();
    for one in &scan.findings {
        rules.entry(&one.id).or_insert(one);
    }
    let listed: Vec<Value> = rules
        .values()
        .map(|one| {
            let title = if one.title.is_empty() { &one.id } else { &one.title };
            json!({
                "id": one.id,
                "shortDescription": { "text": title },
                "defaultConfiguration": { "level": level(one.severity) },
                "properties": { "tags": ["security"], "security-severity": score(one.severity) },
            })
        })
        .collect();
    let order: BTreeMap<&str, usize> = rules.keys().enumerate().map(|(at, id)| (*id, at)).collect();
    let results: Vec<Value> = scan
        .findings
        .iter()
        .map(|one| {
            let fixed = one.fixed.as_ref().map_or_else(|| "no version is fixed yet".to_owned(), |to| format!("fixed in {to}"));
            let mut result = json!({
                "ruleId": one.id,
                "ruleIndex": order.get(one.id.as_str()),
                "level": level(one.severity),
                "message": { "text": format!("{} {} has {}: {fixed}", one.package, one.version, one.id) },
                "locations": [{
                    "physicalLocation": { "artifactLocation": { "uri": uri(&scan.image) }, "region": { "startLine": 1 } },
                    "logicalLocations": [{ "name": one.package, "kind": "package" }],
                }],
            });
            if let Some(why) = &one.ignored {
                // §3.27.23: a result that somebody outside of the code accepted.
                result["suppressions"] = json!([{ "kind": "external", "justification": why }]);
            }
            result
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": format!("apm docker scan ({})", scan.by), "semanticVersion": version, "rules": listed } },
            "results": results,
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "7.5",
        Severity::Warning => "5.0",
        Severity::Info => "1.0",
    }
}

/// A reference as a relative URI: the colon of a tag would make it a scheme.
fn uri(image: &str) -> String {
    image.replace(':', "%3A").replace(' ', "%20")
}
