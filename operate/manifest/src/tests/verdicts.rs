//! What is found in one object, each as `severity rule path line:column`, for every rule that people run into.

use lib_yaml_edit::Limits;

use crate::{RULES, Target, read, validate};

fn findings(text: &str, minor: u8) -> Vec<String> {
    let objects = read("f", text, &Limits::default()).expect(text).objects;
    let verdicts = validate(&objects, &Target { minor });
    let all = verdicts.iter().flat_map(|verdict| &verdict.findings);
    all.map(|f| {
        assert!(RULES.iter().any(|rule| rule.id == f.rule), "{} is not in the catalogue", f.rule);
        format!("{:?} {} {} {}:{}", f.severity, f.rule, f.path, f.line, f.column)
    })
    .collect()
}

fn check(text: &str, expect: &[&str]) {
    assert_eq!(findings(text, 36), expect, "{text}");
}

/// A pod with these lines in its first container.
fn container(lines: &str, expect: &[&str]) {
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  containers:\n  - name: a\n    image: i\n    {lines}\n"
    );
    check(&text, expect);
}

#[test]
fn fields_and_types() {
    check("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndat: {}\n", &["Error field/unknown dat 4:6"]);
    check("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: yes}\n", &["Error field/type data.a 4:11"]);
    check(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels: [a]\n",
        &["Error field/type metadata.labels 5:11"],
    );
    container("ports: [{name: x}]", &["Error field/required spec.containers[0].ports[0].containerPort 8:13"]);
    container(
        "ports: [{containerPort: 80}, {containerPort: 80, protocol: TCP}]",
        &["Error field/duplicate spec.containers[0].ports[1] 8:34"],
    );
    container("stdin: \"true\"", &["Error field/type spec.containers[0].stdin 8:12"]);
    container(
        "resources: {limits: {memory: 1 GB}}",
        &["Error format/quantity spec.containers[0].resources.limits.memory 8:34"],
    );
}

#[test]
fn kinds_and_versions() {
    let of = |api: &str, kind: &str| format!("apiVersion: {api}\nkind: {kind}\nmetadata: {{name: a}}\n");
    check(&of("extensions/v1beta1", "Deployment"), &["Error kind/version apiVersion 1:13"]);
    check(&of("apps/v1beta1", "Deployment"), &["Error kind/version apiVersion 1:13"]);
    check(&of("batch/v1beta1", "CronJob"), &["Error kind/version apiVersion 1:13"]);
    check(&of("v1", "Deploymnt"), &["Error kind/unknown kind 2:7"]);
    check(&of("example.org/v1", "Thing"), &[]);
    // The same kind is there in one minor version and not in another.
    let class = format!("{}spec: {{}}\n", of("resource.k8s.io/v1", "DeviceClass"));
    assert_eq!(findings(&class, 33), ["Error kind/version apiVersion 1:13"]);
    assert_eq!(findings(&class, 34), [""; 0]);
}

#[test]
fn containers_and_pods() {
    container(
        "ports: [{containerPort: 70000}]",
        &["Error range/number spec.containers[0].ports[0].containerPort 8:29"],
    );
    container(
        "env: [{name: A, value: x, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]",
        &["Error relation/conflict spec.containers[0].env[0].valueFrom 8:42"],
    );
    container(
        "volumeMounts: [{name: v, mountPath: /v}]",
        &["Error relation/missing spec.containers[0].volumeMounts[0].name 8:27"],
    );
    container(
        "resources: {requests: {cpu: 2}, limits: {cpu: 500m}}",
        &["Error relation/match spec.containers[0].resources.requests.cpu 8:33"],
    );
    container(
        "livenessProbe: {httpGet: {port: 80}, exec: {command: [a]}}",
        &["Error relation/conflict spec.containers[0].livenessProbe 8:20"],
    );
    container("imagePullPolicy: always", &["Error format/value spec.containers[0].imagePullPolicy 8:22"]);
    check(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: []}\n",
        &["Error field/required spec.containers 4:20"],
    );
    check(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: P_x}\nspec: {containers: [{name: a, image: i}]}\n",
        &["Error format/name metadata.name 3:18"],
    );
}

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  selector: {matchLabels: {app: a}}\n  template:\n    metadata: {labels: {app: a}}\n    spec: {containers: [{name: a, image: i}]}\n";

#[test]
fn workloads() {
    check(DEPLOYMENT, &[]);
    check(
        &DEPLOYMENT.replace("labels: {app: a}", "labels: {app: b}"),
        &["Error relation/match spec.template.metadata.labels 7:24"],
    );
    check(
        &DEPLOYMENT.replace("spec: {containers", "spec: {restartPolicy: Never, containers"),
        &["Error format/value spec.template.spec.restartPolicy 8:27"],
    );
    check(
        &DEPLOYMENT.replace("  selector", "  strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0%}}\n  selector"),
        &["Error relation/conflict spec.strategy.rollingUpdate.maxUnavailable 5:59"],
    );
    // Older servers take a StatefulSet whose pods cannot be made; that is a warning there.
    let set = DEPLOYMENT.replace("Deployment", "StatefulSet").replace("image: i", "image: ''");
    assert_eq!(findings(&set, 30), ["Warning field/required spec.template.spec.containers[0].image 8:42"]);
    assert_eq!(findings(&set, 36), ["Error field/required spec.template.spec.containers[0].image 8:42"]);
}

#[test]
fn services_and_the_rest() {
    let service = |spec: &str| format!("apiVersion: v1\nkind: Service\nmetadata: {{name: s}}\nspec: {spec}\n");
    check(&service("{}"), &["Error field/required spec.ports 4:7"]);
    check(
        &service("{ports: [{port: 80}, {port: 81}]}"),
        &["Error field/required spec.ports[0].name 4:16", "Error field/required spec.ports[1].name 4:28"],
    );
    check(&service("{ports: [{port: 80, nodePort: 30000}]}"), &["Error relation/conflict spec.ports[0].nodePort 4:37"]);
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i}\nspec: {rules: [{http: {paths: [{path: a, pathType: Exact, backend: {service: {name: s, port: {}}}}]}}]}\n";
    check(
        ingress,
        &[
            "Error format/value spec.rules[0].http.paths[0].path 4:39",
            "Error field/required spec.rules[0].http.paths[0].backend.service.port 4:94",
        ],
    );
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r}\nrules: [{resources: [pods], verbs: [get]}]\n";
    check(role, &["Error field/required rules[0].apiGroups 4:9"]);
    let twice = format!("{DEPLOYMENT}---\n{DEPLOYMENT}");
    check(&twice, &["Warning object/twice metadata.name 12:18"]);
}

const BOX: &str = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: boxes.x.org}\nspec:\n  group: x.org\n  scope: Namespaced\n  names: {plural: boxes, kind: Box}\n  versions:\n  - name: v1\n    served: true\n    storage: true\n    schema: {openAPIV3Schema: {type: object, properties: {spec: SCHEMA}}}\n---\n";

#[test]
fn custom_resources_by_their_definition() {
    let schema = "{type: object, required: [size], properties: {size: {type: integer, maximum: 9}, min: {type: integer, default: 2}}, x-kubernetes-validations: [{rule: self.size > self.min, messageExpression: \"'above %d'.format([self.min])\", fieldPath: .size}]}";
    let check = |spec: &str, expect: &[&str]| {
        let text = format!(
            "{}apiVersion: x.org/v1\nkind: Box\nmetadata: {{name: b}}\nspec: {spec}\n",
            BOX.replace("SCHEMA", schema)
        );
        assert_eq!(findings(&text, 36), expect, "{spec}");
    };
    check("{size: 3}", &[]);
    check("{size: 12}", &["Error range/number spec.size 17:14"]);
    check("{size: 3, colour: red}", &["Error field/unknown spec.colour 17:25"]);
    check("{}", &["Error field/required spec 17:7"]);
    // The rule is broken at the field that it names; so is it with the default.
    check("{min: 4, size: 3}", &["Error custom/rule spec.size 17:22"]);
    check("{size: 1}", &["Error custom/rule spec.size 17:14"]);
}

#[test]
fn rules_that_do_not_compile_have_their_place() {
    let check = |rule: &str, minor: u8, expect: &[&str]| {
        let schema = format!(
            "{{type: object, properties: {{a: {{type: string, maxLength: 9}}}}, x-kubernetes-validations: [{rule}]}}"
        );
        let objects = read("f", &BOX.replace("SCHEMA", &schema), &Limits::default()).expect("it reads").objects;
        let verdict = validate(&objects, &Target { minor }).pop().expect("a verdict");
        let found: Vec<String> =
            verdict.findings.iter().map(|f| format!("{}:{} {}", f.line, f.column, f.what)).collect();
        assert_eq!([found, verdict.not_checked].concat(), expect, "{rule}");
    };
    check("{rule: self.a == 'x'}", 36, &[]);
    check("{rule: self.b == 'x'}", 36, &["12:161 compilation failed: 1:5: undefined field 'b'"]);
    check("{rule: self.a.size()}", 36, &["12:161 cel expression must evaluate to a bool"]);
    check("{rule: isIP(self.a)}", 36, &[]);
    check(
        "{rule: isIP(self.a)}",
        30,
        &["12:161 compilation failed: 1:5: undeclared reference to 'isIP' (in container '')"],
    );
    // What a newer Kubernetes may know is not refused.
    check(
        "{rule: newer(self.a)}",
        99,
        &[
            "spec.versions[0].schema.openAPIV3Schema.properties.spec.x-kubernetes-validations[0].rule: undeclared reference to 'newer' (in container ''), which a newer Kubernetes may know",
        ],
    );
    check(
        "{rule: newer(self.a)}",
        36,
        &["12:161 compilation failed: 1:6: undeclared reference to 'newer' (in container '')"],
    );
    check("{rule: self.a == 'x', reason: Bad}", 36, &["12:184 Unsupported value: \"Bad\""]);
}

/// A rule or a pattern made to hang whoever evaluates it is named instead, and soon.
#[test]
fn hostile_rules_are_named() {
    let check = |rule: &str, expect: &str| {
        let schema = format!(
            "{{type: object, properties: {{a: {{type: array, items: {{type: integer}}}}}}, x-kubernetes-validations: [{{rule: \"{rule}\"}}]}}"
        );
        let items = vec!["1"; 400].join(", ");
        let text = format!(
            "{}apiVersion: x.org/v1\nkind: Box\nmetadata: {{name: b}}\nspec: {{a: [{items}]}}\n",
            BOX.replace("SCHEMA", &schema)
        );
        let objects = read("f", &text, &Limits::default()).expect("it reads").objects;
        let verdict = validate(&objects, &Target { minor: 36 }).pop().expect("a verdict");
        assert!(verdict.accepts(), "{:?}", verdict.findings);
        assert!(verdict.not_checked[0].contains(expect), "{:?}", verdict.not_checked);
    };
    check("self.a.all(x, self.a.all(y, self.a.all(z, x + y + z > 0)))", "its cost is over the limit of 1000000");
    check(&format!("{}true{}", "(".repeat(4000), ")".repeat(4000)), "nested deeper than 100");
    check("'a'.matches('((((a{1,100}){1,100}){1,100}){1,100})')", "beyond what is compiled here");
}

#[test]
fn findings_are_told_as_those_of_all_checks() {
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: shop}\nspec: {type: clusterip}\n";
    let objects = read("f", text, &Limits::default()).expect("it reads").objects;
    let told = validate(&objects, &Target { minor: 36 })[0].told();
    let file = base_explain::finding::File { path: "f.yaml", text: Some(text), findings: &told, ignored: 0, beyond: 0 };
    let sarif = base_explain::finding::sarif("apm k8s check", "0", crate::catalogue(), &[file]);
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "format/value");
    assert_eq!(result["locations"][0]["logicalLocations"][0]["name"], "Service shop/s");
    assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startColumn"], 14);
}

#[test]
fn what_a_container_may_not_say() {
    container("env: [{name: 'a=b', value: x}]", &["Error format/name spec.containers[0].env[0].name 8:18"]);
    container(
        "env: [{name: A, valueFrom: {fieldRef: {fieldPath: spec.nope}}}]",
        &["Error format/value spec.containers[0].env[0].valueFrom.fieldRef.fieldPath 8:55"],
    );
    container(
        "env: [{name: A, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['a b']\"}}}]",
        &["Error format/value spec.containers[0].env[0].valueFrom.fieldRef.fieldPath 8:55"],
    );
    container("env: [{name: A, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['app']\"}}}]", &[]);
    container(
        "env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.gpu}}}]",
        &["Error format/value spec.containers[0].env[0].valueFrom.resourceFieldRef.resource 8:62"],
    );
    container(
        "securityContext: {privileged: true, allowPrivilegeEscalation: false}",
        &["Error relation/conflict spec.containers[0].securityContext.allowPrivilegeEscalation 8:67"],
    );
    container(
        "securityContext: {capabilities: {add: [CAP_SYS_ADMIN]}, allowPrivilegeEscalation: false}",
        &["Error relation/conflict spec.containers[0].securityContext.allowPrivilegeEscalation 8:87"],
    );
    container(
        "securityContext: {seccompProfile: {type: Localhost}}",
        &["Error field/required spec.containers[0].securityContext.seccompProfile.localhostProfile 8:39"],
    );
    container(
        "securityContext: {seccompProfile: {type: RuntimeDefault, localhostProfile: x}}",
        &["Error relation/conflict spec.containers[0].securityContext.seccompProfile.localhostProfile 8:80"],
    );
    container(
        "envFrom: [{prefix: 'a=b', configMapRef: {name: x}}]",
        &["Error format/name spec.containers[0].envFrom[0].prefix 8:24"],
    );
    container("restartPolicy: Sometimes", &["Error format/value spec.containers[0].restartPolicy 8:20"]);
}
