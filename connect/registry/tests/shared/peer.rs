//! References of a registry, real or in memory, and images to put there.

use std::sync::Arc;

use base_world::World;
use bytes::Bytes;
use connect_registry::{Client, Descriptor, Digest, Login, Manifest, Options, Reference, media};
use serde_json::json;

pub(crate) use crate::registry::{Registry, open, password};

impl Registry {
    pub(crate) fn image(&self, rest: &str) -> Reference {
        format!("{}/{rest}", self.address).parse().expect("a reference")
    }
}

pub(crate) fn client(login: impl Login + 'static) -> Client {
    Client::new(Arc::new(login), World::real().clock, Options::default()).expect("a client")
}

/// A layer that says `text` in the file /text, and an image of it for this processor, all put under the reference.
pub(crate) async fn put_image(client: &Client, image: &Reference, text: &str) -> Manifest {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o755);
    tar.append_data(&mut header, "text", text.as_bytes()).expect("packed");
    let layer = Bytes::from(tar.into_inner().expect("packed"));
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
