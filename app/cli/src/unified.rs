//! Two texts as a unified diff, line by line with its colour. It does not know what the texts are.

use similar::TextDiff;

use crate::args::Global;
use crate::output::{paint, print};

/// Lines around a change.
const AROUND: usize = 3;

/// Prints how `after` differs from `before`; quiet or not, for it is an answer.
pub(crate) fn show(global: &Global, names: [&str; 2], before: &str, after: &str) {
    for (code, line) in lines(names, before, after) {
        print(&format!("{}\n", paint(global, code, &line)));
    }
}

fn lines([from, to]: [&str; 2], before: &str, after: &str) -> Vec<(&'static str, String)> {
    let diff = TextDiff::from_lines(before, after);
    let text = diff.unified_diff().context_radius(AROUND).header(from, to).to_string();
    let color = |line: &str| match line.as_bytes() {
        [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => "1",
        [b'@', ..] => "36",
        [b'+', ..] => "32",
        [b'-', ..] => "31",
        _ => "0",
    };
    text.lines().map(|line| (color(line), line.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown_with_what_stands_around_it() {
        let found = lines(["a", "b"], "1\n2\n3\n4\n5\n6\n", "1\n2\n3\n4\nfive\n6\n");
        let expect = [
            ("1", "--- a"),
            ("1", "+++ b"),
            ("36", "@@ -2,5 +2,5 @@"),
            ("0", " 2"),
            ("0", " 3"),
            ("0", " 4"),
            ("31", "-5"),
            ("32", "+five"),
            ("0", " 6"),
        ];
        assert_eq!(found, expect.map(|(code, line)| (code, line.to_owned())));
        assert_eq!(lines(["a", "b"], "same\n", "same\n"), []);
    }
}
