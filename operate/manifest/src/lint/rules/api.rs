//! API versions that a cluster of the target no longer serves, or will not for long, and fields and annotations that became others. The dates are those of
//! <https://kubernetes.io/docs/reference/using-api/deprecation-guide/> and of the API's own prerelease-lifecycle.

use base_explain::finding::Safety;
use lib_yaml_edit::{Data, Step};

use super::super::found::{Found, Mend};
use crate::object::Object;
use crate::validate::At;

/// One kind or some, in a version that goes.
struct Gone {
    api_version: &'static str,
    /// Empty for all of the version.
    kinds: &'static [&'static str],
    /// Minor versions: since when it is deprecated, since when not served.
    deprecated: u8,
    removed: u8,
    /// What takes its place; empty if nothing does.
    instead: &'static str,
    /// The new version has the same fields, so that exchanging the word is enough.
    same: bool,
}

const fn gone(
    api_version: &'static str,
    kinds: &'static [&'static str],
    (deprecated, removed): (u8, u8),
    instead: &'static str,
    same: bool,
) -> Gone {
    Gone { api_version, kinds, deprecated, removed, instead, same }
}

/// Not removed in any version that is known.
const NEVER: u8 = u8::MAX;

const GONE: &[Gone] = &[
    gone("extensions/v1beta1", &["Deployment", "DaemonSet", "ReplicaSet"], (9, 16), "apps/v1", false),
    gone("extensions/v1beta1", &["NetworkPolicy"], (9, 16), "networking.k8s.io/v1", true),
    gone("extensions/v1beta1", &["Ingress"], (14, 22), "networking.k8s.io/v1", false),
    gone("extensions/v1beta1", &["PodSecurityPolicy"], (11, 16), "", false),
    gone("apps/v1beta1", &[], (9, 16), "apps/v1", false),
    gone("apps/v1beta2", &[], (9, 16), "apps/v1", false),
    gone("admissionregistration.k8s.io/v1beta1", WEBHOOKS, (16, 22), "admissionregistration.k8s.io/v1", false),
    gone("admissionregistration.k8s.io/v1alpha1", VALIDATING, (28, 32), "admissionregistration.k8s.io/v1", true),
    gone("admissionregistration.k8s.io/v1beta1", VALIDATING, (31, 34), "admissionregistration.k8s.io/v1", true),
    gone("apiextensions.k8s.io/v1beta1", &[], (16, 22), "apiextensions.k8s.io/v1", false),
    gone("apiregistration.k8s.io/v1beta1", &[], (19, 22), "apiregistration.k8s.io/v1", true),
    gone("authentication.k8s.io/v1beta1", &["TokenReview"], (19, 22), "authentication.k8s.io/v1", true),
    gone("authorization.k8s.io/v1beta1", &[], (19, 22), "authorization.k8s.io/v1", false),
    gone("autoscaling/v2beta1", &[], (22, 25), "autoscaling/v2", false),
    gone("autoscaling/v2beta2", &[], (23, 26), "autoscaling/v2", true),
    gone("batch/v1beta1", &["CronJob"], (21, 25), "batch/v1", true),
    gone("batch/v2alpha1", &["CronJob"], (21, 21), "batch/v1", true),
    gone("certificates.k8s.io/v1beta1", &["CertificateSigningRequest"], (19, 22), "certificates.k8s.io/v1", false),
    gone("certificates.k8s.io/v1alpha1", &["PodCertificateRequest"], (35, 35), "certificates.k8s.io/v1beta1", false),
    gone("coordination.k8s.io/v1alpha1", &["LeaseCandidate"], (32, 32), "coordination.k8s.io/v1beta1", false),
    gone("coordination.k8s.io/v1beta1", &["Lease"], (19, 22), "coordination.k8s.io/v1", true),
    gone("discovery.k8s.io/v1beta1", &[], (21, 25), "discovery.k8s.io/v1", false),
    gone("events.k8s.io/v1beta1", &[], (19, 25), "events.k8s.io/v1", false),
    gone("flowcontrol.apiserver.k8s.io/v1beta1", &[], (23, 26), "flowcontrol.apiserver.k8s.io/v1", false),
    gone("flowcontrol.apiserver.k8s.io/v1beta2", &[], (26, 29), "flowcontrol.apiserver.k8s.io/v1", false),
    gone("flowcontrol.apiserver.k8s.io/v1beta3", &[], (29, 32), "flowcontrol.apiserver.k8s.io/v1", false),
    gone("networking.k8s.io/v1beta1", &["Ingress"], (19, 22), "networking.k8s.io/v1", false),
    gone("networking.k8s.io/v1beta1", &["IngressClass"], (19, 22), "networking.k8s.io/v1", true),
    gone("networking.k8s.io/v1beta1", &["IPAddress", "ServiceCIDR"], (34, 37), "networking.k8s.io/v1", true),
    gone("node.k8s.io/v1beta1", &[], (22, 25), "node.k8s.io/v1", true),
    gone("policy/v1beta1", &["PodDisruptionBudget"], (21, 25), "policy/v1", true),
    gone("policy/v1beta1", &["PodSecurityPolicy"], (21, 25), "", false),
    gone("rbac.authorization.k8s.io/v1alpha1", &[], (17, 22), "rbac.authorization.k8s.io/v1", true),
    gone("rbac.authorization.k8s.io/v1beta1", &[], (17, 22), "rbac.authorization.k8s.io/v1", true),
    gone(
        "resource.k8s.io/v1alpha2",
        &["ResourceClaim", "ResourceClaimTemplate"],
        (31, 31),
        "resource.k8s.io/v1",
        false,
    ),
    gone("resource.k8s.io/v1alpha3", DEVICES, (34, 34), "resource.k8s.io/v1", false),
    gone("resource.k8s.io/v1beta1", DEVICES, (35, 38), "resource.k8s.io/v1", false),
    gone("resource.k8s.io/v1beta2", DEVICES, (36, 39), "resource.k8s.io/v1", true),
    gone("scheduling.k8s.io/v1beta1", &["PriorityClass"], (14, 22), "scheduling.k8s.io/v1", true),
    gone("storage.k8s.io/v1alpha1", &["VolumeAttributesClass"], (32, 35), "storage.k8s.io/v1", true),
    gone("storage.k8s.io/v1beta1", &["CSIStorageCapacity"], (24, 27), "storage.k8s.io/v1", true),
    gone("storage.k8s.io/v1beta1", STORAGE, (19, 22), "storage.k8s.io/v1", true),
    gone("storage.k8s.io/v1beta1", &["VolumeAttributesClass"], (34, 37), "storage.k8s.io/v1", true),
    gone(
        "storagemigration.k8s.io/v1alpha1",
        &["StorageVersionMigration"],
        (35, 35),
        "storagemigration.k8s.io/v1beta1",
        false,
    ),
    gone("v1", &["Endpoints"], (33, NEVER), "discovery.k8s.io/v1, kind EndpointSlice", false),
];

const WEBHOOKS: &[&str] = &["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"];
const DEVICES: &[&str] = &["DeviceClass", "ResourceClaim", "ResourceClaimTemplate", "ResourceSlice"];
const VALIDATING: &[&str] = &["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"];
const STORAGE: &[&str] = &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"];

/// Annotations that became fields, by their beginning.
const ANNOTATIONS: &[(&str, &str)] = &[
    ("seccomp.security.alpha.kubernetes.io/", "`securityContext.seccompProfile`"),
    ("container.seccomp.security.alpha.kubernetes.io/", "`securityContext.seccompProfile`"),
    ("container.apparmor.security.beta.kubernetes.io/", "`securityContext.appArmorProfile`"),
    ("kubernetes.io/ingress.class", "`spec.ingressClassName`"),
    ("volume.beta.kubernetes.io/storage-class", "`spec.storageClassName`"),
    ("service.alpha.kubernetes.io/tolerate-unready-endpoints", "`spec.publishNotReadyAddresses`"),
    ("scheduler.alpha.kubernetes.io/critical-pod", "`priorityClassName`"),
];

/// Whether a server of the minor version has removed the kind, by the table: validation then need not say so too.
pub(in crate::lint) fn is_removed(api_version: &str, kind: &str, minor: u8) -> bool {
    entry(api_version, kind).is_some_and(|gone| gone.removed <= minor)
}

fn entry(api_version: &str, kind: &str) -> Option<&'static Gone> {
    GONE.iter().find(|gone| gone.api_version == api_version && (gone.kinds.is_empty() || gone.kinds.contains(&kind)))
}

pub(super) fn object(object: &Object, root: &At<'_>, minor: u8, found: &mut Found<'_>) {
    let id = &object.identity;
    if let Some(gone) = entry(&id.api_version, &id.kind).filter(|gone| gone.deprecated <= minor) {
        api(gone, &id.kind, root, minor, found);
    }
    let metadata = root.get("metadata");
    annotations(&metadata, found);
    if let Some(path) = object.pod_path().filter(|path| !path.is_empty()) {
        super::down(root, path, &mut |at| annotations(&at.get("metadata"), found));
    }
}

fn api(gone: &Gone, kind: &str, root: &At<'_>, minor: u8, found: &mut Found<'_>) {
    let at = root.get("apiVersion");
    let instead = match gone.instead {
        "" => "nothing takes its place".to_owned(),
        instead => format!("it is `{instead}` now"),
    };
    let removed = gone.removed <= minor;
    let added = if removed {
        let what = format!("`{kind}` of `{}` went with 1.{}; {instead}", gone.api_version, gone.removed);
        found.add("AK0101", &at, what)
    } else {
        let end = if gone.removed == NEVER { String::new() } else { format!(" and goes with 1.{}", gone.removed) };
        let what =
            format!("`{kind}` of `{}` is deprecated since 1.{}{end}; {instead}", gone.api_version, gone.deprecated);
        found.add("AK0102", &at, what)
    };
    if gone.same {
        let mend = Mend::Set(vec![Step::from("apiVersion")], Data::from(gone.instead));
        let safety = if removed { Safety::Safe } else { Safety::Suggested };
        added.mend(safety, format!("write `apiVersion: {}`", gone.instead), mend);
    }
}

fn annotations(metadata: &At<'_>, found: &mut Found<'_>) {
    let annotations = metadata.get("annotations");
    for (key, at) in annotations.pairs() {
        if let Some((_, instead)) = ANNOTATIONS.iter().find(|(start, _)| key.starts_with(start)) {
            found.add("AK0104", &at, format!("`{key}` became {instead}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::{MINOR_NEWEST, MINOR_OLDEST, Schemas};

    /// The table against what the servers of each minor version really have.
    #[test]
    fn versions_end_when_the_table_says_so() {
        let schemas = Schemas::embedded();
        let (mut wrong, mut served, mut replaced) = (Vec::new(), 0, 0);
        for gone in GONE {
            for kind in gone.kinds {
                let has = |minor: &u8| schemas.kind(gone.api_version, kind, *minor).is_some();
                // Those that ended before the oldest version are in none.
                if let Some(last) = (MINOR_OLDEST..=MINOR_NEWEST).rev().find(has) {
                    served += 1;
                    let right = if last == MINOR_NEWEST { gone.removed > last } else { gone.removed == last + 1 };
                    if !right {
                        wrong.push(format!("{kind} of {} is last in 1.{last}", gone.api_version));
                    }
                } else if gone.removed > MINOR_OLDEST {
                    wrong.push(format!("{kind} of {} is in none", gone.api_version));
                }
                if !gone.instead.is_empty() && !gone.instead.contains(' ') {
                    replaced += 1;
                    if schemas.any_kind(gone.instead, kind).is_none() {
                        wrong.push(format!("{} has no {kind}", gone.instead));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(served > 15 && replaced > 40, "{served} {replaced}");
    }
}
