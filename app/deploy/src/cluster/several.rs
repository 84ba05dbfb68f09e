//! A service on several clusters: what the settings say of each, and the releases on them as one. It asks no API server.

use std::borrow::Cow;
use std::collections::BTreeMap;

use app_adapt::{Elsewhere, without_password};
use base_explain::Report;
use operate_deploy::{Fleet, FleetPart, Item, cluster_object};
use operate_manifest::transform::TransformSettings;
use operate_plan::is_site_name;
use serde::Deserialize;
use serde_json::Value;

use super::picked::Picked;
use super::{KubernetesSettings, Wanted};
use crate::release::{Asked, JudgedAt};
use crate::settings::Project;
use crate::{Desk, DeskError};

/// `services.NAME.deploy.kubernetes.clusters`: one of several. What is left out is as it is said for all.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct ClusterSettings {
    /// Of the kubeconfig.
    pub context: String,
    /// What people, steps and objects call it: lower case, digits and dashes. The context when left out.
    pub name: Option<String>,
    pub namespace: Option<String>,
    /// Pods of a Deployment or StatefulSet, by its name.
    pub replicas: BTreeMap<String, u32>,
    /// Laid over the one for all: what is said here wins, word by word.
    pub transform: Option<TransformSettings>,
    /// By whose telemetry the service is judged there.
    pub judge: ClusterJudge,
}

/// `services.NAME.deploy.kubernetes.on_failure`: which clusters are undone when one of them fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    #[default]
    All,
    /// Only the one that failed. Refused by name: a run has one end, the world of its plan or the world before, and half of each is neither.
    This,
}

/// The telemetry of one cluster: told apart by who is asked, or by labels.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct ClusterJudge {
    /// Base URLs; those of the section `judge`, or the engine, when left out.
    pub prometheus: Option<String>,
    pub loki: Option<String>,
    pub jaeger: Option<String>,
    pub alertmanager: Option<String>,
    /// Labels that every series and log stream from there has: `{ cluster: eu }`.
    pub matchers: BTreeMap<String, String>,
}

/// The service on one cluster, or on its only one.
pub(crate) struct Placed<'p> {
    /// Empty where there is only one.
    pub(crate) name: String,
    pub(crate) picked: Picked<'p>,
    pub(crate) at: JudgedAt,
    replicas: BTreeMap<String, u32>,
}

impl ClusterSettings {
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.context)
    }
}

/// `base` with `over` laid over it.
fn laid_over(base: Option<&TransformSettings>, over: &TransformSettings) -> TransformSettings {
    let mut all = base.cloned().unwrap_or_default();
    let add = |into: &mut BTreeMap<String, String>, from: &BTreeMap<String, String>| into.extend(from.clone());
    all.namespace = over.namespace.clone().or(all.namespace);
    add(&mut all.labels, &over.labels);
    add(&mut all.annotations, &over.annotations);
    add(&mut all.images, &over.images);
    add(&mut all.registries, &over.registries);
    add(&mut all.requests, &over.requests);
    add(&mut all.limits, &over.limits);
    add(&mut all.env, &over.env);
    all.harden |= over.harden;
    all.pod_security = over.pod_security.or(all.pod_security);
    all.prometheus = over.prometheus.clone().or(all.prometheus);
    // Of one name there can be one only, so a cluster that has its own says all of them.
    if !over.config_map_generator.is_empty() {
        all.config_map_generator.clone_from(&over.config_map_generator);
    }
    if !over.secret_generator.is_empty() {
        all.secret_generator.clone_from(&over.secret_generator);
    }
    all
}

impl ClusterJudge {
    fn at(&self, name: &str) -> Result<JudgedAt, Report> {
        let asked = Elsewhere {
            prometheus: self.prometheus.clone(),
            loki: self.loki.clone(),
            jaeger: self.jaeger.clone(),
            alertmanager: self.alertmanager.clone(),
        };
        for url in asked.urls() {
            // It would stand in the plan, and so in the history.
            if without_password(url) != url {
                let report = Report::new(format!("an address of `judge` of the cluster {name} has a password in it"));
                return Err(
                    report.hint("the section `judge` for all clusters takes one, with `matchers` for each cluster")
                );
            }
            if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
                let report = Report::new(format!("`{url}` of `judge` of the cluster {name} is no address"));
                return Err(report.hint("write `judge: { prometheus: https://prometheus.example.org }`"));
            }
        }
        Ok(JudgedAt { asked, matchers: self.matchers.clone() })
    }
}

impl<'p> Picked<'p> {
    /// The same on one of several clusters.
    fn on(&self, cluster: &ClusterSettings) -> Picked<'p> {
        let mut settings = self.settings.clone().into_owned();
        let kubernetes = &mut settings.deploy.kubernetes;
        if let Some(over) = &cluster.transform {
            kubernetes.transform = Some(laid_over(kubernetes.transform.as_ref(), over));
        }
        let mut picked = self.clone();
        picked.context = Some(cluster.context.clone());
        picked.namespace = cluster.namespace.clone().or(picked.namespace);
        picked.settings = Cow::Owned(settings);
        picked
    }
}

impl Placed<'_> {
    /// As many pods as the cluster is to have. A name that no workload has is refused.
    pub(crate) fn scale(&self, items: &mut [Item]) -> Result<(), Report> {
        for (name, replicas) in &self.replicas {
            let is_meant = |item: &&mut Item| {
                let kind = cluster_object(&item.body).kind;
                ["Deployment.apps", "StatefulSet.apps"].contains(&kind.as_str())
                    && item.body["metadata"]["name"] == **name
            };
            let Some(item) = items.iter_mut().find(is_meant) else {
                let what =
                    format!("`replicas` of the cluster {} names `{name}`, and no workload is called so", self.name);
                return Err(Report::new(what).hint("write the name of a Deployment or StatefulSet of the manifests"));
            };
            item.body["spec"]["replicas"] = Value::from(*replicas);
        }
        Ok(())
    }
}

/// Settings that cannot be meant.
fn check(service: &str, kubernetes: &KubernetesSettings) -> Result<(), Report> {
    let place = format!("services.{service}.deploy.kubernetes");
    if kubernetes.context.is_some() {
        let report = Report::new(format!("`{place}` has both `context` and `clusters`"));
        return Err(report.hint("write the context into the list, or leave the list out"));
    }
    for (at, cluster) in kubernetes.clusters.iter().enumerate() {
        if cluster.context.is_empty() {
            let report = Report::new(format!("a cluster of `{place}.clusters` names no context"));
            return Err(report.hint(
                "write `clusters: [{ context: prod-eu }, { context: prod-us }]`; `apm k8s contexts` lists them",
            ));
        }
        let name = cluster.name();
        if !is_site_name(name) {
            let report =
                Report::new(format!("a cluster cannot be called `{name}`: lower case, digits and dashes, at most 40"));
            return Err(report.hint(format!("give it a short name: `{{ context: {}, name: eu }}`", cluster.context)));
        }
        let before = kubernetes.clusters.iter().take(at);
        if before.clone().any(|other| other.name() == name || other.context == cluster.context) {
            let report = Report::new(format!("the cluster {name} is named twice in `{place}.clusters`"));
            return Err(report.hint("each context and each name may stand there once"));
        }
    }
    if kubernetes.on_failure == OnFailure::This {
        let what = format!("`{place}.on_failure: this` would leave the release on some clusters and not on others");
        let hint = "a release to all of them stays on all or on none, so that its history can be gone back to; to keep the clusters that went well, make an environment of each and release one after the other: `for env in eu us; do apm deploy --env $env --version 2 --yes || break; done`";
        return Err(Report::new(what).hint(hint));
    }
    if kubernetes.parallel == 0 {
        let report = Report::new(format!("`{place}.parallel` is 0, so no cluster could begin"));
        return Err(report.hint("write how many clusters may be changed at once; left out, one after the other"));
    }
    Ok(())
}

impl Project {
    /// The service on each of its clusters, in their order.
    pub(crate) fn placed(&self, asked: &Asked) -> Result<Vec<Placed<'_>>, Report> {
        let picked = self.picked(asked)?;
        let kubernetes = picked.settings.deploy.kubernetes.clone();
        let alone = |picked| Placed { name: String::new(), picked, at: JudgedAt::default(), replicas: BTreeMap::new() };
        if kubernetes.clusters.is_empty() {
            return Ok(vec![alone(picked)]);
        }
        check(&picked.service, &kubernetes)?;
        let on = |cluster: &ClusterSettings| {
            Ok(Placed {
                name: cluster.name().to_owned(),
                picked: picked.on(cluster),
                at: cluster.judge.at(cluster.name())?,
                replicas: cluster.replicas.clone(),
            })
        };
        let Some(plain) = &asked.plain else { return kubernetes.clusters.iter().map(on).collect() };
        // Manifests alone go to one cluster: whoever asks names it.
        let names: Vec<&str> = kubernetes.clusters.iter().map(ClusterSettings::name).collect();
        let Some(context) = &plain.context else {
            let report = Report::new(format!("{} runs on several clusters: {}", picked.service, names.join(", ")));
            return Err(report.hint("`--context` names one of them"));
        };
        let meant = kubernetes.clusters.iter().find(|one| one.name() == context || one.context == *context);
        Ok(vec![meant.map(on).transpose()?.unwrap_or_else(|| alone(picked.clone()))])
    }
}

impl Desk {
    /// What is asked for, on all its clusters. Secrets are sealed here and are never in clear after it. Without `read` it has no objects yet.
    pub(crate) async fn fleet(&self, project: &Project, asked: &Asked, read: bool) -> Result<Fleet, Report> {
        let placed = project.placed(asked)?;
        let parallel = placed.first().map_or(1, |one| one.picked.settings.deploy.kubernetes.parallel);
        let mut parts = Vec::with_capacity(placed.len());
        for one in placed {
            let (clusters, seal, disk) = (&self.clusters, &self.seal, &*self.world.disk);
            let release = project.release_on(asked, &one, clusters, seal, disk, read).await;
            let release = release.map_err(|report| report_at(&one.name, report))?;
            parts.push(FleetPart { name: one.name, release });
        }
        Ok(Fleet { parts, parallel })
    }
}

impl Wanted {
    /// A release on one cluster or on several.
    pub(crate) fn on_clusters(mut fleet: Fleet) -> Wanted {
        match (fleet.parts.len(), fleet.parts.pop()) {
            // One that is named is one of several, of which only one is left.
            (1, Some(part)) if part.name.is_empty() => Wanted::Objects(Box::new(part.release)),
            (_, last) => {
                fleet.parts.extend(last);
                Wanted::Fleet(Box::new(fleet))
            }
        }
    }
}

/// What is told of one cluster, with its name.
fn report_at(name: &str, mut report: Report) -> Report {
    if !name.is_empty() {
        report.message = format!("{name}: {}", report.message);
    }
    report
}

/// The same of whatever went wrong.
pub(crate) fn error_at(name: &str, error: DeskError) -> DeskError {
    use operate_deploy::Refusal;
    match error {
        DeskError::Refused(refusal) => {
            DeskError::Refused(Refusal::At { cluster: name.to_owned(), refusal: Box::new(refusal) })
        }
        DeskError::Settings(report) => DeskError::Settings(report_at(name, report)),
        DeskError::Told(report) => DeskError::Told(report_at(name, report)),
        DeskError::Standing(report) => DeskError::Standing(report_at(name, report)),
        other => other,
    }
}

#[cfg(test)]
mod tests;
