//! The HTTP call of a scrape, by the one outgoing client.

use std::path::Path;
use std::time::Duration;

use base_http::{Client, HttpConfig, HttpError, Limits, TlsFiles};
use base_world::World;
use bytes::Bytes;
use observe_ingest::scrape::{Fetch, FetchRequest, Fetched};

/// What a text may take where `body_size_limit` says nothing: a target whose body has no end must not take the memory of all.
const BODY_BYTES_USUAL: usize = 64 << 20;
/// More than this is not taken, whatever it says.
const BODY_BYTES_MAX: usize = 256 << 20;

/// Of targets that a web service tells.
const JSON_BYTES_MAX: usize = 16 << 20;
const JSON_TIMEOUT: Duration = Duration::from_secs(30);

/// Of a token, a certificate or a key.
const FILE_BYTES_MAX: u64 = 1 << 20;

pub(crate) struct HttpFetch {
    client: Client,
    config: HttpConfig,
    files: TlsFiles,
    world: World,
}

impl HttpFetch {
    /// Paths of the configuration are relative to `folder`. Certificates are read now, tokens for each request: they are exchanged while we run.
    pub(crate) fn new(mut config: HttpConfig, folder: &Path) -> Result<Self, HttpError> {
        let world = World::real();
        let tls = &mut config.tls_config;
        let mut paths = vec![&mut tls.ca_file, &mut tls.cert_file, &mut tls.key_file];
        paths.extend(config.authorization.as_mut().map(|given| &mut given.credentials_file));
        for path in paths.into_iter().filter(|path| !path.is_empty()) {
            *path = folder.join(&*path).to_string_lossy().into_owned();
        }
        let tls = &config.tls_config;
        let read = |key: &'static str, path: &str| -> Result<Option<Vec<u8>>, HttpError> {
            let bytes = Some(path).filter(|path| !path.is_empty());
            let bytes = bytes.map(|path| world.disk.read(Path::new(path), FILE_BYTES_MAX)).transpose();
            bytes.map_err(|error| HttpError::TlsFile { key, reason: error.to_string() })
        };
        let certificate = read("cert_file", &tls.cert_file)?.zip(read("key_file", &tls.key_file)?);
        let identity = certificate.map(|(certificate, key)| [certificate, b"\n".to_vec(), key].concat());
        let files = TlsFiles { authority: read("ca_file", &tls.ca_file)?, identity };
        Ok(HttpFetch { client: Client::with_files(config.clone(), &files)?, config, files, world })
    }

    /// Whether both ask in the same way.
    pub(crate) fn is_alike(&self, other: &HttpFetch) -> bool {
        (&self.config, &self.files) == (&other.config, &other.files)
    }

    /// Posts JSON; hands back the status and the beginning of what was said.
    pub(crate) async fn post(&self, url: &str, body: Bytes, timeout: Duration) -> Result<(u16, String), String> {
        let limits = Limits { timeout, body_bytes: 1 << 20 };
        let authorization = self.authorization()?;
        let headers: Vec<_> = authorization.as_deref().map(|value| ("authorization", value)).into_iter().collect();
        let answer = self.client.post_with(url, &headers, "application/json", body, limits).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&answer.body).chars().take(200).collect();
        Ok((answer.status, said))
    }

    /// A document of JSON that must be there.
    pub(crate) async fn json(&self, url: &str, headers: &[(&str, &str)]) -> Result<Bytes, String> {
        let authorization = self.authorization()?;
        let mut headers = headers.to_vec();
        headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
        let limits = Limits { timeout: JSON_TIMEOUT, body_bytes: JSON_BYTES_MAX };
        let answer = self.client.get(url, &headers, limits).await.map_err(|error| error.to_string())?;
        if answer.status != 200 {
            return Err(format!("server returned HTTP status {}", answer.status));
        }
        let kind = answer.content_type.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(format!("unsupported content type \"{}\"", answer.content_type));
        }
        Ok(answer.body)
    }

    /// The header that a file of credentials is for.
    fn authorization(&self) -> Result<Option<String>, String> {
        let given = self.config.authorization.as_ref().filter(|given| !given.credentials_file.is_empty());
        let Some(given) = given else { return Ok(None) };
        let bytes = self.world.disk.read(Path::new(&given.credentials_file), FILE_BYTES_MAX);
        let bytes = bytes.map_err(|error| format!("credentials_file: {error}"))?;
        Ok(Some(format!("{} {}", given.kind, String::from_utf8_lossy(&bytes).trim())))
    }
}

impl Fetch for HttpFetch {
    async fn fetch(&self, request: &FetchRequest) -> Result<Fetched, String> {
        let timeout_ms = u64::try_from(request.timeout_ms).unwrap_or(1);
        let limit = usize::try_from(request.body_max_bytes).ok().filter(|bytes| *bytes > 0);
        let limits = Limits {
            timeout: Duration::from_millis(timeout_ms),
            body_bytes: limit.unwrap_or(BODY_BYTES_USUAL).min(BODY_BYTES_MAX),
        };
        let seconds = (request.timeout_ms as f64 / 1000.0).to_string();
        let mut headers = vec![("accept", request.accept), ("x-prometheus-scrape-timeout-seconds", seconds.as_str())];
        let authorization = self.authorization()?;
        headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
        let answer = self.client.get(&request.url, &headers, limits).await.map_err(|error| error.to_string())?;
        match answer.status {
            200 => Ok(Fetched { content_type: answer.content_type, body: answer.body.into() }),
            status => Err(format!("server returned HTTP status {status}")),
        }
    }
}
