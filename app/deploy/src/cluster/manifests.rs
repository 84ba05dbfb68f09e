//! Files of manifests become the objects of a release: read, given the namespace and the image that are meant, held against the API's schema,
//! and their secrets sealed. It asks no cluster; what another program renders (a chart, a kustomization) is refused by name.

use std::path::PathBuf;

use base_explain::Report;
use base_world::Disk;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use operate_deploy::{Item, Secret, cluster_object, resource_attributes};
use operate_execute::Seal;
use operate_manifest::inject::{InjectError, InjectSettings, Outcome, apply, inject};
use operate_manifest::transform::{TransformSettings, transform};
use operate_manifest::{Object, Severity, Target, namespaced, validate};
use operate_target_kube::secret_name;
use serde_json::{Value, json};

use crate::manifests::{ManifestSource, manifest_sources};

/// Findings that are told at once.
const TOLD_MAX: usize = 20;

/// What is meant.
pub(crate) struct Meant<'a> {
    /// Files and folders, as the settings name them.
    pub(crate) paths: &'a [PathBuf],
    /// For objects that name none.
    pub(crate) namespace: &'a str,
    /// The image whose tag is exchanged: `registry/cart`, and the whole reference that takes its place.
    pub(crate) image: (&'a str, &'a str),
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

/// The objects, in the order of their files.
pub(crate) fn items(meant: &Meant<'_>, disk: &dyn Disk, seal: &Seal) -> Result<Vec<Item>, Report> {
    let objects = objects(meant.paths, disk)?;
    let target = Target { minor: meant.minor };
    let verdicts = validate(&objects, &target);
    let errors = verdicts.iter().flat_map(|verdict| verdict.findings.iter().map(|finding| (&verdict.file, finding)));
    let findings: Vec<String> = errors
        .filter(|(_, finding)| finding.severity == Severity::Error)
        .map(|(file, finding)| format!("{file}:{}:{}: {}", finding.line, finding.column, finding.what))
        .collect();
    if let Some(first) = findings.first() {
        let mut report = Report::new(match findings.len() {
            1 => first.clone(),
            many => format!("{many} places of the manifests would be refused; the first: {first}"),
        });
        for more in findings.iter().skip(1).take(TOLD_MAX) {
            report = report.because(more.clone());
        }
        return Err(report.hint("`apm k8s check` shows all of them with their places"));
    }
    objects.iter().map(|object| item(object, meant, &target, seal)).collect()
}

fn item(object: &Object, meant: &Meant<'_>, target: &Target, seal: &Seal) -> Result<Item, Report> {
    let mut body = object.json();
    let identity = &object.identity;
    if identity.name.is_empty() {
        let report = Report::new(format!("{}:{}: {} has no name", object.file, object.line(), identity.kind));
        return Err(
            report.hint("a release needs `metadata.name`: what the server names anew each time cannot be undone")
        );
    }
    if let Some(settings) = meant.transform {
        let failed = |error| {
            Report::new(format!("{}:{}: {identity}: {error}", object.file, object.line()))
                .hint("`deploy.kubernetes.transform` in the settings says what is done to manifests")
        };
        for op in transform(&body, settings).map_err(failed)? {
            apply(&mut body, &op);
        }
    }
    // Of a kind that nobody here knows: most live in a namespace, and the server says so if it does not.
    if body["metadata"]["namespace"].is_null()
        && namespaced(&identity.api_version, &identity.kind, target).unwrap_or(true)
    {
        body["metadata"]["namespace"] = Value::from(meant.namespace);
    }
    // The server's own words of an object that was read from it.
    if let Some(body) = body.as_object_mut() {
        body.remove("status");
    }
    if let Some(metadata) = body["metadata"].as_object_mut() {
        for name in ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink"] {
            metadata.remove(name);
        }
    }
    if let Some(pod) = object.pod_path().and_then(|path| path.iter().try_fold(&mut body, |at, key| at.get_mut(*key))) {
        give(pod, meant);
    }
    if let Some(settings) = meant.inject {
        injected(&mut body, object, meant, settings)?;
    }
    let mut item = Item { body, secrets: Default::default(), source: object.file.to_string() };
    if identity.kind == "Secret" && identity.api_version == "v1" {
        conceal(&mut item, seal)?;
    }
    Ok(item)
}

/// Puts telemetry into the object's pods. Those that opted out, or where nothing tells the language, stay as they are.
fn injected(body: &mut Value, object: &Object, meant: &Meant<'_>, settings: &InjectSettings) -> Result<(), Report> {
    let settings = InjectSettings {
        environment: settings.environment.clone().or_else(|| Some(meant.environment.to_owned())),
        ..settings.clone()
    };
    let refused = |error: InjectError| {
        let place = format!("{}:{}", object.file, object.line());
        let report = Report::new(format!("{place}: telemetry cannot be put into {}", object.identity));
        report.because(error.to_string()).hint("annotate the pod with apm.dev/inject: \"false\" to have it as it is")
    };
    if let Outcome::Ops(ops) = inject(body, &settings).map_err(refused)? {
        for op in &ops {
            apply(body, op);
        }
    }
    Ok(())
}

/// Gives the containers of the image's repository the tag or digest that is meant, and the names by which the judge finds their telemetry, where
/// the manifest does not say them.
fn give(pod: &mut Value, meant: &Meant<'_>) {
    let (repository, reference) = meant.image;
    for list in ["containers", "initContainers"] {
        let containers = pod.get_mut("spec").and_then(|spec| spec.get_mut(list)).and_then(Value::as_array_mut);
        let ours = |container: &&mut Value| container["image"].as_str().is_some_and(|image| bare(image) == repository);
        for container in containers.into_iter().flatten().filter(ours) {
            container["image"] = Value::from(reference);
            if container["env"].is_null() {
                container["env"] = json!([]);
            }
            let Some(env) = container["env"].as_array_mut() else { continue };
            if !env.iter().any(|one| one["name"] == "OTEL_SERVICE_NAME") {
                env.push(json!({"name": "OTEL_SERVICE_NAME", "value": meant.service}));
            }
            match env.iter_mut().find(|one| one["name"] == "OTEL_RESOURCE_ATTRIBUTES") {
                Some(one) => {
                    // One from elsewhere (`valueFrom`) is left as it is: nobody here knows what it says.
                    if let Some(given) = one["value"].as_str() {
                        one["value"] = Value::from(resource_attributes(given, meant.version, meant.environment));
                    }
                }
                None => {
                    let value = resource_attributes("", meant.version, meant.environment);
                    env.push(json!({"name": "OTEL_RESOURCE_ATTRIBUTES", "value": value}));
                }
            }
        }
    }
}

/// A reference without tag and digest.
pub(crate) fn bare(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let name = image.rfind('/').map_or(0, |slash| slash + 1);
    match image.get(name..).and_then(|name| name.find(':')) {
        Some(colon) => image.get(..name + colon).unwrap_or(image),
        None => image,
    }
}

/// Takes the values out of a Secret and seals them, in the form in which the server has them.
pub(super) fn conceal(item: &mut Item, seal: &Seal) -> Result<(), Report> {
    let id = cluster_object(&item.body);
    let take = |item: &mut Item, name: &str| match item.body.as_object_mut().and_then(|body| body.remove(name)) {
        Some(Value::Object(values)) => values,
        _ => serde_json::Map::new(),
    };
    let (data, plain) = (take(item, "data"), take(item, "stringData"));
    let data = data.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.to_owned())));
    // As the server does: `stringData` wins.
    let plain = plain.into_iter().filter_map(|(key, value)| Some((key, BASE64_STANDARD.encode(value.as_str()?))));
    for (key, value) in data.chain(plain) {
        let place = format!("/data/{}", key.replace('~', "~0").replace('/', "~1"));
        let sealed = seal.seal(&secret_name(&id, &place), value.as_bytes()).map_err(|error| Report::of(&error))?;
        item.secrets.insert(place, Secret { sealed, mark: seal.mark(value.as_bytes()) });
    }
    Ok(())
}

/// All objects of these files and folders, in the order of their names.
pub(crate) fn objects(paths: &[PathBuf], disk: &dyn Disk) -> Result<Vec<Object>, Report> {
    let mut objects = Vec::new();
    for source in manifest_sources(paths, disk)? {
        match source {
            ManifestSource::File { file, .. } => objects.extend(file.map_err(|error| Report::of(&error))?.objects),
            ManifestSource::Kustomization(folder) => {
                let report = Report::new(format!("{} is a kustomization, which `kustomize` renders", folder.display()));
                return Err(report.hint("render it first: `kubectl kustomize FOLDER > all.yaml`, and name that file"));
            }
            ManifestSource::Chart(path) | ManifestSource::Template(path) => {
                let report = Report::new(format!("{} is of a Helm chart, which `helm` renders", path.display()));
                return Err(report.hint("render it first: `helm template NAME CHART > all.yaml`, and name that file"));
            }
        }
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base_world::World;

    use super::*;

    fn seal() -> Seal {
        Seal::new(&[7; 32], Arc::clone(&World::real().random)).expect("a seal")
    }

    fn items_of(files: &[(&str, &str)]) -> Result<Vec<Item>, Report> {
        items_with(files, None, None)
    }

    fn items_with(
        files: &[(&str, &str)],
        inject: Option<&InjectSettings>,
        transform: Option<&TransformSettings>,
    ) -> Result<Vec<Item>, Report> {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = World::real().disk;
        for (name, text) in files {
            let path = folder.path().join(name);
            disk.create_folder(path.parent().expect("a folder")).expect("made");
            base_world::replace_file(&*disk, &path, text.as_bytes()).expect("written");
        }
        let paths = [folder.path().to_owned()];
        let image = ("r.example.org:5000/shop/cart", "r.example.org:5000/shop/cart:2");
        let meant = Meant {
            paths: &paths,
            namespace: "shop",
            image,
            service: "cart",
            version: "2",
            environment: "prod",
            minor: operate_manifest::MINOR_NEWEST,
            transform,
            inject,
        };
        items(&meant, &*disk, &seal())
    }

    const CART: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: cart}\nspec:\n  selector: {matchLabels: {a: b}}\n  \
                        template:\n    metadata: {labels: {a: b}}\n    spec:\n      containers:\n      - {name: app, image: 'r.example.org:5000/shop/cart:1'}\n      \
                        - {name: side, image: 'envoy:1'}\n";

    #[test]
    fn the_image_the_namespace_and_the_names_of_telemetry_are_given() {
        let found = items_of(&[("k8s/cart.yaml", CART), ("values.yaml", "replicas: 1\n"), (".git/x.yaml", "{")]);
        let found = found.unwrap_or_else(|report| panic!("{}", report.one_line()));
        let [item] = &found[..] else { panic!("{found:?}") };
        assert_eq!(item.body["metadata"]["namespace"], "shop");
        let containers = &item.body["spec"]["template"]["spec"]["containers"];
        assert_eq!(containers[0]["image"], "r.example.org:5000/shop/cart:2");
        let attributes = "service.version=2,deployment.environment.name=prod";
        let env = json!([{"name": "OTEL_SERVICE_NAME", "value": "cart"}, {"name": "OTEL_RESOURCE_ATTRIBUTES", "value": attributes}]);
        assert_eq!(containers[0]["env"], env);
        assert_eq!((&containers[1]["image"], &containers[1]["env"]), (&json!("envoy:1"), &Value::Null));
    }

    #[test]
    fn pods_are_injected_on_their_way_unless_it_would_break_them() {
        let settings: InjectSettings =
            serde_json::from_value(json!({"language": "python", "sidecars": ["logs"]})).expect("settings");
        let found = items_with(&[("cart.yaml", CART)], Some(&settings), None);
        let [item] = &found.unwrap_or_else(|report| panic!("{}", report.one_line()))[..] else { panic!("one item") };
        let pod = &item.body["spec"]["template"]["spec"];
        assert_eq!(
            (&pod["initContainers"][0]["name"], &pod["initContainers"][1]["name"]),
            (&json!("apm-agent-python"), &json!("apm-logs"))
        );
        let env = pod["containers"][0]["env"].to_string();
        assert!(env.contains("service.version=2,deployment.environment.name=prod,k8s.container.name=app"), "{env}");
        let from = "env: [{name: PYTHONPATH, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]";
        let broken = CART.replace("shop/cart:1'", &format!("shop/cart:1', {from}"));
        let refused =
            items_with(&[("cart.yaml", &broken)], Some(&settings), None).expect_err("refused").terminal(false);
        assert!(refused.contains("cart.yaml:1") && refused.contains("PYTHONPATH"), "{refused}");
    }

    #[test]
    fn the_environment_does_to_manifests_what_the_settings_say() {
        let settings = json!({"namespace": "eu", "env": {"MODE": "prod"}, "harden": true});
        let settings: TransformSettings = serde_json::from_value(settings).expect("settings");
        let found = items_with(&[("cart.yaml", CART)], None, Some(&settings));
        let [item] = &found.unwrap_or_else(|report| panic!("{}", report.one_line()))[..] else { panic!("one item") };
        assert_eq!(item.body["metadata"]["namespace"], "eu", "not the release's own");
        let side = &item.body["spec"]["template"]["spec"]["containers"][1];
        assert_eq!(side["env"], json!([{"name": "MODE", "value": "prod"}]));
        assert_eq!(side["securityContext"]["allowPrivilegeEscalation"], false);
    }

    #[test]
    fn what_a_secret_holds_is_sealed_and_the_same_secret_is_known_again() {
        let text =
            "apiVersion: v1\nkind: Secret\nmetadata: {name: cart}\ndata: {a.b: aHVzaA==}\nstringData: {c: hush}\n";
        let [first, second] = [(), ()].map(|()| items_of(&[("s.yaml", text)]).expect("items").remove(0));
        assert!(first.body.get("data").is_none() && first.body.get("stringData").is_none());
        assert_eq!(first.secrets.keys().collect::<Vec<_>>(), ["/data/a.b", "/data/c"]);
        // Both hold the same, one said plainly.
        let marks = |item: &Item| item.secrets.values().map(|secret| secret.mark.clone()).collect::<Vec<_>>();
        assert_eq!(marks(&first)[0], marks(&first)[1]);
        assert_eq!(marks(&first), marks(&second));
        assert_ne!(first.secrets, second.secrets, "sealed alike, they would tell that they are alike");
    }

    fn check_refused(name: &str, text: &str, words: &[&str]) {
        let refused = items_of(&[(name, text)]).expect_err("it cannot be released").terminal(false);
        for word in words {
            assert!(refused.contains(word), "`{word}` is not in {refused}");
        }
    }

    #[test]
    fn what_cannot_be_released_is_named_with_its_place() {
        check_refused("kustomization.yaml", "resources: [a.yaml]\n", &["is a kustomization", "kubectl kustomize"]);
        check_refused("Chart.yaml", "apiVersion: v2\nname: x\nversion: 1.0.0\n", &["Helm chart", "helm template"]);
        check_refused("cart.yaml", &CART.replace("containers", "container"), &["cart.yaml:9:7", "container"]);
        check_refused(
            "job.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: x-}\n",
            &["job.yaml:1", "has no name"],
        );
    }

    #[test]
    fn a_repository_is_what_is_left_without_tag_and_digest() {
        for (image, expect) in
            [("cart", "cart"), ("cart:1", "cart"), ("h:5000/cart", "h:5000/cart"), ("h:5000/c:1@sha256:ab", "h:5000/c")]
        {
            assert_eq!(bare(image), expect);
        }
    }
}
