//! Groups through time, minute by minute, and files that are wrong. What is expected was seen of Prometheus 3.15, or is told in its documentation.

use base_signal::{Labels, TenantId, is_stale_nan};
use base_world::sim::SimClock;
use observe_querytest::{Point, parse_series};
use observe_source::{Budget, Cancel, MetricWrite};

use crate::unit::Bench;
use crate::{Group, Health, OfRule, Over, RuleFile, SentAlert, Settings};

const MINUTE_MS: i64 = 60_000;

/// A group over series that it also writes to.
struct Story {
    source: Bench,
    settings: Settings,
    group: Group,
    clock: SimClock,
    sent: Vec<SentAlert>,
}

impl Story {
    /// `series` in the notation of query tests, a value a minute.
    fn new(rules: &str, series: &str) -> Self {
        let settings = Settings { external_url: "http://apm".into(), ..Settings::default() };
        let spec = RuleFile::parse(rules).unwrap().groups.remove(0);
        let group = Group::new("rules.yml", spec, &settings, true);
        Story { source: loaded(series), settings, group, clock: SimClock::at_ms(0), sent: Vec::new() }
    }

    /// Evaluates at a minute; hands back what was written, a line a sample.
    fn at(&mut self, minute: i64) -> Vec<String> {
        let (tenant, budget, cancel) = (TenantId::default(), Budget::unlimited(), Cancel::default());
        let mut written = Vec::new();
        let source = &self.source;
        let mut store = |write: MetricWrite| {
            written.extend(shown(&write));
            Ok(source.append(write))
        };
        let over = Over { source, tenant: &tenant, budget: &budget, cancel: &cancel, clock: &self.clock };
        self.sent = self.group.evaluate(minute * MINUTE_MS, &self.settings, &over, &mut store);
        written.sort();
        written
    }

    fn error(&self) -> String {
        match &self.group.told().rules[0].health {
            Health::Bad(why) => why.clone(),
            other => format!("{other:?}"),
        }
    }

    /// Alerts that were to be sent: their labels, from when to when.
    fn sent(&self) -> Vec<String> {
        let minutes = |ms: i64| ms / MINUTE_MS;
        let told = |a: &SentAlert| format!("{} {}..{}", a.labels, minutes(a.starts_at_ms), minutes(a.ends_at_ms));
        self.sent.iter().map(told).collect()
    }
}

fn loaded(series: &str) -> Bench {
    let bench = Bench::default();
    for line in series.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let loaded = parse_series(line).unwrap();
        let mut write = MetricWrite::default();
        let at = write.series.push_set(loaded.labels.as_ref());
        for (minute, item) in loaded.values.iter().enumerate() {
            if let Some(Point::Float(value)) = item.as_ref().map(|item| &item.point) {
                write.samples.push((at, minute as i64 * MINUTE_MS, *value));
            }
        }
        bench.append(write);
    }
    bench
}

fn shown(write: &MetricWrite) -> Vec<String> {
    let value = |value: f64| if is_stale_nan(value) { "stale".to_owned() } else { value.to_string() };
    let line = |(series, _, v): &(u32, i64, f64)| format!("{} {}", write.series.get(*series).to_labels(), value(*v));
    write.samples.iter().map(line).collect()
}

/// A rule file of one group.
fn rules(keys: &str, rule: &str) -> String {
    format!("groups:\n- name: g\n  {keys}\n  rules:\n  - {rule}\n")
}

#[test]
fn a_recording_rule_writes_what_it_finds_and_ends_what_is_gone() {
    let text = "groups:\n- name: g\n  labels: {team: x, of: group}\n  rules:\n  - record: job:up:sum\n    expr: sum by (job) (up)\n    labels: {of: rule}\n  - record: twice\n    expr: job:up:sum * 2\n";
    let mut story =
        Story::new(text, "up{job=\"a\",i=\"1\"} 1 1 stale\nup{job=\"a\",i=\"2\"} 1 0 stale\nup{job=\"b\"} 3x9");
    let sum =
        |job: &str, value: &str| format!("{{__name__=\"job:up:sum\", job=\"{job}\", of=\"rule\", team=\"x\"}} {value}");
    let twice =
        |job: &str, value: &str| format!("{{__name__=\"twice\", job=\"{job}\", of=\"group\", team=\"x\"}} {value}");
    let all = |a: &str, b: &str, c: &str, d: &str| vec![sum("a", a), sum("b", b), twice("a", c), twice("b", d)];
    assert_eq!(story.at(0), all("2", "3", "4", "6"), "a rule sees what the one before it wrote");
    assert_eq!(story.at(1), all("1", "3", "2", "6"));
    assert_eq!(story.at(2), all("stale", "3", "stale", "6"), "what is gone has ended");
    assert_eq!(story.at(3), [sum("b", "3"), twice("b", "6")], "and ends once");
}

#[test]
fn a_rule_that_fails_says_why_and_writes_nothing() {
    let cases = [
        (
            "",
            "{record: r, expr: up, labels: {i: same}}",
            "vector contains metrics with the same labelset after applying rule labels",
        ),
        ("limit: 1", "{record: r, expr: up}", "exceeded limit of 1 with 2 series"),
        ("limit: 1", "{alert: A, expr: up}", "exceeded limit of 1 with 2 alerts"),
        (
            "",
            "{alert: A, expr: up, labels: {i: same}}",
            "vector contains metrics with the same labelset after applying alert labels",
        ),
        ("", "{record: r, expr: \"'text'\"}", "rule result is not a vector or scalar"),
        (
            "",
            "{record: r, expr: 'up + on(job) up'}",
            "found duplicate series for the match group {} on the right hand-side of the operation: [{__name__=\"up\", i=\"2\"}, {__name__=\"up\", i=\"1\"}];many-to-many matching not allowed: matching labels must be unique on one side",
        ),
        ("limit: 2", "{record: r, expr: up}", "Good"),
    ];
    for (keys, rule, why) in cases {
        let mut story = Story::new(&rules(keys, rule), "up{i=\"1\"} 1x9\nup{i=\"2\"} 1x9");
        let written = story.at(0);
        // Which of two duplicates is named first is left to chance, also in Prometheus.
        let error = story.error();
        let swapped = error.replace("i=\"1\"", "i=\"x\"").replace("i=\"2\"", "i=\"1\"").replace("i=\"x\"", "i=\"2\"");
        assert!(error == why || swapped == why, "{rule}: {error}");
        assert_eq!(written.is_empty(), why != "Good", "{rule}: {written:?}");
    }
}

/// What an alert goes through: at each minute its state in `ALERTS`, `-` where there is none.
fn check_states(keys: &str, values: &str, expect: &str) {
    let mut story =
        Story::new(&rules("", &format!("{{alert: A, expr: 'm > 0', {keys}}}")), &format!("m{{x=\"1\"}} {values}"));
    let mut states = Vec::new();
    for minute in 0..expect.split(' ').count() as i64 {
        let written = story.at(minute);
        let state = written.iter().find_map(|line| {
            let state = line.strip_suffix(" 1")?.split_once("alertstate=\"")?.1;
            state.split('"').next().map(str::to_owned)
        });
        let told = match &story.group.told().rules[0].of {
            OfRule::Alerting { alerts, .. } => alerts.first().map(|alert| alert.state.as_str().to_owned()),
            OfRule::Recording => None,
        };
        assert_eq!(state, told, "{keys}: {values} at {minute}");
        states.push(state.map_or("-".to_owned(), |state| state[..1].to_owned()));
    }
    assert_eq!(states.join(" "), expect, "{keys}: {values}");
}

#[test]
fn states_of_an_alert() {
    // f: firing, p: pending
    check_states("for: 0s", "0 1 1 0 1", "- f f - f");
    check_states("for: 2m", "0 1 1 1 1 0 1", "- p p f f - p");
    check_states("for: 2m", "1 1 0 1 1 1", "p p - p p f");
    check_states("for: 90s", "1 1 1", "p p f");
    check_states("keep_firing_for: 2m", "1 0 0 0 1 0 1 0 0 0", "f f f - f f f f f -");
    check_states("for: 1m, keep_firing_for: 1m", "1 0 1 1 0 0", "p - p f f -");
}

#[test]
fn series_of_an_alert_begin_and_end() {
    let mut story =
        Story::new(&rules("", "{alert: A, expr: 'm > 0', for: 1m, labels: {s: 'v{{ $value }}'}}"), "m{x=\"1\"} 3 3 0");
    let line = |state: &str, value: &str| {
        format!("{{__name__=\"ALERTS\", alertname=\"A\", alertstate=\"{state}\", s=\"v3\", x=\"1\"}} {value}")
    };
    let since = |value: &str| format!("{{__name__=\"ALERTS_FOR_STATE\", alertname=\"A\", s=\"v3\", x=\"1\"}} {value}");
    assert_eq!(story.at(0), [line("pending", "1"), since("0")]);
    assert_eq!(story.at(1), [line("firing", "1"), line("pending", "stale"), since("0")]);
    assert_eq!(story.at(2), [line("firing", "stale"), since("stale")]);
    assert_eq!(story.at(3), [""; 0]);
}

#[test]
fn whom_alertmanager_hears_of_and_when() {
    let mut story = Story::new(&rules("", "{alert: A, expr: 'm > 0', for: 1m}"), "m 1x3 0x40");
    let mut heard = Vec::new();
    for minute in 0..24 {
        story.at(minute);
        heard.extend(story.sent().into_iter().map(|sent| format!("{minute}: {sent}")));
    }
    let alert = "{alertname=\"A\"}";
    // From its firing on every two minutes (later than the delay of one), of its end at once, and then for 15 minutes.
    let ends = [4, 6, 8, 10, 12, 14, 16, 18].map(|minute| format!("{minute}: {alert} 1..4"));
    let mut wanted = vec![format!("1: {alert} 1..5"), format!("3: {alert} 1..7")];
    wanted.extend(ends);
    assert_eq!(heard, wanted);
    story.at(25);
    assert_eq!(story.sent[..], []);
    let mut story = Story::new(
        &rules("", "{alert: A, expr: 'm > 0', annotations: {a: '{{ $labels.x }} is {{ $value }}'}}"),
        "m{x=\"y\"} 2",
    );
    story.at(0);
    assert_eq!(story.sent[0].annotations["a"], "y is 2");
    assert_eq!(story.sent[0].generator_url, "http://apm/graph?g0.expr=m+%3E+0&g0.tab=1");
}

#[test]
fn for_goes_on_over_a_restart() {
    // For so long it held before, then nobody looked, then it was looked again twice: since when it is said to hold.
    for (for_ms, held_minutes, away_minutes, since_minute) in [
        // 20 minutes were left of 30: the outage is added.
        (30, 10, 5, 5),
        // 4 minutes were left: the grace period of 10 is waited for.
        (30, 26, 5, 32 + 10 - 30),
        // It fired.
        (30, 40, 5, 0),
        // Shorter than the grace period: it begins anew.
        (5, 3, 1, 4),
        // Too long ago.
        (30, 10, 90, 100),
    ] {
        let text = rules("", &format!("{{alert: A, expr: m, for: {for_ms}m}}"));
        let mut story = Story::new(&text, "m 1x200");
        (0..=held_minutes).for_each(|minute| drop(story.at(minute)));
        let spec = RuleFile::parse(&text).unwrap().groups.remove(0);
        story.group = Group::new("rules.yml", spec, &story.settings, false);
        let back = held_minutes + away_minutes;
        assert_eq!(story.at(back), [""; 0], "what is stored is not overwritten before it is read");
        story.at(back + 1);
        let (tenant, budget, cancel) = (TenantId::default(), Budget::unlimited(), Cancel::default());
        let source = &story.source;
        let over = Over { source, tenant: &tenant, budget: &budget, cancel: &cancel, clock: &story.clock };
        story.group.restore((back + 1) * MINUTE_MS, &story.settings, &over).unwrap();
        let expect_ms = match since_minute {
            // The minute of the reading counts as away.
            5 => (since_minute + 1) * MINUTE_MS,
            other => other * MINUTE_MS,
        };
        let told = story.group.told();
        let OfRule::Alerting { alerts, .. } = &told.rules[0].of else { panic!("an alert") };
        assert_eq!(alerts[0].active_at_ms, expect_ms, "for {for_ms}m, held {held_minutes}, away {away_minutes}");
        assert!(!story.at(back + 2).is_empty());
    }
}

#[test]
fn another_configuration_goes_on_and_ends_what_it_lacks() {
    let text = |of: &str| format!("groups:\n- name: g\n  rules:\n  - {{alert: A, expr: 'm > 0', for: 2m}}\n{of}");
    let mut story = Story::new(&text("  - {record: old, expr: m}\n"), "m 1x9");
    story.at(0);
    let spec = RuleFile::parse(&text("  - {record: new, expr: m}\n")).unwrap().groups.remove(0);
    assert!(!story.group.is_alike("rules.yml", &spec, &story.settings));
    let mut next = Group::new("rules.yml", spec, &story.settings, true);
    next.take_over(story.group.clone());
    story.group = next;
    assert!(story.at(1).contains(&"{__name__=\"old\"} stale".to_owned()));
    assert!(story.at(2).iter().any(|line| line.contains("firing")), "`for` went on");
    let ended: Vec<String> = story.group.into_written().iter().map(ToString::to_string).collect();
    assert!(ended.contains(&"{__name__=\"new\"}".to_owned()) && ended.len() == 3, "{ended:?}");
}

#[test]
fn what_templates_come_to() {
    for (template, expect) in [
        ("{{ $labels.x }} {{ .Labels.none }}|{{ $value }}", "a |1234.5"),
        ("{{ humanize $value }} {{ 1234567.0 | humanize }} {{ humanize 0.005 }}", "1.234k 1.235M 5m"),
        ("{{ humanize1024 1536.0 }} {{ humanizePercentage 0.12345 }}", "1.5ki 12.35%"),
        (
            "{{ humanizeDuration 93784.0 }} {{ humanizeDuration 0.012 }} {{ humanizeDuration 61 }}",
            "1d 2h 3m 4s 12ms 1m 1s",
        ),
        ("{{ humanizeTimestamp 1435065584.128 }}", "2015-06-23 13:19:44.128 +0000 UTC"),
        ("{{ printf \"%.2f\" $value }} {{ $value | printf \"%.0f\" }}", "1234.50 1234"),
        ("{{ range query \"m\" | sortByLabel \"x\" }}{{ .Labels.x }}={{ .Value }} {{ end }}", "a=1234.5 b=-1 "),
        ("{{ with query \"m{x='b'}\" }}{{ . | first | value }} {{ . | first | label \"x\" }}{{ end }}", "-1 b"),
        (
            "{{ query \"nothing\" | first | value }}",
            "<error expanding template: error executing template __alert_A: template: __alert_A:1: executing \"__alert_A\" at <query \"nothing\" | first | value>: error calling first: first() called on vector with no elements>",
        ),
        ("{{ toUpper \"aB\" }} {{ toLower \"aB\" }} {{ title \"aa bB\" }}", "AB ab Aa BB"),
        ("{{ reReplaceAll \"(.)b\" \"$1-\" \"abab\" }} {{ match \"a.c\" \"xabcx\" }}", "a-a- true"),
        ("{{ externalURL }} {{ $externalURL }} {{ $externalLabels.site }}", "http://apm http://apm ulm"),
        (
            "{{ stripPort \"h:1\" }} {{ stripPort \"[::1]:2\" }} {{ stripDomain \"a.b.c:3\" }} {{ stripDomain \"1.2.3.4:3\" }}",
            "h ::1 a:3 1.2.3.4:3",
        ),
        (
            "{{ parseDuration \"1m30s\" }} {{ toDuration 90 }} {{ now }} {{ tableLink \"up == 0\" }}",
            "90 1m30s 0 /graph?g0.expr=up+%3D%3D+0&g0.tab=1",
        ),
        ("{{ if gt $value 1000.0 }}high{{ else }}low{{ end }}", "high"),
        ("{{ with $x := args 1 \"b\" }}{{ .arg0 }}{{ $x.arg1 }}{{ end }}", "1b"),
    ] {
        let rule = format!("alert: A\n    expr: m > 0\n    annotations:\n      a: |-\n        {template}");
        let mut story = Story::new(&rules("", &rule), "m{x=\"a\"} 1234.5\nm{x=\"b\"} -1");
        story.settings.external_labels = Labels::from_pairs([("site", "ulm")]);
        story.at(0);
        assert_eq!(story.sent[0].annotations["a"], expect, "{template}");
    }
}

fn check_file(text: &str, expect: &[&str]) {
    let faults = RuleFile::parse(text).err().unwrap_or_default();
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults, expect, "{text}");
}

#[test]
fn files_are_read_whole_or_not_at_all() {
    check_file("", &[]);
    check_file("groups: []\n", &[]);
    check_file("group: []\n", &["1:1: unknown key `group` in a rule file"]);
    check_file("groups:\n- name: g\n  interval: 5\n", &["3:13: `interval`: unknown unit \"\" in duration \"5\""]);
    check_file("groups:\n- rules: []\n", &["2:3: Groupname must not be empty"]);
    check_file("groups:\n- name: g\n- name: g\n", &["3:3: groupname: \"g\" is repeated in the same file"]);
    let rule = |rule: &str| format!("groups:\n- name: g\n  rules:\n  - {rule}\n");
    let at = |place: &str, name: &str, why: &str| format!("{place}: group \"g\", rule 1, \"{name}\": {why}");
    let check = |text: &str, place: &str, name: &str, why: &str| check_file(&rule(text), &[&at(place, name, why)]);
    check("expr: up", "4:5", "", "one of 'record' or 'alert' must be set");
    check("{record: a, alert: b, expr: up}", "4:5", "b", "only one of 'record' and 'alert' must be set");
    check("record: a", "4:5", "a", "field 'expr' must be set in rule");
    check("{record: a, expr: up, for: 5m}", "4:27", "a", "invalid field 'for' in recording rule");
    check("{alert: a, expr: up, labels: {__name__: x}}", "4:35", "a", "invalid label name: __name__");
    check("{alert: a, expr: up, severity: x}", "4:26", "a", "unknown key `severity` in a rule");
    check(
        "{alert: a, expr: up, labels: {x: '{{ $y }}'}}",
        "4:38",
        "a",
        "label \"x\": template: __alert_a:1: undefined variable \"$y\"",
    );
    check(
        "{record: 'a{x=1}', expr: up}",
        "4:14",
        "a{x=1}",
        "braces present in the recording rule name; should it be in expr?: a{x=1}",
    );
    check(
        "{record: a, expr: sum(}",
        "4:27",
        "a",
        "could not parse expression: 1:5: parse error: unclosed left parenthesis",
    );
    check_file(
        &rule("record: a\n    expr: |\n      sum by (x) (\n        up +\n      )"),
        &[&at("8:7", "a", "could not parse expression: 3:1: parse error: unexpected \")\" in aggregation")],
    );
}
