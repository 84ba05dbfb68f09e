//! From what somebody asks for to a promotion: its way through the environments by the settings, and the one image, by digest, that goes it. It
//! begins nothing.

use base_explain::{Report, nearest};
use operate_execute::{Filter, Status};

use super::{Promote, Standing};
use crate::{Asked, Desk, DeskError, Probe, Project};

/// What somebody asks for, before anything is looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PromoteAsk {
    /// May be left out where there is one service only.
    pub service: Option<String>,
    pub version: Option<String>,
    pub image: Option<String>,
    /// Begin with what serves in this environment already.
    pub from: Option<String>,
    pub actor: String,
    pub reason: String,
}

/// What was decided, and where the image was found, for people.
#[derive(Debug)]
pub struct Decided {
    pub standing: Standing,
    pub found: Option<String>,
}

/// Decides it and keeps it. `read` gives the settings of an environment, or of the usual one.
pub async fn decide(
    desk: &Desk,
    probe: &Probe,
    read: &(dyn Fn(Option<&str>) -> Result<Project, Report> + Sync),
    ask: &PromoteAsk,
) -> Result<Decided, DeskError> {
    let stages = stages(&read(None).map_err(DeskError::Settings)?, ask.from.as_deref()).map_err(DeskError::Settings)?;
    let first = stages.first().cloned().unwrap_or_default();
    let project = read(Some(&first)).map_err(DeskError::Settings)?;
    let (promote, found) = match &ask.from {
        None => {
            let asked = Asked {
                service: ask.service.clone(),
                version: ask.version.clone(),
                image: ask.image.clone(),
                ..Asked::default()
            };
            let (service, image, version) = project.image(&asked).map_err(DeskError::Settings)?;
            let at = probe.image(&image).await.map_err(DeskError::Told)?;
            let (found, pinned) = (format!("{image}: {at}"), at.pinned().to_owned());
            let (actor, reason) = (ask.actor.clone(), ask.reason.clone());
            (Promote { service, version, image: pinned, stages, first_run: None, actor, reason }, Some(found))
        }
        Some(_) => (serving(desk, probe, &project, ask, stages).await?, None),
    };
    let promotion = desk.promote(&project, &promote).await?;
    Ok(Decided { standing: desk.standing(promotion).await?, found })
}

/// The newest release that serves in the first environment, and the image that it runs.
async fn serving(
    desk: &Desk,
    probe: &Probe,
    project: &Project,
    ask: &PromoteAsk,
    stages: Vec<String>,
) -> Result<Promote, DeskError> {
    let (service, _) = project.chosen(ask.service.as_deref()).map_err(DeskError::Settings)?;
    let from = &project.environment;
    let labels = [("service", &service), ("environment", from)];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.clone())).into();
    let newest = desk.runs(&Filter { status: Some(Status::Complete), labels, limit: 1, ..Filter::default() }).await?;
    let none = || {
        let report = Report::new(format!("no run has released {service} to {from}"));
        DeskError::Standing(report.hint(format!("without `--from` the promotion releases it to {from} first")))
    };
    let row = newest.into_iter().next().ok_or_else(none)?;
    let version = row.labels.get("version").cloned().unwrap_or_default();
    if let Some(wanted) = ask.version.as_ref().filter(|wanted| **wanted != version) {
        let report = Report::new(format!("{from} runs {service} {version}, not {wanted}"));
        let hint = format!("`apm deploy --env {from} --version {wanted}` comes first");
        return Err(DeskError::Standing(report.hint(hint)));
    }
    let image = row.labels.get("image").cloned().unwrap_or_default();
    let image = probe.serves(&project.name, &service, from, &version, &image).await.map_err(DeskError::Told)?;
    let (actor, reason) = (ask.actor.clone(), ask.reason.clone());
    Ok(Promote { service, version, image, stages, first_run: Some(row.run), actor, reason })
}

/// The environments in their order, from one of them on.
fn stages(project: &Project, from: Option<&str>) -> Result<Vec<String>, Report> {
    let all = if project.promotion.is_empty() { &project.environments } else { &project.promotion };
    for name in all {
        if !project.environments.contains(name) && !project.environments.is_empty() && name != "default" {
            let known = project.environments.iter().map(String::as_str);
            let near = nearest(name, known.clone()).map(|near| format!("did you mean `{near}`?"));
            let hint = near.unwrap_or_else(|| format!("there are {}", known.collect::<Vec<_>>().join(", ")));
            return Err(Report::new(format!("`promotion` names no environment `{name}`")).hint(hint));
        }
    }
    let begin = match from {
        None => 0,
        Some(from) => all.iter().position(|name| name == from).ok_or_else(|| {
            let report = Report::new(format!("a promotion does not pass through `{from}`"));
            report.hint(format!("it passes through {}", all.join(", ")))
        })?,
    };
    let stages: Vec<String> = all.iter().skip(begin).cloned().collect();
    if stages.len() < 2 {
        let report = Report::new("a promotion needs two environments at least");
        return Err(report.hint("write `promotion: [dev, staging, prod]` into apm.yaml"));
    }
    Ok(stages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_is_read_from_the_settings_and_a_slip_is_named() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let project = |promotion: &[&str], environments: &[&str]| Project {
            promotion: names(promotion),
            environments: names(environments),
            ..Project::default()
        };
        let all = ["dev", "staging", "prod"];
        let read = |project: &Project, from| stages(project, from).map_err(|report| report.one_line());
        assert_eq!(read(&project(&[], &all), None), Ok(names(&all)));
        assert_eq!(read(&project(&["dev", "prod"], &all), None), Ok(names(&["dev", "prod"])));
        assert_eq!(read(&project(&all, &[]), Some("staging")), Ok(names(&["staging", "prod"])));
        let slip = read(&project(&["dev", "stagign"], &all), None).expect_err("a slip");
        assert!(slip.contains("did you mean `staging`?"), "{slip}");
        assert!(read(&project(&all, &all), Some("prod")).expect_err("the end").contains("two environments"));
        assert!(read(&project(&all, &all), Some("qa")).expect_err("nowhere").contains("dev, staging, prod"));
    }
}
