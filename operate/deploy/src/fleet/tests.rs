//! What joined plans of clusters keep to, for every strategy: nobody is changed before all were asked, nor before those before him were found good, and
//! nothing is deleted before all were.

use operate_plan::{ObjectId, Seen, leases, lint};
use serde_json::{Value, json};

use super::*;
use crate::{Strategy, cluster_objects, cluster_revision, plan_cluster};

fn release(name: &str, strategy: Strategy, version: &str) -> ClusterRelease {
    let labels = json!({"app": "cart"});
    let meta = json!({"name": "cart", "namespace": "shop"});
    let bodies = [
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"version": version}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": labels}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {"selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"image": format!("cart:{version}")}]}}}}),
    ];
    let items: Vec<Value> = bodies.map(|body| json!({"body": body})).into();
    let release = json!({"project": "shop", "service": "cart", "environment": "prod", "version": version, "target": format!("kube:{name}/shop"),
        "context": name, "namespace": "shop", "items": items, "strategy": strategy, "ready_ms": 1_000, "judge_ms": 1_000, "actor": "ann",
        "gate": {"gate": name}, "judge": {"judge": name}, "approval": "Deploy?"});
    serde_json::from_value(release).expect("a release")
}

/// What one cluster looks like where an older release made a ConfigMap more.
fn seen(release: &ClusterRelease) -> Inventory {
    let ours = json!({"apm.service": "cart", "apm.environment": "prod"});
    let mut seen = Inventory::new(&release.target);
    for object in cluster_objects(release) {
        let record = object.name.ends_with("apm-release-cart");
        let value = match object.kind.as_str() {
            "access" => json!({"allowed": true}),
            _ => {
                json!({"uid": "u", "version": "1", "generation": 3, "replicas": 2, "ready": true, "labels": ours, "annotations": {"apm.version": "1"},
                "selector": {"app": "cart"}, "data": {"objects": if record { "ConfigMap/shop/old" } else { "" }}})
            }
        };
        let beside =
            object.name.ends_with("-blue") || object.name.ends_with("-green") || object.name.ends_with("-canary");
        seen.add(object, if beside { Seen::Absent } else { Seen::Present(value) }, "test", 0);
    }
    let old = json!({"uid": "o", "version": "1", "labels": ours, "annotations": {}});
    seen.add(ObjectId::new("ConfigMap", "shop/old"), Seen::Present(old), "test", 0);
    seen
}

fn parts(strategy: Strategy) -> Vec<ClusterPlan> {
    let part = |name: &str| {
        let release = release(name, strategy, "2");
        let seen = seen(&release);
        let plan = plan_cluster(&release, &seen, 0).expect("a plan");
        ClusterPlan { name: name.to_owned(), plan, seen }
    };
    ["eu", "us", "ap"].map(part).into()
}

fn joined(strategy: Strategy, parallel: usize) -> Plan {
    let (plan, seen) = join_clusters(&parts(strategy), parallel, 0).expect("clusters");
    assert_eq!(lint(&plan, &seen, 0), [], "a plan of ours has no findings");
    plan
}

fn changes<'a>(plan: &'a Plan, site: &str) -> Vec<&'a Step> {
    plan.steps.iter().filter(|step| step.site_name() == site).collect()
}

/// In which order three clusters come, so many at once: whether each waits for the verdict on each.
fn check(strategy: Strategy, parallel: usize, waits: &[(&str, &str)]) {
    let plan = joined(strategy, parallel);
    let comes_after = |later: &Step, earlier: &str| plan.ancestors(&later.id).iter().any(|id| id.0 == earlier);
    for site in ["eu", "us", "ap"] {
        for step in changes(&plan, site) {
            for other in ["eu", "us", "ap"] {
                for asked in [format!("{other}-reach"), format!("{other}-gate"), "approve".to_owned()] {
                    assert!(comes_after(step, &asked), "{} does not wait for {asked}", step.id);
                }
                let deletes = matches!(&step.work, Work::Act(act) if act.verb == "delete");
                if deletes {
                    assert!(comes_after(step, &format!("{other}-judge")), "{} comes before {other}'s verdict", step.id);
                } else {
                    let waits = waits.contains(&(site, other));
                    let after = site == other || comes_after(step, &format!("{other}-judge"));
                    assert!(site == other || after == waits, "{} and the verdict on {other}", step.id);
                }
            }
        }
        assert!(changes(&plan, site).iter().any(|step| step.id.0.contains("delete")), "nothing is pruned at {site}");
    }
    let asked = |step: &&Step| matches!(step.work, Work::Approve { .. });
    assert_eq!(plan.steps.iter().filter(asked).count(), 1, "the question is asked once");
    assert!(plan.labels["clusters"] == "eu,us,ap" && plan.labels["version_before"] == "1", "{:?}", plan.labels);
    assert_eq!(leases(&plan.target), ["kube:ap/shop", "kube:eu/shop", "kube:us/shop"]);
}

#[test]
fn clusters_are_changed_in_waves_and_nothing_is_deleted_before_all_are_good() {
    for strategy in [Strategy::Rolling, Strategy::Recreate, Strategy::BlueGreen, Strategy::Canary] {
        check(strategy, 1, &[("us", "eu"), ("ap", "eu"), ("ap", "us")]);
        check(strategy, 2, &[("ap", "eu"), ("ap", "us")]);
        check(strategy, 9, &[]);
    }
}

#[test]
fn each_cluster_is_looked_at_again_before_anything_is_changed_anywhere() {
    let plan = joined(Strategy::Rolling, 1);
    let reach = plan.steps.iter().find(|step| step.id.0 == "us-reach").expect("a look");
    let asked: Vec<_> = reach.check.iter().map(|one| format!("{} {}", one.verb, one.object)).collect();
    for object in ["us:ConfigMap/shop/cart", "us:Deployment.apps/shop/cart", "us:ConfigMap/shop/apm-release-cart"] {
        assert!(asked.contains(&format!("same {object}")), "{asked:?}");
    }
    assert!(reach.after.is_empty());
}

#[test]
fn what_a_joined_plan_does_to_one_cluster_is_read_back() {
    for strategy in [Strategy::Rolling, Strategy::BlueGreen, Strategy::Canary] {
        let plan = joined(strategy, 1);
        for part in parts(strategy) {
            let back = cluster_part(&plan, &part.plan.target).expect("it is changed");
            assert_eq!(cluster_revision([&back]), cluster_revision([&part.plan]), "{}", part.name);
            assert!(!cluster_revision([&back]).is_empty());
        }
        assert!(cluster_part(&plan, "kube:nowhere/shop").is_none());
    }
}
