//! Templates of labels and annotations: what they may use and what they come to for one alert. Knows no state of an alert.

use std::collections::BTreeMap;
use std::sync::Arc;

use base_signal::Labels;
use lib_gotmpl::{Limits, ParseError, Struct, Template, Value};
use observe_promql::PointValue;

use crate::ask::{Found, Over};
use crate::file::{Kind, RuleSpec};
use crate::functions::Functions;
use crate::group::Settings;

/// What templates of alerts may use beside their data.
const VARIABLES: [&str; 4] = ["$labels", "$externalLabels", "$externalURL", "$value"];

/// What one label or annotation may take.
const LIMITS: Limits = Limits { bytes_max: 64 << 10, steps_max: 100_000 };

/// Reads a label or annotation of an alert.
pub(crate) fn read(alert: &str, text: &str) -> Result<Template, ParseError> {
    Template::parse(&format!("__alert_{alert}"), text, &Functions::none(), &VARIABLES)
}

/// Those of a rule, read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Templates {
    pub(crate) labels: Vec<(String, Result<Template, ParseError>)>,
    pub(crate) annotations: Vec<(String, Result<Template, ParseError>)>,
}

impl Templates {
    pub(crate) fn of(rule: &RuleSpec) -> Self {
        let Kind::Alerting(alerting) = &rule.kind else { return Templates::default() };
        let read_all = |texts: &BTreeMap<String, String>| {
            texts.iter().map(|(name, text)| (name.clone(), read(&rule.name, text))).collect()
        };
        Templates { labels: read_all(&rule.labels), annotations: read_all(&alerting.annotations) }
    }
}

/// Fills templates in for one alert.
pub(crate) struct Expander<'a> {
    alert: &'a str,
    data: Value,
    variables: [(&'static str, Value); 4],
    functions: Functions<'a>,
}

impl<'a> Expander<'a> {
    pub(crate) fn new(
        alert: &'a str,
        sample: &Found,
        settings: &'a Settings,
        over: &'a Over<'a>,
        at_ms: i64,
    ) -> Expander<'a> {
        let labels = texts(&sample.labels);
        let external = texts(&settings.external_labels);
        let url = Value::Text(settings.external_url.clone());
        let value = number(&sample.value);
        let fields = vec![
            ("Labels", labels.clone()),
            ("ExternalLabels", external.clone()),
            ("ExternalURL", url.clone()),
            ("Value", value.clone()),
        ];
        let type_name = "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }";
        let data = Value::Struct(Arc::new(Struct { type_name, fields }));
        let [a, b, c, d] = VARIABLES;
        let variables = [(a, labels), (b, external), (c, url), (d, value)];
        Expander { alert, data, variables, functions: Functions::over(settings, over, at_ms) }
    }

    /// What cannot be filled in says so in its place, as in Prometheus: an alert without its text is better than none.
    pub(crate) fn expand(&self, template: &Result<Template, ParseError>) -> String {
        let name = self.alert;
        let filled = match template {
            Err(error) => Err(format!("error parsing template __alert_{name}: {error}")),
            Ok(template) => template
                .render(&self.data, &self.variables, &self.functions, LIMITS)
                .map_err(|error| format!("error executing template __alert_{name}: {error}")),
        };
        filled.unwrap_or_else(|why| format!("<error expanding template: {why}>"))
    }
}

pub(crate) fn texts(labels: &Labels) -> Value {
    Value::Texts(Arc::new(labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
}

/// A histogram as its text.
pub(crate) fn number(value: &PointValue) -> Value {
    match value {
        PointValue::Float(value) => Value::Float(*value),
        PointValue::Histogram(histogram) => Value::Text(observe_querytest::show_histogram(histogram)),
    }
}
