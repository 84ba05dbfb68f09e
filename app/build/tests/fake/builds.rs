//! Images with an agent, of each language and each way to bring it; and builds that come to nothing.

use app_build::{BuildError, Line, Options, preview};
use connect_docker_fake::Fault;
use operate_build::Inject;
use serde_json::json;

use crate::rig::{Rig, is_cached, query};

/// A project, its file, and what the generated stage must and must not have.
async fn check(base: &str, file: &str, agent: (&str, &str), language: &str, stage: &[&str], files: &[&str]) {
    let rig = Rig::new();
    rig.bases();
    let mut options = rig.project(&format!("FROM {base}\nARG TARGETARCH\nCOPY . /app\n"), file);
    rig.write("agent/index.js.map", "for editors");
    let path = rig.write(&format!("agent/{}", agent.0), agent.1);
    options.agent = Some(if language == "Java" { path } else { rig.path("agent") });
    let (built, said) = rig.build(&options).await;
    let built = built.expect("built");
    assert_eq!((built.language, built.inject, &built.tags), (language, "build", &options.tags));
    assert_ne!(built.image, built.own_image);
    // Two builds: theirs as it is, then the stage behind what came of it.
    let [own, behind] = &*rig.fake.builds() else { panic!("{:?}", rig.fake.builds()) };
    assert_eq!((own.id.as_ref(), behind.id.as_ref()), (Some(&built.own_image), Some(&built.image)));
    assert!(query(own, "buildargs").contains(r#""TARGETARCH":"amd64""#), "{:?}", own.query);
    assert!(own.files.contains(&format!("/{file}")), "{:?}", own.files);
    assert!(behind.dockerfile.contains(&format!("FROM {}\n", built.own_image)), "{}", behind.dockerfile);
    for wanted in stage {
        assert!(behind.dockerfile.contains(wanted), "`{wanted}` is not in\n{}", behind.dockerfile);
    }
    for wanted in files {
        assert!(behind.files.iter().any(|file| file == wanted), "`{wanted}` is not in {:?}", behind.files);
    }
    assert!(
        !behind.files.iter().any(|file| file.ends_with(".map")),
        "what serves editors is carried: {:?}",
        behind.files
    );
    assert_eq!(built.stage.as_ref(), Some(&behind.dockerfile));
    assert!(rig.has_image("r.example.org/shop/cart:1.2").await && !is_cached(&options.cache));
    assert!(
        said.iter().any(|line| matches!(line, Line::Output(text) if text.starts_with("Step 1/3 : FROM"))),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_java_image_gets_its_agent_by_the_options_it_has() {
    let stage = ["-javaagent:", "opentelemetry-javaagent.jar", "$JAVA_TOOL_OPTIONS", "service.version=1.2"];
    let files = ["/apm/agent/opentelemetry-javaagent.jar"];
    check("temurin:21", "pom.xml", ("own.jar", "PK"), "Java", &stage, &files).await;
}

#[tokio::test]
async fn a_node_image_gets_its_agent_before_the_options_it_has() {
    let stage = ["--import=file:///opt/apm/agent/apm.mjs", "$NODE_OPTIONS"];
    check(
        "node:20",
        "package.json",
        ("node_modules/x/index.js", "1"),
        "Node.js",
        &stage,
        &["/apm/agent/node_modules/x/index.js"],
    )
    .await;
}

#[tokio::test]
async fn a_python_image_is_asked_for_its_interpreter() {
    let stage = [r#"ENTRYPOINT ["/opt/apm/entry"]"#, r#"CMD ["python3", "app.py"]"#, "PYTHONPATH"];
    check(
        "python:3.11",
        "requirements.txt",
        ("opentelemetry/__init__.py", ""),
        "Python",
        &stage,
        &["/apm/agent/opentelemetry/__init__.py"],
    )
    .await;
}

/// A project on `python:3.11` with a given agent.
fn python(rig: &Rig, inject: Inject) -> Options {
    rig.bases();
    let options = rig.project("FROM python:3.11\nCOPY . /app\n", "app.py");
    rig.write("agent/opentelemetry/__init__.py", "");
    Options { agent: Some(rig.path("agent")), inject, ..options }
}

#[tokio::test]
async fn without_an_agent_it_is_their_own_build_with_names_and_labels() {
    let rig = Rig::new();
    let (built, _) = rig.build(&python(&rig, Inject::None)).await;
    let built = built.expect("built");
    assert_eq!((built.image == built.own_image, built.service.as_str()), (true, "shop"));
    let [own] = &*rig.fake.builds() else { panic!("{:?}", rig.fake.builds()) };
    assert!(query(own, "labels").contains("1.2"), "{:?}", own.query);
}

#[tokio::test]
async fn a_volume_is_filled_once_and_never_with_another_agent() {
    let rig = Rig::new();
    let options = python(&rig, Inject::Volume);
    let (built, _) = rig.build(&options).await;
    let built = built.expect("built");
    let name = built.agent_in.clone().expect("a volume");
    let files = rig.fake.volume_files(&name).expect("it is there");
    assert!(files.iter().any(|file| file.ends_with("/agent/opentelemetry/__init__.py")), "{files:?}");
    let words = built.run_words.join(" ");
    assert!(words.contains(&format!("--volume {name}:")) && words.contains("--env PYTHONPATH="), "{words}");
    assert_eq!(built.image, built.own_image, "their image stays as it is");

    let writes = |rig: &Rig| rig.fake.asked().iter().filter(|line| line.starts_with("PUT ")).count();
    assert_eq!(writes(&rig), 1);
    rig.build(&options).await.0.expect("built again");
    assert_eq!(writes(&rig), 1, "containers may run with what is in it");

    rig.write("shop/Dockerfile", "FROM node:20\nCOPY . /app\n");
    let (refused, _) = rig.build(&options).await;
    let error = refused.expect_err("it holds Python's");
    assert!(matches!(&error, BuildError::VolumeTaken { name: taken, .. } if *taken == name), "{error:?}");
    assert!(error.report().hint.is_some_and(|hint| hint.contains(&format!("docker volume rm {name}"))));
}

#[tokio::test]
async fn half_an_agent_is_not_taken_for_one() {
    let rig = Rig::new();
    let options = python(&rig, Inject::Volume);
    rig.fake.fail("PUT /containers/", 1, Fault::Refuse(500, "write: no space left on device"));
    let (failed, _) = rig.build(&options).await;
    let error = failed.expect_err("the disk is full");
    assert!(error.to_string().contains("no space left"), "{error}");
    assert!(!rig.fake.asked().iter().any(|line| line.ends_with("/tag")), "what failed has no name");
    let (built, _) = rig.build(&options).await;
    let name = built.expect("built").agent_in.expect("a volume");
    assert!(rig.fake.volume_files(&name).is_some_and(|files| !files.is_empty()), "it is filled now");
}

#[tokio::test]
async fn an_image_of_its_own_holds_the_agent_beside_theirs() {
    let rig = Rig::new();
    let (built, _) = rig.build(&python(&rig, Inject::SideContainer)).await;
    let built = built.expect("built");
    assert_eq!(built.agent_in.as_deref(), Some("apm-agent/shop:1.2"));
    assert!(built.run_words.join(" ").contains("--volumes-from AGENT:ro"), "{:?}", built.run_words);
    let [_, agent] = &*rig.fake.builds() else { panic!("{:?}", rig.fake.builds()) };
    assert!(!agent.dockerfile.contains(&built.own_image), "it is not theirs:\n{}", agent.dockerfile);
    assert_eq!(query(agent, "t"), "apm-agent/shop:1.2");
}

/// The words of an error and of its hint, where a build comes to nothing; no image is named.
async fn check_fails(rig: &Rig, options: &Options, words: &str, hint: &str) -> BuildError {
    let (failed, said) = rig.build(options).await;
    let error = failed.expect_err("it must not be built");
    let report = error.report();
    assert!(report.one_line().contains(words), "`{words}` is not in {report}; {said:?}");
    assert!(report.hint.clone().unwrap_or_default().contains(hint), "`{hint}` is not in {report}");
    assert!(!rig.has_image("r.example.org/shop/cart:1.2").await, "what failed has a name");
    error
}

#[tokio::test]
async fn a_build_that_fails_says_where_and_names_nothing() {
    let rig = Rig::new();
    let options = |text: &str| Options { inject: Inject::None, ..rig.project(text, "app.py") };
    rig.bases();
    check_fails(&rig, &options("FROM node:20\nRUN false\n"), "ended in Step 2/2 : RUN false", "").await;
    check_fails(&rig, &options("FROM nobody/has:1\n"), "nobody/has:1", "").await;
    let fine = options("FROM node:20\n");
    rig.fake.fail("POST /build", 1, Fault::HangUp);
    check_fails(&rig, &fine, "the build ended", "build again when it is back").await;
    rig.fake.fail("POST /build", 1, Fault::Garbage);
    check_fails(&rig, &fine, "the build ended", "").await;
    rig.fake.fail("POST /images/", 1, Fault::Refuse(500, "no space left on device"));
    check_fails(&rig, &fine, "no space left", "").await;
    rig.build(&fine).await.0.expect("it is built when nothing goes wrong");
}

#[tokio::test]
async fn what_cannot_be_built_is_refused_before_anything_is_sent() {
    let rig = Rig::new();
    rig.bases();
    let error = check_fails(
        &rig,
        &rig.project("FROM node:20\nRUN --mount=type=cache,target=/x true\n", "app.js"),
        "line 2 has",
        "buildx",
    )
    .await;
    assert!(error.is_refusal());
    let error = check_fails(&rig, &rig.project("# escape=x\nFROM node:20\n", "app.js"), "line 1", "").await;
    assert!(matches!(error, BuildError::Malformed { line: 1, .. }) && error.is_refusal(), "{error:?}");
    let mut options = rig.project("FROM node:20\n", "app.js");
    options.file = Some(rig.path("none"));
    let error = check_fails(&rig, &options, "none cannot be read", "").await;
    assert!(matches!(error, BuildError::Unreadable { .. }) && !error.is_refusal(), "{error:?}");
    assert_eq!(rig.fake.asked(), ["GET /images/r.example.org/shop/cart:1.2/json"; 3], "the engine was asked for more");
}

#[tokio::test]
async fn an_image_that_does_not_say_what_it_is_gets_no_agent() {
    let rig = Rig::new();
    rig.bases();
    let options = rig.project("FROM strange:1\n", "app.py");
    let error = check_fails(&rig, &options, "exit code 127: not found", "--inject none").await;
    assert!(matches!(error, BuildError::NoAgent { .. }), "{error:?}");
    let mut options = rig.project("FROM node:20\n", "package.json");
    options.agent = Some(rig.write("agent.zip", "PK"));
    check_fails(&rig, &options, "agent.zip is no folder", "--agent").await;
    // What is asked runs in a container, and that goes even when the engine fails in between.
    rig.fake.fail("POST /containers/", 1, Fault::Refuse(500, "cannot make it"));
    check_fails(&rig, &options, "cannot make it", "").await;
    rig.fake.fail("/archive", 1, Fault::Refuse(500, "cannot look"));
    check_fails(&rig, &options, "apm-look-", "").await;
}

#[tokio::test]
async fn an_image_without_a_program_that_can_be_instrumented_is_told() {
    let rig = Rig::new();
    rig.base("go:1", json!({"Cmd": ["/shop"]}), vec![]);
    let (built, said) = rig.build(&rig.project("FROM go:1\n", "go.mod")).await;
    assert_eq!(built.expect("built").language, "Go");
    assert!(said.iter().any(|line| matches!(line, Line::Warning(text) if text.starts_with("no agent: "))), "{said:?}");
    // A base that does things when others build on it would do them to our stage.
    rig.base("onbuild:1", json!({"Cmd": ["java", "-jar", "x.jar"], "OnBuild": ["RUN make"]}), vec![]);
    let mut options = rig.project("FROM onbuild:1\n", "pom.xml");
    options.agent = Some(rig.write("own.jar", "PK"));
    options.tags.clear();
    let (refused, _) = rig.build(&options).await;
    let error = refused.expect_err("refused");
    assert!(error.is_refusal() && error.report().hint.is_some_and(|hint| hint.contains("--inject volume")), "{error}");
}

/// The commands and files that a preview shows for this way to bring an agent.
fn check_preview(inject: Inject, commands: usize, stage: Option<&str>) {
    let rig = Rig::new();
    let options = Options { inject, ..rig.project("FROM node:20\nCMD [\"node\", \"server.js\"]\n", "package.json") };
    let shown = preview(&rig.world, &options).expect("a preview");
    assert_eq!((shown.language, shown.inject, shown.commands.len()), ("Node.js", inject.word(), commands), "{shown:?}");
    assert!(shown.commands.iter().all(|command| command.contains("docker build ")), "{:?}", shown.commands);
    match stage {
        Some(words) => assert!(shown.stage.as_ref().is_some_and(|text| text.contains(words)), "{:?}", shown.stage),
        None => assert_eq!(shown.stage, None),
    }
    assert!(rig.fake.asked().is_empty(), "a preview asks nobody");
}

#[test]
fn a_preview_shows_what_would_be_built_and_asks_nobody() {
    check_preview(Inject::None, 1, None);
    check_preview(Inject::Volume, 1, None);
    check_preview(Inject::Build, 2, Some("FROM IMAGE\n"));
    check_preview(Inject::SideContainer, 2, Some("VOLUME"));
}
