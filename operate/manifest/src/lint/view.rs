//! What the objects of one check say about each other: which pods there are, who selects them, which names exist. Finds nothing wrong itself.

use ahash::{AHashMap, AHashSet};
use lib_yaml_edit::Node;

use crate::object::Object;
use crate::rules::selects;
use crate::validate::At;

/// Something that makes pods, or a pod.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload<'a> {
    pub(crate) object: &'a Object,
    /// Its number among the objects.
    pub(crate) number: usize,
    pub(crate) labels: Option<&'a Node>,
    /// The pod's.
    pub(crate) spec: Option<&'a Node>,
}

impl<'a> Workload<'a> {
    pub(crate) fn containers(&self) -> &'a [Node] {
        self.spec.and_then(|spec| spec.get("containers")).map(Node::items).unwrap_or_default()
    }

    /// As it is written; Kubernetes takes 1 where nothing stands.
    pub(crate) fn replicas(&self) -> Option<i64> {
        let root = At::root(&self.object.node);
        root.get("spec").get("replicas").int()
    }
}

/// The objects of one check.
#[derive(Debug, Default)]
pub(crate) struct View<'a> {
    pub(crate) workloads: Vec<Workload<'a>>,
    by_label: AHashMap<(&'a str, &'a str, &'a str), Vec<usize>>,
    by_namespace: AHashMap<&'a str, Vec<usize>>,
    names: AHashMap<(&'a str, &'a str, &'a str), usize>,
    kinds: AHashMap<&'a str, Vec<usize>>,
    /// Workloads by number, that an autoscaler scales.
    scaled: AHashSet<usize>,
    objects: &'a [Object],
    pub(crate) minor: u8,
}

/// The object's namespace; what says none goes where the others without one go.
pub(crate) fn namespace(object: &Object) -> &str {
    object.identity.namespace.as_deref().unwrap_or("default")
}

impl<'a> View<'a> {
    pub(crate) fn of(objects: &'a [Object], minor: u8) -> Self {
        let mut view = View { objects, minor, ..View::default() };
        for (number, object) in objects.iter().enumerate() {
            let id = &object.identity;
            let kind = id.kind.as_str();
            view.names.insert((kind, namespace(object), id.name.as_str()), number);
            view.kinds.entry(kind).or_default().push(number);
            let Some(path) = object.pod_path() else { continue };
            let pod = path.iter().try_fold(&object.node, |node, key| node.get(key));
            let labels = pod.and_then(|pod| pod.get("metadata")?.get("labels"));
            let at = view.workloads.len();
            for pair in labels.map(Node::pairs).unwrap_or_default() {
                if let Some(value) = pair.node.text() {
                    view.by_label.entry((namespace(object), &pair.key, value)).or_default().push(at);
                }
            }
            view.by_namespace.entry(namespace(object)).or_default().push(at);
            view.workloads.push(Workload { object, number, labels, spec: pod.and_then(|pod| pod.get("spec")) });
        }
        view.scaled = view.kind("HorizontalPodAutoscaler").filter_map(|(_, hpa)| view.target(hpa)).collect();
        view
    }

    /// All of a kind.
    pub(crate) fn kind(&self, kind: &str) -> impl Iterator<Item = (usize, &'a Object)> + use<'a, '_> {
        let numbers = self.kinds.get(kind).map(Vec::as_slice).unwrap_or_default();
        numbers.iter().filter_map(|number| Some((*number, self.objects.get(*number)?)))
    }

    pub(crate) fn find(&self, kind: &str, namespace: &str, name: &str) -> Option<&'a Object> {
        self.objects.get(*self.names.get(&(kind, namespace, name))?)
    }

    /// The number of what an autoscaler names.
    pub(crate) fn target(&self, hpa: &Object) -> Option<usize> {
        let text = |key: &str| hpa.text(&["spec", "scaleTargetRef", key]);
        self.names.get(&(text("kind")?, namespace(hpa), text("name")?)).copied()
    }

    pub(crate) fn workload(&self, number: usize) -> Option<&Workload<'a>> {
        let at = self.workloads.binary_search_by_key(&number, |workload| workload.number).ok()?;
        self.workloads.get(at)
    }

    pub(crate) fn is_scaled(&self, number: usize) -> bool {
        self.scaled.contains(&number)
    }

    /// The workloads of a namespace whose pods a map of labels selects, as a Service has it.
    pub(crate) fn with_labels(&self, namespace: &str, labels: &Node) -> Vec<&Workload<'a>> {
        let has = |workload: &Workload<'_>| {
            labels.pairs().iter().all(|pair| {
                let given = workload.labels.and_then(|labels| labels.get(&pair.key)).and_then(Node::text);
                given.is_some() && given == pair.node.text()
            })
        };
        self.among(self.candidates(namespace, Some(labels))).filter(|workload| has(workload)).collect()
    }

    /// The same for a selector of labels and expressions; an empty one selects all.
    pub(crate) fn selected(&self, namespace: &str, selector: &At<'_>) -> Vec<&Workload<'a>> {
        let matching = selector.get("matchLabels");
        let found = self.among(self.candidates(namespace, matching.node));
        let selects = |workload: &Workload<'_>| match workload.labels {
            Some(labels) => selects(selector, &At::root(labels)),
            None => matching.len() == 0 && selector.get("matchExpressions").len() == 0,
        };
        found.filter(|workload| selects(workload)).collect()
    }

    fn among<'v>(&'v self, numbers: &[usize]) -> impl Iterator<Item = &'v Workload<'a>> {
        numbers.iter().filter_map(|at| self.workloads.get(*at))
    }

    /// Those that may be meant: a label narrows them.
    fn candidates<'v>(&'v self, namespace: &'v str, labels: Option<&'v Node>) -> &'v [usize] {
        let first = labels.and_then(|labels| labels.pairs().first());
        let numbers = match first.map(|pair| (&*pair.key, pair.node.text().unwrap_or(""))) {
            Some((key, value)) => self.by_label.get(&(namespace, key, value)),
            None => self.by_namespace.get(namespace),
        };
        numbers.map(Vec::as_slice).unwrap_or_default()
    }
}
