//! From a release to its plan, and from several to one: the world is looked at, images are pinned, earlier runs and the calendar are heard. What
//! the steps are, and how plans are joined, is decided elsewhere.

use std::collections::BTreeMap;

use base_explain::Report;
use operate_deploy::{
    ClusterPlan, ClusterRelease, Fleet, FleetPart, Part, Refusal, Release, cluster_findings, cluster_objects,
    cluster_objects_left, cluster_surroundings, finding_at, join_clusters, plan_cluster,
};
use operate_execute::Target as _;
use operate_plan::{Calendar, Finding, Inventory, ObjectId, Plan, Seen, Severity, estimate, guard, hold, lint};
use operate_target_kube::KubeTarget;

use super::{Desk, DeskError, Planned, rehearsal};
use crate::cluster::{Wanted, context_of, error_at};
use crate::pin::pinned;
use crate::scanned;

impl Desk {
    /// Looks at the world and plans; changes nothing.
    pub async fn plan(&self, release: &Release) -> Result<Planned, DeskError> {
        self.plan_labelled(release, BTreeMap::new()).await
    }

    /// The same with more labels.
    pub(crate) async fn plan_labelled(
        &self,
        release: &Release,
        labels: BTreeMap<String, String>,
    ) -> Result<Planned, DeskError> {
        let (release, pinning) = self.pinned(release).await?;
        let release = &release;
        let seen = self.survey(&operate_deploy::objects(release)).await;
        let now_ms = self.world.clock.now_ms();
        let plan = match operate_deploy::plan(release, &seen, now_ms) {
            Ok(plan) => plan,
            Err(left_over @ Refusal::LeftOver { .. }) => {
                // What is left over may be what somebody is at this very moment.
                self.nobody_changes(&release.target).await?;
                return Err(left_over.into());
            }
            Err(refusal) => return Err(refusal.into()),
        };
        let found = release.findings.iter().cloned().chain(pinning).collect();
        self.weighed(&release.calendar.of(&release.environment, now_ms), plan, &seen, now_ms, labels, found).await
    }

    /// The same for whatever the service runs on.
    pub async fn plan_wanted(&self, wanted: &Wanted) -> Result<Planned, DeskError> {
        match wanted {
            Wanted::Containers(release) => self.plan(release).await,
            Wanted::Objects(release) => self.plan_objects(release).await,
            Wanted::Fleet(fleet) => self.plan_fleet(fleet).await,
        }
    }

    /// Looks at the cluster and plans; then the API server is asked what it would say to each object. Changes nothing.
    async fn plan_objects(&self, release: &ClusterRelease) -> Result<Planned, DeskError> {
        let now_ms = self.world.clock.now_ms();
        let (plan, seen, found) = self.planned_on(release, now_ms).await?;
        self.weighed(&release.calendar.of(&release.environment, now_ms), plan, &seen, now_ms, BTreeMap::new(), found)
            .await
    }

    /// The same for all clusters of a release, as one plan. Nothing is planned for any of them when one cannot be looked at.
    async fn plan_fleet(&self, fleet: &Fleet) -> Result<Planned, DeskError> {
        let now_ms = self.world.clock.now_ms();
        let (mut parts, mut found, mut idle) = (Vec::new(), shared_telemetry(fleet), None);
        for FleetPart { name, release } in &fleet.parts {
            match self.planned_on(release, now_ms).await {
                Ok((plan, seen, its)) => {
                    found.extend(its.into_iter().map(|finding| finding_at(name, finding)));
                    parts.push(ClusterPlan { name: name.clone(), plan, seen });
                }
                Err(DeskError::Refused(nothing @ Refusal::NothingToDo { .. })) => idle = Some(nothing),
                Err(error) => return Err(error_at(name, error)),
            }
        }
        let joined = join_clusters(&parts, fleet.parallel, now_ms).zip(fleet.parts.first());
        let Some(((plan, seen), first)) = joined else {
            let nobody = || DeskError::Told(Report::new("no cluster is meant").hint("name one in `clusters`"));
            return Err(idle.map_or_else(nobody, DeskError::Refused));
        };
        let calendar = first.release.calendar.of(&first.release.environment, now_ms);
        self.weighed(&calendar, plan, &seen, now_ms, BTreeMap::new(), found).await
    }

    /// The plan for one cluster alone, what it was made from, and what was found.
    async fn planned_on(
        &self,
        release: &ClusterRelease,
        now_ms: i64,
    ) -> Result<(Plan, Inventory, Vec<Finding>), DeskError> {
        let context = context_of(&release.target).unwrap_or_default();
        let (target, helm) = self.cluster_target(context)?;
        let release = &self.rendered(release, &target, &helm).await?;
        let seen = self.seen_for(&target, release).await;
        let plan = match plan_cluster(release, &seen, now_ms) {
            Ok(plan) => plan,
            Err(left_over @ (Refusal::LeftOverObject { .. } | Refusal::DividedServices { .. })) => {
                self.nobody_changes(&release.target).await?;
                return Err(left_over.into());
            }
            Err(refusal) => return Err(refusal.into()),
        };
        let around = target.survey(&cluster_surroundings(release)).await;
        let mut found = cluster_findings(release, &seen, &around);
        found.extend(rehearsal::rehearsed(&target, &plan).await?);
        Ok((plan, seen, found))
    }

    /// What the release and its leftovers are on the cluster.
    pub(crate) async fn seen_for(&self, target: &KubeTarget, release: &ClusterRelease) -> Inventory {
        let mut seen = target.survey(&cluster_objects(release)).await;
        let left = target.survey(&cluster_objects_left(release, &seen)).await;
        seen.facts.extend(left.facts);
        seen
    }

    /// With what earlier runs took, held to the calendar, and looked over.
    async fn weighed(
        &self,
        calendar: &Calendar,
        plan: Plan,
        seen: &Inventory,
        now_ms: i64,
        labels: BTreeMap<String, String>,
        pinning: Vec<Finding>,
    ) -> Result<Planned, DeskError> {
        // Plans of the same labels are alike; what they took is what this one will take.
        let learnt = self.history.learnt(&plan.labels).await?;
        let mut draft = (*plan).clone();
        estimate(&mut draft, &learnt);
        draft.labels.extend(labels);
        // What is over by now forbids nothing any more.
        hold(&mut draft, calendar);
        let plan = Plan::new(draft, seen);
        let mut findings = lint(&plan, seen, now_ms);
        findings.extend(pinning);
        findings.extend(scanned::findings(&plan));
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Ok(Planned { plan: guard(&plan, &findings), findings })
    }

    /// Looks at the world once for several releases of one target, and plans them as one run in the order in which they need each other.
    /// `there` must be there already, and nobody makes it.
    pub async fn plan_all(&self, parts: &[Part], there: &[ObjectId]) -> Result<Planned, DeskError> {
        let Some(first) = parts.first() else {
            return Err(DeskError::Told(Report::new("there is no service to deploy").hint("choose a profile")));
        };
        let (mut named, mut pinning) = (Vec::new(), Vec::new());
        for part in parts {
            let (release, finding) = pinned(&part.release, &*self.target, &*self.registries).await?;
            pinning.extend(release.findings.iter().cloned());
            named.push(Part { release, needs: part.needs.clone() });
            pinning.extend(finding);
        }
        let parts = named.as_slice();
        let mut objects: Vec<_> = parts.iter().flat_map(|part| operate_deploy::objects(&part.release)).collect();
        objects.extend(there.iter().cloned());
        objects.sort();
        objects.dedup();
        let seen = self.target.survey(&objects).await;
        if let Some(missing) = there.iter().find(|object| seen.look(object) == Seen::Absent) {
            let report = Report::new(format!("{missing} is external, and is not there"));
            return Err(DeskError::Told(report.hint(format!("docker {} create {}", missing.kind, missing.name))));
        }
        let now_ms = self.world.clock.now_ms();
        let plan = match operate_deploy::plan_all(parts, &seen, now_ms) {
            Ok(plan) => plan,
            Err(left_over @ Refusal::LeftOver { .. }) => {
                self.nobody_changes(&first.release.target).await?;
                return Err(left_over.into());
            }
            Err(refusal) => return Err(refusal.into()),
        };
        self.weighed(
            &first.release.calendar.of(&first.release.environment, now_ms),
            plan,
            &seen,
            now_ms,
            BTreeMap::new(),
            pinning,
        )
        .await
    }
}

/// Clusters that are asked about in the same words: errors of one would count for the other.
fn shared_telemetry(fleet: &Fleet) -> Vec<Finding> {
    let judged: Vec<_> = fleet.parts.iter().filter(|part| part.release.judge.is_some()).collect();
    let shared = judged.iter().enumerate().find_map(|(at, part)| {
        let other = judged.iter().skip(at + 1).find(|other| other.release.judge == part.release.judge)?;
        Some((&part.name, &other.name))
    });
    let told = |(one, other): (&String, &String)| {
        Finding {
        rule: "shared-telemetry".to_owned(),
        severity: Severity::Warning,
        step: None,
        message: format!("{one} and {other} are judged by the same telemetry, so errors of one count for the other"),
        fix: "give each cluster its own: `judge: { prometheus: URL, loki: URL }` or `judge: { matchers: { cluster: NAME } }`"
            .to_owned(),
    }
    };
    shared.map(told).into_iter().collect()
}
