//! What is meant on a cluster: of settings and flags the service, its image, its version, where its manifests are and where they go. It reads no manifest.

use std::borrow::Cow;
use std::path::PathBuf;

use base_explain::Report;
use base_world::Disk;
use operate_manifest::{Limits, MINOR_NEWEST, read};

use super::ops::Meant;
use crate::manifests::{ManifestText, Rendering, manifest_texts};
use crate::release::{Asked, image};
use crate::settings::{Project, ServiceSettings};

/// Manifests as they are, without a judge: what `apm k8s` works on.
#[derive(Debug, Clone, Default)]
pub struct Plain {
    /// Files and folders; those of the settings when empty.
    pub paths: Vec<PathBuf>,
    /// A text that is at hand: standard input.
    pub given: Option<String>,
    /// Of the kubeconfig; that of the settings, else the current one, when left out.
    pub context: Option<String>,
    pub namespace: Option<String>,
    /// What an earlier apply made and this one does not want is deleted.
    pub prune: bool,
    /// Fields that somebody else set may be taken over.
    pub force_conflicts: bool,
}

#[derive(Clone)]
pub(crate) struct Picked<'p> {
    pub(crate) service: String,
    pub(crate) settings: Cow<'p, ServiceSettings>,
    pub(crate) image: Option<String>,
    /// Left out, the content is the version.
    pub(crate) version: Option<String>,
    pub(crate) context: Option<String>,
    pub(crate) namespace: Option<String>,
    paths: Vec<PathBuf>,
    given: Option<String>,
}

impl Project {
    pub(crate) fn picked(&self, asked: &Asked) -> Result<Picked<'_>, Report> {
        let Some(plain) = &asked.plain else {
            let (service, settings) = self.chosen(asked.service.as_deref())?;
            let (image, version) = image(&service, settings, asked)?;
            let kubernetes = &settings.deploy.kubernetes;
            return Ok(Picked {
                service,
                image: Some(image),
                version: Some(version),
                context: kubernetes.context.clone(),
                namespace: kubernetes.namespace.clone(),
                paths: kubernetes.manifests.clone(),
                given: None,
                settings: Cow::Borrowed(settings),
            });
        };
        let (service, settings) = self.plain(asked.service.as_deref())?;
        // An image of the settings counts once somebody says which version of it.
        let named = image(&service, &settings, asked).ok();
        let kubernetes = &settings.deploy.kubernetes;
        let paths = match (plain.paths.is_empty(), &plain.given) {
            (false, _) => plain.paths.clone(),
            (true, Some(_)) => Vec::new(),
            (true, None) => kubernetes.manifests.clone(),
        };
        Ok(Picked {
            service,
            image: named.as_ref().map(|(image, _)| image.clone()),
            version: named.map(|(_, version)| version).or_else(|| asked.version.clone()),
            context: plain.context.clone().or_else(|| kubernetes.context.clone()),
            namespace: plain.namespace.clone().or_else(|| kubernetes.namespace.clone()),
            paths,
            given: plain.given.clone(),
            settings,
        })
    }

    /// What a set of manifests is called.
    pub fn set_name(&self, service: Option<&str>) -> Result<String, Report> {
        Ok(self.plain(service)?.0)
    }

    /// The service on a cluster that is meant; one that the settings do not have is a name for a set of manifests, by default the project's.
    fn plain(&self, service: Option<&str>) -> Result<(String, Cow<'_, ServiceSettings>), Report> {
        let on_cluster: Vec<_> = self.services.iter().filter(|(_, one)| one.deploy.target == "kubernetes").collect();
        match (service, &on_cluster[..]) {
            (Some(name), _) => Ok(match self.services.get(name) {
                Some(settings) => (name.to_owned(), Cow::Borrowed(settings)),
                None => (name.to_owned(), Cow::Owned(ServiceSettings::default())),
            }),
            (None, []) => Ok((label(&self.name), Cow::Owned(ServiceSettings::default()))),
            (None, [(name, settings)]) => Ok(((*name).clone(), Cow::Borrowed(*settings))),
            (None, all) => {
                let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
                let hint = format!("`--service` names one: {}", names.join(", "));
                Err(Report::new("there are several services on Kubernetes").hint(hint))
            }
        }
    }
}

/// A name as a label takes it.
fn label(name: &str) -> String {
    let sign = |sign: char| if sign.is_ascii_alphanumeric() || "-_.".contains(sign) { sign } else { '-' };
    let name: String = name.chars().map(sign).take(40).collect();
    let name = name.trim_matches(|sign: char| !sign.is_ascii_alphanumeric());
    if name.is_empty() { "default".to_owned() } else { name.to_ascii_lowercase() }
}

impl Picked<'_> {
    /// The texts of the manifests; charts and kustomizations by their own programs.
    pub(crate) async fn texts(&self, namespace: Option<&str>, disk: &dyn Disk) -> Result<Vec<ManifestText>, Report> {
        let rendering = Rendering { release: &self.service, namespace };
        let mut texts = manifest_texts(&self.paths, disk, &rendering).await?;
        if let Some(text) = &self.given {
            let name = "<stdin>".to_owned();
            let file = read(&name, text, &Limits::default()).map_err(|error| Report::of(&error))?;
            texts.push(ManifestText { name, path: None, text: text.clone(), file });
        }
        Ok(texts)
    }

    pub(crate) fn meant<'m>(&'m self, namespace: &'m str, environment: &'m str) -> Meant<'m> {
        let kubernetes = &self.settings.deploy.kubernetes;
        Meant {
            namespace,
            image: self.image.as_deref(),
            service: &self.service,
            version: self.version.as_deref().unwrap_or_default(),
            environment,
            minor: MINOR_NEWEST,
            transform: kubernetes.transform.as_ref(),
            inject: kubernetes.inject.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str, service: Option<&str>, version: Option<&str>, expect: Result<(&str, Option<&str>), &str>) {
        let mut tree = app_config::Tree::default();
        tree.add_file_asking("apm.yaml", yaml, &|_, _| None).expect("a file");
        let project = Project::read(tree, None, "My Shop").expect("settings");
        let (service, version) = (service.map(str::to_owned), version.map(str::to_owned));
        let asked = Asked { service, version, plain: Some(Plain::default()), ..Asked::default() };
        let found = project.picked(&asked);
        let found = found.as_ref().map(|found| (found.service.as_str(), found.image.as_deref()));
        match (found, expect) {
            (Err(report), Err(words)) => assert!(report.one_line().contains(words), "{}", report.one_line()),
            (found, expect) => assert_eq!(found.map_err(|report| report.one_line()), expect.map_err(str::to_owned)),
        }
    }

    #[test]
    fn a_service_on_a_cluster_is_meant_or_a_set_of_manifests() {
        let kube = "deploy: { target: kubernetes }";
        check("observe: {}", None, None, Ok(("my-shop", None)));
        check("observe: {}", Some("web"), Some("2"), Ok(("web", None)));
        let one = format!("services: {{ cart: {{ image: r/cart, {kube} }}, db: {{ image: pg }} }}");
        check(&one, None, None, Ok(("cart", None)));
        check(&one, None, Some("2"), Ok(("cart", Some("r/cart:2"))));
        check(&one, Some("tools"), Some("2"), Ok(("tools", None)));
        let two = format!("services: {{ cart: {{ {kube} }}, web: {{ {kube} }} }}");
        check(&two, None, None, Err("there are several services on Kubernetes"));
    }
}
