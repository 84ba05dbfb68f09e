//! Rule files, read whole or not at all: <https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/>. Expressions and templates
//! are read with them. Evaluates nothing.

use std::collections::{BTreeMap, BTreeSet};

use lib_yaml_edit::{Node, Style};
use observe_promql::{ParseError, parse};

use crate::fault::Fault;
use crate::read::{Reader, root};
use crate::template;

/// What stands in one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleFile {
    pub groups: Vec<GroupSpec>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct GroupSpec {
    pub name: String,
    /// `None`: that of the configuration.
    pub interval_ms: Option<i64>,
    /// How far before the evaluation its expressions ask; `None`: as the configuration says.
    pub query_offset_ms: Option<i64>,
    /// The most series or alerts of a rule; 0 for no limit.
    pub limit: usize,
    pub rules: Vec<RuleSpec>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RuleSpec {
    /// Of the alert, or of the series that it records.
    pub name: String,
    /// In PromQL's canonical form.
    pub expr: String,
    /// Those of the group included. Templates, for an alert.
    pub labels: BTreeMap<String, String>,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Recording,
    Alerting(Alerting),
}

/// What only an alert has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerting {
    pub for_ms: i64,
    pub keep_firing_for_ms: i64,
    pub annotations: BTreeMap<String, String>,
}

impl RuleFile {
    /// Reads a file's text; all that is wrong is told at once.
    pub fn parse(text: &str) -> Result<RuleFile, Vec<Fault>> {
        let Some(root) = root(text).map_err(|fault| vec![fault])? else { return Ok(RuleFile::default()) };
        let mut reader = Reader::default();
        let mut groups = Vec::new();
        let mut names = BTreeSet::new();
        if reader.keys(&root, "a rule file", &["groups"]) {
            for node in reader.items(&root, "groups") {
                let spec = group(&mut reader, node, text);
                if spec.name.is_empty() {
                    reader.fault(Fault::at(node, "Groupname must not be empty").hint("give it a `name`"));
                }
                if !names.insert(spec.name.clone()) {
                    let message = format!("groupname: \"{}\" is repeated in the same file", spec.name);
                    reader.fault(Fault::at(node, message));
                }
                groups.push(spec);
            }
        }
        match reader.faults.is_empty() {
            true => Ok(RuleFile { groups }),
            false => Err(reader.faults),
        }
    }
}

fn group(reader: &mut Reader, node: &Node, text: &str) -> GroupSpec {
    reader.keys(node, "a group", &["name", "interval", "query_offset", "limit", "labels", "rules"]);
    let name = reader.text(node, "name");
    let labels = labels(reader, node, "labels", "label");
    let mut rules = Vec::new();
    for (at, item) in reader.items(node, "rules").iter().enumerate() {
        let known = reader.faults.len();
        let rule = rule(reader, item, &labels, text);
        // Where in the file says the place; which rule it is, a person wants to be told as well.
        let called = format!("group \"{name}\", rule {}, \"{}\": ", at + 1, rule.name);
        for fault in reader.faults.iter_mut().skip(known) {
            fault.message.insert_str(0, &called);
        }
        rules.push(rule);
    }
    GroupSpec {
        name,
        interval_ms: reader.duration(node, "interval").filter(|interval_ms| *interval_ms > 0),
        query_offset_ms: reader.duration(node, "query_offset"),
        limit: usize::try_from(reader.whole(node, "limit")).unwrap_or(0),
        rules,
    }
}

/// Labels or annotations with names that may be.
fn labels(reader: &mut Reader, node: &Node, key: &str, of: &str) -> BTreeMap<String, String> {
    let texts = reader.texts(node, key);
    for name in texts.keys().filter(|name| name.is_empty() || (of == "label" && *name == "__name__")) {
        let place = node.get(key).and_then(|map| map.pair(name)).map(|pair| (pair.line as usize, pair.column as usize));
        reader.fault(Fault::new(place.unwrap_or((1, 1)), format!("invalid {of} name: {name}")));
    }
    texts
}

const RULE_KEYS: [&str; 7] = ["record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"];

fn rule(reader: &mut Reader, node: &Node, of_group: &BTreeMap<String, String>, text: &str) -> RuleSpec {
    reader.keys(node, "a rule", &RULE_KEYS);
    let (record, alert) = (reader.text(node, "record"), reader.text(node, "alert"));
    match (record.is_empty(), alert.is_empty()) {
        (false, false) => reader.fault(Fault::at(node, "only one of 'record' and 'alert' must be set")),
        (true, true) => reader.fault(Fault::at(node, "one of 'record' or 'alert' must be set")),
        _ => {}
    }
    let expr = expression(reader, node, text);
    let own = labels(reader, node, "labels", "label");
    let annotations = labels(reader, node, "annotations", "annotation");
    let (for_ms, keep) =
        (reader.duration(node, "for").unwrap_or(0), reader.duration(node, "keep_firing_for").unwrap_or(0));
    if alert.is_empty() && !record.is_empty() {
        let unfit = [("annotations", !annotations.is_empty()), ("for", for_ms != 0), ("keep_firing_for", keep != 0)];
        for (key, _) in unfit.iter().filter(|(_, there)| *there) {
            let place = node.pair(key).map(|pair| (pair.line as usize, pair.column as usize)).unwrap_or((1, 1));
            reader.fault(Fault::new(place, format!("invalid field '{key}' in recording rule")));
        }
        if record.contains(['{', '}']) {
            let message = format!("braces present in the recording rule name; should it be in expr?: {record}");
            reader.fault(Fault::at(node.get("record").unwrap_or(node), message));
        }
    }
    if !alert.is_empty() {
        for (key, of, texts) in [("labels", "label", &own), ("annotations", "annotation", &annotations)] {
            for (name, text) in texts {
                if let Err(error) = template::read(&alert, text) {
                    let place = node.get(key).and_then(|map| map.get(name)).unwrap_or(node);
                    reader.fault(Fault::at(place, format!("{of} \"{name}\": {error}")));
                }
            }
        }
    }
    // What the rule says itself counts before what its group says.
    let labels = of_group.clone().into_iter().chain(own).collect();
    let (name, kind) = match alert.is_empty() {
        true => (record, Kind::Recording),
        false => (alert, Kind::Alerting(Alerting { for_ms, keep_firing_for_ms: keep, annotations })),
    };
    RuleSpec { name, expr, labels, kind }
}

fn expression(reader: &mut Reader, node: &Node, text: &str) -> String {
    let expr = reader.text(node, "expr");
    let place = node.get("expr").unwrap_or(node);
    if expr.is_empty() {
        reader.fault(Fault::at(place, "field 'expr' must be set in rule"));
        return expr;
    }
    match parse(&expr) {
        Ok(parsed) => parsed.to_string(),
        Err(error) => {
            let at = within(place, &error, text);
            reader.fault(Fault::new(at, format!("could not parse expression: {error}")));
            expr
        }
    }
}

/// The place in the file of a place in an expression, where that can be known: not in folded texts, nor behind escapes.
fn within(node: &Node, error: &ParseError, text: &str) -> (usize, usize) {
    let start = (node.line as usize, node.column as usize);
    let (line, column) = (error.line.max(1), error.column.max(1));
    let written = text.get(node.start as usize..node.end as usize).unwrap_or_default();
    match node.style {
        Style::Plain if !written.contains('\n') => (start.0, start.1 + column - 1),
        Style::Single | Style::Double if !written.contains(['\n', '\\']) && !written.contains("''") => {
            (start.0, start.1 + column)
        }
        Style::Block if written.starts_with('|') => {
            // The text begins on the line behind the `|`.
            let before = text.get(..node.start as usize).unwrap_or_default().matches('\n').count() + 1;
            let first = text.lines().nth(before).unwrap_or_default();
            (before + line, first.len() - first.trim_start_matches(' ').len() + column)
        }
        _ => start,
    }
}
