//! `label_replace` and `label_join`: labels change, samples do not.

use regex::{Regex, RegexBuilder};

use super::column::{Series, Steps, merge_relabelled};
use super::{Evaluator, Result, execution};
use crate::syntax::{Call, NAME};

/// Compiled programs above this are refused.
const REGEX_SIZE_MAX_BYTES: usize = 4 << 20;

impl Evaluator<'_> {
    pub(super) fn label_replace(&mut self, call: &Call, steps: &Steps) -> Result<Vec<Series>> {
        let (destination, replacement) = (self.arg_string(call, 1)?, self.arg_string(call, 2)?);
        let (source, pattern) = (self.arg_string(call, 3)?, self.arg_string(call, 4)?);
        let Some(regex) = anchored(&pattern) else {
            return execution(format!("invalid regular expression in label_replace(): {pattern}"));
        };
        if !is_label(&destination) {
            return execution(format!("invalid destination label name in label_replace(): {destination}"));
        }
        let mut series = self.arg_series(call, 0, steps)?;
        for one in &mut series {
            let value = one.labels.get(&source).unwrap_or_default();
            if let Some(captures) = regex.captures(value) {
                let mut new = String::new();
                captures.expand(&replacement, &mut new);
                let mut labels = one.labels.to_builder();
                labels.set(destination.clone(), new);
                one.labels = labels.build();
                // A name that was given on purpose stays.
                one.drop_name &= destination != NAME;
            }
        }
        merge_relabelled(series)
    }

    pub(super) fn label_join(&mut self, call: &Call, steps: &Steps) -> Result<Vec<Series>> {
        let (destination, separator) = (self.arg_string(call, 1)?, self.arg_string(call, 2)?);
        let sources: Vec<String> = (3..call.args.len()).map(|i| self.arg_string(call, i)).collect::<Result<_>>()?;
        if let Some(bad) = sources.iter().find(|name| !is_label(name)) {
            return execution(format!("invalid source label name in label_join(): {bad}"));
        }
        if !is_label(&destination) {
            return execution(format!("invalid destination label name in label_join(): {destination}"));
        }
        let mut series = self.arg_series(call, 0, steps)?;
        for one in &mut series {
            let values: Vec<&str> = sources.iter().map(|name| one.labels.get(name).unwrap_or_default()).collect();
            let mut labels = one.labels.to_builder();
            labels.set(destination.clone(), values.join(&separator));
            one.labels = labels.build();
            one.drop_name &= destination != NAME;
        }
        merge_relabelled(series)
    }
}

/// Any text but none; what was no UTF-8 has been replaced on the way.
fn is_label(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::REPLACEMENT_CHARACTER)
}

/// The pattern as RE2 reads it, matching the whole text. Checked by the rules of label matchers first; the ASCII classes
/// are then spelled out, for this engine's are Unicode.
fn anchored(pattern: &str) -> Option<Regex> {
    base_signal::Pattern::anchored(pattern).ok()?;
    let mut spelled = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            spelled.push(c);
            continue;
        }
        match chars.next() {
            Some('d') => spelled.push_str("[0-9]"),
            Some('D') => spelled.push_str("[^0-9]"),
            Some('w') => spelled.push_str("[0-9A-Za-z_]"),
            Some('W') => spelled.push_str("[^0-9A-Za-z_]"),
            Some('s') => spelled.push_str("[\\t\\n\\f\\r ]"),
            Some('S') => spelled.push_str("[^\\t\\n\\f\\r ]"),
            Some('b') => spelled.push_str("(?-u:\\b)"),
            other => {
                spelled.push('\\');
                spelled.extend(other);
            }
        }
    }
    RegexBuilder::new(&format!("^(?s:{spelled})$")).size_limit(REGEX_SIZE_MAX_BYTES).build().ok()
}
