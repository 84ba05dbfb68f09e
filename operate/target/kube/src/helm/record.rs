//! A revision of a release as Helm 3 keeps it: a Secret whose `data.release` is base64 of base64 of gzip of JSON (helm/helm
//! `pkg/storage/driver/util.go`, `pkg/release/release.go`). Pure: bytes in, a record out, with limits on both. Its `Debug` shows no values,
//! and no manifest, for a manifest may hold Secrets.

use std::fmt;
use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use operate_manifest::{Limits, Target, namespaced, read};
use operate_plan::ObjectId;
use serde::Deserialize;
use serde_json::Value;

/// The server takes no Secret that is larger than 1 MiB; base64 twice.
const SECRET_BYTES_MAX: usize = 4 << 20;
/// Unpacked. A chart that comes near is no chart.
const RECORD_BYTES_MAX: u64 = 64 << 20;
const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("the Secret {0} is no record of Helm: {1}")]
    Garbled(String, &'static str),
    #[error("the record in the Secret {0} has more than {1} bytes")]
    TooLarge(String, u64),
}

/// One revision.
#[derive(Clone, PartialEq)]
pub struct Record {
    pub namespace: String,
    pub name: String,
    pub revision: u64,
    /// `deployed`, `superseded`, `failed`, `pending-upgrade`, …
    pub status: String,
    /// When the program began with it, milliseconds since 1970.
    pub updated_ms: i64,
    pub description: String,
    /// `cart-1.2.3`
    pub chart: String,
    /// Of the Secret: Helm's own and those of whoever released.
    pub labels: Value,
    /// What was given beside the chart's own values.
    pub(crate) values: Value,
    pub(crate) manifest: String,
}

impl fmt::Debug for Record {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{} revision {} ({}, {})", self.namespace, self.name, self.revision, self.status, self.chart)
    }
}

#[derive(Deserialize)]
struct Kept {
    name: String,
    #[serde(default)]
    namespace: String,
    version: u64,
    info: Info,
    #[serde(default)]
    chart: Chart,
    #[serde(default)]
    config: Value,
    #[serde(default)]
    manifest: String,
}

#[derive(Deserialize)]
struct Info {
    status: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    last_deployed: String,
}

#[derive(Default, Deserialize)]
struct Chart {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
    version: String,
}

fn name_of(secret: &Value) -> String {
    secret["metadata"]["name"].as_str().unwrap_or("?").to_owned()
}

/// The JSON inside of a Secret.
fn unpacked(secret: &Value) -> Result<Vec<u8>, RecordError> {
    let garbled = |why| RecordError::Garbled(name_of(secret), why);
    let text = secret["data"]["release"].as_str().ok_or_else(|| garbled("it has no `release`"))?;
    if text.len() > SECRET_BYTES_MAX {
        return Err(RecordError::TooLarge(name_of(secret), SECRET_BYTES_MAX as u64));
    }
    let inner = BASE64_STANDARD.decode(text).map_err(|_| garbled("it is no base64"))?;
    let packed = BASE64_STANDARD.decode(inner).map_err(|_| garbled("it is not base64 twice"))?;
    // Helm 3 before 3.0.0-beta did not pack.
    if !packed.starts_with(&GZIP) {
        return Ok(packed);
    }
    let mut plain = Vec::new();
    let unpacking = flate2::read::GzDecoder::new(&*packed);
    unpacking.take(RECORD_BYTES_MAX + 1).read_to_end(&mut plain).map_err(|_| garbled("it is no gzip"))?;
    if plain.len() as u64 > RECORD_BYTES_MAX {
        return Err(RecordError::TooLarge(name_of(secret), RECORD_BYTES_MAX));
    }
    Ok(plain)
}

/// The revision that a Secret of the type `helm.sh/release.v1` holds.
pub(crate) fn decode(secret: &Value) -> Result<Record, RecordError> {
    let plain = unpacked(secret)?;
    let kept: Kept =
        serde_json::from_slice(&plain).map_err(|_| RecordError::Garbled(name_of(secret), "its JSON is no release"))?;
    let updated: Option<jiff::Timestamp> = kept.info.last_deployed.parse().ok();
    Ok(Record {
        name: kept.name,
        namespace: kept.namespace,
        revision: kept.version,
        status: kept.info.status,
        updated_ms: updated.map_or(0, |updated| updated.as_millisecond()),
        description: kept.info.description,
        chart: format!("{}-{}", kept.chart.metadata.name, kept.chart.metadata.version),
        labels: secret["metadata"]["labels"].clone(),
        values: kept.config,
        manifest: kept.manifest,
    })
}

/// The Secret with the same revision in another status. All else in it stays, whatever Helm of tomorrow puts there.
pub(crate) fn with_status(secret: &Value, status: &str, description: &str, now_ms: i64) -> Result<Value, RecordError> {
    let garbled = |why| RecordError::Garbled(name_of(secret), why);
    let mut whole: Value = serde_json::from_slice(&unpacked(secret)?).map_err(|_| garbled("its JSON is no release"))?;
    whole["info"]["status"] = Value::from(status);
    whole["info"]["description"] = Value::from(description);
    let mut packing = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packing.write_all(whole.to_string().as_bytes()).map_err(|_| garbled("it cannot be packed"))?;
    let packed = packing.finish().map_err(|_| garbled("it cannot be packed"))?;
    let mut secret = secret.clone();
    secret["data"]["release"] = Value::from(BASE64_STANDARD.encode(BASE64_STANDARD.encode(packed)));
    secret["metadata"]["labels"]["status"] = Value::from(status);
    secret["metadata"]["labels"]["modifiedAt"] = Value::from((now_ms / 1000).to_string());
    Ok(secret)
}

impl Record {
    pub fn is_pending(&self) -> bool {
        self.status.starts_with("pending-")
    }

    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels[name].as_str()
    }

    /// Whether its labels were set for this very revision: an upgrade of somebody else keeps those of ours, a rollback has those of where it
    /// goes back to.
    pub(crate) fn says_itself(&self) -> bool {
        self.description.contains(super::BY_US) || self.description.starts_with("Rollback to ")
    }

    /// The objects that it is made of. What cannot be read is no object of a plan.
    pub(crate) fn objects(&self) -> Vec<ObjectId> {
        let Ok(file) = read("the manifest of the release", &self.manifest, &Limits::default()) else {
            return Vec::new();
        };
        let target = Target { minor: operate_manifest::MINOR_NEWEST };
        let mut objects: Vec<_> = file
            .objects
            .iter()
            .map(|object| {
                let it = &object.identity;
                let kind = if it.group().is_empty() { it.kind.clone() } else { format!("{}.{}", it.kind, it.group()) };
                let inside = namespaced(&it.api_version, &it.kind, &target).unwrap_or(true);
                let namespace = it.namespace.as_deref().filter(|text| !text.is_empty()).unwrap_or(&self.namespace);
                ObjectId::new(kind, if inside { format!("{namespace}/{}", it.name) } else { it.name.clone() })
            })
            .collect();
        objects.sort();
        objects.dedup();
        objects
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn packed(plain: &[u8], gzip: bool) -> Value {
        let mut bytes = plain.to_vec();
        if gzip {
            let mut packing = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packing.write_all(plain).expect("packed");
            bytes = packing.finish().expect("packed");
        }
        let release = BASE64_STANDARD.encode(BASE64_STANDARD.encode(bytes));
        json!({"kind": "Secret", "metadata": {"name": "sh.helm.release.v1.cart.v7", "labels": {"status": "pending-upgrade"}},
            "data": {"release": release}})
    }

    fn release() -> Value {
        json!({"name": "cart", "namespace": "shop", "version": 7, "config": {"password": "correct-horse"},
            "info": {"status": "pending-upgrade", "description": "Preparing upgrade", "last_deployed": "2026-01-02T03:04:05.678901234Z"},
            "chart": {"metadata": {"name": "cart", "version": "1.2.3"}, "templates": [{"name": "x", "data": "eA=="}]},
            "manifest": "---\n# Source: cart/templates/a.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n\
                apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b, namespace: other}\n---\n\
                apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: c}\n"})
    }

    #[test]
    fn a_revision_is_read_and_shows_no_values() {
        for gzip in [true, false] {
            let record = decode(&packed(release().to_string().as_bytes(), gzip)).expect("a record");
            assert_eq!((record.revision, &*record.status, &*record.chart), (7, "pending-upgrade", "cart-1.2.3"));
            assert_eq!(record.updated_ms, 1_767_323_045_678);
            let objects: Vec<_> = record.objects().iter().map(ToString::to_string).collect();
            assert_eq!(
                objects,
                ["ClusterRole.rbac.authorization.k8s.io/c", "ConfigMap/shop/a", "Deployment.apps/other/b"]
            );
            assert!(!format!("{record:?}").contains("horse") && !format!("{record:?}").contains("ConfigMap"));
        }
    }

    #[test]
    fn a_status_is_exchanged_and_all_else_stays() {
        let secret =
            with_status(&packed(release().to_string().as_bytes(), true), "failed", "it hung", 9_000).expect("it");
        let labels = json!({"status": "failed", "modifiedAt": "9"});
        assert_eq!(secret["metadata"]["labels"], labels);
        let mut expect = release();
        expect["info"]["status"] = json!("failed");
        expect["info"]["description"] = json!("it hung");
        let found: Value = serde_json::from_slice(&unpacked(&secret).expect("JSON")).expect("JSON");
        assert_eq!(found, expect);
    }

    fn check_refused(secret: &Value, words: &str) {
        let error = decode(secret).expect_err(words).to_string();
        assert!(error.contains(words) && error.contains("sh.helm.release.v1.cart.v7"), "{error}");
    }

    #[test]
    fn what_is_no_record_is_refused_by_name() {
        let with = |text: &str| json!({"metadata": {"name": "sh.helm.release.v1.cart.v7"}, "data": {"release": text}});
        check_refused(&json!({"metadata": {"name": "sh.helm.release.v1.cart.v7"}}), "no `release`");
        check_refused(&with("%"), "no base64");
        check_refused(&with(&BASE64_STANDARD.encode("%")), "base64 twice");
        check_refused(&packed(b"{}", true), "no release");
        check_refused(&packed(&[GZIP.as_slice(), b"x"].concat(), false), "no gzip");
        check_refused(&with(&"A".repeat(SECRET_BYTES_MAX + 1)), "more than");
        // A bomb: 65 MiB of blanks are a few KiB.
        check_refused(&packed(&vec![b' '; (64 << 20) + 2], true), "more than");
    }
}
