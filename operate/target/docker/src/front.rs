//! A front as an object of plans: what is in force is looked at, exchanged in one step, and put back; a front that does not run is started
//! by whoever knows the program. It does not know what stands behind the upstreams, nor how a front passes requests.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use connect_docker::Place;
use connect_front::{Front, FrontError, Upstream};
use operate_execute::{Done, Image, Met};
use operate_plan::{Act, Class, Condition, Failure, ObjectId, Seen};
use serde_json::{Value, json};

use crate::DockerTarget;
use crate::failure::foreign;

/// Starts fronts. Asked of whoever knows the program and how a process outlives its maker.
#[async_trait]
pub trait StartFront: Send + Sync {
    /// Returns when a front listens there and answers on its control socket, or with why it does not. It must not end with the caller.
    async fn start(&self, listen: &str, control: &Path) -> Result<(), Failure>;
}

/// An upstream counts as healthy until its first check is over: so long is waited before it is believed.
const SETTLE: Duration = Duration::from_millis(1_200);
/// On the way back, requests that have begun are waited for so long before their container may be stopped.
const LEAVE_MAX: Duration = Duration::from_secs(5);
/// Between two looks whether a front has ended.
const LOOK: Duration = Duration::from_millis(50);

fn of(object: &ObjectId) -> Result<Front, Failure> {
    Front::new(&object.name).map_err(|error| failure(&error))
}

pub(crate) fn failure(error: &FrontError) -> Failure {
    let (class, code) = match error {
        FrontError::PathTooLong { .. } => (Class::Invalid, "front.path"),
        FrontError::NotRunning { .. } => (Class::Transient, "front.unreachable"),
        FrontError::Denied { .. } => (Class::Permission, "front.denied"),
        FrontError::Timeout { .. } => (Class::Transient, "front.timeout"),
        FrontError::Broken { .. } => (Class::Transient, "front.broken"),
        FrontError::TooLarge { .. } | FrontError::Garbled { .. } => (Class::Unknown, "front.garbled"),
        // The next try reads again, and sees whether it may still be changed.
        FrontError::Stale { .. } => (Class::Transient, "front.stale"),
        FrontError::Refused { .. } => (Class::Invalid, "front.refused"),
        // Tried again, above all on the way back: a new color is not stopped while the front still sends to it.
        FrontError::Disk { .. } => (Class::Transient, "front.disk-full"),
    };
    Failure::new(class, code, error.to_string(), error.hint())
}

/// What a planner sees.
pub(crate) async fn survey(target: &DockerTarget, object: &ObjectId) -> Seen {
    match object.kind.as_str() {
        "port" => port(&object.name).await,
        _ => front(target, object).await.unwrap_or_else(Seen::Unknown),
    }
}

async fn front(target: &DockerTarget, object: &ObjectId) -> Result<Seen, Failure> {
    if !is_here(&target.engine.found().place) {
        let message =
            format!("a front sends to ports of this machine, and the engine is at {}", target.engine.found().place);
        let next = "deploy from the engine's own machine, or use `--strategy rolling` or `recreate`";
        return Err(Failure::new(Class::Invalid, "front.remote", message, next));
    }
    match of(object)?.state().await {
        Ok(state) => {
            let set = state.set();
            Ok(Seen::Present(json!({"listen": state.listen, "generation": state.generation, "upstreams": set})))
        }
        Err(error) if error.is_not_running() => Ok(Seen::Absent),
        Err(error) => Err(failure(&error)),
    }
}

fn is_here(place: &Place) -> bool {
    match place {
        Place::Unix(_) | Place::NamedPipe(_) => true,
        Place::Tcp { host, .. } => {
            host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        }
    }
}

/// Whether somebody listens on an address of this machine, found by listening there for a moment.
async fn port(address: &str) -> Seen {
    let error = match tokio::net::TcpListener::bind(address).await {
        Ok(_) => return Seen::Absent,
        Err(error) => error,
    };
    let class = match error.kind() {
        ErrorKind::AddrInUse => return Seen::Present(json!({"taken": true})),
        ErrorKind::PermissionDenied => Class::Permission,
        _ => Class::Invalid,
    };
    let next = "name an address of this machine and a port that you may use";
    let message = format!("nobody can listen on {address} here");
    Seen::Unknown(Failure::new(class, "front.address", message, next).caused_by(&error))
}

/// What a restore needs. Generation, health and what is in flight change by themselves.
pub(crate) async fn image(object: &ObjectId) -> Result<Image, Failure> {
    match of(object)?.state().await {
        Ok(state) => Ok(Image::Present(json!({"listen": state.listen, "upstreams": state.set()}))),
        Err(error) if error.is_not_running() => Ok(Image::Absent),
        Err(error) => Err(failure(&error)),
    }
}

pub(crate) async fn check(condition: &Condition) -> Result<Met, Failure> {
    let (object, with) = (&condition.object, &condition.with);
    let front = of(object)?;
    let state = match front.state().await {
        Ok(state) => state,
        Err(error) if error.is_not_running() => {
            return Ok(match condition.verb.as_str() {
                "absent" => Met::Yes,
                _ => Met::No("no front answers".to_owned()),
            });
        }
        Err(error) => return Err(failure(&error)),
    };
    let met = |holds: bool, otherwise: String| if holds { Met::Yes } else { Met::No(otherwise) };
    let name = with["upstream"].as_str().unwrap_or_default();
    match condition.verb.as_str() {
        "absent" => Ok(Met::No(format!("one does, with pid {}", state.pid))),
        "sends" => {
            let set = state.set();
            Ok(met(set == upstreams(object, &with["to"])?, format!("it sends to {}", told(&set))))
        }
        "idle" => {
            let left = state.in_flight(name);
            Ok(met(left == 0, format!("{name} still holds {left} requests")))
        }
        "well" => {
            tokio::time::sleep(SETTLE).await;
            let state = front.state().await.map_err(|error| failure(&error))?;
            let found = state.upstreams.iter().find(|one| one.upstream.name == name && !one.leaving);
            let reason = found.and_then(|one| one.reason.as_deref()).unwrap_or("it is not there");
            Ok(met(found.is_some_and(|one| one.healthy), format!("{name} is ill: {reason}")))
        }
        verb => Err(foreign(verb, object)),
    }
}

fn told(set: &[Upstream]) -> String {
    let each: Vec<_> = set.iter().map(|one| format!("{}={}*{}", one.name, one.address, one.weight)).collect();
    if each.is_empty() { "nobody".to_owned() } else { each.join(" ") }
}

fn upstreams(object: &ObjectId, value: &Value) -> Result<Vec<Upstream>, Failure> {
    serde_json::from_value(value.clone())
        .map_err(|error| foreign("send to what cannot be read", object).caused_by(&error))
}

pub(crate) async fn act(target: &DockerTarget, act: &Act) -> Result<Done, Failure> {
    let (object, with) = (&act.object, &act.with);
    let front = of(object)?;
    let note = match act.verb.as_str() {
        "start" => {
            let listen = with["listen"].as_str().ok_or_else(|| foreign("start on no address", object))?;
            let to = upstreams(object, &with["to"])?;
            run(target, &front, listen).await?;
            exchange(&front, &to).await?
        }
        "set" => {
            let (from, to) = (upstreams(object, &with["from"])?, upstreams(object, &with["to"])?);
            let now = front.state().await.map_err(|error| failure(&error))?.set();
            // Either the set that this step found, or its own from an attempt that was cut off.
            if now != from && now != to {
                return Err(changed(object, &now));
            }
            exchange(&front, &to).await?
        }
        "drain" => {
            let name = with["upstream"].as_str().ok_or_else(|| foreign("drain nobody", object))?;
            let time = Duration::from_millis(with["timeout_ms"].as_u64().unwrap_or(1_000));
            let drained = front.drain(name, time).await.map_err(|error| failure(&error))?;
            format!("{} requests in flight", drained.in_flight)
        }
        verb => return Err(foreign(verb, object)),
    };
    Ok(Done { touched: act.touches.clone(), note })
}

fn changed(object: &ObjectId, now: &[Upstream]) -> Failure {
    let message = format!("somebody else has switched {object}: it sends to {}", told(now));
    Failure::new(Class::Conflict, "front.changed", message, "find out who (`apm front status`), then plan again")
}

/// Sees to it that one runs.
async fn run(target: &DockerTarget, front: &Front, listen: &str) -> Result<(), Failure> {
    match front.state().await {
        Ok(state) if state.listen == listen => return Ok(()),
        Ok(state) => {
            let message =
                format!("the front of {} listens on {}, not on {listen}", front.path().display(), state.listen);
            return Err(Failure::new(
                Class::Conflict,
                "front.changed",
                message,
                "end it with `apm front stop`, then plan again",
            ));
        }
        Err(error) if error.is_not_running() => {}
        Err(error) => return Err(failure(&error)),
    }
    let Some(fronts) = &target.fronts else {
        let next = format!("start it: apm front run --listen {listen} --control {}", front.path().display());
        return Err(Failure::new(Class::Invalid, "front.program", "nobody here can start a front", next));
    };
    fronts.start(listen, front.path()).await
}

/// Puts a set in force, in one step. One that is in force already is left alone.
async fn exchange(front: &Front, to: &[Upstream]) -> Result<String, Failure> {
    let state = front.state().await.map_err(|error| failure(&error))?;
    if state.set() == to {
        return Ok(String::new());
    }
    let state = front.set(state.generation, to).await.map_err(|error| failure(&error))?;
    Ok(format!("generation {}", state.generation))
}

pub(crate) async fn restore(target: &DockerTarget, object: &ObjectId, before: &Image) -> Result<(), Failure> {
    let front = of(object)?;
    let Image::Present(was) = before else { return end(&front).await };
    let to = upstreams(object, &was["upstreams"])?;
    run(target, &front, was["listen"].as_str().unwrap_or_default()).await?;
    exchange(&front, &to).await?;
    // Nobody is sent to those that left; what they hold may end before their container is stopped.
    let leaving = front.state().await.map_err(|error| failure(&error))?.upstreams;
    for one in leaving.iter().filter(|one| one.leaving) {
        let _ = front.drain(&one.upstream.name, LEAVE_MAX).await;
    }
    Ok(())
}

/// Ends a front that was not there; the step's time limit ends the wait.
async fn end(front: &Front) -> Result<(), Failure> {
    match front.stop().await {
        // It may hang up while it ends.
        Ok(_) | Err(FrontError::Broken { .. }) => {}
        Err(error) if error.is_not_running() => return Ok(()),
        Err(error) => return Err(failure(&error)),
    }
    loop {
        match front.state().await {
            Err(error) if error.is_not_running() => return Ok(()),
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}
