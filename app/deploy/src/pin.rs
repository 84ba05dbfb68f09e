//! Which image a tag is, said once for a whole plan: by its registry, else by what the engine knows. A tag may move between two replicas, a digest cannot.
//! It decides; the registry is asked through [`Registries`].

use std::time::Duration;

use async_trait::async_trait;
use base_explain::Report;
use connect_registry::{Digest, Kind, Reference, RegistryError};
use operate_deploy::Release;
use operate_execute::{Filter, RunId, RunRow, Status, Target};
use operate_plan::{Finding, ObjectId, Seen, Severity};
use serde_json::Value;

use crate::{Asked, Desk, DeskError, Project, Wanted};

/// Complete runs of a version in which its images are looked for.
const PAST_MAX: usize = 200;
/// Images of one version that are told one by one.
const TOLD_MAX: usize = 4;
/// A plan is not kept waiting longer by a registry that does not answer.
const ASK_MAX: Duration = Duration::from_secs(30);

/// Whoever can ask registries.
#[async_trait]
pub trait Registries: Send + Sync {
    /// What the reference is at its registry, now.
    async fn digest(&self, image: &Reference) -> Result<Digest, RegistryError>;
}

#[async_trait]
impl Registries for connect_registry::Client {
    async fn digest(&self, image: &Reference) -> Result<Digest, RegistryError> {
        Ok(self.resolve(image).await?.digest)
    }
}

/// The release with the image that its tag is now, and what is to be said about it.
pub(crate) async fn pinned(
    release: &Release,
    target: &dyn Target,
    registries: &dyn Registries,
) -> Result<(Release, Option<Finding>), DeskError> {
    let mut release = release.clone();
    let look = async |image: &str| {
        let object = ObjectId::new("image", image);
        target.survey(std::slice::from_ref(&object)).await.look(&object)
    };
    if let Some(before) = &release.pinned {
        // An id is known to one engine only, and only as long as it has the image.
        if before.contains('@') || look(before).await != Seen::Absent {
            return Ok((release, None));
        }
        release.pinned = None;
    }
    let found = pin(&release, &look(&release.image).await, registries).await;
    let Pin { image, finding } = found.map_err(DeskError::Told)?;
    release.pinned = image;
    Ok((release, finding))
}

impl Desk {
    /// The release made of the very image that this version was the last time it stayed: a tag may have moved since.
    pub async fn wanted_before(&self, project: &Project, asked: &Asked) -> Result<Wanted, DeskError> {
        if project.is_on_cluster(asked).map_err(DeskError::Settings)? {
            return self.clusters_before(project, asked).await;
        }
        let release = self.release(project, asked).map_err(DeskError::Settings)?;
        Ok(Wanted::Containers(Box::new(self.as_before(release, asked.as_of.as_ref()).await?)))
    }

    async fn as_before(&self, release: Release, as_of: Option<&RunId>) -> Result<Release, DeskError> {
        let labels = [
            ("project", &release.project),
            ("service", &release.service),
            ("environment", &release.environment),
            ("version", &release.version),
            ("image", &release.image),
        ];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.clone())).to_vec();
        let complete = Filter { status: Some(Status::Complete), labels, limit: PAST_MAX, ..Filter::default() };
        let rows = self.runs(&complete).await?;
        let row = rows.iter().find(|row| as_of.is_none_or(|run| row.run == *run));
        let pinned = row.and_then(|row| row.labels.get("image_exact").cloned());
        let mut findings = release.findings.clone();
        if as_of.is_none() {
            findings.extend(several(&release, &rows));
        }
        Ok(Release { pinned, findings, ..release })
    }
}

/// That a version was several images, and how one of them is meant.
fn several(release: &Release, rows: &[RunRow]) -> Option<Finding> {
    let mut images: Vec<(&str, &RunId)> = Vec::new();
    for row in rows {
        let Some(exact) = row.labels.get("image_exact").and_then(|exact| exact.rsplit('@').next()) else { continue };
        if !images.iter().any(|(known, _)| *known == exact) {
            images.push((exact, &row.run));
        }
    }
    let [newest, older @ ..] = &images[..] else { return None };
    if older.is_empty() {
        return None;
    }
    let told = |(exact, run): &(&str, &RunId)| format!("{} by {run}", short(exact));
    let more = if older.len() > TOLD_MAX { format!(" and {} more", older.len() - TOLD_MAX) } else { String::new() };
    let older: Vec<_> = older.iter().take(TOLD_MAX).map(told).collect();
    let message = format!(
        "{} was {} images: this goes back to the newest, {}; before it were {}{more}",
        release.image,
        images.len(),
        told(newest),
        older.join(", ")
    );
    Some(found("image-several", Severity::Warning, message, "`--to` with a run or a digest names another one"))
}

/// What was found out.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Pin {
    /// `None`: the plan names the tag, and the engine decides when it pulls.
    pub(crate) image: Option<String>,
    pub(crate) finding: Option<Finding>,
}

/// `seen` is the wanted reference at the engine. An image that was made on the engine's machine and that no registry has is never asked for elsewhere:
/// somebody else's may have the same name there.
pub(crate) async fn pin(release: &Release, seen: &Seen, registries: &dyn Registries) -> Result<Pin, Report> {
    let wanted = &release.image;
    // What is no reference is refused by the engine in its own words; what has a digest is pinned already.
    let Ok(reference) = wanted.parse::<Reference>() else { return Ok(Pin::default()) };
    if reference.digest.is_some() {
        return Ok(Pin::default());
    }
    let here = match seen {
        Seen::Present(value) => Some(value),
        _ => None,
    };
    let pulled = here.and_then(|value| pulled(value, &reference));
    if let (Some(value), None) = (here, &pulled) {
        let Some(id) = value["id"].as_str() else { return Ok(Pin::default()) };
        let message =
            format!("{wanted} was made on the engine's machine, and no registry has it: the plan names {}", short(id));
        let fix = "push it to deploy the same image elsewhere, and to have it again when it is removed here";
        return Ok(Pin {
            image: Some(id.to_owned()),
            finding: Some(found("image-local", Severity::Info, message, fix)),
        });
    }
    let asked = tokio::time::timeout(ASK_MAX, registries.digest(&reference)).await.unwrap_or_else(|_| {
        let doing = format!("ask for `{wanted}`");
        Err(RegistryError::Timeout { doing, after_ms: ASK_MAX.as_millis() })
    });
    match (asked, pulled) {
        (Ok(digest), pulled) => {
            let moved = pulled.filter(|pulled| !pulled.contains(&digest));
            let finding = moved.map(|before| {
                let before = before.first().map_or(String::new(), |digest| short(digest.as_str()));
                let message = format!(
                    "{wanted} is another image by now: {}, and the engine has {before}",
                    short(digest.as_str())
                );
                found("image-moved", Severity::Info, message, "nothing, if that is what you want to release")
            });
            Ok(Pin { image: Some(reference.pinned(&digest).to_string()), finding })
        }
        (Err(error), Some(pulled)) => {
            let image = pulled.first().map(|digest| reference.pinned(digest).to_string());
            let named = pulled.first().map_or(String::new(), |digest| short(digest.as_str()));
            let message = format!(
                "no registry said what {wanted} is now ({error}): the plan names what the engine pulled as that before, {named}"
            );
            Ok(Pin { image, finding: Some(found("image-not-asked", Severity::Warning, message, error.hint())) })
        }
        (Err(error), None) if error.kind() == Kind::NotFound => Err(Report::of(&error).hint(error.hint())),
        (Err(error), None) => {
            let message = format!(
                "no registry said what {wanted} is ({error}): the engine decides when it pulls, and the tag may move until then"
            );
            Ok(Pin { image: None, finding: Some(found("image-unpinned", Severity::Warning, message, error.hint())) })
        }
    }
}

/// The digests under which the engine pulled or pushed the image, where it did.
fn pulled(value: &Value, wanted: &Reference) -> Option<Vec<Digest>> {
    let names = value["digests"].as_array()?.iter().filter_map(|name| name.as_str()?.parse::<Reference>().ok());
    let same = names.filter(|name| name.registry == wanted.registry && name.repository == wanted.repository);
    let digests: Vec<_> = same.filter_map(|name| name.digest).collect();
    (!digests.is_empty()).then_some(digests)
}

fn found(rule: &str, severity: Severity, message: String, fix: &str) -> Finding {
    Finding { rule: rule.to_owned(), severity, step: None, message, fix: fix.to_owned() }
}

/// Enough of a digest to compare it by eye.
fn short(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect()
}

#[cfg(test)]
mod tests {
    use operate_plan::{Class, Failure};
    use serde_json::json;

    use super::*;

    /// A registry of one image, or of trouble.
    struct One(Result<Digest, RegistryError>);

    #[async_trait]
    impl Registries for One {
        async fn digest(&self, _: &Reference) -> Result<Digest, RegistryError> {
            self.0.clone()
        }
    }

    fn release(image: &str) -> Release {
        let rest = json!({
            "project": "shop", "service": "cart", "environment": "dev", "version": "2", "image": image,
            "target": "docker:shop", "strategy": "recreate", "replicas": 1, "container": {}, "ready_ms": 1, "judge_ms": 1, "actor": "ann",
        });
        serde_json::from_value(rest).expect("a release")
    }

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    /// What the plan names, and the rule of the finding.
    async fn check(
        image: &str,
        seen: Seen,
        registry: Result<Digest, RegistryError>,
        expect: Result<(Option<String>, &str), &str>,
    ) {
        let pinned = pin(&release(image), &seen, &One(registry)).await;
        let rule = |pin: &Pin| pin.finding.as_ref().map_or(String::new(), |finding| finding.rule.clone());
        match (pinned, expect) {
            (Ok(pin), Ok((image, expect))) => assert_eq!((pin.image.clone(), rule(&pin).as_str()), (image, expect)),
            (Err(report), Err(words)) => assert!(report.one_line().contains(words), "{}", report.one_line()),
            (found, expect) => panic!("{found:?}, not {expect:?}"),
        }
    }

    fn at(name: &str, text: &str) -> Option<String> {
        Some(format!("{name}@{}", digest(text)))
    }

    fn away() -> Result<Digest, RegistryError> {
        Err(RegistryError::NotReachable { registry: "r.example.org".into(), reason: "no route".into() })
    }

    fn unknown() -> Result<Digest, RegistryError> {
        let said = connect_registry::Said { status: 404, code: "MANIFEST_UNKNOWN".into(), message: String::new() };
        Err(RegistryError::NotFound { doing: "look at `r.example.org/cart:2`".into(), said })
    }

    #[test]
    fn a_version_that_was_several_images_is_told() {
        let row = |run: &str, image: &str| {
            let row = json!({
                "run": run, "title": "", "target": "", "status": "complete", "created_ms": 0, "ended_ms": null, "sentence": "", "tags": [],
                "labels": {"version": "2", "image_exact": image},
            });
            serde_json::from_value::<RunRow>(row).expect("a row")
        };
        let at = |text: &str| format!("r.example.org/cart@{}", digest(text));
        let release = release("r.example.org/cart:2");
        let same = [row("cart-2-b", &at("new")), row("cart-2-a", &at("new"))];
        assert_eq!(several(&release, &same), None);
        // The newest comes first; one image counts once.
        let rows = [row("cart-2-c", &at("new")), row("cart-2-b", &at("old")), row("cart-2-a", &at("new"))];
        let found = several(&release, &rows).expect("a finding");
        assert_eq!((found.rule.as_str(), found.severity), ("image-several", Severity::Warning));
        let new = short(digest("new").as_str());
        let old = short(digest("old").as_str());
        let words =
            format!("was 2 images: this goes back to the newest, {new} by cart-2-c; before it were {old} by cart-2-b");
        assert!(found.message.ends_with(&words), "{}", found.message);
        assert!(found.fix.contains("--to"), "{}", found.fix);
    }

    #[tokio::test]
    async fn a_plan_names_the_image_and_not_the_tag() {
        const CART: &str = "r.example.org/cart";
        let wanted = || format!("{CART}:2");
        let seen = |digests: Value| Seen::Present(json!({"id": "sha256:1d", "digests": digests}));
        let old = || seen(json!([at(CART, "old"), at("other/cart", "new")]));
        // The registry decides, whether the engine has it or not.
        check(&wanted(), Seen::Absent, Ok(digest("new")), Ok((at(CART, "new"), ""))).await;
        check(&wanted(), old(), Ok(digest("old")), Ok((at(CART, "old"), ""))).await;
        check(&wanted(), old(), Ok(digest("new")), Ok((at(CART, "new"), "image-moved"))).await;
        check("cart:2", Seen::Absent, Ok(digest("new")), Ok((at("cart", "new"), ""))).await;
        // It cannot be asked, or has it no more: what the engine pulled.
        check(&wanted(), old(), away(), Ok((at(CART, "old"), "image-not-asked"))).await;
        check(&wanted(), old(), unknown(), Ok((at(CART, "old"), "image-not-asked"))).await;
        check(&wanted(), Seen::Absent, away(), Ok((None, "image-unpinned"))).await;
        // Nobody has it: better told now than in the middle of a run.
        check(&wanted(), Seen::Absent, unknown(), Err("MANIFEST_UNKNOWN")).await;
        // Made here: the registry's is somebody else's, and is not asked for.
        let own = || Ok((Some("sha256:1d".to_owned()), "image-local"));
        check("cart:2", seen(json!([])), Ok(digest("somebody else's")), own()).await;
        check("cart:2", seen(Value::Null), Ok(digest("somebody else's")), own()).await;
        check(&wanted(), seen(json!([at("other/cart", "new")])), away(), own()).await;
        // Nothing to decide.
        let pinned = at(CART, "new").expect("a name");
        check(&pinned, Seen::Absent, away(), Ok((None, ""))).await;
        check("no//image", Seen::Absent, away(), Ok((None, ""))).await;
        let denied = Failure::new(Class::Permission, "docker.denied", "no", "");
        check(&wanted(), Seen::Unknown(denied), Ok(digest("new")), Ok((at(CART, "new"), ""))).await;
    }
}
