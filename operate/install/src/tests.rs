//! What comes of the chart: templates, values, and the objects of all of it, held against our own checks.

use std::collections::BTreeSet;

use operate_manifest::{LintOptions, MINOR_NEWEST, MINOR_OLDEST, check as lint};
use serde_json::{Value, json};

use crate::evaluate::Scope;
use crate::template::parse;
use crate::{Install, KINDS, Tokens, Values, chart, manifests, yaml};

fn install(sets: &[&str]) -> Install {
    let mut values = Values::default();
    for words in sets {
        values.set(words).expect("the chart knows it");
    }
    Install { name: "apm".into(), namespace: "watch".into(), values }
}

const ALL: [&str; 2] =
    ["image=registry.example.org/apm:1", "inject.enabled=true,inject.certificateSecret=tls,inject.authority=QQ=="];

mod templates {
    use super::*;

    fn check(template: &str, expect: &str) {
        let root = json!({"a": "x", "n": 3, "no": false, "empty": {}, "map": {"k": [1, "two"], "deep": {"on": "off"}}});
        let names = "{{- define \"hi\" -}}\nhi {{ .a }}\n{{- end }}";
        let scope = Scope::new(root, "names", names).expect("it is a template");
        let got = scope.render("t", template).unwrap_or_else(|error| error.to_string());
        assert_eq!(got, expect, "{template}");
    }

    #[test]
    fn they_mean_what_they_mean_to_go() {
        check("a {{ .a }} {{ .n }}{{ .nothing }}.", "a x 3.");
        check("a\n  {{- .a }}\n", "ax\n");
        check("a {{ .a -}}\n  b", "a xb");
        check("{{/* said */}}b", "b");
        check("{{ if .a }}yes{{ else }}no{{ end }}", "yes");
        check("{{ if .no }}yes{{ else }}no{{ end }}", "no");
        check("{{ if not .empty }}yes{{ end }}", "yes");
        check("{{ if and .a .no }}yes{{ end }}{{ if or .no .a }}or{{ end }}", "or");
        check("{{ if .a }}{{ if .no }}1{{ end }}2{{ end }}3", "23");
        check("{{ include \"hi\" . | quote }}", "\"hi x\"");
        check("{{ .nothing | default (printf \"%s-%s\" .a .n) }}", "x-3");
        check("k:{{ toYaml .map | nindent 2 }}", "k:\n  deep:\n    \"on\": \"off\"\n  k:\n    - 1\n    - two");
        check("{{ toJson .map.k }}", "[1,\"two\"]");
        check("{{ .a | sha256sum }}", "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881");
    }

    #[test]
    fn what_is_not_known_here_says_where() {
        check("a\n{{ range .a }}{{ end }}", "t:2: `range .a` is not known here");
        check("\n\n{{ lookup .a }}", "t:3: `lookup` with 1 arguments is not known here");
        check("{{ required \"set it\" .nothing }}", "t:1: set it");
        check("{{ $a }}", "t:1: `$a` is not known here");
        check("{{ if .a }}", "t:1: an `if` without its `end`");
        check("{{ end }}", "t:1: `end` or `else` without `if`");
        check("{{ .a", "t:1: a `{{` without `}}`");
        check("{{ (.a }}", "t:1: a `(` without `)`");
        check("{{ .a | }}", "t:1: a pipeline with nothing in it");
        check("{{ \"a }}", "t:1: a string without its end");
    }

    #[test]
    fn one_that_includes_itself_ends() {
        let scope =
            Scope::new(Value::Null, "n", "{{ define \"a\" }}{{ include \"a\" . }}{{ end }}").expect("a template");
        let told = scope.render("t", "{{ include \"a\" . }}").expect_err("it has no end").to_string();
        assert_eq!(told, "t:1: `a` includes itself");
    }

    #[test]
    fn text_that_could_be_taken_for_something_else_is_quoted() {
        let all = json!({"a": "off", "b": "1", "c": "", "d": "x: y", "e": "/var/lib", "f": "a#b", "g": "ü", "h": {}, "i": []});
        let written = yaml::text(&all);
        let read = lib_yaml_edit::parse(&written, &lib_yaml_edit::Limits::default()).expect("it is YAML");
        assert_eq!(Value::from(read[0].root.data(lib_yaml_edit::Dialect::Kubectl)), all, "{written}");
        assert!(written.contains("e: /var/lib"), "{written}");
    }
}

mod values {
    use super::*;

    fn check(set: &str, expect: Result<(&str, Value), &str>) {
        let mut values = Values::default();
        let done = values.set(set).map_err(|error| error.to_string());
        match (done, expect) {
            (Ok(()), Ok((at, value))) => assert_eq!(values.json().pointer(at), Some(&value), "{set}"),
            (Err(error), Err(told)) => assert!(error.contains(told), "{set}: {error}"),
            (done, expect) => panic!("{set}: {done:?}, and not {expect:?}"),
        }
    }

    #[test]
    fn they_are_set_as_helm_sets_them() {
        check("engine.memory=1GB", Ok(("/engine/memory", json!("1GB"))));
        check("networkPolicy.enabled=false", Ok(("/networkPolicy/enabled", json!(false))));
        check("image=a,inject.replicas=3", Ok(("/inject/replicas", json!(3))));
        check(r"image=a\,b", Ok(("/image", json!("a,b"))));
        check("engine.resources.limits.cpu=2", Ok(("/engine/resources/limits", json!({"cpu": 2, "memory": "1Gi"}))));
        check("engine.settings.project=shop", Ok(("/engine/settings/project", json!("shop"))));
    }

    #[test]
    fn what_the_chart_does_not_know_is_refused() {
        check(
            "engine.memroy=1GB",
            Err("`engine.memroy` is no value of the chart; those near it are affinity, memory,"),
        );
        check("engine.storage=big", Err("`engine.storage` is a map, and text was given"));
        check("networkPolicy.enabled=maybe", Err("`networkPolicy.enabled` is true or false, and text was given"));
        check("collector.tolerations[0]=x", Err("lists and brackets"));
        check("image", Err("write `path.to.key=value`"));
    }

    /// What Helm refuses by: the same as we do.
    fn schema(value: &Value, path: &str) -> Value {
        match value {
            Value::Object(_) if crate::values::FREE.contains(&path) => json!({"type": "object"}),
            Value::Object(pairs) => {
                let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                let properties = pairs.iter().map(|(key, value)| (key.clone(), schema(value, &below(key))));
                let properties: serde_json::Map<_, _> = properties.collect();
                json!({"type": "object", "additionalProperties": false, "properties": properties})
            }
            Value::String(_) => json!({"type": ["string", "number"]}),
            Value::Bool(_) => json!({"type": "boolean"}),
            Value::Number(_) => json!({"type": "number"}),
            Value::Array(_) => json!({"type": "array"}),
            Value::Null => json!({}),
        }
    }

    /// `UPDATE=1` writes it anew.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the schema is read, and on demand written")]
    fn helm_refuses_what_we_refuse() {
        let mut schema = schema(Values::default().json(), "");
        schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
        // Helm hands this to every chart.
        schema["properties"]["global"] = json!({"type": "object"});
        let written = format!("{schema:#}\n");
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/charts/apm/values.schema.json");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &written).expect("it is written");
        }
        assert!(std::fs::read_to_string(path).is_ok_and(|there| there == written), "UPDATE=1 writes it anew");
    }

    #[test]
    fn a_file_is_laid_over_them() {
        let mut values = Values::default();
        values.lay("mine.yaml", "engine: {nodeSelector: {disk: ssd}, resources: {limits: null}}\n").expect("known");
        let engine = &values.json()["engine"];
        assert_eq!(engine["nodeSelector"], json!({"disk": "ssd"}));
        assert_eq!(engine["resources"], json!({"requests": {"cpu": "250m", "memory": "1Gi"}}));
        let told = |text: &str| Values::default().lay("mine.yaml", text).expect_err("refused").to_string();
        assert!(told("[1]").contains("values are a map, and this is a list"));
        assert!(told("a: 1\n---\nb: 2\n").contains("one document"));
        assert!(told("a: [").contains("mine.yaml: "), "{}", told("a: ["));
    }
}

#[test]
fn what_is_made_passes_our_own_check_on_every_version() {
    for minor in MINOR_OLDEST..=MINOR_NEWEST {
        let manifests = manifests(&install(&ALL)).expect("it can be rendered");
        let options = LintOptions { minor, ..LintOptions::default() };
        for checked in lint(&manifests, &options) {
            let left = checked.findings.iter().filter(|finding| finding.suppressed.is_none());
            let left: Vec<String> = left.map(|finding| format!("{finding:?}")).collect();
            assert!(left.is_empty(), "1.{minor}: {left:#?}");
            assert!(checked.not_checked.is_empty(), "{:?}", checked.not_checked);
        }
    }
}

#[test]
fn every_container_is_closed_and_bounded() {
    for object in install(&ALL).objects().expect("it can be rendered") {
        let Some(path) = object.pod_path() else { continue };
        let json = object.json();
        let pod = path.iter().fold(&json, |at, key| &at[*key]);
        let spec = &pod["spec"];
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true, "{}", object.identity);
        assert_eq!(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{}", object.identity);
        for list in ["containers", "initContainers"] {
            for container in spec[list].as_array().into_iter().flatten() {
                let security = &container["securityContext"];
                assert_eq!(security["readOnlyRootFilesystem"], true, "{container}");
                assert_eq!(security["allowPrivilegeEscalation"], false, "{container}");
                assert_eq!(security["capabilities"]["drop"], json!(["ALL"]), "{container}");
                assert!(container["resources"]["limits"]["memory"].is_string(), "{container}");
            }
        }
    }
}

/// What the collector may do with these values; nobody else may do anything.
fn check_rights(sets: &[&str], expect: &[&str]) {
    let mut may = BTreeSet::new();
    for object in install(sets).objects().expect("it can be rendered") {
        let json = object.json();
        for rule in json["rules"].as_array().into_iter().flatten().filter(|_| object.identity.kind.ends_with("Role")) {
            assert_eq!(object.identity.name, "apm-collector-watch");
            assert!(rule["resourceNames"].is_null() && rule["nonResourceURLs"].is_null(), "{rule}");
            for (resource, verb) in words(&rule["resources"]).flat_map(|r| words(&rule["verbs"]).map(move |v| (r, v))) {
                may.insert(format!("{verb} {resource}"));
            }
        }
    }
    assert_eq!(may.iter().map(String::as_str).collect::<Vec<_>>(), expect, "{sets:?}");
    let guide = include_str!("../../../docs/guides/in-the-cluster.md");
    for (verb, resource) in expect.iter().filter_map(|line| line.split_once(' ')) {
        let row = guide.lines().find(|line| line.starts_with(&format!("| `{resource}` |")));
        assert!(row.is_some_and(|row| row.contains(verb)), "the guide has no row for {verb} {resource}");
    }
}

/// Another word here is a row of the guide.
#[test]
fn nobody_may_more_than_this() {
    let services = ["list endpointslices", "list pods", "list services"];
    let followed = ["watch endpointslices", "watch pods", "watch services"];
    check_rights(&ALL, &["get nodes/metrics", "list pods", "watch pods"]);
    let all = [&["get nodes/metrics"][..], &services, &followed].concat();
    check_rights(&[ALL[0], "collector.scrapeServices=true"], &all);
    check_rights(&[ALL[0], "collector.kubelet.enabled=false"], &["list pods", "watch pods"]);
    check_rights(&[ALL[0], "collector.enabled=false"], &[]);
}

fn words(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

#[test]
fn parts_are_left_out_and_others_are_needed() {
    let kinds = |sets: &[&str]| -> BTreeSet<String> {
        let objects = install(sets).objects().expect("it can be rendered");
        objects.iter().map(|object| format!("{} {}", object.identity.kind, object.identity.name)).collect()
    };
    let all = kinds(&ALL);
    let plain = kinds(&ALL[..1]);
    assert!(all.contains("MutatingWebhookConfiguration apm-inject-watch") && !plain.contains("Deployment apm-inject"));
    assert!(plain.contains("DaemonSet apm-collector") && plain.contains("NetworkPolicy apm-engine"));
    let few = kinds(&[ALL[0], "collector.enabled=false,networkPolicy.enabled=false,engine.storage.persistent=false"]);
    assert!(few.iter().all(|name| !name.contains("NetworkPolicy") && !name.contains("collector")), "{few:?}");
    let told = |sets: &[&str]| install(sets).render().expect_err("something is missing").to_string();
    assert!(told(&[]).contains("image is not set"), "{}", told(&[]));
    assert!(told(&[ALL[0], "inject.enabled=true"]).contains("inject.certificateSecret is not set"));
}

#[test]
fn every_object_is_of_a_known_kind_and_can_be_found_again() {
    let install = install(&ALL);
    for object in install.objects().expect("it can be rendered") {
        let (json, identity) = (object.json(), &object.identity);
        let kind = KINDS.iter().find(|kind| kind.kind == identity.kind).expect("a known kind");
        assert_eq!(kind.api_version, identity.api_version);
        assert_eq!(kind.is_namespaced, identity.namespace.is_some(), "{identity}");
        assert!(install.is_ours(kind, &identity.name), "{identity}");
        for pair in install.selector().split(',') {
            let (label, value) = pair.split_once('=').expect("a pair");
            assert_eq!(json["metadata"]["labels"][label], value, "{identity}");
        }
    }
}

#[test]
fn a_name_that_makes_no_names_is_refused() {
    let check = |name: &str, good: bool| {
        let install = Install { name: name.into(), ..install(&ALL) };
        assert_eq!(install.render().is_ok(), good, "{name}");
    };
    check("apm", true);
    check("a-1", true);
    check("", false);
    check("Apm", false);
    check("a_b", false);
    check("-a", false);
    check(&"a".repeat(41), false);
}

#[test]
fn the_secret_holds_the_engines_tokens_and_the_collectors_one() {
    let tokens = Tokens { admin: "A".repeat(40), viewer: "V".repeat(40), ingest: "I".repeat(40) };
    let secret = install(&ALL).token_secret(&tokens).expect("it is ours to make");
    assert_eq!(secret["metadata"]["name"], "apm-tokens");
    let lines = format!("admin {}\nviewer {}\ningest {}\n", tokens.admin, tokens.viewer, tokens.ingest);
    assert_eq!(secret["stringData"], json!({"tokens": lines, "ingest": tokens.ingest}));
    assert_eq!(install(&["tokens.secret=mine"]).token_secret(&tokens), None);
    let told = install(&[ALL[0], "tokens.secret=mine"]).text().expect("rendered");
    assert!(told.contains("secretName: mine") && !told.contains("apm-tokens"), "{told}");
}

#[test]
fn the_chart_is_this_version_and_every_file_of_it_is_here() {
    let version = format!("version: {}\n", chart::version());
    let file = chart::FILES.iter().find(|(path, _)| *path == "Chart.yaml").expect("a chart has one").1;
    assert!(file.contains(&format!("\n{version}")) && file.contains(&format!("\nappVersion: {}", chart::version())));
    for (path, text) in chart::TEMPLATES {
        parse(path, text).unwrap_or_else(|error| panic!("{error}"));
    }
    let notes = install(&ALL).notes().expect("they can be rendered");
    assert!(notes.contains("http://apm-engine.watch:4300") && notes.contains("get secret apm-tokens"), "{notes}");
}
