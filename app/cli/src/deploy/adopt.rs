//! `apm deploy adopt`: a container that somebody made by hand, shown as the section of `apm.yaml` that it would be, and written there when that is
//! wanted. It changes no container: the release that takes its place is planned, shown and undone like any other.

use std::path::PathBuf;

use app_deploy::{Handmade, Named, Probe, Project};
use base_explain::Report;
use base_world::{World, replace_file};
use clap::Args as ClapArgs;

use super::start::agreed;
use super::{asked, desk, diff, project};
use crate::args::{Global, Places, ReleaseArgs};
use crate::output::{Failure, paint, say};

/// A project's file is not longer.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Lines of the file that are shown around what is new.
const CONTEXT: usize = 2;

#[derive(Debug, ClapArgs)]
pub(crate) struct AdoptArgs {
    /// The container, as `docker ps` names it
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,
    /// The service that it becomes [default: by its name, or by its compose service]
    #[arg(long = "as", value_name = "SERVICE")]
    pub(crate) service: Option<String>,
    /// Write the section into apm.yaml; the rest of the file stays as it is, comments too
    #[arg(long)]
    pub(crate) write: bool,
    /// Only show it
    #[arg(long, conflicts_with = "write")]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) places: Places,
}

pub(crate) async fn adopt(global: &Global, args: &AdoptArgs) -> Result<u8, Failure> {
    let world = World::real();
    let project = project(&world, global)?;
    let probe = Probe::new(&world, |name| std::env::var(name).ok()).map_err(Failure::Broken)?;
    let found = probe.handmade(&args.container).await.map_err(Failure::Broken)?;
    if let Some((service, environment)) = &found.adopted.ours {
        let report = Report::new(format!("{} is apm's already: {service} in {environment}", found.name));
        return Err(Failure::Refused(report.hint("`apm deploy diff` says what a release would change of it")));
    }
    let named = found.named(&project, args.service.as_deref()).map_err(Failure::Usage)?;
    if found.there(&project, &named).is_some() {
        return differs(global, args, &project, &found, &named).await;
    }
    let found = found.renamed(&named);
    let path = global.config.clone().unwrap_or_else(|| PathBuf::from("apm.yaml"));
    let text = read(&world, &path)?;
    let new = found.written(&text, &project.name, &named.service).map_err(Failure::Usage)?;
    say(global, &format!("{} as {} of {}:", found.name, paint(global, "1", &named.service), path.display()));
    for (line, color) in changed(&text, &new) {
        say(global, &paint(global, color, &line));
    }
    told(global, &found);
    if let Some(report) = found.refusal() {
        return Err(Failure::Refused(report));
    }
    if !args.write {
        say(global, "\nnothing was written: `--write` writes it");
        return Ok(0);
    }
    if !args.yes && !agreed(&format!("write it into {}?", path.display()))? {
        return Err(Failure::Refused(Report::new("nobody agreed; nothing was written")));
    }
    // A name alone has no folder to sync.
    let whole = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
    replace_file(&*world.disk, &whole, new.as_bytes()).map_err(|error| Failure::Broken(Report::of(&error)))?;
    say(global, &format!("\nwritten into {}; next:", path.display()));
    for line in next(&found, &named) {
        say(global, &format!("  {line}"));
    }
    Ok(0)
}

fn read(world: &World, path: &std::path::Path) -> Result<String, Failure> {
    let broken = |error: base_world::DiskError| Failure::Broken(Report::of(&error));
    if !world.disk.exists(path).map_err(broken)? {
        return Ok(String::new());
    }
    let bytes = world.disk.read(path, FILE_BYTES_MAX).map_err(broken)?;
    String::from_utf8(bytes).map_err(|_| Failure::Usage(Report::new(format!("{} is not UTF-8 text", path.display()))))
}

/// What no section says, and what a person should know.
fn told(global: &Global, found: &Handmade) {
    if !found.adopted.unsaid.is_empty() {
        say(global, &paint(global, "33", "\nnot taken over, and not there after a release:"));
        found.adopted.unsaid.iter().for_each(|phrase| say(global, &format!("  - {phrase}")));
    }
    if !found.adopted.secrets.is_empty() {
        let names: Vec<&str> = found.adopted.secret_names().collect();
        say(global, &format!("\n{}: taken for secrets, and so read from files", names.join(", ")));
    }
    for note in &found.notes {
        say(global, &format!("\nnote: {note}"));
    }
}

/// What is to be done until a release takes its place.
fn next(found: &Handmade, named: &Named) -> Vec<String> {
    let mut lines: Vec<String> = found.secret_files(&named.service).into_iter().map(|(_, command)| command).collect();
    if found.name != named.container {
        lines.push(format!("docker rename {} {}", found.name, named.container));
    }
    lines.push(format!("apm deploy start --service {} --adopt --dry-run", named.service));
    lines
}

/// Its service is in the settings: what the next release would change of the container.
async fn differs(
    global: &Global,
    args: &AdoptArgs,
    project: &Project,
    found: &Handmade,
    named: &Named,
) -> Result<u8, Failure> {
    let desk = desk(global, project, &args.places).await?;
    let release = ReleaseArgs { service: Some(named.service.clone()), ..ReleaseArgs::default() };
    let release = desk.release(project, &asked(global, &release)).map_err(Failure::Usage)?;
    let changes = found.changes(&release, &desk.seal).map_err(Failure::Broken)?;
    say(global, &format!("{} is in the settings already; a release would change of {}:", named.service, found.name));
    for (text, color) in diff::lines(&changes) {
        say(global, &paint(global, color, &text));
    }
    if changes.is_empty() {
        say(global, "  nothing but what tells apm whose it is");
    }
    told(global, found);
    if let Some(report) = found.refusal() {
        return Err(Failure::Refused(report));
    }
    if found.name != named.container {
        say(
            global,
            &format!(
                "\na release looks for it as {}: docker rename {} {}",
                named.container, found.name, named.container
            ),
        );
    }
    Ok(u8::from(!changes.is_empty() || !found.adopted.unsaid.is_empty()))
}

/// The lines that are new, with some around them: an edit is one place of the file.
fn changed(was: &str, becomes: &str) -> Vec<(String, &'static str)> {
    let (old, new): (Vec<&str>, Vec<&str>) = (was.lines().collect(), becomes.lines().collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let rest = old.len().min(new.len()) - same;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(old, new)| old == new).count();
    let show = |lines: &[&str], sign: &str, color: &'static str| -> Vec<(String, &'static str)> {
        lines.iter().map(|line| (format!("  {sign} {line}"), color)).collect()
    };
    let mut lines = show(&new[same.saturating_sub(CONTEXT)..same], " ", "2");
    lines.extend(show(&old[same..old.len() - tail], "-", "31"));
    lines.extend(show(&new[same..new.len() - tail], "+", "32"));
    lines.extend(show(&new[new.len() - tail..(new.len() - tail + CONTEXT).min(new.len())], " ", "2"));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_shown_with_the_lines_around_it() {
        let check = |was: &str, becomes: &str, expect: &[&str]| {
            let lines: Vec<String> = changed(was, becomes).into_iter().map(|(line, _)| line).collect();
            assert_eq!(lines, expect);
        };
        check("a\nb\nc\nd\ne\n", "a\nb\nc\nX\nY\nd\ne\n", &["    b", "    c", "  + X", "  + Y", "    d", "    e"]);
        check("", "X\n", &["  + X"]);
        check("a\na\n", "a\na\na\n", &["    a", "    a", "  + a"]);
        check("a: {}\n", "a:\n  b: c\n", &["  - a: {}", "  + a:", "  +   b: c"]);
    }
}
