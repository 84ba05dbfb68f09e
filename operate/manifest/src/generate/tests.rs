//! Objects and their names, beside those that kustomize 5.8.1 (`kubectl kustomize`, 1.36.3) made of the same words.

use serde_json::{Value, json};

use super::{GenerateError, Generated, generate, refer};
use crate::inject::apply;
use crate::transform::TransformSettings;

fn file(name: &str) -> Result<Vec<u8>, String> {
    Ok(match name {
        "bin.dat" => (0..=255).collect(),
        "long.txt" => format!("{}\n", "x".repeat(200)).into_bytes(),
        "p51" => "b".repeat(51).into_bytes(),
        "p52" => "a".repeat(52).into_bytes(),
        "dir/html.txt" => "<a & b> \u{2028} \"q\" \\ \t é 😀".as_bytes().to_vec(),
        ".env" => b"# c\nA=1\n  B= two \r\nC=\"x=y\"\n\n".to_vec(),
        "loose.env" => b"A=1\nHOME\n".to_vec(),
        _ => return Err("not found".to_owned()),
    })
}

fn made(settings: Value) -> Result<Vec<Generated>, GenerateError> {
    let settings: TransformSettings = serde_json::from_value(settings).expect("settings");
    generate(&settings, "shop", &mut file)
}

fn check(generator: &str, words: Value, expect: &str) -> Value {
    let made = made(json!({generator: [words]})).unwrap_or_else(|error| panic!("{error}"));
    let [one] = &made[..] else { panic!("{made:?}") };
    assert_eq!(one.name, expect);
    assert_eq!(one.object["metadata"]["name"], expect);
    one.object.clone()
}

#[test]
fn objects_have_the_names_that_kustomize_gives() {
    let maps = "configMapGenerator";
    let object = check(maps, json!({"name": "a", "literals": ["x=1", "y='q'", "z=\""]}), "a-4c5tgbtdbc");
    assert_eq!(object["data"], json!({"x": "1", "y": "q", "z": "\""}));
    check(maps, json!({"name": "b", "literals": ["x=1", "y='q'"]}), "b-h46gh8d5kc");
    assert_eq!(check(maps, json!({"name": "e"}), "e-6ct58987ht").get("data"), None);
    let object =
        check(maps, json!({"name": "bin", "files": ["bin.dat", "long.txt", "k=dir/html.txt"]}), "bin-84h59kb4gc");
    assert!(object["binaryData"]["bin.dat"].as_str().is_some_and(|text| text.ends_with("/P3+/w==\n")), "{object}");
    let object = check(maps, json!({"name": "env", "envs": [".env"]}), "env-k28k8f7562");
    assert_eq!(object["data"], json!({"A": "1", "B": " two ", "C": "\"x=y\""}));
    let secrets = "secretGenerator";
    check(
        secrets,
        json!({"name": "s", "files": ["bin.dat", "long.txt", "p51", "p52"], "literals": ["a=1"]}),
        "s-26dmfftm2g",
    );
    let object = check(secrets, json!({"name": "se"}), "se-46f8b28mk5");
    assert_eq!((&object["type"], &object["data"]), (&json!("Opaque"), &json!({})));
    let words = json!({"name": "t", "type": "kubernetes.io/basic-auth", "literals": ["username=u", "password=p"]});
    assert_eq!(check(secrets, words, "t-gfbh87f95h")["type"], "kubernetes.io/basic-auth");
}

#[test]
fn options_hold_for_one_or_for_all() {
    let options = json!({"disableNameSuffixHash": true, "labels": {"q": "r"}, "immutable": true});
    let object =
        check("configMapGenerator", json!({"name": "plain", "literals": ["a=b"], "options": options}), "plain");
    assert_eq!((&object["immutable"], &object["metadata"]["labels"]), (&json!(true), &json!({"q": "r"})));
    let all = json!({"labels": {"q": "all", "team": "x"}, "disableNameSuffixHash": true});
    let one = json!({"name": "a", "namespace": "own", "options": {"labels": {"q": "own"}}});
    let found = made(json!({"generatorOptions": all, "configMapGenerator": [one]})).expect("made");
    assert_eq!((found[0].name.as_str(), found[0].namespace.as_str()), ("a", "own"));
    assert_eq!(found[0].object["metadata"]["labels"], json!({"q": "own", "team": "x"}));
}

fn check_refused(generator: Value, expect: &str) {
    let error = made(json!({"secretGenerator": [generator]})).expect_err("refused").to_string();
    assert!(error.contains(expect) && !error.contains("hush"), "{error}");
}

#[test]
fn what_cannot_be_meant_is_named_and_no_secret_with_it() {
    check_refused(json!({"name": "Not_A_Name"}), "`Not_A_Name` is no name for a Secret");
    check_refused(json!({"name": "a", "literals": ["k=v", "hush"]}), "literal 2 of the Secret `a`");
    check_refused(json!({"name": "a", "literals": ["k=v", "k=hush"]}), "the key `k` of the Secret `a` is there twice");
    check_refused(json!({"name": "a", "literals": ["a/b=hush"]}), "`a/b` is no key");
    check_refused(json!({"name": "a", "files": ["x=y=z"]}), "neither FILE nor KEY=FILE");
    check_refused(json!({"name": "a", "files": ["gone"]}), "gone: not found");
    check_refused(json!({"name": "a", "envs": ["loose.env"]}), "loose.env:2: a line is KEY=VALUE");
    let two = json!({"configMapGenerator": [{"name": "a"}, {"name": "a"}]});
    assert!(made(two).expect_err("twice").to_string().contains("generated twice"));
    let typed = json!({"configMapGenerator": [{"name": "a", "type": "Opaque"}]});
    assert!(made(typed).expect_err("typed").to_string().contains("only a Secret has"));
}

#[test]
fn references_of_the_same_namespace_follow_the_name() {
    let generated =
        made(json!({"configMapGenerator": [{"name": "env", "envs": [".env"]}], "secretGenerator": [{"name": "se"}]}));
    let generated = generated.expect("made");
    let pod = json!({
        "imagePullSecrets": [{"name": "se"}, {"name": "other"}],
        "volumes": [{"configMap": {"name": "env"}}, {"secret": {"secretName": "se"}},
            {"projected": {"sources": [{"configMap": {"name": "env"}}, {"secret": {"name": "se"}}]}}, {"configMap": {"name": "se"}}],
        "initContainers": [{"envFrom": [{"configMapRef": {"name": "env"}}]}],
        "containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "se", "key": "k"}}}, {"value": "env"}],
            "envFrom": [{"secretRef": {"name": "se"}}]}],
    });
    let object = json!({"apiVersion": "batch/v1", "kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": pod}}}}});
    let mut after = object.clone();
    for op in refer(&object, "shop", &generated) {
        apply(&mut after, &op);
    }
    let expect = object.to_string().replace("\"name\":\"env\"", "\"name\":\"env-k28k8f7562\"");
    let expect = expect
        .replace("\"name\":\"se\"", "\"name\":\"se-46f8b28mk5\"")
        .replace("\"secretName\":\"se\"", "\"secretName\":\"se-46f8b28mk5\"");
    let expect = expect.replace("{\"configMap\":{\"name\":\"se-46f8b28mk5\"}}", "{\"configMap\":{\"name\":\"se\"}}");
    assert_eq!(after.to_string(), expect);
    assert_eq!(refer(&object, "elsewhere", &generated), []);
    let ingress =
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {"tls": [{"secretName": "se"}]}});
    assert_eq!(refer(&ingress, "shop", &generated).len(), 1);
}
