//! Findings as a code host reads them: SARIF 2.1.0 (OASIS), one run.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{File, Finding, Rule};
use crate::{Lines, Span};

/// A SARIF log with one run of `tool`, whose rules are `rules`: all of the catalogue, so that a host can show what was looked for. Columns count code
/// points, as `columnKind` says.
pub fn sarif(tool: &str, version: &str, rules: &[Rule], files: &[File]) -> Value {
    let order: BTreeMap<&str, usize> = rules.iter().enumerate().map(|(at, rule)| (rule.id, at)).collect();
    let results: Vec<Value> = files
        .iter()
        .flat_map(|file| {
            let lines = Lines::of(file.text.unwrap_or_default());
            let index = |finding: &Finding| order.get(finding.rule.id).copied();
            file.findings.iter().map(|finding| result(file, &lines, finding, index(finding))).collect::<Vec<_>>()
        })
        .collect();
    let listed: Vec<Value> = rules.iter().map(rule).collect();
    let mut run = json!({
        "tool": { "driver": { "name": tool, "semanticVersion": version, "rules": listed } },
        "results": results,
    });
    if files.iter().all(|file| file.text.is_some()) {
        run["columnKind"] = json!("unicodeCodePoints");
    }
    json!({ "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run] })
}

fn rule(rule: &Rule) -> Value {
    let mut value = json!({
        "id": rule.id,
        "shortDescription": { "text": rule.title },
        "defaultConfiguration": { "level": rule.severity.level() },
        "properties": { "tags": [rule.area], "security-severity": rule.severity.score() },
    });
    if !rule.name.is_empty() {
        value["name"] = json!(rule.name);
        value["fullDescription"] = json!({ "text": rule.why });
        value["help"] = json!({ "text": rule.fix });
        value["properties"]["also"] = json!(rule.also);
    }
    value
}

fn region(lines: &Lines, text: Option<&str>, span: Span) -> Value {
    // A result without a region is not shown by all hosts.
    let Some(text) = text else { return json!({ "startLine": 1 }) };
    let (start, end) = (lines.point(text, span.start), lines.point(text, span.end));
    json!({ "startLine": start.line, "startColumn": start.column, "endLine": end.line, "endColumn": end.column })
}

fn result(file: &File, lines: &Lines, finding: &Finding, index: Option<usize>) -> Value {
    let artifact = json!({ "uri": uri(file.path) });
    let message = match finding.rule.fix {
        "" => finding.what.clone(),
        fix => format!("{}: {}. {fix}", finding.rule.title, finding.what),
    };
    let mut location = json!({
        "physicalLocation": { "artifactLocation": artifact, "region": region(lines, file.text, finding.span) },
    });
    if let Some(about) = &finding.about {
        location["logicalLocations"] = json!([about]);
    }
    let mut result = json!({
        "ruleId": finding.rule.id,
        "ruleIndex": index,
        "level": finding.severity.level(),
        "message": { "text": message },
        "locations": [location],
    });
    if let Some(fix) = &finding.fix {
        let replacements: Vec<Value> = fix
            .edits
            .iter()
            .map(|edit| json!({ "deletedRegion": region(lines, file.text, edit.span), "insertedContent": { "text": edit.with } }))
            .collect();
        let changes = json!([{ "artifactLocation": artifact, "replacements": replacements }]);
        result["fixes"] = json!([{ "description": { "text": fix.what }, "artifactChanges": changes }]);
    }
    if let Some(suppressed) = &finding.suppressed {
        let kind = if suppressed.in_source { "inSource" } else { "external" };
        result["suppressions"] = json!([{ "kind": kind, "justification": suppressed.reason }]);
    }
    result
}

/// A path, or an image's reference, as a URI reference: `/` between parts, what a part cannot hold escaped, and the colon that would make it a scheme.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.replace('\\', "/").trim_start_matches("./").bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_' | b'~' | b'@') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
