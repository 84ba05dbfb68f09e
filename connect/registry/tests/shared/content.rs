//! Everything that can be asked of a registry, once: of a real one, and of one in memory.

use bytes::Bytes;
use connect_registry::{Always, Content, Credentials, Digest, Kind, Manifest, Nobody, Platform, RegistryError, media};
use futures_util::{StreamExt as _, stream};
use serde_json::json;

use crate::peer::{Registry, client, descriptor, open, part as part_of, password, put_image};

#[tokio::test]
async fn images_are_put_read_listed_and_deleted() {
    let (registry, client) = (Registry::start(open), client(Nobody));
    client.ping(&registry.address).await.expect("it answers");
    let image = registry.image("shop/cart:1");
    let error = client.resolve(&image).await.expect_err("nothing is there");
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    let manifest = put_image(&client, &image, "one").await;
    let resolved = client.resolve(&image).await.expect("known");
    assert_eq!((&resolved.digest, resolved.media_type.as_str()), (&manifest.digest, media::OCI_MANIFEST));
    assert_eq!(resolved.size_bytes, Some(manifest.bytes.len() as u64));
    assert_eq!(client.manifest(&image.pinned(&manifest.digest)).await, Ok(manifest.clone()));
    let Ok(Content::Image { config, layers }) = manifest.content() else { panic!("an image") };
    let text = client.blob_whole(&image, &config, 1 << 20).await.expect("read");
    assert!(String::from_utf8_lossy(&text).contains("diff_ids"));
    assert_eq!(client.blob_size(&image, &layers[0].digest).await, Ok(Some(layers[0].size_bytes)));
    assert_eq!(client.blob_size(&image, &Digest::of(b"none")).await, Ok(None));

    // The tag moves, what was pinned stays.
    let second = put_image(&client, &image, "two").await;
    assert_eq!(client.resolve(&image).await.expect("known").digest, second.digest);
    assert_eq!(client.manifest(&image.pinned(&manifest.digest)).await, Ok(manifest.clone()));
    put_image(&client, &registry.image("shop/cart:2"), "two").await;
    let mut tags = client.tags(&image).await.expect("listed");
    tags.sort();
    assert_eq!(tags, ["1", "2"]);

    let error = client.delete(&image).await.expect_err("a tag may move");
    assert!(matches!(error, RegistryError::Reference { .. }), "{error:?}");
    client.delete(&image.pinned(&manifest.digest)).await.expect("deleted");
    let error = client.manifest(&image.pinned(&manifest.digest)).await.expect_err("gone");
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    assert_eq!(client.delete(&image.pinned(&manifest.digest)).await.expect_err("gone").kind(), Kind::NotFound);
    // Both tags name what is deleted now.
    client.delete(&image.pinned(&second.digest)).await.expect("deleted");
    assert_eq!(client.resolve(&registry.image("shop/cart:2")).await.expect_err("gone").kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_large_blob_goes_in_pieces_and_comes_back_the_same() {
    let (registry, client) = (Registry::start(open), client(Nobody));
    let image = registry.image("a:1");
    let large: Bytes = (0..20_000_000_u32).map(|at| (at / 7 + at / 100_003) as u8).collect::<Vec<_>>().into();
    let digest = Digest::of(&large);
    let pieces: Vec<_> = large.chunks(77_777).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    assert_eq!(client.upload(&image, &digest, stream::iter(pieces.clone()).boxed()).await, Ok(true));
    assert_eq!(client.upload(&image, &digest, stream::iter(pieces).boxed()).await, Ok(false), "it is there");
    let part = connect_registry::Descriptor::new("x", digest.clone(), large.len() as u64);
    assert!(client.blob_whole(&image, &part, 1 << 30).await.expect("read")[..] == large[..]);
    let other = registry.image("b:1");
    assert_eq!(client.mount(&other, &digest, &image).await, Ok(true));
    assert_eq!(client.blob_size(&other, &digest).await, Ok(Some(large.len() as u64)));
    assert_eq!(client.mount(&other, &Digest::of(b"none"), &image).await, Ok(false));
    let missing = part_of("application/vnd.oci.image.config.v1+json", &Bytes::from_static(b"never sent"));
    let manifest = json!({"schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "config": missing, "layers": []});
    let error = client.put_manifest(&image, &Manifest::new(media::OCI_MANIFEST, manifest.to_string())).await;
    let error = error.expect_err("its configuration was never sent");
    assert!(error.kind() == Kind::Invalid && error.to_string().contains("BLOB_UNKNOWN"), "{error}");
}

#[tokio::test]
async fn an_image_for_many_platforms_is_copied_with_its_digest() {
    let (from, to) = (Registry::start(open), Registry::start(open));
    let client = client(Nobody);
    let image = from.image("many:1");
    let amd = put_image(&client, &from.image("many:amd"), "amd64").await;
    let arm = put_image(&client, &from.image("many:arm"), "arm64").await;
    let parts = [descriptor(&amd, "linux/amd64"), descriptor(&arm, "linux/arm64")];
    let index = json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": parts});
    let index = Manifest::new(media::OCI_INDEX, index.to_string());
    client.put_manifest(&image, &index).await.expect("put");
    let platform: Platform = "linux/arm64".parse().expect("a platform");
    assert_eq!(client.image(&image, &platform).await.expect("chosen").digest, arm.digest);

    let copy = to.image("elsewhere/many:9");
    let mut sent = 0;
    let copied = client.copy(&image, &copy, None, &mut |_| sent += 1).await.expect("copied");
    assert_eq!((&copied.digest, copied.blobs_sent, copied.blobs_there, sent), (&index.digest, 4, 0, 4));
    assert_eq!(client.manifest(&copy).await, Ok(index.clone()));
    let again = client.copy(&image, &copy, None, &mut |_| {}).await.expect("copied");
    assert_eq!((again.blobs_sent, again.blobs_there), (0, 4));
    // Inside of one registry nothing is sent, and one platform is a part of it.
    let beside = to.image("beside:1");
    let copied = client.copy(&copy, &beside, Some(&platform), &mut |_| {}).await.expect("copied");
    assert_eq!((&copied.digest, copied.blobs_sent, copied.blobs_there), (&arm.digest, 0, 2));
    let tags = client.tags(&to.image("elsewhere/many")).await.expect("listed");
    assert_eq!(tags, ["9"], "parts have no tags");
}

#[tokio::test]
async fn what_belongs_to_an_image_is_found_by_tag_where_the_registry_keeps_no_list() {
    let (registry, client) = (Registry::start(open), client(Nobody));
    let image = registry.image("signed:1");
    let manifest = put_image(&client, &image, "signed").await;
    assert_eq!(client.referrers(&image, &manifest.digest, "").await, Ok(Vec::new()));
    let empty = Bytes::from_static(b"{}");
    client.upload_whole(&image, empty.clone()).await.expect("sent");
    for kind in ["application/vnd.test.signature", "application/vnd.test.parts"] {
        let belongs = json!({
            "schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "artifactType": kind,
            "config": part_of("application/vnd.oci.empty.v1+json", &empty), "layers": [],
            "subject": descriptor(&manifest, "linux/amd64"), "annotations": {"by": "a test"},
        });
        let belongs = Manifest::new(media::OCI_MANIFEST, belongs.to_string());
        let place = image.pinned(&belongs.digest);
        client.put_manifest(&place, &belongs).await.expect("put");
        client.put_manifest(&place, &belongs).await.expect("put again, and listed once");
    }
    assert_eq!(client.referrers(&image, &manifest.digest, "").await.expect("listed").len(), 2);
    let found = client.referrers(&image, &manifest.digest, "application/vnd.test.parts").await.expect("listed");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].annotations["by"], "a test");
}

#[tokio::test]
async fn a_registry_with_passwords_lets_in_who_has_one() {
    let registry = Registry::start(password);
    let image = registry.image("private:1");
    let known = client(Always(Credentials::password("user", "secret")));
    let manifest = put_image(&known, &image, "private").await;
    assert_eq!(known.resolve(&image).await.expect("known").digest, manifest.digest);
    known.ping(&registry.address).await.expect("known");
    for stranger in [client(Nobody), client(Always(Credentials::password("user", "wrong")))] {
        let error = stranger.resolve(&image).await.expect_err("unknown");
        assert_eq!(error.kind(), Kind::Auth, "{error:?}");
        assert!(!format!("{error} {error:?}").contains("wrong"), "{error:?}");
        assert_eq!(stranger.ping(&registry.address).await.expect_err("unknown").kind(), Kind::Auth);
    }
}
