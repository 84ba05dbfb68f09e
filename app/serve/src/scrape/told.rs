//! The scrape configuration as it is told to whoever asks: the text as it was written, its secrets left out. What it means it does not know.

use app_api::Job;
use lib_yaml_edit::{Limits, Node, parse};

/// The text for `/api/v1/status/config` and, job by job, for `/api/v1/scrape_pools/config`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) yaml: String,
    pub(crate) jobs: Vec<Job>,
}

/// What Prometheus shows in the place of a secret.
const HIDDEN: &str = "<secret>";
/// Keys of `http_config` and of discovery whose value nobody may see.
const SECRETS: [&str; 8] =
    ["password", "credentials", "bearer_token", "client_secret", "secret_key", "refresh_token", "token", "key"];

impl Told {
    /// A text that is no YAML is not shown at all: nobody can say where its secrets are.
    pub(crate) fn of(text: &str) -> Self {
        let Ok(documents) = parse(text, &Limits::default()) else { return Told::default() };
        let mut hidden = Vec::new();
        for document in &documents {
            find(&document.root, &mut hidden);
        }
        hidden.sort_unstable();
        hidden.dedup();
        let jobs = documents.iter().filter_map(|document| document.root.get("scrape_configs")).flat_map(Node::items);
        let job = |node: &Node| {
            let name = node.get("job_name").and_then(Node::text).unwrap_or_default().to_owned();
            let (start, end) = (node.start as usize, node.end as usize);
            Job { name, yaml: dedented(&shown(text, start, end, &hidden), node.column as usize) }
        };
        Told { yaml: shown(text, 0, text.len(), &hidden), jobs: jobs.map(job).collect() }
    }
}

/// Where the values of secrets lie.
fn find(node: &Node, hidden: &mut Vec<(usize, usize)>) {
    for item in node.items() {
        find(item, hidden);
    }
    for pair in node.pairs() {
        match pair.node.text() {
            Some(_) if SECRETS.contains(&pair.key.as_ref()) && !pair.node.copied => {
                hidden.push((pair.node.start as usize, pair.node.end as usize));
            }
            Some(_) => {}
            None => find(&pair.node, hidden),
        }
    }
}

/// A part of the text without what is hidden.
fn shown(text: &str, start: usize, end: usize, hidden: &[(usize, usize)]) -> String {
    let (mut out, mut at) = (String::new(), start);
    for (from, to) in hidden.iter().filter(|(from, to)| *from >= start && *to <= end) {
        out.push_str(text.get(at..*from).unwrap_or_default());
        out.push_str(HIDDEN);
        at = *to;
    }
    out.push_str(text.get(at..end).unwrap_or_default());
    out
}

/// The lines behind the first moved left as far as the first stood.
fn dedented(text: &str, column: usize) -> String {
    let margin = column.saturating_sub(1);
    let blank = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let lines = text.lines().enumerate().map(|(i, line)| match i {
        0 => line,
        _ => line.get(margin.min(blank(line))..).unwrap_or(line),
    });
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_secrets() {
        let text = "scrape_configs:\n  # ours\n  - job_name: a\n    basic_auth: {username: u, password: 'hunter2'}\n    static_configs:\n      - targets: [x:1]\n  - job_name: b\n    authorization:\n      credentials: >-\n        hunter2\n    params: {module: [http]}\n";
        let told = Told::of(text);
        assert!(!told.yaml.contains("hunter2"), "{}", told.yaml);
        assert!(told.yaml.contains("# ours") && told.yaml.contains("password: <secret>}"), "{}", told.yaml);
        assert_eq!(told.jobs.iter().map(|job| job.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let first = "job_name: a\nbasic_auth: {username: u, password: <secret>}\nstatic_configs:\n  - targets: [x:1]\n";
        assert_eq!(told.jobs[0].yaml, first);
        assert!(
            told.jobs[1].yaml.contains("module") && !told.jobs[1].yaml.contains("hunter2"),
            "{}",
            told.jobs[1].yaml
        );
        assert_eq!(Told::of("a: [").yaml, "");
    }
}
