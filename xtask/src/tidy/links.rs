//! Links between our own pages: the file must be there, and the heading it points at. It opens no address on the network.

use std::collections::BTreeSet;
use std::path::Path;

use super::files::File;
use crate::sh;

/// Links that lead nowhere.
pub(crate) fn problems(files: &[File]) -> Vec<String> {
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| file.is(".md")) {
        for target in targets(&file.text) {
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let Some(path) = joined(&file.path, path) else {
                problems.push(format!("{}: the link `{target}` leaves the repository: point inside it", file.path));
                continue;
            };
            if !paths.contains(path.as_str()) && !sh::root().join(&path).is_dir() {
                problems.push(format!("{}: the link `{target}` leads to no file: mend the path", file.path));
                continue;
            }
            let page = files.iter().find(|other| other.path == path && other.is(".md"));
            if let Some(page) = page.filter(|page| !heading.is_empty() && !headings(&page.text).contains(heading)) {
                problems.push(format!("{}: the link `{target}` leads to no heading of {}", file.path, page.path));
            }
        }
    }
    problems
}

/// What stands in `](…)` outside code, without addresses and titles.
fn targets(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let spans = if fenced { "" } else { line };
        // Every second piece between backticks is code.
        for piece in spans.split('`').step_by(2) {
            for rest in piece.split("](").skip(1) {
                let target = rest.split([')', ' ']).next().unwrap_or_default();
                if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                    found.push(target);
                }
            }
        }
    }
    found
}

/// The path a link means, seen from the page it stands on; `None` when it leaves the repository.
fn joined(page: &str, link: &str) -> Option<String> {
    if link.is_empty() {
        return Some(page.to_owned());
    }
    let folder = Path::new(page).parent().map(|folder| folder.to_string_lossy().into_owned()).unwrap_or_default();
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Headings as a page's anchors: lower case, spaces to dashes, punctuation gone.
fn headings(text: &str) -> BTreeSet<String> {
    let titles = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |title: &str| {
        title
            .to_lowercase()
            .chars()
            .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter))
            .map(|letter| if letter == ' ' { '-' } else { letter })
            .collect()
    };
    titles.map(anchor).collect()
}

#[cfg(test)]
mod tests {
    use super::{File, problems};

    fn check(link: &str, expect: usize) {
        let file = |path: &str, text: &str| File { path: path.into(), text: text.into(), size: 0 };
        let page = format!("# Top\nsee [this]({link})\n```\n[not](a-link)\n```\nand `[nor](this)`\n");
        let found = problems(&[file("docs/a/page.md", &page), file("docs/other.md", "## What it *is*, and why\n")]);
        assert_eq!(found.len(), expect, "{link}: {found:?}");
    }

    #[test]
    fn a_link_leads_to_a_file_and_a_heading() {
        check("../other.md", 0);
        check("../other.md#what-it-is-and-why", 0);
        check("../other.md#what-it-was", 1);
        check("#top", 0);
        check("#bottom", 1);
        check("other.md", 1);
        check("../../../etc/passwd", 1);
        check("https://example.org/x", 0);
    }
}
