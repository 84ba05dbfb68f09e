//! What a store may skip by: literals that every wanted line contains, metadata that every wanted entry carries.

use base_signal::MatchOp;
use observe_source::LineHint;

use super::pattern::LinePattern;
use crate::syntax::{FilterText, LabelFilter, LabelFilterKind, LineFilter, LineOp, Stage, StageKind};

/// Names that filters compare with a fixed value before any stage could have made a label: candidates for metadata hints.
/// Where a stream has a label of that name the hint would be wrong, so the caller asks first.
pub(crate) fn wanted_names(stages: &[Stage]) -> Vec<String> {
    let mut names = Vec::new();
    metadata(stages, &mut |name, _| names.push(name.to_owned()));
    names
}

/// The hints of a pipeline. `is_metadata` says that no wanted stream has a label of the name.
pub(crate) fn hints(stages: &[Stage], is_metadata: impl Fn(&str) -> bool) -> Vec<LineHint> {
    let mut hints = Vec::new();
    for stage in stages {
        match &stage.kind {
            StageKind::Line(filter) => contains(filter, &mut hints),
            // From here on the line is no longer the stored one.
            StageKind::LineFormat(_) | StageKind::Unpack | StageKind::Decolorize => break,
            _ => {}
        }
    }
    metadata(stages, &mut |name, value| {
        if is_metadata(name) {
            hints.push(LineHint::Metadata { name: name.to_owned(), value: value.to_owned() });
        }
    });
    hints
}

fn contains(filter: &LineFilter, hints: &mut Vec<LineHint>) {
    let [only] = filter.any.as_slice() else { return };
    let mut push = |text: &str| {
        if !text.is_empty() {
            hints.push(LineHint::Contains(text.to_owned()));
        }
    };
    match (filter.op, only) {
        (LineOp::Contains, FilterText::Text(text)) => push(text),
        (LineOp::Pattern, FilterText::Text(text)) => {
            if let Ok(form) = LinePattern::new(text) {
                form.literals().for_each(push);
            }
        }
        (LineOp::Regex, FilterText::Regex(pattern)) => {
            let plain = |c: char| !r"\.+*?()|[]{}^$".contains(c);
            if pattern.as_str().chars().all(plain) {
                push(pattern.as_str());
            }
        }
        _ => {}
    }
}

fn metadata(stages: &[Stage], found: &mut dyn FnMut(&str, &str)) {
    for stage in stages {
        match &stage.kind {
            StageKind::Label(filter) => all_of(filter, found),
            StageKind::Line(_) => {}
            // Any other stage may make, rename or remove labels.
            _ => break,
        }
    }
}

fn all_of(filter: &LabelFilter, found: &mut dyn FnMut(&str, &str)) {
    match &filter.kind {
        LabelFilterKind::And(a, b) => {
            all_of(a, found);
            all_of(b, found);
        }
        // A name with this ending may stand for metadata that was renamed beside a stream label.
        LabelFilterKind::Match(m)
            if m.op == MatchOp::Equal && !m.value.is_empty() && !m.name.ends_with("_extracted") =>
        {
            found(&m.name, &m.value);
        }
        _ => {}
    }
}
