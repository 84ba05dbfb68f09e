//! Seven languages, alone and with each sidecar, as files that a person has read.

use std::path::Path;

use super::super::{AgentLanguage, InjectSettings, Sidecar};
use super::{SHOP, check};

#[test]
#[expect(clippy::disallowed_methods, reason = "golden files of this crate")]
fn seven_languages_and_three_sidecars() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/inject");
    let beside = [
        ("alone", None),
        ("metrics", Some(Sidecar::Metrics)),
        ("traces", Some(Sidecar::Traces)),
        ("logs", Some(Sidecar::Logs)),
    ];
    let mut different = Vec::new();
    for language in AgentLanguage::ALL {
        for (word, sidecar) in beside {
            let bought = matches!(language, AgentLanguage::Ruby | AgentLanguage::Php);
            let settings = InjectSettings {
                language: Some(language),
                sidecars: sidecar.into_iter().collect(),
                metrics_port: Some(8080),
                image: bought.then(|| format!("registry.shop/apm-agent-{}:1", language.word())),
                ..InjectSettings::default()
            };
            let target = "      annotations: {instrumentation.opentelemetry.io/otel-go-auto-target-exe: /cart}\n";
            let text = match language {
                AgentLanguage::Go => SHOP.replacen("      labels:\n", &format!("{target}      labels:\n"), 1),
                _ => SHOP.to_owned(),
            };
            let after = check(&text, &settings);
            let path = folder.join(format!("{}-{word}.yaml", language.word()));
            if std::env::var_os("APM_BLESS").is_some() {
                std::fs::create_dir_all(&folder).expect("a folder");
                std::fs::write(&path, &after).expect("written");
            }
            if std::fs::read_to_string(&path).unwrap_or_default() != after {
                different.push(path);
            }
        }
    }
    assert!(different.is_empty(), "{different:?} are not what is made now; APM_BLESS=1 writes them anew");
}
