//! What is told before a release begins is what would happen: quotas and limits counted as the API server counts them, rights that are enough and no
//! more, and refusals of webhooks in their own words.

use std::time::Duration;

use connect_kube::{DeleteOptions, ListOptions, Patch, Resource, WriteOptions};
use operate_deploy::{ClusterRelease, Item, Refusal, Strategy};
use operate_execute::Status;
use operate_plan::{Failure, Severity, Work};
use operate_target_kube::held_budgets;
use serde_json::{Value, json};

use crate::rig::Rig;
use crate::webhook;

/// Controllers and caches of the API server follow in a moment.
const LOOKS_MAX: usize = 300;

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS_MAX {
        if let Some(found) = look() {
            return found;
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
    panic!("waited in vain: {what}")
}

/// An object of the namespace as the server has it.
fn get(rig: &Rig, version: &str, kind: &str, plural: &str, name: &str) -> Value {
    let at = Resource::namespaced(version, kind, plural).at(&rig.namespace, name);
    rig.block_on(async { Rig::cluster().get(&at).await }).expect("it is there")
}

fn quota(rig: &Rig, hard: &Value) {
    let metadata = json!({"name": "few", "namespace": rig.namespace});
    rig.make(&json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": hard}}));
    until("the quota is counted", || {
        let status = get(rig, "v1", "ResourceQuota", "resourcequotas", "few")["status"].clone();
        (status["hard"] == *hard && status["used"].is_object()).then_some(())
    });
}

fn asking(mut release: ClusterRelease, cpu: &str) -> ClusterRelease {
    let container = &mut release.items[3].body["spec"]["template"]["spec"]["containers"][0];
    container["resources"] = json!({"requests": {"cpu": cpu}});
    release
}

fn rolling(mut release: ClusterRelease, surge: u32, unavailable: u32) -> ClusterRelease {
    let settings = json!({"maxSurge": surge, "maxUnavailable": unavailable});
    release.items[3].body["spec"]["strategy"] = json!({"rollingUpdate": settings});
    release
}

fn by(mut release: ClusterRelease, strategy: Strategy) -> ClusterRelease {
    release.strategy = strategy;
    release
}

/// Two pods of 400m run; then there is a quota. The second release is told this of it beforehand, and that is what becomes of it.
fn check(
    namespace: &str,
    hard: &Value,
    change: impl Fn(ClusterRelease) -> ClusterRelease,
    expect: &[(Severity, &str)],
) {
    let rig = Rig::pretended(namespace);
    let release = |version: &str| asking(rig.release(version), "400m");
    let (run, status) = rig.deploy(&release("1"), &[]);
    assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
    let before = rig.objects();
    quota(&rig, hard);
    let mut second = change(release("2"));
    let findings = rig.findings(&second);
    let told: Vec<_> = findings.iter().map(|one| (one.severity, one.rule.as_str())).collect();
    let told: Vec<_> = told.into_iter().filter(|(_, rule)| rule.starts_with("quota")).collect();
    assert_eq!(told, expect, "{findings:?}");
    let fails = expect.iter().any(|(severity, _)| *severity == Severity::Critical);
    if fails {
        second.ready_ms = 15_000;
    }
    let (run, status) = rig.deploy(&second, &[]);
    let reason = rig.reason(&run);
    if fails {
        assert_eq!(status, Status::RolledBack, "{reason}");
        assert!(reason.contains("exceeded quota: few"), "{reason}");
        rig.is_as(&before).unwrap_or_else(|why| panic!("{why}"));
        // Not only the object: a pod that was made of the new version is gone, however little room there was.
        until("the old version runs alone", || {
            let now = get(&rig, "apps/v1", "Deployment", "deployments", "cart")["status"].clone();
            ["replicas", "updatedReplicas", "availableReplicas"].iter().all(|name| now[name] == 2).then_some(())
        });
    } else {
        assert_eq!(status, Status::Complete, "{reason}");
    }
}

const NO_ROOM: (Severity, &str) = (Severity::Critical, "quota");
const SLOWER: (Severity, &str) = (Severity::Warning, "quota-surge");

#[test]
fn a_quota_without_room_for_the_first_new_pod() {
    check("quota-surge", &json!({"pods": "2"}), |release| rolling(release, 1, 0), &[NO_ROOM]);
}

#[test]
fn a_quota_with_room_when_one_old_pod_goes() {
    check("quota-spare", &json!({"pods": "2"}), |release| rolling(release, 1, 1), &[SLOWER]);
}

#[test]
fn a_quota_without_room_for_a_second_color() {
    check("quota-colors", &json!({"pods": "3"}), |release| by(release, Strategy::BlueGreen), &[NO_ROOM]);
}

#[test]
fn a_quota_that_a_recreate_keeps_to() {
    check("quota-anew", &json!({"pods": "2", "requests.cpu": "800m"}), |release| by(release, Strategy::Recreate), &[]);
}

#[test]
fn a_quota_that_the_new_version_outgrows() {
    check("quota-grown", &json!({"cpu": "1"}), |release| rolling(asking(release, "600m"), 0, 1), &[NO_ROOM]);
}

#[test]
fn a_limit_range_forbids_the_pods_beforehand_and_then() {
    let rig = Rig::pretended("limits");
    let (run, status) = rig.deploy(&rig.release("1"), &[]);
    assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
    let before = rig.objects();
    rig.make(&json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "sizes", "namespace": "limits"},
        "spec": {"limits": [{"type": "Container", "max": {"cpu": "100m"}}]}}));
    let mut second = asking(rig.release("2"), "200m");
    let container = &mut second.items[3].body["spec"]["template"]["spec"]["containers"][0];
    container["resources"]["limits"] = json!({"cpu": "200m"});
    let told: Vec<_> = rig.findings(&second).into_iter().filter(|one| one.severity == Severity::Critical).collect();
    let [only] = &told[..] else { panic!("{told:?}") };
    assert!(only.message.contains("LimitRange sizes of limits allows at most 100m cpu"), "{}", only.message);
    let failure = until("the range is in force", || pods_of(&rig, &second).err());
    assert!(failure.message.contains("maximum cpu usage per Container is 100m"), "{failure}");
    let (run, status) = rig.deploy(&second, &[]);
    let reason = rig.reason(&run);
    assert_eq!(status, Status::RolledBack, "{reason}");
    assert!(reason.contains("maximum cpu usage per Container is 100m"), "{reason}");
    rig.is_as(&before).unwrap_or_else(|why| panic!("{why}"));
}

/// What the API server would say to the Deployment of a release, and to its pods.
fn pods_of(rig: &Rig, release: &ClusterRelease) -> Result<Vec<String>, Failure> {
    let plan = rig.plan(release).expect("a plan");
    let target = rig.target();
    let acts = plan.steps.iter().filter_map(|step| match &step.work {
        Work::Act(act) if act.object.kind == "Deployment.apps" => Some(act),
        _ => None,
    });
    let mut warnings = Vec::new();
    for act in acts {
        rig.block_on(target.rehearse(act))?;
        warnings.extend(rig.block_on(target.rehearse_pod(act))?);
    }
    Ok(warnings)
}

/// A webhook refuses; it is told by its name and in its words, before anything is changed, and where it came after that.
fn check_refused(namespace: &str, operation: &str, group: &str, resource: &str) {
    let rig = Rig::pretended(namespace);
    let (run, status) = rig.deploy(&rig.release("1"), &[]);
    assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
    let before = rig.objects();
    assert_eq!(pods_of(&rig, &rig.release("2")), Ok(vec![]));
    let configuration = webhook::refuse(&rig, operation, group, resource);
    let failure = until("the webhook is asked", || pods_of(&rig, &rig.release("2")).err());
    let told = failure.to_string();
    for word in ["kube.admission", webhook::NAME, webhook::WORDS] {
        assert!(told.contains(word), "`{word}` is not in: {told}");
    }
    rig.is_as(&before).unwrap_or_else(|why| panic!("asking changed it: {why}"));
    let (run, status) = rig.deploy(&rig.release("2"), &[]);
    let reason = rig.reason(&run);
    let hooks = Resource::cluster_wide(
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
    );
    let gone = async { Rig::cluster().delete(&hooks.at("", &configuration), &DeleteOptions::default()).await };
    rig.block_on(gone).expect("deleted");
    assert_ne!(status, Status::Complete);
    for word in ["kube.admission", webhook::NAME, webhook::WORDS] {
        assert!(reason.contains(word), "`{word}` is not in: {reason}");
    }
    assert_eq!(status, Status::RolledBack, "{reason}");
    rig.is_as(&before).unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn a_webhook_that_refuses_the_pods_is_named() {
    check_refused("webhook-pods", "CREATE", "", "pods");
}

#[test]
fn a_webhook_that_refuses_the_deployment_is_named() {
    check_refused("webhook-update", "UPDATE", "apps", "deployments");
}

/// The Role that a refusal asks for is enough for a release and for its undo, and without it there is no plan.
#[test]
fn the_rights_that_are_told_to_be_missing_are_enough() {
    let mut rig = Rig::pretended("rights");
    rig.user = "viewer";
    let refused = rig.plan(&rig.release("1")).expect_err("he may nothing here");
    let Refusal::Forbidden { what, rule, .. } = &refused else { panic!("{refused}") };
    assert!(what.contains("create, delete, get, patch, update Deployment.apps in rights"), "{what}");
    let list =
        |text: &str| -> Vec<String> { text.split(',').map(|word| word.trim().trim_matches('"').to_owned()).collect() };
    let rules = rule.split('`').filter(|part| part.starts_with("- {")).map(|part| {
        let lists: Vec<_> = part.split('[').skip(1).filter_map(|rest| rest.split(']').next()).collect();
        let [groups, resources, verbs] = lists[..] else { panic!("{part}") };
        json!({"apiGroups": list(groups), "resources": list(resources), "verbs": list(verbs)})
    });
    let rules: Vec<_> = rules.collect();
    assert!(rules.len() > 3, "{rule}");
    let metadata = json!({"name": "releases", "namespace": "rights"});
    let (group, version) = ("rbac.authorization.k8s.io", "rbac.authorization.k8s.io/v1");
    rig.make(&json!({"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": rules}));
    rig.make(&json!({"apiVersion": version, "kind": "RoleBinding", "metadata": metadata,
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "releases"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "viewer"}]}));
    until("the role is in force", || rig.plan(&rig.release("1")).ok());
    let (run, status) = rig.deploy(&rig.release("1"), &[]);
    assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
    // What he may not look at is a warning.
    let unknown = rig.findings(&rig.release("2")).into_iter().filter(|one| one.rule == "unknown-around");
    assert_eq!(unknown.filter(|one| one.severity == Severity::Warning).count(), 5);
    let before = rig.objects();
    let mut bad = rig.release("2");
    bad.judge = Some(json!({"fail": true}));
    let (run, status) = rig.deploy(&bad, &[]);
    assert_eq!(status, Status::RolledBack, "{}", rig.reason(&run));
    rig.is_as(&before).unwrap_or_else(|why| panic!("{why}"));
}

/// A budget does not hold a rollout; it holds a node's draining, and that is what is told.
#[test]
fn a_budget_that_spares_nobody_holds_evictions_and_no_rollout() {
    let rig = Rig::pretended("budget");
    rig.make(&json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "full", "namespace": "budget"},
        "spec": {"minAvailable": "100%", "selector": {"matchLabels": {"app": "cart"}}}}));
    let told = rig.findings(&rig.release("1")).into_iter().find(|one| one.rule == "no-evictions").expect("told");
    assert!(told.message.contains("budget full lets none of the 2 pods"), "{}", told.message);
    for version in ["1", "2"] {
        let (run, status) = rig.deploy(&rig.release(version), &[]);
        assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
    }
    let held = || rig.block_on(async { held_budgets(&Rig::cluster(), Some("budget")).await }).expect("asked");
    assert_eq!(held(), []);
    let pods = Resource::namespaced("v1", "Pod", "pods");
    let pods = async { Rig::cluster().list(&pods, Some("budget"), &ListOptions::labelled("app=cart"), 10).await };
    let node = rig.block_on(pods).expect("listed")[0]["spec"]["nodeName"].as_str().expect("a node").to_owned();
    let at = Resource::cluster_wide("v1", "Node", "nodes").at("", &node);
    let drain = |drained: bool| {
        let patch = Patch::Merge(json!({"spec": {"unschedulable": drained}}));
        rig.block_on(async { Rig::cluster().patch(&at, &patch, &WriteOptions::by("drain")).await }).expect("changed");
    };
    drain(true);
    let found = until("the budget is counted", || held().pop());
    drain(false);
    let expect = format!(
        "cannot be evicted from node {node}, which takes no new pods: budget full wants 2 of 2 pods healthy, and 2 are"
    );
    assert!(found.1.message.ends_with(&expect), "{}", found.1.message);
}

/// Somebody else scales, as an autoscaler does.
fn scaled_by_others(rig: &Rig, deployment: &str, replicas: u32) {
    let at = Resource::namespaced("apps/v1", "Deployment", "deployments").at(&rig.namespace, deployment);
    let options = WriteOptions { subresource: Some("scale".into()), ..WriteOptions::by("autoscaler") };
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    rig.block_on(async { Rig::cluster().patch(&at, &patch, &options).await }).expect("scaled");
}

fn replicas(rig: &Rig, deployment: &str) -> Value {
    get(rig, "apps/v1", "Deployment", "deployments", deployment)["spec"]["replicas"].clone()
}

#[test]
fn a_recreate_starts_as_many_pods_as_others_wanted_undone_or_not() {
    let rig = Rig::pretended("scaled");
    let release = |version: &str| {
        let mut release = by(rig.release(version), Strategy::Recreate);
        release.items[3].body["spec"].as_object_mut().expect("a map").remove("replicas");
        release
    };
    assert_eq!(rig.deploy(&release("1"), &[]).1, Status::Complete);
    scaled_by_others(&rig, "cart", 3);
    let (run, status) = rig.deploy(&release("2"), &[]);
    assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
    assert_eq!(replicas(&rig, "cart"), 3);
    scaled_by_others(&rig, "cart", 4);
    let before = rig.objects();
    let mut bad = release("3");
    bad.judge = Some(json!({"fail": true}));
    let (run, status) = rig.deploy(&bad, &[]);
    assert_eq!(status, Status::RolledBack, "{}", rig.reason(&run));
    assert_eq!(replicas(&rig, "cart"), 4);
    rig.is_as(&before).unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn an_autoscaler_follows_the_color_that_serves() {
    let rig = Rig::pretended("follows");
    let scaler = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "cart", "namespace": "follows"}, "spec": {"minReplicas": 1, "maxReplicas": 9,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart"},
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]}});
    let release = |version: &str| {
        let mut release = by(asking(rig.release(version), "10m"), Strategy::BlueGreen);
        release.items[3].body["spec"].as_object_mut().expect("a map").remove("replicas");
        release.items.push(Item { body: scaler.clone(), secrets: Default::default(), source: String::new() });
        release
    };
    let follows = |color: &str| {
        let scaler = get(&rig, "autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "cart");
        assert_eq!(scaler["spec"]["scaleTargetRef"]["name"], format!("cart-{color}"));
    };
    let (run, status) = rig.deploy(&release("1"), &[]);
    assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
    follows("blue");
    scaled_by_others(&rig, "cart-blue", 3);
    let (run, status) = rig.deploy(&release("2"), &[]);
    assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
    follows("green");
    assert_eq!(replicas(&rig, "cart-green"), 3);
    let mut bad = release("3");
    bad.judge = Some(json!({"fail": true}));
    let (run, status) = rig.deploy(&bad, &[]);
    assert_eq!(status, Status::RolledBack, "{}", rig.reason(&run));
    follows("green");
}
