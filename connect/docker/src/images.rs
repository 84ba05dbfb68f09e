//! Calls on images: look, pull, tag, push, remove, build by the engine's classic builder, save and load. It reads no Dockerfile and keeps no password.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use serde_json::{Value, json};

use crate::call::{Call, Payload, SILENCE_MAX, SLOW, segment};
use crate::containers::{absent_is_none, label_filter};
use crate::progress::{Progress, drain, messages};
use crate::spec::Names;
use crate::{Engine, Object, Result, Stream, view};

/// Who we are to a registry; never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RegistryAuth {
    /// `registry.example.org:5000`; Docker Hub is `https://index.docker.io/v1/`.
    pub registry: String,
    pub username: String,
    pub password: String,
    /// Instead of name and password: what `docker login` got from an identity provider.
    pub identity_token: Option<String>,
    /// Instead of both: what the registry itself takes as it is.
    pub registry_token: Option<String>,
}

impl fmt::Debug for RegistryAuth {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("RegistryAuth").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl RegistryAuth {
    fn value(&self) -> Value {
        match (&self.registry_token, &self.identity_token) {
            (Some(token), _) => json!({"registrytoken": token, "serveraddress": self.registry}),
            (None, Some(token)) => json!({"identitytoken": token, "serveraddress": self.registry}),
            (None, None) => {
                json!({"username": self.username, "password": self.password, "serveraddress": self.registry})
            }
        }
    }

    /// The value of `X-Registry-Auth`.
    fn header(auth: Option<&Self>) -> String {
        // A push without the header is refused, even where nobody asks who we are.
        URL_SAFE.encode(auth.map_or_else(|| json!({}), Self::value).to_string())
    }
}

/// What most callers want of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageView {
    /// `sha256:…`, of its configuration.
    pub id: String,
    pub tags: Vec<String>,
    /// `registry/name@sha256:…`: known after a pull or push.
    pub digests: Vec<String>,
    pub created_at: String,
    pub size_bytes: u64,
    pub os: String,
    pub architecture: String,
    pub env: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub user: String,
    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
    pub has_health_check: bool,
    /// `8080/tcp`
    pub exposed_ports: Vec<String>,
}

impl ImageView {
    /// From the answer of `GET /images/NAME/json`; what is missing stays at its default.
    pub fn from_inspect(all: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let texts = |value: &Value| value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
        let config = &all["Config"];
        let test = texts(&config["Healthcheck"]["Test"]);
        Self {
            id: text(&all["Id"]),
            tags: texts(&all["RepoTags"]),
            digests: texts(&all["RepoDigests"]),
            created_at: text(&all["Created"]),
            size_bytes: all["Size"].as_u64().unwrap_or(0),
            os: text(&all["Os"]),
            architecture: text(&all["Architecture"]),
            env: texts(&config["Env"]),
            labels: view::labels(&config["Labels"]),
            user: text(&config["User"]),
            entrypoint: texts(&config["Entrypoint"]),
            command: texts(&config["Cmd"]),
            has_health_check: test.first().is_some_and(|first| first != "NONE"),
            exposed_ports: config["ExposedPorts"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(port, _)| port.clone())
                .collect(),
        }
    }
}

/// How to build.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BuildOptions {
    pub tags: Vec<String>,
    /// Within the context; empty means `Dockerfile`.
    pub dockerfile: String,
    /// Values may be secret, though they should not: only names are shown by `Debug`.
    pub args: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    /// The stage to stop at.
    pub target: String,
    pub cache_from: Vec<String>,
    pub no_cache: bool,
    /// Asks the registry for a newer base.
    pub pull: bool,
    /// `linux/arm64`
    pub platform: String,
    /// `host`, `none`, for RUN steps.
    pub network: String,
    /// For bases in private registries.
    pub auths: Vec<RegistryAuth>,
}

impl fmt::Debug for BuildOptions {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = to.debug_struct("BuildOptions");
        shown.field("tags", &self.tags).field("dockerfile", &self.dockerfile).field("args", &Names(&self.args));
        shown.field("target", &self.target).field("platform", &self.platform).finish_non_exhaustive()
    }
}

fn object(name: &str) -> Object {
    Object::new("image", name)
}

fn path(name: &str, rest: &str) -> String {
    format!("/images/{}{rest}", segment(name, true))
}

/// `r:5000/shop/cart:1` to name and tag; a digest counts as tag. No tag is `latest`: the engine would pull them all.
fn split_tag(reference: &str) -> (&str, &str) {
    if let Some((name, digest)) = reference.split_once('@') {
        return (name, digest);
    }
    match reference.rsplit_once(':') {
        // A colon before a slash belongs to a port.
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (reference, "latest"),
    }
}

impl Engine {
    /// Everything the engine knows about an image, as it says it.
    pub async fn inspect_image(&self, name: &str) -> Result<Value> {
        self.json(Call::get(path(name, "/json"), "inspect", object(name))).await
    }

    /// The usual part of it.
    pub async fn image(&self, name: &str) -> Result<ImageView> {
        Ok(ImageView::from_inspect(&self.inspect_image(name).await?))
    }

    /// The same, or `None` when the engine has no such image.
    pub async fn image_if_there(&self, name: &str) -> Result<Option<ImageView>> {
        absent_is_none(self.image(name).await)
    }

    /// Ids of the images with all these labels, or of all.
    pub async fn images(&self, labels: &BTreeMap<String, String>) -> Result<Vec<String>> {
        let call = Call::get("/images/json".into(), "list the images of", Object::new("engine", ""));
        let items: Vec<Value> = self.typed(call.query("filters", label_filter(labels))).await?;
        Ok(items.iter().filter_map(|item| Some(item["Id"].as_str()?.to_owned())).collect())
    }

    /// Pulls it; each message as it comes. The stream must be read to its end: dropped, the pull ends.
    pub async fn pull(&self, reference: &str, auth: Option<&RegistryAuth>, platform: &str) -> Result<Stream<Progress>> {
        let (name, tag) = split_tag(reference);
        let call =
            Call::post("/images/create".into(), "pull", object(reference)).query("fromImage", name).query("tag", tag);
        let mut call = if platform.is_empty() { call } else { call.query("platform", platform) };
        call.headers.push(("x-registry-auth", RegistryAuth::header(auth)));
        // The engine answers when the registry has answered.
        let answer = self.open(call.within(SLOW).silent_for(SILENCE_MAX)).await?;
        Ok(messages(answer.body, object(reference)))
    }

    /// Gives an image one more name.
    pub async fn tag(&self, image: &str, reference: &str) -> Result<()> {
        let (name, tag) = split_tag(reference);
        let call = Call::post(path(image, "/tag"), "tag", object(image)).query("repo", name).query("tag", tag);
        self.done(call).await.map(drop)
    }

    /// Pushes what has this name; gives the digest under which the registry keeps it.
    pub async fn push(
        &self,
        reference: &str,
        auth: Option<&RegistryAuth>,
        each: impl FnMut(&Progress),
    ) -> Result<Option<String>> {
        let (name, tag) = split_tag(reference);
        let mut call = Call::post(path(name, "/push"), "push", object(reference)).query("tag", tag);
        call.headers.push(("x-registry-auth", RegistryAuth::header(auth)));
        let answer = self.open(call.within(SLOW).silent_for(SILENCE_MAX)).await?;
        drain(messages(answer.body, object(reference)), each).await
    }

    /// Takes the name away, and the image with its last name. An image in use by a container is a `Conflict`.
    pub async fn remove_image(&self, name: &str) -> Result<()> {
        self.done(Call::delete(path(name, ""), "remove", object(name)).within(SLOW)).await.map(drop)
    }

    /// The same; false when there was none.
    pub async fn remove_image_if_there(&self, name: &str) -> Result<bool> {
        Ok(absent_is_none(self.remove_image(name).await)?.is_some())
    }

    /// Builds from a context in tar form with the engine's classic builder. The messages as they come; the one with `aux.ID` names the image.
    pub async fn build(
        &self,
        options: &BuildOptions,
        context: BoxStream<'static, io::Result<Bytes>>,
    ) -> Result<Stream<Progress>> {
        let image = object(options.tags.first().map_or("", String::as_str));
        let mut call = build_call(options, image.clone());
        call.payload = Payload::Tar(context);
        // The answer begins when the context has been read.
        let answer = self.open(call.within(SILENCE_MAX).silent_for(SILENCE_MAX)).await?;
        Ok(messages(answer.body, image))
    }

    /// The images as a tar file, as `docker save` writes it.
    pub async fn save(&self, names: &[&str]) -> Result<Stream<Bytes>> {
        let mut call = Call::get("/images/get".into(), "save", object(&names.join(", ")));
        call.query.extend(names.iter().map(|name| ("names", (*name).to_owned())));
        Ok(self.open(call.within(SLOW).silent_for(SILENCE_MAX)).await?.body.chunks())
    }

    /// Takes in what `save` gave.
    pub async fn load(&self, tar: BoxStream<'static, io::Result<Bytes>>) -> Result<()> {
        let mut call = Call::post("/images/load".into(), "load", object("")).query("quiet", "true");
        call.payload = Payload::Tar(tar);
        let answer = self.open(call.within(SILENCE_MAX).silent_for(SILENCE_MAX)).await?;
        drain(messages(answer.body, object("")), |_| {}).await.map(drop)
    }
}

fn build_call(options: &BuildOptions, image: Object) -> Call {
    // Version 1 is the classic builder, there from 20.10 on; intermediate containers go also after a failure.
    let mut call = Call::post("/build".into(), "build", image).query("version", "1").query("forcerm", "true");
    call.query.extend(options.tags.iter().map(|tag| ("t", tag.clone())));
    let texts = [
        ("dockerfile", &options.dockerfile),
        ("target", &options.target),
        ("platform", &options.platform),
        ("networkmode", &options.network),
    ];
    call.query
        .extend(texts.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key, value.clone())));
    let flags = [("nocache", options.no_cache), ("pull", options.pull)];
    call.query.extend(flags.into_iter().filter(|(_, set)| *set).map(|(key, _)| (key, "true".to_owned())));
    for (key, map) in [("buildargs", &options.args), ("labels", &options.labels)] {
        if !map.is_empty() {
            call.query.push((key, json!(map).to_string()));
        }
    }
    if !options.cache_from.is_empty() {
        call.query.push(("cachefrom", json!(options.cache_from).to_string()));
    }
    if !options.auths.is_empty() {
        let all: serde_json::Map<String, Value> =
            options.auths.iter().map(|auth| (auth.registry.clone(), auth.value())).collect();
        call.headers.push(("x-registry-config", URL_SAFE.encode(Value::Object(all).to_string())));
    }
    call
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;

    #[test]
    fn references() {
        let check = |reference: &str, name: &str, tag: &str| assert_eq!(split_tag(reference), (name, tag));
        check("shop", "shop", "latest");
        check("shop:1", "shop", "1");
        check("r:5000/shop", "r:5000/shop", "latest");
        check("r:5000/shop:1.2", "r:5000/shop", "1.2");
        check("r:5000/shop@sha256:ab", "r:5000/shop", "sha256:ab");
        // Both: the digest decides.
        check("shop:1@sha256:ab", "shop:1", "sha256:ab");
    }

    #[test]
    fn a_build_s_request() {
        let map = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
        let options = BuildOptions {
            tags: vec!["a:1".into(), "a:2".into()],
            dockerfile: "docker/File".into(),
            args: map("V", "1"),
            labels: map("l", "x"),
            cache_from: vec!["a:0".into()],
            no_cache: true,
            auths: vec![RegistryAuth {
                registry: "r".into(),
                username: "u".into(),
                password: "p".into(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let call = build_call(&options, object("a:1"));
        let query: Vec<String> = call.query.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let expect = [
            "version=1",
            "forcerm=true",
            "t=a:1",
            "t=a:2",
            "dockerfile=docker/File",
            "nocache=true",
            r#"buildargs={"V":"1"}"#,
            r#"labels={"l":"x"}"#,
            r#"cachefrom=["a:0"]"#,
        ];
        assert_eq!(query, expect);
        let config = URL_SAFE.decode(&call.headers[0].1).expect("base64");
        let config: Value = serde_json::from_slice(&config).expect("JSON");
        assert_eq!(config, json!({"r": {"username": "u", "password": "p", "serveraddress": "r"}}));
    }

    #[test]
    fn a_password_is_not_shown() {
        let auth = RegistryAuth { registry: "r".into(), password: "hunter2".into(), ..Default::default() };
        assert!(!format!("{auth:?}").contains("hunter2"));
    }
}
