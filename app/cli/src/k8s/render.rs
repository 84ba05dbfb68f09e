//! `apm k8s render`: manifests as an environment makes them, printed, held against what they were, or written as a kustomization. What an environment does
//! is decided elsewhere.

use std::path::{Path, PathBuf};

use app_deploy::{Project, Rendered, kustomize};
use base_explain::Report;
use base_world::World;
use clap::{Args as ClapArgs, ValueEnum};

use super::which::Which;
use crate::args::Global;
use crate::deploy::judge::json;
use crate::deploy::{project, project_in};
use crate::output::{Failure, note, print, say};
use crate::unified;

const AFTER_HELP: &str = "Exit codes: 0 it is done, 2 the words, the settings or the manifests are wrong, 3 it could not be done, 4 it was refused.

Examples:
  apm k8s render --env prod
  apm k8s render k8s/ --env prod --diff
  apm k8s render --env prod --show-secrets | kubectl apply --server-side -f -
  apm k8s render --kustomize deploy/kustomize";

#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP, disable_version_flag = true)]
pub(crate) struct RenderArgs {
    #[command(flatten)]
    which: Which,
    /// Show what becomes of each file, as a unified diff
    #[arg(long, conflicts_with_all = ["kustomize", "output"])]
    diff: bool,
    /// Write a kustomize base into this folder, and an overlay for each environment of apm.yaml
    #[arg(long, value_name = "FOLDER", conflicts_with = "output")]
    kustomize: Option<PathBuf>,
    /// Do not mask the values of Secrets
    #[arg(long)]
    show_secrets: bool,
    /// The form of the answer
    #[arg(long, short, value_name = "FORM", default_value = "yaml")]
    output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Yaml,
    Json,
}

/// Above each kustomization that is written here; one without it is somebody's own.
const WRITTEN: &str = "# Written by `apm k8s render --kustomize`; written anew by it.\n";
const KUSTOMIZATION_BYTES_MAX: u64 = 16 << 20;

pub(crate) fn render(global: &Global, args: &RenderArgs) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Broken(Report::of(&error)))?;
    runtime.block_on(async {
        match &args.kustomize {
            Some(folder) => write(global, args, folder).await,
            None => shown(global, args).await,
        }
    })
}

async fn shown(global: &Global, args: &RenderArgs) -> Result<u8, Failure> {
    let world = World::real();
    let asked = args.which.asked(None)?;
    let rendered = project(&world, global)?.render(&asked, &*world.disk).await.map_err(Failure::Usage)?;
    let hidden = if args.show_secrets { 0 } else { rendered.secrets };
    let rendered: Rendered = if hidden > 0 { rendered.masked().map_err(Failure::Broken)? } else { rendered };
    if args.diff {
        for (name, before, after) in rendered.changes() {
            unified::show(global, [&name, &format!("{name} ({})", rendered.environment)], &before, &after);
        }
    } else if args.output == Form::Json {
        json(&rendered.json());
    } else {
        print(&rendered.yaml());
    }
    if !global.quiet {
        rendered.notes.iter().for_each(|line| note(line));
        if hidden > 0 {
            let secrets = if hidden == 1 { "Secret" } else { "Secrets" };
            note(&format!(
                "masked: the values of {hidden} {secrets}, so no server takes this; `--show-secrets` shows them"
            ));
        }
    }
    Ok(0)
}

fn secrets_of(count: usize) -> String {
    if count == 1 { "1 Secret".to_owned() } else { format!("{count} Secrets") }
}

/// A base, and an overlay for each environment.
async fn write(global: &Global, args: &RenderArgs, folder: &Path) -> Result<u8, Failure> {
    let world = World::real();
    let disk = &*world.disk;
    let asked = args.which.asked(None)?;
    let here = project(&world, global)?;
    let names = here.environments.clone();
    let all: Vec<Project> = match names.is_empty() {
        true => vec![here],
        false => names
            .iter()
            .map(|name| project_in(&world, global, Some(name)))
            .collect::<Result<_, _>>()
            .map_err(Failure::Usage)?,
    };
    let (files, secrets) = kustomize(&all, &asked, disk).await.map_err(Failure::Usage)?;
    if secrets > 0 && !args.show_secrets {
        let report = Report::new(format!("the values of {} would stand in {}", secrets_of(secrets), folder.display()));
        return Err(Failure::Refused(report.hint("`--show-secrets` writes them all the same")));
    }
    let is_kustomization = |path: &Path| path.ends_with("kustomization.yaml");
    for path in files.keys().filter(|path| is_kustomization(path)) {
        let path = folder.join(path);
        if let Ok(bytes) = disk.read(&path, KUSTOMIZATION_BYTES_MAX)
            && !bytes.starts_with(WRITTEN.as_bytes())
        {
            let report = Report::new(format!("{} was not written by apm", path.display()));
            return Err(Failure::Refused(report.hint("name another folder")));
        }
    }
    let broken = |error: base_world::DiskError| Failure::Broken(Report::of(&error));
    for (path, bytes) in &files {
        let at = folder.join(path);
        if let Some(parent) = at.parent() {
            disk.create_folder(parent).map_err(broken)?;
        }
        let bytes = match is_kustomization(path) {
            true => [WRITTEN.as_bytes(), bytes].concat(),
            false => bytes.clone(),
        };
        base_world::replace_file(disk, &at, &bytes).map_err(broken)?;
    }
    for project in &all {
        say(global, &format!("kubectl kustomize {}", folder.join("overlays").join(&project.environment).display()));
    }
    Ok(0)
}
