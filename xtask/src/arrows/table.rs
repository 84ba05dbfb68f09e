//! The table of arrows: its text form, and which edges it refuses. It reads no file and starts no program.
//!
//! A line is `FROM, FROM -> TO, TO` (may use) or `never FROM -> TO` (may not even reach through others). A name is a folder; `base/*` is every room
//! below it, `*` every room, `crate:NAME` a bought crate (only after `never`). `#` opens a remark.

use super::Edges;

/// What ARCHITECTURE.md says.
#[derive(Debug)]
pub(crate) struct Table {
    allowed: Vec<(Pattern, Pattern)>,
    /// The `never` lines.
    pub(crate) bans: Vec<Ban>,
}

/// One `never` line.
#[derive(Debug)]
pub(crate) struct Ban {
    pub(crate) from: Pattern,
    pub(crate) to: Pattern,
    /// As it stands in the table, for messages.
    pub(crate) line: String,
}

/// Names, any of which matches.
#[derive(Debug)]
pub(crate) struct Pattern(Vec<String>);

impl Pattern {
    fn parse(text: &str) -> Self {
        Self(text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect())
    }

    /// Whether a room (`observe/promql`) or crate (`crate:tokio`) is meant.
    pub(crate) fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some("") => !name.starts_with("crate:"),
            Some(folder) => name.starts_with(folder),
            None => pattern == name,
        })
    }
}

impl Table {
    /// Reads the block that opens with three backticks and `arrows`.
    pub(crate) fn parse(page: &str) -> Result<Self, String> {
        let block = page.split_once("```arrows\n").and_then(|(_, rest)| rest.split_once("```")).map(|(block, _)| block);
        let block = block.ok_or("ARCHITECTURE.md has no ```arrows block: bring the table back")?;
        let mut table = Self { allowed: Vec::new(), bans: Vec::new() };
        for line in block.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
            if line.is_empty() {
                continue;
            }
            let (from, to) = line.split_once("->").ok_or_else(|| format!("no `->` in the arrow line `{line}`"))?;
            match from.trim().strip_prefix("never ") {
                Some(from) => table.bans.push(Ban {
                    from: Pattern::parse(from),
                    to: Pattern::parse(to),
                    line: line.split_whitespace().collect::<Vec<_>>().join(" "),
                }),
                None => table.allowed.push((Pattern::parse(from), Pattern::parse(to))),
            }
        }
        Ok(table)
    }

    /// A sentence for each edge that no line allows.
    pub(crate) fn refused(&self, edges: &Edges) -> Vec<String> {
        let mut problems = Vec::new();
        for (room, uses) in edges {
            for used in uses {
                if !self.allowed.iter().any(|(from, to)| from.matches(room) && to.matches(used)) {
                    problems.push(format!(
                        "{room} uses {used}, and no line of the arrow table in ARCHITECTURE.md allows it: move the code, let {room} own a trait that app \
                         fills, or argue for a new line in a commit of its own"
                    ));
                }
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::{Edges, Table};

    const PAGE: &str = "text\n```arrows\nobserve/* -> base/*  # a remark\nobserve/promql -> observe/source\nnever * -> crate:ring\n```\n";

    fn check(edge: (&str, &str), allowed: bool) {
        let edges = Edges::from([(edge.0.to_owned(), [edge.1.to_owned()].into())]);
        let refused = Table::parse(PAGE).expect("the table is well formed").refused(&edges);
        assert_eq!(refused.is_empty(), allowed, "{edge:?}: {refused:?}");
    }

    #[test]
    fn only_written_arrows_are_allowed() {
        check(("observe/promql", "base/signal"), true);
        check(("observe/promql", "observe/source"), true);
        check(("observe/promql", "observe/metrics"), false);
        check(("base/signal", "observe/source"), false);
        check(("operate/plan", "base/signal"), false);
    }

    #[test]
    fn a_ban_names_crates_and_a_lone_star_means_rooms_only() {
        let table = Table::parse(PAGE).expect("the table is well formed");
        let ban = &table.bans[0];
        assert!(ban.from.matches("base/http") && !ban.from.matches("crate:tokio"));
        assert!(ban.to.matches("crate:ring") && !ban.to.matches("crate:ringbuffer"));
    }

    #[test]
    fn a_page_without_the_table_is_an_error() {
        assert!(Table::parse("# no table").is_err());
        assert!(Table::parse("```arrows\nbase base\n```").is_err());
    }
}
