//! A real API server, asked what it would do with an object: a server-side apply as a dry run, as `kubectl apply --server-side --dry-run=server` sends it.
//! It does not know what we say of the object.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Case;
use crate::http::{Client, Reply};
use crate::sh;

/// Connections that ask at once.
const ASKERS: usize = 4;

/// What it said of an object.
#[derive(Clone, Default)]
pub(super) struct Answer {
    pub(super) taken: bool,
    /// Why not, without what differs from object to object.
    pub(super) said: String,
}

/// A server behind `kubectl proxy`, which ends with it.
pub(super) struct Server {
    proxy: Child,
    url: String,
}

impl Server {
    pub(super) fn start(kubectl: &Path, kubeconfig: &Path) -> sh::Outcome<Self> {
        let mut command = sh::program(kubectl);
        command.arg("--kubeconfig").arg(kubeconfig).args(["proxy", "--port", "0"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut proxy = command.spawn().map_err(|error| format!("cannot start kubectl: {error}"))?;
        let mut line = String::new();
        let read = proxy.stdout.take().map(|output| BufReader::new(output).read_line(&mut line));
        match (read, line.trim().rsplit_once(' ')) {
            (Some(Ok(_)), Some((_, url))) => Ok(Self { proxy, url: url.to_owned() }),
            _ => Err(format!("`kubectl proxy` said `{line}`")),
        }
    }

    /// Its version, and what it says of each.
    pub(super) fn answers(&self, cases: &[Case]) -> sh::Outcome<(String, Vec<Answer>)> {
        let mut client = Client::connect(&self.url)?;
        let version = parsed(&client.get("/version")?)["gitVersion"].as_str().unwrap_or_default().to_owned();
        self.account(&mut client)?;
        let mut answers = Vec::new();
        let mut rest = cases;
        while let Some(first) = rest.first() {
            let its = |case: &&Case| case.base == first.base && case.object["apiVersion"] == first.object["apiVersion"];
            let (those, others) = rest.split_at(rest.iter().take_while(its).count());
            answers.extend(self.about(those, &mut client)?);
            // Its objects can be asked about only once the definition is there, and the definition as a new one only before.
            if first.object["kind"] == "CustomResourceDefinition" && answers.last().is_some() {
                self.define(&first.object, &mut client)?;
            }
            rest = others;
        }
        Ok((version, answers))
    }

    /// The objects of one base.
    fn about(&self, cases: &[Case], client: &mut Client) -> sh::Outcome<Vec<Answer>> {
        let first = &cases[0].object;
        let (api_version, kind) = (text(first, "/apiVersion"), text(first, "/kind"));
        let Some(plural) = plural(client, api_version, kind)? else {
            let refused = Answer { taken: false, said: format!("no {kind} in {api_version}") };
            return Ok(vec![refused; cases.len()]);
        };
        let (url, plural) = (self.url.as_str(), &plural);
        let share = |first: usize| {
            let mut client = Client::connect(url)?;
            let mut its = cases.iter().enumerate().skip(first).step_by(ASKERS);
            its.try_fold(Vec::new(), |mut answers, (at, case)| {
                answers.push((at, ask(&mut client, plural, &case.object)?));
                Ok::<_, String>(answers)
            })
        };
        let mut answers = std::thread::scope(|scope| {
            let askers: Vec<_> = (0..ASKERS).map(|first| scope.spawn(move || share(first))).collect();
            let shares = askers.into_iter().map(|asker| asker.join().unwrap_or(Err("a thread broke".into())));
            Ok::<_, String>(shares.collect::<Result<Vec<_>, String>>()?.concat())
        })?;
        answers.sort_by_key(|(at, _)| *at);
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }

    /// Pods are refused while their namespace has no service account; a control plane without controllers makes none.
    fn account(&self, client: &mut Client) -> sh::Outcome {
        until("the namespace `default`", || Ok(client.get("/api/v1/namespaces/default")?.status == 200))?;
        let account = r#"{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default"}}"#;
        let path = "/api/v1/namespaces/default/serviceaccounts";
        let reply = client.post(path, "content-type: application/json\r\n", account.as_bytes())?;
        // 409: the controllers were first.
        if matches!(reply.status, 201 | 409) { Ok(()) } else { Err(format!("{path}: status {}", reply.status)) }
    }

    fn define(&self, definition: &Value, client: &mut Client) -> sh::Outcome {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let reply = client.post(path, "content-type: application/json\r\n", definition.to_string().as_bytes())?;
        if reply.status != 201 {
            return Err(format!("a good definition is not taken: {}", String::from_utf8_lossy(&reply.body)));
        }
        let (group, version) = (text(definition, "/spec/group"), text(definition, "/spec/versions/0/name"));
        let kind = text(definition, "/spec/names/kind");
        until("the new kind", || Ok(plural(client, &format!("{group}/{version}"), kind)?.is_some()))?;
        // It is told of before it is served.
        let served = format!("/apis/{group}/{version}/{}", text(definition, "/spec/names/plural"));
        until("the new kind's objects", || Ok(client.get(&served)?.status == 200))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

/// A dry run of one object.
fn ask(client: &mut Client, plural: &Plural, object: &Value) -> sh::Outcome<Answer> {
    // kubectl itself sends nothing without a name, and no name that would be another path.
    let name = text(object, "/metadata/name");
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '%']) {
        return Ok(Answer { taken: false, said: "kubectl: no such name can be sent".into() });
    }
    let path = format!("{}/{}?dryRun=All&fieldManager=kubectl&fieldValidation=Strict", plural.path, encoded(name));
    let reply = client.patch(&path, "content-type: application/apply-patch+yaml\r\n", object.to_string().as_bytes())?;
    let taken = (200..300).contains(&reply.status);
    let status = parsed(&reply);
    match reply.status {
        _ if taken => Ok(Answer { taken, said: String::new() }),
        // A 500 is the server's own trouble; but some broken objects are answered so.
        400..=500 => Ok(Answer { taken, said: format!("{} {}", reply.status, reason(&status)) }),
        other => Err(format!("{path}: status {other}: {status}")),
    }
}

/// The first field that it complains of and the kind of complaint, without what differs from object to object.
fn reason(status: &Value) -> String {
    let first = |pointer: &str| status.pointer(pointer).and_then(Value::as_str);
    let said: String = match (first("/details/causes/0/field"), first("/details/causes/0/reason")) {
        (Some(field), Some(reason)) => {
            let plain: String = field.chars().filter(|letter| !letter.is_ascii_digit()).collect();
            format!("{plain} {reason}")
        }
        _ => first("/message").unwrap_or_default().to_owned(),
    };
    said.chars().take(160).collect()
}
/// Where objects of a kind are.
struct Plural {
    path: String,
}

fn plural(client: &mut Client, api_version: &str, kind: &str) -> sh::Outcome<Option<Plural>> {
    let root = if api_version.contains('/') { format!("/apis/{api_version}") } else { format!("/api/{api_version}") };
    let reply = client.get(&root)?;
    if reply.status == 404 {
        return Ok(None);
    }
    let list = parsed(&reply);
    let resources = list["resources"].as_array().into_iter().flatten();
    let mut found = resources.filter(|resource| resource["kind"] == kind && !text(resource, "/name").contains('/'));
    let place = |resource: &Value| {
        let namespace = if resource["namespaced"] == true { "/namespaces/default" } else { "" };
        Plural { path: format!("{root}{namespace}/{}", text(resource, "/name")) }
    };
    Ok(found.next().map(place))
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn parsed(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_default()
}

fn encoded(name: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    name.bytes().map(one).collect()
}

fn until(what: &str, mut done: impl FnMut() -> sh::Outcome<bool>) -> sh::Outcome {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        if done()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(format!("{what} did not come in 60 s"))
}
