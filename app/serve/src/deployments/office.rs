//! What an engine does for those who ask it in the place of doing it there, in the API's words. It judges nothing and reads no engine of containers
//! itself.

use app_api::{Following, JudgeWanted, Kept, OutputWanted, Promoted, Refused, Wanted, Yes};
use app_deploy::{Asked, Decided, JudgeAsk, Keeper, Lines, PromoteAsk};
use futures_util::{StreamExt as _, stream};
use operate_execute::RunId;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Deploying, asked, refused};

/// Plain data, in which nothing can go wrong.
pub(super) fn plain(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn lines(wanted: OutputWanted) -> Lines {
    Lines { since_ms: wanted.since_ms, tail: wanted.tail, follow: false }
}

/// A yes in the desk's words.
pub(super) fn said(yes: &Yes) -> Asked {
    Asked { actor: yes.actor.clone(), reason: yes.reason.clone(), ..Asked::default() }
}

pub(super) async fn judged(
    keeper: &Keeper,
    wanted: JudgeWanted,
    service: Option<String>,
    environment: Option<String>,
) -> Result<Value, Refused> {
    let run = match wanted {
        JudgeWanted::Replay { since_ms } => {
            let replayed = keeper.replay(service.as_deref(), environment.as_deref(), since_ms).await;
            let (service, replay) = replayed.map_err(refused)?;
            let mut answer = plain(&replay);
            answer["service"] = json!(service);
            return Ok(answer);
        }
        JudgeWanted::Run(run) => Some(run.0),
        JudgeWanted::Now => None,
    };
    let ask = JudgeAsk { run, service };
    Ok(plain(&keeper.judge(&ask, environment.as_deref()).await.map_err(refused)?))
}

pub(super) async fn differences(keeper: &Keeper, wanted: Wanted) -> Result<Value, Refused> {
    let found = keeper.differences(&asked(&wanted), wanted.environment.as_deref()).await;
    let (service, version, differences) = found.map_err(refused)?;
    Ok(json!({"service": service, "version": version, "differences": differences}))
}

pub(super) async fn output(desk: &Deploying, run: RunId, wanted: OutputWanted) -> Result<Value, Refused> {
    // An unknown run is an answer of its own, and makes no history.
    desk.desk_of(&run).await?;
    Ok(plain(&desk.0.output(&run, lines(wanted)).await.map_err(refused)?))
}

pub(super) async fn follow_output(desk: &Deploying, run: RunId, wanted: OutputWanted) -> Result<Following, Refused> {
    desk.desk_of(&run).await?;
    let heard = desk.0.follow_output(&run, lines(wanted)).await.map_err(refused)?;
    Ok(stream::unfold(heard, |mut heard| async move { Some((plain(&heard.recv().await?), heard)) }).boxed())
}

pub(super) async fn artefacts(desk: &Deploying, run: RunId) -> Result<Value, Refused> {
    let desk = desk.desk_of(&run).await?;
    desk.plan_of(&run).await.map_err(refused)?;
    Ok(plain(&desk.artefacts(&run).await.map_err(refused)?))
}

pub(super) async fn artefact(desk: &Deploying, run: RunId, name: String) -> Result<Kept, Refused> {
    let desk = desk.desk_of(&run).await?;
    desk.plan_of(&run).await.map_err(refused)?;
    let all = desk.artefacts(&run).await.map_err(refused)?;
    let newest = all.iter().rev().find(|one| one.name == name);
    let media_type = newest.map(|one| one.media_type.clone()).unwrap_or_default();
    Ok(Kept { media_type, bytes: desk.artefact(&run, &name).await.map_err(refused)? })
}

pub(super) async fn promote(keeper: &Keeper, wanted: Promoted) -> Result<Value, Refused> {
    let Promoted { service, version, image, from, environment, actor, reason } = wanted;
    let ask = PromoteAsk { service, version, image, from, actor, reason };
    let Decided { standing, found } = keeper.promote(&ask, environment.as_deref()).await.map_err(refused)?;
    Ok(json!({"promotion": standing, "found": found}))
}
