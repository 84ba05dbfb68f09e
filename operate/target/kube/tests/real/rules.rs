//! Rules in CEL of CustomResourceDefinitions are judged offline as this server judges them by server-side dry-run, in its own words; nothing that it
//! takes is refused.

use std::time::Duration;

use connect_kube::{DeleteOptions, Resource, WriteOptions};
use lib_yaml_edit::Limits;
use operate_manifest::{Target, Verdict, read, validate};
use serde_json::{Value, json};

use crate::rig::Rig;

#[path = "../../../../manifest/corpus/rules.rs"]
mod corpus;

const CORPUS: &str = include_str!("../../../../manifest/corpus/rules.yaml");

/// What the server says of an object that is made, without making it: none, or its refusal.
async fn said(resource: &Resource, namespace: &str, object: &Value) -> Option<String> {
    let options = WriteOptions { strict: true, ..WriteOptions::by("apm").dry() };
    match Rig::cluster().create(resource, namespace, object, &options).await {
        Ok(_) => None,
        Err(error) => {
            let said = error.said().unwrap_or_else(|| panic!("{}: {error}", object["metadata"]["name"]));
            Some(said.message.clone())
        }
    }
}

fn verdicts(case: &corpus::Case, minor: u8) -> Vec<Verdict> {
    let mut all = vec![case.definition.clone()];
    all.extend(case.objects.clone());
    let text = json!({ "apiVersion": "v1", "kind": "List", "items": all }).to_string();
    validate(&read("case", &text, &Limits::default()).expect("manifests").objects, &Target { minor })
}

fn definitions() -> Resource {
    Resource::cluster_wide("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions")
}

fn name(case: &corpus::Case) -> &str {
    case.definition["metadata"]["name"].as_str().expect("a name")
}

/// Of the definition; it is made if it can be and has objects.
async fn of_definition(case: &corpus::Case) -> Option<String> {
    let said = said(&definitions(), "", &case.definition).await;
    if said.is_none() && !case.objects.is_empty() {
        let options = WriteOptions::by("apm");
        Rig::cluster().create(&definitions(), "", &case.definition, &options).await.expect("the server does as asked");
    }
    said
}

/// Of its objects, in order; the definition is taken away.
async fn of_objects(case: &corpus::Case, namespace: &str) -> Vec<Option<String>> {
    let cluster = Rig::cluster();
    cluster.wait_established(name(case), "v1", Duration::from_secs(60)).await.expect("the server does as asked");
    let names = &case.definition["spec"]["names"];
    let (kind, plural) = (names["kind"].as_str().expect("a kind"), names["plural"].as_str().expect("a plural"));
    let resource = Resource::namespaced(&format!("{}/v1", corpus::GROUP), kind, plural);
    let mut answers = Vec::new();
    for object in &case.objects {
        answers.push(said(&resource, namespace, object).await);
    }
    cluster
        .delete(&definitions().at("", name(case)), &DeleteOptions::default())
        .await
        .expect("the server does as asked");
    answers
}

#[test]
fn rules_are_judged_offline_as_by_this_server() {
    let rig = Rig::new("rules");
    let minor =
        rig.block_on(async { Rig::cluster().version().await }).expect("a version").numbers().expect("numbers").1;
    let minor = u8::try_from(minor).expect("a minor version");
    let (mut count, mut same, mut wrong) = (0, 0, Vec::new());
    let cases = corpus::cases(CORPUS);
    // All are made before the first is waited for.
    let made: Vec<_> = cases.iter().map(|case| rig.block_on(of_definition(case))).collect();
    for (case, said) in cases.iter().zip(made) {
        let mut answers = vec![said];
        if answers[0].is_none() && !case.objects.is_empty() {
            answers.extend(rig.block_on(of_objects(case, &rig.namespace)));
        }
        for (verdict, answer) in verdicts(case, minor).iter().zip(&answers) {
            count += 1;
            same += usize::from(verdict.accepts() == answer.is_none());
            match answer {
                None if !verdict.accepts() => {
                    wrong.push(format!("{}: refused, though the server takes it: {:?}", case.name, verdict.findings));
                }
                Some(said) => {
                    let unlike = |finding: &&operate_manifest::Finding| {
                        finding.rule == "custom/rule" && !said.contains(&finding.what)
                    };
                    wrong.extend(
                        verdict.findings.iter().find(unlike).map(|f| format!("{}: {} | {said}", case.name, f.what)),
                    );
                }
                None => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(same * 100 >= count * 95, "{same} of {count} are the same");
}
