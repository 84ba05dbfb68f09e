//! `apm k8s check` beside the programs that render, and what it does to files.

use std::io::Write;

use crate::home::Home;

const POD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: web, image: \"web:latest\"}]}\n";

/// What is printed and noted, and the exit code.
fn check(home: &Home, words: &str, code: i32, expect: &[&str]) {
    let words: Vec<&str> = ["k8s", "check"].into_iter().chain(words.split_whitespace()).collect();
    let ended = home.start(&mut home.apm(&words)).ended();
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.code, Some(code), "{words:?}: {said}");
    for part in expect {
        assert!(said.contains(part), "{words:?} says no `{part}`: {said}");
    }
}

#[test]
fn charts_and_kustomizations_are_rendered_by_their_programs() {
    let home = Home::new();
    let made = format!("[ \"$1 $2\" = \"$WANT\" ] || {{ echo \"asked for $*\" >&2; exit 1; }}\nprintf '%s' '{POD}'");
    home.program("kustomize", &made.replace("$WANT", "build prod"));
    home.program("helm", &made.replace("$WANT", "template release"));
    home.write("prod/kustomization.yaml", "resources: [web.yaml]\n");
    home.write("shop/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 0.1.0\n");
    home.write("shop/templates/web.yaml", "kind: {{ .Values.kind }}\n");
    let both = ["prod (kustomize):4:40", "shop (helm):4:40", "2 files: 2 warning"];
    check(&home, "--rule latest-tag", 1, &both);
    check(&home, "prod --rule latest-tag --fail-on high", 0, &["1 warning"]);
    check(&home, "prod --rule AK0502 --fix=suggested", 2, &["prod (kustomize) cannot be mended: it is no file"]);
    home.program("helm", "echo 'values are missing' >&2; exit 1");
    check(&home, "shop", 3, &["`helm` cannot render shop", "values are missing"]);
}

#[test]
fn standard_input_is_read_and_not_mended() {
    let home = Home::new();
    let words = ["k8s", "check", "-", "--rule", "latest-tag", "--output", "sarif"];
    let mut child = home
        .apm(&words)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("it listens").write_all(POD.as_bytes()).expect("it reads");
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(1));
    let log: serde_json::Value = serde_json::from_slice(&ended.stdout).expect("it is JSON");
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "AK0201");
}

#[test]
fn a_mended_file_keeps_its_comments_its_mode_and_its_link() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let text = "# the front\napiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  serviceAccount: web # its own\n  containers: [{name: web, image: \"web:1\"}]\n";
    let path = home.write("real/web.yaml", text);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("the mode is set");
    let link = home.path("shop").join("web.yaml");
    std::os::unix::fs::symlink("real/web.yaml", &link).expect("a link is made");
    check(&home, "web.yaml --fix --rule AK0103", 0, &["web.yaml: mended 1", "1 file: nothing found"]);
    assert_eq!(home.read("real/web.yaml"), text.replace("serviceAccount:", "serviceAccountName:"));
    assert!(link.is_symlink());
    assert_eq!(std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_file_of_fifty_megabytes_is_refused() {
    let home = Home::new();
    home.write("large.yaml", "");
    let file = std::fs::OpenOptions::new().write(true).open(home.path("shop").join("large.yaml")).expect("it is there");
    file.set_len(50 << 20).expect("it grows");
    check(&home, "large.yaml", 3, &["large.yaml", "52428800 bytes"]);
}
