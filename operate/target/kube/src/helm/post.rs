//! What a chart renders to, changed before it is applied, by Helm's own way: `--post-renderer`, a program that reads the manifests on its input and
//! writes them changed. Helm keeps what that program wrote as the manifest of the revision, so `helm get manifest` shows it and `helm rollback`
//! goes back to it without the program. Helm 3 does not hand hooks over; nor does it what is in the chart's folder `crds`.
//!
//! It does not know what is changed: the program is told by a file, which is its owner's alone and gone when Helm is done, for values may be in it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use operate_plan::{Class, Failure};
use serde_json::Value;

use super::Helm;
use super::files::Files;
use super::program::{Call, hidden};

const VERSION_TIME_MAX: Duration = Duration::from_secs(20);
/// The last that starts a program as post-renderer; the next takes the name of a plugin.
const MAJOR_MAX: u32 = 3;
/// Under these names Kubernetes and the settings have values.
const VALUES: [&str; 4] = ["data", "stringData", "binaryData", "env"];

/// The program; the file that tells it what to do is its last word.
#[derive(Debug, Clone)]
pub struct PostRenderer {
    /// A whole path.
    pub program: PathBuf,
    /// Its first words.
    pub words: Vec<String>,
}

impl Helm {
    /// Has a call's manifests changed, as `post` says.
    pub(crate) async fn change(&self, call: &mut Call<'_>, files: &Files, post: Option<&[u8]>) -> Result<(), Failure> {
        call.words.extend(self.changed(files, post).await?);
        Ok(())
    }

    /// The words that say so; none where nothing is to be changed.
    pub(crate) async fn changed(&self, files: &Files, post: Option<&[u8]>) -> Result<Vec<OsString>, Failure> {
        let Some(post) = post else { return Ok(Vec::new()) };
        let Some(renderer) = &self.post_renderer else {
            let message = "nobody said which program changes what a chart renders to";
            return Err(Failure::new(
                Class::Invalid,
                "helm.post-render",
                message,
                "leave out `transform` and `inject`",
            ));
        };
        let call = Call::new(&["version", "--template", "{{.Version}}"], VERSION_TIME_MAX);
        suits(String::from_utf8_lossy(&self.run(call).await?).trim())?;
        let mut words: Vec<OsString> = vec!["--post-renderer".into(), (&renderer.program).into()];
        let told = files.add("post.json", post)?;
        for word in renderer.words.iter().map(OsString::from).chain([told.into_os_string()]) {
            // In one word: what follows may begin with a dash.
            let mut option = OsString::from("--post-renderer-args=");
            option.push(word);
            words.push(option);
        }
        Ok(words)
    }
}

/// Whether a Helm of this version starts a program as post-renderer. Of a version that says nothing, Helm itself does.
fn suits(version: &str) -> Result<(), Failure> {
    let major = version.trim_start_matches('v').split('.').next().and_then(|text| text.parse::<u32>().ok());
    match major {
        Some(major) if major > MAJOR_MAX => {
            let message = format!(
                "helm is {version}: from Helm 4 on a post-renderer has to be a plugin, and `transform` and `inject` of a chart are done by a program"
            );
            let next = "have Helm 3 on the PATH; or leave them out, say it by the chart's values, and let \
                        `apm k8s inject --serve` put telemetry into its pods";
            Err(Failure::new(Class::Invalid, "helm.post-render", message, next))
        }
        _ => Ok(()),
    }
}

/// Values that must not be told: those for the chart, and those that are put into objects.
pub(crate) fn hidden_of(values: &[Vec<u8>], post: Option<&[u8]>) -> Vec<(String, String)> {
    let mut texts = values.to_vec();
    let told = post.and_then(|post| serde_json::from_slice::<Value>(post).ok());
    let mut below = Vec::new();
    told.iter().for_each(|told| given(told, &mut below));
    texts.extend(below.iter().map(|value| value.to_string().into_bytes()));
    hidden(&texts)
}

fn given(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match VALUES.contains(&name.as_str()) {
                    true => found.push(member.clone()),
                    false => given(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| given(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(version: &str, suited: bool) {
        match suits(version) {
            Ok(()) => assert!(suited, "{version}"),
            Err(failure) => {
                assert!(!suited, "{version}: {failure}");
                assert_eq!(failure.code, "helm.post-render");
                assert!(failure.message.contains(version) && failure.message.contains("plugin"), "{failure}");
                assert!(failure.next.contains("Helm 3"), "{failure}");
            }
        }
    }

    #[test]
    fn a_helm_that_takes_only_plugins_is_told_by_its_version() {
        check("v3.13.0", true);
        check("v3.22.0", true);
        check("v4.0.0-rc.1", false);
        check("v4.1.2", false);
        // Built by hand.
        check("", true);
    }

    #[test]
    fn values_that_are_put_into_objects_are_not_told() {
        let post = br#"{"service": "storefront", "transform": {"env": {"KEY": "correct-horse"}},
            "generated": [{"object": {"metadata": {"name": "generated"}, "data": {"password": "YmF0dGVyeQ=="}}}]}"#;
        let found = hidden_of(&[b"a: staple-gun".to_vec()], Some(post));
        let mut values: Vec<_> = found.iter().map(|(_, value)| value.as_str()).collect();
        values.sort_unstable();
        assert_eq!(values, ["YmF0dGVyeQ==", "correct-horse", "staple-gun"]);
    }
}
