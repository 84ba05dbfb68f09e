//! Releases of Helm whose record says that a helm is at work, of the charts that the settings have and of the one that a run made, whoever began with them:
//! since when, and what to do. It repairs nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use base_explain::Report;
use operate_deploy::helm_object;
use operate_execute::Target as _;
use operate_plan::{ObjectId, Plan, Seen, Work};
use serde_json::Value;

use super::status::STUCK_MS;
use super::{context_of, helm};
use crate::Desk;
use crate::release::ms;
use crate::settings::Project;

/// A cluster that does not answer keeps nobody waiting who asks about a run.
const ASK_MAX: Duration = Duration::from_secs(10);

/// One release that says pending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hanging {
    /// `shop/cart`
    pub release: String,
    /// No helm is at work on it: it was left by one that died.
    pub is_stuck: bool,
    /// Which revision says what, and since when.
    pub says: String,
    /// What a person can do.
    pub next: String,
}

/// Where one is, and when it hangs for sure.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Where {
    context: String,
    namespace: String,
    name: String,
}

impl Desk {
    /// Those of the project's charts and of a run's plan; what could not be asked is said in the place of an answer.
    pub async fn hanging(&self, project: &Project, plan: Option<&Plan>) -> Vec<Result<Hanging, Report>> {
        let mut found = Vec::new();
        for (at, stuck_ms) in self.releases(project, plan) {
            let Where { context, namespace, name } = &at;
            let looked = async {
                let (target, _) = self.cluster_target(context).map_err(|error| error.report())?;
                let object = helm_object(namespace, name);
                match target.survey(std::slice::from_ref(&object)).await.look(&object) {
                    Seen::Present(value) => Ok(told(&at, &value, self.now_ms(), stuck_ms)),
                    Seen::Absent => Ok(None),
                    Seen::Unknown(failure) => Err(Report::new(failure.to_string())),
                }
            };
            let looked = tokio::time::timeout(ASK_MAX, looked).await;
            let looked = looked.unwrap_or_else(|_| Err(Report::new("the cluster did not answer in time")));
            let unknown = |report: Report| {
                let message = format!("nobody knows whether the Helm release {namespace}/{name} hangs");
                Report::new(message).because(report.one_line())
            };
            found.extend(looked.map_err(unknown).transpose());
        }
        found
    }

    fn releases(&self, project: &Project, plan: Option<&Plan>) -> BTreeMap<Where, u64> {
        let mut releases = BTreeMap::new();
        let (context, acts) = match plan {
            Some(plan) => (context_of(&plan.target), plan.steps.iter().collect()),
            None => (None, Vec::new()),
        };
        for step in acts {
            if let (Some(context), Work::Act(act)) = (context, &step.work)
                && let Some((namespace, name)) = of_helm(&act.object)
            {
                releases.insert(Where { context: context.to_owned(), namespace, name }, STUCK_MS);
            }
        }
        for (service, settings) in &project.services {
            let kubernetes = &settings.deploy.kubernetes;
            let Some(chart) = kubernetes.helm.as_ref().filter(|_| settings.deploy.target == "kubernetes") else {
                continue;
            };
            // Who has no kubeconfig here has no release to ask for.
            let Ok(cluster) = self.clusters.open(kubernetes.context.as_deref().unwrap_or_default()) else { continue };
            let context = cluster.found().context.clone().unwrap_or_default();
            let namespace = kubernetes.namespace.clone().unwrap_or_else(|| cluster.found().namespace.clone());
            let name = chart.release.clone().unwrap_or_else(|| service.clone());
            releases.insert(Where { context, namespace, name }, ms(chart.stuck_after.0));
        }
        releases
    }
}

fn of_helm(object: &ObjectId) -> Option<(String, String)> {
    let (namespace, name) = object.name.split_once('/')?;
    (object.kind == "helm").then(|| (namespace.to_owned(), name.to_owned()))
}

fn told(at: &Where, value: &Value, now_ms: i64, stuck_ms: u64) -> Option<Hanging> {
    let status = value["status"].as_str().filter(|status| helm::is_pending(status))?;
    let Where { context, namespace, name } = at;
    let since_ms = value["updated_ms"].as_i64().filter(|ms| *ms > 0);
    let age_ms = since_ms.map_or(0, |since| now_ms.saturating_sub(since).max(0).unsigned_abs());
    let is_dead = value["dead"] == true;
    let is_stuck = is_dead || age_ms >= stuck_ms;
    let since = since_ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let since = since.map_or_else(String::new, |at| format!(" since {} ({at:.0})", span(age_ms)));
    let mut says =
        format!("the Helm release {namespace}/{name} says {status} at revision {}{since}", value["revision"]);
    says.push_str(match (is_dead, is_stuck) {
        (true, _) => ": the helm that began it does not run any more",
        (false, true) => ": no helm takes so long",
        (false, false) => ": a helm may be at work on it",
    });
    let context = if context.is_empty() { String::new() } else { format!(" --kube-context {context}") };
    let by_hand = match value["standing"]["revision"].as_u64() {
        Some(to) => format!("`helm{context} -n {namespace} rollback {name} {to}`"),
        None => format!("`helm{context} -n {namespace} uninstall {name}`"),
    };
    let next = match is_stuck {
        true => format!("`apm deploy` repairs it before it releases; by hand: {by_hand}"),
        false => {
            format!("wait for it; if you know that no helm is at work: `apm deploy --repair`, or by hand {by_hand}")
        }
    };
    Some(Hanging { release: format!("{namespace}/{name}"), is_stuck, says, next })
}

fn span(ms: u64) -> String {
    match ms / 1_000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(value: Value, age_ms: i64, expect: Option<(bool, &[&str])>) {
        let at = Where { context: "prod".into(), namespace: "shop".into(), name: "cart".into() };
        let found = told(&at, &value, 1_767_323_045_678 + age_ms, 1_800_000);
        assert_eq!(found.as_ref().map(|found| found.is_stuck), expect.map(|(is_stuck, _)| is_stuck), "{value}");
        let told = found.map(|found| format!("{}; {}", found.says, found.next)).unwrap_or_default();
        for word in expect.map_or(&[][..], |(_, words)| words) {
            assert!(told.contains(word), "`{word}` is not in {told}");
        }
    }

    #[test]
    fn a_release_that_says_pending_is_told_with_what_to_do() {
        let pending = json!({"revision": 7, "status": "pending-upgrade", "updated_ms": 1_767_323_045_678_i64,
            "standing": {"revision": 6}});
        let by_hand = "`helm --kube-context prod -n shop rollback cart 6`";
        let words =
            ["shop/cart", "pending-upgrade at revision 7 since 3 min (2026-01-02T03:04:05Z", "may be at work", by_hand];
        check(pending.clone(), 180_000, Some((false, &[&words[..], &["`apm deploy --repair`"]].concat())));
        check(
            pending.clone(),
            7_200_000,
            Some((true, &["since 2 h", "no helm takes so long", "`apm deploy` repairs it", by_hand])),
        );
        let mut dead = pending.clone();
        dead["dead"] = json!(true);
        check(dead, 5_000, Some((true, &["since 5 s", "does not run any more", "`apm deploy` repairs it"])));
        let first = json!({"revision": 1, "status": "pending-install", "updated_ms": 0});
        check(first, 0, Some((false, &["revision 1: a helm", "uninstall cart"])));
        check(json!({"revision": 7, "status": "deployed"}), 0, None);
    }
}
