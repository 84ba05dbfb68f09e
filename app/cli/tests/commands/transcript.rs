//! Commands that end by themselves, as transcripts: the files beside this one hold what is typed and what is answered.
//!
//! A case is `@ NAME` and `> LINE` for files of the project, `$ VARIABLE=x apm WORDS`, and the answer: stdout, then
//! `[stderr]` and its lines, then the exit code. `UPDATE=1` writes the answers anew, for a person to read.

use std::path::Path;

use crate::home::Home;

fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands").join(name);
    let expected = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut answered = String::new();
    for case in expected.split("\n\n\n").map(str::trim).filter(|case| !case.is_empty()) {
        answered.push_str(&answer(case));
    }
    if std::env::var_os("UPDATE").is_some() {
        return std::fs::write(&path, &answered).expect("the transcript is written");
    }
    for (answered, expected) in answered.split("\n\n\n").zip(expected.split("\n\n\n")) {
        assert_eq!(answered, expected, "{name} has another answer");
    }
    assert_eq!(answered.len(), expected.len(), "{name} differs at its end");
}

/// The case with what is answered now.
fn answer(case: &str) -> String {
    let home = Home::new();
    let (mut file, mut text, mut shown) = (String::from("apm.yaml"), String::new(), String::new());
    for line in case.lines() {
        shown.push_str(&format!("{line}\n"));
        if let Some(name) = line.strip_prefix("@ ") {
            (file, text) = (name.to_owned(), String::new());
        } else if let Some(content) = line.strip_prefix('>') {
            text.push_str(&format!("{}\n", content.strip_prefix(' ').unwrap_or(content)));
            home.write(&file, &text);
        } else if let Some(typed) = line.strip_prefix("$ ") {
            shown.push_str(&answer_to(&home, typed));
            break;
        } else {
            assert!(line.starts_with('#'), "`{line}` is neither a file, a command nor a remark");
        }
    }
    format!("{shown}\n\n")
}

fn answer_to(home: &Home, typed: &str) -> String {
    let (variables, words) = typed.split_once("apm").unwrap_or_else(|| panic!("`{typed}` starts no apm"));
    let mut command = home.apm(&words.split_whitespace().collect::<Vec<_>>());
    command.envs(variables.split_whitespace().filter_map(|pair| pair.split_once('=')));
    let ended = home.start(&mut command).ended();
    let code = ended.code.map_or("a signal".to_owned(), |code| code.to_string());
    let stderr = if ended.stderr.is_empty() { String::new() } else { format!("[stderr]\n{}", ended.stderr) };
    // No line of a file ends in blanks, and no two are empty.
    let text: Vec<&str> = ended.stdout.lines().chain(stderr.lines()).map(str::trim_end).collect();
    home.masked(&format!("{}\n[exit {code}]\n", text.join("\n")))
}

#[test]
fn help_and_slips_of_the_keyboard() {
    check("usage.txt");
}

#[test]
fn registries_are_named_rightly_or_not_asked() {
    check("registry.txt");
}

#[test]
fn query_tests_pass_or_say_what_came_instead() {
    check("test.txt");
}

#[test]
fn folders_that_hold_no_metrics_are_named() {
    check("blocks.txt");
}

#[test]
fn releases_are_explained_and_slips_are_named() {
    check("deploy.txt");
}

#[test]
fn dockerfiles_are_checked_and_mended() {
    check("docker.txt");
}

#[test]
fn manifests_are_checked_and_mended() {
    check("k8s.txt");
}

#[test]
fn settings_that_are_wrong_are_named_with_their_place() {
    check("settings.txt");
}

#[test]
fn what_goes_into_a_cluster_is_shown_and_slips_are_named() {
    check("install.txt");
}
