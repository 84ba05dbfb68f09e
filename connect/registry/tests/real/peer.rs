//! A real registry of the test's own, and images to put there.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use base_world::World;
use bytes::Bytes;
use connect_registry::{Client, Descriptor, Digest, Login, Manifest, Options, Reference, media};
use serde_json::json;

/// Who is let in.
pub(crate) enum Guard<'a> {
    Nobody,
    /// `user` with `secret`.
    Password,
    /// Whoever has a token of the server at this realm.
    Tokens(&'a str),
}

/// Debian's docker-registry on a free port of loopback; it deletes when it is asked to.
pub(crate) struct Registry {
    process: Child,
    pub(crate) address: String,
    _folder: tempfile::TempDir,
}

impl Registry {
    pub(crate) fn start(guard: Guard) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path().display().to_string();
        let auth = match guard {
            Guard::Nobody => String::new(),
            Guard::Password => {
                let users = "user:$2b$04$Pb7hHV4ZLL1Dg4f56VJ.RuMjKAoTlWvV.dHpoFMCxnk.B.DW8.HVS\n";
                std::fs::write(folder.path().join("users"), users).expect("written");
                format!("auth: {{htpasswd: {{realm: test, path: {place}/users}}}}\n")
            }
            Guard::Tokens(realm) => {
                let roots = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates/token.pem");
                format!(
                    "auth: {{token: {{realm: '{realm}', service: test, issuer: apm-test, rootcertbundle: {roots}}}}}\n"
                )
            }
        };
        let config = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {place}}}, delete: {{enabled: true}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n{auth}"
        );
        let config_file = folder.path().join("config.yml");
        std::fs::write(&config_file, config).expect("written");
        let mut command = Command::new("docker-registry");
        let process = command.arg("serve").arg(config_file).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut process = process.expect("docker-registry is there: run `cargo xtask tools`");
        // It says where it listens, then goes on to log each request: read on, or it would be stuck one day.
        let mut lines = BufReader::new(process.stderr.take().expect("piped")).lines().map_while(|line| line.ok());
        let address = lines.find_map(|line| {
            let (_, rest) = line.split_once("listening on ")?;
            let is_address = |letter: &char| letter.is_ascii_digit() || ".:".contains(*letter);
            Some(rest.chars().take_while(is_address).collect::<String>())
        });
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address: address.expect("it says where it listens"), _folder: folder }
    }

    pub(crate) fn image(&self, rest: &str) -> Reference {
        format!("{}/{rest}", self.address).parse().expect("a reference")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn client(login: impl Login + 'static) -> Client {
    Client::new(Arc::new(login), World::real().clock, Options::default()).expect("a client")
}

/// A layer that says `text` in the file /text, and an image of it for this processor, all put under the reference.
pub(crate) async fn put_image(client: &Client, image: &Reference, text: &str) -> Manifest {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("text"), text).expect("written");
    let tar = Command::new("tar").arg("-cf-").arg("-C").arg(folder.path()).arg("text").output().expect("tar").stdout;
    let layer = Bytes::from(tar);
    let diff = Digest::of(&layer);
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/text"]},
        "rootfs": {"type": "layers", "diff_ids": [diff.as_str()]},
        "history": [{"created_by": "a test"}],
    });
    let config = Bytes::from(config.to_string());
    client.upload_whole(image, layer.clone()).await.expect("the layer is sent");
    client.upload_whole(image, config.clone()).await.expect("the configuration is sent");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media::OCI_MANIFEST,
        "config": part("application/vnd.oci.image.config.v1+json", &config),
        "layers": [part("application/vnd.oci.image.layer.v1.tar", &layer)],
    });
    let manifest = Manifest::new(media::OCI_MANIFEST, manifest.to_string());
    client.put_manifest(image, &manifest).await.expect("the manifest is put");
    manifest
}

pub(crate) fn part(media_type: &str, bytes: &Bytes) -> serde_json::Value {
    json!({"mediaType": media_type, "digest": Digest::of(bytes).as_str(), "size": bytes.len()})
}

pub(crate) fn descriptor(manifest: &Manifest, platform: &str) -> serde_json::Value {
    let Descriptor { media_type, digest, size_bytes, .. } = manifest.descriptor();
    let mut words = platform.split('/');
    let mut next = || words.next().unwrap_or_default().to_owned();
    json!({"mediaType": media_type, "digest": digest.as_str(), "size": size_bytes, "platform": {"os": next(), "architecture": next()}})
}
