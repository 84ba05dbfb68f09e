//! What pods gained after 1.30: claims of devices, resources of the whole pod, rules of restarts, variables from files. A server whose switch for one of
//! these is off drops the field and looks at nothing in it, so each is checked from the minor on in which it is on.

use super::resources;
use super::words::{exactly_one, named, one_of, unique, wanted};
use crate::format;
use crate::validate::{At, Out};

const CLAIMS: u8 = 34;
const POD_RESOURCES: u8 = 34;
const GROUPS_POLICY: u8 = 33;
const SELINUX_POLICY: u8 = 33;
const HOSTNAME: u8 = 35;
const RESTART_RULES: u8 = 35;
const FILES: u8 = 35;
const RESIZING: u8 = 33;
/// Volumes of images; before, the server drops them and their mounts.
pub(crate) const IMAGES: u8 = 35;
/// What Linux takes for a host's name.
const HOSTNAME_MAX: usize = 64;

pub(crate) fn pod(spec: &At<'_>, out: &mut Out) {
    let os = spec.get("os");
    if os.is() && wanted(&os.get("name"), "name", out) {
        one_of(&os.get("name"), &["linux", "windows"], out);
    }
    if out.minor >= POD_RESOURCES {
        resources::of_container(&spec.get("resources"), out);
    }
    let name = spec.get("hostnameOverride");
    if out.minor >= HOSTNAME && name.is() {
        named(&name, format::dns_subdomain, "DNS subdomain", out);
        if name.str().len() > HOSTNAME_MAX {
            out.error(&name, "format/name", "the name is too long for a host", format!("at most {HOSTNAME_MAX}"));
        }
    }
    let security = spec.get("securityContext");
    if out.minor >= GROUPS_POLICY {
        one_of(&security.get("supplementalGroupsPolicy"), &["Merge", "Strict"], out);
    }
    if out.minor >= SELINUX_POLICY {
        one_of(&security.get("seLinuxChangePolicy"), &["MountOption", "Recursive"], out);
    }
    claims(spec, out);
}

fn claims(spec: &At<'_>, out: &mut Out) {
    if out.minor < CLAIMS {
        return;
    }
    let claims = spec.get("resourceClaims");
    for claim in claims.items() {
        let name = claim.get("name");
        if wanted(&name, "name", out) {
            named(&name, format::dns_label, "DNS label", out);
        }
        exactly_one(&claim, &["resourceClaimName", "resourceClaimTemplateName"], "claim", out);
    }
    unique(&claims, "name", out);
    let known: Vec<String> = claims.items().map(|claim| claim.get("name").str().to_owned()).collect();
    for key in ["initContainers", "containers"] {
        let containers = spec.get(key);
        for container in containers.items() {
            let resources = container.get("resources");
            let used = resources.get("claims");
            for one in used.items().filter(|one| !known.iter().any(|name| name == one.get("name").str())) {
                let what = format!("the pod has no claim `{}`", one.get("name").str());
                out.error(&one, "relation/missing", what, "add it to `resourceClaims`, or name one of those");
            }
        }
    }
}

/// When a container is started again.
pub(crate) fn restarts(at: &At<'_>, out: &mut Out) {
    if out.minor < RESTART_RULES {
        return;
    }
    let policy = at.get("restartPolicy");
    one_of(&policy, &["Always", "Never", "OnFailure"], out);
    let rules = at.get("restartPolicyRules");
    if rules.len() > 0 && !policy.is() {
        out.error(&policy, "field/required", "rules of restarts need a `restartPolicy`", "set it beside them");
    }
    for rule in rules.items() {
        let codes = rule.get("exitCodes");
        if !codes.is() {
            out.error(&codes, "field/required", "no exit codes are said", "set `exitCodes`");
        }
        one_of(&codes.get("operator"), &["In", "NotIn"], out);
    }
}

pub(crate) fn resizing(at: &At<'_>, out: &mut Out) {
    if out.minor < RESIZING {
        return;
    }
    let policies = at.get("resizePolicy");
    for policy in policies.items() {
        one_of(&policy.get("resourceName"), &["cpu", "memory"], out);
        one_of(&policy.get("restartPolicy"), &["NotRequired", "RestartContainer"], out);
    }
}

/// The names of a pod's volumes that the server drops with their mounts.
pub(crate) fn dropped_volumes(volumes: &At<'_>, out: &Out) -> Vec<String> {
    if out.minor >= IMAGES {
        return Vec::new();
    }
    let images = volumes.items().filter(|volume| volume.get("image").is());
    images.map(|volume| volume.get("name").str().to_owned()).collect()
}

/// A variable from a file of a volume.
pub(crate) fn file_key(at: &At<'_>, volumes: &[&str], out: &mut Out) {
    let name = at.get("volumeName");
    if out.minor >= FILES && !volumes.contains(&name.str()) {
        let what = format!("the pod has no volume `{}`", name.str());
        out.error(&name, "relation/missing", what, "add an `emptyDir` of that name to `volumes`");
    }
}
