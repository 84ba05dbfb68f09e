//! `apm` put into a cluster, and taken out: the chart's objects applied in order, each asked of the server before the first is written; what an earlier
//! installation made and this one does not want goes. Tokens that are there stay. It does not know what the objects are for, and waits for nothing.

use std::collections::BTreeSet;

use base_explain::Report;
use connect_kube::{Cluster, DeleteOptions, KubeError, ListOptions, Resource, WriteOptions};
use operate_install::{ChartKind, Install, KINDS, Tokens};
use serde::Serialize;
use serde_json::{Value, json};

use super::Clusters;
use super::status::told;

const MANAGER: &str = "apm";
/// Of one kind and one installation there are a handful.
const OBJECTS_MAX: usize = 1_000;

/// How it is done.
#[derive(Debug, Clone, Copy, Default)]
pub struct InstallHow {
    /// The server is asked, and nothing is written.
    pub dry_run: bool,
    /// Fields that somebody else set are taken over.
    pub force_conflicts: bool,
}

/// What became of an object, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Installed {
    Created,
    Changed,
    Unchanged,
    Deleted,
    /// Its namespace is not there yet, so the server could not be asked.
    Unasked,
}

/// One object of the installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstalledObject {
    pub done: Installed,
    pub kind: String,
    /// Empty for what is the whole cluster's.
    pub namespace: String,
    pub name: String,
}

impl InstalledObject {
    fn new(done: Installed, kind: &str, namespace: &str, name: &str) -> Self {
        Self { done, kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl Clusters {
    /// Installs, or brings what is installed to these values. The tokens are for a Secret that is not there yet.
    pub async fn install(
        &self,
        context: &str,
        install: &Install,
        tokens: &Tokens,
        how: InstallHow,
    ) -> Result<Vec<InstalledObject>, Report> {
        let wanted = wanted(install)?;
        let cluster = self.open(context)?;
        let mut done = Vec::new();
        let there = namespace(&cluster, install, how, &mut done).await?;
        if let Some(secret) = install.token_secret(tokens) {
            done.push(make_tokens(&cluster, install, &secret, there, how).await?);
        }
        if !there {
            // Only a dry run comes here: otherwise it was made.
            let unasked = |(kind, object): &(&ChartKind, Value)| at(kind, install, object, Installed::Unasked);
            done.extend(wanted.iter().map(unasked));
            return Ok(done);
        }
        let options = WriteOptions { force: how.force_conflicts, ..WriteOptions::by(MANAGER) };
        // Whatever the server would refuse, it refuses before the first is written.
        for (kind, object) in &wanted {
            done.push(apply(&cluster, install, kind, object, &options.clone().dry()).await?);
        }
        if !how.dry_run {
            for (kind, object) in &wanted {
                apply(&cluster, install, kind, object, &options).await?;
            }
        }
        let kept: BTreeSet<(&str, String)> =
            wanted.iter().map(|(kind, object)| (kind.kind, name(object).to_owned())).collect();
        done.extend(prune(&cluster, install, how, |kind, name| kept.contains(&(kind, name.to_owned()))).await?);
        Ok(done)
    }

    /// Takes away all that [`Clusters::install`] made, its tokens too; the volume's claim and the namespace stay.
    pub async fn uninstall(
        &self,
        context: &str,
        install: &Install,
        how: InstallHow,
    ) -> Result<Vec<InstalledObject>, Report> {
        let cluster = self.open(context)?;
        let mut done = prune(&cluster, install, how, |_, _| false).await?;
        let secret = resource(secrets()).at(&install.namespace, &install.token_secret_name());
        // One that the values name is somebody else's.
        if let Some(found) = cluster.get_if_there(&secret).await.map_err(told)?
            && found["metadata"]["labels"]["app.kubernetes.io/managed-by"] == operate_install::SERVICE
        {
            let options = DeleteOptions { dry_run: how.dry_run, ..DeleteOptions::default() };
            cluster.delete_if_there(&secret, &options).await.map_err(told)?;
            done.push(InstalledObject::new(Installed::Deleted, "Secret", &install.namespace, &secret.name));
        }
        Ok(done)
    }
}

/// The objects with their kinds, those first that others refer to.
fn wanted(install: &Install) -> Result<Vec<(&'static ChartKind, Value)>, Report> {
    let objects = install.objects().map_err(|error| Report::of(&error))?;
    let kind = |kind: &str| KINDS.iter().find(|known| known.kind == kind);
    // That every kind is known is a test of the chart's.
    Ok(objects.iter().filter_map(|object| Some((kind(&object.identity.kind)?, object.json()))).collect())
}

fn secrets() -> &'static ChartKind {
    const SECRET: ChartKind = ChartKind { api_version: "v1", kind: "Secret", plural: "secrets", is_namespaced: true };
    &SECRET
}

fn resource(kind: &ChartKind) -> Resource {
    match kind.is_namespaced {
        true => Resource::namespaced(kind.api_version, kind.kind, kind.plural),
        false => Resource::cluster_wide(kind.api_version, kind.kind, kind.plural),
    }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn at(kind: &ChartKind, install: &Install, object: &Value, done: Installed) -> InstalledObject {
    let namespace = if kind.is_namespaced { install.namespace.as_str() } else { "" };
    InstalledObject::new(done, kind.kind, namespace, name(object))
}

/// Makes the namespace where it is not there; says whether it is now.
async fn namespace(
    cluster: &Cluster,
    install: &Install,
    how: InstallHow,
    done: &mut Vec<InstalledObject>,
) -> Result<bool, Report> {
    let namespaces = Resource::cluster_wide("v1", "Namespace", "namespaces");
    if cluster.get_if_there(&namespaces.at("", &install.namespace)).await.map_err(told)?.is_some() {
        return Ok(true);
    }
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": install.namespace}});
    let options = WriteOptions { dry_run: how.dry_run, ..WriteOptions::by(MANAGER) };
    cluster.create(&namespaces, "", &object, &options).await.map_err(told)?;
    done.push(InstalledObject::new(Installed::Created, "Namespace", "", &install.namespace));
    Ok(!how.dry_run)
}

/// Tokens are made once: others would shut out whoever has the first.
async fn make_tokens(
    cluster: &Cluster,
    install: &Install,
    secret: &Value,
    there: bool,
    how: InstallHow,
) -> Result<InstalledObject, Report> {
    let kind = secrets();
    if !there {
        return Ok(at(kind, install, secret, Installed::Unasked));
    }
    let options = WriteOptions { dry_run: how.dry_run, ..WriteOptions::by(MANAGER) };
    let made = cluster.create(&resource(kind), &install.namespace, secret, &options).await;
    match made {
        Ok(_) => Ok(at(kind, install, secret, Installed::Created)),
        Err(KubeError::AlreadyExists { .. }) => Ok(at(kind, install, secret, Installed::Unchanged)),
        Err(error) => Err(told(error)),
    }
}

async fn apply(
    cluster: &Cluster,
    install: &Install,
    kind: &ChartKind,
    object: &Value,
    options: &WriteOptions,
) -> Result<InstalledObject, Report> {
    let place = resource(kind).at(&install.namespace, name(object));
    let before = cluster.get_if_there(&place).await.map_err(told)?;
    let written = cluster.apply(&place, object, options).await.map_err(|error| {
        let report = told(error);
        match options.force {
            true => report,
            false => {
                report.because("it was asked of the server before anything was written; see also --force-conflicts")
            }
        }
    })?;
    let done = match before.map(|before| meant(before) == meant(written.object)) {
        None => Installed::Created,
        Some(true) => Installed::Unchanged,
        Some(false) => Installed::Changed,
    };
    Ok(at(kind, install, object, done))
}

/// An object without what the server writes of its own.
fn meant(mut object: Value) -> Value {
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for name in ["resourceVersion", "generation", "managedFields", "creationTimestamp", "uid"] {
            metadata.remove(name);
        }
    }
    object
}

/// Deletes what carries this installation's labels and is not kept. Secrets are left: tokens are not rendered.
async fn prune(
    cluster: &Cluster,
    install: &Install,
    how: InstallHow,
    is_kept: impl Fn(&str, &str) -> bool,
) -> Result<Vec<InstalledObject>, Report> {
    let mut gone = Vec::new();
    // The other way round: nothing goes before what refers to it.
    for kind in KINDS.iter().rev().filter(|kind| kind.kind != "Secret") {
        let resource = resource(kind);
        let within = kind.is_namespaced.then_some(install.namespace.as_str());
        let listed = cluster.list(&resource, within, &ListOptions::labelled(&install.selector()), OBJECTS_MAX).await;
        for object in listed.map_err(told)? {
            let name = name(&object);
            if is_kept(kind.kind, name) || !install.is_ours(kind, name) {
                continue;
            }
            let uid = object["metadata"]["uid"].as_str().map(str::to_owned);
            let options = DeleteOptions { uid, dry_run: how.dry_run, ..DeleteOptions::default() };
            cluster.delete_if_there(&resource.at(&install.namespace, name), &options).await.map_err(told)?;
            gone.push(at(kind, install, &object, Installed::Deleted));
        }
    }
    Ok(gone)
}
