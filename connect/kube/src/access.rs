//! Who we are to the API server: tokens given, read from a file again and again, or issued by a program; certificates likewise. It knows no call.

use std::sync::Arc;

use base_world::World;
use base64::Engine as _;
use http::HeaderValue;
use parking_lot::Mutex;

use crate::exec::ClusterInfo;
use crate::find::Found;
use crate::kubeconfig::Login;
use crate::tls::{self, Authority};
use crate::transport::Transport;
use crate::{KubeError, Result, Secret};

/// As client-go: a token file is read again after a minute.
const FILE_AGE_MAX_NS: i64 = 60_000_000_000;
/// A login that ends so soon is not used any more.
const EXPIRY_MARGIN_NS: i64 = 5_000_000_000;
const TOKEN_BYTES_MAX: u64 = 1 << 20;

/// What a request is sent with.
#[derive(Clone)]
pub(crate) struct Presented {
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) transport: Transport,
    /// Counts up with every new login.
    generation: u64,
}

struct Held {
    presented: Presented,
    /// After this moment of our clock another is fetched.
    good_until_ns: i64,
    /// Certificate and key the transport was made with.
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

pub(crate) struct Access {
    found: Arc<Found>,
    world: World,
    held: Mutex<Option<Held>>,
    /// One at a time: a login program may open a browser.
    fetching: tokio::sync::Mutex<()>,
}

/// Fetched, not yet taken into use.
struct Fetched {
    authorization: Option<HeaderValue>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
    good_until_ns: i64,
}

impl Access {
    pub(crate) fn new(found: Arc<Found>, world: World) -> Self {
        Self { found, world, held: Mutex::new(None), fetching: tokio::sync::Mutex::new(()) }
    }

    pub(crate) async fn present(&self) -> Result<Presented> {
        if let Some(presented) = self.good() {
            return Ok(presented);
        }
        let _one = self.fetching.lock().await;
        if let Some(presented) = self.good() {
            return Ok(presented);
        }
        self.take(self.fetch().await?)
    }

    /// After a 401: true when there is another login to try, which the next `present` gives.
    pub(crate) async fn renew(&self, refused: &Presented) -> Result<bool> {
        let _one = self.fetching.lock().await;
        let newer = |held: &Held| held.presented.generation > refused.generation;
        if self.held.lock().as_ref().is_some_and(newer) {
            return Ok(true);
        }
        let files =
            self.found.tls.identity.as_ref().is_some_and(|(certificate, key)| certificate.is_file() || key.is_file());
        if !files && matches!(self.found.login, Login::None | Login::Token(_) | Login::Basic(..)) {
            return Ok(false);
        }
        let fetched = self.fetch().await?;
        let same = self.held.lock().as_ref().is_some_and(|held| {
            held.presented.authorization == fetched.authorization && held.identity == fetched.identity
        });
        if same {
            return Ok(false);
        }
        self.take(fetched).map(|_| true)
    }

    fn good(&self) -> Option<Presented> {
        let now_ns = self.world.clock.now_ns();
        self.held.lock().as_ref().filter(|held| now_ns < held.good_until_ns).map(|held| held.presented.clone())
    }

    fn bad(&self, problem: String) -> KubeError {
        let install_hint = if let Login::Exec(plugin) = &self.found.login { plugin.install_hint.clone() } else { None };
        KubeError::Login {
            server: self.found.server.clone(),
            found_by: self.found.found_by.clone(),
            problem,
            install_hint,
        }
    }

    async fn fetch(&self) -> Result<Fetched> {
        let bad = |problem: String| self.bad(problem);
        let disk = &*self.world.disk;
        let mut good_until_ns = i64::MAX;
        let mut identity = match &self.found.tls.identity {
            Some((certificate, key)) => Some((certificate.read(disk).map_err(bad)?, key.read(disk).map_err(bad)?)),
            None => None,
        };
        let authorization = match &self.found.login {
            Login::None => None,
            // Over http anyone would read it: kubectl sends none there either.
            _ if self.found.server.starts_with("http:") => None,
            Login::Token(token) => Some(bearer(token)),
            Login::Basic(username, password) => {
                let pair =
                    base64::engine::general_purpose::STANDARD.encode(format!("{username}:{}", password.expose()));
                Some(HeaderValue::try_from(format!("Basic {pair}")).map_err(|_| ()))
            }
            Login::TokenFile(path) => {
                let bytes = disk.read(path, TOKEN_BYTES_MAX).map_err(|error| bad(error.to_string()))?;
                let token = String::from_utf8_lossy(&bytes).trim().to_owned();
                if token.is_empty() {
                    return Err(bad(format!("{} is empty", path.display())));
                }
                good_until_ns = self.world.clock.now_ns().saturating_add(FILE_AGE_MAX_NS);
                Some(bearer(&Secret::new(token)))
            }
            Login::Exec(plugin) => {
                let tls = &self.found.tls;
                let authority = tls.authority.as_ref().map(|pem| pem.read(disk)).transpose().map_err(bad)?;
                let cluster = ClusterInfo {
                    server: &self.found.server,
                    server_name: tls.server_name.as_deref(),
                    insecure: tls.insecure,
                    authority: authority.as_deref(),
                };
                let issued = plugin.issue(&cluster).await.map_err(bad)?;
                good_until_ns = issued.expires_at_ns.map_or(i64::MAX, |end| end.saturating_sub(EXPIRY_MARGIN_NS));
                identity = issued.identity.or(identity);
                issued.token.as_ref().map(bearer)
            }
        };
        let authorization =
            authorization.transpose().map_err(|()| bad("the token has letters that no header may have".into()))?;
        Ok(Fetched { authorization, identity, good_until_ns })
    }

    /// Takes it into use; new connections only when the certificate is another one.
    fn take(&self, fetched: Fetched) -> Result<Presented> {
        let Fetched { authorization, identity, good_until_ns } = fetched;
        let mut held = self.held.lock();
        let kept = held.as_ref().filter(|held| held.identity == identity).map(|held| held.presented.transport.clone());
        let transport = match kept {
            Some(transport) => transport,
            None => self.connect(identity.as_ref())?,
        };
        let generation = held.as_ref().map_or(0, |held| held.presented.generation + 1);
        let presented = Presented { authorization, transport, generation };
        *held = Some(Held { presented: presented.clone(), good_until_ns, identity });
        Ok(presented)
    }

    fn connect(&self, identity: Option<&(Vec<u8>, Vec<u8>)>) -> Result<Transport> {
        let bad = |problem: String| KubeError::Config { place: Some(self.found.found_by.clone()), problem };
        let pem = self.found.tls.authority.as_ref().map(|pem| pem.read(&*self.world.disk)).transpose().map_err(bad)?;
        let authority = match &pem {
            _ if self.found.tls.insecure => Authority::Nobody,
            Some(pem) => Authority::Pem(pem),
            None => Authority::Machine,
        };
        let identity = identity.map(|(certificate, key)| (certificate.as_slice(), key.as_slice()));
        Transport::new(&self.found, tls::config(authority, identity).map_err(bad)?).map_err(bad)
    }
}

fn bearer(token: &Secret) -> std::result::Result<HeaderValue, ()> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(|_| ())?;
    value.set_sensitive(true);
    Ok(value)
}
