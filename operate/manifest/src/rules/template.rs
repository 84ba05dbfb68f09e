//! Pod templates, and the jobs that have one.

use super::meta::{annotations, labels};
use super::words::{named, not_negative, one_of, wanted, within};
use super::{pod, selector};
use crate::format;
use crate::validate::{At, Out};

pub(crate) fn pod_template(at: &At<'_>, context: &pod::Context, out: &mut Out) {
    let metadata = at.get("metadata");
    labels(&metadata.get("labels"), out);
    annotations(&metadata.get("annotations"), out);
    pod::spec(&at.get("spec"), context, out);
}

/// The name becomes a label of its pods.
const JOB_NAME_MAX: usize = 63;

pub(crate) fn lone_job(root: &At<'_>, out: &mut Out) {
    let metadata = root.get("metadata");
    let name = metadata.get("name");
    let spec = root.get("spec");
    if name.str().len() > JOB_NAME_MAX && !spec.get("manualSelector").bool() {
        out.error(&name, "format/name", "the name of a Job is too long", format!("at most {JOB_NAME_MAX}"));
    }
    job(&spec, out);
}

/// Who else may look after a job; before, the field is dropped.
const MANAGED: u8 = 32;

fn job(spec: &At<'_>, out: &mut Out) {
    not_negative(
        spec,
        &[
            "parallelism",
            "completions",
            "backoffLimit",
            "ttlSecondsAfterFinished",
            "backoffLimitPerIndex",
            "maxFailedIndexes",
        ],
        out,
    );
    within(&spec.get("activeDeadlineSeconds"), 0, i64::MAX, out);
    one_of(&spec.get("completionMode"), &["NonIndexed", "Indexed"], out);
    let indexed = spec.get("completionMode").str() == "Indexed";
    if indexed && !spec.get("completions").is() {
        out.error(&spec.get("completions"), "field/required", "an indexed job needs `completions`", "say how many");
    }
    let per_index = spec.get("backoffLimitPerIndex");
    if per_index.is() && !indexed {
        out.error(&per_index, "relation/match", "it is for indexed jobs", "write `completionMode: Indexed`");
    }
    one_of(&spec.get("podReplacementPolicy"), &["TerminatingOrFailed", "Failed"], out);
    let manager = spec.get("managedBy");
    if out.minor >= MANAGED
        && manager.is()
        && !manager.str().split_once('/').is_some_and(|(of, _)| format::dns_subdomain(of))
    {
        let what = format!("`{}` is no name of a controller", manager.str());
        out.error(&manager, "format/name", what, "a domain and a path, as example.org/controller");
    }
    let (manual, chosen) = (spec.get("manualSelector").bool(), spec.get("selector"));
    if chosen.is() && !manual {
        out.error(
            &chosen,
            "relation/conflict",
            "a job makes its own selector",
            "take it out, or say `manualSelector: true`",
        );
    } else if manual {
        selector::of_template(spec, out);
    }
    let failures = spec.get("podFailurePolicy");
    if failures.is() && spec.get("template").get("spec").get("restartPolicy").str() != "Never" {
        out.error(&failures, "relation/match", "it needs pods with `restartPolicy: Never`", "write Never");
    }
    let rules = failures.get("rules");
    for rule in rules.items() {
        failure_rule(&rule, out);
    }
    pod_template(&spec.get("template"), &pod::Context::JOB, out);
}

fn failure_rule(at: &At<'_>, out: &mut Out) {
    let action = at.get("action");
    if wanted(&action, "action", out) {
        one_of(&action, &["Count", "FailIndex", "FailJob", "Ignore"], out);
    }
    let codes = at.get("onExitCodes");
    one_of(&codes.get("operator"), &["In", "NotIn"], out);
    let conditions = at.get("onPodConditions");
    for condition in conditions.items() {
        let kind = condition.get("type");
        if wanted(&kind, "type", out) {
            named(&kind, format::qualified_name, "qualified name", out);
        }
        one_of(&condition.get("status"), &["False", "True", "Unknown"], out);
    }
}

/// Eleven signs are added to the names of its jobs.
const CRON_NAME_MAX: usize = 52;

pub(crate) fn cron_job(root: &At<'_>, out: &mut Out) {
    let metadata = root.get("metadata");
    let name = metadata.get("name");
    if name.str().len() > CRON_NAME_MAX {
        out.error(&name, "format/name", "the name of a CronJob is too long", format!("at most {CRON_NAME_MAX}"));
    }
    let spec = root.get("spec");
    let schedule = spec.get("schedule");
    if wanted(&schedule, "schedule", out) {
        schedule_form(&schedule, out);
    }
    one_of(&spec.get("concurrencyPolicy"), &["Allow", "Forbid", "Replace"], out);
    not_negative(&spec, &["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"], out);
    let zone = spec.get("timeZone");
    if zone.is() && (zone.str().is_empty() || zone.str().eq_ignore_ascii_case("local")) {
        out.error(&zone, "format/value", "it must be a zone of the time zone database", "as Europe/Berlin or Etc/UTC");
    }
    let job_spec = spec.get("jobTemplate");
    let job_metadata = job_spec.get("metadata");
    // The server does not look at these; the jobs then cannot be made.
    out.lenient = true;
    labels(&job_metadata.get("labels"), out);
    annotations(&job_metadata.get("annotations"), out);
    out.lenient = false;
    let job_spec = job_spec.get("spec");
    if job_spec.get("manualSelector").bool() {
        out.error(
            &job_spec.get("manualSelector"),
            "relation/conflict",
            "jobs of a CronJob make their own selectors",
            "take it out",
        );
    }
    job(&job_spec, out);
}

/// Five fields of time, `@every 5m` or `@daily`; by robfig/cron's standard form.
fn schedule_form(at: &At<'_>, out: &mut Out) {
    let text = at.str();
    if text.contains("TZ") {
        out.error(at, "format/value", "no time zone in the schedule", "set `timeZone`");
        return;
    }
    let fine = match text.strip_prefix('@') {
        Some(word) => {
            matches!(word, "yearly" | "annually" | "monthly" | "weekly" | "daily" | "midnight" | "hourly")
                || word.starts_with("every ")
        }
        None => {
            let fields: Vec<&str> = text.split_whitespace().collect();
            fields.len() == 5
                && fields
                    .iter()
                    .zip(FIELDS)
                    .all(|(field, bounds)| field.split(',').all(|part| field_fits(part, *bounds)))
        }
    };
    if !fine {
        out.error(
            at,
            "format/value",
            format!("`{text}` is no schedule"),
            "minute, hour, day, month and weekday, as \"*/5 * * * *\", or @daily",
        );
    }
}

/// Least, most and the names of each field.
const FIELDS: &[(u32, u32, &[&str])] = &[
    (0, 59, &[]),
    (0, 23, &[]),
    (1, 31, &[]),
    (1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    (0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

fn field_fits(part: &str, (least, most, names): (u32, u32, &[&str])) -> bool {
    let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
    if step.is_some_and(|step| step.parse::<u32>().map_or(true, |n| n == 0)) {
        return false;
    }
    if matches!(range, "*" | "?") {
        return true;
    }
    let one = |text: &str| {
        let lower = text.to_lowercase();
        let named =
            names.iter().position(|name| *name == lower).and_then(|at| u32::try_from(at).ok()).map(|at| at + least);
        named.or_else(|| text.parse().ok()).filter(|n| (least..=most).contains(n))
    };
    match range.split_once('-') {
        Some((from, to)) => one(from).zip(one(to)).is_some_and(|(from, to)| from <= to),
        None => one(range).is_some(),
    }
}
