//! What a person, a program and a code host are given, letter by letter: the files of `golden/`. `APM_BLESS=1` writes them anew; read them before you keep
//! them.

use std::path::Path;

use crate::{File, Options, check, json, rules, sarif, text};

/// Findings of every severity, a fix of each kind, a comment that ignores, a tab, a letter of several bytes and a line too long to be shown whole.
fn files() -> Vec<File> {
    let long = format!("RUN echo {} && sudo true", "x".repeat(300));
    let shop = format!(
        "from debian\n# apm ignore=AD0103 reason=\"the registry is ours\"\nFROM debian:12\nENV API_TOKEN=hunter2-hunter2\nMAINTAINER someone\nADD grüße.txt\t/app/\n{long}\nUSER root\n"
    );
    let fine = "FROM scratch\nCOPY --chmod=0755 app /app\nUSER 65532:65532\nENTRYPOINT [\"/app\"]\n";
    let file = |path: &str, text: &str| {
        let checked =
            check(text, &Options { ignore: vec!["AD0901".to_owned(), "AD0704".to_owned()], ..Options::default() })
                .unwrap();
        File { path: path.to_owned(), text: text.to_owned(), checked }
    };
    vec![file("./my shop/Dockerfile", &shop), file("fine\\Dockerfile", fine)]
}

#[expect(clippy::disallowed_methods, reason = "a test compares with files and a blessed one is written")]
fn check_golden(name: &str, got: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("APM_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, got).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(got, kept, "{} is not what is said today", path.display());
}

#[test]
fn a_person_reads_places_and_what_to_do() {
    check_golden("shop.txt", &text(&files(), false));
    let colored = text(&files(), true);
    for code in ["\x1b[1;31mcritical[AD", "\x1b[1;31mhigh[AD", "\x1b[1;33mwarning[AD", "\x1b[1;36minfo[AD"] {
        assert!(colored.contains(code), "{code:?} is missing");
    }
    let plain = without_color(&colored);
    assert_eq!(plain, text(&files(), false), "colour changes nothing but colour");
    assert_eq!(text(&files()[1..], false), "1 file: nothing found; 2 ignored\n");
}

/// Without ANSI's colours.
fn without_color(text: &str) -> String {
    let mut parts = text.split('\x1b');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| out + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[test]
fn a_program_reads_offsets_and_edits() {
    check_golden("shop.json", &format!("{:#}\n", json(&files())));
}

#[test]
fn a_code_host_reads_sarif() {
    let mut log = sarif(&files(), "1.2.3");
    let listed = log["runs"][0]["tool"]["driver"]["rules"].as_array_mut().unwrap();
    assert_eq!(listed.len(), rules().len(), "the whole catalogue is told, so that a host can show what was looked for");
    listed.truncate(2);
    check_golden("shop.sarif", &format!("{log:#}\n"));
}
