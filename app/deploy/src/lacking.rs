//! What an answer lacks because somebody did not answer, in the words in which every answer says it. It asks nobody.

use std::collections::BTreeMap;

use operate_gate::{Answer, Evidence, Language, Question};
use operate_plan::{Degraded, Inventory};

/// Who answers a question of this language.
fn source(language: Language) -> &'static str {
    match language {
        Language::Promql => "prometheus",
        Language::Logql => "loki",
        Language::Alertmanager => "alertmanager",
        Language::Jaeger => "jaeger",
    }
}

/// One for each source that left questions open.
pub(crate) fn unanswered(asked: &[Question], evidence: &Evidence) -> Vec<Degraded> {
    // All that a source was asked, what it did not answer, and the first reason.
    let mut of: BTreeMap<&str, (usize, usize, String)> = BTreeMap::new();
    for question in asked {
        let (all, open, why) = of.entry(source(question.language)).or_default();
        *all += 1;
        let reason = match evidence.get(&question.id) {
            Some(Answer::Failed { reason }) => reason.clone(),
            Some(_) => continue,
            None => "it was not asked".to_owned(),
        };
        if *open == 0 {
            *why = reason;
        }
        *open += 1;
    }
    let lacks = of.into_iter().filter(|(_, (_, open, _))| *open > 0);
    lacks.map(|(source, (all, open, why))| Degraded::new(format!("{open} of {all} answers"), why, source)).collect()
}

/// What could not be seen of the world: one for all of it where the reason is one.
pub(crate) fn unseen(seen: &Inventory) -> Vec<Degraded> {
    let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (object, failure) in seen.unknown() {
        by_reason.entry(&failure.message).or_default().push(object.to_string());
    }
    by_reason.into_iter().map(|(why, objects)| Degraded::new(objects.join(", "), why, "docker")).collect()
}

/// A list that goes on behind its end.
pub(crate) fn cut(what: &str, why: &str) -> Degraded {
    Degraded::new(what, why, "history")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_that_left_something_open_is_named_once() {
        let question = |id: &str, language| Question {
            id: id.into(),
            label: id.into(),
            language,
            expression: String::new(),
            start_ms: 0,
            end_ms: 1,
            step_ms: 1,
            limit: 1,
        };
        let asked = [("a", Language::Promql), ("b", Language::Promql), ("c", Language::Promql), ("d", Language::Logql)];
        let asked = asked.map(|(id, language)| question(id, language));
        let failed = |reason: &str| Answer::Failed { reason: reason.into() };
        let mut evidence: Evidence = [
            ("a".to_owned(), Answer::Series(Vec::new())),
            ("b".to_owned(), failed("nobody answers")),
            ("c".to_owned(), failed("something else")),
            ("d".to_owned(), Answer::Lines { lines: Vec::new(), truncated: false }),
        ]
        .into();
        assert_eq!(unanswered(&asked, &evidence), [Degraded::new("2 of 3 answers", "nobody answers", "prometheus")]);
        evidence.insert("d".into(), failed("away"));
        assert_eq!(unanswered(&asked, &evidence).len(), 2);
        evidence.values_mut().for_each(|answer| *answer = Answer::Series(Vec::new()));
        assert!(unanswered(&asked, &evidence).is_empty());
    }
}
