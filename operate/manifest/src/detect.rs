//! What a YAML or JSON file is, by what stands in it; its name decides only where the content leaves it open. Renders and validates nothing.

use lib_yaml_edit::{Dialect, Document, Limits, Node, Style, Value, Word, parse};

use crate::object::{File, ReadError, of_documents};

/// What a file seems to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// Objects for a cluster.
    Manifest,
    /// A kustomization or a component of one.
    Kustomization,
    /// A Helm chart's `Chart.yaml`.
    Chart,
    /// Not YAML before Helm has rendered it, or with values of a chart in it.
    HelmTemplate,
    /// A compose file.
    Compose,
    /// A kubeconfig.
    Kubeconfig,
    /// Says `apiVersion` and `kind`, but for a program's own settings, which no cluster takes.
    ToolSettings,
    /// YAML that is something else.
    Other,
    /// No YAML, and no template either.
    Unreadable,
}

/// Groups whose files look like objects and are read by a program.
const TOOL_GROUPS: &[&str] = &[
    "kind.x-k8s.io",
    "kubeadm.k8s.io",
    "kubelet.config.k8s.io",
    "kubeproxy.config.k8s.io",
    "kubescheduler.config.k8s.io",
    "apiserver.config.k8s.io",
    "eksctl.io",
    "k3d.io",
    "ctlptl.dev",
];

/// What the file is. The name may be a path; only its last part counts.
pub fn detect(name: &str, text: &str, limits: &Limits) -> FileKind {
    kind_of(name, text, parse(text, limits).as_deref().ok())
}

/// What the file is, and its objects, where it is of a kind that has them or cannot be read. The text is read once.
pub fn look(name: &str, text: &str, limits: &Limits) -> (FileKind, Result<File, ReadError>) {
    let documents = parse(text, limits);
    let kind = kind_of(name, text, documents.as_deref().ok());
    (kind, of_documents(name, documents))
}

/// Nothing is known of documents that cannot be read.
fn kind_of(name: &str, text: &str, documents: Option<&[Document]>) -> FileKind {
    let name = name.rsplit('/').next().unwrap_or(name);
    let documents = match documents {
        Some(documents) => documents,
        None if templated(text) => return FileKind::HelmTemplate,
        None => return FileKind::Unreadable,
    };
    if templated(text) && documents.iter().any(|document| chart_values(text, &document.root)) {
        return FileKind::HelmTemplate;
    }
    let kinds = documents.iter().filter(|d| !matches!(d.root.word(Dialect::Kubectl), Some(Word::Null)));
    let mut kinds = kinds.map(|document| one(name, &document.root));
    let first = kinds.next().unwrap_or(FileKind::Other);
    // A file of objects may begin with something else, but it is one for its objects.
    kinds.fold(first, |kind, next| if next == FileKind::Manifest { next } else { kind })
}

fn templated(text: &str) -> bool {
    text.contains("{{") && text.contains("}}")
}

/// Actions of a chart outside of block scalars, which may well hold templates of other programs.
fn chart_values(text: &str, node: &Node) -> bool {
    match &node.value {
        Value::Scalar(_) if node.style == Style::Block => false,
        Value::Scalar(_) => text.get(node.start as usize..node.end as usize).is_some_and(|text| {
            text.split("{{").skip(1).any(|action| {
                let action = action.trim_start_matches(['-', ' ']);
                [
                    ".Values",
                    ".Release",
                    ".Chart",
                    ".Capabilities",
                    "include ",
                    "template ",
                    "tpl ",
                    "$.Values",
                    "toYaml ",
                ]
                .iter()
                .any(|root| action.starts_with(root))
                    || action.split("}}").next().is_some_and(|a| a.contains(".Values.") || a.contains(".Release."))
            })
        }),
        Value::List(items) => items.iter().any(|item| chart_values(text, item)),
        Value::Map(pairs) => pairs.iter().any(|pair| &*pair.key == "{{" || chart_values(text, &pair.node)),
    }
}

fn one(name: &str, root: &Node) -> FileKind {
    let text = |key: &str| match root.get(key).and_then(|node| node.word(Dialect::Kubectl)) {
        Some(Word::Text(text)) => text,
        _ => "",
    };
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    match (api_version, kind) {
        ("", "") => nameless(name, root),
        ("v1" | "v2", "") if root.get("name").is_some() && root.get("version").is_some() => FileKind::Chart,
        ("v1", "Config") if root.get("clusters").is_some() || root.get("contexts").is_some() => FileKind::Kubeconfig,
        _ if group == "kustomize.config.k8s.io" => FileKind::Kustomization,
        _ if TOOL_GROUPS.contains(&group) || group.starts_with("skaffold") => FileKind::ToolSettings,
        (_, "") | ("", _) => nameless(name, root),
        _ if is_api_version(api_version) && kind.starts_with(|c: char| c.is_ascii_uppercase()) => FileKind::Manifest,
        _ => FileKind::Other,
    }
}

fn nameless(name: &str, root: &Node) -> FileKind {
    if matches!(name, "kustomization.yaml" | "kustomization.yml" | "Kustomization") {
        return FileKind::Kustomization;
    }
    let services = root.get("services").map(Node::pairs).unwrap_or_default();
    let compose =
        services.iter().any(|pair| ["image", "build", "extends"].iter().any(|key| pair.node.get(key).is_some()));
    if compose { FileKind::Compose } else { FileKind::Other }
}

/// `v1`, `v1beta1`, `group/v2`.
fn is_api_version(text: &str) -> bool {
    let version = text.rsplit('/').next().unwrap_or(text);
    let digits = version.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    digits && text.matches('/').count() <= 1
}
