//! Roles `endpoints` and `endpointslice`: what stands behind services, each address and port a target, with what is known of pod, service and node.

use std::collections::BTreeMap;

use super::labels::{Set, address};
use super::object::{Address, Body, Endpoint, Kind, Object, Pod, Port, Reference, Slice, key};
use super::pods;
use super::services;
use super::view::Lookup;
use crate::discovery::Group;

/// Its slices name their service by this label.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The pods behind the targets made so far, and the ports of each that a target has.
#[derive(Default)]
struct Seen<'v>(BTreeMap<String, (&'v Pod, Set, Vec<i64>)>);

impl<'v> Seen<'v> {
    /// Adds to a target what its pod says; false when there is no pod.
    fn add(
        &mut self,
        target: &mut Set,
        reference: Option<&Reference>,
        port: Option<i64>,
        protocol: Option<&str>,
        look: &mut Lookup<'v>,
    ) {
        let Some(reference) = reference.filter(|reference| &*reference.kind == "Pod") else { return };
        let name = key(&reference.namespace, &reference.name);
        let Some(object) = look.get(Kind::Pod, &name) else { return };
        let Body::Pod(pod) = &object.body else { return };
        let (_, common, covered) =
            self.0.entry(name).or_insert_with(|| (pod, pods::labels(object, pod, look), Vec::new()));
        target.extend(common);
        if let Some(number) = port {
            pods::matching(target, pod, number, protocol);
            covered.push(number);
        }
    }

    fn others(&self, group: &mut Group) {
        for (pod, common, covered) in self.0.values() {
            pods::others(pod, common, covered, &mut group.targets);
        }
    }
}

fn references(target: &mut Set, role: &str, reference: Option<&Reference>) {
    if let Some(reference) = reference {
        target.meta(&format!("{role}_address_target_kind"), &reference.kind);
        target.meta(&format!("{role}_address_target_name"), &reference.name);
    }
}

fn node_behind(reference: Option<&Reference>) -> Option<&str> {
    reference.filter(|reference| &*reference.kind == "Node").map(|reference| &*reference.name)
}

pub(super) fn group(source: String, object: &Object, look: &mut Lookup<'_>) -> Option<Group> {
    let Body::Endpoints(subsets) = &object.body else { return None };
    let mut group = Group::empty(source);
    let mut common = Set::default();
    common.meta("namespace", &object.meta.namespace);
    if let Some(service) = look.get(Kind::Service, &object.key()) {
        common.extend(&services::labels(service));
    }
    common.object("endpoints", &object.meta);
    look.namespace(&object.meta.namespace, &mut common);
    group.labels = common.build();
    let mut seen = Seen::default();
    for subset in subsets {
        for port in &subset.ports {
            let ready = subset.ready.iter().map(|address| (address, "true"));
            for (address, ready) in ready.chain(subset.unready.iter().map(|address| (address, "false"))) {
                let mut target = endpoint(address, port, ready, look);
                let protocol = Some(port.protocol.as_deref().unwrap_or_default());
                seen.add(&mut target, address.target_ref.as_ref(), port.port, protocol, look);
                group.targets.push(target.build());
            }
        }
    }
    seen.others(&mut group);
    Some(group)
}

fn endpoint(of: &Address, port: &Port, ready: &str, look: &mut Lookup<'_>) -> Set {
    let mut target = Set::at(&address(&of.ip, port.port.unwrap_or(0)));
    target.meta("endpoint_port_name", port.name.as_deref().unwrap_or_default());
    target.meta("endpoint_port_protocol", port.protocol.as_deref().unwrap_or_default());
    target.meta("endpoint_ready", ready);
    references(&mut target, "endpoint", of.target_ref.as_ref());
    target.maybe("endpoint_node_name", of.node_name.as_deref());
    target.meta("endpoint_hostname", &of.hostname);
    let node = of.node_name.as_deref().or(node_behind(of.target_ref.as_ref()));
    look.node(node, &mut target);
    target
}

pub(super) fn slice_group(source: String, object: &Object, look: &mut Lookup<'_>) -> Option<Group> {
    let Body::EndpointSlice(slice) = &object.body else { return None };
    let mut group = Group::empty(source);
    let mut common = Set::default();
    common.meta("namespace", &object.meta.namespace);
    common.meta("endpointslice_address_type", &slice.address_type);
    common.object("endpointslice", &object.meta);
    let service = object.meta.label(SERVICE_NAME).map(|name| key(&object.meta.namespace, name));
    let service = service.and_then(|service| look.get(Kind::Service, &service));
    if let Some(service) = service {
        common.extend(&services::labels(service));
    }
    look.namespace(&object.meta.namespace, &mut common);
    group.labels = common.build();
    // The second slice of a service with addresses of both families would double every target.
    if service.is_some_and(|service| is_second(service, slice)) {
        return Some(group);
    }
    let mut seen = Seen::default();
    for endpoint in &slice.endpoints {
        for port in &slice.ports {
            for address in &endpoint.addresses {
                let mut target = sliced(address, endpoint, port, look);
                seen.add(&mut target, endpoint.target_ref.as_ref(), port.port, None, look);
                group.targets.push(target.build());
            }
        }
    }
    seen.others(&mut group);
    Some(group)
}

fn is_second(service: &Object, slice: &Slice) -> bool {
    let Body::Service(service) = &service.body else { return false };
    service.first_of_two_families.as_ref().is_some_and(|first| *first != slice.address_type)
}

fn sliced(at: &str, endpoint: &Endpoint, port: &Port, look: &mut Lookup<'_>) -> Set {
    let mut target = Set::at(&port.port.map_or_else(|| at.to_owned(), |number| address(at, number)));
    target.maybe("endpointslice_port_name", port.name.as_deref());
    target.maybe("endpointslice_port_protocol", port.protocol.as_deref());
    target.maybe("endpointslice_port", port.port.map(|number| number.to_string()).as_deref());
    target.maybe("endpointslice_port_app_protocol", port.app_protocol.as_deref());
    let conditions = &endpoint.conditions;
    let states =
        [("ready", conditions.ready), ("serving", conditions.serving), ("terminating", conditions.terminating)];
    for (name, state) in states {
        let state = state.map(|state| state.to_string());
        target.maybe(&format!("endpointslice_endpoint_conditions_{name}"), state.as_deref());
    }
    target.maybe("endpointslice_endpoint_hostname", endpoint.hostname.as_deref());
    references(&mut target, "endpointslice", endpoint.target_ref.as_ref());
    target.maybe("endpointslice_endpoint_node_name", endpoint.node_name.as_deref());
    target.maybe("endpointslice_endpoint_zone", endpoint.zone.as_deref());
    for (name, value) in &endpoint.deprecated_topology {
        let name = super::labels::sanitized(name);
        target.meta(&format!("endpointslice_endpoint_topology_{name}"), value);
        target.meta(&format!("endpointslice_endpoint_topology_present_{name}"), "true");
    }
    let node = node_behind(endpoint.target_ref.as_ref()).or(endpoint.node_name.as_deref());
    look.node(node, &mut target);
    target
}
