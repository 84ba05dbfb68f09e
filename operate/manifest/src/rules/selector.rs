//! Label selectors: their form, and whether they select given labels. Knows no kind.

use super::words::one_of;
use crate::format;
use crate::validate::{At, Out};

/// The form of a selector.
pub(crate) fn selector(at: &At<'_>, out: &mut Out) {
    check(at, true, out);
}

/// A selector of metrics, where values need not be those of labels.
pub(crate) fn lax(at: &At<'_>, out: &mut Out) {
    check(at, false, out);
}

fn check(at: &At<'_>, values_too: bool, out: &mut Out) {
    if values_too {
        super::meta::labels(&at.get("matchLabels"), out);
    }
    let expressions = at.get("matchExpressions");
    for expression in expressions.items() {
        let (key, operator, values) = (expression.get("key"), expression.get("operator"), expression.get("values"));
        if !format::qualified_name(key.str()) {
            out.error(
                &key,
                "format/name",
                format!("`{}` is no label key", key.str()),
                "at most 63 letters, digits, `-`, `_` and `.`, behind an optional domain and `/`",
            );
        }
        match operator.str() {
            "In" | "NotIn" if values.len() == 0 => {
                out.error(&values, "field/required", format!("`{}` needs values", operator.str()), "list the values");
            }
            "Exists" | "DoesNotExist" if values.len() > 0 => {
                out.error(
                    &values,
                    "relation/conflict",
                    format!("`{}` takes no values", operator.str()),
                    "take them out",
                );
            }
            "" => out.error(
                &operator,
                "field/required",
                "`operator` is missing",
                "write one of In, NotIn, Exists, DoesNotExist",
            ),
            _ => one_of(&operator, &["In", "NotIn", "Exists", "DoesNotExist"], out),
        }
        for value in values.items().filter(|_| values_too) {
            super::words::named(&value, format::label_value, "label value", out);
        }
    }
}

pub(crate) fn is_empty(at: &At<'_>) -> bool {
    at.get("matchLabels").len() == 0 && at.get("matchExpressions").len() == 0
}

/// The labels are selected; of what is malformed nothing is said.
pub(crate) fn selects(at: &At<'_>, labels: &At<'_>) -> bool {
    let given = labels.node;
    let label = |key: &str| given.and_then(|labels| labels.get(key)).and_then(lib_yaml_edit::Node::text);
    let pairs = at.get("matchLabels");
    let expressions = at.get("matchExpressions");
    pairs.pairs().all(|(key, value)| label(key) == value.text())
        && expressions.items().all(|expression| {
            let key = expression.get("key");
            let has = label(key.str());
            let values = expression.get("values");
            let listed = || values.items().any(|value| value.text() == has);
            match expression.get("operator").str() {
                "In" => has.is_some() && listed(),
                "NotIn" => has.is_none() || !listed(),
                "Exists" => has.is_some(),
                "DoesNotExist" => has.is_none(),
                _ => true,
            }
        })
}

/// A workload's selector: there, not empty, and of its own pods.
pub(crate) fn of_template(spec: &At<'_>, out: &mut Out) {
    let (at, template) = (spec.get("selector"), spec.get("template"));
    let metadata = template.get("metadata");
    let labels = metadata.get("labels");
    selector(&at, out);
    if is_empty(&at) {
        out.error(&at, "field/required", "the selector is empty", "select the labels of the pod template");
    } else if !selects(&at, &labels) {
        out.error(
            &labels,
            "relation/match",
            "the selector does not select these labels of the pod template",
            "give both the same labels",
        );
    }
}
