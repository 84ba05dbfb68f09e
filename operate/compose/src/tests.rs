//! What `docker compose config` said of files, and what we say of them. The cases were recorded with Docker Compose 2.40.3: each names its files,
//! and stands under `=== compose` what it made of them, or under `=== refused` why it did not. What we do not carry out stands in
//! `unsupported.txt` with what is said about it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};

use crate::{Ask, Finding, Project, load};

#[derive(Default)]
struct Case {
    arguments: String,
    environment: BTreeMap<String, String>,
    files: BTreeMap<PathBuf, String>,
    answer: Option<Json>,
    refused: bool,
}

fn case(text: &str) -> Case {
    let mut case = Case::default();
    for part in text.split("=== ").filter(|part| !part.is_empty()) {
        let (head, rest) = part.split_once('\n').expect("a head line");
        match head.split_once(' ').unwrap_or((head, "")) {
            ("arguments", _) => case.arguments = rest.trim().to_owned(),
            ("environment", _) => {
                let pairs = rest.split_whitespace().filter_map(|pair| pair.split_once('='));
                case.environment = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            }
            ("file", name) => drop(case.files.insert(Path::new("/project").join(name), rest.to_owned())),
            ("compose", _) => case.answer = Some(serde_json::from_str(rest).expect("JSON")),
            ("refused", _) => case.refused = true,
            (other, _) => panic!("a case has no `{other}`"),
        }
    }
    case.environment.insert("HOME".into(), "/home/ann".into());
    case
}

fn ours(case: &Case) -> Result<Project, Vec<Finding>> {
    let mut words = case.arguments.split_whitespace();
    let (mut files, mut profiles) = (Vec::new(), Vec::new());
    while let Some(word) = words.next() {
        let value = words.next().expect("a value");
        match word {
            "-f" => files.push(Path::new("/project").join(value)),
            "--profile" => profiles.push(value.to_owned()),
            other => panic!("a case has no `{other}`"),
        }
    }
    if files.is_empty() {
        files.push("/project/compose.yml".into());
    }
    let read = |path: &Path| Ok(case.files.get(path).cloned());
    load(&Ask { files, name: None, profiles, environment: &case.environment, read: &read })
}

/// What both would call the same: compose writes a dollar twice, nothing as null, and the newer parts of networks as an empty map.
fn plain(value: &Json) -> Json {
    match value {
        Json::String(text) => Json::String(text.replace("$$", "$")),
        Json::Array(items) => items.iter().map(plain).collect(),
        Json::Object(fields) => {
            let empty = |value: &Json| value.as_object().is_some_and(Map::is_empty);
            let kept = fields.iter().filter(|(key, value)| {
                let nothing = value.is_null() && ["command", "entrypoint"].contains(&key.as_str());
                let nothing = nothing || empty(value) && ["ipam", "placement", "bind"].contains(&key.as_str());
                !nothing && !key.starts_with("x-")
            });
            // Compose sorts hosts, and their order means nothing.
            let sorted = |key: &str, value: Json| match value {
                Json::Array(mut items) if key == "extra_hosts" => {
                    items.sort_by_key(Json::to_string);
                    Json::Array(items)
                }
                value => value,
            };
            Json::Object(kept.map(|(key, value)| (key.clone(), sorted(key, plain(value)))).collect())
        }
        Json::Number(number) => number.as_f64().map_or(value.clone(), Json::from),
        other => other.clone(),
    }
}

/// Where two answers differ.
fn differences(path: &str, theirs: &Json, ours: &Json, found: &mut Vec<String>) {
    match (theirs, ours) {
        (Json::Object(one), Json::Object(other)) => {
            let keys: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let missing = Json::String("(not there)".into());
                let (one, other) = (one.get(key).unwrap_or(&missing), other.get(key).unwrap_or(&missing));
                differences(&format!("{path}.{key}"), one, other, found);
            }
        }
        (one, other) if one == other => {}
        (one, other) => found.push(format!("{path}: compose {one}, ours {other}")),
    }
}

#[test]
fn files_are_read_as_docker_compose_reads_them() {
    let mut wrong = Vec::new();
    let mut count = (0, 0);
    for (name, text) in CASES {
        let case = case(text);
        match (&case.answer, ours(&case)) {
            (Some(theirs), Ok(project)) => {
                count.0 += 1;
                let mut found = Vec::new();
                differences("", &plain(theirs), &plain(&project.root.json()), &mut found);
                wrong.extend(found.into_iter().map(|line| format!("{name}{line}")));
            }
            (None, Err(findings)) => {
                count.1 += 1;
                assert!(case.refused && !findings.is_empty(), "{name}");
                let placed = |finding: &Finding| finding.place.line > 0 && !finding.hint.is_empty();
                assert!(findings.iter().all(placed), "{name}: {findings:?}");
            }
            (None, Ok(_)) => wrong.push(format!("{name}: compose refuses it, we do not")),
            (Some(_), Err(findings)) => {
                let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
                wrong.push(format!("{name}: refused: {}", lines.join("; ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count.0 >= 29 && count.1 >= 20, "too few cases: {count:?}");
}

macro_rules! cases {
    ($($name:literal)*) => { &[$(($name, include_str!(concat!("corpus/", $name, ".case")))),*] };
}

const CASES: &[(&str, &str)] = cases! {
    "anchors" "bad_dollar" "bad_form" "bad_port" "bad_range" "bad_size" "bad_time" "commands" "depends" "depends_circle"
    "depends_missing" "depends_optional" "dotenv" "env_file" "environment_list" "environment_map" "extends" "extends_file"
    "extends_missing" "health" "include" "interpolation" "limits" "merged" "merged_logging" "name" "network_missing"
    "networks" "no_image" "not_a_map" "numbers" "ports_long" "ports_short" "profiles" "profiles_needed" "profiles_none"
    "required_missing" "reset" "rest" "secret_missing" "secrets" "smallest" "twice" "unknown_key" "unknown_top"
    "volume_missing" "volumes_long" "volumes_named" "volumes_short"
};

/// Every message with its place.
fn said(yaml: &str) -> String {
    let environment = BTreeMap::new();
    let read = |path: &Path| Ok((path == Path::new("/p/c.yml")).then(|| yaml.to_owned()));
    let ask = Ask {
        files: vec!["/p/c.yml".into()],
        name: None,
        profiles: Vec::new(),
        environment: &environment,
        read: &read,
    };
    let (notes, errors) = match load(&ask) {
        Ok(project) => (project.notes, Vec::new()),
        Err(errors) => (Vec::new(), errors),
    };
    let lines = notes.iter().map(|note| format!("note {note} ({})\n", note.hint));
    lines.chain(errors.iter().map(|error| format!("{error} ({})\n", error.hint))).collect()
}

#[test]
fn nothing_is_left_out_in_silence() {
    let (files, expect) = include_str!("corpus/unsupported.txt").split_once("\n=== said\n").expect("two parts");
    assert_eq!(said(files).trim(), expect.trim());
    assert_eq!(
        said("services:\n  web:\n    image: a:$TAG\n    develop: {watch: []}\n    build: .\n"),
        "note /p/c.yml:3:12: the variable `TAG` is not set; nothing stands in its place (set it, or write `${TAG:-}`)\n\
         note /p/c.yml:4:5: `develop` of service `web` is not needed (it is for watching sources, which a release does not)\n\
         note /p/c.yml:5:5: `build` of service `web` is not needed (the image is taken as it is, and not built)\n"
    );
}

#[test]
fn bombs_and_circles_are_refused() {
    let mut bomb = String::from("x-a: &a [1,2,3,4,5,6,7,8,9,0]\n");
    for (one, next) in "abcdefgh".chars().zip("bcdefghi".chars()) {
        bomb.push_str(&format!(
            "x-{next}: &{next} [*{one},*{one},*{one},*{one},*{one},*{one},*{one},*{one},*{one},*{one}]\n"
        ));
    }
    assert!(said(&bomb).contains("copy too much"), "{}", said(&bomb));
    assert!(said("include: [c.yml]\nservices: {}\n").contains("in a circle"));
    let extends = "services: {a: {image: a, extends: b}, b: {image: b, extends: a}}";
    assert!(said(extends).contains("in a circle"), "{}", said(extends));
    let nested = format!("services: {{a: {{image: \"{}x{}\"}}}}", "${A:-".repeat(50), "}".repeat(50));
    assert!(said(&nested).contains("too deep"), "{}", said(&nested));
}
