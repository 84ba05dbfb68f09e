//! Ingresses: whether they lead to Services that are there, and over TLS.

use super::super::found::Found;
use super::super::view::{View, namespace};
use crate::object::Object;
use crate::validate::At;

pub(super) fn ingress(object: &Object, root: &At<'_>, view: &View<'_>, found: &mut Found<'_>) {
    let spec = root.get("spec");
    if spec.get("tls").len() == 0 {
        found.add("AK0909", &spec, "it has no `tls`");
    }
    for key in ["defaultBackend", "backend"] {
        backend(&spec.get(key), object, view, found);
    }
    let rules = spec.get("rules");
    for rule in rules.items() {
        let http = rule.get("http");
        let paths = http.get("paths");
        for path in paths.items() {
            backend(&path.get("backend"), object, view, found);
        }
    }
}

/// `service: {name, port: {number, name}}`, or the older `serviceName` and `servicePort`.
fn backend(at: &At<'_>, object: &Object, view: &View<'_>, found: &mut Found<'_>) {
    let service = at.get("service");
    let (name, old) = (service.get("name"), at.get("serviceName"));
    let name = if name.is() { &name } else { &old };
    if name.str().is_empty() {
        return;
    }
    let Some(known) = view.find("Service", namespace(object), name.str()) else {
        found.add("AK0904", name, format!("there is no Service `{}`", name.str()));
        return;
    };
    let port = service.get("port");
    let (number, named, older) = (port.get("number"), port.get("name"), at.get("servicePort"));
    let Some(asked) = [&number, &named, &older].into_iter().find(|at| at.is()) else { return };
    let root = At::root(&known.node);
    let spec = root.get("spec");
    let ports = spec.get("ports");
    let has = ports.items().any(|port| match asked.text() {
        Some(name) => port.get("name").text() == Some(name),
        None => port.get("port").int() == asked.int(),
    });
    if !has {
        found.add("AK0904", asked, format!("Service `{}` has no port {}", name.str(), asked.shown()));
    }
}
