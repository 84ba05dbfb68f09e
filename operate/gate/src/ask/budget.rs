//! What has to be asked before a release begins: how the error budget stands, and what is firing. Knows no answers.

use super::{Language, Question, query};
use crate::before::Slo;
use crate::duration;
use crate::settings::Settings;
use crate::subject::Subject;

/// What an Alertmanager is asked, where there is one, beside [`questions_before`]: its matcher goes into the parameter `filter`.
pub fn question_alertmanager(subject: &Subject, settings: &Settings, now_ms: i64) -> Question {
    let service = format!("{}|", query::escaped(&subject.service));
    Question {
        id: "alertmanager".to_owned(),
        label: "firing alerts".to_owned(),
        language: Language::Alertmanager,
        expression: format!("{}=~{}", settings.names.service_label, query::quoted(&service)),
        start_ms: now_ms,
        end_ms: now_ms,
        step_ms: 1000,
        limit: 0,
    }
}

/// All that [`crate::before`] wants to know.
pub fn questions_before(subject: &Subject, settings: &Settings, slo: &Slo, now_ms: i64) -> Vec<Question> {
    let names = &settings.names;
    let spans = query::spans(subject, names, None);
    let window = duration::written(duration::ms(slo.window));
    let mut questions = Vec::new();
    let mut ask = |id: &str, label: &str, expression: String| {
        questions.push(Question {
            id: id.to_owned(),
            label: label.to_owned(),
            language: Language::Promql,
            expression,
            start_ms: now_ms,
            end_ms: now_ms,
            step_ms: 1000,
            limit: 0,
        });
    };
    if slo.availability.is_some() {
        for (id, label, range) in [
            ("budget.window", "errors in the budget's window", window.as_str()),
            ("budget.hour", "errors of the last hour", "1h"),
        ] {
            ask(id, label, format!("sum by (status_code) (increase({}{spans}[{range}]))", names.calls));
        }
    }
    if slo.latency.is_some() {
        let expression = format!("sum by (le) (increase({}{spans}[{window}]))", names.latency_bucket);
        ask("budget.latency", "latency in the budget's window", expression);
    }
    // An alert without the label may be about the host or the cluster: it is shown, and its severity decides.
    let service = format!("{}|", query::escaped(&subject.service));
    let alerts = format!("ALERTS{{alertstate=\"firing\",{}=~{}}}", names.service_label, query::quoted(&service));
    ask("alerts", "firing alerts", alerts);
    questions
}
