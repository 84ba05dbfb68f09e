//! The record of an injection: what was added, what was there before, and how that is undone. Names, not places: a pod that was edited since is still found.

use std::collections::BTreeMap;

use lib_yaml_edit::Step;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::patch::Draft;
use super::pod::Pod;
use super::{InjectError, RECORD, item, named};

/// Its form is written out in docs/formats.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) v: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) init: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) volumes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) labels: Vec<String>,
    /// Keys of the pod's spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) keys: Vec<String>,
    /// By container.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) containers: BTreeMap<String, Touched>,
    /// Maps and lists that were not there, as `spec/volumes`; those of containers are in `containers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) made: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Touched {
    /// Names of variables that were added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) env: Vec<String>,
    /// Values that variables had.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) was: BTreeMap<String, String>,
    /// Which of these stood there without quotes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) plain: Vec<String>,
    /// Paths that were mounted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) mounts: Vec<String>,
    /// Lists that were not there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) made: Vec<String>,
}

const VERSION: u32 = 1;
const BYTES_MAX: usize = 64 << 10;

/// What was made on the way, as the record writes it.
pub(crate) fn made(pod: &Pod<'_>, paths: &[Vec<Step>]) -> Vec<String> {
    let keys = |path: &Vec<Step>| {
        let keys = path.strip_prefix(pod.path.as_slice())?.iter().map(|step| match step {
            Step::Key(key) => Some(&**key),
            Step::Index(_) => None,
        });
        Some(keys.collect::<Option<Vec<&str>>>()?.join("/"))
    };
    paths.iter().filter_map(keys).collect()
}

impl Record {
    pub(crate) fn read(text: &str) -> Result<Record, InjectError> {
        let fault = |problem: String| InjectError::Record { problem };
        if text.len() > BYTES_MAX {
            return Err(fault(format!("longer than {BYTES_MAX} bytes")));
        }
        let record: Record = serde_json::from_str(text).map_err(|error| fault(error.to_string()))?;
        if record.v == VERSION { Ok(record) } else { Err(fault(format!("version {}, known is {VERSION}", record.v))) }
    }

    pub(crate) fn write(&mut self) -> String {
        self.v = VERSION;
        // Maps of text have no value that JSON cannot hold.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(crate) fn undo(&self, pod: &Pod<'_>, draft: &mut Draft) {
        let ours: Vec<Vec<Step>> = self.made.iter().map(|path| pod.at(&path.split('/').collect::<Vec<_>>())).collect();
        let made = |path: &[Step]| ours.iter().any(|one| one == path);
        draft.remove_with(&pod.at(&["metadata", "annotations", RECORD]), &made);
        for key in &self.labels {
            draft.remove_with(&pod.at(&["metadata", "labels", key]), &made);
        }
        for key in &self.keys {
            draft.remove_with(&pod.at(&["spec", key]), &made);
        }
        for (list, names) in [("initContainers", &self.init), ("volumes", &self.volumes)] {
            let path = pod.at(&["spec", list]);
            // From behind, so that what a removal leaves keeps its place.
            for name in names.iter().rev() {
                if let Some(at) = named(draft.items(&path), name) {
                    draft.remove_with(&item(&path, at), &made);
                }
            }
        }
        let all = pod.at(&["spec", "containers"]);
        for (name, touched) in &self.containers {
            let Some(at) = named(draft.items(&all), name) else { continue };
            touched.undo(&item(&all, at), draft);
        }
    }
}

impl Touched {
    fn undo(&self, container: &[Step], draft: &mut Draft) {
        let list = |key: &str| -> Vec<Step> { container.iter().cloned().chain([Step::from(key)]).collect() };
        let (env, mounts) = (list("env"), list("volumeMounts"));
        let made = |path: &[Step]| self.made.iter().any(|key| list(key) == path);
        for name in self.env.iter().rev() {
            if let Some(at) = named(draft.items(&env), name) {
                draft.remove_with(&item(&env, at), &made);
            }
        }
        for (name, value) in &self.was {
            if let Some(at) = named(draft.items(&env), name) {
                let mut path = item(&env, at);
                path.push(Step::from("value"));
                if self.plain.contains(name) {
                    // A text is written as what it replaces was: a number has no quotes.
                    draft.set(&path, Value::from(0));
                }
                draft.set(&path, Value::String(value.clone()));
            }
        }
        for mounted in self.mounts.iter().rev() {
            if let Some(at) = draft.items(&mounts).iter().position(|mount| mount["mountPath"] == **mounted) {
                draft.remove_with(&item(&mounts, at), &made);
            }
        }
    }
}
