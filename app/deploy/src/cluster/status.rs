//! How the workloads of a cluster are, each with the one reason why it is not ready: for a person who has not released anything, and may not have
//! made them. It changes nothing.

use base_explain::Report;
use connect_kube::{KubeError, ListOptions, Resource};
use operate_target_kube::status::{Progress, progress};
use operate_target_kube::{Stuck, held_budgets, read, stuck};
use serde::Serialize;

use super::Clusters;

/// Objects of one kind; who has more names a namespace.
const OBJECTS_MAX: usize = 5_000;

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkloadState {
    Trouble,
    Waiting,
    Ready,
}

/// One workload at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Workload {
    pub namespace: String,
    pub kind: String,
    pub name: String,
    pub state: WorkloadState,
    /// A word of the catalogue of errors, where it is in trouble.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// Why it is not ready; empty when it is.
    pub says: String,
    /// What a person can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// No helm takes so long; the usual time for one that is left out of the settings.
pub(crate) const STUCK_MS: u64 = 1_800_000;

impl Clusters {
    /// The workloads of a namespace, the worst first; `None` is the context's own namespace, an empty one is all of them.
    pub async fn workloads(&self, context: &str, namespace: Option<&str>) -> Result<Vec<Workload>, Report> {
        let cluster = self.open(context)?;
        let namespace = namespace.map_or_else(|| cluster.found().namespace.clone(), str::to_owned);
        let within = (!namespace.is_empty()).then_some(namespace.as_str());
        let kinds = [
            ("apps/v1", "Deployment", "deployments"),
            ("apps/v1", "StatefulSet", "statefulsets"),
            ("apps/v1", "DaemonSet", "daemonsets"),
            ("batch/v1", "Job", "jobs"),
        ];
        let mut workloads = Vec::new();
        for (version, kind, plural) in kinds {
            let resource = Resource::namespaced(version, kind, plural);
            let found = cluster.list(&resource, within, &ListOptions::default(), OBJECTS_MAX).await;
            for object in found.map_err(told)? {
                let read = read(&cluster, &object).await.map_err(told)?;
                let text = |place: &str| object["metadata"][place].as_str().unwrap_or_default().to_owned();
                let (state, code, says, next) = match progress(&read.scene(&object)) {
                    Progress::Ready => (WorkloadState::Ready, None, String::new(), None),
                    Progress::Waiting(says) => (WorkloadState::Waiting, None, says, None),
                    Progress::Trouble(it) => {
                        (WorkloadState::Trouble, Some(it.code), it.message, Some(it.next.to_owned()))
                    }
                };
                let (namespace, name) = (text("namespace"), text("name"));
                workloads.push(Workload { namespace, kind: kind.to_owned(), name, state, code, says, next });
            }
        }
        // Not a workload's own trouble, and who owns the pods hears of it nowhere else.
        match held_budgets(&cluster, within).await {
            Ok(held) => workloads.extend(held.into_iter().map(|(budget, it)| {
                let text = |place: &str| budget["metadata"][place].as_str().unwrap_or_default().to_owned();
                let (namespace, name) = (text("namespace"), text("name"));
                let kind = "PodDisruptionBudget".to_owned();
                let state = WorkloadState::Waiting;
                Workload {
                    namespace,
                    kind,
                    name,
                    state,
                    code: Some(it.code),
                    says: it.message,
                    next: Some(it.next.to_owned()),
                }
            })),
            Err(KubeError::Permission { .. }) => {}
            Err(error) => return Err(told(error)),
        }
        match stuck(&cluster, within).await {
            Ok(found) => workloads.extend(found.into_iter().map(|one| hanging(one, self.world.clock.now_ms()))),
            // Most who may look at workloads may not look at Secrets, and ask about workloads.
            Err(KubeError::Permission { .. }) => {}
            Err(error) => return Err(told(error)),
        }
        workloads
            .sort_by(|a, b| (a.state, &a.namespace, &a.kind, &a.name).cmp(&(b.state, &b.namespace, &b.kind, &b.name)));
        Ok(workloads)
    }
}

/// A release of Helm whose record says that a helm is at work.
fn hanging(one: Stuck, now_ms: i64) -> Workload {
    let Stuck { namespace, name, revision, status, since_ms, to } = one;
    let age_ms = now_ms.saturating_sub(since_ms).max(0).unsigned_abs();
    let says = format!("revision {revision} says {status} since {} min", age_ms / 60_000);
    let by_hand = match to {
        Some(to) => format!("`helm -n {namespace} rollback {name} {to}`"),
        None => format!("`helm -n {namespace} uninstall {name}`"),
    };
    let next = format!("if no helm is at work on it: {by_hand}, or `apm deploy --repair` with the next version");
    let (state, code) = match age_ms >= STUCK_MS {
        true => (WorkloadState::Trouble, Some("helm.stuck")),
        false => (WorkloadState::Waiting, None),
    };
    Workload { namespace, kind: "HelmRelease".to_owned(), name, state, code, says, next: Some(next) }
}

/// The connector's error, with what to do.
pub(super) fn told(error: KubeError) -> Report {
    let report = Report::of(&error);
    match error.hint() {
        Some(hint) => report.hint(hint),
        None => report,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(minutes: i64, to: Option<u64>, state: WorkloadState, words: &[&str]) {
        let (namespace, name, status) = ("shop".into(), "cart".into(), "pending-upgrade".into());
        let one =
            hanging(Stuck { namespace, name, revision: 2, status, since_ms: 1_000, to }, 1_000 + minutes * 60_000);
        assert_eq!((one.state, one.code.is_some()), (state, state == WorkloadState::Trouble));
        let told = format!("{}; {}", one.says, one.next.unwrap_or_default());
        for word in words {
            assert!(told.contains(word), "`{word}` is not in {told}");
        }
    }

    #[test]
    fn a_release_of_helm_that_hangs_is_told_with_the_command_that_repairs_it() {
        let waiting = ["revision 2 says pending-upgrade since 3 min", "if no helm is at work", "rollback cart 1"];
        check(3, Some(1), WorkloadState::Waiting, &waiting);
        check(
            31,
            None,
            WorkloadState::Trouble,
            &["since 31 min", "helm -n shop uninstall cart", "apm deploy --repair"],
        );
    }
}
