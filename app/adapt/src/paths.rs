//! Patterns of paths as the ecosystem's files write them, `rules/*.yml`, and the files that they mean. Reads none of them.

use std::path::{Path, PathBuf};

use base_world::World;

/// The last part of a path may hold one `*`.
pub fn expand(world: &World, pattern: &Path) -> Vec<PathBuf> {
    let name = pattern.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some((head, tail)) = name.split_once('*') else { return vec![pattern.to_path_buf()] };
    // The parent of a bare name is the empty path, which is no folder's name.
    let folder = pattern.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fits = |name: &str| name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail);
    let entries = world.disk.list(folder).unwrap_or_default();
    entries.iter().filter(|entry| fits(&entry.name)).map(|entry| folder.join(&entry.name)).collect()
}

/// Why a pattern is not understood, if it is not: only a part of what Go's `filepath.Glob` knows is.
pub fn not_understood(pattern: &str) -> Option<&'static str> {
    let (above, name) = pattern.split_at(pattern.rfind('/').map_or(0, |at| at + 1));
    let is_more = above.contains(['*', '?', '[']) || name.contains(['?', '[']) || name.matches('*').count() > 1;
    is_more.then_some("one `*` may stand in the last part of a path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_star_in_the_last_part() {
        let world = World::real();
        // Tests run in the crate's folder.
        let names = |pattern: &str| -> Vec<String> {
            expand(&world, Path::new(pattern)).iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(names("Cargo*.toml"), ["./Cargo.toml"]);
        assert_eq!(names("src/pat*.rs"), ["src/paths.rs"]);
        assert_eq!(names("targets.json"), ["targets.json"]);
        assert!(names("nothing-*.json").is_empty());
    }

    #[test]
    fn more_than_a_star_is_refused() {
        for (pattern, fine) in
            [("a.yml", true), ("rules/*.yml", true), ("*/a.yml", false), ("a?.yml", false), ("a*b*.yml", false)]
        {
            assert_eq!(not_understood(pattern).is_none(), fine, "{pattern}");
        }
    }
}
