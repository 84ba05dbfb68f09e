//! A service that is a chart: settings become the chart of a release, its values sealed; then the person's own `helm` packs and renders it, so
//! that the plan holds what is released and not where it lay. It applies nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use app_config::Span;
use base_explain::Report;
use base_world::Disk;
use operate_deploy::{ClusterRelease, HelmChart, Item, Secret, helm_object};
use operate_execute::{Seal, Target as _};
use operate_manifest::{Limits, Target, namespaced, read};
use operate_plan::{Failure, ObjectId, digest};
use operate_target_kube::{Helm, KubeTarget, Pack, PostRenderer, Render, secret_name};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::KubernetesSettings;
use super::manifests::conceal;
use super::ops::Meant;
use super::post::{POST_RENDER, PostSettings};
use crate::release::{Asked, ms};
use crate::{Desk, DeskError};

const VALUES_BYTES_MAX: u64 = 1 << 20;
/// The program, as it is found on the PATH.
const PROGRAM: &str = "helm";

/// `services.NAME.deploy.kubernetes.helm`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct HelmSettings {
    /// A folder or an archive, `repository/chart`, or `oci://…`.
    pub chart: String,
    /// Of a chart that is elsewhere; the newest when left out.
    pub version: Option<String>,
    /// Among Helm's releases of the namespace; the service's name when left out.
    pub release: Option<String>,
    /// Files, a later one wins.
    pub values: Vec<PathBuf>,
    /// Single values by their path, which win over the files: `image.pullPolicy: Always`.
    pub set: BTreeMap<String, Value>,
    /// The value that gets the version that is released; empty for none.
    pub version_at: String,
    pub create_namespace: bool,
    /// How long Helm may take, hooks included; pods are waited for by apm.
    pub timeout: Span,
    /// A release that is pending for so long is left by a helm that died, and is repaired.
    pub stuck_after: Span,
    /// Revisions that Helm keeps.
    pub history_max: Option<u64>,
}

impl Default for HelmSettings {
    fn default() -> HelmSettings {
        HelmSettings {
            chart: String::new(),
            version: None,
            release: None,
            values: Vec::new(),
            set: BTreeMap::new(),
            version_at: "image.tag".into(),
            create_namespace: false,
            timeout: Span::from_secs(300),
            stuck_after: Span::from_secs(super::status::STUCK_MS / 1_000),
            history_max: None,
        }
    }
}

/// The chart that is meant, not packed yet. Values are sealed here.
pub(super) fn chart(
    meant: &Meant<'_>,
    helm: &HelmSettings,
    all: &KubernetesSettings,
    asked: &Asked,
    seal: &Seal,
    disk: &dyn Disk,
) -> Result<HelmChart, Report> {
    let Meant { service, namespace, version, .. } = *meant;
    if helm.chart.is_empty() {
        let report = Report::new(format!("nobody says which chart {service} is"));
        return Err(report.hint("write `helm: { chart: ./chart }`, or `repository/chart`, or `oci://…`"));
    }
    if all.manifests != KubernetesSettings::default().manifests {
        let report = Report::new(format!("{service} is a chart: `manifests` are not for it"));
        return Err(report.hint("put them into the chart's templates, or make them a service of their own"));
    }
    let release = helm.release.clone().unwrap_or_else(|| service.to_owned());
    let id = helm_object(namespace, &release);
    let post = PostSettings::of(meant, disk)?;
    let post = post.map(|post| secret(&id, "/post", &post, &post, seal)).transpose()?;
    let mut texts = Vec::new();
    for path in &helm.values {
        texts.push(disk.read(path, VALUES_BYTES_MAX).map_err(|error| Report::of(&error))?);
    }
    let mut set = json!({});
    for (path, value) in &helm.set {
        put(&mut set, path, value.clone());
    }
    if !helm.version_at.is_empty() {
        put(&mut set, &helm.version_at, Value::from(version));
    }
    // JSON is YAML.
    texts.push(set.to_string().into_bytes());
    let sealed = |(number, text): (usize, Vec<u8>)| secret(&id, &format!("/values/{number}"), &text, &text, seal);
    let values = texts.into_iter().enumerate().map(sealed).collect::<Result<_, _>>()?;
    let mut by_hand = helm.chart.clone();
    if let Some(version) = &helm.version {
        by_hand.push_str(&format!(" --version {version}"));
    }
    for path in &helm.values {
        by_hand.push_str(&format!(" -f {}", path.display()));
    }
    for path in helm.set.keys() {
        by_hand.push_str(&format!(" --set {path}=…"));
    }
    if !helm.version_at.is_empty() {
        by_hand.push_str(&format!(" --set-string {}={version}", helm.version_at));
    }
    if post.is_some() {
        by_hand.push_str(" --post-renderer apm");
        let words = ["k8s", "render", "-", "--show-secrets", "--service", service, "--version", version];
        words.iter().for_each(|word| by_hand.push_str(&format!(" --post-renderer-args={word}")));
    }
    Ok(HelmChart {
        release,
        chart: helm.chart.clone(),
        chart_version: helm.version.clone(),
        packed: None,
        values,
        post,
        create_namespace: helm.create_namespace,
        limit_ms: ms(helm.timeout.0),
        stuck_after_ms: ms(helm.stuck_after.0),
        repair: asked.repair,
        history_max: helm.history_max,
        by_hand,
    })
}

/// `content` is what tells it from another: an archive has times in it.
fn secret(id: &ObjectId, place: &str, plain: &[u8], content: &[u8], seal: &Seal) -> Result<Secret, Report> {
    let sealed = seal.seal(&secret_name(id, place), plain).map_err(|error| Report::of(&error))?;
    Ok(Secret { sealed, mark: seal.mark(content) })
}

/// Puts a value at `a.b.c`, as `helm --set` does; a backslash keeps a dot within a name.
fn put(into: &mut Value, path: &str, value: Value) {
    let mut names = vec![String::new()];
    let mut signs = path.chars();
    while let Some(sign) = signs.next() {
        match (sign, names.last_mut()) {
            ('\\', Some(name)) => name.extend(signs.next()),
            ('.', _) => names.push(String::new()),
            (sign, Some(name)) => name.push(sign),
            (_, None) => {}
        }
    }
    let mut at = into;
    for name in names {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at = &mut at[name];
    }
    *at = value;
}

pub(super) fn is_pending(status: &str) -> bool {
    status.starts_with("pending-")
}

fn told(failure: Failure) -> DeskError {
    let mut report = Report::new(failure.message);
    for cause in failure.causes {
        report = report.because(cause);
    }
    DeskError::Told(report.hint(failure.next))
}

impl Desk {
    /// The program for releases of Helm on the cluster of a context, whose API server is `server`. Its locks are kept where every `apm` of this user looks;
    /// releases of two clusters may have the same name, so each cluster has a folder of its own.
    pub(crate) fn helm(&self, context: &str, server: &str) -> Helm {
        Helm {
            program: PROGRAM.into(),
            kubeconfig: None,
            context: (!context.is_empty()).then(|| context.to_owned()),
            folder: self.state_folder().join("helm").join(digest(&server).short()),
            post_renderer: Some(PostRenderer { program: self.program.clone(), words: vec![POST_RENDER.to_owned()] }),
        }
    }

    /// The release with its chart packed and rendered; one that is no chart as it is.
    pub(crate) async fn rendered(
        &self,
        release: &ClusterRelease,
        target: &KubeTarget,
        helm: &Helm,
    ) -> Result<ClusterRelease, DeskError> {
        let Some(chart) = &release.helm else { return Ok(release.clone()) };
        let id = helm_object(&release.namespace, &chart.release);
        let mut chart = chart.clone();
        if chart.packed.is_none() {
            let pack = Pack { chart: &chart.chart, version: chart.chart_version.as_deref() };
            let packed = helm.pack(&pack).await.map_err(told)?;
            let sealed = secret(&id, "/chart", &packed.archive, packed.content.as_bytes(), &self.seal);
            chart.packed = Some(sealed.map_err(DeskError::Told)?);
        }
        let open = |place: &str, secret: &Secret| {
            let opened = self.seal.open(&secret_name(&id, place), &secret.sealed);
            opened.map_err(|error| {
                DeskError::Told(Report::of(&error).hint("the key file of the machine that made the plan is needed"))
            })
        };
        let archive = chart.packed.as_ref().map(|packed| open("/chart", packed)).transpose()?.unwrap_or_default();
        let values = chart.values.iter().enumerate();
        let values =
            values.map(|(number, one)| open(&format!("/values/{number}"), one)).collect::<Result<Vec<_>, _>>()?;
        let post = chart.post.as_ref().map(|post| open("/post", post)).transpose()?;
        let kubernetes = target.version().await.map_err(told)?;
        let seen = target.survey(std::slice::from_ref(&id)).await;
        let render = Render {
            namespace: &release.namespace,
            release: &chart.release,
            chart: &archive,
            values: &values,
            post: post.as_deref(),
            kubernetes: &kubernetes,
            hangs: seen.present(&id).is_some_and(|value| value["status"].as_str().is_some_and(is_pending)),
        };
        let text = helm.render(&render).await.map_err(told)?;
        let items = items(&text, &chart.chart, &release.namespace, &self.seal).map_err(DeskError::Told)?;
        Ok(ClusterRelease { items, helm: Some(chart), ..release.clone() })
    }
}

/// What a chart renders to, as Helm gives it to the server; the values of its Secrets sealed.
fn items(text: &str, chart: &str, namespace: &str, seal: &Seal) -> Result<Vec<Item>, Report> {
    let file = read(chart, text, &Limits::default()).map_err(|error| Report::of(&error))?;
    let target = Target { minor: operate_manifest::MINOR_NEWEST };
    let mut items = Vec::new();
    for object in &file.objects {
        let (mut body, identity) = (object.json(), &object.identity);
        if body["metadata"]["namespace"].is_null()
            && namespaced(&identity.api_version, &identity.kind, &target).unwrap_or(true)
        {
            body["metadata"]["namespace"] = Value::from(namespace);
        }
        let mut item = Item { body, secrets: BTreeMap::new(), source: chart.to_owned() };
        if identity.kind == "Secret" && identity.api_version == "v1" {
            conceal(&mut item, seal)?;
        }
        items.push(item);
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_put_where_its_path_says() {
        let mut set = json!({});
        put(&mut set, "image.tag", json!("2"));
        put(&mut set, "image.repository", json!("shop/cart"));
        put(&mut set, r"annotations.example\.org/x", json!(true));
        let expect = json!({"image": {"tag": "2", "repository": "shop/cart"}, "annotations": {"example.org/x": true}});
        assert_eq!(set, expect);
    }
}
