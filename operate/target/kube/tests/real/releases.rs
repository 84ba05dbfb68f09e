//! Releases from beginning to end: the new version serves, or everything is as it was.

use operate_deploy::Strategy;
use operate_execute::{Image, Status};
use serde_json::json;

use crate::rig::Rig;

#[test]
fn a_release_is_applied_in_order_and_what_it_does_not_want_any_more_goes() {
    let rig = Rig::new("takes-over");
    let mut first = rig.release("1");
    let old = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "old", "namespace": rig.namespace}});
    let item = operate_deploy::Item { body: old, secrets: Default::default(), source: String::new() };
    first.items.push(item);
    let (run, status) = rig.deploy(&first, &[]);
    assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
    let named = |rig: &Rig| rig.objects().iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>();
    assert!(named(&rig).contains(&"ConfigMap/takes-over/old".to_owned()), "{:?}", named(&rig));

    let (run, status) = rig.deploy(&rig.release("2"), &[]);
    assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
    let expect = ["ConfigMap/takes-over/cart", "ConfigMap/takes-over/apm-release-cart", "Secret/takes-over/cart"];
    let expect: Vec<_> =
        expect.into_iter().chain(["Service/takes-over/cart", "Deployment.apps/takes-over/cart"]).collect();
    assert_eq!(named(&rig), expect);
    let secret = rig.objects().into_iter().find(|(id, _)| id.kind == "Secret").map(|(_, image)| image);
    let Some(Image::Present(secret)) = secret else { panic!("no Secret") };
    assert_eq!(secret["data"]["password"], "Y29ycmVjdC1ob3JzZQ==");
    let refused = operate_deploy::plan_cluster(&rig.release("2"), &rig.survey(&rig.release("2")), 0);
    assert!(refused.is_err_and(|refusal| refusal.to_string().contains("runs already")), "nothing is left to do");
}

/// A version that the judge refuses is undone, whatever its strategy; the next one is not.
fn check_undone(namespace: &str, strategy: Strategy) {
    let rig = Rig::new(namespace);
    let release = |version: &str| {
        let mut release = rig.release(version);
        release.strategy = strategy;
        release.canary = Some(operate_deploy::Canary { steps: vec![50], beside: None, judge_ms: 10_000 });
        release
    };
    for version in ["1", "2"] {
        let (run, status) = rig.deploy(&release(version), &[]);
        assert_eq!(status, Status::Complete, "{version}: {}", rig.reason(&run));
    }
    let before = rig.objects();
    let mut bad = release("3");
    bad.judge = Some(json!({"fail": true}));
    let (run, status) = rig.deploy(&bad, &[]);
    assert_eq!(status, Status::RolledBack, "{}", rig.reason(&run));
    rig.is_as(&before).unwrap_or_else(|why| panic!("{why}"));
    let (run, status) = rig.deploy(&release("3"), &[]);
    assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
}

#[test]
fn a_rolling_release_is_undone_and_done_again() {
    check_undone("rolling", Strategy::Rolling);
}

#[test]
fn a_recreate_is_undone_and_done_again() {
    check_undone("recreate", Strategy::Recreate);
}

#[test]
fn a_blue_green_release_is_undone_and_done_again() {
    check_undone("blue-green", Strategy::BlueGreen);
}

#[test]
fn a_canary_is_undone_and_done_again() {
    check_undone("canary", Strategy::Canary);
}

#[test]
fn the_first_release_is_undone_to_nothing() {
    let rig = Rig::new("first");
    let mut release = rig.release("1");
    release.judge = Some(json!({"fail": true}));
    let (run, status) = rig.deploy(&release, &[]);
    assert_eq!(status, Status::RolledBack, "{}", rig.reason(&run));
    assert_eq!(rig.objects().len(), 0);
}

#[test]
fn what_somebody_else_owns_is_not_taken_and_what_an_autoscaler_did_stays() {
    let rig = Rig::new("owned");
    assert_eq!(rig.deploy(&rig.release("1"), &[]).1, Status::Complete);
    rig.make(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cart", "namespace": "owned"},
        "data": {"MODE": "theirs"}}));
    let before = rig.objects();
    let (run, status) = rig.deploy(&rig.release("2"), &[]);
    assert_eq!(status, Status::RolledBack);
    let reason = rig.reason(&run);
    assert!(reason.contains("kube.conflict") && reason.contains("somebody"), "{reason}");
    rig.is_as(&before).unwrap_or_else(|why| panic!("{why}"));
    let mut forced = rig.release("2");
    forced.force_conflicts = true;
    let (run, status) = rig.deploy(&forced, &[]);
    assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
}
