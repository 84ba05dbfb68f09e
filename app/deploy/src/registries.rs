//! What is behind `apm registry`: registries with the logins of Docker's configuration, and answers as plain data. It prints nothing.

use std::sync::Arc;

use base_http::Secret;
use base_world::World;
use connect_docker::Surroundings;
use connect_registry::{
    Always, Client, Content, Credentials, DOCKER_HUB, Descriptor, DockerLogins, Login, Manifest, Options, Platform,
    Reference, Resolved, Result,
};
use serde_json::Value;

/// A configuration is some kilobytes.
const CONFIG_BYTES_MAX: u64 = 4 << 20;

/// All registries, as this person.
pub struct Registry {
    world: World,
    logins: DockerLogins,
    client: Client,
    insecure: Vec<String>,
}

/// An image as its registry describes it.
#[derive(Debug)]
pub struct Inspected {
    pub reference: String,
    pub digest: String,
    pub media_type: String,
    /// Of an index: each part with its platform (empty where it has none), digest and size.
    pub parts: Vec<(String, String, u64)>,
    /// Of an image: its layers with their sizes.
    pub layers: Vec<(String, u64)>,
    /// Of an image: its configuration, as it is.
    pub config: Option<Value>,
    /// What the registry said about how often it may be asked.
    pub rate_limit: Option<String>,
}

impl Registry {
    /// Asks nobody yet. `insecure`: registries without TLS that are not on this machine.
    pub fn new(world: World, docker: &Surroundings, insecure: Vec<String>) -> Result<Registry> {
        let logins = DockerLogins::new(Arc::clone(&world.disk), docker.config_folder());
        let client = client(&world, Arc::new(logins.clone()), &insecure)?;
        Ok(Registry { world, logins, client, insecure })
    }

    /// Tries name and password at the registry, then keeps them where `docker login` would; says where.
    pub async fn login(&self, registry: &str, username: &str, password: &str) -> Result<String> {
        let registry = bare(registry);
        let trying = Always(Credentials::password(username, password));
        let client = client(&self.world, Arc::new(trying), &self.insecure)?;
        client.ping(registry).await?;
        Ok(self.logins.keep(registry, username, &Secret::new(password)).await?.to_string())
    }

    /// Forgets the login; false when there was none.
    pub async fn logout(&self, registry: &str) -> Result<bool> {
        self.logins.forget(bare(registry)).await
    }

    /// The tags of a repository.
    pub async fn tags(&self, repository: &str) -> Result<Vec<String>> {
        self.client.tags(&read(repository)?).await
    }

    /// What an image is now; of an index the part for `platform`, if one is given.
    pub async fn digest(&self, image: &str, platform: Option<&str>) -> Result<String> {
        let image = read(image)?;
        Ok(match platform_of(platform)? {
            None => self.resolved(&image).await?.digest.to_string(),
            Some(platform) => self.client.image(&image, &platform).await?.digest.to_string(),
        })
    }

    async fn resolved(&self, image: &Reference) -> Result<Resolved> {
        self.client.resolve(image).await
    }

    /// All that its registry says of an image; of an index the part for `platform`, if one is given.
    pub async fn inspect(&self, image: &str, platform: Option<&str>) -> Result<Inspected> {
        let image = read(image)?;
        let found = match platform_of(platform)? {
            None => self.client.manifest(&image).await,
            Some(platform) => self.client.image(&image, &platform).await,
        };
        let manifest = found?;
        let mut inspected = Inspected {
            reference: image.to_string(),
            digest: manifest.digest.to_string(),
            media_type: manifest.media_type.clone(),
            parts: Vec::new(),
            layers: Vec::new(),
            config: None,
            rate_limit: None,
        };
        self.content(&image, &manifest, &mut inspected).await?;
        inspected.rate_limit = self.client.rate_limit(&image.registry).map(|limit| limit.to_string());
        Ok(inspected)
    }

    async fn content(&self, image: &Reference, manifest: &Manifest, into: &mut Inspected) -> Result<()> {
        match manifest.content()? {
            Content::Index(parts) => {
                let platform = |part: &Descriptor| part.platform.as_ref().map(ToString::to_string).unwrap_or_default();
                into.parts =
                    parts.iter().map(|part| (platform(part), part.digest.to_string(), part.size_bytes)).collect();
            }
            Content::Image { config, layers } => {
                into.layers = layers.iter().map(|layer| (layer.digest.to_string(), layer.size_bytes)).collect();
                let bytes = self.client.blob_whole(image, &config, CONFIG_BYTES_MAX).await?;
                into.config = serde_json::from_slice(&bytes).ok();
            }
        }
        Ok(())
    }

    /// Copies an image with all it is made of; gives its digest, which stays, and how many blobs and bytes were sent.
    pub async fn copy(&self, from: &str, to: &str, platform: Option<&str>) -> Result<(String, usize, u64)> {
        let (from, to, platform) = (read(from)?, read(to)?, platform_of(platform)?);
        let copied = self.client.copy(&from, &to, platform.as_ref(), &mut |_| {}).await;
        let copied = copied?;
        Ok((copied.digest.to_string(), copied.blobs_sent, copied.bytes_sent))
    }

    /// The image by its digest: what would be deleted.
    pub async fn pinned(&self, image: &str) -> Result<String> {
        let image = read(image)?;
        let digest = self.resolved(&image).await?.digest;
        Ok(image.pinned(&digest).to_string())
    }

    /// Deletes an image that is named by its digest, and every tag of it.
    pub async fn delete(&self, pinned: &str) -> Result<()> {
        self.client.delete(&read(pinned)?).await
    }
}

fn client(world: &World, logins: Arc<dyn Login>, insecure: &[String]) -> Result<Client> {
    let options = Options { insecure: insecure.to_vec(), ..Options::default() };
    Client::new(logins, Arc::clone(&world.clock), options)
}

fn read(text: &str) -> Result<Reference> {
    text.parse()
}

fn platform_of(text: Option<&str>) -> Result<Option<Platform>> {
    text.map(str::parse).transpose()
}

/// As `docker login` takes it: with or without `https://`, and Docker Hub under its many names.
fn bare(registry: &str) -> &str {
    let rest = registry.strip_prefix("https://").or_else(|| registry.strip_prefix("http://")).unwrap_or(registry);
    match rest.split('/').next().unwrap_or(rest) {
        "" | "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB,
        host => host,
    }
}
