//! A release that is newer than the API server: fields and kinds that the server does not know are told by their names, and nothing is changed.

use operate_execute::Status;
use operate_plan::{Failure, Work};
use serde_json::{Value, json};

use crate::rig::Rig;

/// The second version is changed so that this server does not know it all. It is refused when it is tried out, and a run of it puts everything back.
fn check(namespace: &str, change: impl FnOnce(&mut Value), expect: &[&str]) {
    let rig = Rig::pretended(namespace);
    let (run, status) = rig.deploy(&rig.release("1"), &[]);
    assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
    let before = rig.objects();
    let mut release = rig.release("2");
    change(&mut release.items[3].body);
    let plan = rig.plan(&release).expect("a plan");
    let acts = plan.steps.iter().filter_map(|step| match &step.work {
        Work::Act(act) if act.object.kind == "Deployment.apps" => Some(act),
        _ => None,
    });
    let target = rig.target();
    let refused: Vec<Failure> = acts.filter_map(|act| rig.block_on(target.rehearse(act)).err()).collect();
    let [rehearsed, ..] = &refused[..] else { panic!("nothing is refused when it is tried out") };
    let (run, status) = rig.deploy(&release, &[]);
    let reason = rig.reason(&run);
    assert_eq!(status, Status::RolledBack, "{reason}");
    for word in expect {
        assert!(rehearsed.to_string().contains(word), "`{word}` is not in: {rehearsed}");
        assert!(reason.contains(word), "`{word}` is not in: {reason}");
    }
    rig.is_as(&before).unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn a_field_of_a_later_version() {
    let change = |body: &mut Value| body["spec"]["template"]["spec"]["notYetThere"] = json!("soon");
    check("later-field", change, &["kube.invalid", "spec.template.spec.notYetThere"]);
}
