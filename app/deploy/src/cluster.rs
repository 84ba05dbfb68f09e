//! From settings and flags to one release on Kubernetes, and the cluster that it is for. It asks no API server.

mod arrival;
mod compare;
mod hanging;
mod helm;
mod install;
mod kustomize;
pub(crate) mod manifests;
mod ops;
mod picked;
mod pods;
mod post;
mod render;
mod route;
mod several;
mod status;

use std::path::PathBuf;

use base_explain::Report;
use base_world::{Disk, World};
use connect_kube::{Choice, Cluster, ContextListed, Surroundings, contexts, find};
use operate_deploy::{
    ClusterRelease, Fleet, HelmChart, HelmRevision, Item, Release, RouteChoice, cluster_part, cluster_revision,
    helm_revision,
};
use operate_execute::{Filter, RunId, RunRow, Seal, Status};
use operate_manifest::inject::InjectSettings;
use operate_manifest::transform::TransformSettings;
use operate_plan::{digest, overlaps};
use operate_target_kube::KubeTarget;
use serde::Deserialize;

use crate::release::{Asked, ms};
use crate::settings::Project;
use crate::{Desk, DeskError};
pub use arrival::ArrivalSettings;
use arrival::arrives;
pub use compare::{Compared, ObjectChange, Unknown};
pub use hanging::Hanging;
pub use helm::HelmSettings;
pub use install::{InstallHow, Installed, InstalledObject};
pub use kustomize::kustomize;
pub use picked::Plain;
pub(crate) use pods::PodLogs;
pub use post::{PostError, post_render};
pub use render::{Rendered, RenderedFile};
use several::Placed;
pub(crate) use several::error_at;
pub use several::{ClusterJudge, ClusterSettings, OnFailure};
pub use status::{Workload, WorkloadState};

/// Complete runs in which a version is looked for.
const PAST_MAX: usize = 200;

/// `services.NAME.deploy.kubernetes`: where the service runs, and what it is there.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct KubernetesSettings {
    /// Of the kubeconfig; its current one when left out.
    pub context: Option<String>,
    /// In the place of `context`: a release goes to all of these, in this order, as one.
    pub clusters: Vec<ClusterSettings>,
    /// Which of them are undone when one of them fails.
    pub on_failure: OnFailure,
    /// So many of them are changed at once, and the next ones when the judge has agreed to these.
    pub parallel: usize,
    pub namespace: Option<String>,
    /// Files and folders of manifests, relative to the folder of the settings.
    pub manifests: Vec<PathBuf>,
    /// What an earlier release made and the manifests no longer have is deleted.
    pub prune: bool,
    /// Fields that somebody else set may be taken over.
    pub force_conflicts: bool,
    /// What this environment does to the manifests; the files stay as they are.
    pub transform: Option<TransformSettings>,
    /// Pods get a telemetry agent, or sidecars, on their way to the cluster; the files stay as they are.
    pub inject: Option<InjectSettings>,
    /// Whether, and how, the first telemetry of injected pods is waited for; left out, as usual where `inject` is.
    pub arrival: Option<ArrivalSettings>,
    /// By which HTTPRoute, GRPCRoute or VirtualService a canary gets its share; left out, the one that is found.
    #[serde(deserialize_with = "route::read")]
    pub route: RouteChoice,
    /// The service is a chart, and its releases are Helm's: `helm list` and `helm history` know them.
    pub helm: Option<HelmSettings>,
}

impl Default for KubernetesSettings {
    fn default() -> KubernetesSettings {
        let manifests = vec![PathBuf::from("k8s")];
        KubernetesSettings {
            context: None,
            clusters: Vec::new(),
            on_failure: OnFailure::default(),
            parallel: 1,
            namespace: None,
            manifests,
            prune: true,
            force_conflicts: false,
            transform: None,
            inject: None,
            arrival: None,
            route: RouteChoice::default(),
            helm: None,
        }
    }
}

/// A release, on whatever it is.
#[derive(Debug, Clone)]
pub enum Wanted {
    Containers(Box<Release>),
    Objects(Box<ClusterRelease>),
    /// Objects on several clusters.
    Fleet(Box<Fleet>),
}

impl Wanted {
    /// On what the lease is.
    pub fn target(&self) -> String {
        match self {
            Wanted::Containers(release) => release.target.clone(),
            Wanted::Objects(release) => release.target.clone(),
            Wanted::Fleet(fleet) => fleet.target(),
        }
    }
}

/// Opens clusters by the context of a kubeconfig.
#[derive(Clone)]
pub struct Clusters {
    pub world: World,
    pub surroundings: Surroundings,
}

impl Clusters {
    /// The cluster of a context; of the current one when it is empty. Nothing is asked of it yet.
    pub fn open(&self, context: &str) -> Result<Cluster, Report> {
        let context = (!context.is_empty()).then(|| context.to_owned());
        let choice = Choice { context, ..Choice::default() };
        let found = find(&self.surroundings, &choice, &*self.world.disk).map_err(status::told)?;
        Ok(Cluster::new(found, self.world.clone()))
    }

    /// The contexts of the kubeconfig, as `kubectl config get-contexts` lists them.
    pub fn contexts(&self) -> Result<Vec<ContextListed>, Report> {
        contexts(&self.surroundings, &Choice::default(), &*self.world.disk).map_err(status::told)
    }

    /// The same as a target of plans.
    pub fn target(&self, context: &str, seal: &std::sync::Arc<Seal>) -> Result<KubeTarget, Report> {
        let clock = std::sync::Arc::clone(&self.world.clock);
        Ok(KubeTarget::new(self.open(context)?, std::sync::Arc::clone(seal), clock))
    }
}

/// `kube:CONTEXT/PROJECT`: on what the lease is.
pub(crate) fn target_name(context: &str, project: &str) -> String {
    format!("kube:{context}/{project}")
}

/// The context of such a name.
pub(crate) fn context_of(target: &str) -> Option<&str> {
    target.strip_prefix("kube:")?.rsplit_once('/').map(|(context, _)| context)
}

impl Desk {
    /// The release of the very objects that this version was the last time it stayed: the manifests may say something else by now.
    pub(crate) async fn objects_before(
        &self,
        release: ClusterRelease,
        as_of: Option<&RunId>,
    ) -> Result<ClusterRelease, DeskError> {
        let labels =
            [("project", &release.project), ("service", &release.service), ("environment", &release.environment)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.clone())).to_vec();
        let complete = Filter { status: Some(Status::Complete), labels, limit: PAST_MAX, ..Filter::default() };
        let rows: Vec<_> =
            self.runs(&complete).await?.into_iter().filter(|row| overlaps(&row.target, &release.target)).collect();
        let is_meant = |row: &RunRow| match as_of {
            Some(run) => row.run == *run,
            None => row.labels.get("version") == Some(&release.version),
        };
        let Some(at) = rows.iter().position(is_meant) else { return Ok(release) };
        if let Some(chart) = &release.helm {
            // Chart and values are whole in the plan; what is rendered of them today is what it was.
            let before = match rows.get(at) {
                Some(row) => {
                    cluster_part(&self.plan_of(&row.run).await?, &release.target).as_ref().and_then(helm_revision)
                }
                None => None,
            };
            let Some(HelmRevision { packed, values, post }) = before else { return Ok(release) };
            let chart = HelmChart { packed: Some(packed), values, post, ..chart.clone() };
            return Ok(ClusterRelease { helm: Some(chart), ..release });
        }
        let mut plans = Vec::new();
        for row in rows.iter().skip(at).rev() {
            plans.extend(cluster_part(&self.plan_of(&row.run).await?, &release.target));
        }
        let items = cluster_revision(&plans);
        // Of a release that was made before this service was known here there is nothing to read.
        Ok(if items.is_empty() { release } else { ClusterRelease { items, ..release } })
    }

    /// What is asked for on a cluster, as it was the last time it stayed; from the history, so that nobody needs the files of that time. What the history
    /// does not know is read from the files of today, unless it is only named by what it held.
    pub(crate) async fn clusters_before(&self, project: &Project, asked: &Asked) -> Result<Wanted, DeskError> {
        let mut fleet = self.fleet(project, asked, false).await.map_err(DeskError::Settings)?;
        for (part, placed) in fleet.parts.iter_mut().zip(project.placed(asked).map_err(DeskError::Settings)?) {
            let release = self.cluster_before(project, asked, &placed, part.release.clone()).await;
            part.release = release.map_err(|error| error_at(&placed.name, error))?;
        }
        Ok(Wanted::on_clusters(fleet))
    }

    async fn cluster_before(
        &self,
        project: &Project,
        asked: &Asked,
        placed: &Placed<'_>,
        release: ClusterRelease,
    ) -> Result<ClusterRelease, DeskError> {
        let disk = &*self.world.disk;
        let release = self.objects_before(release, asked.as_of.as_ref()).await?;
        let has_chart = release.helm.as_ref().is_some_and(|chart| chart.packed.is_some());
        if has_chart || !release.items.is_empty() {
            return Ok(release);
        }
        if asked.plain.is_some() {
            let (service, version) = (&release.service, &release.version);
            let report =
                Report::new(format!("no complete run says what {service} {version} was on {}", release.target));
            return Err(DeskError::Standing(report.hint("`apm deploy list` shows the runs")));
        }
        let release = project.release_on(asked, placed, &self.clusters, &self.seal, disk, true).await;
        release.map_err(DeskError::Settings)
    }
}

impl Project {
    /// Whether the service that is meant runs on a cluster.
    pub fn is_on_cluster(&self, asked: &Asked) -> Result<bool, Report> {
        if asked.plain.is_some() {
            return Ok(true);
        }
        let (_, settings) = self.chosen(asked.service.as_deref())?;
        match settings.deploy.target.as_str() {
            "docker" => Ok(false),
            "kubernetes" => Ok(true),
            other => {
                let report = Report::new(format!("`{other}` is no target of apm deploy"));
                Err(report.hint("write `docker` or `kubernetes`"))
            }
        }
    }

    /// The release that is wanted. Secrets are sealed here and are never in clear after it. Without `read` it has no objects yet: the history has them.
    pub(crate) async fn release_on(
        &self,
        asked: &Asked,
        placed: &Placed<'_>,
        clusters: &Clusters,
        seal: &Seal,
        disk: &dyn Disk,
        read: bool,
    ) -> Result<ClusterRelease, Report> {
        let picked = &placed.picked;
        let (deploy, kubernetes) = (&picked.settings.deploy, &picked.settings.deploy.kubernetes);
        let cluster = clusters.open(picked.context.as_deref().unwrap_or_default())?;
        let context = cluster.found().context.clone().unwrap_or_default();
        let namespace = picked.namespace.clone().unwrap_or_else(|| cluster.found().namespace.clone());
        let chart = match &kubernetes.helm {
            Some(helm) if asked.plain.is_none() => {
                let meant = picked.meant(&namespace, &self.environment);
                Some(helm::chart(&meant, helm, kubernetes, asked, seal, disk)?)
            }
            _ => None,
        };
        // Those of a chart are known when it is rendered.
        let mut items = if read && chart.is_none() {
            let texts = picked.texts(Some(&namespace), disk).await?;
            manifests::items(&picked.meant(&namespace, &self.environment), &texts, disk, seal)?
        } else {
            Vec::new()
        };
        if read {
            placed.scale(&mut items)?;
        }
        let usual = || kubernetes.inject.as_ref().map(|_| ArrivalSettings::default());
        let arrival = kubernetes.arrival.clone().or_else(usual).filter(|_| asked.plain.is_none());
        let asked_for = kubernetes.arrival.is_some();
        let arrival = arrival.and_then(|settings| arrives(&settings, &context, &placed.at.asked, asked_for));
        let service = picked.service.clone();
        let version = picked.version.clone().unwrap_or_else(|| of_content(&items));
        let plain = asked.plain.as_ref();
        let judged = match plain {
            None => Some(self.judged(&service, &version, &picked.settings, &placed.at)?),
            Some(_) => None,
        };
        let usual = deploy.strategy.filter(|_| plain.is_none()).unwrap_or(operate_deploy::Strategy::Rolling);
        Ok(ClusterRelease {
            project: self.name.clone(),
            environment: self.environment.clone(),
            target: target_name(&context, &self.name),
            context,
            namespace,
            items,
            helm: chart,
            strategy: asked.strategy.unwrap_or(usual),
            ready_ms: ms(deploy.ready.0),
            judge_ms: judged.as_ref().map_or(0, |judged| judged.judge_ms),
            canary: judged.as_ref().map(|judged| judged.canary.clone()),
            route: kubernetes.route.clone(),
            gate: judged.as_ref().and_then(|judged| judged.gate.clone()),
            judge: judged.and_then(|judged| judged.judge),
            arrival,
            approval: deploy.approval.then(|| format!("Deploy {service} {version} to {}?", self.environment)),
            calendar: self.calendar(),
            adopt: asked.adopt,
            force_conflicts: kubernetes.force_conflicts || plain.is_some_and(|plain| plain.force_conflicts),
            force: asked.force,
            prune: plain.map_or(kubernetes.prune, |plain| plain.prune),
            actor: asked.actor.clone(),
            reason: asked.reason.clone(),
            service,
            version,
        })
    }
}

/// The version of manifests that nobody gave one: what they say.
fn of_content(items: &[Item]) -> String {
    let marks =
        |item: &Item| item.secrets.iter().map(|(at, secret)| (at.clone(), secret.mark.clone())).collect::<Vec<_>>();
    let said: Vec<_> = items.iter().map(|item| (&item.body, marks(item))).collect();
    format!("sha-{}", digest(&said).short())
}
