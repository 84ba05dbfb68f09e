//! Verdicts in the form that all checks are told in: as text, as JSON, as SARIF. Renders nothing itself.

use std::sync::LazyLock;

use base_explain::finding::{About, Finding as Told, Rule as ToldRule};
use base_explain::{Point, Severity as ToldSeverity, Span};

use super::finding::{RULES, Severity, Verdict};

static CATALOGUE: LazyLock<Vec<ToldRule<'static>>> = LazyLock::new(|| {
    let one = |rule: &super::Rule| ToldRule {
        id: rule.id,
        name: rule.id,
        severity: ToldSeverity::High,
        area: "manifest",
        also: also(rule.id),
        title: rule.title,
        why: rule.why,
        fix: "",
    };
    RULES.iter().map(one).collect()
});

/// What kube-linter calls it.
fn also(id: &str) -> Vec<&'static str> {
    match id {
        "field/type" | "field/unknown" | "field/required" | "kind/unknown" | "kind/version" => {
            vec!["schema-validation"]
        }
        "relation/match" => vec!["mismatching-selector"],
        "object/twice" => vec!["duplicate-kinds"],
        _ => Vec::new(),
    }
}

/// The rules as `base_explain` has them; what SARIF lists.
pub fn catalogue() -> &'static [ToldRule<'static>] {
    &CATALOGUE
}

impl Verdict {
    /// The findings of the object; an error is high, what the server takes though it cannot work is a warning.
    pub fn told(&self) -> Vec<Told<'static>> {
        let one = |finding: &super::Finding| {
            let rule = CATALOGUE.iter().find(|rule| rule.id == finding.rule)?;
            let span = Span { start: finding.start as usize, end: finding.end as usize };
            let at = Point { line: finding.line as usize, column: finding.column as usize };
            let path = if finding.path.is_empty() { String::new() } else { format!("`{}`: ", finding.path) };
            let what = format!("{path}{}; {}", finding.what, finding.fix);
            let severity = match finding.severity {
                Severity::Error => ToldSeverity::High,
                Severity::Warning => ToldSeverity::Warning,
            };
            let about = Some(About { kind: "resource", name: self.identity.to_string() });
            Some(Told { severity, about, ..Told::new(rule, span, at, what) })
        };
        self.findings.iter().filter_map(one).collect()
    }
}
