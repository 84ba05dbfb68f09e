//! A container that somebody made by hand, on its way into `apm.yaml`: looked at, told as a section, written without touching a byte of the rest.
//! It changes no container and opens no secret to anybody.

mod section;
#[cfg(test)]
mod tests;

use base_explain::{Report, nearest};
use connect_docker::{DockerError, create_body_again};
use lib_yaml_edit::{Data, Editor, Options, Step};
use operate_deploy::{Adopted, Difference, Found, Refusal, Release, Secret, changes, container_name};
use operate_execute::Seal;
use operate_target_docker::{lost, secret_name};
use serde_json::{Value, json};

use crate::probe::{Probe, hinted};
use crate::{Project, ServiceSettings};

/// A container and what it would be in the settings.
#[derive(Debug, Clone)]
pub struct Handmade {
    /// Its own name.
    pub name: String,
    pub running: bool,
    pub adopted: Adopted,
    /// Why it could not be put back, so that no release takes its place; empty when it could.
    pub lost: Vec<String>,
    /// What a person should know besides.
    pub notes: Vec<String>,
    /// Its service in a compose project.
    composed: Option<String>,
}

/// How it is called where a release looks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub service: String,
    /// The name that a release of the service gives its container.
    pub container: String,
}

impl Probe {
    /// Looks at one container, by its name or the beginning of its id.
    pub async fn handmade(&self, name: &str) -> Result<Handmade, Report> {
        let told = |error: &DockerError| hinted(Report::of(error), error.hint());
        let record = match self.engine.inspect_container(name).await {
            Ok(record) => record,
            Err(error) if error.is_not_found() => {
                let all = self.engine.containers(&Default::default()).await.unwrap_or_default();
                let near = nearest(name, all.iter().map(|one| one.name.as_str()));
                let hint =
                    near.map_or("`docker ps -a` lists them".to_owned(), |near| format!("did you mean `{near}`?"));
                return Err(Report::new(format!("there is no container `{name}`")).hint(hint));
            }
            Err(error) => return Err(told(&error)),
        };
        let id = record["Image"].as_str().unwrap_or_default();
        let image = self.engine.inspect_image(id).await.map_err(|error| told(&error))?;
        let asked = record["Config"]["Image"].as_str().unwrap_or_default();
        let now = match self.engine.image_if_there(asked).await {
            Ok(view) => view.map(|view| view.id),
            Err(error) => return Err(told(&error)),
        };
        Ok(Handmade::of(&record, &image, now.as_deref()))
    }
}

impl Handmade {
    /// From the records of a container and of its image; `now` is the image that its name means today.
    fn of(record: &Value, image: &Value, now: Option<&str>) -> Handmade {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (body, joins) = create_body_again(record);
        let mut adopted = operate_deploy::adopt(&Found { body: &body, joins: &json!(joins), image: &image["Config"] });
        let mut notes = Vec::new();
        let id = text(&record["Image"]);
        let tags: Vec<String> = serde_json::from_value(image["RepoTags"].clone()).unwrap_or_default();
        let short = |id: &str| id.chars().take("sha256:".len() + 12).collect::<String>();
        if now != Some(id.as_str()) {
            let asked = adopted.image.clone();
            let what = now.map_or("is on this engine no more".to_owned(), |now| format!("is {} by now", short(now)));
            match tags.first() {
                Some(tag) => {
                    notes.push(format!("it runs {}, and {asked} {what}: its image is written as {tag}", short(&id)));
                    adopted.image.clone_from(tag);
                }
                None => notes.push(format!(
                    "it runs {}, which has no name any more, and {asked} {what}: the next release changes the image; `docker tag {} NAME:VERSION` keeps it",
                    short(&id),
                    short(&id)
                )),
            }
        }
        adopted.image = tagged(&adopted.image);
        if adopted.image.ends_with(":latest") {
            notes.push(format!("{} is whatever it means on the day of a release: name a version", adopted.image));
        }
        Handmade {
            name: text(&record["Name"]).trim_start_matches('/').to_owned(),
            running: record["State"]["Running"] == json!(true),
            adopted,
            lost: lost(record),
            notes,
            composed: record["Config"]["Labels"]["com.docker.compose.service"].as_str().map(str::to_owned),
        }
    }

    /// The service that it becomes: as it is asked for, else by what its name says.
    pub fn named(&self, project: &Project, asked: Option<&str>) -> Result<Named, Report> {
        let prefix = container_name(&project.name, &project.environment, "");
        let own = self.name.strip_prefix(&prefix).filter(|rest| !rest.is_empty()).unwrap_or(&self.name);
        let service = asked.or(self.composed.as_deref()).unwrap_or(own).to_owned();
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        if service.is_empty() || !service.chars().all(plain) {
            let report = Report::new(format!("`{service}` is no name of a service"));
            return Err(report.hint("`--as` takes one of letters, digits, `-` and `_`"));
        }
        Ok(Named { container: container_name(&project.name, &project.environment, &service), service })
    }

    /// The same for a release that gives its container another name: who found it by this one still does.
    pub fn renamed(mut self, named: &Named) -> Handmade {
        let container = &mut self.adopted.container;
        if self.name != named.container {
            for network in container.networks.iter().filter(|name| !["bridge", "host", "none"].contains(&name.as_str()))
            {
                let aliases = &mut container.extra.endpoints.entry(network.clone()).or_default().aliases;
                if !aliases.contains(&self.name) {
                    aliases.push(self.name.clone());
                }
            }
        }
        self
    }

    /// As the planner refuses it, where it could not be put back.
    pub fn refusal(&self) -> Option<Report> {
        let refusal = Refusal::Lost { name: self.name.clone(), lost: self.lost.clone() };
        (!self.lost.is_empty()).then(|| Report::new(refusal.to_string()).hint(refusal.hint()))
    }

    /// The text of `apm.yaml` with the service in it; comments and all else stay as they are.
    pub fn written(&self, text: &str, project: &str, service: &str) -> Result<String, Report> {
        let told = |error: &(dyn std::error::Error + 'static)| {
            Report::of(error).because("apm.yaml stays as it is").hint("write the section yourself")
        };
        let mut editor = Editor::new(text, Options::default()).map_err(|fault| told(&fault))?;
        let path = [Step::Key("services".into()), Step::Key(service.into())];
        if text.trim().is_empty() {
            editor.set(&[Step::Key("version".into())], 1).map_err(|error| told(&error))?;
            editor.set(&[Step::Key("project".into())], project).map_err(|error| told(&error))?;
        }
        let section: Data = section::of(&self.adopted, service);
        editor.set(&path, section).map_err(|error| told(&error))?;
        Ok(editor.into_text())
    }

    /// What the next release would change of it, by the settings that it has already. Of a secret only that it changes.
    pub fn changes(&self, release: &Release, seal: &Seal) -> Result<Vec<Difference>, Report> {
        let now = self.adopted.sealed(|name, value| {
            let sealed = seal.seal(&secret_name(name), value.as_bytes())?;
            Ok(Secret { sealed, mark: seal.mark(value.as_bytes()) })
        });
        let now = now.map_err(|error: operate_execute::SealError| Report::of(&error))?;
        Ok(changes(&self.name, &self.adopted.image, &now, release))
    }

    /// For each variable that looks secret: the file that the settings name, and the command that fills it without showing it.
    pub fn secret_files(&self, service: &str) -> Vec<(String, String)> {
        let path = |name: &str| section::secret_path(service, name);
        let command = |name: &str| {
            let value = self.adopted.secrets.is_long(name);
            let read = match value {
                // Of several lines: a list of variables would tear it apart.
                true => format!("docker exec {} printenv {name}", self.name),
                false => format!(
                    "docker inspect -f '{{{{range .Config.Env}}}}{{{{println .}}}}{{{{end}}}}' {} | sed -n 's/^{name}=//p'",
                    self.name
                ),
            };
            format!("(umask 077; mkdir -p secrets/{service}; {read} > {})", path(name))
        };
        self.adopted.secret_names().map(|name| (path(name), command(name))).collect()
    }

    /// The settings that it has already, if its service has any.
    pub fn there<'a>(&self, project: &'a Project, named: &Named) -> Option<&'a ServiceSettings> {
        project.services.get(&named.service)
    }
}

/// With a tag: without one Docker means `latest`.
fn tagged(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains([':', '@']) { image.to_owned() } else { format!("{image}:latest") }
}
