//! Manifests that another program makes: `kustomize build` or `kubectl kustomize` of a folder, `helm template` of a chart. The programs are the person's
//! own; nothing is fetched, and no cluster is asked by what they are told here.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base_explain::Report;

use super::ManifestSource;

/// A chart with hundreds of templates takes seconds.
const RENDER_TIME_MAX: Duration = Duration::from_secs(60);
pub(super) const RENDERED_BYTES_MAX: usize = 50 << 20;

/// What a chart is told.
#[derive(Debug, Clone, Copy)]
pub struct Rendering<'a> {
    /// `.Release.Name`
    pub release: &'a str,
    /// `.Release.Namespace`; helm's own choice when left out.
    pub namespace: Option<&'a str>,
}

impl Default for Rendering<'_> {
    fn default() -> Self {
        Rendering { release: "release", namespace: None }
    }
}

/// The texts that a source stands for, each with a name for people. A file is as it was read.
pub async fn render_manifests(source: &ManifestSource, rendering: &Rendering<'_>) -> Result<(String, String), Report> {
    match source {
        ManifestSource::File { path, text, .. } => Ok((path.display().to_string(), text.clone())),
        ManifestSource::Kustomization(folder) => {
            let name = format!("{} (kustomize)", folder.display());
            let ways: [&[&str]; 2] = [&["kustomize", "build"], &["kubectl", "kustomize"]];
            let hint = "install `kustomize` or `kubectl`, or render it elsewhere and name the file";
            Ok((name, first(&ways, folder, hint).await?))
        }
        ManifestSource::Chart(folder) => {
            let name = format!("{} (helm)", folder.display());
            let hint = "install `helm`, or render it elsewhere and name the file";
            let mut words = vec!["helm", "template", rendering.release];
            if let Some(namespace) = rendering.namespace {
                words.extend(["--namespace", namespace]);
            }
            Ok((name, first(&[&words], folder, hint).await?))
        }
        ManifestSource::Template(path) => {
            let report = Report::new(format!("{} is a template of a Helm chart", path.display()));
            Err(report.hint("name the chart's folder, the one with Chart.yaml"))
        }
    }
}

/// The first of the programs that is there.
async fn first(ways: &[&[&str]], folder: &Path, hint: &str) -> Result<String, Report> {
    for words in ways {
        let Some((program, words)) = words.split_first() else { continue };
        let mut command = tokio::process::Command::new(program);
        command.args(words).arg(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        let failed = |why: String| Report::new(format!("`{program}` cannot render {}", folder.display())).because(why);
        let output = match tokio::time::timeout(RENDER_TIME_MAX, command.output()).await {
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(_) => return Err(failed(format!("it took longer than {} seconds", RENDER_TIME_MAX.as_secs()))),
            Ok(Ok(output)) => output,
        };
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(failed(said.trim().chars().take(1_000).collect()));
        }
        if output.stdout.len() > RENDERED_BYTES_MAX {
            return Err(failed(format!("it wrote {} bytes", output.stdout.len())));
        }
        return String::from_utf8(output.stdout).map_err(|_| failed("what it wrote is no UTF-8 text".to_owned()));
    }
    let programs: Vec<String> = ways.iter().filter_map(|words| words.first()).map(|name| format!("`{name}`")).collect();
    let report = Report::new(format!("{} needs {} to render it", folder.display(), programs.join(" or ")));
    Err(report.because("no such program is installed").hint(hint.to_owned()))
}
