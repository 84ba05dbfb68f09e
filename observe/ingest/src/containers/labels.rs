//! The labels by which cAdvisor tells Docker's containers apart. Knows no value.

use super::Container;

/// Of all labels of a container these say whose it is; images carry dozens more that would only make each series longer.
const KEPT: [&str; 3] =
    ["com.docker.compose.project", "com.docker.compose.service", "com.docker.compose.container-number"];
/// What `apm deploy` writes onto its containers …
const OURS: &str = "apm.";
/// … but this, a digest, tells a reader nothing.
const DIGEST: &str = "apm.config";

/// `id`, `name`, `image` and `container_label_…`, as cAdvisor spells them.
pub(super) fn of(container: &Container) -> Vec<(String, String)> {
    let mut labels = vec![
        // The path of its cgroup below Docker's, wherever the engine was told to put that.
        ("id".to_owned(), format!("/docker/{}", container.id)),
        ("name".to_owned(), container.name.clone()),
        ("image".to_owned(), container.image.clone()),
    ];
    let kept = container
        .labels
        .iter()
        .filter(|(name, _)| KEPT.contains(&name.as_str()) || name.starts_with(OURS) && *name != DIGEST);
    labels.extend(kept.map(|(name, value)| (format!("container_label_{}", clean(name)), value.clone())));
    labels
}

/// Whatever may not stand in a label's name becomes an underscore.
fn clean(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
