//! What findings do to a plan: where one is serious, a person is asked or told before the step it is about. The guarded plan is a child of
//! the one that was linted. It does not find anything itself.

use std::collections::BTreeMap;

use crate::{Finding, Plan, Severity, Step, StepId, Work};

/// The plan with a halt before each step that has a high finding, and an alert before each that has a warning. Critical findings are not
/// guarded: such a plan must not start. A plan with nothing to guard comes back as it is.
pub fn guard(plan: &Plan, findings: &[Finding]) -> Plan {
    let mut worst: BTreeMap<&StepId, &Finding> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| matches!(finding.severity, Severity::High | Severity::Warning)) {
        let Some(step) = &finding.step else { continue };
        worst.entry(step).and_modify(|kept| *kept = worse(kept, finding)).or_insert(finding);
    }
    if worst.is_empty() {
        return plan.clone();
    }
    let mut steps = Vec::with_capacity(plan.steps.len() + worst.len());
    for step in &plan.steps {
        let mut step = step.clone();
        if let Some(finding) = worst.get(&step.id) {
            let before = guarding(&step, finding);
            step.after = vec![before.id.clone()];
            steps.push(before);
        }
        steps.push(step);
    }
    plan.amended(steps)
}

fn worse<'a>(a: &'a Finding, b: &'a Finding) -> &'a Finding {
    if b.severity > a.severity { b } else { a }
}

fn guarding(step: &Step, finding: &Finding) -> Step {
    let (word, work) = match finding.severity {
        Severity::High => ("halt", Work::Halt { why: finding.message.clone() }),
        _ => ("alert", Work::Alert { severity: finding.severity, message: finding.message.clone() }),
    };
    let mut guard = Step::new(format!("{word}-{}", step.id), format!("{word} before `{}`", step.name), work);
    guard.reason = format!("{}: {}", finding.rule, finding.fix);
    guard.stage.clone_from(&step.stage);
    guard.component.clone_from(&step.component);
    guard.after.clone_from(&step.after);
    guard
}
