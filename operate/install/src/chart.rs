//! The chart's files, as they stand in `assets/charts/apm`. Knows no Helm and no value.

macro_rules! file {
    ($path:literal) => {
        ($path, include_str!(concat!("../../../assets/charts/apm/", $path)))
    };
}

/// What makes objects. `templates/tokens.yaml` is Helm's alone: it asks the cluster, and chance.
pub(crate) const TEMPLATES: [(&str, &str); 3] =
    [file!("templates/engine.yaml"), file!("templates/collector.yaml"), file!("templates/inject.yaml")];

pub(crate) const NAMES: &str = file!("templates/_names.tpl").1;
pub(crate) const NOTES: &str = file!("templates/NOTES.txt").1;
pub(crate) const VALUES: &str = file!("values.yaml").1;

/// The rest of it.
pub(crate) const FILES: [(&str, &str); 5] = [
    file!("Chart.yaml"),
    file!("values.yaml"),
    file!("templates/_names.tpl"),
    file!("templates/tokens.yaml"),
    file!("templates/NOTES.txt"),
];

/// `appVersion`, which is the binary's.
pub(crate) const fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
