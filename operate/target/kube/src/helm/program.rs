//! The person's own `helm`, run once: with a time limit, ended when nobody waits for it any more, its words bounded and without the values that
//! were given to it. It decides nothing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use lib_yaml_edit::Node;
use operate_plan::{Class, Digest, Failure, digest};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::files::Files;
use super::post::hidden_of;
use super::{At, Helm};

const OUTPUT_BYTES_MAX: u64 = 50 << 20;
const WORDS_BYTES_MAX: u64 = 1 << 20;
/// Of its words, what a person is told.
const TOLD_CHARS_MAX: usize = 1_500;
/// Shorter values stand in every sentence.
const HIDDEN_CHARS_MIN: usize = 6;
/// Helm's record has to fit into a Secret of 1 MiB, and the chart is in it.
const CHART_BYTES_MAX: u64 = 1 << 20;
/// Unpacked.
const CONTENT_BYTES_MAX: u64 = 64 << 20;
const LOCAL_TIME_MAX: Duration = Duration::from_secs(60);
const FETCH_TIME_MAX: Duration = Duration::from_secs(120);
/// What would have it speak to another cluster, or as somebody else, than this target does.
const NOT_PASSED: [&str; 11] = [
    "HELM_KUBEAPISERVER",
    "HELM_KUBEASGROUPS",
    "HELM_KUBEASUSER",
    "HELM_KUBECAFILE",
    "HELM_KUBECONTEXT",
    "HELM_KUBEINSECURE_SKIP_TLS_VERIFY",
    "HELM_KUBETLS_SERVER_NAME",
    "HELM_KUBETOKEN",
    "HELM_NAMESPACE",
    "HELM_DEBUG",
    "HELM_DRIVER_SQL_CONNECTION_STRING",
];

/// A chart to be packed: a folder, an archive, or one that is elsewhere.
#[derive(Debug, Clone)]
pub struct Pack<'a> {
    pub chart: &'a str,
    /// Of a chart that is elsewhere.
    pub version: Option<&'a str>,
}

/// A chart as one file.
pub struct Packed {
    pub archive: Vec<u8>,
    /// A digest of the files in it, whenever they were packed.
    pub content: String,
}

/// A chart to be rendered.
pub struct Render<'a> {
    pub namespace: &'a str,
    pub release: &'a str,
    /// The archive.
    pub chart: &'a [u8],
    /// Texts, a later one wins.
    pub values: &'a [Vec<u8>],
    /// `1.34.2`
    pub kubernetes: &'a str,
    /// Its record says that a helm is at work.
    pub hangs: bool,
    /// What the post-renderer is told; none: there is none.
    pub post: Option<&'a [u8]>,
}

/// One call.
pub(crate) struct Call<'a> {
    pub(crate) words: Vec<OsString>,
    pub(crate) input: Stdio,
    pub(crate) limit: Duration,
    /// Values that must not be told.
    pub(crate) hidden: &'a [(String, String)],
}

impl<'a> Call<'a> {
    pub(crate) fn new(words: &[&str], limit: Duration) -> Call<'a> {
        let words = words.iter().map(|word| OsString::from(*word)).collect();
        Call { words, input: Stdio::null(), limit, hidden: &[] }
    }

    pub(crate) fn option(&mut self, name: &str, value: impl Into<OsString>) {
        self.words.push(name.into());
        self.words.push(value.into());
    }
}

impl Helm {
    /// What it wrote to its output.
    pub(crate) async fn run(&self, call: Call<'_>) -> Result<Vec<u8>, Failure> {
        let doing = call.words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
        let mut command = tokio::process::Command::new(&self.program);
        command.args(&call.words).stdin(call.input).stdout(Stdio::piped()).stderr(Stdio::piped());
        // The records that are read are those of Secrets.
        command.kill_on_drop(true).env("HELM_DRIVER", "secret");
        for name in NOT_PASSED {
            command.env_remove(name);
        }
        if let Some(kubeconfig) = &self.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        let mut child = command.spawn().map_err(|error| missing(&self.program, &error))?;
        let (output, words) = (child.stdout.take(), child.stderr.take());
        let ended = async {
            let (output, words) = tokio::join!(bounded(output, OUTPUT_BYTES_MAX), bounded(words, WORDS_BYTES_MAX));
            (child.wait().await, output, words)
        };
        let Ok((status, output, words)) = tokio::time::timeout(call.limit, ended).await else {
            let message = format!("`helm {doing}` took longer than {} s and was ended", call.limit.as_secs());
            return Err(Failure::new(Class::Transient, "helm.timeout", message, "raise `kubernetes.helm.timeout`"));
        };
        match status {
            Ok(status) if status.success() && output.len() as u64 <= OUTPUT_BYTES_MAX => Ok(output),
            Ok(status) if status.success() => {
                let message = format!("`helm {doing}` wrote more than {OUTPUT_BYTES_MAX} bytes");
                Err(Failure::new(Class::Invalid, "helm.failed", message, "make the chart smaller"))
            }
            Ok(_) => Err(failed(&doing, &told(&String::from_utf8_lossy(&words), call.hidden))),
            Err(error) => {
                Err(Failure::new(Class::Transient, "helm.failed", format!("helm was lost: {error}"), "try again"))
            }
        }
    }

    /// A call about a release of the cluster; its name is the second word.
    pub(crate) fn on<'a>(&self, at: &At, words: &[&str], limit: Duration) -> Call<'a> {
        let mut call = Call::new(words, limit);
        call.words.insert(call.words.len().min(1), (&at.name).into());
        call.option("--namespace", &at.namespace);
        if let Some(context) = &self.context {
            call.option("--kube-context", context);
        }
        call
    }

    /// The chart as one archive, with everything that it needs.
    pub async fn pack(&self, pack: &Pack<'_>) -> Result<Packed, Failure> {
        let is_folder = Path::new(pack.chart).is_dir();
        if !is_folder && Path::new(pack.chart).is_file() {
            return self.one(Path::new(pack.chart));
        }
        super::lock::private(&self.folder)?;
        let files = Files::own(&self.folder, "pack")?;
        let mut call = match is_folder {
            true => Call::new(&["package"], LOCAL_TIME_MAX),
            false => Call::new(&["pull"], FETCH_TIME_MAX),
        };
        call.words.push(pack.chart.into());
        call.option("--destination", files.path());
        if let (false, Some(version)) = (is_folder, pack.version) {
            call.option("--version", version);
        }
        self.run(call).await?;
        let made =
            std::fs::read_dir(files.path()).ok().into_iter().flatten().filter_map(Result::ok).map(|one| one.path());
        let archive = made.into_iter().find(|path| path.extension().is_some_and(|end| end == "tgz"));
        match archive {
            Some(path) => self.one(&path),
            None => {
                let message = format!("helm made no archive of {}", pack.chart);
                Err(Failure::new(Class::Invalid, "helm.chart", message, "see: helm package, helm pull"))
            }
        }
    }

    fn one(&self, path: &Path) -> Result<Packed, Failure> {
        let refused = |why: &dyn std::fmt::Display| {
            let message = format!("the chart {} cannot be used: {why}", path.display());
            Failure::new(Class::Invalid, "helm.chart", message, "leave out of it what no template needs: .helmignore")
        };
        let disk = base_world::World::real().disk;
        let archive = disk.read(path, CHART_BYTES_MAX).map_err(|error| refused(&error))?;
        let content = content(&archive).map_err(|error| refused(&error))?;
        Ok(Packed { archive, content })
    }

    /// The objects that the chart would be, as text: asked of the cluster, for a chart may ask what it serves and what is there.
    pub async fn render(&self, render: &Render<'_>) -> Result<String, Failure> {
        super::lock::private(&self.folder)?;
        let files = Files::own(&self.folder, "render")?;
        let at = At { namespace: render.namespace.to_owned(), name: render.release.to_owned() };
        let chart = files.add("chart.tgz", render.chart)?;
        let mut values = Vec::new();
        for (number, text) in render.values.iter().enumerate() {
            values.push(files.add(&format!("values-{number}.yaml"), text)?);
        }
        let hidden = hidden_of(render.values, render.post);
        let changed = self.changed(&files, render.post).await?;
        let call = |words: &[&str]| {
            let mut call = self.on(&at, words, LOCAL_TIME_MAX);
            call.words.push((&chart).into());
            values.iter().for_each(|path| call.option("--values", path));
            call.words.extend(changed.iter().cloned());
            call.hidden = &hidden;
            call
        };
        // Of a release that hangs, Helm would only say that; and definitions that the chart brings are not there yet.
        if !render.hangs {
            let asked = call(&["upgrade", "--install", "--create-namespace", "--dry-run=server", "--output=json"]);
            match self.run(asked).await {
                Ok(output) => {
                    let release: Value = serde_json::from_slice(&output).map_err(|_| no_text())?;
                    return release["manifest"].as_str().map(str::to_owned).ok_or_else(no_text);
                }
                Err(failure) if failure.code == "helm.no-such-kind" => {}
                Err(failure) => return Err(failure),
            }
        }
        let mut plain = call(&["template", "--no-hooks"]);
        plain.option("--kube-version", render.kubernetes);
        let output = self.run(plain).await?;
        String::from_utf8(output).map_err(|_| no_text())
    }
}

fn no_text() -> Failure {
    let message = "what the chart renders to is no text of objects";
    Failure::new(Class::Invalid, "helm.chart", message, "correct its templates")
}

/// Two archives of the same files have other times in them.
fn content(archive: &[u8]) -> std::io::Result<String> {
    let unpacked = flate2::read::GzDecoder::new(archive).take(CONTENT_BYTES_MAX);
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(unpacked).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        files.insert(path, Digest::of_bytes(&bytes));
    }
    Ok(digest(&files).as_str().to_owned())
}

async fn bounded(from: Option<impl AsyncRead + Unpin>, bytes_max: u64) -> Vec<u8> {
    let mut read = Vec::new();
    if let Some(mut from) = from {
        // A pipe that breaks has told what it had.
        let _ = (&mut from).take(bytes_max + 1).read_to_end(&mut read).await;
        let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    }
    read
}

fn missing(program: &Path, error: &std::io::Error) -> Failure {
    let message = format!("`{}` cannot be started: {error}", program.display());
    Failure::new(Class::Invalid, "helm.missing", message, "install Helm 3.13 or newer, and see that it is on the PATH")
}

/// The last words, without values.
fn told(words: &str, hidden: &[(String, String)]) -> String {
    let lines: Vec<_> =
        words.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("WARNING:")).collect();
    let mut told = lines.join(" | ").trim_start_matches("Error: ").to_owned();
    for (name, value) in hidden {
        told = told.replace(value, &format!("${name}"));
    }
    told.chars().take(TOLD_CHARS_MAX).collect()
}

/// Which kind of failure its words are.
fn failed(doing: &str, told: &str) -> Failure {
    let has = |words: &[&str]| words.iter().any(|word| told.contains(word));
    let message = format!("`helm {doing}` failed: {told}");
    if has(&["another operation (install/upgrade/rollback) is in progress"]) {
        let next = "wait for the other one; `apm k8s status` shows whether it hangs";
        return Failure::new(Class::Conflict, "helm.busy", message, next);
    }
    if has(&["error while running post render"]) {
        let next = "`transform` and `inject` in the settings say what is done to what the chart renders to";
        return Failure::new(Class::Invalid, "helm.post-render", message, next);
    }
    if has(&["cannot be imported into the current release", "invalid ownership metadata"]) {
        let next = "it is there already and no object of this release: remove it, or label it for Helm";
        return Failure::new(Class::Conflict, "helm.foreign", message, next);
    }
    if has(&["unknown flag"]) {
        return Failure::new(Class::Invalid, "helm.missing", message, "install Helm 3.13 or newer");
    }
    if has(&["no matches for kind"]) {
        let next =
            "install its CustomResourceDefinition; those in the chart's folder `crds` come with its first install";
        return Failure::new(Class::NotFound, "helm.no-such-kind", message, next);
    }
    if has(&["is forbidden", "cannot create resource", "cannot patch resource"]) {
        return Failure::new(Class::Permission, "helm.denied", message, "ask for a Role that allows it");
    }
    let passing = [
        "connection refused",
        "connection reset",
        "i/o timeout",
        "TLS handshake timeout",
        "unexpected EOF",
        "http2: ",
        "server is currently unable",
        "Too many requests",
        "Kubernetes cluster unreachable",
        "etcdserver:",
        "context deadline",
    ];
    let class = if has(&passing) { Class::Transient } else { Class::Invalid };
    Failure::new(class, "helm.failed", message, "correct the chart or its values, and see: helm history")
}

/// Values that must not be told, the longest first: one may hold another. What is no JSON or YAML has none.
pub(crate) fn hidden(values: &[Vec<u8>]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for text in values.iter().filter_map(|bytes| std::str::from_utf8(bytes).ok()) {
        for document in lib_yaml_edit::parse(text, &lib_yaml_edit::Limits::default()).into_iter().flatten() {
            leaves("", &document.root, &mut found);
        }
    }
    found.sort_by_key(|(_, value): &(String, String)| std::cmp::Reverse(value.len()));
    found.dedup();
    found
}

fn leaves(path: &str, node: &Node, found: &mut Vec<(String, String)>) {
    let within = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    node.pairs().iter().for_each(|pair| leaves(&within(&pair.key), &pair.node, found));
    node.items().iter().enumerate().for_each(|(at, node)| leaves(&within(&at.to_string()), node, found));
    if let Some(text) = node.text().filter(|text| text.chars().count() >= HIDDEN_CHARS_MIN) {
        found.push((path.to_owned(), text.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helm_says_is_classed_and_shows_no_value() {
        let values =
            vec![b"db: {password: correct-horse, port: 5432}\nnames: [correct-horse-battery, short]\n".to_vec()];
        let hidden = hidden(&values);
        let says = |words: &str| failed("upgrade", &told(words, &hidden));
        let check = |words: &str, code: &str, class: Class| {
            let failure = says(words);
            assert_eq!((&*failure.code, failure.class), (code, class), "{words}");
            assert!(!failure.to_string().contains("horse"), "{failure}");
        };
        check(
            "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
            "helm.busy",
            Class::Conflict,
        );
        check(
            "Error: rendered manifests contain a resource … cannot be imported into the current release",
            "helm.foreign",
            Class::Conflict,
        );
        check("Error: cannot patch \"x\": configmaps \"x\" is forbidden: User", "helm.denied", Class::Permission);
        check("Error: Kubernetes cluster unreachable: dial tcp: connection refused", "helm.failed", Class::Transient);
        check("Error: cannot parse correct-horse-battery of correct-horse", "helm.failed", Class::Invalid);
        assert_eq!(says("WARNING: x\nError: a correct-horse\n b").message, "`helm upgrade` failed: a $db.password | b");
    }
}
