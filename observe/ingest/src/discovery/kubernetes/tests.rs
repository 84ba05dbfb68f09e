//! Objects as an API server gives them, and the targets that Prometheus makes of them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::discovery::Group;

struct Cluster {
    view: View,
}

impl Cluster {
    fn new(config: Value) -> Cluster {
        let config: KubernetesSdConfig = serde_json::from_value(config).unwrap();
        Cluster { view: View::new(&config, Some("own")).unwrap() }
    }

    /// One with these objects, all listed.
    fn with(config: Value, objects: &[(Kind, Value)]) -> Cluster {
        let mut cluster = Cluster::new(config);
        for (kind, object) in objects {
            cluster.see(*kind, object);
        }
        for want in 0..cluster.view.wants().len() {
            cluster.view.listed(want);
        }
        cluster
    }

    fn see(&mut self, kind: Kind, object: &Value) {
        let object = Arc::new(Object::read(kind, object));
        self.view.see(kind, &object.key(), Some(object));
    }

    fn told(&mut self) -> Vec<String> {
        self.view.drain().iter().map(shown).collect()
    }
}

/// `source` alone when there is no target, else its labels and a line for each target; names without `__meta_kubernetes_`.
fn shown(group: &Group) -> String {
    let labels = |labels: &base_signal::Labels| {
        let pairs = labels
            .iter()
            .map(|(name, value)| format!("{}={value}", name.strip_prefix("__meta_kubernetes_").unwrap_or(name)));
        pairs.collect::<Vec<_>>().join(" ")
    };
    let mut lines =
        vec![format!("{}: {}", group.source, labels(&group.labels)).trim_end_matches([':', ' ']).to_owned()];
    lines.extend(group.targets.iter().map(labels));
    lines.join("\n")
}

fn check(config: Value, objects: &[(Kind, Value)], expect: &[&str]) {
    assert_eq!(Cluster::with(config, objects).told(), expect);
}

fn pod(name: &str, ip: &str) -> Value {
    json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": "u1",
            "labels": {"app.kubernetes.io/name": "cart"}, "annotations": {"prometheus.io/scrape": "true", "empty": ""},
            "ownerReferences": [{"kind": "Node", "name": "no"}, {"kind": "ReplicaSet", "name": "cart-1", "controller": true}],
        },
        "spec": {
            "nodeName": "n1",
            "containers": [{"name": "cart", "image": "cart:1", "ports": [
                {"name": "http", "containerPort": 8080, "protocol": "TCP"},
                {"containerPort": 9100, "protocol": "TCP"},
            ]}],
            "initContainers": [{"name": "wait", "image": "wait:1"}],
        },
        "status": {
            "podIP": ip, "hostIP": "10.0.0.1", "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "cart", "containerID": "containerd://c1"}],
        },
    })
}

const POD: &str = "pod_annotation_prometheus_io_scrape=true pod_annotationpresent_empty=true \
    pod_annotationpresent_prometheus_io_scrape=true";
const POD_REST: &str = "pod_controller_kind=ReplicaSet pod_controller_name=cart-1";
const POD_END: &str = "pod_host_ip=10.0.0.1 pod_ip=10.1.0.1 pod_label_app_kubernetes_io_name=cart \
    pod_labelpresent_app_kubernetes_io_name=true pod_name=cart-1-a pod_node_name=n1 pod_phase=Running pod_ready=true pod_uid=u1";

fn node() -> Value {
    json!({
        "metadata": {"name": "n1", "labels": {"zone": "a"}},
        "spec": {"providerID": "kind://n1"},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "Unknown"}],
            "addresses": [
                {"type": "Hostname", "address": "n1"},
                {"type": "InternalIP", "address": "10.0.0.1"},
                {"type": "InternalIP", "address": "fd00::1"},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        },
    })
}

#[test]
fn a_pod_is_a_target_for_each_port_of_its_containers() {
    let expect = format!(
        "pod/shop/cart-1-a: namespace=shop {POD} {POD_REST} {POD_END}\n\
        __address__=10.1.0.1:8080 pod_container_id=containerd://c1 pod_container_image=cart:1 pod_container_init=false \
        pod_container_name=cart pod_container_port_name=http pod_container_port_number=8080 pod_container_port_protocol=TCP\n\
        __address__=10.1.0.1:9100 pod_container_id=containerd://c1 pod_container_image=cart:1 pod_container_init=false \
        pod_container_name=cart pod_container_port_number=9100 pod_container_port_protocol=TCP\n\
        __address__=10.1.0.1 pod_container_image=wait:1 pod_container_init=true pod_container_name=wait"
    );
    check(json!({"role": "pod"}), &[(Kind::Pod, pod("cart-1-a", "10.1.0.1"))], &[&expect]);
    check(json!({"role": "pod"}), &[(Kind::Pod, pod("cart-1-a", ""))], &["pod/shop/cart-1-a"]);
    let mut six = Cluster::with(json!({"role": "pod"}), &[(Kind::Pod, pod("cart-1-a", "fd00::2"))]);
    let told = six.told().concat();
    assert!(told.contains("__address__=[fd00::2]:8080 ") && told.contains("__address__=fd00::2 "), "{told}");
}

#[test]
fn what_stands_above_a_pod_is_attached_and_followed() {
    let attach = json!({"role": "pod", "attach_metadata": {"node": true, "namespace": true, "deployment": true}});
    let owned = json!({"metadata": {"name": "cart-1", "namespace": "shop", "ownerReferences": [
        {"kind": "Deployment", "name": "cart", "controller": true}]}});
    let namespace = |team: &str| json!({"metadata": {"name": "shop", "labels": {"team": team}}});
    let mut cluster = Cluster::with(
        attach,
        &[
            (Kind::Pod, pod("cart-1-a", "10.1.0.1")),
            (Kind::Node, node()),
            (Kind::ReplicaSet, owned),
            (Kind::Namespace, namespace("a")),
        ],
    );
    let expect = |team: &str| {
        format!(
            "pod/shop/cart-1-a: namespace=shop namespace_label_team={team} namespace_labelpresent_team=true node_label_zone=a \
            node_labelpresent_zone=true node_name=n1 {POD} {POD_REST} pod_deployment_name=cart {POD_END}\n"
        )
    };
    let told = cluster.told().concat();
    assert!(told.starts_with(&expect("a")), "{told}");
    // What is nothing to us makes no group anew.
    let mut beating = node();
    beating["status"]["conditions"][0]["lastHeartbeatTime"] = json!("2026-01-01T00:00:00Z");
    cluster.see(Kind::Node, &beating);
    cluster.see(Kind::Pod, &pod("cart-1-a", "10.1.0.1"));
    assert!(cluster.told().is_empty());
    cluster.see(Kind::Namespace, &namespace("b"));
    assert!(cluster.told().concat().starts_with(&expect("b")));
    cluster.view.see(Kind::Node, "n1", None);
    assert_eq!(cluster.told(), ["pod/shop/cart-1-a"], "a node that is not among those chosen takes its pods with it");
    cluster.see(Kind::Node, &node());
    assert!(cluster.told().concat().starts_with(&expect("b")), "and brings them back");
    cluster.view.see(Kind::Pod, "shop/cart-1-a", None);
    assert_eq!(cluster.told(), ["pod/shop/cart-1-a"]);
    cluster.see(Kind::Namespace, &namespace("c"));
    assert!(cluster.told().is_empty(), "what is gone is not made anew");
}

#[test]
fn jobs_and_who_made_them() {
    let mut pod = pod("run-1", "10.1.0.9");
    pod["metadata"]["ownerReferences"] = json!([{"kind": "Job", "name": "run", "controller": true}]);
    let job = json!({"metadata": {"name": "run", "namespace": "shop", "ownerReferences": [
        {"kind": "CronJob", "name": "nightly", "controller": true}]}});
    let attach = json!({"role": "pod", "attach_metadata": {"job": true, "cronjob": true}});
    let told = Cluster::with(attach, &[(Kind::Pod, pod), (Kind::Job, job)]).told().concat();
    assert!(told.contains(" pod_cronjob_name=nightly ") && told.contains(" pod_job_name=run "), "{told}");
}

#[test]
fn a_node_is_a_target_at_its_kubelet() {
    check(
        json!({"role": "node"}),
        &[(Kind::Node, node())],
        &["node/n1: node_condition_diskpressure=unknown node_condition_ready=true node_label_zone=a \
            node_labelpresent_zone=true node_name=n1 node_provider_id=kind://n1\n\
            __address__=10.0.0.1:10250 node_address_Hostname=n1 node_address_InternalIP=10.0.0.1 instance=n1"],
    );
    // Nothing can be told of one without an address; what was told before stays.
    check(json!({"role": "node"}), &[(Kind::Node, json!({"metadata": {"name": "n1"}}))], &[]);
}

fn service(spec: Value, status: Value) -> Value {
    json!({"metadata": {"name": "cart", "namespace": "shop", "labels": {"app": "cart"}}, "spec": spec, "status": status})
}

const SERVICE: &str = "namespace=shop service_label_app=cart service_labelpresent_app=true service_name=cart";

#[test]
fn a_service_is_a_target_for_each_port() {
    let ports = json!([{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]);
    let check = |spec: Value, status: Value, expect: &str| {
        let expect = format!("svc/shop/cart: {SERVICE}\n__address__=cart.shop.svc:80 {expect}");
        check(json!({"role": "service"}), &[(Kind::Service, service(spec, status))], &[&expect]);
    };
    let port = "service_port_name=http service_port_number=80 service_port_protocol=TCP";
    check(
        json!({"type": "ClusterIP", "clusterIP": "10.96.0.9", "ports": ports}),
        json!({}),
        &format!("service_cluster_ip=10.96.0.9 {port} service_type=ClusterIP"),
    );
    check(
        json!({"type": "ExternalName", "externalName": "x.example", "clusterIP": "", "ports": ports}),
        json!({}),
        &format!("service_external_name=x.example {port} service_type=ExternalName"),
    );
    let balanced =
        json!({"type": "LoadBalancer", "clusterIP": "10.96.0.9", "loadBalancerIP": "9.9.9.9", "ports": ports});
    let labels = |ip: &str| {
        format!("service_cluster_ip=10.96.0.9 service_loadbalancer_ip={ip} {port} service_type=LoadBalancer")
    };
    check(balanced.clone(), json!({}), &labels("9.9.9.9"));
    let ingress = json!({"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}, {"hostname": "x"}, {"ip": "2.2.2.2"}]}});
    check(balanced, ingress, &labels("1.1.1.1,2.2.2.2"));
}

#[test]
fn an_ingress_is_a_target_for_each_path() {
    let ingress = json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {
        "ingressClassName": "nginx",
        "tls": [{"hosts": ["*.example.org"]}],
        "rules": [
            {"host": "a.example.org", "http": {"paths": [{"path": "/x"}, {"path": ""}]}},
            {"host": "a.b.example.org"},
        ],
    }});
    let expect = "ingress/shop/web: ingress_class_name=nginx ingress_name=web namespace=shop\n\
        __address__=a.example.org ingress_host=a.example.org ingress_path=/x ingress_scheme=https\n\
        __address__=a.example.org ingress_host=a.example.org ingress_path=/ ingress_scheme=https\n\
        __address__=a.b.example.org ingress_host=a.b.example.org ingress_path=/ ingress_scheme=http";
    check(json!({"role": "ingress"}), &[(Kind::Ingress, ingress)], &[expect]);
}

fn spec() -> Value {
    json!({"type": "ClusterIP", "clusterIP": "10.96.0.9", "ports": []})
}

const CONTAINER: &str = "pod_container_image=cart:1 pod_container_init=false pod_container_name=cart";

#[test]
fn endpoints_are_targets_and_so_are_the_other_ports_of_their_pods() {
    let endpoints = json!({"metadata": {"name": "cart", "namespace": "shop"}, "subsets": [{
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "addresses": [
            {"ip": "10.1.0.1", "nodeName": "n1", "targetRef": {"kind": "Pod", "namespace": "shop", "name": "cart-1-a"}},
            {"ip": "10.1.0.7", "hostname": "h"},
        ],
        "notReadyAddresses": [{"ip": "10.1.0.8", "targetRef": {"kind": "Pod", "namespace": "shop", "name": "unknown"}}],
    }]});
    let objects = [
        (Kind::Endpoints, endpoints),
        (Kind::Service, service(spec(), json!({}))),
        (Kind::Pod, pod("cart-1-a", "10.1.0.1")),
    ];
    let port = "endpoint_port_name=http endpoint_port_protocol=TCP";
    let expect = format!(
        "endpoints/shop/cart: endpoints_name=cart {SERVICE}\n\
        __address__=10.1.0.1:8080 endpoint_address_target_kind=Pod endpoint_address_target_name=cart-1-a endpoint_node_name=n1 \
        {port} endpoint_ready=true {POD} {CONTAINER} pod_container_port_name=http pod_container_port_number=8080 \
        pod_container_port_protocol=TCP {POD_REST} {POD_END}\n\
        __address__=10.1.0.7:8080 endpoint_hostname=h {port} endpoint_ready=true\n\
        __address__=10.1.0.8:8080 endpoint_address_target_kind=Pod endpoint_address_target_name=unknown {port} endpoint_ready=false\n\
        __address__=10.1.0.1:9100 {POD} {CONTAINER} pod_container_port_number=9100 pod_container_port_protocol=TCP {POD_REST} {POD_END}"
    );
    check(json!({"role": "endpoints"}), &objects, &[&expect]);
    let mut cluster = Cluster::with(json!({"role": "endpoints", "attach_metadata": {"node": true}}), &objects);
    cluster.see(Kind::Node, &node());
    let told = cluster.told().concat();
    assert_eq!(told.matches(" node_name=n1 ").count(), 1, "only an endpoint says where it is: {told}");
    // A pod that was not known yet comes.
    cluster.see(Kind::Pod, &pod("unknown", "10.1.0.8"));
    assert!(cluster.told().concat().contains("__address__=10.1.0.8:9100 "));
}

#[test]
fn slices_are_targets_as_endpoints_are() {
    let slice = |kind: &str| {
        json!({"metadata": {"name": "cart-x", "namespace": "shop", "labels": {"kubernetes.io/service-name": "cart"}},
            "addressType": kind,
            "ports": [{"name": "", "port": 8080, "protocol": "TCP", "appProtocol": "http"}],
            "endpoints": [{
                "addresses": ["10.1.0.1"], "conditions": {"ready": true, "serving": true, "terminating": false},
                "nodeName": "n1", "zone": "a", "targetRef": {"kind": "Pod", "namespace": "shop", "name": "cart-1-a"},
            }],
        })
    };
    let common = |kind: &str| {
        format!(
            "endpointslice/shop/cart-x: endpointslice_address_type={kind} \
            endpointslice_label_kubernetes_io_service_name=cart endpointslice_labelpresent_kubernetes_io_service_name=true \
            endpointslice_name=cart-x {SERVICE}"
        )
    };
    let objects = |kind: &str| {
        let mut spec = spec();
        spec["ipFamilyPolicy"] = json!("PreferDualStack");
        spec["ipFamilies"] = json!(["IPv4", "IPv6"]);
        [
            (Kind::EndpointSlice, slice(kind)),
            (Kind::Service, service(spec, json!({}))),
            (Kind::Pod, pod("cart-1-a", "10.1.0.1")),
        ]
    };
    let expect = format!(
        "{}\n__address__=10.1.0.1:8080 endpointslice_address_target_kind=Pod endpointslice_address_target_name=cart-1-a \
        endpointslice_endpoint_conditions_ready=true endpointslice_endpoint_conditions_serving=true \
        endpointslice_endpoint_conditions_terminating=false endpointslice_endpoint_node_name=n1 endpointslice_endpoint_zone=a \
        endpointslice_port=8080 endpointslice_port_app_protocol=http endpointslice_port_protocol=TCP \
        {POD} {CONTAINER} pod_container_port_name=http pod_container_port_number=8080 pod_container_port_protocol=TCP {POD_REST} {POD_END}\n\
        __address__=10.1.0.1:9100 {POD} {CONTAINER} pod_container_port_number=9100 pod_container_port_protocol=TCP {POD_REST} {POD_END}",
        common("IPv4")
    );
    check(json!({"role": "endpointslice"}), &objects("IPv4"), &[&expect]);
    check(json!({"role": "endpointslice"}), &objects("IPv6"), &[&common("IPv6")]);
}

#[test]
fn nothing_is_told_before_everything_is_listed() {
    let mut cluster =
        Cluster::new(json!({"role": "endpoints", "namespaces": {"names": ["a", "a"], "own_namespace": true}}));
    let wants = cluster.view.wants().to_vec();
    let shown: Vec<_> =
        wants.iter().map(|want| format!("{:?} {}", want.kind, want.namespace.as_deref().unwrap_or("*"))).collect();
    assert_eq!(shown, ["Endpoints a", "Endpoints own", "Pod a", "Pod own", "Service a", "Service own"]);
    cluster.see(Kind::Endpoints, &json!({"metadata": {"name": "cart", "namespace": "a"}}));
    for want in 0..wants.len() {
        assert!(cluster.told().is_empty());
        cluster.view.listed(want);
    }
    assert_eq!(cluster.told().len(), 1);
}

#[test]
fn selectors_go_with_the_watch_they_are_for() {
    let cluster = Cluster::new(json!({"role": "pod", "attach_metadata": {"node": true}, "selectors": [
        {"role": "pod", "label": "app=cart", "field": "spec.nodeName=n1"}, {"role": "node", "label": "zone=a"}]}));
    let wants: Vec<_> =
        cluster.view.wants().iter().map(|want| (want.kind, want.labels.as_deref(), want.fields.as_deref())).collect();
    assert_eq!(wants, [(Kind::Pod, Some("app=cart"), Some("spec.nodeName=n1")), (Kind::Node, Some("zone=a"), None)]);
}

#[test]
fn configs_that_cannot_be_meant() {
    for (config, expect) in [
        (
            json!({}),
            "a kubernetes_sd_config without a role (one of node, pod, service, endpoints, endpointslice, ingress)",
        ),
        (
            json!({"role": "pod", "api_server": "https://x", "kubeconfig_file": "k"}),
            "`kubeconfig_file` and `api_server` cannot be used together",
        ),
        (
            json!({"role": "pod", "authorization": {"credentials": "s"}}),
            "`authorization` needs an `api_server`: without one the login is that of the pod we run in or of the kubeconfig",
        ),
        (
            json!({"role": "pod", "kubeconfig_file": "k", "namespaces": {"own_namespace": true}}),
            "`namespaces.own_namespace` means the pod we run in and cannot be used with `kubeconfig_file`",
        ),
        (
            json!({"role": "service", "selectors": [{"role": "pod"}]}),
            "role service takes selectors of service only, not of pod",
        ),
        (
            json!({"role": "pod", "selectors": [{"role": "pod", "label": "app in x"}]}),
            "a selector for role pod: `app in x` is no condition on a label",
        ),
        (json!({"role": "pod", "selectors": [{"role": "pod"}, {"role": "pod"}]}), "two selectors for role pod"),
        (
            json!({"role": "pod", "api_server": "https://x", "authorization": {"type": "Digest"}}),
            "authorization type \"Digest\" is not supported for an API server: only Bearer is",
        ),
        (
            json!({"role": "pod", "api_server": "https://x", "tls_config": {"cert_file": "c"}}),
            "`cert_file` and `key_file` belong together",
        ),
    ] {
        let config: KubernetesSdConfig = serde_json::from_value(config).unwrap();
        assert_eq!(View::new(&config, None).err().unwrap().to_string(), expect);
    }
    let config: KubernetesSdConfig = serde_json::from_value(json!({"role": "pod", "api_server": "https://x",
        "authorization": {"credentials": "hunter2"}}))
    .unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}
