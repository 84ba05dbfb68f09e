//! Calls on containers. Each does one thing to one container, named by its name or id.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::call::{Call, SLOW, segment};
use crate::spec::{ContainerSpec, NetworkJoin, endpoint, special};
use crate::stats::ContainerStats;
use crate::view::{ContainerListed, ContainerView};
use crate::{DockerError, Engine, Object, Result};

/// Beyond the grace itself: the engine's own work of stopping.
const STOP_MARGIN: Duration = Duration::from_secs(30);

pub(crate) fn object(name: &str) -> Object {
    Object::new("container", name)
}

fn path(name: &str, rest: &str) -> String {
    format!("/containers/{}{rest}", segment(name, false))
}

/// `{"label": ["a=b"]}`, with an empty value for any.
pub(crate) fn label_filter(labels: &BTreeMap<String, String>) -> String {
    let words: Vec<String> = labels
        .iter()
        .map(|(key, value)| if value.is_empty() { key.clone() } else { format!("{key}={value}") })
        .collect();
    json!({"label": words}).to_string()
}

impl Engine {
    /// Containers in any state that have all these labels; an empty value means any value, an empty map all containers.
    pub async fn containers(&self, labels: &BTreeMap<String, String>) -> Result<Vec<ContainerListed>> {
        let call = Call::get("/containers/json".into(), "list the containers of", Object::new("engine", ""));
        let items: Vec<Value> = self.typed(call.query("all", "true").query("filters", label_filter(labels))).await?;
        Ok(items.iter().map(ContainerListed::from_item).collect())
    }

    /// Everything the engine knows about a container, as it says it.
    pub async fn inspect_container(&self, name: &str) -> Result<Value> {
        self.json(Call::get(path(name, "/json"), "inspect", object(name))).await
    }

    /// The usual part of it.
    pub async fn container(&self, name: &str) -> Result<ContainerView> {
        Ok(ContainerView::from_inspect(&self.inspect_container(name).await?))
    }

    /// The same, or `None` when there is no such container.
    pub async fn container_if_there(&self, name: &str) -> Result<Option<ContainerView>> {
        absent_is_none(self.container(name).await)
    }

    /// Makes it, joined to all its networks, not started; gives its id. If a network cannot be joined, the container is removed again.
    pub async fn create_container(&self, spec: &ContainerSpec) -> Result<String> {
        // The engine would only notice at the start.
        if let Some(first) = spec.networks.first().filter(|first| !special(&first.network)) {
            self.inspect_network(&first.network).await?;
        }
        let later: Vec<(String, Value)> =
            spec.networks.iter().skip(1).map(|join| (join.network.clone(), endpoint(join))).collect();
        self.create_container_from(&spec.name, spec.create_body(), &later).await
    }

    /// The same from a body in Docker's own words, such as [`crate::create_body_again`] gives.
    pub async fn create_container_from(&self, name: &str, body: Value, joins: &[(String, Value)]) -> Result<String> {
        let call = Call::post("/containers/create".into(), "create", object(name)).query("name", name).json(body);
        let made = self.json(call.within(SLOW)).await?;
        let id = made["Id"].as_str().unwrap_or_default().to_owned();
        for (network, endpoint) in joins {
            if let Err(error) = self.join(network, &id, endpoint.clone()).await {
                // Half a container would be in the way of the next attempt.
                let _ = self.remove_container_if_there(&id).await;
                return Err(error);
            }
        }
        Ok(id)
    }

    /// Joins an existing container to one more network.
    pub async fn connect_container(&self, name: &str, join: &NetworkJoin) -> Result<()> {
        if special(&join.network) {
            let said =
                crate::Said { status: None, message: format!("`{}` is a mode, not a network to join", join.network) };
            return Err(DockerError::Invalid { object: object(name), said });
        }
        self.join(&join.network, name, endpoint(join)).await
    }

    async fn join(&self, network: &str, container: &str, endpoint: Value) -> Result<()> {
        // To a container that does not run the engine promises any network, and fails at the start.
        self.inspect_network(network).await?;
        let to = format!("/networks/{}/connect", segment(network, false));
        let body = json!({"Container": container, "EndpointConfig": endpoint});
        self.done(Call::post(to, "join", Object::new("network", network)).json(body)).await.map(drop)
    }

    /// Takes a container out of a network; false when it was not in it.
    pub async fn disconnect_container(&self, name: &str, network: &str) -> Result<bool> {
        let from = format!("/networks/{}/disconnect", segment(network, false));
        let body = json!({"Container": name, "Force": true});
        match self.done(Call::post(from, "leave", Object::new("network", network)).json(body)).await {
            Ok(_) => Ok(true),
            Err(error) if error.said().is_some_and(|said| said.message.contains("is not connected")) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// False when it was running already.
    pub async fn start_container(&self, name: &str) -> Result<bool> {
        self.done(Call::post(path(name, "/start"), "start", object(name)).within(SLOW)).await
    }

    /// Its stop signal, then SIGKILL after the grace; back when it has ended. False when it was not running.
    pub async fn stop_container(&self, name: &str, grace: Duration) -> Result<bool> {
        // Docker counts whole seconds; less than one would be none at all.
        let seconds = grace.as_secs() + u64::from(grace.subsec_nanos() > 0);
        let call = Call::post(path(name, "/stop"), "stop", object(name)).query("t", seconds.to_string());
        self.done(call.within(grace + STOP_MARGIN)).await
    }

    /// A signal by its name, `SIGKILL` or `SIGHUP`. A container that does not run is a `Conflict`.
    pub async fn kill_container(&self, name: &str, signal: &str) -> Result<()> {
        self.done(Call::post(path(name, "/kill"), "kill", object(name)).query("signal", signal)).await.map(drop)
    }

    /// Removes it with its anonymous volumes, killed first if it runs.
    pub async fn remove_container(&self, name: &str) -> Result<()> {
        let call = Call::delete(path(name, ""), "remove", object(name)).query("force", "true").query("v", "true");
        self.done(call.within(SLOW)).await.map(drop)
    }

    /// The same; false when there was none. A removal that is under way already is waited for.
    pub async fn remove_container_if_there(&self, name: &str) -> Result<bool> {
        match self.remove_container(name).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(DockerError::Conflict { said, .. }) if said.message.contains("already in progress") => {
                self.wait_removed(name).await?;
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    async fn wait_removed(&self, name: &str) -> Result<()> {
        let call =
            Call::post(path(name, "/wait"), "wait for the removal of", object(name)).query("condition", "removed");
        match self.json(call.within(SLOW)).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// Gives it another name; a name that is taken is a `Conflict` with its holder.
    pub async fn rename_container(&self, name: &str, new_name: &str) -> Result<()> {
        let call = Call::post(path(name, "/rename"), "rename", object(name)).query("name", new_name);
        self.done(call).await.map(drop)
    }

    /// Waits until it does not run, at most so long; gives its exit code. One that ended before answers at once.
    pub async fn wait_container(&self, name: &str, at_most: Duration) -> Result<i64> {
        let call = Call::post(path(name, "/wait"), "wait for", object(name)).query("condition", "not-running");
        let answer = self.json(call.within(at_most)).await?;
        answer["StatusCode"].as_i64().ok_or_else(|| DockerError::Garbled {
            doing: format!("wait for {}", object(name)),
            reason: "no StatusCode in the answer".into(),
        })
    }

    /// Its counters, now. One that does not run has none: all zero but for what `inspect` says.
    pub async fn container_stats(&self, name: &str) -> Result<ContainerStats> {
        let restarts = self.container(name).await?.restarts;
        self.container_stats_with(name, restarts).await
    }

    /// The same for a caller who has inspected it already: one call instead of two.
    pub async fn container_stats_with(&self, name: &str, restarts: u64) -> Result<ContainerStats> {
        let call = Call::get(path(name, "/stats"), "stats of", object(name));
        // One-shot: the engine takes one sample instead of two a second apart.
        let stats = self.json(call.query("stream", "false").query("one-shot", "true")).await?;
        Ok(ContainerStats::from_answer(&stats, restarts))
    }
}

/// A missing object as an answer.
pub(crate) fn absent_is_none<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
