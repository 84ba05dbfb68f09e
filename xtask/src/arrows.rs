//! `cargo xtask arrows`: which room may use which, read from `cargo metadata` and held against the table in ARCHITECTURE.md, the only place where the
//! table stands. The edges that exist are kept in `xtask/arrows.txt`, so that a new one is a line in a diff. It does not know what the rooms do.

mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::{licences, sh};
use table::Table;

/// The snapshot of the edges, from the top folder.
pub(crate) const SNAPSHOT: &str = "xtask/arrows.txt";

/// Checks the table, the snapshot, the bans and the licences.
pub(crate) fn run(_: &[String]) -> sh::Outcome {
    let problems = problems()?;
    if problems.is_empty() { Ok(()) } else { Err(format!("{} problem(s)\n{}", problems.len(), problems.join("\n"))) }
}

/// Everything wrong, one sentence each.
pub(crate) fn problems() -> sh::Outcome<Vec<String>> {
    let table = Table::parse(&sh::read(&sh::root().join("ARCHITECTURE.md"))?)?;
    let edges = edges()?;
    let mut problems = table.refused(&edges);
    if sh::read(&sh::root().join(SNAPSHOT)).unwrap_or_default() != snapshot(&edges) {
        problems
            .push(format!("{SNAPSHOT} differs from the edges there are: run `cargo xtask bless` and look at the diff"));
    }
    let rooms: BTreeSet<&str> = edges.keys().map(String::as_str).collect();
    for ban in &table.bans {
        let from: Vec<&str> = rooms.iter().copied().filter(|room| ban.from.matches(room)).collect();
        for room in from {
            let reached = reached_from(room)?;
            for name in reached.iter().filter(|name| ban.to.matches(name) && name.as_str() != room) {
                problems.push(format!(
                    "{room} reaches {name}, which ARCHITECTURE.md forbids (`{}`): see `cargo tree -p {} -i {}`, and turn the dependency round with a trait \
                     that {room} owns",
                    ban.line,
                    package(room),
                    package(name.trim_start_matches("crate:"))
                ));
            }
        }
    }
    problems.extend(licences::problems()?);
    Ok(problems)
}

/// The text of the snapshot: one room a line, with what it uses.
pub(crate) fn snapshot(edges: &Edges) -> String {
    let mut text = String::from("# Which room uses which (not counting tests). Written by `cargo xtask bless`.\n");
    for (room, uses) in edges {
        let uses: Vec<&str> = uses.iter().map(String::as_str).collect();
        text.push_str(&format!("{room} -> {}\n", uses.join(", ")).replace("-> \n", "->\n"));
    }
    text
}

/// A room and the rooms it uses, as folders.
pub(crate) type Edges = BTreeMap<String, BTreeSet<String>>;

/// Normal and build dependencies between our own crates.
pub(crate) fn edges() -> sh::Outcome<Edges> {
    let mut command = MetadataCommand::new();
    command.current_dir(sh::root()).no_deps();
    let metadata = command.exec().map_err(|error| format!("cargo metadata failed: {error}"))?;
    let root = metadata.workspace_root.as_std_path().to_path_buf();
    let folder = |path: PathBuf| path.strip_prefix(&root).map(|path| path.to_string_lossy().into_owned()).ok();
    let mut edges = Edges::new();
    for own in &metadata.packages {
        let Some(room) = own.manifest_path.parent().and_then(|path| folder(path.into())) else { continue };
        let uses = own.dependencies.iter().filter(|used| used.kind != DependencyKind::Development);
        let uses = uses.filter_map(|used| folder(used.path.clone()?.into())).collect();
        edges.insert(room, uses);
    }
    Ok(edges)
}

/// Every room and crate that ends up in a room's build, features resolved; bought ones as `crate:NAME`.
fn reached_from(room: &str) -> sh::Outcome<BTreeSet<String>> {
    let words =
        ["tree", "-p", &package(room), "-e", "normal,build", "--target", "all", "--prefix", "none", "-f", "{p}"];
    let printed = sh::output(sh::cargo().args(words))?;
    let root = sh::root();
    let root = root.to_string_lossy();
    let one = |line: &str| {
        let name = line.split(' ').next().unwrap_or_default();
        match line.split_once('(').and_then(|(_, rest)| rest.split(')').next()?.strip_prefix(&*root)) {
            Some(folder) => folder.trim_start_matches('/').to_owned(),
            None => format!("crate:{name}"),
        }
    };
    Ok(printed.lines().filter(|line| !line.is_empty()).map(one).collect())
}

/// The package name is the folder with a dash.
fn package(room: &str) -> String {
    room.replace('/', "-")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_arrows_are_as_architecture_md_says() {
        let problems = super::problems().expect("cargo metadata works");
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}
