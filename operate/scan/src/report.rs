//! Reports of scanners as they print them in JSON. Fields that are not needed are not looked at, missing ones stay empty.

use serde_json::Value;

use crate::finding::{Finding, severity};

#[derive(Debug, thiserror::Error)]
pub enum BadReport {
    #[error("the report is no JSON: {0}")]
    NoJson(#[from] serde_json::Error),
    #[error("the report has no `{0}`: it is not what this scanner prints")]
    Missing(&'static str),
}

/// More than any image has; the rest is left out.
const FINDINGS_MAX: usize = 50_000;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn filled(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten().take(FINDINGS_MAX)
}

/// `trivy image --format json`. An image without a finding has no `Vulnerabilities`.
pub fn trivy(report: &str) -> Result<Vec<Finding>, BadReport> {
    let all: Value = serde_json::from_str(report)?;
    if all.get("Results").is_none() && all.get("SchemaVersion").is_none() {
        return Err(BadReport::Missing("Results"));
    }
    let results = list(&all["Results"]).flat_map(|result| {
        let of_base = result["Class"] == "os-pkgs";
        list(&result["Vulnerabilities"]).map(move |one| Finding {
            id: text(&one["VulnerabilityID"]),
            severity: severity(&text(&one["Severity"])),
            package: text(&one["PkgName"]),
            version: text(&one["InstalledVersion"]),
            fixed: filled(&one["FixedVersion"]),
            title: text(&one["Title"]),
            of_base,
            ignored: None,
        })
    });
    Ok(results.collect())
}

/// `grype -o json`
pub fn grype(report: &str) -> Result<Vec<Finding>, BadReport> {
    let all: Value = serde_json::from_str(report)?;
    if !all["matches"].is_array() {
        return Err(BadReport::Missing("matches"));
    }
    let found = list(&all["matches"]).map(|one| {
        let (weak, artifact) = (&one["vulnerability"], &one["artifact"]);
        Finding {
            id: text(&weak["id"]),
            severity: severity(&text(&weak["severity"])),
            package: text(&artifact["name"]),
            version: text(&artifact["version"]),
            fixed: filled(&weak["fix"]["versions"][0]),
            title: text(&weak["description"]).chars().take(200).collect(),
            of_base: matches!(artifact["type"].as_str(), Some("deb" | "apk" | "rpm")),
            ignored: None,
        }
    });
    Ok(found.collect())
}

/// `snyk container test --json`: one object, or a list where it looked at the program's packages as well.
pub fn snyk(report: &str) -> Result<Vec<Finding>, BadReport> {
    let all: Value = serde_json::from_str(report)?;
    let parts: Vec<&Value> = all.as_array().map_or_else(|| vec![&all], |list| list.iter().collect());
    if !parts.iter().any(|part| part["vulnerabilities"].is_array()) {
        return Err(BadReport::Missing("vulnerabilities"));
    }
    let found = parts.into_iter().flat_map(|part| {
        let of_base = matches!(part["packageManager"].as_str(), Some("deb" | "apk" | "rpm") | None);
        list(&part["vulnerabilities"]).map(move |one| Finding {
            id: filled(&one["identifiers"]["CVE"][0]).unwrap_or_else(|| text(&one["id"])),
            severity: severity(&text(&one["severity"])),
            package: filled(&one["packageName"]).unwrap_or_else(|| text(&one["moduleName"])),
            version: text(&one["version"]),
            fixed: filled(&one["nearestFixedInVersion"]).or_else(|| filled(&one["fixedIn"][0])),
            title: text(&one["title"]),
            of_base,
            ignored: None,
        })
    });
    Ok(found.collect())
}
