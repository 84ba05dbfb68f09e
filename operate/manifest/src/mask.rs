//! Secrets as they may be shown: every value is a mask, in `data`, where no API server takes it for a value (it is no base64). Nothing that is applied is
//! made here.

use lib_yaml_edit::{Limits, Step};
use serde_json::Value;

use crate::change::{ChangeError, Edit, edit};
use crate::object::{ReadError, read};
use crate::patch::{Draft, Op};

/// What stands in the place of a value.
pub const MASK: &str = "***";
/// What `kubectl apply` leaves on an object repeats its values.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether an object is a Secret of the core.
pub fn is_secret(object: &Value) -> bool {
    object["kind"] == "Secret" && object["apiVersion"] == "v1"
}

/// The operations that mask the values of a Secret; none of anything else.
pub fn mask(object: &Value) -> Vec<Op> {
    let mut draft = Draft::new(object.clone());
    if !is_secret(object) {
        return draft.ops;
    }
    let keys =
        |map: &str| object[map].as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    let path = |keys: &[&str]| keys.iter().map(|key| Step::from(*key)).collect::<Vec<_>>();
    let plain = keys("stringData");
    if object.get("stringData").is_some() {
        draft.remove(&path(&["stringData"]));
    }
    for key in keys("data").iter().chain(&plain) {
        draft.set(&path(&["data", key]), Value::from(MASK));
    }
    if object["metadata"]["annotations"].get(LAST_APPLIED).is_some() {
        draft.set(&path(&["metadata", "annotations", LAST_APPLIED]), Value::from(MASK));
    }
    draft.ops
}

/// The same object with its values masked.
pub fn masked(object: &Value) -> Value {
    let mut draft = Draft::new(object.clone());
    draft.take(mask(object));
    draft.value
}

/// Why a text cannot be masked; it must not be shown then.
#[derive(Debug, thiserror::Error)]
pub enum MaskError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{file}: {cause}")]
    Change { file: String, cause: ChangeError },
}

/// A text with the values of its Secrets masked, and how many objects that were.
pub fn mask_text(name: &str, text: &str, limits: &Limits) -> Result<(String, usize), MaskError> {
    let file = read(name, text, limits)?;
    let mut edits = Vec::new();
    let mut count = 0;
    for object in &file.objects {
        let ops = mask(&object.json());
        count += usize::from(!ops.is_empty());
        edits.extend(ops.iter().map(|op| Edit { object, change: op.change() }));
    }
    if edits.is_empty() {
        return Ok((text.to_owned(), 0));
    }
    let text = edit(text, &edits, limits).map_err(|cause| MaskError::Change { file: name.to_owned(), cause })?;
    Ok((text, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let (masked, _) = mask_text("s.yaml", text, &Limits::default()).expect("it can be read");
        assert_eq!(masked, expect);
        assert!(!masked.contains("hush") && !masked.contains("aHVzaA"), "{masked}");
    }

    #[test]
    fn values_are_masked_where_no_server_takes_the_mask() {
        let head = "# ours\napiVersion: v1\nkind: Secret\nmetadata: {name: a} # its own\n";
        check(
            &format!("{head}data:\n  k: aHVzaA== # why\n  \"y\": aHVzaA==\n"),
            &format!("{head}data:\n  k: \"***\" # why\n  \"y\": \"***\"\n"),
        );
        check(&format!("{head}stringData: {{k: hush}}\n"), &format!("{head}data:\n  k: \"***\"\n"));
        check(
            &format!("{head}data:\n  a: aHVzaA==\nstringData:\n  k: |\n    hush\n    hush\n"),
            &format!("{head}data:\n  a: \"***\"\n  k: \"***\"\n"),
        );
        let last = "metadata: {name: a, annotations: {kubectl.kubernetes.io/last-applied-configuration: '{hush}'}}";
        check(
            &format!("apiVersion: v1\nkind: Secret\n{last}\n"),
            &format!("apiVersion: v1\nkind: Secret\n{}\n", last.replace("{hush}", "***")),
        );
        let other = "apiVersion: v1\nkind: ConfigMap\ndata: {k: v} # as it is\n";
        check(other, other);
    }
}
