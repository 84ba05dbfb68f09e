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

#[path = "../../../../manifest/corpus/costs.rs"]
mod costs;

const COSTS: &str = include_str!("../../../../manifest/corpus/costs-1.36.jsonl");
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
    judged(&all, minor)
}

fn judged(all: &[Value], minor: u8) -> Vec<Verdict> {
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

fn minor(rig: &Rig) -> u8 {
    let version = rig.block_on(async { Rig::cluster().version().await }).expect("a version");
    u8::try_from(version.numbers().expect("numbers").1).expect("a minor version")
}

/// The same factor, by which a rule is too costly, in the same words.
#[test]
fn rules_are_as_costly_as_this_server_finds_them() {
    let rig = Rig::pretended("costs");
    let minor = minor(&rig);
    let (mut wrong, mut costly) = (Vec::new(), 0);
    for case in costs::cases(COSTS) {
        let verdict = judged(std::slice::from_ref(&case.definition), minor).remove(0);
        let said = rig.block_on(said(&definitions(), "", &case.definition));
        costly += usize::from(said.is_some());
        let told = verdict.findings.iter().find(|one| one.what.contains("exceeds budget"));
        let is_same = match (told, &said) {
            (Some(told), Some(said)) => said.contains(&told.what),
            (Some(_), None) => false,
            (None, said) => said.is_none(),
        };
        if !is_same || said.is_some() != case.said.is_some() {
            wrong.push(format!("{}: {told:?}, and the server: {said:?}", case.rule));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(costly > 140, "{costly}");
}

#[test]
fn rules_are_judged_offline_as_by_this_server() {
    let rig = Rig::new("rules");
    let minor = minor(&rig);
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
