//! `.dockerignore`: which paths of the build context never reach the builder. Source: the "`.dockerignore` files" page of
//! Docker's documentation: patterns are rooted at the context, the last one that fits decides, `!` takes a path back in.

/// The patterns of one file.
#[derive(Debug, Clone, Default)]
pub struct IgnoreFile {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone)]
struct Pattern {
    /// Taken back in.
    keeps: bool,
    parts: Vec<String>,
}

/// More patterns and longer ones are left out: nobody writes them by hand.
const PATTERNS_MAX: usize = 2000;
const PARTS_MAX: usize = 32;

impl IgnoreFile {
    pub fn parse(text: &str) -> Self {
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        let written = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let patterns = written.filter_map(|line| {
            let (keeps, path) = match line.strip_prefix('!') {
                Some(path) => (true, path.trim()),
                None => (false, line),
            };
            let parts: Vec<String> = parts(path).into_iter().map(str::to_owned).collect();
            (parts.len() <= PARTS_MAX && !parts.is_empty()).then_some(Pattern { keeps, parts })
        });
        IgnoreFile { patterns: patterns.take(PATTERNS_MAX).collect() }
    }

    /// Whether a path, or a folder above it, is left out.
    pub fn ignores(&self, path: &str) -> bool {
        let path: Vec<&str> = parts(path);
        let mut ignored = false;
        for pattern in &self.patterns {
            if pattern.keeps == ignored
                && (1..=path.len()).any(|end| fits(&pattern.parts, path.get(..end).unwrap_or(&[])))
            {
                ignored = !pattern.keeps;
            }
        }
        ignored
    }

    /// Whether a `!` pattern takes something back in that lies below a folder, and says so by beginning with its path. For others Docker does not look into a
    /// folder that is left out.
    pub fn keeps_below(&self, folder: &str) -> bool {
        let folder = parts(folder);
        let below = |pattern: &Pattern| {
            pattern.keeps
                && pattern.parts.len() >= folder.len()
                && pattern.parts.iter().zip(&folder).all(|(a, b)| a == b)
        };
        self.patterns.iter().any(below)
    }

    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }
}

/// The parts of a path, cleaned as Go's `filepath.Clean` does.
fn parts(path: &str) -> Vec<&str> {
    let mut clean = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        // What would lead out of the context leads nowhere.
        if part == ".." {
            clean.pop();
        } else {
            clean.push(part);
        }
    }
    clean
}

fn fits(pattern: &[String], path: &[&str]) -> bool {
    // Rows of a table, so that many `**` cost no more than their product.
    let mut row = vec![false; path.len() + 1];
    row[0] = true;
    for (number, part) in pattern.iter().enumerate() {
        // At the end it stands for something below, not for the folder itself.
        let is_last = number + 1 == pattern.len();
        let mut next = vec![false; path.len() + 1];
        for at in 0..=path.len() {
            let here = row.get(at).copied().unwrap_or(false);
            next[at] = if part == "**" {
                let before = at.checked_sub(1);
                let of = |row: &[bool]| before.and_then(|before| row.get(before).copied()).unwrap_or(false);
                of(&next) || if is_last { of(&row) } else { here }
            } else {
                at.checked_sub(1).is_some_and(|before| {
                    row.get(before).copied().unwrap_or(false)
                        && path.get(before).is_some_and(|name| crate::expand::glob(part, name))
                })
            };
        }
        row = next;
    }
    row.last().copied().unwrap_or(false)
}
