//! Finding and reading the project's file, and laying environment and flags over it.

use std::path::{Path, PathBuf};

use app_api::Tokens;
use app_config::{Tree, Variable};
use app_deploy::ServiceVariables;
use app_serve::{ScrapePlan, Settings};
use base_explain::Report;
use base_world::World;
use operate_deploy::looks_secret;

use crate::args::{Global, UpArgs};

const FILE_BYTES_MAX: u64 = 4 << 20;

/// The merged tree of file, environment and flags.
pub(crate) fn tree(world: &World, global: &Global, up: &UpArgs) -> Result<Tree, Report> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let flags = [
        ("--listen", "server.listen", up.listen.clone()),
        ("--otlp-grpc", "server.otlp_grpc", up.otlp_grpc.clone()),
        ("--otlp-http", "server.otlp_http", up.otlp_http.clone()),
        ("--token-file", "server.token_file", path(&up.token_file)),
        ("--admin-api", "server.admin_api", up.admin_api.then(|| "true".to_owned())),
        ("--docker", "observe.docker", up.docker.clone()),
        ("--data", "observe.data", path(&up.data)),
        ("--memory", "observe.memory", up.memory.clone()),
        ("--retention", "observe.retention", up.retention.clone()),
        ("--retention-size", "observe.retention_size", up.retention_size.clone()),
    ];
    tree_with(world, global, flags)
}

/// What a command's flag says, and where it stands in the tree.
pub(crate) type Flag = (&'static str, &'static str, Option<String>);

/// The same with other flags.
pub(crate) fn tree_with(world: &World, global: &Global, flags: impl IntoIterator<Item = Flag>) -> Result<Tree, Report> {
    let mut tree = Tree::default();
    if let Some(path) = file(world, global)? {
        // A file that was only found is there.
        let named = |report: Report| report.because("`--config` or `APM_CONFIG` names it");
        let text = read(world, &path).map_err(named)?;
        // This process's own variables win, as they do over compose's `.env`.
        let files = ServiceVariables::new(&text, global.env.as_deref(), &*world.disk);
        let lookup = |path: &[&str], name: &str| match std::env::var(name) {
            Ok(value) if !value.is_empty() => {
                let secret = looks_secret(name, &value);
                Some(Variable { value, secret })
            }
            _ => files.look_up(path, name),
        };
        let name = path.display().to_string();
        tree.add_file_asking(&name, &text, &lookup).map_err(|error| error.report().clone())?;
    }
    // Variables that are not text are nobody's settings.
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    tree.add_environment(variables);
    for (flag, path, value) in flags {
        if let Some(value) = value {
            tree.add_flag(flag, path, value);
        }
    }
    Ok(tree)
}

pub(crate) fn settings(tree: &Tree) -> Result<Settings, Report> {
    Settings::read(tree).map_err(|error| error.report().clone())
}

/// `--config`, or `apm.yaml` in this folder.
pub(crate) fn file(world: &World, global: &Global) -> Result<Option<PathBuf>, Report> {
    if let Some(path) = &global.config {
        return Ok(Some(path.clone()));
    }
    let here = PathBuf::from("apm.yaml");
    let there = world.disk.exists(&here).map_err(|error| Report::of(&error))?;
    Ok(there.then_some(here))
}

pub(crate) fn read(world: &World, path: &Path) -> Result<String, Report> {
    let bytes = world.disk.read(path, FILE_BYTES_MAX).map_err(|error| Report::of(&error))?;
    String::from_utf8(bytes).map_err(|_| Report::new(format!("{} is not UTF-8 text", path.display())))
}

/// What the project is called in its file or the environment.
pub(crate) fn project(world: &World, global: &Global) -> Result<Option<String>, Report> {
    let tree = tree(world, global, &UpArgs::default())?;
    tree.section("project").map_err(|error| error.report().clone())
}

/// The file named by `observe.scrape`, relative to the project's file.
pub(crate) fn scrape_plan(world: &World, global: &Global, settings: &Settings) -> Result<ScrapePlan, Report> {
    scrape_plan_with(world, global, settings, |text| text)
}

/// The same, its text filled in before it is read.
pub(crate) fn scrape_plan_with(
    world: &World,
    global: &Global,
    settings: &Settings,
    fill: impl Fn(String) -> String,
) -> Result<ScrapePlan, Report> {
    let Some(named) = &settings.observe.scrape else { return Ok(ScrapePlan::default()) };
    let base = file(world, global)?.and_then(|path| path.parent().map(Path::to_path_buf)).unwrap_or_default();
    let path = base.join(named);
    let text = read(world, &path).map_err(|report| report.because("`observe.scrape` names it"))?;
    ScrapePlan::parse(&path, &fill(text)).map_err(|error| error.report().clone())
}

/// The token file's text, looked through.
fn token_text(world: &World, settings: &Settings) -> Result<String, Report> {
    let Some(path) = &settings.server.token_file else { return Ok(String::new()) };
    let text = read(world, path)?;
    let because = |report: Report| report.because(format!("the token file is {}", path.display()));
    Tokens::parse(&text).map_err(|error| because(Report::of(&error)))?;
    Ok(text)
}

/// Tokens of the token file alone.
pub(crate) fn tokens_of_file(world: &World, settings: &Settings) -> Result<Tokens, Report> {
    Tokens::parse(&token_text(world, settings)?).map_err(|error| Report::of(&error))
}

/// Tokens of the token file and, as an admin's, `APM_TOKEN`.
pub(crate) fn tokens(world: &World, settings: &Settings) -> Result<Tokens, Report> {
    let mut text = token_text(world, settings)?;
    if let Ok(token) = std::env::var("APM_TOKEN")
        && !token.is_empty()
    {
        let line = format!("\nadmin {token}\n");
        // A blank or a `#` would end the token where nobody expects it.
        if token.contains(|c: char| c.is_whitespace() || c == '#') || Tokens::parse(&line).is_err() {
            return Err(Report::new("APM_TOKEN is no token: it wants at least 16 characters, no blanks and no `#`")
                .hint("`openssl rand -hex 32` makes a good one"));
        }
        text.push_str(&line);
    }
    Tokens::parse(&text).map_err(|error| Report::of(&error))
}

/// A base folder of the XDG specification: the variable, or its default under the home folder.
pub(crate) fn xdg(variable: &str, under_home: &str) -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set(variable).unwrap_or_else(|| set("HOME").unwrap_or_default().join(under_home))
}
