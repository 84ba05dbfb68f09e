//! What can be looked at before anybody asks for a release: whether the engine answers, and where an image can be had, as whom. It changes
//! nothing, and shows no password.

use std::sync::Arc;

use base_explain::Report;
use base_world::World;
use connect_docker::{Engine, Surroundings, find};
use connect_registry::{Client, Credentials, DockerLogins, Login as _, Options, Reference};
use operate_deploy::label;

/// Asks a Docker engine and registries.
pub struct Probe {
    pub(crate) engine: Engine,
    registries: Client,
    logins: Arc<DockerLogins>,
}

/// Where an image can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageAt {
    /// On the engine already.
    Engine { id: String, created_at: String, pinned: Option<String> },
    /// At its registry; `login` says as whom it was asked.
    Registry { registry: String, login: String, pinned: String },
}

impl ImageAt {
    /// The same image under a name that cannot come to mean another one: `registry/name@sha256:…`, or the engine's own id where it was
    /// never at a registry.
    pub fn pinned(&self) -> &str {
        match self {
            ImageAt::Engine { id, pinned, .. } => pinned.as_deref().unwrap_or(id),
            ImageAt::Registry { pinned, .. } => pinned,
        }
    }
}

impl std::fmt::Display for ImageAt {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ImageAt::Engine { id, created_at, .. } => {
                let day = created_at.get(..10).unwrap_or(created_at);
                write!(to, "it is on this engine, made {day} ({})", id.get(..19).unwrap_or(id))
            }
            ImageAt::Registry { registry, login, .. } => write!(to, "it can be pulled from {registry} {login}"),
        }
    }
}

impl Probe {
    /// Connects to nothing yet.
    pub fn new(world: &World, variable: impl Fn(&str) -> Option<String>) -> Result<Probe, Report> {
        Probe::at(world, &Surroundings::from_variables(&variable))
    }

    /// The same with surroundings that were looked at before.
    pub fn at(world: &World, surroundings: &Surroundings) -> Result<Probe, Report> {
        let told = |error: &connect_docker::DockerError| hinted(Report::of(error), error.hint());
        let found = find(surroundings, &*world.disk).map_err(|error| told(&error))?;
        let logins = Arc::new(DockerLogins::new(world.disk.clone(), surroundings.config_folder()));
        let registries = Client::new(logins.clone(), world.clock.clone(), Options::default());
        Ok(Probe {
            engine: Engine::new(found).map_err(|error| told(&error))?,
            registries: registries.map_err(|error| Report::of(&error).hint(error.hint()))?,
            logins,
        })
    }

    /// `Docker 20.10.24 at unix:///run/docker.sock (Docker's default)`, if it answers.
    pub async fn engine(&self) -> Result<String, Report> {
        let found = self.engine.found();
        match self.engine.version().await {
            Ok(version) => Ok(format!("Docker {} at {} ({})", version.version, found.place, found.found_by)),
            Err(error) => Err(hinted(Report::of(&error), error.hint())),
        }
    }

    /// The image that a service's containers run, under a name that cannot come to mean another one; `image` is what it was asked for by.
    pub async fn serves(
        &self,
        project: &str,
        service: &str,
        environment: &str,
        version: &str,
        image: &str,
    ) -> Result<String, Report> {
        let labels = [
            (label::PROJECT, project),
            (label::SERVICE, service),
            (label::ENVIRONMENT, environment),
            (label::VERSION, version),
        ];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let told = |error: &connect_docker::DockerError| hinted(Report::of(error), error.hint());
        let listed = self.engine.containers(&labels).await.map_err(|error| told(&error))?;
        let runs = listed.into_iter().find(|one| one.state == connect_docker::State::Running).ok_or_else(|| {
            let report = Report::new(format!("no container of {service} {version} runs in {environment}"));
            report.hint("its image can only be told from a container; promote without `--from`")
        })?;
        let view = self.engine.image(&runs.image_id).await.map_err(|error| told(&error))?;
        Ok(pinned(&view.digests, image).unwrap_or(view.id))
    }

    /// Where the image can be had: on the engine, else at its registry, asked with the login that Docker keeps for it.
    pub async fn image(&self, image: &str) -> Result<ImageAt, Report> {
        let here = self.engine.image_if_there(image).await;
        if let Some(view) = here.map_err(|error| hinted(Report::of(&error), error.hint()))? {
            let pinned = pinned(&view.digests, image);
            return Ok(ImageAt::Engine { id: view.id, created_at: view.created_at, pinned });
        }
        let told = |error: &connect_registry::RegistryError| Report::of(error).hint(error.hint());
        let reference: Reference = image.parse().map_err(|error| told(&error))?;
        let login = match self.logins.credentials(&reference.registry).await.map_err(|error| told(&error))? {
            Some(Credentials::Password { username, .. }) => format!("as {username}"),
            Some(_) => "with the login that Docker keeps".to_owned(),
            None => "without a login".to_owned(),
        };
        match self.registries.resolve(&reference).await {
            Ok(resolved) => {
                let pinned = format!("{}@{}", reference.familiar(), resolved.digest);
                Ok(ImageAt::Registry { registry: reference.registry, login, pinned })
            }
            Err(error) => Err(told(&error).because(format!("{} was asked {login}", reference.registry))),
        }
    }
}

/// The digest under which the image's own repository knows it.
fn pinned(digests: &[String], image: &str) -> Option<String> {
    let name = image.parse::<Reference>().ok()?.familiar();
    digests.iter().find(|digest| digest.split('@').next() == Some(&name)).cloned()
}

pub(crate) fn hinted(report: Report, hint: Option<&str>) -> Report {
    match hint {
        Some(hint) => report.hint(hint),
        None => report,
    }
}
