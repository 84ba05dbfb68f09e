//! Raw TCP: a connection is given to an upstream as a whole. Knows nothing of what is said on it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::net::TcpStream;

use crate::proxy::Context;
use crate::stream::Client;
use crate::tunnel;
use crate::upstream::Target;

pub(crate) async fn handle(context: Arc<Context>, client: Arc<Client>, stream: TcpStream) {
    client.is_tunnel();
    let started_ns = context.world.clock.monotonic_ns();
    let mut tried: Vec<Arc<Target>> = Vec::new();
    while let Some(held) = context.fleet.pick(&tried) {
        match held.target.connect(context.limits.connect_timeout).await {
            Ok(upstream) => {
                if !tunnel::join(&held, stream, upstream).await {
                    held.target.counters.cut.fetch_add(1, Relaxed);
                }
                return;
            }
            Err(_) => {
                held.target.counters.retries.fetch_add(1, Relaxed);
                tried.push(held.target.clone());
            }
        }
    }
    // There is no way to say why; the connection is closed.
    let took_ns = context.world.clock.monotonic_ns().saturating_sub(started_ns);
    context.metrics.own.ended(503, took_ns);
}
