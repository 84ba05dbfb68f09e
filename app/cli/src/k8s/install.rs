//! `apm k8s install` and `uninstall`: `apm` itself, put into a cluster or taken out of it, or the manifests of it for whoever applies them otherwise. What
//! the objects are is the chart's.

use std::path::PathBuf;

use app_deploy::{Clusters, InstallHow, Installed, InstalledObject, KubeSurroundings};
use base_explain::Report;
use base_world::World;
use clap::{Args as ClapArgs, ValueEnum};
use operate_install::{Install, Tokens, Values};

use crate::args::Global;
use crate::demo::new_token;
use crate::deploy::judge::json;
use crate::output::{self, Failure, paint, say};

const AFTER_INSTALL: &str =
    "Exit codes: 0 it is done or shown, 2 the words or the values are wrong, 3 it could not be done.

Examples:
  apm k8s install --image registry.example.org/apm:0.1.0 --dry-run
  apm k8s install --image registry.example.org/apm:0.1.0 --set engine.memory=2GB,engine.resources.limits.memory=4Gi
  apm k8s install --image registry.example.org/apm:0.1.0 --output yaml | kubectl apply -f -";

const AFTER_UNINSTALL: &str = "Exit codes: 0 it is done or shown, 3 it could not be done.

Examples:
  apm k8s uninstall --dry-run";

/// A file of values has a few dozen lines.
const VALUES_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, ClapArgs)]
struct WhereArgs {
    /// The installation's name: all names begin with it
    #[arg(long, value_name = "NAME", default_value = "apm")]
    name: String,
    /// The namespace; made when it is not there
    #[arg(long, short, value_name = "NAME", default_value = "apm")]
    namespace: String,
    /// The context of the kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Ask the server what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_INSTALL)]
pub(crate) struct InstallArgs {
    #[command(flatten)]
    place: WhereArgs,
    /// The image of apm: REGISTRY/apm:TAG
    #[arg(long, value_name = "REFERENCE")]
    image: Option<String>,
    /// A file of values, as for Helm; later ones are laid over earlier ones
    #[arg(long, short = 'f', value_name = "FILE")]
    values: Vec<PathBuf>,
    /// A value: path.to.key=value; several with commas between them
    #[arg(long, value_name = "VALUE")]
    set: Vec<String>,
    /// Take over fields that somebody else set, such as Helm
    #[arg(long)]
    force_conflicts: bool,
    /// The form of the answer: what was done, or `yaml` for the manifests alone; then nothing is asked and nothing is done
    #[arg(long, short, value_name = "FORM", default_value = "text")]
    output: Form,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_UNINSTALL)]
pub(crate) struct UninstallArgs {
    #[command(flatten)]
    place: WhereArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Json,
    Yaml,
}

pub(crate) fn install(global: &Global, args: &InstallArgs) -> Result<u8, Failure> {
    let world = World::real();
    let install = wanted(args, &world)?;
    if args.output == Form::Yaml {
        output::print(&install.text().map_err(|error| Failure::Usage(Report::of(&error)))?);
        by_hand(global, &install);
        return Ok(0);
    }
    // Before a cluster is asked: a value that is missing is the command line's fault.
    let notes = install.notes().and_then(|notes| install.render().map(|_| notes));
    let notes = notes.map_err(|error| Failure::Usage(Report::of(&error)))?;
    let token = || new_token(world.random.as_ref());
    let tokens = Tokens { admin: token(), viewer: token(), ingest: token() };
    let how = InstallHow { dry_run: args.place.dry_run, force_conflicts: args.force_conflicts };
    let context = args.place.context.as_deref().unwrap_or_default();
    let done = run(clusters().install(context, &install, &tokens, how))?;
    match args.output {
        Form::Json => json(&done),
        _ => {
            done.iter().for_each(|one| say(global, &line(global, one, how.dry_run)));
            if !how.dry_run {
                say(global, "");
                say(global, &format!("How it is: apm k8s status --namespace {}", install.namespace));
                say(global, notes.trim_end());
            }
        }
    }
    Ok(0)
}

pub(crate) fn uninstall(global: &Global, args: &UninstallArgs) -> Result<u8, Failure> {
    let WhereArgs { name, namespace, context, dry_run } = &args.place;
    let install = Install { name: name.clone(), namespace: namespace.clone(), values: Values::default() };
    let how = InstallHow { dry_run: *dry_run, force_conflicts: false };
    let done = run(clusters().uninstall(context.as_deref().unwrap_or_default(), &install, how))?;
    if done.is_empty() {
        say(
            global,
            &format!(
                "nothing of `{name}` is in the namespace {namespace}; `helm uninstall` takes away what Helm installed"
            ),
        );
    }
    done.iter().for_each(|one| say(global, &line(global, one, *dry_run)));
    if !done.is_empty() && !dry_run {
        say(global, &format!("The claim data-{name}-engine-0 and what is in it stay."));
    }
    Ok(0)
}

/// Values as they are laid over each other: files, then single ones, then the image.
fn wanted(args: &InstallArgs, world: &World) -> Result<Install, Failure> {
    let mut values = Values::default();
    for path in &args.values {
        let bytes = world.disk.read(path, VALUES_BYTES_MAX).map_err(|error| Failure::Usage(Report::of(&error)))?;
        let text = String::from_utf8(bytes);
        let text = text.map_err(|_| Failure::Usage(Report::new(format!("{} is not UTF-8 text", path.display()))))?;
        values.lay(&path.display().to_string(), &text).map_err(|error| Failure::Usage(Report::of(&error)))?;
    }
    for words in &args.set {
        values.set(words).map_err(|error| Failure::Usage(Report::of(&error)))?;
    }
    if let Some(image) = &args.image {
        values.set_image(image);
    }
    Ok(Install { name: args.place.name.clone(), namespace: args.place.namespace.clone(), values })
}

/// Tokens are no part of manifests that are kept somewhere.
fn by_hand(global: &Global, install: &Install) {
    if global.quiet || !install.makes_tokens() {
        return;
    }
    let (namespace, secret) = (&install.namespace, install.token_secret_name());
    output::note(&format!("the Secret {secret} is not among them; once, by hand:"));
    output::note("  t() { openssl rand -hex 32; }; i=$(t)");
    output::note(&format!(
        "  kubectl -n {namespace} create secret generic {secret} --from-literal=ingest=$i --from-literal=tokens=\"$(printf 'admin %s\\nviewer %s\\ningest %s' $(t) $(t) $i)\""
    ));
}

fn clusters() -> Clusters {
    let surroundings = KubeSurroundings::from_variables(|name| std::env::var(name).ok());
    Clusters { world: World::real(), surroundings }
}

fn run(asked: impl Future<Output = Result<Vec<InstalledObject>, Report>>) -> Result<Vec<InstalledObject>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Broken(Report::of(&error)))?.block_on(asked).map_err(Failure::Broken)
}

fn line(global: &Global, one: &InstalledObject, dry_run: bool) -> String {
    let (word, code) = match (one.done, dry_run) {
        (Installed::Created, false) => ("created", "32"),
        (Installed::Created, true) | (Installed::Unasked, _) => ("would create", "32"),
        (Installed::Changed, false) => ("changed", "33"),
        (Installed::Changed, true) => ("would change", "33"),
        (Installed::Deleted, false) => ("deleted", "31"),
        (Installed::Deleted, true) => ("would delete", "31"),
        (Installed::Unchanged, _) => ("unchanged", "2"),
    };
    let place = if one.namespace.is_empty() { one.name.clone() } else { format!("{}/{}", one.namespace, one.name) };
    format!("{} {} {place}", paint(global, code, &format!("{word:<12}")), one.kind)
}
