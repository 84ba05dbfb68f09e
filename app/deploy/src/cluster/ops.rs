//! What becomes of one object on its way to a cluster, as operations: what the environment wants of it, the names of what was generated, a namespace, the
//! image that is released, telemetry. Carried out on the object it is what is applied; carried out in its text it is what `apm k8s render` shows.

use base_explain::Report;
use lib_yaml_edit::Step;
use operate_deploy::resource_attributes;
use operate_manifest::generate::{Generated, refer};
use operate_manifest::inject::{InjectError, InjectSettings, Outcome, inject};
use operate_manifest::transform::{TransformSettings, repository, transform};
use operate_manifest::{Draft, Op, Target, namespaced};
use serde_json::{Value, json};

/// What is meant.
#[derive(Clone, Copy)]
pub(crate) struct Meant<'a> {
    /// For objects that name none; empty: they stay as they are.
    pub(crate) namespace: &'a str,
    /// The image whose tag is exchanged, the whole reference; none: images stay as they are.
    pub(crate) image: Option<&'a str>,
    /// What its telemetry is told apart by.
    pub(crate) service: &'a str,
    pub(crate) version: &'a str,
    pub(crate) environment: &'a str,
    /// Of the API that they are held against, as 34 of 1.34.
    pub(crate) minor: u8,
    /// What the environment does to the objects.
    pub(crate) transform: Option<&'a TransformSettings>,
    /// Pods get telemetry; left out, they are as their files say.
    pub(crate) inject: Option<&'a InjectSettings>,
}

/// What only the server says, in an object that was read from it.
const OF_SERVER: [&str; 6] = ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink"];

/// The operations on one object; `place` is put in front of what is wrong with it.
pub(crate) fn ops(meant: &Meant<'_>, place: &str, object: &Value, generated: &[Generated]) -> Result<Vec<Op>, Report> {
    let word = |key: &str| object[key].as_str().unwrap_or_default();
    let (api_version, kind) = (word("apiVersion"), word("kind"));
    let mut draft = Draft::new(object.clone());
    let of_server = OF_SERVER.iter().map(|key| steps(&["metadata", key]));
    for at in of_server.chain([steps(&["status"])]) {
        if draft.at(&at).is_some() {
            draft.remove(&at);
        }
    }
    if let Some(settings) = meant.transform {
        let failed = |error| {
            Report::new(format!("{place}: {error}"))
                .hint("`deploy.kubernetes.transform` in the settings says what is done to manifests")
        };
        let made = transform(&draft.value, settings).map_err(failed)?;
        draft.take(made);
    }
    // Of a kind that nobody here knows: most live in a namespace, and the server says so if it does not.
    let target = Target { minor: meant.minor };
    if draft.value["metadata"]["namespace"].is_null()
        && !meant.namespace.is_empty()
        && namespaced(api_version, kind, &target).unwrap_or(true)
    {
        draft.set(&steps(&["metadata", "namespace"]), Value::from(meant.namespace));
    }
    let namespace = draft.value["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
    let made = refer(&draft.value, &namespace, generated);
    draft.take(made);
    if let (Some(image), Some(pod)) = (meant.image, pod(api_version, kind)) {
        give(&mut draft, &pod, image, meant);
    }
    if let Some(settings) = meant.inject {
        injected(&mut draft, place, meant, settings)?;
    }
    Ok(draft.ops)
}

fn steps(keys: &[&str]) -> Vec<Step> {
    keys.iter().map(|key| Step::from(*key)).collect()
}

/// Where a kind of object keeps the `spec` of its pods.
fn pod(api_version: &str, kind: &str) -> Option<Vec<Step>> {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let path = operate_manifest::pod_path(group, kind)?;
    Some(path.iter().chain(&["spec"]).map(|key| Step::from(*key)).collect())
}

/// Puts telemetry into the object's pods. Those that opted out, or where nothing tells the language, stay as they are.
fn injected(draft: &mut Draft, place: &str, meant: &Meant<'_>, settings: &InjectSettings) -> Result<(), Report> {
    let settings = InjectSettings {
        environment: settings.environment.clone().or_else(|| Some(meant.environment.to_owned())),
        ..settings.clone()
    };
    let refused = |error: InjectError| {
        let report = Report::new(format!("{place}: telemetry cannot be put into its pods"));
        report.because(error.to_string()).hint("annotate the pod with apm.dev/inject: \"false\" to have it as it is")
    };
    if let Outcome::Ops(ops) = inject(&draft.value, &settings).map_err(refused)? {
        draft.take(ops);
    }
    Ok(())
}

/// Gives the containers of the image's repository the tag or digest that is meant, and the names by which the judge finds their telemetry, where
/// the manifest does not say them.
fn give(draft: &mut Draft, spec: &[Step], image: &str, meant: &Meant<'_>) {
    let wanted = repository(image);
    for list in ["containers", "initContainers"] {
        let list = [spec, &steps(&[list])].concat();
        for index in 0..draft.items(&list).len() {
            let at = |keys: &[&str]| [list.clone(), vec![Step::from(index)], steps(keys)].concat();
            match draft.at(&at(&["image"])).and_then(Value::as_str) {
                Some(now) if repository(now) == wanted => {
                    if now != image {
                        draft.set(&at(&["image"]), Value::from(image));
                    }
                }
                _ => continue,
            }
            let env = at(&["env"]);
            if draft.at(&env).is_some_and(|env| !env.is_null() && !env.is_array()) {
                continue;
            }
            if !draft.items(&env).iter().any(|one| one["name"] == "OTEL_SERVICE_NAME") {
                let end = draft.items(&env).len();
                draft.insert(&env, end, vec![json!({"name": "OTEL_SERVICE_NAME", "value": meant.service})]);
            }
            let items = draft.items(&env);
            match items.iter().position(|one| one["name"] == "OTEL_RESOURCE_ATTRIBUTES") {
                Some(place) => {
                    // One from elsewhere (`valueFrom`) is left as it is: nobody here knows what it says.
                    let given = items.get(place).and_then(|one| one["value"].as_str());
                    if let Some(given) = given.map(str::to_owned) {
                        let value = resource_attributes(&given, meant.version, meant.environment);
                        if value != given {
                            draft.set(&[env, vec![Step::from(place)], steps(&["value"])].concat(), Value::from(value));
                        }
                    }
                }
                None => {
                    let end = items.len();
                    let value = resource_attributes("", meant.version, meant.environment);
                    draft.insert(&env, end, vec![json!({"name": "OTEL_RESOURCE_ATTRIBUTES", "value": value})]);
                }
            }
        }
    }
}
