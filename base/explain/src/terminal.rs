//! A report as a terminal shows it, in the form that rustc made familiar.

use annotate_snippets::{AnnotationKind, Level, Message, Renderer, Snippet};

use crate::Report;

pub(crate) fn render(report: &Report, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let shown = report.place.as_ref().and_then(|place| {
        let text = place.text.as_deref()?;
        Some((place, text, span(text, place.line, place.column, place.length)?))
    });
    let mut group = Level::ERROR.primary_title(&report.message).elements(std::iter::empty::<Message<'_>>());
    if let Some((place, text, span)) = &shown {
        let snippet = Snippet::source(*text).path(place.origin.as_str());
        group = group.element(snippet.annotation(AnnotationKind::Primary.span(span.clone())));
    }
    let where_text = report.place.as_ref().filter(|_| shown.is_none()).map(|place| format!("at {place}"));
    if let Some(text) = &where_text {
        group = group.element(Level::NOTE.message(text));
    }
    for cause in &report.causes {
        group = group.element(Level::NOTE.with_name("because").message(cause));
    }
    if let Some(hint) = &report.hint {
        group = group.element(Level::HELP.message(hint));
    }
    let mut text = renderer.render(&[group]);
    text.push('\n');
    text
}

/// The bytes of `length` characters from line and column, both from 1; `None` when the text has no such place.
fn span(text: &str, line: usize, column: usize, length: usize) -> Option<std::ops::Range<usize>> {
    let mut start = 0;
    for _ in 1..line {
        start += text.get(start..)?.find('\n')? + 1;
    }
    let line_text = text.get(start..)?.lines().next().unwrap_or_default();
    let at = |chars: usize| line_text.char_indices().nth(chars).map_or(line_text.len(), |(i, _)| i);
    let from = start + at(column.saturating_sub(1));
    let to = start + at(column.saturating_sub(1) + length);
    Some(from..to.max(from))
}

#[cfg(test)]
mod tests {
    use crate::{Place, Report};

    #[test]
    fn shows_the_line_and_what_to_do() {
        let text = "version: 1\nobserve:\n  memroy: 1GB\n";
        let report = Report::new("unknown key `memroy`")
            .because("`observe` has no such key")
            .at(Place::new("apm.yaml", 3, 3).in_text(text, 6))
            .hint("did you mean `memory`?");
        let shown = report.terminal(false);
        for wanted in ["error: unknown key `memroy`", "apm.yaml:3:3", "memroy: 1GB", "^^^^^^", "did you mean `memory`?"]
        {
            assert!(shown.contains(wanted), "{wanted} is missing in:\n{shown}");
        }
        assert_eq!(
            report.one_line(),
            "unknown key `memroy`: `observe` has no such key (at apm.yaml:3:3); did you mean `memory`?"
        );
    }

    #[test]
    fn a_place_past_the_end_does_not_break_it() {
        let report = Report::new("broken").at(Place::new("x", 9, 9).in_text("one line", 3));
        assert!(report.terminal(false).contains("at x:9:9"));
    }
}
