//! The scan of a release: from the settings to the question that the plan asks, and what is to be said beforehand of an image that nobody here can look into. It
//! looks into none itself.

use std::path::Path;

use app_adapt::{Request, who_looks};
use base_explain::Report;
use base_world::Disk;
use operate_deploy::Scan;
use operate_plan::{Finding, Plan, Severity, Work};
use operate_scan::{ScanSettings, Unknown};

/// The question. Whoever carries it out may stand in another folder, so the file of advisories is named from the root; that it is there is looked at now.
pub(crate) fn asked(settings: &ScanSettings, named: &str, disk: &dyn Disk) -> Result<Scan, Report> {
    let mut settings = settings.clone();
    if let Some(path) = &mut settings.advisories {
        *path = whole(path)?;
        if !disk.exists(path).map_err(|error| Report::of(&error))? {
            let report = Report::new(format!("there is no file of advisories at {}", path.display()));
            return Err(report.because("`deploy.scan.advisories` names it").hint(
                "osv.dev has advisories for each system as a download; or leave it out, and install trivy or grype",
            ));
        }
    }
    let by_hand = settings.words();
    let request = Request::Scan { image: String::new(), named: named.to_owned(), settings: Box::new(settings) };
    let request = serde_json::to_value(request).map_err(|error| Report::of(&error))?;
    Ok(Scan { request, image_at: "/scan/image".to_owned(), by_hand })
}

fn whole(path: &Path) -> Result<std::path::PathBuf, Report> {
    std::path::absolute(path).map_err(|error| Report::of(&error))
}

/// A warning at each scan for which there is nobody: it stands in the plan, and a step that tells it stands before the scan.
pub(crate) fn findings(plan: &Plan) -> Vec<Finding> {
    let unseen = plan.steps.iter().filter_map(|step| {
        let Work::Judge(request) = &step.work else { return None };
        let Ok(Request::Scan { named, settings, .. }) = serde_json::from_value(request.clone()) else { return None };
        if who_looks(&settings).is_some() {
            return None;
        }
        let then = match settings.unknown {
            Unknown::Warn => "the release goes on without knowing",
            Unknown::Halt => "a person will be asked",
        };
        Some(Finding {
            rule: "image-unseen".to_owned(),
            severity: Severity::Warning,
            step: Some(step.id.clone()),
            message: format!("nobody here can look into {named}: {then}"),
            fix: "install trivy or grype, or name a file of advisories in `deploy.scan.advisories`".to_owned(),
        })
    });
    unseen.collect()
}

#[cfg(test)]
mod tests {
    use base_world::World;
    use operate_plan::{Draft, Inventory, OnFailure, Step};

    use super::*;

    fn settings(text: &str) -> ScanSettings {
        serde_json::from_str(text).expect("settings")
    }

    #[test]
    fn the_planner_can_name_the_image_in_the_question() {
        let given = settings(
            r#"{"fail_on": "critical", "with": "grype", "ignore": ["CVE-1", {"id": "CVE-2", "package": "zlib", "reason": "not reached"}], "ignore_unfixed": true}"#,
        );
        let mut scan = asked(&given, "shop/cart:2", &*World::real().disk).expect("a question");
        *scan.request.pointer_mut(&scan.image_at).expect("the image's place") = "sha256:1d".into();
        let Ok(Request::Scan { image, named, settings }) = serde_json::from_value(scan.request) else {
            panic!("another request")
        };
        assert_eq!((image.as_str(), named.as_str(), *settings), ("sha256:1d", "shop/cart:2", given));
        let words =
            "apm docker scan --fail-on critical --with grype --ignore CVE-1 --ignore CVE-2=zlib --ignore-unfixed";
        assert_eq!(scan.by_hand.join(" "), words);
    }

    #[test]
    fn a_file_of_advisories_that_is_not_there_is_told_before_anything_begins() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("osv.json");
        let given = ScanSettings { advisories: Some(path.clone()), ..ScanSettings::default() };
        let disk = World::real().disk;
        let refused = asked(&given, "shop/cart:2", &*disk).expect_err("it is not there").one_line();
        assert!(refused.contains("no file of advisories") && refused.contains("deploy.scan.advisories"), "{refused}");
        base_world::replace_file(&*disk, &path, b"[]").expect("written");
        asked(&given, "shop/cart:2", &*disk).expect("it is there");
    }

    #[test]
    fn a_scan_for_which_there_is_nobody_stands_in_the_plan() {
        let check = |text: &str, expect: &[&str]| {
            let settings = Box::new(settings(text));
            let request = Request::Scan { image: "sha256:1d".into(), named: "shop/cart:2".into(), settings };
            let work = Work::Judge(serde_json::to_value(request).expect("JSON"));
            let draft = Draft {
                title: "deploy".into(),
                reason: String::new(),
                target: "t".into(),
                labels: Default::default(),
                made_ms: 0,
                time_limit_ms: 1_000,
                on_failure: OnFailure::Undo,
                steps: vec![Step::new("scan", "scan it", work)],
            };
            let plan = Plan::new(draft, &Inventory::new("t"));
            let found = findings(&plan);
            let steps: Vec<_> = operate_plan::guard(&plan, &found).steps.iter().map(|step| step.id.0.clone()).collect();
            assert_eq!(steps, expect, "{text}: {found:?}");
            found.first().map(|finding| finding.message.clone()).unwrap_or_default()
        };
        // The package lists without anything to compare them with.
        let told = check(r#"{"with": "packages"}"#, &["alert-scan", "scan"]);
        assert!(told.contains("goes on without knowing"), "{told}");
        let told = check(r#"{"with": "packages", "unknown": "halt"}"#, &["alert-scan", "scan"]);
        assert!(told.contains("a person will be asked"), "{told}");
        check(r#"{"with": "packages", "advisories": "/osv.json"}"#, &["scan"]);
        check(r#"{"with": "trivy"}"#, &["scan"]);
    }
}
