//! What a person gets for a project: language, packages, environment, reloader, warnings.

use super::*;

fn project(command: &str, files: &[(&str, &str)]) -> Project {
    Project {
        folder: "shop".to_owned(),
        files: files
            .iter()
            .map(|(path, text)| ProjectFile { path: (*path).to_owned(), content: Some((*text).to_owned()) })
            .collect(),
        command: command.split_whitespace().map(str::to_owned).collect(),
        program_head: None,
    }
}

fn runtime(minor: u32, installed: &[&str]) -> Runtime {
    let one = |name: &&str| Distribution { name: (*name).to_owned(), version: "1.0".to_owned() };
    Runtime {
        implementation: "cpython".to_owned(),
        major: 3,
        minor,
        abi: "cpython-311-x86_64-linux-gnu".to_owned(),
        executable: "/venv/bin/python".to_owned(),
        installed: installed.iter().map(one).collect(),
    }
}

fn settings(inherited: &[(&str, &str)]) -> Settings {
    Settings {
        otlp_endpoint: "http://127.0.0.1:4318".to_owned(),
        version: Some("0123456789ab".to_owned()),
        environment: Some("dev".to_owned()),
        instance: "i1".to_owned(),
        inherited: inherited.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..Settings::default()
    }
}

fn value<'a>(launch: &'a Launch, name: &str) -> Option<&'a str> {
    launch.env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[test]
fn language_of_a_command() {
    let check = |command: &str, files: &[&str], head: Option<&str>, expect: Language| {
        let mut project = project(command, &files.iter().map(|name| (*name, "")).collect::<Vec<_>>());
        project.program_head = head.map(str::to_owned);
        assert_eq!(detect(&project).language, expect, "{command}");
    };
    check("python app.py", &[], None, Language::Python);
    check("/opt/x/bin/python3.12 -m shop", &[], None, Language::Python);
    check("gunicorn app:app", &["package.json"], None, Language::Python);
    check("./manage.py runserver", &[], None, Language::Python);
    check("npm start", &["requirements.txt"], None, Language::Node);
    check("./server", &[], Some("#!/usr/bin/env -S python3 -u\n"), Language::Python);
    check("shopd", &[], Some("#!/bin/sh\n'''exec' \"/a long/venv/bin/python3\" \"$0\" \"$@\"\n"), Language::Python);
    check("make run", &["pyproject.toml"], None, Language::Python);
    check("./target/debug/shop", &["Cargo.toml"], None, Language::Rust);
    check("java -jar shop.jar", &[], None, Language::Java);
    check("./shop", &[], None, Language::Unknown);
}

#[test]
fn interpreter_of_a_command() {
    let check = |command: &str, head: Option<&str>, expect: &[&str]| {
        let mut project = project(command, &[]);
        project.program_head = head.map(str::to_owned);
        assert_eq!(python::interpreter_command(&project), expect, "{command}");
    };
    check("python3.12 app.py", None, &["python3.12"]);
    check("flask run", Some("#!/venv/bin/python\n"), &["/venv/bin/python"]);

    check("flask run", Some("#!/bin/sh\n'''exec' \"/x y/python\" \"$0\" \"$@\"\n"), &["/x y/python"]);
    check("uv run flask run", None, &["uv", "run", "python"]);
    check("make serve", Some("#!/bin/sh\n"), &["python3"]);
}

#[test]
fn only_what_the_program_has_is_instrumented() {
    let check = |installed: &[&str], expect: &[&str]| {
        let launch = launch(&project("python app.py", &[]), Some(&runtime(11, installed)), &settings(&[]));
        let Agent::Ready { instruments, .. } = &launch.agent else { panic!("{:?}", launch.agent) };
        assert_eq!(instruments, expect, "{installed:?}");
        let names: Vec<&str> = launch.packages.iter().map(|one| one.name.as_str()).collect();
        for always in [
            "opentelemetry-sdk",
            "opentelemetry-exporter-otlp-proto-http",
            "opentelemetry-instrumentation-logging",
            "protobuf",
        ] {
            assert!(names.contains(&always), "{always} is missing from {names:?}");
        }
        let carries = |part: &str| names.iter().any(|name| name.ends_with(part));
        assert_eq!(carries("-flask"), expect.contains(&"flask"));
        assert_eq!(carries("-asgi"), expect.iter().any(|name| matches!(*name, "fastapi" | "starlette")), "{names:?}");
        assert!(!carries("-elasticsearch"));
    };
    check(&["Flask", "Jinja2", "Werkzeug"], &["flask", "jinja2"]);
    check(&["fastapi", "starlette", "uvicorn"], &["fastapi"]);
    check(&["starlette"], &["starlette"]);
    check(&["SQLAlchemy", "psycopg2_binary", "redis"], &["sqlalchemy", "psycopg2", "redis"]);
    check(&["numpy"], &[]);
}

#[test]
fn a_program_with_its_own_protobuf_sends_json() {
    let check = |version: Option<&str>, inherited: &[(&str, &str)], expect: Option<&str>, protobuf: bool| {
        let mut runtime = runtime(11, &["flask"]);
        let own = version.map(|version| Distribution { name: "protobuf".to_owned(), version: version.to_owned() });
        runtime.installed.extend(own);
        let launch = launch(&project("python app.py", &[]), Some(&runtime), &settings(inherited));
        assert_eq!(value(&launch, "OTEL_TRACES_EXPORTER"), expect, "{version:?} {inherited:?}");
        assert_eq!(launch.packages.iter().any(|one| one.name == "protobuf"), protobuf);
    };
    check(None, &[], Some("otlp"), true);
    check(Some("3.20.3"), &[], Some("otlp_json_http"), false);
    check(Some("3.20.3"), &[("OTEL_TRACES_EXPORTER", "otlp")], Some("otlp_json_http"), false);
    check(Some("3.20.3"), &[("OTEL_TRACES_EXPORTER", "none")], None, false);
}

#[test]
fn without_an_interpreter_the_files_are_read() {
    let check = |file: &str, text: &str, expect: &[&str]| {
        let launch = launch(&project("python app.py", &[(file, text)]), None, &settings(&[]));
        let Agent::Ready { instruments, .. } = &launch.agent else { panic!("{:?}", launch.agent) };
        assert_eq!(instruments, expect, "{text}");
    };
    check("requirements.txt", "flask==3.0 # not django\nredis>=5,<6\n", &["flask", "redis"]);
    check(
        "pyproject.toml",
        "[project]\ndependencies = [\"FastAPI[standard]>=0.1\", 'SQLAlchemy']\n",
        &["fastapi", "sqlalchemy"],
    );
    check("Pipfile", "[packages]\ncelery = \"*\"\n", &["celery"]);
}

#[test]
fn the_user_s_variables_win() {
    let check = |inherited: &[(&str, &str)], name: &str, expect: Option<&str>| {
        let launch = launch(&project("python app.py", &[]), Some(&runtime(11, &["flask"])), &settings(inherited));
        assert_eq!(value(&launch, name), expect, "{name} with {inherited:?}");
    };
    let attributes = "OTEL_RESOURCE_ATTRIBUTES";
    let ours = "service.version=0123456789ab,deployment.environment.name=dev,service.instance.id=i1";
    check(&[], "OTEL_SERVICE_NAME", Some("shop"));
    check(&[("OTEL_SERVICE_NAME", "cart")], "OTEL_SERVICE_NAME", Some("cart"));
    check(&[(attributes, "service.name=cart")], "OTEL_SERVICE_NAME", Some("cart"));
    check(&[], attributes, Some(ours));
    check(
        &[(attributes, "service.version=2,team=a")],
        attributes,
        Some("service.version=2,team=a,deployment.environment.name=dev,service.instance.id=i1"),
    );
    check(&[], "OTEL_EXPORTER_OTLP_PROTOCOL", Some("http/protobuf"));
    check(&[("OTEL_LOGS_EXPORTER", "none")], "OTEL_LOGS_EXPORTER", None);
    check(&[("OTEL_LOGS_EXPORTER", "")], "OTEL_LOGS_EXPORTER", Some("otlp"));
    check(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], "OTEL_EXPORTER_OTLP_PROTOCOL", Some("http/protobuf"));
    check(
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://x:4317")],
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        None,
    );
}

#[test]
fn a_proxy_is_not_asked_for_this_machine() {
    let check = |inherited: &[(&str, &str)], expect: Option<&str>| {
        let launch = launch(&project("python app.py", &[]), None, &settings(inherited));
        assert_eq!(value(&launch, "NO_PROXY"), expect, "{inherited:?}");
    };
    let proxy = ("HTTP_PROXY", "http://proxy:3128");
    check(&[], None);
    check(&[proxy], Some("127.0.0.1,localhost"));
    check(&[proxy, ("no_proxy", ".corp")], Some(".corp,127.0.0.1,localhost"));
    check(&[proxy, ("NO_PROXY", "localhost, 127.0.0.1")], None);
    check(&[proxy, ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")], None);
}

#[test]
fn values_are_escaped_for_the_attribute_list() {
    let mut settings = settings(&[]);
    settings.environment = Some("a,b=c d".to_owned());
    let launch = launch(&project("./x", &[]), None, &settings);
    assert!(value(&launch, "OTEL_RESOURCE_ATTRIBUTES").unwrap().contains("name=a%2Cb%3Dc%20d,"), "{:?}", launch.env);
}

#[test]
fn a_service_is_named_by_its_project() {
    let check = |files: &[(&str, &str)], expect: &str| {
        assert_eq!(service_name(&project("python app.py", files), &settings(&[])), expect);
    };
    check(&[], "shop");
    check(&[("pyproject.toml", "[build-system]\nname = \"no\"\n[project]\nname = \"cart\" # here\n")], "cart");
    check(&[("pyproject.toml", "[tool.poetry]\nname='cart'\n")], "cart");
    check(&[("pyproject.toml", "[project]\nname = \n")], "shop");
    check(&[("package.json", "{ \"name\": \"@acme/web\" }")], "acme-web");
}

#[test]
fn reloaders_are_recognised() {
    let check = |command: &str, files: &[(&str, &str)], expect: Option<&str>| {
        let found = launch(&project(command, files), None, &settings(&[])).own_reloader;
        assert_eq!(found.as_deref(), expect, "{command}");
    };
    let flask = Some("Flask's debug mode reloads by itself");
    check("flask run --debug", &[], flask);
    check("python -m flask --debug run", &[], flask);
    check("uv run flask --app shop run --debug", &[], flask);
    check("flask run --debug --no-reload", &[], None);
    check("flask run", &[], None);
    check("uvicorn app:app --reload", &[], Some("`uvicorn --reload` reloads by itself"));
    check("python manage.py runserver", &[], Some("Django's `runserver` reloads by itself"));
    check("python manage.py runserver --noreload", &[], None);
    check("fastapi dev main.py", &[], Some("`fastapi dev` reloads by itself"));
    check(
        "python app.py",
        &[("app.py", "app.run(port=1,\n  debug = True)")],
        Some("`debug=True` in app.py reloads by itself"),
    );
    check("python app.py", &[("app.py", "# app.run(debug=True)\napp.run()\nother(debug=True)")], None);
    check("python app.py", &[("app.py", "app.run(debug=True, use_reloader=False)")], None);
    check("npx nodemon server.js", &[], None);
    check("nodemon server.js", &[], Some("`nodemon` restarts the program by itself"));
}

#[test]
fn traps_are_told() {
    let check = |runtime: Runtime, files: &[(&str, &str)], inherited: &[(&str, &str)], expect: &str| {
        let launch = launch(&project("python app.py", files), Some(&runtime), &settings(inherited));
        let mut said = launch.warnings.join("\n");
        if let Agent::Refused { why } = &launch.agent {
            assert!(launch.packages.is_empty());
            said.push_str(why);
        }
        assert!(said.contains(expect), "{said}\nlacks: {expect}");
    };
    check(runtime(8, &["flask"]), &[], &[], "is Python 3.8; the agent needs Python 3.10 or newer");
    check(runtime(11, &["flask", "ddtrace"]), &[], &[], "Datadog's agent (ddtrace) is installed");
    check(
        runtime(11, &[]),
        &[("requirements.txt", "Flask\n")],
        &[],
        "asks for flask, which /venv/bin/python does not have",
    );
    check(runtime(11, &["numpy"]), &[], &[], "No web framework");
    check(
        runtime(11, &["flask"]),
        &[],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")],
        "Telemetry goes to http://c:4318",
    );
}

#[test]
fn a_language_without_recipe_gets_the_environment() {
    let launch = launch(&project("npm start", &[]), None, &settings(&[]));
    assert_eq!(
        launch.agent,
        Agent::NotYetInstrumented { why: "Node.js programs are not yet instrumented without code changes".to_owned() }
    );
    assert_eq!(value(&launch, "OTEL_EXPORTER_OTLP_ENDPOINT"), Some("http://127.0.0.1:4318"));
    assert!(launch.packages.is_empty() && launch.shim.is_empty());
}

#[test]
fn the_agent_comes_before_the_user_s_pythonpath() {
    let at = Places { agent_dir: "/c/agent", shim_dir: "/c/shim", status_file: "/c/status" };
    let settings = settings(&[("PYTHONPATH", "src:lib")]);
    let runtime = runtime(11, &["flask"]);
    let launch = launch(&project("python app.py", &[]), Some(&runtime), &settings);
    let env = recipe(Language::Python).unwrap().agent_env(&launch, &runtime, &settings, at);
    let value = |name: &str| env.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    // The agent's folder itself is NOT on the path: it would shadow the program's own packages.
    assert_eq!(value("PYTHONPATH"), Some("/c/shim:src:lib"));
    assert_eq!(value("APM_RUN_AGENT"), Some("/c/agent"));
    assert_eq!(value("APM_RUN_PYTHON"), Some("cpython-3.11"));
}

#[test]
fn a_server_is_told_from_a_job() {
    let check = |command: &str, source: &str, expect: bool| {
        let launch = launch(&project(command, &[("app.py", source)]), None, &settings(&[]));
        assert_eq!(launch.is_service, expect, "{command}");
    };
    check("gunicorn app:app", "", true);
    check("python -m celery -A app worker", "", true);
    check("python app.py", "app.run()", true);
    check("python app.py", "print(1)", false);
    check("python manage.py migrate", "", false);
    check("pytest", "", false);
}
