//! Which files of a folder are manifests.

use std::path::Path;

use base_world::World;

use super::*;

/// Files by name, and what is found of them.
#[expect(clippy::disallowed_methods, reason = "a test writes its files")]
fn check(files: &[(&str, &str)], named: &[&str], expect: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let paths: Vec<PathBuf> = named.iter().map(|name| folder.path().join(name)).collect();
    let world = World::real();
    let short = |path: &Path| path.strip_prefix(folder.path()).unwrap_or(path).display().to_string();
    let told: Vec<String> = match manifest_sources(&paths, world.disk.as_ref()) {
        Ok(sources) => sources
            .iter()
            .map(|source| match source {
                ManifestSource::File { path, .. } => format!("file {}", short(path)),
                ManifestSource::Kustomization(path) => format!("kustomization {}", short(path)),
                ManifestSource::Chart(path) => format!("chart {}", short(path)),
                ManifestSource::Template(path) => format!("template {}", short(path)),
            })
            .collect(),
        Err(report) => vec![report.one_line().replace(&folder.path().display().to_string(), "DIR")],
    };
    assert_eq!(told, expect);
}

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

#[test]
fn manifests_of_a_folder_are_found_and_other_files_are_not() {
    let files = [
        ("a.yaml", CONFIG),
        ("b/c.yml", CONFIG),
        ("b/d.json", r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"d"}}"#),
        ("values.yaml", "replicas: 1\n"),
        ("compose.yaml", "services: {web: {image: nginx}}\n"),
        ("notes.txt", CONFIG),
        (".hidden/a.yaml", CONFIG),
        ("node_modules/a.yaml", CONFIG),
        ("broken.yaml", "a: [\n"),
    ];
    check(&files, &[""], &["file a.yaml", "file b/c.yml", "file b/d.json", "file broken.yaml"]);
    check(&files, &["values.yaml"], &["file values.yaml"]);
    check(&files, &["none.yaml"], &["cannot open DIR/none.yaml: not found"]);
}

#[test]
fn what_others_render_is_named_as_a_folder() {
    let files = [
        ("k/kustomization.yaml", "resources: [a.yaml]\n"),
        ("k/a.yaml", CONFIG),
        ("k/overlays/prod/kustomization.yaml", "resources: [../..]\n"),
        ("h/Chart.yaml", "apiVersion: v2\nname: c\nversion: 0.1.0\n"),
        ("h/templates/a.yaml", "kind: {{ .Values.kind }}\n"),
        ("loose.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: \"{{ .Release.Name }}\"\n"),
    ];
    let expect = ["chart h", "kustomization k", "kustomization k/overlays/prod", "template loose.yaml"];
    check(&files, &[""], &expect);
    check(&files, &["k/kustomization.yaml"], &["kustomization k"]);
}
