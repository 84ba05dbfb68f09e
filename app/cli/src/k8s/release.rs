//! `apm k8s diff`, `apply` and `rollback`: manifests and nothing else as a release, with the plan, the record and the way back of `apm deploy`, and
//! without its judge. How it is carried out is decided there.

use std::sync::Arc;

use app_deploy::{Asked, Compared, Desk, DeskError, Planned, Project, Unknown, Wanted};
use base_explain::Report;
use base_world::World;
use clap::Args as ClapArgs;
use operate_deploy::Refusal;
use operate_execute::{RunId, Status};
use operate_manifest::yaml;
use operate_plan::Severity;
use serde_json::{Value, json};

use super::which::{Set, Where, Which};
use crate::args::Global;
use crate::deploy::judge::{Form, json as print_json};
use crate::deploy::start::{agreed, before, begun};
use crate::deploy::{self, follow, office::Office};
use crate::output::{Failure, note, paint, say};
use crate::unified;

const AFTER_DIFF: &str = "Exit codes: 0 nothing would change, 1 something would, 2 the words, the settings or the manifests are wrong, 3 it could not be found out.

Examples:
  apm k8s diff k8s/
  apm k8s diff --env prod --context prod --output json
  kubectl kustomize k8s/ | apm k8s diff - --namespace shop";

const AFTER_APPLY: &str = "Exit codes: 0 everything is there and runs, or was so before; 1 it was undone, 2 the words, the settings or the manifests are wrong, 3 it could not be done, 4 it was refused.

Examples:
  apm k8s apply k8s/ --dry-run
  apm k8s apply k8s/ --env prod --yes
  apm k8s apply k8s/ --prune --yes --output json
  helm template shop charts/shop | apm k8s apply - --service shop --yes";

const AFTER_ROLLBACK: &str = "Exit codes: 0 everything is as it was and runs, 1 it was undone, 2 the words are wrong, 3 it could not be done, 4 it was refused.

Examples:
  apm k8s rollback --dry-run
  apm k8s rollback --to 1.4.2 --env prod --yes";

#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_DIFF, disable_version_flag = true)]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    which: Which,
    /// What an earlier apply made and these manifests do not have counts too
    #[arg(long)]
    prune: bool,
    /// Do not mask the values of Secrets
    #[arg(long)]
    show_secrets: bool,
    /// The form of the answer
    #[arg(long, short, value_name = "FORM", default_value = "text")]
    output: Form,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_APPLY, disable_version_flag = true)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    which: Which,
    /// Delete what an earlier apply made and these manifests do not have
    #[arg(long)]
    prune: bool,
    /// Take over objects that somebody else made
    #[arg(long)]
    adopt: bool,
    /// Take over fields that somebody else set
    #[arg(long)]
    force_conflicts: bool,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_ROLLBACK, disable_version_flag = true)]
pub(crate) struct RollbackArgs {
    #[command(flatten)]
    set: Set,
    /// The version to go back to, or the tag of a run that released it [default: the one before the newest complete run]
    #[arg(long, value_name = "REVISION")]
    to: Option<String>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    place: Where,
}

/// How it is gone about.
#[derive(Debug, ClapArgs)]
struct How {
    /// Print the plan, each step with the kubectl command that does the same, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Why, for the history
    #[arg(long, default_value = "", value_name = "TEXT")]
    reason: String,
    /// The form of the answer; json wants --yes or --dry-run
    #[arg(long, short, value_name = "FORM", default_value = "text")]
    output: Form,
}

fn running<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Broken(Report::of(&error)))?;
    let ended = runtime.block_on(work);
    runtime.shutdown_background();
    ended
}

async fn opened(global: &Global, place: &Where) -> Result<(Arc<Desk>, Project), Failure> {
    let project = deploy::project(&World::real(), global)?;
    let desk = deploy::desk(global, &project, &place.places).await?;
    Ok((Arc::new(desk), project))
}

pub(crate) fn diff(global: &Global, args: &DiffArgs) -> Result<u8, Failure> {
    running(async {
        let (desk, project) = opened(global, &args.place).await?;
        let mut asked = args.which.asked(args.place.context.as_ref())?;
        if let Some(plain) = &mut asked.plain {
            plain.prune = args.prune;
            // Whoever owns a field is found out by the apply; what it would be is the question here.
            plain.force_conflicts = false;
        }
        let wanted = desk.wanted(&project, &asked).await.map_err(Failure::Usage)?;
        let Wanted::Objects(release) = wanted else { return Err(Failure::Broken(Report::new("no cluster is meant"))) };
        let compared = desk.compare(&release, args.show_secrets).await?;
        match args.output {
            Form::Json => print_json(&compared),
            Form::Text => shown(global, &compared),
        }
        Ok(match (compared.unknown.is_empty(), compared.changes.is_empty()) {
            (false, _) => 3,
            (true, false) => 1,
            (true, true) => 0,
        })
    })
}

fn shown(global: &Global, compared: &Compared) {
    for change in &compared.changes {
        let text = |side: &Option<Value>| side.as_ref().map(yaml).unwrap_or_default();
        let name = &change.object;
        let becomes = match (&change.was, change.pruned) {
            (_, true) => format!("{name} (pruned)"),
            (None, _) => format!("{name} (made)"),
            _ => format!("{name} (wanted)"),
        };
        let was = if change.was.is_some() { format!("{name} (there)") } else { format!("{name} (not there)") };
        unified::show(global, [&was, &becomes], &text(&change.was), &text(&change.becomes));
    }
    for Unknown { object, code, why, next } in &compared.unknown {
        note(&paint(global, "31", &format!("error: {object}: {why} [{code}]")));
        note(&format!("  hint: {next}"));
    }
    if compared.changes.is_empty() && compared.unknown.is_empty() {
        say(global, &format!("nothing would change: {} objects are as they are wanted", compared.same));
    }
}

pub(crate) fn apply(global: &Global, args: &ApplyArgs) -> Result<u8, Failure> {
    running(async {
        let (desk, project) = opened(global, &args.place).await?;
        let mut asked = args.which.asked(args.place.context.as_ref())?;
        asked.adopt = args.adopt;
        if let Some(plain) = &mut asked.plain {
            plain.prune = args.prune;
            plain.force_conflicts = args.force_conflicts;
        }
        let wanted = desk.wanted(&project, &asked).await.map_err(Failure::Usage)?;
        carried(global, &desk, &asked, &wanted, &args.how).await
    })
}

pub(crate) fn rollback(global: &Global, args: &RollbackArgs) -> Result<u8, Failure> {
    running(async {
        let (desk, project) = opened(global, &args.place).await?;
        let mut asked = args.set.asked(args.place.context.as_ref());
        let service = project.set_name(asked.service.as_deref()).map_err(Failure::Usage)?;
        let environment = project.environment.clone();
        let office = Office::Here(Arc::clone(&desk), Box::new(project));
        let labels = [("environment", environment), ("service", service)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let back = before(&office, labels, args.to.as_deref()).await?;
        (asked.version, asked.as_of) = (Some(back.version), back.as_of);
        if let Some(plain) = &mut asked.plain {
            // What only the newer one has goes with it.
            plain.prune = true;
        }
        let Office::Here(_, project) = &office else { return Err(Failure::Broken(Report::new("no desk is at hand"))) };
        let wanted = desk.wanted_before(project, &asked).await?;
        carried(global, &desk, &asked, &wanted, &args.how).await
    })
}

/// Planned, shown, asked about, carried out.
async fn carried(global: &Global, desk: &Arc<Desk>, asked: &Asked, wanted: &Wanted, how: &How) -> Result<u8, Failure> {
    let is_json = how.output == Form::Json;
    let planned = match desk.plan_wanted(wanted).await {
        Ok(planned) => planned,
        Err(DeskError::Refused(refusal @ Refusal::NothingToDo { .. })) => {
            match is_json {
                true => print_json(&json!({"status": "unchanged"})),
                false => say(global, &format!("nothing to do: {refusal}")),
            }
            return Ok(0);
        }
        Err(error) => return Err(error.into()),
    };
    if is_json && how.dry_run {
        print_json(&plan_json(&planned));
    } else if how.dry_run || !how.yes {
        say(global, operate_plan::report(&planned.plan, &planned.findings).trim_end());
    } else {
        for finding in planned.findings.iter().filter(|finding| finding.severity != Severity::Info) {
            note(&format!("{}: {}; {}", finding.severity, finding.message, finding.fix));
        }
    }
    if how.dry_run {
        return Ok(0);
    }
    if !how.yes && is_json {
        let report = Report::new("a form for programs, and nobody has agreed");
        return Err(Failure::Usage(report.hint("`--yes` agrees, `--dry-run` only shows it")));
    }
    if !how.yes && !agreed("carry it out?")? {
        return Err(Failure::Refused(Report::new("nobody agreed; nothing was changed")));
    }
    let run = desk.create(&planned, &asked.actor, &how.reason).await?;
    if !is_json {
        begun(global, &planned, &run);
        return follow::carry_out(global, desk, &run).await;
    }
    let status = desk.execute(&run).await?;
    print_json(&ended_json(desk, &run).await?);
    Ok(deploy::code(status))
}

/// The steps as a program reads them; bodies are left out, for `render` shows them.
fn plan_json(planned: &Planned) -> Value {
    let step = |step: &operate_plan::Step| json!({"id": step.id, "name": step.name, "reason": step.reason, "by_hand": step.by_hand});
    let steps: Vec<Value> = planned.plan.steps.iter().map(step).collect();
    json!({"status": "planned", "title": planned.plan.title, "steps": steps, "findings": planned.findings})
}

async fn ended_json(desk: &Desk, run: &RunId) -> Result<Value, Failure> {
    let (plan, state) = desk.look(run).await?;
    let step = |step: &operate_plan::Step| {
        let now = state.step(&step.id);
        let failure = now
            .failure
            .as_ref()
            .map(|failure| json!({"code": failure.code, "message": failure.message, "next": failure.next}));
        json!({"id": step.id, "name": step.name, "state": now.word(), "failure": failure})
    };
    let steps: Vec<Value> = plan.steps.iter().map(step).collect();
    let sentence = state.ended.as_ref().map(|(_, sentence)| sentence.clone()).unwrap_or_default();
    let status: Status = state.status();
    let (version, before) = (plan.labels.get("version"), plan.labels.get("version_before"));
    Ok(
        json!({"run": run.0, "status": status.word(), "says": sentence, "version": version, "version_before": before, "steps": steps}),
    )
}
