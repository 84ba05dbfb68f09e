//! Two connections joined after both sides agreed to leave HTTP (WebSocket and its like), and raw TCP. Bytes only.

use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::body::Finish;
use crate::stream::Client;
use crate::upstream::Held;

/// Holds the client's place and the upstream until the tunnel ends.
pub(crate) async fn run(_client: Arc<Client>, finish: Finish, client_side: OnUpgrade, upstream_side: OnUpgrade) {
    let complete = match tokio::try_join!(client_side, upstream_side) {
        Ok((from, to)) => join(&finish.held, TokioIo::new(from), TokioIo::new(to)).await,
        Err(error) => {
            tracing::debug!(%error, "a connection was not upgraded");
            false
        }
    };
    finish.done(complete);
}

/// Copies both ways until both have ended, with half-closes passed on; false when it was cut or broke.
pub(crate) async fn join(
    held: &Held,
    mut from: impl AsyncRead + AsyncWrite + Unpin,
    mut to: impl AsyncRead + AsyncWrite + Unpin,
) -> bool {
    let mut cut = held.target.watch_cut();
    tokio::select! {
        ended = tokio::io::copy_bidirectional(&mut from, &mut to) => ended.is_ok(),
        _ = cut.wait_for(|cut| *cut) => false,
    }
}
