//! What Docker pushes we read, what we put Docker pulls, and one login serves both.

use std::path::Path;
use std::process::{Command, Output};

use base_http::Secret;
use base_world::World;
use connect_registry::{Content, DockerLogins, Kept, Kind, Nobody};

use crate::peer::{Registry, client, open, password, put_image};
use crate::tokens::TokenServer;

/// Docker's own client on the test's engine, with a configuration of the test's own.
fn docker(config: &Path, words: &[&str]) -> Output {
    let host = std::env::var("APM_TEST_DOCKER_HOST");
    let host = host.expect("APM_TEST_DOCKER_HOST is not set: these tests are run by `cargo xtask journeys`");
    let mut command = Command::new("docker");
    command.args(words).env("DOCKER_HOST", host).env("DOCKER_CONFIG", config).env("DOCKER_CLI_HINTS", "false");
    for other in ["DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"] {
        command.env_remove(other);
    }
    command.output().expect("docker is there: run `cargo xtask tools`")
}

/// What it said, when it did what it was told.
fn done(config: &Path, words: &[&str]) -> String {
    let output = docker(config, words);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "docker {words:?}: {said}");
    said
}

fn logins(config: &Path) -> DockerLogins {
    let place = config.display().to_string();
    let variable = |name: &str| match name {
        "DOCKER_CONFIG" => Some(place.clone()),
        other => std::env::var(other).ok(),
    };
    DockerLogins::from_variables(World::real().disk, variable)
}

#[tokio::test]
async fn what_docker_pushes_we_read_and_what_we_put_docker_pulls() {
    let (registry, client) = (Registry::start(open), client(Nobody));
    let config = tempfile::tempdir().expect("a folder");
    let ours = registry.image("ours:1");
    let manifest = put_image(&client, &ours, "made by us").await;
    let pinned = ours.pinned(&manifest.digest).to_string();
    done(config.path(), &["pull", &pinned]);
    // It pulled the very image: its id is the digest of the configuration.
    let Ok(Content::Image { config: part, .. }) = manifest.content() else { panic!("an image") };
    let id = done(config.path(), &["image", "inspect", "--format", "{{.Id}}", &pinned]);
    assert_eq!(id.trim(), part.digest.as_str());

    let theirs = registry.image("theirs:2");
    done(config.path(), &["tag", id.trim(), &theirs.to_string()]);
    let said = done(config.path(), &["push", &theirs.to_string()]);
    let resolved = client.resolve(&theirs).await.expect("known");
    assert!(said.contains(resolved.digest.as_str()), "{said}");
    let Ok(Content::Image { config: theirs_part, layers }) = client.manifest(&theirs).await.expect("read").content()
    else {
        panic!("an image")
    };
    assert_eq!((theirs_part.digest, layers.len()), (part.digest, 1));
    // Read to its end, so it is what its digest says.
    client.blob_whole(&theirs, &layers[0], 1 << 20).await.expect("the layer as Docker packed it");
    for name in [pinned, theirs.to_string()] {
        done(config.path(), &["rmi", &name]);
    }
}

/// A login that we keep is Docker's, and a login that Docker keeps is ours.
async fn check(registry: &Registry) {
    let config = tempfile::tempdir().expect("a folder");
    let logins = logins(config.path());
    let image = registry.image("both:1");
    assert_eq!(client(logins.clone()).resolve(&image).await.expect_err("nobody yet").kind(), Kind::Auth);
    let kept = logins.keep(&registry.address, "user", &Secret::new("secret")).await.expect("kept");
    assert_eq!(kept, Kept::File(config.path().join("config.json")));
    let manifest = put_image(&client(logins.clone()), &image, &registry.address).await;
    let pinned = image.pinned(&manifest.digest).to_string();
    done(config.path(), &["pull", &pinned]);
    done(config.path(), &["rmi", &pinned]);
    assert_eq!(logins.forget(&registry.address).await, Ok(true));
    assert!(!docker(config.path(), &["pull", &pinned]).status.success(), "Docker has forgotten it too");

    done(config.path(), &["login", "-u", "user", "-p", "secret", &registry.address]);
    let known = client(logins.clone());
    assert_eq!(known.resolve(&image).await.expect("known by Docker's login").digest, manifest.digest);
    done(config.path(), &["logout", &registry.address]);
    assert_eq!(client(logins).resolve(&image).await.expect_err("logged out").kind(), Kind::Auth);
}

#[tokio::test]
async fn one_login_serves_docker_and_us_by_password() {
    check(&Registry::start(password)).await;
}

#[tokio::test]
async fn one_login_serves_docker_and_us_by_tokens() {
    let tokens = TokenServer::start();
    check(&Registry::with_tokens(&tokens.realm)).await;
}
