//! `deploy.health` of `apm.yaml`, as compose spells a health check, becomes what Docker runs inside the container. It knows no engine.

use app_config::Span;
use base_explain::Report;
use operate_deploy::Health;
use serde::Deserialize;

/// A line for the container's shell, or a list that begins with `CMD`, `CMD-SHELL` or `NONE`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Test {
    Line(String),
    Words(Vec<String>),
}

/// Exactly one of `test`, `command`, `http`; times left out are the image's or Docker's.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct HealthSettings {
    pub test: Option<Test>,
    /// Words, started without a shell.
    pub command: Option<Vec<String>>,
    /// A path that must answer inside the container; asked by its own `wget` or `curl`.
    pub http: Option<String>,
    /// For `http`: the service's own when left out.
    pub port: Option<u16>,
    pub interval: Option<Span>,
    pub timeout: Option<Span>,
    pub retries: u32,
    pub start_period: Option<Span>,
    /// No check at all, though the image has one.
    pub disable: bool,
}

impl HealthSettings {
    /// The check, for a service that listens at `service_port`.
    pub fn health(&self, service_port: Option<u16>) -> Result<Health, Report> {
        let given = usize::from(self.test.is_some()) + usize::from(self.command.is_some());
        let given = given + usize::from(self.http.is_some()) + usize::from(self.disable);
        if given > 1 {
            return Err(Report::new("a health check is one of `test`, `command`, `http` and `disable`, not several")
                .hint("keep one of them"));
        }
        let test = if self.disable {
            vec!["NONE".to_owned()]
        } else if let Some(words) = &self.command {
            std::iter::once("CMD".to_owned()).chain(words.iter().cloned()).collect()
        } else if let Some(path) = &self.http {
            vec!["CMD-SHELL".to_owned(), asked(path, self.port.or(service_port))?]
        } else {
            match &self.test {
                None => Vec::new(),
                Some(Test::Line(line)) => vec!["CMD-SHELL".to_owned(), line.clone()],
                Some(Test::Words(words)) => words_of(words)?,
            }
        };
        let ms = |span: Option<Span>| span.map_or(0, |span| u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX));
        let health = Health {
            test,
            interval_ms: ms(self.interval),
            timeout_ms: ms(self.timeout),
            retries: self.retries,
            start_period_ms: ms(self.start_period),
        };
        Ok(health)
    }
}

fn words_of(words: &[String]) -> Result<Vec<String>, Report> {
    let hint = "write [\"CMD\", program, words…], [\"CMD-SHELL\", line], [\"NONE\"], or one line without a list";
    match words.split_first().map(|(kind, rest)| (kind.as_str(), rest.len())) {
        Some(("NONE", 0) | ("CMD-SHELL", 1)) => Ok(words.to_vec()),
        Some(("CMD", 1..)) => Ok(words.to_vec()),
        _ => Err(Report::new(format!("`{}` is no test of a health check", words.join(" "))).hint(hint)),
    }
}

/// By whichever of the two the image has.
fn asked(path: &str, port: Option<u16>) -> Result<String, Report> {
    let Some(port) = port else {
        return Err(Report::new("the health check names no port, and neither does the service")
            .hint("`health: { http: /healthz, port: 8080 }`"));
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./~%?=&+,:@".contains(c);
    if !path.starts_with('/') || !path.chars().all(plain) {
        return Err(Report::new(format!("`{path}` is no path of a health check"))
            .hint("it begins with a slash, and what a shell would take apart is written as %20"));
    }
    let url = format!("'http://127.0.0.1:{port}{path}'");
    Ok(format!("wget -q -O /dev/null {url} || curl -fsS -o /dev/null {url} || exit 1"))
}

#[cfg(test)]
mod tests {
    use app_config::Tree;

    use super::*;

    fn check(yaml: &str, expect: Result<(&[&str], u64), &str>) {
        let mut tree = Tree::default();
        tree.add_file("apm.yaml", &format!("health: {yaml}"), &|_| None).expect("YAML");
        let settings: HealthSettings = tree.section("health").expect("settings");
        match (settings.health(Some(80)).map_err(|report| report.one_line()), expect) {
            (Ok(found), Ok((test, interval_ms))) => {
                assert_eq!(
                    (found.test, found.interval_ms),
                    (test.iter().map(|s| (*s).to_owned()).collect(), interval_ms)
                );
            }
            (Err(found), Err(expect)) => assert!(found.contains(expect), "{found}"),
            (found, expect) => panic!("{yaml}: {found:?}, not {expect:?}"),
        }
    }

    #[test]
    fn a_check_is_read_as_compose_reads_it() {
        check("{ test: \"curl -f localhost\", interval: 2s }", Ok((&["CMD-SHELL", "curl -f localhost"], 2_000)));
        check("{ test: [CMD, /check, now] }", Ok((&["CMD", "/check", "now"], 0)));
        check("{ test: [CMD-SHELL, a || b], interval: 1m30s }", Ok((&["CMD-SHELL", "a || b"], 90_000)));
        check("{ command: [/check] }", Ok((&["CMD", "/check"], 0)));
        check("{ disable: true }", Ok((&["NONE"], 0)));
        check("{ interval: 5s }", Ok((&[], 5_000)));
        check("{ test: [/check] }", Err("is no test"));
        check("{ test: a, command: [b] }", Err("one of"));
        let asked = "wget -q -O /dev/null 'http://127.0.0.1:80/up?x=1' || curl -fsS -o /dev/null 'http://127.0.0.1:80/up?x=1' || exit 1";
        check("{ http: /up?x=1 }", Ok((&["CMD-SHELL", asked], 0)));
        check("{ http: \"/a'; rm\" }", Err("is no path"));
    }
}
