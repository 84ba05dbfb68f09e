//! The catalogue of rules: what each is called here and elsewhere, how bad it is, whether it is looked for unasked, why it matters and what to do. Read
//! from one text, which the documentation repeats; what validation finds stands behind it. Does not know how a rule is checked.

use std::sync::LazyLock;

use base_explain::Severity;

use crate::validate::catalogue;

pub type LintRule = base_explain::finding::Rule<'static>;

struct Catalogue {
    rules: Vec<LintRule>,
    on: Vec<bool>,
}

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let text = include_str!("catalogue.txt");
    let mut all: Vec<_> = text.split("\n\n").filter_map(|paragraph| read(paragraph.trim())).collect();
    all.extend(catalogue().iter().map(|rule| (rule.clone(), true)));
    all.sort_by_key(|(rule, _)| rule.id);
    let (rules, on) = all.into_iter().unzip();
    Catalogue { rules, on }
});

/// All rules, by id: those of the check first, then those of validation.
pub fn lint_rules() -> &'static [LintRule] {
    &CATALOGUE.rules
}

/// Whether a rule is looked for unasked.
pub fn is_on(rule: &LintRule) -> bool {
    number(rule.id).is_some_and(|at| CATALOGUE.on.get(at) == Some(&true))
}

/// Where a rule stands in the catalogue.
pub(crate) fn number(id: &str) -> Option<usize> {
    CATALOGUE.rules.binary_search_by(|rule| rule.id.cmp(id)).ok()
}

/// Rules by id, by name, or by the name that kube-linter or kube-score has for them; without regard to case.
pub fn lint_named(name: &str) -> impl Iterator<Item = &'static LintRule> {
    CATALOGUE.rules.iter().filter(move |rule| {
        rule.id.eq_ignore_ascii_case(name)
            || rule.name.eq_ignore_ascii_case(name)
            || rule.also.iter().any(|also| also.eq_ignore_ascii_case(name))
    })
}

fn read(paragraph: &'static str) -> Option<(LintRule, bool)> {
    let mut lines = paragraph.lines().filter(|line| !line.starts_with('#'));
    let mut words = lines.next()?.split_whitespace();
    let (id, name) = (words.next()?, words.next()?);
    let severity = Severity::of(words.next()?)?;
    let (area, on) = (words.next()?, words.next()? == "on");
    let also = words.skip(1).collect();
    let title = lines.next()?;
    let why = lines.next()?.strip_prefix("why ")?;
    let fix = lines.next()?.strip_prefix("fix ")?;
    Some((LintRule { id, name, severity, area, also, title, why, fix }, on))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_paragraph_of_the_catalogue_is_a_rule_and_they_are_sorted() {
        let text = include_str!("catalogue.txt");
        let written = text.lines().filter(|line| line.starts_with("AK")).count();
        assert_eq!(super::lint_rules().len(), written + super::catalogue().len());
        assert!(super::lint_rules().is_sorted_by(|a, b| a.id < b.id));
    }
}
