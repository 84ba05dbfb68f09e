//! Canaries by weights, on the Gateway API's and Istio's real definitions: requests really split where a gateway carries an HTTPRoute out, and whatever becomes
//! of the release, the route is what it was. Nobody carries a VirtualService out here: of it, the objects are looked at.

use std::process::Command;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use connect_kube::{DeleteOptions, Patch, Resource, WriteOptions};
use operate_deploy::{Canary, ClusterRelease, RouteKind, Strategy};
use operate_execute::{Context, Image, Judge, Judgement, Ruling, Status, Target as _};
use operate_plan::{Failure, ObjectId, Severity};
use operate_target_fake::Kill;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::kills;
use crate::proxy::{CONTROLLER, Gateway, Watcher};
use crate::rig::Rig;

const ROUTE: &str = "HTTPRoute.gateway.networking.k8s.io";
const VIRTUAL: &str = "VirtualService.networking.istio.io";
const RULE: &str = "DestinationRule.networking.istio.io";

/// The cluster knows the kinds, once for all tests.
pub(crate) fn defined() {
    static DEFINED: OnceLock<()> = OnceLock::new();
    DEFINED.get_or_init(|| {
        let mut kubectl = Command::new(Rig::tools().join("bin/kubectl"));
        kubectl.env("KUBECONFIG", Rig::folder().join("kubeconfig/admin"));
        let file = Rig::tools().join("share/routes.yaml");
        let output =
            kubectl.args(["apply", "--server-side", "-f"]).arg(&file).output().expect("kubectl can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut kubectl = Command::new(Rig::tools().join("bin/kubectl"));
        kubectl.env("KUBECONFIG", Rig::folder().join("kubeconfig/admin"));
        // Not all there are: other tests' kinds come and go.
        kubectl.args(["wait", "--for=condition=Established", "--timeout=60s", "-f"]).arg(&file);
        let output = kubectl.output().expect("kubectl can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    });
}

pub(crate) fn meta(rig: &Rig, name: &str) -> Value {
    json!({"name": name, "namespace": rig.namespace})
}

/// An HTTPRoute of somebody else, with more in it than whom it sends to.
fn route(rig: &Rig) -> ObjectId {
    let filter =
        json!({"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}});
    rig.make(&json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": meta(rig, "web"), "spec": {
        "parentRefs": [{"name": "edge"}],
        "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "filters": [filter],
            "backendRefs": [{"name": "cart", "port": 80}]}]}}));
    ObjectId::new(ROUTE, format!("{}/web", rig.namespace))
}

pub(crate) fn release(rig: &Rig, version: &str, steps: &[u32]) -> ClusterRelease {
    let mut release = rig.release(version);
    release.strategy = Strategy::Canary;
    release.canary = Some(Canary { steps: steps.to_vec(), beside: None, judge_ms: 30_000 });
    release.judge_ms = 30_000;
    release
}

/// What is there of the release and of these, whole.
pub(crate) fn all(rig: &Rig, more: &[ObjectId]) -> Vec<(ObjectId, Image)> {
    let services = ObjectId::new("Service", format!("{}/cart-canary", rig.namespace));
    let named = more.iter().cloned().chain([services]).map(|id| {
        let image = rig.image(&id);
        (id, image)
    });
    rig.objects().into_iter().chain(named).collect()
}

pub(crate) fn check_same(rig: &Rig, before: &[(ObjectId, Image)], now: &[(ObjectId, Image)]) {
    let target = rig.target();
    for ((id, was), (other, is)) in before.iter().zip(now) {
        assert!(id == other && target.is_same(was, is), "{id}: {was:?}\nis\n{is:?}");
    }
    assert_eq!(before.len(), now.len());
}

/// Who owns which field of an object, but for status.
pub(crate) fn owners(rig: &Rig, id: &ObjectId) -> Value {
    let Image::Present(image) = rig.image(id) else { panic!("{id} is gone") };
    image["metadata"]["managedFields"].clone()
}

#[test]
fn requests_split_by_weight_a_bad_version_is_noticed_at_five_percent_and_a_good_one_gets_everything() {
    defined();
    let mut rig = Rig::new("split");
    let (run, status) = rig.deploy(&release(&rig, "1", &[]), &[]);
    assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
    let web = route(&rig);
    let unheard = rig.findings(&release(&rig, "2", &[5]));
    assert!(
        unheard.iter().any(|one| one.rule == "route-unverified" && one.severity == Severity::Critical),
        "{unheard:?}"
    );
    let gateway = Gateway::start(&rig, "web", |_| true);
    let spoken = || rig.findings(&release(&rig, "2", &[5])).iter().all(|one| one.rule != "route-unverified");
    while !spoken() {
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
    let (before, owned) = (all(&rig, std::slice::from_ref(&web)), owners(&rig, &web));

    let watcher = Watcher::new(&gateway, "v1");
    rig.lives.judge = Some(Arc::clone(&watcher) as Arc<dyn Judge>);
    let (run, status) = rig.deploy(&release(&rig, "bad", &[5, 20, 100]), &[]);
    assert_eq!(status, Status::RolledBack, "{}", rig.reason(&run));
    assert!(rig.reason(&run).contains("5 of 5 answers of the new version were bad"), "{}", rig.reason(&run));
    assert_eq!(*watcher.shares.lock(), [5], "one pod of three, and five of a hundred requests");
    check_same(&rig, &before, &all(&rig, std::slice::from_ref(&web)));

    watcher.shares.lock().clear();
    let (run, status) = rig.deploy(&release(&rig, "2", &[5, 20, 100]), &[]);
    assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
    assert_eq!(*watcher.shares.lock(), [5, 20, 100]);
    assert_eq!(owners(&rig, &web), owned, "whose the fields were");
    let target = rig.target();
    let was = before.iter().find(|(id, _)| *id == web).map(|(_, image)| image).expect("it was there");
    assert!(target.is_same(was, &rig.image(&web)));
    let left: Vec<_> = all(&rig, &[])
        .into_iter()
        .filter(|(id, image)| id.name.ends_with("canary") && *image != Image::Absent)
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_route_that_its_controller_refuses_ends_the_release_with_the_controller_s_reason() {
    defined();
    let rig = Rig::pretended("refusing");
    assert_eq!(rig.deploy(&release(&rig, "1", &[]), &[]).1, Status::Complete);
    let web = route(&rig);
    let _gateway = Gateway::start(&rig, "web", |weights| weights.len() == 1);
    while rig.findings(&release(&rig, "2", &[50])).iter().any(|one| one.rule == "route-unverified") {
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
    let before = all(&rig, std::slice::from_ref(&web));
    let (run, status) = rig.deploy(&release(&rig, "2", &[50]), &[]);
    assert_eq!(status, Status::RolledBack);
    let reason = rig.reason(&run);
    for expect in ["kube.route", CONTROLLER, "Accepted is False", "UnsupportedValue", "no such weight on a Saturday"] {
        assert!(reason.contains(expect), "{reason}");
    }
    check_same(&rig, &before, &all(&rig, std::slice::from_ref(&web)));
}

/// Changes the route while the canary is judged, and agrees.
struct Meddler {
    namespace: String,
    patch: Value,
    judged: Mutex<u32>,
}

#[async_trait]
impl Judge for Meddler {
    async fn judge(&self, _: &Context, request: &Value, _: i64) -> Result<Judgement, Failure> {
        *self.judged.lock() += 1;
        let at =
            Resource::namespaced("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes").at(&self.namespace, "web");
        let options = WriteOptions::by("argocd-controller");
        Rig::cluster().patch(&at, &Patch::Json(self.patch.clone()), &options).await.expect("it can be changed");
        let sentence = "the test says so".to_owned();
        let fails = request["fail"] == true;
        Ok(if fails { Ruling::Fail { sentence, hurt_since_ms: None } } else { Ruling::Pass { sentence } }.into())
    }
}

fn meddled(namespace: &str, patch: Value, fails: bool) -> (Rig, ObjectId, Vec<(ObjectId, Image)>, Status, String) {
    defined();
    let mut rig = Rig::pretended(namespace);
    assert_eq!(rig.deploy(&release(&rig, "1", &[]), &[]).1, Status::Complete);
    let web = route(&rig);
    let before = all(&rig, &[]);
    rig.lives.judge = Some(Arc::new(Meddler { namespace: namespace.to_owned(), patch, judged: Mutex::default() }));
    let mut second = release(&rig, "2", &[50]);
    second.route.unverified = true;
    second.judge = Some(json!({ "fail": fails }));
    let (run, status) = rig.deploy(&second, &[]);
    let reason = rig.reason(&run);
    (rig, web, before, status, reason)
}

#[test]
fn weights_that_somebody_else_sets_meanwhile_are_a_conflict_that_names_them() {
    let patch = json!([{"op": "replace", "path": "/spec/rules/0/backendRefs/0/weight", "value": 7}]);
    let (rig, web, before, status, reason) = meddled("meddled", patch, false);
    assert_eq!(status, Status::RolledBack, "{reason}");
    assert!(reason.contains("kube.weights") && reason.contains("was changed by argocd-controller at 20"), "{reason}");
    assert!(reason.contains("says cart 7, cart-canary 50, not cart 50, cart-canary 50"), "{reason}");
    check_same(&rig, &before, &all(&rig, &[]));
    let Image::Present(now) = rig.image(&web) else { panic!("it is gone") };
    assert_eq!(now["spec"]["rules"][0]["backendRefs"][0]["weight"], 1);
}

#[test]
fn what_somebody_else_changes_beside_the_weights_stays_on_the_way_back() {
    let rule = json!({"matches": [{"path": {"type": "PathPrefix", "value": "/new"}}], "backendRefs": [{"name": "other", "port": 80}]});
    let patch = json!([{"op": "add", "path": "/spec/hostnames", "value": ["shop.example.org"]}, {"op": "add", "path": "/spec/rules/0", "value": rule}]);
    let (rig, web, before, status, reason) = meddled("beside", patch, true);
    assert_eq!(status, Status::RolledBack, "{reason}");
    check_same(&rig, &before, &all(&rig, &[]));
    let Image::Present(now) = rig.image(&web) else { panic!("it is gone") };
    assert_eq!(now["spec"]["hostnames"], json!(["shop.example.org"]));
    let sent = |rule: usize| {
        now["spec"]["rules"][rule]["backendRefs"]
            .as_array()
            .map(|list| list.iter().map(|one| one["name"].clone()).collect::<Vec<_>>())
    };
    assert_eq!((sent(0), sent(1)), (Some(vec![json!("other")]), Some(vec![json!("cart")])));
}

/// A VirtualService that sends to the Service, or to a subset of it, is weighed and is as it was afterwards, whether the release stays or not.
fn check_virtual(namespace: &str, destination: &Value, more: &[ObjectId]) {
    defined();
    let rig = Rig::pretended(namespace);
    assert_eq!(rig.deploy(&release(&rig, "1", &[]), &[]).1, Status::Complete);
    rig.make(&json!({"apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService", "metadata": meta(&rig, "cart"), "spec": {
        "hosts": ["cart"], "http": [{"route": [{"destination": destination}], "retries": {"attempts": 2}}]}}));
    let virtual_service = ObjectId::new(VIRTUAL, format!("{namespace}/cart"));
    let ids: Vec<_> = [virtual_service].iter().chain(more).cloned().collect();
    if !more.is_empty() {
        rig.make(&json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": meta(&rig, "cart"), "spec": {
            "host": "cart", "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}},
            "subsets": [{"name": "stable", "labels": {"app": "cart"}}, {"name": "debug", "labels": {"app": "debug"}}]}}));
    }
    let before = all(&rig, &ids);
    let owned: Vec<_> = ids.iter().map(|id| owners(&rig, id)).collect();
    let mut bad = release(&rig, "2", &[20, 50]);
    bad.judge = Some(json!({"fail": true}));
    let (run, status) = rig.deploy(&bad, &[]);
    assert_eq!(status, Status::RolledBack, "{}", rig.reason(&run));
    check_same(&rig, &before, &all(&rig, &ids));
    let (run, status) = rig.deploy(&release(&rig, "2", &[20, 50]), &[]);
    assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
    let told = serde_json::to_string(&rig.journal(&run)).expect("JSON");
    assert!(told.contains("weigh-50") && told.contains("weigh-home"), "it was not weighed");
    for (id, owned) in ids.iter().zip(&owned) {
        let was = before.iter().find(|(one, _)| one == id).map(|(_, image)| image).expect("it was there");
        assert!(rig.target().is_same(was, &rig.image(id)), "{id}");
        assert_eq!(owners(&rig, id), *owned, "{id}: whose the fields were");
    }
    assert_eq!(rig.image(&ObjectId::new("Service", format!("{namespace}/cart-canary"))), Image::Absent);
}

#[test]
fn a_virtual_service_is_weighed_by_services() {
    check_virtual("virtual-host", &json!({"host": "cart.virtual-host.svc.cluster.local"}), &[]);
}

#[test]
fn a_virtual_service_is_weighed_by_subsets() {
    let rule = ObjectId::new(RULE, "virtual-subset/cart");
    check_virtual("virtual-subset", &json!({"host": "cart", "subset": "stable"}), &[rule]);
}

#[test]
fn a_route_of_the_release_itself_is_applied_weighed_and_stays_its_own() {
    defined();
    let rig = Rig::pretended("own-route");
    let with_route = |version: &str, steps: &[u32], hostname: &str| {
        let mut release = release(&rig, version, steps);
        let body = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": meta(&rig, "web"), "spec": {
            "hostnames": [hostname], "rules": [{"backendRefs": [{"name": "cart", "port": 80}]}]}});
        release.items.push(operate_deploy::Item { body, secrets: Default::default(), source: "k8s/web.yaml".into() });
        release.route.unverified = true;
        release
    };
    let web = ObjectId::new(ROUTE, "own-route/web");
    assert_eq!(rig.deploy(&with_route("1", &[], "a.example.org"), &[]).1, Status::Complete);
    let before = all(&rig, std::slice::from_ref(&web));
    let mut bad = with_route("2", &[50], "b.example.org");
    bad.judge = Some(json!({"fail": true}));
    let (run, status) = rig.deploy(&bad, &[]);
    assert_eq!(status, Status::RolledBack, "{}", rig.reason(&run));
    check_same(&rig, &before, &all(&rig, std::slice::from_ref(&web)));
    for (version, hostname) in [("2", "b.example.org"), ("3", "b.example.org")] {
        let (run, status) = rig.deploy(&with_route(version, &[50], hostname), &[]);
        assert_eq!(status, Status::Complete, "{version}: {}", rig.reason(&run));
        let Image::Present(now) = rig.image(&web) else { panic!("it is gone") };
        assert_eq!(now["spec"]["hostnames"], json!([hostname]));
        let names: Vec<_> =
            now["spec"]["rules"][0]["backendRefs"].as_array().expect("a list").iter().map(|one| &one["name"]).collect();
        assert_eq!(names, ["cart"]);
    }
}

#[test]
fn who_may_not_write_routes_is_told_before_anything_is_changed() {
    defined();
    let mut rig = Rig::pretended("no-rights");
    assert_eq!(rig.deploy(&release(&rig, "1", &[]), &[]).1, Status::Complete);
    route(&rig);
    let rules = json!([
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]},
        {"apiGroups": ["", "apps"], "resources": ["*"], "verbs": ["*"]}]);
    rig.make(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta(&rig, "most"), "rules": rules}));
    rig.make(
        &json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": meta(&rig, "most"),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "most"},
        "subjects": [{"kind": "User", "name": "viewer", "apiGroup": "rbac.authorization.k8s.io"}]}),
    );
    rig.user = "viewer";
    let refused = rig.plan(&release(&rig, "2", &[50])).expect_err("it may not");
    let told = format!("{refused}; {}", refused.hint());
    assert!(
        told.contains("HTTPRoute.gateway.networking.k8s.io")
            && told.contains("resources: [httproutes], verbs: [patch, update]"),
        "{told}"
    );
    let mut by_pods = release(&rig, "2", &[50]);
    by_pods.route.kind = Some(RouteKind::Pods);
    rig.plan(&by_pods).expect("pods are enough");
    // Who may not even list them does not know.
    rig.user = "admin";
    let at = Resource::namespaced("rbac.authorization.k8s.io/v1", "Role", "roles").at(&rig.namespace, "most");
    rig.block_on(async { Rig::cluster().delete(&at, &DeleteOptions::default()).await }).expect("it can be deleted");
    let rules = json!([{"apiGroups": ["", "apps", "authorization.k8s.io"], "resources": ["*"], "verbs": ["*"]}]);
    rig.make(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta(&rig, "most"), "rules": rules}));
    rig.user = "viewer";
    let unknown = || {
        rig.findings(&release(&rig, "2", &[50]))
            .iter()
            .any(|one| one.rule == "unknown-route" && one.message.contains("HTTPRoute"))
    };
    while !unknown() {
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
    rig.user = "admin";
}

fn killed(namespace: &str, judge_fails: bool, kills: &[Kill]) -> u64 {
    let rig = Rig::pretended(namespace);
    let (run, status) = rig.deploy(&release(&rig, "1", &[]), &[]);
    assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
    let web = route(&rig);
    let (before, owned) = (all(&rig, std::slice::from_ref(&web)), owners(&rig, &web));
    let mut second = release(&rig, "2", &[50]);
    second.route.unverified = true;
    second.judge = Some(json!({ "fail": judge_fails }));
    let (run, status) = rig.deploy(&second, kills);
    let expect = if judge_fails { Status::RolledBack } else { Status::Complete };
    assert_eq!(status, expect, "{kills:?}: {}", rig.reason(&run));
    if judge_fails {
        check_same(&rig, &before, &all(&rig, std::slice::from_ref(&web)));
    } else {
        let was = before.iter().find(|(id, _)| *id == web).map(|(_, image)| image).expect("it was there");
        assert!(rig.target().is_same(was, &rig.image(&web)), "{kills:?}");
        assert_eq!(owners(&rig, &web), owned, "{kills:?}");
        let left: Vec<_> = all(&rig, &[])
            .into_iter()
            .filter(|(id, image)| id.name.ends_with("canary") && *image != Image::Absent)
            .collect();
        assert!(left.is_empty(), "{kills:?}: {left:?}");
    }
    rig.lives.crash.passed()
}

#[test]
fn a_canary_by_weights_killed_at_any_boundary_ends_as_it_should() {
    defined();
    kills::sweep("kill-weights", &killed);
}
