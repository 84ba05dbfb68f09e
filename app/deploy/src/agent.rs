//! `inject: volume`: a release's container gets the agent from a named volume, which `apm docker build --inject volume` filled for this version, and the
//! variables that switch it on. The image stays as it is. It asks no engine.

use base_explain::Report;
use operate_agents::{Language, Project};
use operate_build::{HOME, Inject, Join, Telemetry, carrier, environment, volume_name};
use operate_deploy::{Container, Volume};
use operate_plan::{Finding, Severity};

use crate::settings::ServiceSettings;

/// Adds both. What the image itself has for a joined variable (`JAVA_TOOL_OPTIONS`, `NODE_OPTIONS`, `PYTHONPATH`) is not known here: where it has one,
/// it belongs in `env`, and is kept from there.
pub(crate) fn add(
    container: &mut Container,
    service: &str,
    version: &str,
    settings: &ServiceSettings,
) -> Result<(), Report> {
    let language = settings.language.as_deref().map(language);
    let Some(Some(language)) = language else {
        let report = Report::new(format!("`inject: volume` needs to know the language of {service}"));
        return Err(
            report.hint(format!("write `services.{service}.language`: python, node, java, dotnet, ruby or php"))
        );
    };
    let carrier = carrier(language, None, None, &Project::default()).map_err(Report::new)?;
    let telemetry = Telemetry { service: service.to_owned(), version: Some(version.to_owned()), environment: None };
    let own: Vec<(String, String)> = container.env.clone().into_iter().collect();
    for one in environment(&carrier, &telemetry, &own) {
        let theirs = container.env.get(&one.name);
        let value = match (&one.join, theirs) {
            (Join::Before(gap), Some(theirs)) => format!("{}{gap}{theirs}", one.value),
            (Join::After(gap), Some(theirs)) => format!("{theirs}{gap}{}", one.value),
            (_, _) => one.value,
        };
        container.env.insert(one.name, value);
    }
    container.volumes.push(Volume { source: volume_name(service, version), path: HOME.to_owned(), read_only: true });
    Ok(())
}

/// `inject: side-container` is for whoever starts containers himself; a release gives a container no other container's volumes, and says so.
pub(crate) fn not_carried(service: &str, settings: &ServiceSettings) -> Option<Finding> {
    (settings.build.inject == Some(Inject::SideContainer)).then(|| Finding {
        rule: "agent-not-carried".to_owned(),
        severity: Severity::Warning,
        step: None,
        message: format!(
            "{service} has `inject: side-container`, which a release does not carry: it runs without the agent"
        ),
        fix: format!("write `services.{service}.build.inject: volume`, and fill the volume with `apm docker build`"),
    })
}

fn language(word: &str) -> Option<Language> {
    Some(match word.to_ascii_lowercase().as_str() {
        "python" => Language::Python,
        "node" | "nodejs" | "node.js" | "javascript" | "typescript" => Language::Node,
        "java" | "kotlin" | "scala" => Language::Java,
        "dotnet" | ".net" | "csharp" => Language::DotNet,
        "ruby" => Language::Ruby,
        "php" => Language::Php,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_release_does_not_carry_is_told() {
        let mut settings = ServiceSettings::default();
        assert_eq!(not_carried("cart", &settings), None);
        settings.build.inject = Some(Inject::Volume);
        assert_eq!(not_carried("cart", &settings), None);
        settings.build.inject = Some(Inject::SideContainer);
        let finding = not_carried("cart", &settings).expect("a warning");
        assert!(finding.message.contains("runs without the agent"), "{finding:?}");
    }

    #[test]
    fn a_container_gets_the_agent_s_volume_and_variables() {
        let env = [("JAVA_TOOL_OPTIONS", "-Xmx64m"), ("OTEL_SERVICE_NAME", "till")];
        let mut container = Container {
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..Container::default()
        };
        let settings = ServiceSettings { language: Some("Java".into()), ..ServiceSettings::default() };
        add(&mut container, "cart", "1.2+3", &settings).map_err(|report| report.one_line()).expect("added");
        assert_eq!(container.env["JAVA_TOOL_OPTIONS"], "-Xmx64m -javaagent:/opt/apm/agent/opentelemetry-javaagent.jar");
        assert_eq!(container.env["OTEL_SERVICE_NAME"], "till");
        assert_eq!(container.env["OTEL_RESOURCE_ATTRIBUTES"], "service.version=1.2+3");
        let volume = container.volumes.first().expect("a volume");
        assert_eq!(
            (volume.source.as_str(), volume.path.as_str(), volume.read_only),
            ("apm-agent-cart-1.2-3", "/opt/apm", true)
        );
        let unknown = ServiceSettings::default();
        let report = add(&mut Container::default(), "cart", "1", &unknown).expect_err("no language");
        assert!(report.one_line().contains("needs to know the language of cart"), "{}", report.one_line());
    }
}
