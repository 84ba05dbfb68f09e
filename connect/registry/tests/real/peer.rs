//! What only these tests ask of a real registry: tokens, references, images to put there.

use std::process::Command;
use std::sync::Arc;

use base_world::World;
use bytes::Bytes;
use connect_registry::{Client, Descriptor, Digest, Login, Manifest, Options, Reference, media};
use serde_json::json;

pub(crate) use crate::registry::{Registry, open, password};

impl Registry {
    /// Whoever has a token of the server at this realm is let in.
    pub(crate) fn with_tokens(realm: &str) -> Self {
        let roots = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates/token.pem");
        Self::start(|_| {
            format!("auth: {{token: {{realm: '{realm}', service: test, issuer: apm-test, rootcertbundle: {roots}}}}}\n")
        })
    }

    pub(crate) fn image(&self, rest: &str) -> Reference {
        format!("{}/{rest}", self.address).parse().expect("a reference")
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
