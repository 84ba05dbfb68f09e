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
                        && path.get(before).is_some_and(|name| name_fits(part, name))
                })
            };
        }
        row = next;
    }
    row.last().copied().unwrap_or(false)
}

/// One part of a pattern.
enum Unit {
    /// `*`
    Any,
    /// `?`
    One,
    Sign(char),
    /// `[a-d]`, `[^x]`
    Set {
        except: bool,
        ranges: Vec<(char, char)>,
    },
}

/// Go's `filepath.Match` for a name without slashes.
fn name_fits(pattern: &str, name: &str) -> bool {
    let units = units(pattern);
    // Rows of a table, as above.
    let name: Vec<char> = name.chars().collect();
    let mut row = vec![false; name.len() + 1];
    row[0] = true;
    for unit in &units {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            let before = at.checked_sub(1);
            let of = |row: &[bool]| before.and_then(|before| row.get(before).copied()).unwrap_or(false);
            let sign = before.and_then(|before| name.get(before)).copied();
            next[at] = match unit {
                Unit::Any => row.get(at).copied().unwrap_or(false) || of(&next),
                Unit::One => of(&row),
                Unit::Sign(wanted) => of(&row) && sign == Some(*wanted),
                Unit::Set { except, ranges } => {
                    let inside = |sign: char| ranges.iter().any(|(from, to)| (*from..=*to).contains(&sign));
                    of(&row) && sign.is_some_and(|sign| inside(sign) != *except)
                }
            };
        }
        row = next;
    }
    row.last().copied().unwrap_or(false)
}

fn units(pattern: &str) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut rest = pattern.chars().peekable();
    while let Some(sign) = rest.next() {
        units.push(match sign {
            '*' => Unit::Any,
            '?' => Unit::One,
            '\\' => Unit::Sign(rest.next().unwrap_or('\\')),
            '[' => {
                let except = rest.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                while let Some(from) = rest.next().filter(|sign| *sign != ']') {
                    let from = if from == '\\' { rest.next().unwrap_or(from) } else { from };
                    let to = rest.next_if_eq(&'-').and_then(|_| rest.next()).unwrap_or(from);
                    ranges.push((from, to));
                }
                Unit::Set { except, ranges }
            }
            other => Unit::Sign(other),
        });
    }
    units
}

#[cfg(test)]
mod tests {
    use super::IgnoreFile;

    #[test]
    fn patterns_as_docker_reads_them() {
        let check = |pattern: &str, ignored: &[&str], kept: &[&str]| {
            let file = IgnoreFile::parse(pattern);
            ignored.iter().for_each(|path| assert!(file.ignores(path), "{pattern} leaves {path} out"));
            kept.iter().for_each(|path| assert!(!file.ignores(path), "{pattern} keeps {path}"));
        };
        check("[a-d]ocs", &["docs", "docs/a"], &["eocs", "ocs"]);
        check("[^a-d]ocs", &["eocs"], &["docs"]);
        check("\\[x\\]", &["[x]"], &["x"]);
        check("a/../b/./c", &["b/c"], &["a", "b"]);
        check("x/**", &["x/a", "x/a/b"], &["x"]);
        check("**", &["x", "x/a"], &[]);
        check("**/x", &["x", "a/x", "a/b/x"], &["xx"]);
        check("a*c?", &["abcd", "acd"], &["ac"]);
        let back = IgnoreFile::parse("x\n!x/y/z");
        assert!(back.keeps_below("x") && back.keeps_below("x/y") && !back.keeps_below("z"));
    }
}
