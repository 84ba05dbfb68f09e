//! A program that logs in, spoken to as kubectl does: `ExecCredential` in `KUBERNETES_EXEC_INFO`, `ExecCredential` on its output.
//! Source: <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>. It is given a time and an answer's
//! size, is ended when it takes more, and nothing it prints is ever shown: it may print a token.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::Secret;

/// A person may have to press a button somewhere.
const TIME_MAX: Duration = Duration::from_secs(60);
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// The entry `exec` of a kubeconfig's user.
#[derive(Clone)]
pub(crate) struct ExecPlugin {
    pub(crate) api_version: String,
    pub(crate) command: OsString,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, Secret)>,
    pub(crate) install_hint: Option<String>,
    pub(crate) provide_cluster: bool,
}

/// The cluster it is asked for, when it wants to know.
pub(crate) struct ClusterInfo<'a> {
    pub(crate) server: &'a str,
    pub(crate) server_name: Option<&'a str>,
    pub(crate) insecure: bool,
    pub(crate) authority: Option<&'a [u8]>,
}

/// What it gave.
pub(crate) struct Issued {
    pub(crate) token: Option<Secret>,
    /// Certificate and key, PEM.
    pub(crate) identity: Option<(Vec<u8>, Vec<u8>)>,
    /// Nanoseconds since 1970.
    pub(crate) expires_at_ns: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential {
    #[serde(default)]
    api_version: String,
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<String>,
}

impl ExecPlugin {
    /// Runs it. `Err` says in words what is wrong, with nothing of its output.
    pub(crate) async fn issue(&self, cluster: &ClusterInfo<'_>) -> Result<Issued, String> {
        let name = self.command.to_string_lossy().into_owned();
        let answer =
            self.run(&self.question(cluster).to_string()).await.map_err(|problem| format!("`{name}` {problem}"))?;
        self.read(&answer).map_err(|problem| format!("`{name}` {problem}"))
    }

    fn question(&self, cluster: &ClusterInfo<'_>) -> Value {
        let mut question =
            json!({"apiVersion": self.api_version, "kind": "ExecCredential", "spec": {"interactive": false}});
        if self.provide_cluster {
            let mut about = json!({"server": cluster.server});
            if let Some(name) = cluster.server_name {
                about["tls-server-name"] = name.into();
            }
            if cluster.insecure {
                about["insecure-skip-tls-verify"] = true.into();
            }
            if let Some(pem) = cluster.authority {
                about["certificate-authority-data"] = base64::engine::general_purpose::STANDARD.encode(pem).into();
            }
            question["spec"]["cluster"] = about;
        }
        question
    }

    async fn run(&self, question: &str) -> Result<Vec<u8>, String> {
        let mut command = Command::new(&self.command);
        command.args(&self.arguments).env("KUBERNETES_EXEC_INFO", question);
        for (name, value) in &self.environment {
            command.env(name, value.expose());
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| format!("cannot be started: {error}"))?;
        let from = child.stdout.take();
        let reading = async {
            let mut answer = Vec::new();
            if let Some(from) = from {
                let read = from.take(ANSWER_BYTES_MAX + 1).read_to_end(&mut answer).await;
                read.map_err(|error| format!("cannot be read: {error}"))?;
            }
            if answer.len() as u64 > ANSWER_BYTES_MAX {
                return Err(format!("answered more than {ANSWER_BYTES_MAX} bytes"));
            }
            let status = child.wait().await.map_err(|error| error.to_string())?;
            if status.success() { Ok(answer) } else { Err(format!("ended with {status}")) }
        };
        let took_too_long = || Err(format!("did not end within {} s", TIME_MAX.as_secs()));
        tokio::time::timeout(TIME_MAX, reading).await.unwrap_or_else(|_| took_too_long())
    }

    fn read(&self, answer: &[u8]) -> Result<Issued, String> {
        let answer: ExecCredential =
            serde_json::from_slice(answer).map_err(|_| "answered no ExecCredential in JSON")?;
        if answer.api_version != self.api_version {
            return Err(format!("answered in another apiVersion than {}", self.api_version));
        }
        let status = answer.status.ok_or("answered without a `status`")?;
        let identity = match (status.client_certificate_data, status.client_key_data) {
            (Some(certificate), Some(key)) => Some((certificate.into_bytes(), key.into_bytes())),
            (None, None) => None,
            _ => return Err("answered a certificate without its key, or a key without its certificate".into()),
        };
        let token = status.token.filter(|token| !token.is_empty()).map(Secret::new);
        if token.is_none() && identity.is_none() {
            return Err("answered neither a token nor a certificate".into());
        }
        let moment = |text: String| {
            text.parse::<jiff::Timestamp>()
                .map_err(|_| "answered an `expirationTimestamp` that is no moment of RFC 3339")
        };
        let expires = status.expiration_timestamp.map(moment).transpose()?;
        let nanoseconds = |moment: jiff::Timestamp| i64::try_from(moment.as_nanosecond()).unwrap_or(i64::MAX);
        Ok(Issued { token, identity, expires_at_ns: expires.map(nanoseconds) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a plugin that is this line of shell.
    async fn check(line: &str, expect: Result<(&str, Option<i64>), &str>) {
        let plugin = ExecPlugin {
            api_version: "client.authentication.k8s.io/v1".into(),
            command: "sh".into(),
            arguments: vec!["-c".into(), line.into()],
            environment: vec![("GIVEN".into(), Secret::new("hunter2"))],
            install_hint: None,
            provide_cluster: true,
        };
        let cluster = ClusterInfo { server: "https://c", server_name: None, insecure: true, authority: None };
        match (plugin.issue(&cluster).await, expect) {
            (Ok(issued), Ok((token, expires))) => {
                assert_eq!(issued.token.as_ref().map(Secret::expose), Some(token), "{line}");
                assert_eq!(issued.expires_at_ns, expires, "{line}");
            }
            (Err(problem), Err(words)) => {
                assert!(problem.contains(words) && !problem.contains("hunter2"), "{problem} should speak of {words}");
            }
            (Ok(_), Err(words)) => panic!("{line}: issued, not {words}"),
            (Err(problem), Ok(_)) => panic!("{line}: {problem}"),
        }
    }

    #[tokio::test]
    async fn plugins_are_spoken_to_as_kubectl_does() {
        let answer = |status: &str| {
            format!(
                r#"echo '{{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{status}}}'"#
            )
        };
        check(&answer(r#"{"token":"t"}"#), Ok(("t", None))).await;
        check(&answer(r#"{"token":"t","expirationTimestamp":"1970-01-01T00:00:01Z"}"#), Ok(("t", Some(1_000_000_000))))
            .await;
        let asked = answer(r#"{"token":"'$(echo "$KUBERNETES_EXEC_INFO" | tr -d "\"{}")'"}"#);
        check(
            &asked,
            Ok(("apiVersion:client.authentication.k8s.io/v1,kind:ExecCredential,spec:cluster:insecure-skip-tls-verify:true,server:https://c,interactive:false", None)),
        )
        .await;
        check(&answer("{}"), Err("neither a token nor a certificate")).await;
        check(&answer(r#"{"token":"hunter2","clientKeyData":"hunter2"}"#), Err("key without its certificate")).await;
        check(&answer(r#"{"token":"hunter2","expirationTimestamp":"hunter2"}"#), Err("RFC 3339")).await;
        check(
            r#"echo '{"apiVersion":"client.authentication.k8s.io/v1beta1","status":{"token":"hunter2"}}'"#,
            Err("another apiVersion"),
        )
        .await;
        check("echo $GIVEN; echo $GIVEN >&2; exit 3", Err("exit status: 3")).await;
        check("echo $GIVEN", Err("no ExecCredential")).await;
        check("yes $GIVEN", Err("more than 1048576 bytes")).await;
    }
}
