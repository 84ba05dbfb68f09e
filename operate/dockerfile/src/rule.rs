//! The catalogue of rules: what each is called here and elsewhere, how bad it is, why it matters and what to do. Read from
//! one text, which the documentation repeats. Does not know how a rule is checked.

use std::sync::LazyLock;

use base_explain::Severity;

pub type Rule = base_explain::finding::Rule<'static>;

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let text = include_str!("catalogue.txt");
    text.split("\n\n").filter_map(|paragraph| read(paragraph.trim())).collect()
});

/// All rules, by id.
pub fn rules() -> &'static [Rule] {
    &RULES
}

/// A rule by its id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    let at = RULES.binary_search_by(|rule| rule.id.cmp(id)).ok()?;
    RULES.get(at)
}

/// Rules by id, by name, or by hadolint's or BuildKit's name for them; without regard to case.
pub fn named(name: &str) -> impl Iterator<Item = &'static Rule> {
    RULES.iter().filter(move |rule| {
        rule.id.eq_ignore_ascii_case(name)
            || rule.name.eq_ignore_ascii_case(name)
            || rule.also.iter().any(|also| also.eq_ignore_ascii_case(name))
    })
}

fn read(paragraph: &'static str) -> Option<Rule> {
    let mut lines = paragraph.lines().filter(|line| !line.starts_with('#'));
    let mut words = lines.next()?.split_whitespace();
    let (id, name) = (words.next()?, words.next()?);
    let severity = Severity::of(words.next()?)?;
    let area = words.next()?;
    let also = words.skip(1).collect();
    let title = lines.next()?;
    let why = lines.next()?.strip_prefix("why ")?;
    let fix = lines.next()?.strip_prefix("fix ")?;
    Some(Rule { id, name, severity, area, also, title, why, fix })
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_paragraph_of_the_catalogue_is_a_rule_and_they_are_sorted() {
        let text = include_str!("catalogue.txt");
        let written = text.lines().filter(|line| line.starts_with("AD0")).count();
        assert_eq!(super::rules().len(), written);
        assert!(super::rules().is_sorted_by(|a, b| a.id < b.id));
    }
}
