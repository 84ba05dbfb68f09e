//! The guide's tables, and that other tools' rules are covered.

use std::path::Path;

use crate::*;

/// hadolint 2.15: three numbers of the row are no longer in use there.
fn hadolint() -> Vec<String> {
    let row = (3000..=3066).filter(|number| ![3017, 3031, 3039].contains(number));
    let rest = [1001, 4000, 4001, 4003, 4004, 4005, 4006];
    row.chain(rest).map(|number| format!("DL{number}")).collect()
}

/// The checks that `docker build --check` documents, but for the one that needs the image itself.
const BUILDKIT: &[&str] = &[
    "StageNameCasing",
    "FromAsCasing",
    "NoEmptyContinuation",
    "ConsistentInstructionCasing",
    "DuplicateStageName",
    "ReservedStageName",
    "JSONArgsRecommended",
    "MaintainerDeprecated",
    "UndefinedArgInFrom",
    "WorkdirRelativePath",
    "UndefinedVar",
    "MultipleInstructionsDisallowed",
    "LegacyKeyValueFormat",
    "RedundantTargetPlatform",
    "SecretsUsedInArgOrEnv",
    "InvalidDefaultArgInFrom",
    "FromPlatformFlagConstDisallowed",
    "CopyIgnoredFile",
    "InvalidDefinitionDescription",
    "ExposeProtoCasing",
    "ExposeInvalidFormat",
];

#[test]
fn what_other_tools_check_is_checked() {
    let theirs: Vec<String> = hadolint().into_iter().chain(BUILDKIT.iter().map(|name| (*name).to_owned())).collect();
    assert_eq!((theirs.len(), BUILDKIT.len()), (71 + 21, 21));
    let missing: Vec<&String> = theirs.iter().filter(|name| named(name).next().is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The two tables of the guide.
fn tables() -> String {
    let mut out = String::from("| rule | severity | what it finds | elsewhere |\n|---|---|---|---|\n");
    for rule in rules() {
        out.push_str(&format!(
            "| {} `{}` | {} | {} | {} |\n",
            rule.id,
            rule.name,
            rule.severity.name(),
            rule.title,
            rule.also.join(", ")
        ));
    }
    out.push_str("\n### From hadolint and BuildKit\n\n| theirs | ours |\n|---|---|\n");
    let mut theirs = hadolint();
    theirs.sort();
    theirs.extend(BUILDKIT.iter().map(|name| (*name).to_owned()));
    for name in theirs {
        let ours: Vec<&str> = named(&name).map(|rule| rule.id).collect();
        out.push_str(&format!("| {name} | {} |\n", ours.join(", ")));
    }
    out
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the guide repeats the catalogue")]
fn the_guide_lists_the_rules_as_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/check-dockerfiles.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once("<!-- rules -->\n").unwrap();
    let (listed, tail) = rest.split_once("<!-- /rules -->").unwrap();
    if std::env::var_os("APM_BLESS").is_some() {
        return std::fs::write(&path, format!("{head}<!-- rules -->\n{}<!-- /rules -->{tail}", tables())).unwrap();
    }
    assert_eq!(listed, tables(), "APM_BLESS=1 cargo test -p operate-dockerfile writes them anew");
}
