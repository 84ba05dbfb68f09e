//! What the API server would say to each object of a plan, and to the pods that controllers would make of them, before anything is changed. It changes
//! nothing, and knows no release.

use base_explain::Report;
use operate_plan::{Act, Class, Failure, Finding, ObjectId, Plan, Severity, Step, Work};
use operate_target_kube::KubeTarget;

use super::DeskError;

/// Kinds that admission reads when a pod comes: where the plan makes or changes one, what is said of pods today need not be said then.
const READ_BY_ADMISSION: [&str; 8] = [
    "Namespace",
    "ServiceAccount",
    "LimitRange",
    "PriorityClass.scheduling.k8s.io",
    "MutatingWebhookConfiguration.admissionregistration.k8s.io",
    "ValidatingWebhookConfiguration.admissionregistration.k8s.io",
    "ValidatingAdmissionPolicy.admissionregistration.k8s.io",
    "ValidatingAdmissionPolicyBinding.admissionregistration.k8s.io",
];

/// Warnings; a refusal is an error, in the words of who refuses.
pub(super) async fn rehearsed(target: &KubeTarget, plan: &Plan) -> Result<Vec<Finding>, DeskError> {
    let acts = || plan.steps.iter().filter_map(|step| Some((step, act_of(step)?)));
    let settled = !acts().any(|(_, act)| READ_BY_ADMISSION.contains(&act.object.kind.as_str()));
    let mut findings = Vec::new();
    for (step, act) in acts() {
        let asked = target.rehearse(act).await;
        let refused = asked.is_err();
        weigh(step, &act.object, asked, false, true, &mut findings)?;
        if !refused {
            weigh(step, &act.object, target.rehearse_pod(act).await, true, settled, &mut findings)?;
        }
    }
    Ok(findings)
}

fn act_of(step: &Step) -> Option<&Act> {
    match &step.work {
        Work::Act(act) => Some(act),
        _ => None,
    }
}

/// What one answer is worth. What is said of `pods` holds for those of the plan when nothing of it changes that: when it is `settled`.
fn weigh(
    step: &Step,
    object: &ObjectId,
    answer: Result<Vec<String>, Failure>,
    pods: bool,
    settled: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), DeskError> {
    let what = if pods { format!("pods of {object}") } else { object.to_string() };
    let mut warn = |rule: &str, message: String, fix: String| {
        let rule = rule.to_owned();
        findings.push(Finding { rule, severity: Severity::Warning, step: Some(step.id.clone()), message, fix });
    };
    match answer {
        Ok(warnings) => {
            for message in warnings {
                let fix = "the API server says what it would rather have".to_owned();
                warn("server-warns", format!("{what}: {message}"), fix);
            }
        }
        // What the plan makes before it is not there yet: its namespace, its definition.
        Err(failure) if failure.class == Class::NotFound || failure.code == "kube.no-such-kind" => {}
        // Whether there is room is counted for the whole release, with what goes before it.
        Err(failure) if pods && failure.code == "kube.quota" => {}
        // Controllers make pods; whoever releases need not be allowed to.
        Err(failure) if pods && failure.class == Class::Permission => {
            let message = format!("what admission would say of {what} is not known: {}", failure.message);
            warn(
                "unknown-admission",
                message,
                "allow `create` of pods, and it is asked before anything is changed".to_owned(),
            );
        }
        Err(failure) if pods && !settled => {
            let message = format!("{what} would be refused as it is now: {}", failure.message);
            warn(
                "pods-refused",
                message,
                "the plan changes something that admission reads, so it may be otherwise then".to_owned(),
            );
        }
        Err(failure) => {
            let whose = if pods { format!("{}: its pods", step.name) } else { step.name.clone() };
            return Err(DeskError::Told(told(&whose, &failure)));
        }
    }
    Ok(())
}

/// What the API server would refuse, as a person is told.
fn told(what: &str, failure: &Failure) -> Report {
    let mut report = Report::new(format!("{what} would be refused: {}", failure.message));
    for cause in &failure.causes {
        report = report.because(cause.clone());
    }
    report.hint(failure.next.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The severity and rule of what is said of an answer; `refused` with the words where it is an error.
    fn check(class: Class, code: &str, pods: bool, settled: bool, expect: &str) {
        let step = Step::new("apply", "apply Deployment shop/cart", Work::Halt { why: String::new() });
        let failure = Failure::new(class, code, "not on a Friday", "wait");
        let mut findings = Vec::new();
        let object = ObjectId::new("Deployment.apps", "shop/cart");
        let ended = weigh(&step, &object, Err(failure), pods, settled, &mut findings);
        let told = match ended {
            Ok(()) => findings.iter().map(|one| one.rule.clone()).collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string(),
        };
        assert_eq!(told, expect, "{code}");
    }

    #[test]
    fn a_refusal_ends_it_and_what_is_not_known_is_told() {
        let refused = "apply Deployment shop/cart would be refused: not on a Friday; wait";
        check(Class::Invalid, "kube.admission", false, true, refused);
        check(Class::Invalid, "kube.admission", true, true, &refused.replace(" would", ": its pods would"));
        check(Class::Invalid, "kube.admission", true, false, "pods-refused");
        check(Class::Permission, "kube.denied", true, true, "unknown-admission");
        check(Class::Permission, "kube.denied", false, true, refused);
        check(Class::Conflict, "kube.quota", true, true, "");
        check(Class::NotFound, "kube.not-found", false, true, "");
    }
}
