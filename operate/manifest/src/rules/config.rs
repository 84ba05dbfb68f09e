//! ConfigMaps and Secrets: keys, sizes, and what each type of secret holds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::words::named;
use crate::format;
use crate::validate::{At, Out};

/// Bytes of all values together.
const BYTES_MAX: usize = 1 << 20;

pub(crate) fn config_map(root: &At<'_>, out: &mut Out) {
    let (data, binary) = (root.get("data"), root.get("binaryData"));
    let mut bytes = 0;
    for (key, value) in data.pairs() {
        config_key(key, &value, out);
        bytes += value.str().len();
        if binary.get(key).is() {
            out.error(&value, "relation/unique", format!("`{key}` is in `binaryData` too"), "keep one of them");
        }
    }
    for (key, value) in binary.pairs() {
        config_key(key, &value, out);
        bytes += format::base64_bytes(value.str()).unwrap_or(0);
    }
    size(root, bytes, out);
}

fn config_key(key: &str, at: &At<'_>, out: &mut Out) {
    if !format::config_key(key) {
        out.error(
            at,
            "format/name",
            format!("`{key}` is no key"),
            "letters, digits, `-`, `_` and `.`, at most 253, not `..` first",
        );
    }
}

fn size(root: &At<'_>, bytes: usize, out: &mut Out) {
    if bytes > BYTES_MAX {
        out.error(
            root,
            "size/limit",
            format!("its values have {bytes} bytes"),
            format!("at most {BYTES_MAX} together"),
        );
    }
}

pub(crate) fn secret(root: &At<'_>, out: &mut Out) {
    let (data, texts, kind) = (root.get("data"), root.get("stringData"), root.get("type"));
    let mut bytes = 0;
    for (key, value) in data.pairs() {
        config_key(key, &value, out);
        bytes += format::base64_bytes(value.str()).unwrap_or(0);
    }
    for (key, value) in texts.pairs() {
        config_key(key, &value, out);
        bytes += value.str().len();
    }
    size(root, bytes, out);
    let has = |key: &str| {
        let (a, b) = (data.get(key), texts.get(key));
        a.node.is_some() || b.node.is_some()
    };
    let needs = |key: &'static str, out: &mut Out| {
        let text = format!("a Secret of type {} needs `{key}`", kind.str());
        if !data.pairs().chain(texts.pairs()).any(|(known, _)| known == key) {
            out.error(&data, "field/required", text, "add it to `data` or `stringData`");
        }
    };
    match kind.str() {
        "kubernetes.io/tls" => {
            needs("tls.crt", out);
            needs("tls.key", out);
        }
        "kubernetes.io/dockerconfigjson" => {
            needs(".dockerconfigjson", out);
            json(&data.get(".dockerconfigjson"), &texts.get(".dockerconfigjson"), out);
        }
        "kubernetes.io/dockercfg" => {
            needs(".dockercfg", out);
            json(&data.get(".dockercfg"), &texts.get(".dockercfg"), out);
        }
        "kubernetes.io/ssh-auth" => needs("ssh-privatekey", out),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            out.error(&data, "field/required", "neither `username` nor `password`", "add one of them");
        }
        "kubernetes.io/service-account-token" => {
            let metadata = root.get("metadata");
            let annotations = metadata.get("annotations");
            let account = annotations.get("kubernetes.io/service-account.name");
            if account.str().is_empty() {
                out.error(
                    &account,
                    "field/required",
                    "the account is not said",
                    "annotate `kubernetes.io/service-account.name`",
                );
            }
        }
        _ => {}
    }
    named(&kind, |text| text.len() < 1024, "type", out);
}

/// What was written as text goes before what was encoded.
fn json(encoded: &At<'_>, plain: &At<'_>, out: &mut Out) {
    let (at, bytes) = match plain.text() {
        Some(text) => (plain, Some(text.as_bytes().to_vec())),
        None => (encoded, encoded.text().and_then(|text| STANDARD.decode(text.replace(['\n', '\r'], "")).ok())),
    };
    if bytes.is_some_and(|bytes| serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&bytes).is_err())
    {
        out.error(at, "format/value", "this is no JSON object", "write it as Docker's config.json");
    }
}
