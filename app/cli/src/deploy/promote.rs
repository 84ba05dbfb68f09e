//! `apm deploy promote`, and the words of the other commands about promotions: a version's way through environments as one thing. It keeps
//! nothing and decides nothing.

use std::sync::Arc;

use app_deploy::{Asked, Desk, Probe, Project, Promote, Standing};
use base_explain::{Report, nearest};
use base_world::World;
use clap::Args as ClapArgs;
use operate_deploy::{Next, Stage};
use operate_execute::{Filter, RunId, Status};

use super::{actor, desk, follow, project_in, start};
use crate::args::{Global, OrderArgs, Places};
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
}

pub(crate) async fn promote(global: &Global, args: &PromoteArgs) -> Result<u8, Failure> {
    let world = World::real();
    let any = settings(&world, global, None)?;
    let stages = stages(&any, args.from.as_deref())?;
    let first = stages.first().cloned().unwrap_or_default();
    let project = settings(&world, global, Some(&first))?;
    let desk = Arc::new(desk(global, &project, &args.places).await?);
    let probe = Probe::new(&world, |name| std::env::var(name).ok()).map_err(Failure::Broken)?;
    let asked = Asked {
        service: args.service.clone(),
        version: args.version.clone(),
        image: args.image.clone(),
        actor: actor(),
        reason: args.reason.clone(),
        ..Asked::default()
    };
    let promote = match &args.from {
        None => {
            let (service, image, version) = project.image(&asked).map_err(Failure::Usage)?;
            let at = probe.image(&image).await.map_err(Failure::Broken)?;
            say(global, &format!("{} {image}: {at}", paint(global, "32", "✓")));
            let image = at.pinned().to_owned();
            Promote { service, version, image, stages, first_run: None, actor: actor(), reason: args.reason.clone() }
        }
        Some(_) => serving(&desk, &probe, &project, args, stages).await?,
    };
    let promotion = desk.promote(&project, &promote).await?;
    let id = promotion.id.clone();
    say(global, &format!("{} {}", paint(global, "1", &title(&promotion)), paint(global, "2", &format!("({id})"))));
    say(global, &format!("{:<10} {}", "image", promotion.image));
    let standing = desk.standing(promotion).await?;
    if standing.next != Next::Begin {
        return told(global, &standing);
    }
    begin(global, &desk, &standing, &args.reason, args.yes).await
}

/// The newest release that serves in the first environment, and the image that it runs.
async fn serving(
    desk: &Desk,
    probe: &Probe,
    project: &Project,
    args: &PromoteArgs,
    stages: Vec<String>,
) -> Result<Promote, Failure> {
    let (service, _) = project.chosen(args.service.as_deref()).map_err(Failure::Usage)?;
    let from = &project.environment;
    let labels = [("service", &service), ("environment", from)];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.clone())).into();
    let newest = desk.runs(&Filter { status: Some(Status::Complete), labels, limit: 1, ..Filter::default() }).await?;
    let none = || {
        let report = Report::new(format!("no run has released {service} to {from}"));
        Failure::Refused(report.hint(format!("without `--from` the promotion releases it to {from} first")))
    };
    let row = newest.into_iter().next().ok_or_else(none)?;
    let version = row.labels.get("version").cloned().unwrap_or_default();
    if let Some(wanted) = args.version.as_ref().filter(|wanted| **wanted != version) {
        let report = Report::new(format!("{from} runs {service} {version}, not {wanted}"));
        return Err(Failure::Refused(report.hint(format!("`apm deploy --env {from} --version {wanted}` comes first"))));
    }
    let image = row.labels.get("image").cloned().unwrap_or_default();
    let image = probe.serves(&project.name, &service, from, &version, &image).await.map_err(Failure::Broken)?;
    let (actor, reason) = (actor(), args.reason.clone());
    Ok(Promote { service, version, image, stages, first_run: Some(row.run), actor, reason })
}

fn settings(world: &World, global: &Global, environment: Option<&str>) -> Result<Project, Failure> {
    project_in(world, global, environment.or(global.env.as_deref())).map_err(Failure::Usage)
}

/// The environments in their order, from one of them on.
fn stages(project: &Project, from: Option<&str>) -> Result<Vec<String>, Failure> {
    let all = if project.promotion.is_empty() { &project.environments } else { &project.promotion };
    for name in all {
        if !project.environments.contains(name) && !project.environments.is_empty() && name != "default" {
            let known = project.environments.iter().map(String::as_str);
            let near = nearest(name, known.clone()).map(|near| format!("did you mean `{near}`?"));
            let hint = near.unwrap_or_else(|| format!("there are {}", known.collect::<Vec<_>>().join(", ")));
            return Err(Failure::Usage(Report::new(format!("`promotion` names no environment `{name}`")).hint(hint)));
        }
    }
    let begin = match from {
        None => 0,
        Some(from) => all.iter().position(|name| name == from).ok_or_else(|| {
            let report = Report::new(format!("a promotion does not pass through `{from}`"));
            Failure::Usage(report.hint(format!("it passes through {}", all.join(", "))))
        })?,
    };
    let stages: Vec<String> = all.iter().skip(begin).cloned().collect();
    if stages.len() < 2 {
        let report = Report::new("a promotion needs two environments at least");
        return Err(Failure::Usage(report.hint("write `promotion: [dev, staging, prod]` into apm.yaml")));
    }
    Ok(stages)
}

fn title(promotion: &operate_deploy::Promotion) -> String {
    format!("promote {} {} through {}", promotion.service, promotion.version, promotion.stages.join(", "))
}

/// Plans the stage that comes next and carries it out; whoever calls has said yes, or is asked.
async fn begin(
    global: &Global,
    desk: &Arc<Desk>,
    standing: &Standing,
    reason: &str,
    is_yes: bool,
) -> Result<u8, Failure> {
    let stage = Desk::begins(standing, reason).map_err(refused)?;
    let environment = standing.promotion.stages.get(stage).cloned().unwrap_or_default();
    let project = settings(&World::real(), global, Some(&environment))?;
    let otlp_endpoint = find(global).and_then(|engine| engine.otlp_http);
    let asked = Asked { actor: actor(), reason: reason.to_owned(), otlp_endpoint, ..Asked::default() };
    let planned = desk.plan_stage(&project, standing, stage, &asked).await?;
    if !is_yes {
        say(global, operate_plan::report(&planned.plan, &planned.findings).trim_end());
        if !start::agreed("carry it out?")? {
            let hint = format!("`apm deploy approve {}` begins it", standing.promotion.id);
            return Err(Failure::Refused(Report::new("nobody agreed; nothing was begun").hint(hint)));
        }
    }
    let run = desk.begin_stage(standing, stage, &planned, &actor(), reason).await?;
    start::begun(global, &planned, &run);
    let code = follow::carry_out(global, desk, &run).await?;
    let standing = desk.standing(standing.promotion.clone()).await?;
    say(global, &next_line(&standing));
    Ok(code)
}

fn refused(error: app_deploy::DeskError) -> Failure {
    Failure::Refused(error.report())
}

/// The promotion of this name, as it stands.
pub(super) async fn named(desk: &Desk, name: Option<&str>) -> Result<Option<Standing>, Failure> {
    let Some(name) = name else { return Ok(None) };
    match desk.promotion(name).await? {
        Some(promotion) => Ok(Some(desk.standing(promotion).await?)),
        None => Ok(None),
    }
}

/// A yes: the next stage is planned and carried out here.
pub(super) async fn approve(
    global: &Global,
    desk: &Arc<Desk>,
    standing: &Standing,
    args: &OrderArgs,
) -> Result<u8, Failure> {
    begin(global, desk, standing, &args.reason, true).await
}

pub(super) async fn reject(global: &Global, desk: &Desk, standing: &Standing, args: &OrderArgs) -> Result<u8, Failure> {
    desk.reject(&standing.promotion, &actor(), &args.reason).await?;
    let standing = desk.standing(standing.promotion.clone()).await?;
    say(global, &next_line(&standing));
    Ok(0)
}

/// Follows the stage that is under way; where none is, says what comes next.
pub(super) async fn watch(global: &Global, desk: &Arc<Desk>, standing: &Standing) -> Result<u8, Failure> {
    let Next::UnderWay { stage } = &standing.next else { return told(global, standing) };
    let run: Option<&RunId> = standing.stages.get(*stage).and_then(|stage| stage.run.as_ref());
    let Some(run) = run else { return told(global, standing) };
    let code = follow::carry_out(global, desk, run).await?;
    let standing = desk.standing(standing.promotion.clone()).await?;
    say(global, &next_line(&standing));
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

    #[test]
    fn the_way_is_read_from_the_settings_and_a_slip_is_named() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let project = |promotion: &[&str], environments: &[&str]| Project {
            promotion: names(promotion),
            environments: names(environments),
            ..Project::default()
        };
        let all = ["dev", "staging", "prod"];
        let read = |project: &Project, from| {
            stages(project, from).map_err(|failure| match failure {
                Failure::Usage(report) => report.one_line(),
                _ => String::new(),
            })
        };
        assert_eq!(read(&project(&[], &all), None), Ok(names(&all)));
        assert_eq!(read(&project(&["dev", "prod"], &all), None), Ok(names(&["dev", "prod"])));
        assert_eq!(read(&project(&all, &[]), Some("staging")), Ok(names(&["staging", "prod"])));
        let slip = read(&project(&["dev", "stagign"], &all), None).expect_err("a slip");
        assert!(slip.contains("did you mean `staging`?"), "{slip}");
        assert!(read(&project(&all, &all), Some("prod")).expect_err("the end").contains("two environments"));
        assert!(read(&project(&all, &all), Some("qa")).expect_err("nowhere").contains("dev, staging, prod"));
    }
}
