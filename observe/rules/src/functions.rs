//! The functions that templates of alerts have: <https://prometheus.io/docs/prometheus/latest/configuration/template_reference/>.

use std::collections::BTreeMap;
use std::sync::Arc;

use base_signal::Pattern;
use lib_gotmpl::{Struct, Value, url_query};
use observe_promql::syntax::parse_duration_ms;

use crate::ask::Over;
use crate::group::Settings;
use crate::humanize;
use crate::template::{number, texts};

const NAMES: [&str; 29] = [
    "query",
    "first",
    "label",
    "value",
    "strvalue",
    "args",
    "reReplaceAll",
    "safeHtml",
    "match",
    "title",
    "toUpper",
    "toLower",
    "graphLink",
    "tableLink",
    "sortByLabel",
    "stripPort",
    "stripDomain",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "toTime",
    "toDuration",
    "now",
    "pathPrefix",
    "externalURL",
    "parseDuration",
    "urlQueryEscape",
];

/// Of what a query hands back.
const SAMPLE: &str = "*template.sample";

/// With what they are called.
pub(crate) struct Functions<'a>(Option<(&'a Settings, &'a Over<'a>, i64)>);

impl<'a> Functions<'a> {
    /// Only to read templates.
    pub(crate) fn none() -> Self {
        Functions(None)
    }

    pub(crate) fn over(settings: &'a Settings, over: &'a Over<'a>, at_ms: i64) -> Self {
        Functions(Some((settings, over, at_ms)))
    }
}

fn text(args: &[Value], at: usize) -> Result<&str, String> {
    match args.get(at) {
        Some(Value::Text(text)) => Ok(text),
        Some(other) => Err(format!("wrong type for value; expected string; got {}", other.type_name())),
        None => Err(format!("wrong number of args: want {} got {}", at + 1, args.len())),
    }
}

fn float(args: &[Value]) -> Result<f64, String> {
    match args.first() {
        Some(Value::Float(value)) => Ok(*value),
        Some(Value::Int(value)) => Ok(*value as f64),
        Some(Value::Text(text)) => {
            let bad = |_| format!("strconv.ParseFloat: parsing {text:?}: invalid syntax");
            text.parse().map_err(bad)
        }
        Some(other) => Err(format!("can't convert {} to float", other.type_name())),
        None => Err("wrong number of args: want 1 got 0".to_owned()),
    }
}

/// A field of one sample of a query.
fn of_sample(args: &[Value], at: usize, field: &str) -> Result<Value, String> {
    match args.get(at) {
        Some(Value::Struct(sample)) if sample.type_name == SAMPLE => {
            let found = sample.fields.iter().find(|(name, _)| *name == field);
            found.map(|(_, value)| value.clone()).ok_or_else(|| format!("a sample without {field}"))
        }
        Some(other) => Err(format!("wrong type for value; expected {SAMPLE}; got {}", other.type_name())),
        None => Err(format!("wrong number of args: want {} got {}", at + 1, args.len())),
    }
}

fn list(args: &[Value], at: usize) -> Result<&[Value], String> {
    match args.get(at) {
        Some(Value::List(items)) => Ok(items),
        Some(other) => Err(format!("wrong type for value; expected template.queryResult; got {}", other.type_name())),
        None => Err(format!("wrong number of args: want {} got {}", at + 1, args.len())),
    }
}

fn label_of(sample: &Value, label: &str) -> String {
    match of_sample(std::slice::from_ref(sample), 0, "Labels") {
        Ok(Value::Texts(labels)) => labels.get(label).cloned().unwrap_or_default(),
        _ => String::new(),
    }
}

impl lib_gotmpl::Functions for Functions<'_> {
    fn knows(&self, name: &str) -> bool {
        NAMES.contains(&name)
    }

    fn call(&self, name: &str, args: &[Value]) -> Result<Value, String> {
        let Some((settings, over, at_ms)) = self.0 else { return Err("it is only read here".to_owned()) };
        Ok(Value::Text(match name {
            "query" => {
                let found = over.ask(&settings.engine, text(args, 0)?, at_ms)?;
                let sample = |found: &crate::ask::Found| {
                    let fields = vec![("Labels", texts(&found.labels)), ("Value", number(&found.value))];
                    Value::Struct(Arc::new(Struct { type_name: SAMPLE, fields }))
                };
                return Ok(Value::List(found.iter().map(sample).collect()));
            }
            "first" => {
                let first = list(args, 0)?.first().cloned();
                return first.ok_or_else(|| "first() called on vector with no elements".to_owned());
            }
            "value" => return of_sample(args, 0, "Value"),
            "label" => {
                of_sample(args, 1, "Labels")?;
                label_of(&args[1], text(args, 0)?)
            }
            "strvalue" => {
                of_sample(args, 0, "Labels")?;
                label_of(&args[0], "__value__")
            }
            "sortByLabel" => {
                let label = text(args, 0)?;
                let mut items = list(args, 1)?.to_vec();
                items.sort_by_cached_key(|sample| label_of(sample, label));
                return Ok(Value::List(items));
            }
            "args" => {
                let named = args.iter().enumerate().map(|(i, arg)| (format!("arg{i}"), arg.clone()));
                return Ok(Value::Map(Arc::new(named.collect::<BTreeMap<_, _>>())));
            }
            "reReplaceAll" => {
                let pattern = Pattern::unanchored(text(args, 0)?).map_err(|error| error.to_string())?;
                pattern.regex().replace_all(text(args, 2)?, text(args, 1)?).into_owned()
            }
            "match" => {
                let pattern = Pattern::unanchored(text(args, 0)?).map_err(|error| error.to_string())?;
                return Ok(Value::Bool(pattern.regex().is_match(text(args, 1)?)));
            }
            "safeHtml" => text(args, 0)?.to_owned(),
            "title" => humanize::title(text(args, 0)?),
            "toUpper" => text(args, 0)?.to_uppercase(),
            "toLower" => text(args, 0)?.to_lowercase(),
            "graphLink" => link(text(args, 0)?, 0),
            "tableLink" => table_link(text(args, 0)?),
            "stripPort" => {
                let host_port = text(args, 0)?;
                humanize::host_port(host_port).map_or(host_port, |(host, _)| host).to_owned()
            }
            "stripDomain" => humanize::without_domain(text(args, 0)?),
            "humanize" => humanize::humanize(float(args)?),
            "humanize1024" => humanize::humanize_1024(float(args)?),
            "humanizeDuration" => humanize::duration(float(args)?),
            "humanizePercentage" => humanize::four_digits(float(args)? * 100.0) + "%",
            "humanizeTimestamp" => humanize::timestamp(float(args)?)?,
            "toTime" => match float(args)? {
                value if value.is_finite() => humanize::timestamp(value)?,
                _ => return Err("value is NaN or Inf".to_owned()),
            },
            "toDuration" => humanize::go_duration(float(args)?),
            "now" => return Ok(Value::Float(at_ms as f64 / 1000.0)),
            "externalURL" => settings.external_url.clone(),
            "pathPrefix" => {
                let url = &settings.external_url;
                let behind = url.split_once("://").map_or(url.as_str(), |(_, behind)| behind);
                behind.find('/').and_then(|at| behind.get(at..)).unwrap_or_default().to_owned()
            }
            "parseDuration" => {
                let written = text(args, 0)?;
                let (sign, digits) = written.strip_prefix('-').map_or((1.0, written), |digits| (-1.0, digits));
                let ms = if digits == "0" { 0 } else { parse_duration_ms(digits)? };
                return Ok(Value::Float(sign * ms as f64 / 1000.0));
            }
            "urlQueryEscape" => url_query(text(args, 0)?),
            other => return Err(format!("function {other:?} not defined")),
        }))
    }
}

/// Where an expression is shown as a table.
pub(crate) fn table_link(expr: &str) -> String {
    link(expr, 1)
}

fn link(expr: &str, tab: u8) -> String {
    format!("/graph?g0.expr={}&g0.tab={tab}", url_query(expr))
}
