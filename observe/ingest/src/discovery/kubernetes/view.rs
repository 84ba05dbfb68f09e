//! What one `kubernetes_sd_config` sees of a cluster: objects in, changed groups out. A state machine; whoever watches the server feeds it.
//!
//! A group is made anew whenever an object it was made of is different, so it never says what is no longer so. (Prometheus makes groups of
//! endpoints anew only when endpoints, service or the phase of a pod change; until then it shows what its pods were.)

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::config::AttachMetadata;
use super::labels::Set;
use super::object::{Kind, Object};
use super::{KubernetesSdConfig, KubernetesSdError, Role};
use super::{endpoints, nodes, pods, services};
use crate::discovery::Group;

/// Objects to watch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Want {
    pub kind: Kind,
    /// `None`: the whole cluster.
    pub namespace: Option<String>,
    /// A selector of labels, as `kubectl -l` takes it.
    pub labels: Option<String>,
    /// A selector of fields.
    pub fields: Option<String>,
}

/// An object of a kind, by its key.
type At = (Kind, Arc<str>);

pub struct View {
    role: Role,
    attach: AttachMetadata,
    wants: Vec<Want>,
    objects: HashMap<Kind, HashMap<Arc<str>, Arc<Object>>>,
    /// Wants not listed yet, by their place.
    unlisted: BTreeSet<usize>,
    /// Objects of the role whose group is to be made anew.
    dirty: BTreeSet<Arc<str>>,
    /// What each group was made of, beside its own object.
    made_of: HashMap<Arc<str>, Vec<At>>,
    /// The same the other way round.
    part_of: HashMap<At, HashSet<Arc<str>>>,
}

/// Finds objects for a group that is being made, and remembers which.
pub(super) struct Lookup<'v> {
    objects: &'v HashMap<Kind, HashMap<Arc<str>, Arc<Object>>>,
    pub(super) attach: AttachMetadata,
    asked: Vec<At>,
}

impl<'v> Lookup<'v> {
    /// One that is not there is remembered as well: it may come.
    pub(super) fn get(&mut self, kind: Kind, key: &str) -> Option<&'v Object> {
        let found = self.objects.get(&kind).and_then(|objects| objects.get_key_value(key));
        let name = found.map_or_else(|| Arc::from(key), |(name, _)| name.clone());
        self.asked.push((kind, name));
        found.map(|(_, object)| &**object)
    }

    /// What a namespace says, where it is wanted.
    pub(super) fn namespace(&mut self, name: &str, labels: &mut Set) {
        if let Some(namespace) = self.attach.namespace.then(|| self.get(Kind::Namespace, name)).flatten() {
            labels.metadata("namespace", &namespace.meta);
        }
    }

    /// What a node says, where it is wanted.
    pub(super) fn node(&mut self, name: Option<&str>, labels: &mut Set) {
        let Some(name) = name.filter(|_| self.attach.node) else { return };
        if let Some(node) = self.get(Kind::Node, name) {
            labels.object("node", &node.meta);
        }
    }
}

fn kind_of(role: Role) -> Kind {
    match role {
        Role::Node => Kind::Node,
        Role::Pod => Kind::Pod,
        Role::Service => Kind::Service,
        Role::Endpoints => Kind::Endpoints,
        Role::EndpointSlice => Kind::EndpointSlice,
        Role::Ingress => Kind::Ingress,
    }
}

/// Which kinds a role needs, its own first.
fn kinds(role: Role, attach: AttachMetadata) -> Vec<Kind> {
    let (with_pods, with_services) = match role {
        Role::Pod => (true, false),
        Role::Endpoints | Role::EndpointSlice => (true, true),
        Role::Node | Role::Service | Role::Ingress => (false, false),
    };
    let mut kinds = vec![kind_of(role)];
    let more = [
        (Kind::Pod, with_services),
        (Kind::Service, with_services),
        (Kind::Node, with_pods && attach.node),
        (Kind::Namespace, role != Role::Node && attach.namespace),
        (Kind::ReplicaSet, with_pods && attach.deployment),
        (Kind::Job, with_pods && attach.cronjob),
    ];
    kinds.extend(more.into_iter().filter(|(_, wanted)| *wanted).map(|(kind, _)| kind));
    kinds
}

impl View {
    /// `own_namespace`: that of the pod we run in, which the configuration may mean.
    pub fn new(config: &KubernetesSdConfig, own_namespace: Option<&str>) -> Result<View, KubernetesSdError> {
        let role = config.check()?;
        let attach = config.attach_metadata;
        let mut names: BTreeSet<&str> = config.namespaces.names.iter().map(String::as_str).collect();
        names.extend(own_namespace.filter(|_| config.namespaces.own_namespace));
        let mut wants = Vec::new();
        for kind in kinds(role, attach) {
            let (labels, fields) = kind.role().map_or((None, None), |role| config.selector(role));
            let want = Want { kind, namespace: None, labels, fields };
            let (_, _, _, namespaced) = kind.resource();
            match namespaced && !names.is_empty() {
                true => {
                    wants.extend(names.iter().map(|name| Want { namespace: Some((*name).to_owned()), ..want.clone() }))
                }
                false => wants.push(want),
            }
        }
        Ok(View {
            role,
            attach,
            unlisted: (0..wants.len()).collect(),
            wants,
            objects: HashMap::new(),
            dirty: BTreeSet::new(),
            made_of: HashMap::new(),
            part_of: HashMap::new(),
        })
    }

    /// What must be watched, each by its place.
    pub fn wants(&self) -> &[Want] {
        &self.wants
    }

    /// An object as it is now, or `None`: it is gone.
    pub fn see(&mut self, kind: Kind, key: &str, object: Option<Arc<Object>>) {
        let known = self.objects.entry(kind).or_default();
        let name = match (known.get_key_value(key), object) {
            // Much changes in an object that is nothing to us, such as the heartbeat of a node.
            (Some((_, before)), Some(object)) if **before == *object => return,
            (None, None) => return,
            (Some((name, _)), object) => {
                let name = name.clone();
                match object {
                    Some(object) => known.insert(name.clone(), object),
                    None => known.remove(key),
                };
                name
            }
            (None, Some(object)) => {
                let name: Arc<str> = key.into();
                known.insert(name.clone(), object);
                name
            }
        };
        if let Some(groups) = self.part_of.get(&(kind, name.clone())) {
            self.dirty.extend(groups.iter().cloned());
        }
        if kind == kind_of(self.role) {
            self.dirty.insert(name);
        }
    }

    /// The want at this place has told all there is.
    pub fn listed(&mut self, want: usize) {
        self.unlisted.remove(&want);
    }

    /// Whether all of them have: before, a group could lack what its pod, service or node says.
    pub fn is_complete(&self) -> bool {
        self.unlisted.is_empty()
    }

    /// The groups that are different; none until everything is listed.
    pub fn drain(&mut self) -> Vec<Group> {
        if !self.is_complete() {
            return Vec::new();
        }
        let dirty = std::mem::take(&mut self.dirty);
        dirty.into_iter().filter_map(|name| self.make(name)).collect()
    }

    fn make(&mut self, name: Arc<str>) -> Option<Group> {
        for part in self.made_of.remove(&name).unwrap_or_default() {
            if let Some(groups) = self.part_of.get_mut(&part) {
                groups.remove(&name);
                if groups.is_empty() {
                    self.part_of.remove(&part);
                }
            }
        }
        let prefix = if self.role == Role::Service { "svc" } else { self.role.as_str() };
        let source = format!("{prefix}/{name}");
        let mut look = Lookup { objects: &self.objects, attach: self.attach, asked: Vec::new() };
        let object = self.objects.get(&kind_of(self.role)).and_then(|objects| objects.get(&name));
        let Some(object) = object else { return Some(Group::empty(source)) };
        let group = match self.role {
            Role::Node => nodes::group(source, object),
            Role::Pod => pods::group(source, object, &mut look),
            Role::Service => services::group(source, object, &mut look),
            Role::Endpoints => endpoints::group(source, object, &mut look),
            Role::EndpointSlice => endpoints::slice_group(source, object, &mut look),
            Role::Ingress => services::ingress(source, object, &mut look),
        };
        let asked = look.asked;
        for part in &asked {
            self.part_of.entry(part.clone()).or_default().insert(name.clone());
        }
        if !asked.is_empty() {
            self.made_of.insert(name, asked);
        }
        group
    }
}
