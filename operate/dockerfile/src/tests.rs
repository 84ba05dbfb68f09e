//! Tests of the whole: the corpus, properties, limits.
//!
//! A corpus file has cases: a line `===== name | option …`, the Dockerfile, a line `-----`, and the expected findings as
//! `ID line:column`, `+safe` or `+suggested` where there is an edit. Options: `target=`, `registry=`, `context=`,
//! `no-dockerignore`, `dockerignore=a,b`, `label=key:form[!]`, `strict-labels`. The first line of a file, `quiet: ID …`,
//! names rules that its cases do not look at. `APM_BLESS=1` writes what is found; read it before you keep it.

mod expansion;
mod guide;
mod limits;
mod output;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use crate::*;

struct Case {
    header: String,
    text: String,
    expect: Vec<String>,
}

fn corpus_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[expect(clippy::disallowed_methods, reason = "a test reads its corpus")]
fn read(path: &Path) -> (Vec<String>, Vec<Case>) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut parts = text.split("===== ");
    let quiet = parts.next().unwrap().trim().strip_prefix("quiet:").unwrap_or("").split_whitespace().map(str::to_owned);
    let case = |part: &str| {
        let (header, rest) = part.split_once('\n').unwrap();
        let (text, expect) = rest.split_once("-----\n").unwrap_or((rest, ""));
        let expect = expect.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
        Case { header: header.trim().to_owned(), text: text.to_owned(), expect }
    };
    (quiet.collect(), parts.map(case).collect())
}

fn options(header: &str, quiet: &[String]) -> Options {
    let mut options = Options { ignore: quiet.to_vec(), ..Options::default() };
    for word in header.split_once('|').map_or("", |(_, words)| words).split_whitespace() {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "target" => options.target = Some(value.to_owned()),
            "registry" => options.allowed_registries.push(value.to_owned()),
            "context" => options.named_contexts.push(value.to_owned()),
            "file" => options.context_files.push(value.to_owned()),
            "no-dockerignore" => options.dockerignore = Some(None),
            "dockerignore" => options.dockerignore = Some(Some(value.replace(',', "\n"))),
            "strict-labels" => options.strict_labels = true,
            "label" => {
                let (key, form) = value.split_once(':').unwrap();
                let form = match form.trim_end_matches('!') {
                    "url" => LabelForm::Url,
                    "time" => LabelForm::Time,
                    "licence" => LabelForm::Licence,
                    "commit" => LabelForm::Commit,
                    "version" => LabelForm::Version,
                    "email" => LabelForm::Email,
                    _ => LabelForm::Text,
                };
                options.labels.push(LabelRule { key: key.to_owned(), form, required: value.ends_with('!') });
            }
            other => panic!("no option `{other}`"),
        }
    }
    options
}

fn told(checked: &Checked) -> Vec<String> {
    let line = |finding: &Finding| {
        let edit = match finding.fix.as_ref().map(|fix| fix.safety) {
            Some(Safety::Safe) => " +safe",
            Some(Safety::Suggested) => " +suggested",
            None => "",
        };
        format!("{} {}:{}{edit}", finding.rule.id, finding.at.line, finding.at.column)
    };
    checked.findings.iter().map(line).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a blessed corpus is written")]
fn the_corpus_is_found_as_expected() {
    let bless = std::env::var_os("APM_BLESS").is_some();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for path in corpus_files() {
        let (quiet, cases) = read(&path);
        let mut blessed = format!("quiet: {}\n", quiet.join(" "));
        for case in &cases {
            count += 1;
            let found = told(&check(&case.text, &options(&case.header, &quiet)).unwrap());
            if found != case.expect {
                wrong.push(format!(
                    "{}: {}\n  expected {:?}\n  found    {found:?}",
                    path.display(),
                    case.header,
                    case.expect
                ));
            }
            blessed.push_str(&format!("\n===== {}\n{}-----\n", case.header, case.text));
            found.iter().for_each(|line| blessed.push_str(&format!("{line}\n")));
        }
        if bless {
            std::fs::write(&path, blessed).unwrap();
        }
    }
    assert!(bless || wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 150, "the corpus has {count} Dockerfiles");
}

#[test]
fn every_rule_of_the_catalogue_is_found_somewhere_in_the_corpus() {
    let mut seen = BTreeSet::new();
    for path in corpus_files() {
        let (quiet, cases) = read(&path);
        for case in cases {
            let checked = check(&case.text, &options(&case.header, &quiet)).unwrap();
            seen.extend(checked.findings.iter().map(|finding| finding.rule.id));
        }
    }
    let missing: Vec<&str> = rules().iter().map(|rule| rule.id).filter(|id| !seen.contains(id)).collect();
    assert!(missing.is_empty(), "never found: {missing:?}");
}

fn corpus() -> Vec<(String, Options)> {
    let cases = corpus_files().into_iter().flat_map(|path| {
        let (quiet, cases) = read(&path);
        cases.into_iter().map(move |case| (case.text, options(&case.header, &quiet)))
    });
    cases.collect()
}

fn mended_twice_is_mended_once(text: &str, options: &Options) {
    for safety in [Safety::Safe, Safety::Suggested] {
        let once = mend(text, options, safety).unwrap();
        let twice = mend(&once.text, options, safety).unwrap();
        assert_eq!(twice.text, once.text, "mending {safety:?} of {text:?}");
        let (edits, _) = chosen(&check(text, options).unwrap().findings, safety);
        let apart = edits.windows(2).all(|pair| pair[0].span.end < pair[1].span.start);
        assert!(apart, "edits overlap in {text:?}: {edits:?}");
    }
}

#[test]
fn mending_the_corpus_ends_and_edits_never_overlap() {
    for (text, options) in corpus() {
        assert_eq!(Dockerfile::parse(&text).print(), text);
        mended_twice_is_mended_once(&text, &options);
    }
}

/// What the builder would see: keywords in upper case, stage names in lower case, flags, words, heredocs. Safe edits must
/// leave all of it alone, but for the flag that says what is so anyway.
fn meaning(text: &str) -> Vec<String> {
    let file = Dockerfile::parse(text);
    let scope = Scope::default();
    let plain = |word: &Word| expand(&word.raw, &scope, file.escape).text.unwrap_or_default();
    let of = |it: &Instruction| {
        let mut parts = vec![it.kind.name().to_owned()];
        let redundant = |flag: &&Flag| !matches!(flag.value.as_deref(), Some("$TARGETPLATFORM" | "${TARGETPLATFORM}"));
        parts.extend(it.flags.iter().filter(redundant).map(|flag| format!("--{}={:?}", flag.name, flag.value)));
        match it.kind {
            Kind::Env | Kind::Label => parts
                .extend(it.pairs().iter().map(|(key, value)| format!("{}={:?}", key.value, value.as_ref().map(plain)))),
            Kind::From => {
                let lower =
                    |(at, word): (usize, &Word)| if at == 0 { word.raw.clone() } else { word.raw.to_lowercase() };
                parts.extend(it.words.iter().enumerate().map(lower));
            }
            Kind::Expose => parts.extend(it.words.iter().map(|word| word.raw.to_lowercase())),
            Kind::Onbuild => parts
                .extend(it.inner.iter().flat_map(|inner| [inner.keyword.raw.clone(), inner.rest_text().to_owned()])),
            _ => parts.push(it.rest_text().to_owned()),
        }
        parts.extend(it.heredocs.iter().map(|heredoc| heredoc.body.of(text).to_owned()));
        parts.join(" ")
    };
    file.instructions.iter().map(of).collect()
}

#[test]
fn safe_edits_leave_alone_what_the_builder_sees() {
    let mut changed = 0;
    for (text, options) in corpus() {
        let after = mend(&text, &options, Safety::Safe).unwrap();
        changed += usize::from(after.text != text);
        assert_eq!(meaning(&after.text), meaning(&text), "{text}");
    }
    assert!(changed >= 8, "only {changed} files of the corpus have safe edits");
}

fn piece() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "FROM",
        "from",
        "RUN",
        "COPY",
        "ADD",
        "ENV",
        "ARG",
        "CMD",
        "ENTRYPOINT",
        "LABEL",
        "EXPOSE",
        "ONBUILD",
        "HEALTHCHECK",
        "SHELL",
        "USER",
        "VOLUME",
        "WORKDIR",
        "MAINTAINER",
        "STOPSIGNAL",
        "as",
        "AS",
        "Build",
        "debian:12",
        "scratch",
        "--platform=$TARGETPLATFORM",
        "--from=0",
        "--mount=type=cache,target=/x",
        "<<EOF",
        "<<-'E'",
        "EOF",
        "E",
        "\\\n",
        "\n",
        "\r\n",
        "\t",
        " ",
        "  ",
        "#",
        "# escape=`\n",
        "# syntax=x\n",
        "`\n",
        "[\"a\", \"b\"]",
        "['a']",
        "$A",
        "${A:-b}",
        "${A##*/}",
        "${A//b/c}",
        "\"",
        "'",
        "\\",
        "=",
        "A=b",
        "a b c",
        "apt-get install -y x",
        "apt install",
        "&&",
        "|",
        ";",
        "$(",
        ")",
        "curl x | sh",
        "80/TCP",
        "# apm ignore=AD0101 reason=\"x\"\n",
        "# hadolint ignore=DL3006\n",
        "é",
        "\u{feff}",
        "\0",
    ]);
    words.prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_printed_as_they_were_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        match std::str::from_utf8(&bytes) {
            Ok(text) => prop_assert_eq!(Dockerfile::parse(text).print(), text),
            Err(error) => {
                let refused = check_bytes(&bytes, &Options::default());
                prop_assert_eq!(refused.unwrap_err(), Refused::NotText { offset: error.valid_up_to() });
            }
        }
        let lossy = String::from_utf8_lossy(&bytes);
        prop_assert_eq!(Dockerfile::parse(&lossy).print(), lossy.as_ref());
        check(&lossy, &Options::default()).unwrap();
    }

    #[test]
    fn pieces_of_dockerfiles_are_read_checked_and_mended(pieces in prop::collection::vec(piece(), 0..60), blanks in any::<u64>()) {
        let mut text = String::new();
        for (at, piece) in pieces.iter().enumerate() {
            text.push_str(piece);
            if blanks >> (at % 64) & 1 == 1 {
                text.push(' ');
            }
        }
        let file = Dockerfile::parse(&text);
        prop_assert_eq!(file.print(), text.as_str());
        for it in &file.instructions {
            for word in &it.words {
                prop_assert!(text.get(word.span.start..word.span.end).is_some());
            }
        }
        for finding in check(&text, &Options::default()).unwrap().findings {
            prop_assert!(text.get(finding.span.start..finding.span.end).is_some(), "{:?}", finding);
        }
        mended_twice_is_mended_once(&text, &Options::default());
        let after = mend(&text, &Options::default(), Safety::Safe).unwrap();
        prop_assert_eq!(meaning(&after.text), meaning(&text), "{:?} became {:?}", text, after.text);
    }
}
