//! Canaries by weights of routes that are elsewhere, and of GRPCRoutes, on the Gateway API's real definitions. What holds for any route is tested with
//! [`crate::weights`].

use std::sync::Arc;

use connect_kube::{ObjectAt, Resource};
use operate_deploy::{ClusterRelease, RouteChoice, RouteKind};
use operate_execute::{Image, Judge, Status, Target as _};
use operate_plan::ObjectId;
use serde_json::{Value, json};

use crate::proxy::{Gateway, Watcher};
use crate::rig::Rig;
use crate::weights::{all, check_same, defined, owners, release};

const API: &str = "gateway.networking.k8s.io/v1";

/// A route of this kind that sends to the Service of the rig, wherever it is itself.
fn make(rig: &Rig, kind: &str, namespace: &str, name: &str) -> (ObjectId, ObjectAt) {
    let backend = json!({"name": "cart", "namespace": rig.namespace, "port": 80});
    rig.make(&json!({"apiVersion": API, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": {
        "parentRefs": [{"name": "edge"}], "rules": [{"backendRefs": [backend]}]}}));
    let plural = format!("{}s", kind.to_ascii_lowercase());
    let id = ObjectId::new(format!("{kind}.gateway.networking.k8s.io"), format!("{namespace}/{name}"));
    (id, Resource::namespaced(API, kind, &plural).at(namespace, name))
}

/// The namespace of the rig lets HTTPRoutes of another send to `to`.
fn grant(rig: &Rig, from: &str, to: &Value) {
    rig.make(&json!({"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant",
        "metadata": {"name": "edge", "namespace": rig.namespace}, "spec": {
            "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": from}], "to": [to]}}));
}

/// Until a controller has said that it takes the route as it is.
fn await_spoken(rig: &Rig, release: &ClusterRelease) {
    while rig.findings(release).iter().any(|one| ["route-unverified", "route-refused"].contains(&one.rule.as_str())) {
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
}

/// The route is as it was, and so is who owns which of its fields.
fn check_route(rig: &Rig, id: &ObjectId, before: &(Image, Value)) {
    assert!(rig.target().is_same(&before.0, &rig.image(id)), "{id}");
    assert_eq!(owners(rig, id), before.1, "{id}");
}

#[test]
fn a_route_in_another_namespace_is_weighed_where_the_service_s_namespace_lets_it() {
    defined();
    let mut rig = Rig::new("elsewhere");
    let edge = Rig::pretended("elsewhere-edge");
    let (run, status) = rig.deploy(&release(&rig, "1", &[]), &[]);
    assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
    let (web, at) = make(&rig, "HTTPRoute", &edge.namespace, "web");
    let release = |version: &str| ClusterRelease {
        route: RouteChoice {
            kind: Some(RouteKind::HttpRoute),
            name: Some("web".into()),
            namespace: Some(edge.namespace.clone()),
            unverified: false,
        },
        ..release(&rig, version, &[20])
    };
    // The Service of today may be sent to, and the canary's may not.
    grant(&rig, &edge.namespace, &json!({"group": "", "kind": "Service", "name": "cart"}));
    let gateway = Gateway::of(&rig, at, |_| true);
    await_spoken(&rig, &release("2"));
    let refused = rig.plan(&release("2")).expect_err("nobody lets it");
    let told = format!("{refused}; {}", refused.hint());
    for expect in
        ["HTTPRoute elsewhere-edge/web may not send to the Service elsewhere/cart-canary", "name: cart-canary"]
    {
        assert!(told.contains(expect), "{told}");
    }

    grant(&rig, &edge.namespace, &json!({"group": "", "kind": "Service"}));
    let before = all(&rig, std::slice::from_ref(&web));
    let route = (rig.image(&web), owners(&rig, &web));
    let watcher = Watcher::new(&gateway, "v1");
    let (bad, good) = (release("bad"), release("2"));
    rig.lives.judge = Some(Arc::clone(&watcher) as Arc<dyn Judge>);
    let (run, status) = rig.deploy(&bad, &[]);
    assert_eq!(status, Status::RolledBack, "{}", rig.reason(&run));
    assert!(rig.reason(&run).contains("20 of 20 answers of the new version were bad"), "{}", rig.reason(&run));
    check_same(&rig, &before, &all(&rig, std::slice::from_ref(&web)));
    check_route(&rig, &web, &route);
    watcher.shares.lock().clear();
    let (run, status) = rig.deploy(&good, &[]);
    assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
    assert_eq!(watcher.shares.lock().first(), Some(&20));
    check_route(&rig, &web, &route);
}

#[test]
fn a_grpc_route_is_weighed_and_an_http_route_beside_it_is_left_alone() {
    defined();
    let rig = Rig::pretended("grpc");
    assert_eq!(rig.deploy(&release(&rig, "1", &[]), &[]).1, Status::Complete);
    let (grpc, at) = make(&rig, "GRPCRoute", &rig.namespace, "cart");
    let (http, _) = make(&rig, "HTTPRoute", &rig.namespace, "web");
    let refused = rig.plan(&release(&rig, "2", &[20, 50])).expect_err("which one?").to_string();
    assert!(refused.contains("HTTPRoute grpc/web, GRPCRoute grpc/cart"), "{refused}");
    let chosen = |fails: bool| {
        let mut release = release(&rig, "2", &[20, 50]);
        release.route.kind = Some(RouteKind::GrpcRoute);
        release.judge = Some(json!({ "fail": fails }));
        release
    };
    let _gateway = Gateway::of(&rig, at, |_| true);
    await_spoken(&rig, &chosen(true));
    let before = all(&rig, &[grpc.clone(), http.clone()]);
    let route = (rig.image(&grpc), owners(&rig, &grpc));
    let (run, status) = rig.deploy(&chosen(true), &[]);
    assert_eq!(status, Status::RolledBack, "{}", rig.reason(&run));
    check_same(&rig, &before, &all(&rig, &[grpc.clone(), http.clone()]));
    let (run, status) = rig.deploy(&chosen(false), &[]);
    assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
    let told = serde_json::to_string(&rig.journal(&run)).expect("JSON");
    assert!(told.contains("weigh-50") && told.contains("weigh-home"), "it was not weighed");
    check_route(&rig, &grpc, &route);
    let was = before.iter().find(|(id, _)| *id == http).map(|(_, image)| image).expect("it was there");
    assert!(rig.target().is_same(was, &rig.image(&http)));
}
