//! `apm deploy promote`, and the words of the other commands about promotions: a version's way through environments as one thing. It keeps
//! nothing and decides nothing.

use app_deploy::{Asked, Probe, Project, PromoteAsk, Standing, decide};
use base_explain::Report;
use base_world::World;
use clap::Args as ClapArgs;
use operate_deploy::{Next, Stage};
use operate_execute::RunId;

use super::office::Office;
use super::{actor, project_in, start};
use crate::args::{Global, OrderArgs, Places, ServerArgs};
use crate::output::{Failure, paint, say};
use crate::run::find;

#[derive(Debug, ClapArgs)]
pub(crate) struct PromoteArgs {
    /// The service [default: the only one in apm.yaml]
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// The version [default: with --from the one that serves there, else the image's tag]
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<String>,
    /// The image, with its tag [default: the service's in apm.yaml]
    #[arg(long, value_name = "REFERENCE", conflicts_with = "from")]
    pub(crate) image: Option<String>,
    /// Begin with what serves in this environment already, and ask for a yes to the next one
    #[arg(long, value_name = "ENVIRONMENT")]
    pub(crate) from: Option<String>,
    /// Do not ask before the first environment
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Why, for the history
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

pub(crate) async fn promote(global: &Global, args: &PromoteArgs) -> Result<u8, Failure> {
    let ask = PromoteAsk {
        service: args.service.clone(),
        version: args.version.clone(),
        image: args.image.clone(),
        from: args.from.clone(),
        actor: actor(),
        reason: args.reason.clone(),
    };
    let office = Office::open(global, &args.places, &args.server).await?;
    let (standing, found) = match &office {
        Office::Here(desk, _) => {
            let world = World::real();
            let probe = Probe::new(&world, |name| std::env::var(name).ok()).map_err(Failure::Broken)?;
            let read = |environment: Option<&str>| settings(&world, global, environment);
            let decided = decide(desk, &probe, &read, &ask).await?;
            (decided.standing, decided.found)
        }
        Office::There(remote) => remote.promote(&ask, global.env.as_deref()).await?,
    };
    if let Some(found) = found {
        say(global, &format!("{} {found}", paint(global, "32", "✓")));
    }
    let (promotion, id) = (&standing.promotion, &standing.promotion.id);
    say(global, &format!("{} {}", paint(global, "1", &title(promotion)), paint(global, "2", &format!("({id})"))));
    say(global, &format!("{:<10} {}", "image", promotion.image));
    if standing.next != Next::Begin {
        return told(global, &standing);
    }
    begin(global, &office, &standing, &args.reason, args.yes).await
}

fn settings(world: &World, global: &Global, environment: Option<&str>) -> Result<Project, Report> {
    project_in(world, global, environment.or(global.env.as_deref()))
}

fn title(promotion: &operate_deploy::Promotion) -> String {
    format!("promote {} {} through {}", promotion.service, promotion.version, promotion.stages.join(", "))
}

/// Plans the stage that comes next and carries it out; whoever calls has said yes, or is asked.
async fn begin(
    global: &Global,
    office: &Office,
    standing: &Standing,
    reason: &str,
    is_yes: bool,
) -> Result<u8, Failure> {
    let id = &standing.promotion.id;
    let mut asked = Asked { actor: actor(), reason: reason.to_owned(), ..Asked::default() };
    let (stage, planned) = match office {
        Office::Here(desk, _) => {
            asked.otlp_endpoint = find(global).and_then(|engine| engine.otlp_http);
            let world = World::real();
            let read = |environment: Option<&str>| settings(&world, global, environment);
            desk.plan_next(&read, standing, &asked).await?
        }
        Office::There(remote) => (0, remote.plan_next(id, &asked).await?),
    };
    if !is_yes {
        say(global, operate_plan::report(&planned.plan, &planned.findings).trim_end());
        if !start::agreed("carry it out?")? {
            let hint = format!("`apm deploy approve {id}` begins it");
            return Err(Failure::Refused(Report::new("nobody agreed; nothing was begun").hint(hint)));
        }
    }
    let run = match office {
        Office::Here(desk, _) => desk.begin_stage(standing, stage, &planned, &actor(), "", reason).await?,
        // It plans anew when it begins: what it saw may have moved since.
        Office::There(remote) => remote.approve_next(id, &asked).await?,
    };
    start::begun(global, &planned, &run);
    let code = office.carry_out(global, &run).await?;
    next_of(global, office, id).await?;
    Ok(code)
}

/// What comes next, as it stands by now.
async fn next_of(global: &Global, office: &Office, id: &str) -> Result<(), Failure> {
    if let Some(standing) = office.promotion(Some(id)).await? {
        say(global, &next_line(&standing));
    }
    Ok(())
}

/// A yes: the next stage is planned and carried out.
pub(super) async fn approve(
    global: &Global,
    office: &Office,
    standing: &Standing,
    args: &OrderArgs,
) -> Result<u8, Failure> {
    begin(global, office, standing, &args.reason, true).await
}

pub(super) async fn reject(
    global: &Global,
    office: &Office,
    standing: &Standing,
    args: &OrderArgs,
) -> Result<u8, Failure> {
    let id = &standing.promotion.id;
    match office {
        Office::Here(desk, _) => desk.reject(&standing.promotion, &actor(), "", &args.reason).await?,
        Office::There(remote) => remote.reject_next(id, &actor(), &args.reason).await.map(drop)?,
    }
    next_of(global, office, id).await?;
    Ok(0)
}

/// Follows the stage that is under way; where none is, says what comes next.
pub(super) async fn watch(global: &Global, office: &Office, standing: &Standing) -> Result<u8, Failure> {
    let Next::UnderWay { stage } = &standing.next else { return told(global, standing) };
    let run: Option<&RunId> = standing.stages.get(*stage).and_then(|stage| stage.run.as_ref());
    let Some(run) = run else { return told(global, standing) };
    let code = office.carry_out(global, run).await?;
    next_of(global, office, &standing.promotion.id).await?;
    Ok(code)
}

/// All of it, a line a stage.
pub(super) fn told(global: &Global, standing: &Standing) -> Result<u8, Failure> {
    for line in table(standing) {
        say(global, &line);
    }
    Ok(u8::from(matches!(standing.next, Next::Stopped { .. } | Next::Rejected { .. })))
}

fn table(standing: &Standing) -> Vec<String> {
    let promotion = &standing.promotion;
    let mut lines = vec![format!("{}: {}", promotion.id, title(promotion))];
    lines.push(format!("  {:<10} {}", "image", promotion.image));
    let wide = promotion.stages.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for (at, stage) in standing.stages.iter().enumerate() {
        let (word, more) = said(standing, at);
        let run = stage.run.as_ref().map(|run| format!("  {run}")).unwrap_or_default();
        let by = match (stage.actor.as_str(), stage.reason.as_str()) {
            ("", _) => String::new(),
            (actor, "") => format!("  by {actor}"),
            (actor, reason) => format!("  by {actor}: {reason}"),
        };
        let line = format!("  {word:<10} {:<wide$}{run}{by}{more}", stage.environment);
        lines.push(line.trim_end().to_owned());
    }
    lines.push(next_line(standing));
    lines
}

/// How a stage stands in a word, and what more there is to say.
fn said(standing: &Standing, at: usize) -> (&'static str, String) {
    let asks =
        matches!(standing.next, Next::Approval { stage, .. } if stage == at) || at == 0 && standing.next == Next::Begin;
    match standing.stages.get(at).map(|now| &now.stage) {
        Some(Stage::Passed) => ("complete", String::new()),
        Some(Stage::Unproven(why)) => ("complete", format!("  ({why})")),
        Some(Stage::TakenBack) => ("taken back", String::new()),
        Some(Stage::Undone(why)) => ("undone", format!("  ({why})")),
        Some(Stage::Failed(why)) => ("failed", format!("  ({why})")),
        Some(Stage::UnderWay) => ("under way", String::new()),
        Some(Stage::Open) if asks => ("asks", String::new()),
        _ => ("waits", String::new()),
    }
}

/// What comes next, in one sentence with the command.
fn next_line(standing: &Standing) -> String {
    let id = &standing.promotion.id;
    let name = |stage: &usize| standing.promotion.stages.get(*stage).map_or("", String::as_str);
    match &standing.next {
        Next::Begin => format!("nothing was begun yet: apm deploy approve {id}"),
        Next::Approval { stage, doubt: None } => format!("{} waits for a yes: apm deploy approve {id}", name(stage)),
        Next::Approval { stage, doubt: Some(doubt) } => {
            format!("{} waits for a yes with a reason, for {doubt}: apm deploy approve {id} --reason …", name(stage))
        }
        Next::UnderWay { stage } => format!("{} is under way: apm deploy watch {id}", name(stage)),
        Next::Stopped { stage, why, again: true } => {
            format!("it stopped at {}: {why}; apm deploy approve {id} begins that stage anew", name(stage))
        }
        Next::Stopped { stage, why, .. } => format!("it stopped at {}: {why}", name(stage)),
        Next::Rejected { why } => format!("it goes no further: {why}"),
        Next::Complete => {
            format!("{} has reached {}", standing.promotion.version, name(&(standing.stages.len().saturating_sub(1))))
        }
    }
}

/// For a list: a word, and the way with how far it has come.
pub(super) fn row(standing: &Standing) -> (&'static str, String) {
    let word = match &standing.next {
        Next::Begin | Next::Approval { .. } => "waiting",
        Next::UnderWay { .. } => "running",
        Next::Stopped { .. } => "stopped",
        Next::Rejected { .. } => "rejected",
        Next::Complete => "complete",
    };
    let stage = |at: usize| {
        format!("{} {}", standing.promotion.stages.get(at).map_or("", String::as_str), said(standing, at).0)
    };
    let way: Vec<String> = (0..standing.stages.len()).map(stage).collect();
    let promotion = &standing.promotion;
    (word, format!("promote {} {}: {}", promotion.service, promotion.version, way.join(" → ")))
}

#[cfg(test)]
mod tests {
    use app_deploy::StageNow;
    use operate_deploy::{Promotion, next};

    use super::*;

    fn standing(stages: Vec<Stage>) -> Standing {
        let names = ["dev", "staging", "prod"];
        let promotion = Promotion {
            id: "promote-cart-2-ab12cd".into(),
            project: "shop".into(),
            service: "cart".into(),
            version: "2".into(),
            image: "shop/cart@sha256:5f2c".into(),
            stages: names.map(str::to_owned).into(),
            first_run: None,
            actor: "ann".into(),
            reason: String::new(),
            created_ms: 0,
        };
        let next = next(&stages, None);
        let now = |(stage, name): (Stage, &str)| {
            let is_open = stage == Stage::Open;
            StageNow {
                environment: name.to_owned(),
                run: (!is_open).then(|| RunId(format!("promote-cart-2-ab12cd-{name}"))),
                status: None,
                stage,
                actor: if is_open { String::new() } else { "ann".into() },
                reason: if is_open { String::new() } else { "new prices".into() },
                attempts: usize::from(!is_open),
            }
        };
        Standing { promotion, stages: stages.into_iter().zip(names).map(now).collect(), next }
    }

    #[test]
    fn a_promotion_is_one_thing_to_look_at() {
        let waits = standing(vec![Stage::Passed, Stage::Open, Stage::Open]);
        assert_eq!(
            table(&waits),
            [
                "promote-cart-2-ab12cd: promote cart 2 through dev, staging, prod",
                "  image      shop/cart@sha256:5f2c",
                "  complete   dev      promote-cart-2-ab12cd-dev  by ann: new prices",
                "  asks       staging",
                "  waits      prod",
                "staging waits for a yes: apm deploy approve promote-cart-2-ab12cd",
            ]
        );
        assert_eq!(row(&waits), ("waiting", "promote cart 2: dev complete → staging asks → prod waits".into()));
        let doubt = standing(vec![Stage::Unproven("too little traffic".into()), Stage::Open, Stage::Open]);
        assert_eq!(
            next_line(&doubt),
            "staging waits for a yes with a reason, for too little traffic: apm deploy approve promote-cart-2-ab12cd --reason …"
        );
        let undone = standing(vec![Stage::Passed, Stage::Undone("errors 8 %".into()), Stage::Open]);
        assert_eq!(row(&undone).0, "stopped");
        assert!(next_line(&undone).contains("begins that stage anew"));
        let done = standing(vec![Stage::Passed, Stage::Passed, Stage::Passed]);
        assert_eq!((row(&done).0, next_line(&done).as_str()), ("complete", "2 has reached prod"));
    }
}
