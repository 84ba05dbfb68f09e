//! `apm docker`: builds are in a file of their own. `apm docker check`: finds Dockerfiles and their `.dockerignore`, shows them to the check, prints what it found, and
//! writes mended files back. Knows no rule.

mod build;
mod scan;

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use base_explain::Report;
use base_world::{Disk, DiskErrorKind, World};
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use operate_dockerfile::{self as dockerfile, Options, Safety};

use crate::args::Global;
use crate::output::{self, Failure};

#[derive(Debug, ClapArgs)]
pub(crate) struct DockerArgs {
    #[command(subcommand)]
    pub(crate) command: DockerCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DockerCommand {
    /// Find what is wrong, unsafe or slow in Dockerfiles, and mend what can be mended
    Check(CheckArgs),
    /// Build an image, with a telemetry agent and without a change to the project's files
    Build(build::BuildArgs),
    /// Find what is known to be wrong with an image's packages
    Scan(scan::ScanArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CheckArgs {
    /// Dockerfiles, folders that are searched for them, or `-` for standard input [default: this folder]
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Mend: `safe` leaves the built image as it is, `suggested` does what the rules ask for
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "safe")]
    pub(crate) fix: Option<FixHow>,
    /// The form of the answer
    #[arg(long, short, value_name = "FORM", default_value = "text")]
    pub(crate) output: OutputForm,
    /// Ignore a rule: its id, or hadolint's or BuildKit's name for it; may be given several times
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub(crate) ignore: Vec<String>,
    /// The stage that becomes the image [default: the last one]
    #[arg(long, value_name = "STAGE")]
    pub(crate) target: Option<String>,
    /// The build context, whose `.dockerignore` counts [default: the Dockerfile's folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) context: Option<PathBuf>,
    /// A registry that images may come from; may be given several times [default: any]
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    pub(crate) registry: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FixHow {
    Safe,
    Suggested,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputForm {
    Text,
    Json,
    Sarif,
}

/// A folder is searched this deep; deeper ones are seldom the project's own.
const DEPTH_MAX: usize = 8;
const FILES_MAX: usize = 10_000;
const IGNORE_FILE_BYTES_MAX: u64 = 1 << 20;

pub(crate) fn docker(global: &Global, args: &DockerArgs) -> Result<u8, Failure> {
    match &args.command {
        DockerCommand::Check(args) => check(global, args),
        DockerCommand::Build(args) => build::build(global, args),
        DockerCommand::Scan(args) => scan::scan(global, args),
    }
}

fn check(global: &Global, args: &CheckArgs) -> Result<u8, Failure> {
    for name in &args.ignore {
        if dockerfile::named(name).next().is_none() {
            let known = dockerfile::rules().iter().flat_map(|rule| [rule.id, rule.name]);
            let hint = match base_explain::nearest(name, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "rules are listed in docs/guides/check-dockerfiles.md".to_owned(),
            };
            return Err(Failure::Usage(Report::new(format!("there is no rule `{name}`")).hint(hint)));
        }
    }
    let world = World::real();
    let disk = world.disk.as_ref();
    let here = [PathBuf::from(".")];
    let given = if args.paths.is_empty() { &here[..] } else { &args.paths };
    let mut paths = Vec::new();
    for path in given {
        find(disk, path, &mut paths)?;
    }
    if paths.is_empty() {
        let hint = "name a file, or a folder with a Dockerfile, Containerfile or *.Dockerfile";
        return Err(Failure::Usage(Report::new("no Dockerfile found").hint(hint)));
    }
    let mut files = Vec::new();
    for path in &paths {
        files.push(one(global, args, disk, path)?);
    }
    if let Some(target) = &args.target {
        let has = |file: &dockerfile::File| {
            let parsed = dockerfile::Dockerfile::parse(&file.text);
            !dockerfile::Stages::of(&parsed, Some(target)).unknown_target
        };
        if !files.iter().any(has) {
            return Err(Failure::Usage(Report::new(format!("no file has a stage `{target}`"))));
        }
    }
    let answer = match args.output {
        OutputForm::Text => dockerfile::text(&files, output::colors(global) && std::io::stdout().is_terminal()),
        OutputForm::Json => pretty(&dockerfile::json(&files)),
        OutputForm::Sarif => pretty(&dockerfile::sarif(&files, env!("CARGO_PKG_VERSION"))),
    };
    output::print(&answer);
    Ok(u8::from(files.iter().any(|file| file.checked.fails())))
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

/// Adds the files a path stands for.
fn find(disk: &dyn Disk, path: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if path == Path::new("-") || !path.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    walk(disk, path, DEPTH_MAX, found).map_err(|error| Failure::Broken(Report::of(&error)))
}

fn walk(disk: &dyn Disk, folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), base_world::DiskError> {
    for entry in disk.list(folder)? {
        let path = if folder == Path::new(".") { PathBuf::from(&entry.name) } else { folder.join(&entry.name) };
        if found.len() >= FILES_MAX {
            return Ok(());
        }
        if path.is_dir() {
            // Links are not followed: they may go round in circles.
            let skipped = matches!(entry.name.as_str(), ".git" | "node_modules" | "target" | "vendor" | ".venv");
            if depth > 0 && !skipped && !path.is_symlink() {
                walk(disk, &path, depth - 1, found)?;
            }
        } else if is_dockerfile(&entry.name) {
            found.push(path);
        }
    }
    Ok(())
}

fn is_dockerfile(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let base =
        |word: &str| lower == word || lower.starts_with(&format!("{word}.")) || lower.ends_with(&format!(".{word}"));
    (base("dockerfile") || base("containerfile")) && !lower.ends_with(".dockerignore") && !lower.ends_with(".md")
}

fn one(global: &Global, args: &CheckArgs, disk: &dyn Disk, path: &Path) -> Result<dockerfile::File, Failure> {
    let name = if path == Path::new("-") { "<stdin>".to_owned() } else { path.display().to_string() };
    let bytes = read(disk, path)?;
    let options = Options {
        target: args.target.clone(),
        ignore: args.ignore.clone(),
        allowed_registries: args.registry.clone(),
        dockerignore: dockerignore(args, disk, path)?,
        context_files: context_files(args, disk, path),
        ..Options::default()
    };
    let refused = |error: dockerfile::Refused| {
        Failure::Broken(Report::new(format!("cannot check {name}")).because(error.to_string()))
    };
    let mut checked = dockerfile::check_bytes(&bytes, &options).map_err(refused)?;
    // It was checked, so it is text.
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if let Some(how) = args.fix {
        let safety = if how == FixHow::Safe { Safety::Safe } else { Safety::Suggested };
        let mended = dockerfile::mend(&text, &options, safety).map_err(refused)?;
        if mended.made > 0 {
            if path == Path::new("-") {
                let report = Report::new("standard input cannot be mended").hint("name the file");
                return Err(Failure::Usage(report));
            }
            replace(disk, path, &mended.text)?;
            if !global.quiet {
                output::note(&format!("{name}: mended {}", mended.made));
            }
        }
        (text, checked) = (mended.text, mended.left);
    }
    Ok(dockerfile::File { path: name, text, checked })
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, Failure> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        let limit = dockerfile::FILE_BYTES_MAX as u64 + 1;
        let result = std::io::stdin().take(limit).read_to_end(&mut bytes);
        result
            .map_err(|error| Failure::Broken(Report::new("cannot read standard input").because(error.to_string())))?;
        return Ok(bytes);
    }
    disk.read(path, dockerfile::FILE_BYTES_MAX as u64).map_err(|error| Failure::Broken(Report::of(&error)))
}

fn folder_of(args: &CheckArgs, path: &Path) -> PathBuf {
    let own = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    args.context.clone().unwrap_or_else(|| own.to_owned())
}

/// Docker looks for `<Dockerfile>.dockerignore` beside the file first, then for `.dockerignore` in the context.
fn dockerignore(args: &CheckArgs, disk: &dyn Disk, path: &Path) -> Result<Option<Option<String>>, Failure> {
    if path == Path::new("-") && args.context.is_none() {
        return Ok(None);
    }
    let mut own = path.as_os_str().to_owned();
    own.push(".dockerignore");
    for candidate in [PathBuf::from(own), folder_of(args, path).join(".dockerignore")] {
        match disk.read(&candidate, IGNORE_FILE_BYTES_MAX) {
            Ok(bytes) => return Ok(Some(Some(String::from_utf8_lossy(&bytes).into_owned()))),
            Err(error) if matches!(error.kind, DiskErrorKind::NotFound) => {}
            Err(error) => return Err(Failure::Broken(Report::of(&error))),
        }
    }
    // A Dockerfile in a folder of its own is usually built from above, so nothing is known.
    let is_here = args.context.is_some()
        || folder_of(args, path) == Path::new(".")
        || path.file_name().is_some_and(|name| name == "Dockerfile");
    Ok(is_here.then_some(None))
}

fn context_files(args: &CheckArgs, disk: &dyn Disk, path: &Path) -> Vec<String> {
    // A hint only: a folder that cannot be read gives none.
    let entries = disk.list(&folder_of(args, path)).unwrap_or_default();
    entries.into_iter().map(|entry| entry.name).take(200).collect()
}

/// Replaces the file in one step, so that no reader sees half of it.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, text: &str) -> Result<(), Failure> {
    let broken = |error: std::io::Error| {
        Failure::Broken(Report::new(format!("cannot write {}", path.display())).because(error.to_string()))
    };
    // A link stays a link: what it names is replaced.
    let real = std::fs::canonicalize(path).map_err(broken)?;
    let permissions = std::fs::metadata(&real).map_err(broken)?.permissions();
    base_world::replace_file(disk, &real, text.as_bytes()).map_err(|error| Failure::Broken(Report::of(&error)))?;
    std::fs::set_permissions(&real, permissions).map_err(broken)
}
