//! Texts of manifests become the objects of a release: read, held against the API's schema, made what the environment wants of them, and their secrets
//! sealed. It asks no cluster and starts no program.

use base_explain::Report;
use base_world::Disk;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use operate_deploy::{Item, Secret, cluster_object};
use operate_execute::Seal;
use operate_manifest::generate::{Generated, generate};
use operate_manifest::mask::is_secret;
use operate_manifest::{Draft, Object, Severity, Target, validate};
use operate_target_kube::secret_name;
use serde_json::Value;

use super::ops::{Meant, ops};
use crate::manifests::ManifestText;

/// Findings that are told at once.
const TOLD_MAX: usize = 20;
/// A file that a ConfigMap is made of; the planner's own limit is lower.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The objects, in the order of their files; after them what is generated.
pub(crate) fn items(
    meant: &Meant<'_>,
    texts: &[ManifestText],
    disk: &dyn Disk,
    seal: &Seal,
) -> Result<Vec<Item>, Report> {
    let objects: Vec<Object> = texts.iter().flat_map(|text| text.file.objects.iter().cloned()).collect();
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
    let generated = generated(meant, disk)?;
    let mut items = Vec::new();
    for object in &objects {
        if object.identity.name.is_empty() {
            let report =
                Report::new(format!("{}:{}: {} has no name", object.file, object.line(), object.identity.kind));
            return Err(
                report.hint("a release needs `metadata.name`: what the server names anew each time cannot be undone")
            );
        }
        let place = format!("{}:{}", object.file, object.line());
        let item =
            item(&format!("{place}: {}", object.identity), &object.file, object.json(), meant, &generated, seal)?;
        items.push((place, item));
    }
    for one in &generated {
        let place = format!("a generator of the settings ({} {})", one.kind, one.plain);
        items.push((place.clone(), item(&place, "", one.object.clone(), meant, &generated, seal)?));
    }
    once(&items)?;
    Ok(items.into_iter().map(|(_, item)| item).collect())
}

/// What the settings generate.
pub(crate) fn generated(meant: &Meant<'_>, disk: &dyn Disk) -> Result<Vec<Generated>, Report> {
    let Some(settings) = meant.transform else { return Ok(Vec::new()) };
    let mut read = |name: &str| {
        disk.read(std::path::Path::new(name), FILE_BYTES_MAX).map_err(|error| Report::of(&error).one_line())
    };
    let hint = "`configMapGenerator` and `secretGenerator` of `deploy.kubernetes.transform` say what is generated";
    generate(settings, meant.namespace, &mut read).map_err(|error| Report::of(&error).hint(hint))
}

/// One object may be there once: of two the order of the files would decide.
fn once(items: &[(String, Item)]) -> Result<(), Report> {
    let mut known = std::collections::BTreeMap::new();
    for (place, item) in items {
        let id = cluster_object(&item.body);
        if let Some(first) = known.insert(id.clone(), place) {
            let report = Report::new(format!("{place}: {id} is there twice, the first time in {first}"));
            return Err(report.hint("take one of them away, or name the folder or the files that are meant"));
        }
    }
    Ok(())
}

fn item(
    place: &str,
    source: &str,
    object: Value,
    meant: &Meant<'_>,
    generated: &[Generated],
    seal: &Seal,
) -> Result<Item, Report> {
    let ops = ops(meant, place, &object, generated)?;
    let mut draft = Draft::new(object);
    draft.take(ops);
    let mut item = Item { body: draft.value, secrets: Default::default(), source: source.to_owned() };
    if is_secret(&item.body) {
        conceal(&mut item, seal)?;
    }
    Ok(item)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base_world::World;
    use operate_manifest::inject::InjectSettings;
    use operate_manifest::transform::TransformSettings;
    use serde_json::json;

    use super::*;
    use crate::manifests::{Rendering, manifest_texts};

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
        let meant = Meant {
            namespace: "shop",
            image: Some("r.example.org:5000/shop/cart:2"),
            service: "cart",
            version: "2",
            environment: "prod",
            minor: operate_manifest::MINOR_NEWEST,
            transform,
            inject,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let texts = runtime.block_on(manifest_texts(&paths, &*disk, &Rendering::default()))?;
        items(&meant, &texts, &*disk, &seal())
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

    const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b}\n";

    #[test]
    fn what_is_generated_comes_with_the_others_and_is_referred_to() {
        let settings = json!({"configMapGenerator": [{"name": "cart", "literals": ["a=b"]}], "labels": {"team": "x"},
            "secretGenerator": [{"name": "cart", "literals": ["password=hush"]}]});
        let settings: TransformSettings = serde_json::from_value(settings).expect("settings");
        let text = CART.replace(
            "image: 'envoy:1'",
            "image: 'envoy:1', envFrom: [{configMapRef: {name: cart}}, {secretRef: {name: cart}}]",
        );
        let found = items_with(&[("cart.yaml", &text)], None, Some(&settings));
        let [cart, config, secret] = &found.unwrap_or_else(|report| panic!("{}", report.one_line()))[..] else {
            panic!("three")
        };
        let from = &cart.body["spec"]["template"]["spec"]["containers"][1]["envFrom"];
        for (at, kind, one) in [(0, "configMapRef", config), (1, "secretRef", secret)] {
            let name = one.body["metadata"]["name"].as_str().expect("a name");
            assert!(name.starts_with("cart-") && name.len() == 15, "{name}");
            assert_eq!(from[at][kind]["name"], name);
            assert_eq!(
                (&one.body["metadata"]["labels"]["team"], &one.body["metadata"]["namespace"]),
                (&json!("x"), &json!("shop"))
            );
        }
        assert_eq!(secret.secrets.keys().collect::<Vec<_>>(), ["/data/password"]);
        assert!(!format!("{secret:?}").contains("aHVzaA"));
    }

    fn check_refused(name: &str, text: &str, words: &[&str]) {
        let refused = items_of(&[(name, text)]).expect_err("it cannot be released").terminal(false);
        for word in words {
            assert!(refused.contains(word), "`{word}` is not in {refused}");
        }
    }

    #[test]
    fn what_cannot_be_released_is_named_with_its_place() {
        let two = format!("{CONFIG}---\n{CONFIG}");
        check_refused("two.yaml", &two, &["two.yaml:6", "ConfigMap/shop/a is there twice", "two.yaml:1"]);
        check_refused("cart.yaml", &CART.replace("containers", "container"), &["cart.yaml:9:7", "container"]);
        check_refused(
            "job.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: x-}\n",
            &["job.yaml:1", "has no name"],
        );
    }
}
