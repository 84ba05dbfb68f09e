//! A server that is named by address, with the login beside it, as programs that have no kubeconfig want it. It reads no file: that is done at each
//! login, since whoever writes them exchanges them.

use std::path::PathBuf;

use crate::find::{Found, Surroundings, Tls, checked, proxies};
use crate::kubeconfig::{Bytes, Login};
use crate::{KubeError, Result, Secret};

/// How to log in at a server; the first of token, file and password that is there counts. No `Debug`: it holds secrets.
#[derive(Clone, Default)]
pub struct ServerLogin {
    pub token: Option<Secret>,
    /// Read again and again.
    pub token_file: Option<PathBuf>,
    /// Name and password.
    pub basic: Option<(String, Secret)>,
    /// The authority that signed the server's certificate; `None`: those that this machine trusts.
    pub authority_file: Option<PathBuf>,
    /// A client's certificate and its key.
    pub identity_files: Option<(PathBuf, PathBuf)>,
    pub server_name: Option<String>,
    /// The server's certificate is not looked at.
    pub insecure: bool,
}

impl Found {
    /// The server at this address; `named_by` says who named it, in words for a person.
    pub fn by_hand(server: &str, named_by: &str, login: ServerLogin, surroundings: &Surroundings) -> Result<Self> {
        let bad = |problem| KubeError::Config { place: Some(named_by.to_owned()), problem };
        let server = checked(server).map_err(bad)?;
        let tls = Tls {
            authority: login.authority_file.map(Bytes::File),
            identity: login.identity_files.map(|(certificate, key)| (Bytes::File(certificate), Bytes::File(key))),
            server_name: login.server_name,
            insecure: login.insecure,
        };
        let basic = login.basic.map(|(name, password)| Login::Basic(name, password));
        let file = login.token_file.map(Login::TokenFile);
        let login = login.token.map(Login::Token).or(file).or(basic).unwrap_or(Login::None);
        let surrounding_proxies = proxies(surroundings);
        Ok(Self { tls, login, surrounding_proxies, ..Self::at(&server, named_by) })
    }
}
