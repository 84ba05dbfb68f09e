//! The docker commands that do the same by hand, for `--dry-run` and for whoever wants to know. Values of build arguments are not shown: people put secrets
//! there.

/// What was asked of a build.
#[derive(Debug, Clone, Default)]
pub struct Asked<'a> {
    pub context: &'a str,
    /// Empty: the context's own Dockerfile.
    pub file: &'a str,
    pub target: &'a str,
    pub tags: &'a [String],
    /// Names.
    pub args: Vec<&'a str>,
    pub labels: Vec<(String, String)>,
    pub platform: &'a str,
    pub cache_from: &'a [String],
}

/// `docker build …` for the classic builder.
pub fn docker_build(asked: &Asked<'_>) -> String {
    let mut words = vec!["DOCKER_BUILDKIT=0 docker build".to_owned()];
    let mut add = |flag: &str, value: &str| {
        if !value.is_empty() {
            words.push(format!("--{flag} {}", quoted(value)));
        }
    };
    add("file", asked.file);
    add("target", asked.target);
    add("platform", asked.platform);
    asked.cache_from.iter().for_each(|image| add("cache-from", image));
    asked.args.iter().for_each(|name| add("build-arg", name));
    asked.labels.iter().for_each(|(key, value)| add("label", &format!("{key}={value}")));
    asked.tags.iter().for_each(|tag| add("tag", tag));
    words.push(quoted(if asked.context.is_empty() { "." } else { asked.context }));
    words.join(" ")
}

/// As a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
