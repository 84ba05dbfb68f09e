//! Generated stages as golden files, one a language; what needs BuildKit; what of a folder is sent. `APM_BLESS=1` writes the golden files anew.
#![expect(clippy::disallowed_methods, reason = "golden files are read and written here")]

use operate_agents::{Distribution, Language, Project, ProjectFile, Runtime};
use operate_dockerfile::{Dockerfile, Stages};

use crate::{
    Asked, Facts, Ignored, Labels, Refused, Telemetry, agent_image, carrier, docker_build, needs_buildkit, stage,
};

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn runtime(implementation: &str, major: u32, minor: u32, installed: &[(&str, &str)]) -> Runtime {
    let one = |(name, version): &(&str, &str)| Distribution { name: (*name).into(), version: (*version).into() };
    Runtime {
        implementation: implementation.into(),
        major,
        minor,
        abi: format!("{implementation}-{major}{minor}-x86_64-linux-gnu"),
        executable: "/usr/bin/python3".into(),
        installed: installed.iter().map(one).collect(),
    }
}

fn project() -> Project {
    let file = |path: &str| ProjectFile { path: path.into(), content: None };
    Project { folder: "shop".into(), files: vec![file("Dockerfile")], ..Project::default() }
}

fn telemetry() -> Telemetry {
    Telemetry { service: "shop".into(), version: Some("1.4".into()), environment: None }
}

fn labels() -> Labels {
    Labels {
        version: Some("1.4".into()),
        revision: Some("5f0c1de".into()),
        created: Some("2026-01-02T03:04:05Z".into()),
        source: Some("https://git.example.org/shop".into()),
    }
}

/// The stage and the entry script behind an image, as the golden file has them.
fn check(name: &str, language: Language, runtime: Option<&Runtime>, facts: &Facts) {
    let carrier = carrier(language, None, runtime, &project()).expect("it carries an agent");
    let made = stage("sha256:5e1f", facts, &carrier, &telemetry(), &labels()).expect("a stage");
    let mut text = made.dockerfile;
    for (path, content, executable) in made.files.iter().filter(|(path, ..)| path == "entry") {
        text.push_str(&format!("\n===== {path}{}\n{content}", if *executable { " (executable)" } else { "" }));
    }
    for why in carrier.nothing_because.iter().chain(&made.warnings) {
        text.push_str(&format!("\n===== said\n{why}\n"));
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{name}.txt"));
    if std::env::var_os("APM_BLESS").is_some() {
        std::fs::write(&path, &text).expect("written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden, "{}: APM_BLESS=1 writes it anew", path.display());
}

#[test]
fn stages_by_language() {
    let shop = |entrypoint: &[&str], command: &[&str]| Facts {
        entrypoint: words(entrypoint),
        command: words(command),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        has_shell: true,
        onbuild: false,
    };
    let python = runtime("cpython", 3, 11, &[("Flask", "3.1.0")]);
    check("python", Language::Python, Some(&python), &shop(&[], &["python", "app.py"]));
    let own_protobuf = runtime("cpython", 3, 12, &[("protobuf", "3.20.0")]);
    let distroless = Facts { has_shell: false, ..shop(&["python", "-m", "shop"], &["--port", "80"]) };
    check("python-no-shell", Language::Python, Some(&own_protobuf), &distroless);
    check(
        "node",
        Language::Node,
        Some(&runtime("node", 20, 11, &[])),
        &shop(&["docker-entrypoint.sh"], &["node", "."]),
    );
    check("java", Language::Java, None, &shop(&["java", "-jar", "/app.jar"], &[]));
    check("dotnet", Language::DotNet, None, &shop(&["dotnet", "Shop.dll"], &[]));
    check("ruby", Language::Ruby, None, &shop(&["/bin/sh", "-c", "exec \"puma\" \\ $PORT"], &[]));
    check("php", Language::Php, None, &shop(&["docker-php-entrypoint"], &["php-fpm"]));
    check("go", Language::Go, None, &shop(&["/shop"], &[]));
    check("unknown", Language::Unknown, None, &shop(&["/shop"], &[]));
}

#[test]
fn what_the_image_says_about_telemetry_stays() {
    let own = [
        ("OTEL_SERVICE_NAME", "till"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.version=9,team=a"),
        ("OTEL_TRACES_EXPORTER", "none"),
    ];
    let env = own.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let facts = Facts { entrypoint: words(&["java"]), env, ..Facts::default() };
    let carrier = carrier(Language::Java, None, None, &project()).expect("an agent");
    let text = stage("x", &facts, &carrier, &telemetry(), &Labels::default()).expect("a stage").dockerfile;
    for absent in ["OTEL_SERVICE_NAME", "OTEL_TRACES_EXPORTER", "service.version"] {
        assert!(!text.contains(absent), "{absent}: {text}");
    }
    assert!(text.contains("OTEL_METRICS_EXPORTER=\"otlp\""), "{text}");
}

#[test]
fn what_cannot_carry_is_refused_by_name() {
    let refused =
        |language, runtime: &Runtime| carrier(language, None, Some(runtime), &project()).expect_err("refused");
    assert!(refused(Language::Python, &runtime("cpython", 3, 8, &[])).contains("needs Python 3.10 or newer"));
    assert!(refused(Language::Python, &runtime("cpython", 3, 11, &[("ddtrace", "2")])).contains("Datadog's"));
    for (major, minor) in [(16, 20), (18, 18), (19, 9), (20, 5)] {
        assert!(refused(Language::Node, &runtime("node", major, minor, &[])).contains("18.19"), "{major}.{minor}");
    }
    let java = carrier(Language::Java, None, None, &project()).expect("an agent");
    let facts = Facts { onbuild: true, ..Facts::default() };
    assert_eq!(stage("x", &facts, &java, &telemetry(), &Labels::default()), Err(Refused::OnBuild));
    let agent = agent_image(&java).dockerfile;
    assert!(agent.contains("FROM scratch\nCOPY apm /opt/apm\nVOLUME /opt/apm\n"), "{agent}");
}

/// `LINE what`, one a place.
fn check_needs(text: &str, expect: &[&str]) {
    let found = needs_buildkit(&Dockerfile::parse(text));
    let found: Vec<String> = found.iter().map(|one| format!("{} {}", one.at.line, one.what)).collect();
    assert_eq!(found, expect, "{text}");
}

#[test]
fn what_only_buildkit_builds_has_its_line() {
    check_needs("FROM a\nRUN echo hi\nCOPY --from=0 --chown=1:1 a b\nHEALTHCHECK --interval=1s CMD true\n", &[]);
    check_needs("FROM a\n\nRUN <<EOF\necho\nEOF\n", &["3 a heredoc (`<<EOF`)"]);
    check_needs("FROM a\nCOPY <<a <<b /x/\n1\na\n2\nb\n", &["2 a heredoc (`<<a`)", "2 a heredoc (`<<b`)"]);
    check_needs(
        "FROM a\nRUN --mount=type=cache,target=/x \\\n  --network=none true\nCOPY --chmod=1 --link a b\n",
        &["2 `RUN --mount`", "3 `RUN --network`", "4 `COPY --chmod`", "4 `COPY --link`"],
    );
    check_needs("FROM --platform=$BUILDPLATFORM a\n", &["1 `$BUILDPLATFORM` in FROM"]);
    check_needs("FROM base-$TARGETSTAGE\n", &["1 `$TARGETSTAGE` in FROM"]);
    check_needs("ARG BUILDPLATFORM=linux/amd64\nFROM --platform=${BUILDPLATFORM} a\n", &[]);
    check_needs("FROM a\nONBUILD RUN --mount=type=tmpfs,target=/x true\n", &["2 `RUN --mount`"]);
}

#[test]
fn platform_arguments_that_are_asked_for() {
    let file = Dockerfile::parse("FROM a\nARG TARGETARCH\nARG TARGETPLATFORM\nARG TARGETVARIANT=v6\nARG OTHER\n");
    let found = crate::platform_arguments(&file, "linux/arm/v7");
    let expect = [("TARGETPLATFORM", "linux/arm/v7"), ("TARGETARCH", "arm")];
    assert_eq!(found, expect.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn facts_of_a_dockerfile() {
    let check = |text: &str, program: &[&str]| {
        let file = Dockerfile::parse(text);
        let facts = Facts::of(&file, &Stages::of(&file, None));
        assert_eq!(facts.program(), words(program), "{text}");
        facts
    };
    check("FROM a\nCMD [\"x\"]\nENTRYPOINT [\"python\", \"app.py\"]\n", &["python", "app.py"]);
    check("FROM a\nENTRYPOINT exec gunicorn shop:app\n", &["gunicorn", "shop:app"]);
    check("FROM a\nENTRYPOINT [\"/usr/bin/tini\", \"-g\", \"--\"]\nCMD [\"node\", \".\"]\n", &["node", "."]);
    check("FROM a AS one\nCMD [\"no\"]\nFROM a\nCMD [\"yes\"]\n", &["yes"]);
    let facts = check(
        "ARG V=7\nFROM a AS base\nENTRYPOINT [\"java\"]\nFROM base\nARG V\nENV JAVA_TOOL_OPTIONS=-Xmx${V}m\n",
        &["java"],
    );
    assert_eq!(facts.variable("JAVA_TOOL_OPTIONS"), Some("-Xmx7m"));
}

#[test]
fn what_is_sent() {
    let check = |patterns: &str, sent: &[&str], left: &[&str], pruned: &[&str]| {
        let ignored = Ignored::new(patterns, "Dockerfile");
        sent.iter().for_each(|path| assert!(ignored.sends(path), "{patterns:?} keeps {path} back"));
        left.iter().for_each(|path| assert!(!ignored.sends(path), "{patterns:?} sends {path}"));
        pruned.iter().for_each(|folder| assert!(!ignored.enters(folder), "{patterns:?} enters {folder}"));
    };
    check("", &["a", "a/b"], &[], &[]);
    check("*\n", &["Dockerfile", ".dockerignore"], &["a"], &["a"]);
    check("a/\n!a/b\n", &["a/b", "a/b/c"], &["a", "a/c"], &[]);
    // Docker does not look into a folder for a pattern that does not begin with its path.
    check("a\n!**/b\n", &[], &["a"], &["a"]);
    assert_eq!(crate::tar_dockerignore("a", "x"), "a\nx\n");
    assert_eq!(crate::tar_dockerignore("", "x"), ".dockerignore\nx\n");
}

#[test]
fn the_command_by_hand() {
    let asked = Asked {
        file: "my docker/File",
        tags: &["shop:1".to_owned()],
        args: vec!["TOKEN"],
        labels: vec![("a".into(), "it's".into())],
        ..Asked::default()
    };
    let expect =
        "DOCKER_BUILDKIT=0 docker build --file 'my docker/File' --build-arg TOKEN --label 'a=it'\\''s' --tag shop:1 .";
    assert_eq!(docker_build(&asked), expect);
}
