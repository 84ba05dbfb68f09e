//! Of each object, what discovery needs: read out of the server's JSON, small enough to keep thousands. It decides nothing.

use serde::Deserialize;
use serde_json::Value;

use super::Role;

/// Kinds of objects that are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Node,
    Pod,
    Service,
    Endpoints,
    EndpointSlice,
    Ingress,
    Namespace,
    ReplicaSet,
    Job,
}

impl Kind {
    /// `apiVersion`, kind, the plural of its path, and whether it lives in a namespace.
    pub fn resource(self) -> (&'static str, &'static str, &'static str, bool) {
        match self {
            Kind::Node => ("v1", "Node", "nodes", false),
            Kind::Pod => ("v1", "Pod", "pods", true),
            Kind::Service => ("v1", "Service", "services", true),
            Kind::Endpoints => ("v1", "Endpoints", "endpoints", true),
            Kind::EndpointSlice => ("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", true),
            Kind::Ingress => ("networking.k8s.io/v1", "Ingress", "ingresses", true),
            Kind::Namespace => ("v1", "Namespace", "namespaces", false),
            Kind::ReplicaSet => ("apps/v1", "ReplicaSet", "replicasets", true),
            Kind::Job => ("batch/v1", "Job", "jobs", true),
        }
    }

    /// The role whose selectors choose among these objects.
    pub(super) fn role(self) -> Option<Role> {
        match self {
            Kind::Node => Some(Role::Node),
            Kind::Pod => Some(Role::Pod),
            Kind::Service => Some(Role::Service),
            Kind::Endpoints => Some(Role::Endpoints),
            Kind::EndpointSlice => Some(Role::EndpointSlice),
            Kind::Ingress => Some(Role::Ingress),
            Kind::Namespace | Kind::ReplicaSet | Kind::Job => None,
        }
    }
}

/// One object.
#[derive(Debug, PartialEq)]
pub struct Object {
    pub(super) meta: Meta,
    pub(super) body: Body,
}

#[derive(Debug, PartialEq)]
pub(super) enum Body {
    Node(Box<Node>),
    Pod(Box<Pod>),
    Service(Box<Service>),
    Endpoints(Vec<Subset>),
    EndpointSlice(Slice),
    Ingress(Ingress),
    /// Of these only the metadata counts.
    Bare,
}

type Pairs = Box<[(Box<str>, Box<str>)]>;
type Host = Box<str>;
type Paths = Box<[Box<str>]>;

#[derive(Debug, Default, PartialEq)]
pub(super) struct Meta {
    pub(super) name: Box<str>,
    pub(super) namespace: Box<str>,
    pub(super) uid: Box<str>,
    pub(super) labels: Pairs,
    pub(super) annotations: Pairs,
    /// Kind and name of the owner that controls it.
    pub(super) controller: Option<(Box<str>, Box<str>)>,
}

impl Meta {
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| &**label == name).map(|(_, value)| &**value)
    }
}

/// What is missing or of another type reads as empty: the server's own schema keeps it right, and one odd object must not hide the rest.
fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn boxed(value: &Value, pointer: &str) -> Box<str> {
    text(value, pointer).into()
}

fn items<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = &'v Value> {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().iter()
}

fn pairs(value: &Value, pointer: &str) -> Pairs {
    let map = value.pointer(pointer).and_then(Value::as_object);
    let pair = |(name, value): (&String, &Value)| Some((Box::from(name.as_str()), Box::from(value.as_str()?)));
    map.into_iter().flatten().filter_map(pair).collect()
}

#[derive(Debug, PartialEq)]
pub(super) struct Node {
    pub(super) provider_id: Box<str>,
    /// Type and status.
    pub(super) conditions: Pairs,
    /// Type and address.
    pub(super) addresses: Pairs,
    pub(super) kubelet_port: i64,
}

#[derive(Debug, PartialEq)]
pub(super) struct Pod {
    pub(super) ip: Box<str>,
    pub(super) host_ip: Box<str>,
    pub(super) phase: Box<str>,
    pub(super) node: Box<str>,
    /// The status of the condition `Ready`.
    pub(super) ready: Option<Box<str>>,
    /// The usual ones, then those that run first.
    pub(super) containers: Box<[Container]>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Container {
    pub(super) name: Box<str>,
    pub(super) image: Box<str>,
    pub(super) id: Box<str>,
    pub(super) init: bool,
    pub(super) ports: Box<[Port]>,
}

/// A port of a container, a service or an endpoint; in slices each part may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Port {
    pub(super) name: Option<Box<str>>,
    #[serde(alias = "containerPort")]
    pub(super) port: Option<i64>,
    pub(super) protocol: Option<Box<str>>,
    pub(super) app_protocol: Option<Box<str>>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Service {
    pub(super) kind: Box<str>,
    pub(super) cluster_ip: Box<str>,
    pub(super) external_name: Box<str>,
    pub(super) balancer_ip: Box<str>,
    /// The family of the first address, where both families are wanted.
    pub(super) first_of_two_families: Option<Box<str>>,
    pub(super) ports: Box<[Port]>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Subset {
    pub(super) ports: Box<[Port]>,
    pub(super) ready: Box<[Address]>,
    pub(super) unready: Box<[Address]>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Address {
    #[serde(default)]
    pub(super) ip: Box<str>,
    #[serde(default)]
    pub(super) hostname: Box<str>,
    pub(super) node_name: Option<Box<str>>,
    pub(super) target_ref: Option<Reference>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Reference {
    pub(super) kind: Box<str>,
    pub(super) namespace: Box<str>,
    pub(super) name: Box<str>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Slice {
    pub(super) address_type: Box<str>,
    pub(super) ports: Box<[Port]>,
    pub(super) endpoints: Box<[Endpoint]>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Endpoint {
    pub(super) addresses: Vec<Box<str>>,
    pub(super) conditions: Conditions,
    pub(super) hostname: Option<Box<str>>,
    pub(super) target_ref: Option<Reference>,
    pub(super) node_name: Option<Box<str>>,
    pub(super) zone: Option<Box<str>>,
    pub(super) deprecated_topology: std::collections::BTreeMap<Box<str>, Box<str>>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Conditions {
    pub(super) ready: Option<bool>,
    pub(super) serving: Option<bool>,
    pub(super) terminating: Option<bool>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Ingress {
    pub(super) class: Option<Box<str>>,
    pub(super) tls_hosts: Box<[Box<str>]>,
    pub(super) rules: Box<[(Host, Paths)]>,
}

fn list<T: serde::de::DeserializeOwned>(value: &Value, pointer: &str) -> Box<[T]> {
    items(value, pointer).filter_map(|item| T::deserialize(item).ok()).collect()
}

impl Object {
    /// What is needed of an object of this kind.
    pub fn read(kind: Kind, object: &Value) -> Object {
        let body = match kind {
            Kind::Node => Body::Node(Box::new(node(object))),
            Kind::Pod => Body::Pod(Box::new(pod(object))),
            Kind::Service => Body::Service(Box::new(service(object))),
            Kind::Endpoints => Body::Endpoints(items(object, "/subsets").map(subset).collect()),
            Kind::EndpointSlice => Body::EndpointSlice(Slice {
                address_type: boxed(object, "/addressType"),
                ports: list(object, "/ports"),
                endpoints: list(object, "/endpoints"),
            }),
            Kind::Ingress => Body::Ingress(ingress(object)),
            Kind::Namespace | Kind::ReplicaSet | Kind::Job => Body::Bare,
        };
        Object { meta: meta(object), body }
    }

    /// `NAMESPACE/NAME`, or `NAME` for kinds of the whole cluster.
    pub fn key(&self) -> String {
        key(&self.meta.namespace, &self.meta.name)
    }
}

pub(super) fn key(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") }
}

fn meta(object: &Value) -> Meta {
    let controls = |owner: &&Value| owner.get("controller").and_then(Value::as_bool) == Some(true);
    let controller = items(object, "/metadata/ownerReferences").find(controls);
    Meta {
        name: boxed(object, "/metadata/name"),
        namespace: boxed(object, "/metadata/namespace"),
        uid: boxed(object, "/metadata/uid"),
        labels: pairs(object, "/metadata/labels"),
        annotations: pairs(object, "/metadata/annotations"),
        controller: controller.map(|owner| (boxed(owner, "/kind"), boxed(owner, "/name"))),
    }
}

fn typed(object: &Value, pointer: &str, value: &str) -> Pairs {
    items(object, pointer).map(|item| (boxed(item, "/type"), boxed(item, value))).collect()
}

fn node(object: &Value) -> Node {
    Node {
        provider_id: boxed(object, "/spec/providerID"),
        conditions: typed(object, "/status/conditions", "/status"),
        addresses: typed(object, "/status/addresses", "/address"),
        kubelet_port: object
            .pointer("/status/daemonEndpoints/kubeletEndpoint/Port")
            .and_then(Value::as_i64)
            .unwrap_or(0),
    }
}

fn pod(object: &Value) -> Pod {
    let containers = |spec: &'static str, status: &'static str, init: bool| {
        items(object, spec).map(move |container| {
            let name = text(container, "/name");
            let status = items(object, status).find(|status| text(status, "/name") == name);
            Container {
                name: name.into(),
                image: boxed(container, "/image"),
                id: status.map_or_else(Default::default, |status| boxed(status, "/containerID")),
                init,
                ports: list(container, "/ports"),
            }
        })
    };
    let usual = containers("/spec/containers", "/status/containerStatuses", false);
    let first = containers("/spec/initContainers", "/status/initContainerStatuses", true);
    let ready = items(object, "/status/conditions").find(|condition| text(condition, "/type") == "Ready");
    Pod {
        ip: boxed(object, "/status/podIP"),
        host_ip: boxed(object, "/status/hostIP"),
        phase: boxed(object, "/status/phase"),
        node: boxed(object, "/spec/nodeName"),
        ready: ready.map(|condition| boxed(condition, "/status")),
        containers: usual.chain(first).collect(),
    }
}

fn service(object: &Value) -> Service {
    let balancers: Vec<_> = items(object, "/status/loadBalancer/ingress")
        .map(|ingress| text(ingress, "/ip"))
        .filter(|ip| !ip.is_empty())
        .collect();
    let both = matches!(text(object, "/spec/ipFamilyPolicy"), "PreferDualStack" | "RequireDualStack");
    let family = items(object, "/spec/ipFamilies").next().and_then(Value::as_str).filter(|_| both);
    Service {
        kind: boxed(object, "/spec/type"),
        cluster_ip: boxed(object, "/spec/clusterIP"),
        external_name: boxed(object, "/spec/externalName"),
        balancer_ip: match balancers.as_slice() {
            [] => boxed(object, "/spec/loadBalancerIP"),
            ips => ips.join(",").into(),
        },
        first_of_two_families: family.map(Box::from),
        ports: list(object, "/spec/ports"),
    }
}

fn subset(value: &Value) -> Subset {
    Subset {
        ports: list(value, "/ports"),
        ready: list(value, "/addresses"),
        unready: list(value, "/notReadyAddresses"),
    }
}

fn ingress(object: &Value) -> Ingress {
    let rule = |rule: &Value| {
        let paths = match rule.pointer("/http") {
            // A rule without paths is for all of them.
            None | Some(Value::Null) => Box::from([Box::from("/")]),
            Some(http) => items(http, "/paths").map(|path| boxed(path, "/path")).collect(),
        };
        (boxed(rule, "/host"), paths)
    };
    let hosts = items(object, "/spec/tls").flat_map(|tls| items(tls, "/hosts"));
    Ingress {
        class: object.pointer("/spec/ingressClassName").and_then(Value::as_str).map(Box::from),
        tls_hosts: hosts.filter_map(Value::as_str).map(Box::from).collect(),
        rules: items(object, "/spec/rules").map(rule).collect(),
    }
}
