//! From settings and flags to one release: names found, ports and volumes read, secrets read and sealed at once. It asks no engine.

use std::collections::BTreeMap;
use std::path::Path;

use app_adapt::{Elsewhere, Request};
use base_explain::Report;
use base_world::Disk;
use operate_build::Inject;
use operate_deploy::{Canary, Check, Container, Release, Secret, Strategy};
use operate_execute::{RunId, Seal};
use operate_gate::{Side, Subject, UserCheck};
use operate_plan::Calendar;
use operate_target_docker::secret_name;
use serde_json::Value;

use crate::agent;
use crate::cluster::Plain;
use crate::env_files;
use crate::exposed;
use crate::front;
use crate::places::{port, volume};
use crate::scanned;
use crate::settings::{CheckSettings, Project, ServiceSettings};

/// A password is not longer.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// What a person gave on the command line or in a request.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// May be left out where there is one service only.
    pub service: Option<String>,
    pub image: Option<String>,
    pub version: Option<String>,
    /// Of a way back: the very run whose image, objects or chart are meant, where one version was several.
    pub as_of: Option<RunId>,
    pub strategy: Option<Strategy>,
    pub adopt: bool,
    pub force: bool,
    /// Somebody says that no helm is at work on a release that hangs.
    pub repair: bool,
    pub actor: String,
    pub reason: String,
    /// Where the containers send their telemetry, unless their settings say.
    pub otlp_endpoint: Option<String>,
    /// Manifests alone, on a cluster, whatever else the settings say of the service.
    pub plain: Option<Plain>,
}

impl Project {
    /// The service that is meant.
    pub fn chosen(&self, service: Option<&str>) -> Result<(String, &ServiceSettings), Report> {
        let names: Vec<&str> = self.services.keys().map(String::as_str).collect();
        match service {
            Some(name) => match self.services.get(name) {
                Some(settings) => Ok((name.to_owned(), settings)),
                None => {
                    let hint = match base_explain::nearest(name, names.iter().copied()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None if names.is_empty() => "add it to apm.yaml under `services`".to_owned(),
                        None => format!("there are {}", names.join(", ")),
                    };
                    Err(Report::new(format!("there is no service `{name}` in the settings")).hint(hint))
                }
            },
            None => match self.services.iter().next() {
                Some((name, settings)) if names.len() == 1 => Ok((name.clone(), settings)),
                Some(_) => {
                    Err(Report::new("there are several services").hint(format!("name one: {}", names.join(", "))))
                }
                None => Err(Report::new("there is nothing to deploy: apm.yaml has no `services`")
                    .hint("write `services: { web: { image: registry/web } }`")),
            },
        }
    }

    /// Service, image and version that are meant.
    pub fn image(&self, asked: &Asked) -> Result<(String, String, String), Report> {
        let (service, settings) = self.chosen(asked.service.as_deref())?;
        let (image, version) = image(&service, settings, asked)?;
        Ok((service, image, version))
    }

    /// The release that is wanted. Secrets are sealed here and are never in clear after it.
    /// `fronts` is the folder of control sockets.
    pub(crate) fn release(
        &self,
        asked: &Asked,
        seal: &Seal,
        disk: &dyn Disk,
        fronts: &Path,
    ) -> Result<Release, Report> {
        let (service, settings) = self.chosen(asked.service.as_deref())?;
        if self.is_on_cluster(asked)? {
            let report = Report::new(format!("{service} runs on a cluster, and this is about containers of an engine"));
            return Err(report.hint("`apm deploy --env NAME` releases it to one environment"));
        }
        let (image, version) = image(&service, settings, asked)?;
        let mut container = container(settings, &self.environment, asked, seal, disk)?;
        if settings.build.inject == Some(Inject::Volume) {
            agent::add(&mut container, &service, &version, settings)?;
        }
        let deploy = &settings.deploy;
        let mut findings = exposed::findings(&service, settings, &container.volumes, &self.environment, disk);
        findings.extend(agent::not_carried(&service, settings));
        let front = match &deploy.front {
            Some(front) => Some(front::front(self, &service, settings, front, &container.ports, fronts)?),
            None => None,
        };
        let judged = self.judged(&service, &version, settings, &JudgedAt::default())?;
        Ok(Release {
            project: self.name.clone(),
            environment: self.environment.clone(),
            target: format!("docker:{}", self.name),
            strategy: asked.strategy.unwrap_or_else(|| deploy.usual_strategy()),
            front,
            canary: Some(judged.canary),
            replicas: deploy.replicas,
            checks: deploy.checks.iter().map(|check| check_of(check, settings)).collect::<Result<_, _>>()?,
            ready_ms: ms(deploy.ready.0),
            gate: judged.gate,
            scan: deploy.scan.as_ref().map(|settings| scanned::asked(settings, &image, disk)).transpose()?,
            judge: judged.judge,
            sides: Some(front::sides()),
            judge_ms: judged.judge_ms,
            findings,
            approval: deploy.approval.then(|| format!("Deploy {service} {version} to {}?", self.environment)),
            calendar: self.calendar(),
            adopt: asked.adopt,
            force: asked.force,
            actor: asked.actor.clone(),
            reason: asked.reason.clone(),
            service,
            version,
            image,
            pinned: None,
            container,
        })
    }

    /// What the judge is asked about this version, whatever it is released on.
    pub(crate) fn judged(
        &self,
        service: &str,
        version: &str,
        settings: &ServiceSettings,
        at: &JudgedAt,
    ) -> Result<Judged, Report> {
        let deploy = &settings.deploy;
        let judge_settings = self.judge.settings.clone();
        judge_settings.check().map_err(|error| Report::of(&error))?;
        // A minute beside the bake, for questions that are slow to answer.
        let judge_ms = ms(judge_settings.bake) + 60_000;
        let mut subject = self.subject(service, Some(version));
        subject.matchers.clone_from(&at.matchers);
        if deploy.judged {
            subject.checks =
                self.judge.checks.iter().map(|check| judged_by(check, settings)).collect::<Result<_, _>>()?;
        }
        let beside = front::beside(&subject, &judge_settings, &deploy.canary, &at.asked);
        let canary = front::canary(&deploy.canary, beside.filter(|_| deploy.judged), judge_ms)?;
        let mut judged = Judged { gate: None, judge: None, canary, judge_ms };
        if deploy.judged {
            let request = |request: Request| serde_json::to_value(request).ok();
            judged.gate = request(Request::Before {
                subject: Box::new(subject.clone()),
                settings: Box::new(judge_settings.clone()),
                slo: settings.slo.clone(),
                freezes: self.freezes.clone(),
                at: at.asked.clone(),
            });
            judged.judge = request(Request::After {
                subject: Box::new(subject),
                settings: Box::new(judge_settings),
                at: at.asked.clone(),
            });
        }
        Ok(judged)
    }

    pub(crate) fn subject(&self, service: &str, version: Option<&str>) -> Subject {
        Subject {
            service: service.to_owned(),
            environment: self.environment.clone(),
            new: Side { version: version.map(str::to_owned), ..Side::default() },
            ..Subject::default()
        }
    }
}

/// Whose telemetry a release is judged by, where it is not the usual one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct JudgedAt {
    pub(crate) asked: Elsewhere,
    /// Labels that tell it from others'.
    pub(crate) matchers: BTreeMap<String, String>,
}

/// Requests in the judge's own form; none where a service is not judged.
pub(crate) struct Judged {
    pub(crate) gate: Option<Value>,
    pub(crate) judge: Option<Value>,
    pub(crate) canary: Canary,
    /// The longest that the judge may take.
    pub(crate) judge_ms: u64,
}

impl Project {
    /// What forbids changes in the chosen environment, now and later.
    pub(crate) fn calendar(&self) -> Calendar {
        let all = Calendar { freezes: self.freezes.clone(), windows: self.windows.clone() };
        all.of(&self.environment, i64::MIN)
    }
}

pub(crate) fn ms(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The image's full reference and the version, from whichever of them is known.
pub(crate) fn image(service: &str, settings: &ServiceSettings, asked: &Asked) -> Result<(String, String), Report> {
    let Some(image) = asked.image.as_ref().or(settings.image.as_ref()) else {
        let report = Report::new(format!("nobody says which image {service} is"));
        return Err(report.hint(format!("`--image`, or `services.{service}.image` in apm.yaml")));
    };
    // A colon after the last slash is a tag's; one before it is a port's.
    let name = image.rsplit('/').next().unwrap_or(image);
    let tag = name.split_once(':').map(|(_, tag)| tag.split('@').next().unwrap_or(tag));
    match (&asked.version, tag) {
        (None, Some(tag)) => Ok((image.clone(), tag.to_owned())),
        (Some(version), Some(_)) if asked.image.is_some() => Ok((image.clone(), version.clone())),
        // The file's tag is a default; the version asked for takes its place.
        (Some(version), Some(tag)) => {
            let bare = image.strip_suffix(&format!(":{tag}")).unwrap_or(image);
            Ok((format!("{bare}:{version}"), version.clone()))
        }
        (Some(version), None) => Ok((format!("{image}:{version}"), version.clone())),
        (None, None) => {
            let report = Report::new(format!("nobody says which version of {service} is meant"));
            Err(report.hint("`--version`, or an image with a tag"))
        }
    }
}

fn container(
    settings: &ServiceSettings,
    environment: &str,
    asked: &Asked,
    seal: &Seal,
    disk: &dyn Disk,
) -> Result<Container, Report> {
    let deploy = &settings.deploy;
    let mut env = settings.env.clone();
    let mut secrets = BTreeMap::new();
    for (variable, path) in &settings.secrets {
        let bytes = disk.read(path, SECRET_BYTES_MAX).map_err(|error| Report::of(&error))?;
        let value = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let sealed = seal.seal(&secret_name(variable), value).map_err(|error| Report::of(&error))?;
        secrets.insert(variable.clone(), Secret { sealed, mark: seal.mark(value) });
    }
    for (name, value) in settings.hidden.values().filter(|(name, _)| !settings.secrets.contains_key(*name)) {
        let sealed = seal.seal(&secret_name(name), value.as_bytes()).map_err(|error| Report::of(&error))?;
        secrets.insert(name.to_owned(), Secret { sealed, mark: seal.mark(value.as_bytes()) });
    }
    env_files::add(&settings.env_file, environment, disk, seal, &mut env, &mut secrets)?;
    if let Some(endpoint) = &asked.otlp_endpoint {
        env.entry("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned()).or_insert_with(|| endpoint.clone());
    }
    Ok(Container {
        command: deploy.command.clone(),
        entrypoint: deploy.entrypoint.clone(),
        env,
        secrets,
        ports: deploy.ports.iter().map(|text| port(text)).collect::<Result<_, _>>()?,
        volumes: deploy.volumes.iter().map(|text| volume(text)).collect::<Result<_, _>>()?,
        networks: deploy.networks.clone(),
        memory_bytes: deploy.memory.map_or(0, |size| size.0),
        cpu_millis: (deploy.cpus.max(0.0) * 1000.0).round() as u64,
        pids: deploy.pids,
        user: deploy.user.clone(),
        read_only_root: deploy.read_only,
        restart: deploy.restart.clone(),
        health: deploy.health.as_ref().map(|health| health.health(settings.port)).transpose()?,
        stop_grace_s: u32::try_from(deploy.stop_grace.0.as_secs()).unwrap_or(u32::MAX),
        extra: deploy.container.clone(),
    })
}

/// A check of the judge as it can be carried out: a path gets the service's address on this machine.
fn judged_by(check: &UserCheck, settings: &ServiceSettings) -> Result<UserCheck, Report> {
    let kinds = [&check.promql, &check.http, &check.command].into_iter().flatten().count();
    let label = check.label().to_owned();
    if kinds != 1 {
        let report =
            Report::new(format!("the check `{label}` of the judge has to be one of `promql`, `http` and `command`"));
        return Err(report.hint("write `{ http: /healthz }`, `{ command: ./smoke.sh }` or `{ promql: \"…\", max: 1 }`"));
    }
    let Some(http) = &check.http else { return Ok(check.clone()) };
    if let Some((_, rest)) = http.split_once("://") {
        return match rest.split(['/', '?']).next().is_some_and(|authority| authority.contains('@')) {
            false => Ok(check.clone()),
            // It would stand in the plan, and so in the history.
            true => Err(Report::new("a check of the judge has a password in its URL")
                .hint("use `command` with a program that knows it, such as `curl --netrc`")),
        };
    }
    let deploy = &settings.deploy;
    let ports = deploy.ports.iter().map(|text| port(text)).collect::<Result<Vec<_>, _>>()?;
    let published = ports.iter().filter(|port| settings.port.is_none_or(|own| own == port.container));
    let published = published.filter_map(|port| port.publish.as_ref()).map(|publish| match publish.address.as_str() {
        "" | "0.0.0.0" => ("127.0.0.1".to_owned(), publish.port),
        address => (address.to_owned(), publish.port),
    });
    let on_host = settings.port.filter(|_| deploy.networks.iter().any(|network| network == "host"));
    let Some((address, port)) = published.chain(on_host.map(|port| ("127.0.0.1".to_owned(), port))).next() else {
        let report = Report::new(format!("nobody says where the check `{label}` of the judge is to ask"));
        return Err(report.hint("give it a whole URL, or publish the service's port"));
    };
    let slash = if http.starts_with('/') { "" } else { "/" };
    let name = if check.name.is_empty() { label } else { check.name.clone() };
    Ok(UserCheck { name, http: Some(format!("http://{address}:{port}{slash}{http}")), ..check.clone() })
}

fn check_of(check: &CheckSettings, settings: &ServiceSettings) -> Result<Check, Report> {
    let no_port = || Report::new("a check needs a port").hint("give `port` to the check or to the service");
    match (&check.http, check.tcp) {
        (Some(path), None) => {
            Ok(Check::Http { path: path.clone(), port: check.port.or(settings.port).ok_or_else(no_port)? })
        }
        (None, Some(port)) => Ok(Check::Tcp { port }),
        _ => {
            Err(Report::new("a check is either `http` or `tcp`").hint("write `{ http: /healthz }` or `{ tcp: 5432 }`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Image and version from the file's image, the flag's image and the flag's version.
    fn check_image(file: Option<&str>, flag: Option<&str>, version: Option<&str>, expect: Result<(&str, &str), &str>) {
        let settings = ServiceSettings { image: file.map(str::to_owned), ..ServiceSettings::default() };
        let asked = Asked { image: flag.map(str::to_owned), version: version.map(str::to_owned), ..Asked::default() };
        let found = image("cart", &settings, &asked).map_err(|report| report.one_line());
        let found = found.as_ref().map(|(image, version)| (image.as_str(), version.as_str()));
        match (found, expect) {
            (Ok(found), Ok(expect)) => assert_eq!(found, expect),
            (Err(found), Err(expect)) => assert!(found.contains(expect), "{found}"),
            (found, expect) => panic!("{found:?}, not {expect:?}"),
        }
    }

    #[test]
    fn image_and_version_are_found_from_either() {
        check_image(Some("shop/cart"), None, Some("2"), Ok(("shop/cart:2", "2")));
        check_image(Some("shop/cart:1"), None, None, Ok(("shop/cart:1", "1")));
        check_image(Some("shop/cart:1"), None, Some("2"), Ok(("shop/cart:2", "2")));
        check_image(Some("host:5000/cart"), None, Some("2"), Ok(("host:5000/cart:2", "2")));
        check_image(Some("shop/cart:1"), Some("shop/cart:rc"), Some("2"), Ok(("shop/cart:rc", "2")));
        check_image(Some("shop/cart:1"), Some("shop/cart:rc"), None, Ok(("shop/cart:rc", "rc")));
        check_image(Some("shop/cart"), None, None, Err("which version of cart"));
        check_image(None, None, Some("2"), Err("which image cart is"));
    }

    fn check_judged(yaml: &str, ports: &[&str], networks: &[&str], expect: Result<&str, &str>) {
        let check: UserCheck = serde_json::from_str(yaml).expect("a check");
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let mut settings = ServiceSettings { port: Some(80), ..ServiceSettings::default() };
        (settings.deploy.ports, settings.deploy.networks) = (owned(ports), owned(networks));
        let found = judged_by(&check, &settings).map_err(|report| report.one_line());
        match (&found, expect) {
            (Ok(found), Ok(expect)) => assert_eq!(found.http.as_deref().unwrap_or_default(), expect),
            (Err(found), Err(expect)) => assert!(found.contains(expect) && !found.contains("hush"), "{found}"),
            _ => panic!("{found:?}, not {expect:?}"),
        }
    }

    #[test]
    fn the_judges_checks_find_the_service() {
        let path = r#"{"http": "/healthz"}"#;
        check_judged(path, &["8080:80"], &[], Ok("http://127.0.0.1:8080/healthz"));
        check_judged(path, &["9000:90", "10.0.0.1:8081:80"], &[], Ok("http://10.0.0.1:8081/healthz"));
        check_judged(path, &[], &["host"], Ok("http://127.0.0.1:80/healthz"));
        check_judged(path, &["80"], &["shop"], Err("where the check `/healthz`"));
        check_judged(r#"{"http": "https://shop.example.org/x"}"#, &[], &[], Ok("https://shop.example.org/x"));
        check_judged(r#"{"http": "https://ann:hush@shop.example.org"}"#, &[], &[], Err("a password in its URL"));
        check_judged(r#"{"http": "/x", "command": "y"}"#, &[], &[], Err("has to be one of"));
        check_judged(r#"{"command": "./smoke.sh"}"#, &[], &[], Ok(""));
    }
}
