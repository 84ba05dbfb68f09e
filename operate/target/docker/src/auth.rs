//! Who we are to a registry, in the words in which the engine is told so. It knows no login itself.

use connect_docker::RegistryAuth;
use connect_registry::{Credentials, DOCKER_HUB, Login, Reference};
use operate_plan::{Class, Failure};

/// What Docker calls its Hub in logins.
const DOCKER_HUB_LOGIN: &str = "https://index.docker.io/v1/";

/// For pulling this image; `None`: as nobody. A login that is there and cannot be used is a failure, or a private image would seem not to be there.
pub(crate) async fn of(logins: &dyn Login, image: &str) -> Result<Option<RegistryAuth>, Failure> {
    // What is no reference is refused by the engine, in its own words.
    let Ok(reference) = image.parse::<Reference>() else { return Ok(None) };
    let found = logins.credentials(&reference.registry).await;
    let found = found.map_err(|error| Failure::new(Class::Auth, "docker.login", error.to_string(), error.hint()))?;
    let registry = match reference.registry.as_str() {
        DOCKER_HUB => DOCKER_HUB_LOGIN.to_owned(),
        registry => registry.to_owned(),
    };
    Ok(found.map(|credentials| match credentials {
        Credentials::Password { username, password } => {
            RegistryAuth { registry, username, password: password.expose().to_owned(), ..RegistryAuth::default() }
        }
        Credentials::Identity { token } => {
            RegistryAuth { registry, identity_token: Some(token.expose().to_owned()), ..RegistryAuth::default() }
        }
        Credentials::Bearer { token } => {
            RegistryAuth { registry, registry_token: Some(token.expose().to_owned()), ..RegistryAuth::default() }
        }
    }))
}

#[cfg(test)]
mod tests {
    use base_http::Secret;
    use connect_registry::{Always, Nobody};

    use super::*;

    #[tokio::test]
    async fn the_engine_is_told_who_pulls() {
        let check = async |credentials: Credentials, image: &str, expect: RegistryAuth| {
            assert!(of(&Always(credentials), image).await.expect("usable") == Some(expect), "{image}");
        };
        let token = || Secret::new("t");
        let (registry, username, password) = (DOCKER_HUB_LOGIN.to_owned(), "ann".to_owned(), "p".to_owned());
        let expect = RegistryAuth { registry, username, password, ..RegistryAuth::default() };
        check(Credentials::password("ann", "p"), "shop/cart:1", expect).await;
        let registry = || "r.example.org:5000".to_owned();
        let expect = RegistryAuth { registry: registry(), identity_token: Some("t".into()), ..RegistryAuth::default() };
        check(Credentials::Identity { token: token() }, "r.example.org:5000/a", expect).await;
        let expect = RegistryAuth { registry: registry(), registry_token: Some("t".into()), ..RegistryAuth::default() };
        check(Credentials::Bearer { token: token() }, "r.example.org:5000/a", expect).await;
        assert!(of(&Nobody, "shop/cart:1").await.expect("nobody").is_none());
        assert!(of(&Always(Credentials::password("ann", "p")), "no//image").await.expect("no image").is_none());
    }
}
