//! Which instrumentation belongs to which installed package. Does not know versions: the instrumentations check those when
//! they start and say what they skipped.

use crate::{Project, Runtime, canonical};

/// One instrumentation: the packages that call for it (any of them), its name for people, its distribution.
pub(super) struct Instrumentation {
    pub(super) name: &'static str,
    pub(super) packages: &'static [&'static str],
    pub(super) distribution: &'static str,
    /// Answers requests, so a first request gives a first span.
    pub(super) is_server: bool,
}

const fn server(name: &'static str, packages: &'static [&'static str], distribution: &'static str) -> Instrumentation {
    Instrumentation { name, packages, distribution, is_server: true }
}

const fn client(name: &'static str, packages: &'static [&'static str], distribution: &'static str) -> Instrumentation {
    Instrumentation { name, packages, distribution, is_server: false }
}

/// In the standard library, so always there. `logging` ships the handler that carries log records.
pub(super) const ALWAYS: &[Instrumentation] = &[
    client("logging", &[], "opentelemetry-instrumentation-logging"),
    client("sqlite3", &[], "opentelemetry-instrumentation-sqlite3"),
    client("threading", &[], "opentelemetry-instrumentation-threading"),
    client("urllib", &[], "opentelemetry-instrumentation-urllib"),
];

pub(super) const BY_PACKAGE: &[Instrumentation] = &[
    server("flask", &["flask"], "opentelemetry-instrumentation-flask"),
    server("fastapi", &["fastapi"], "opentelemetry-instrumentation-fastapi"),
    server("starlette", &["starlette"], "opentelemetry-instrumentation-starlette"),
    server("django", &["django"], "opentelemetry-instrumentation-django"),
    server("falcon", &["falcon"], "opentelemetry-instrumentation-falcon"),
    server("pyramid", &["pyramid"], "opentelemetry-instrumentation-pyramid"),
    server("tornado", &["tornado"], "opentelemetry-instrumentation-tornado"),
    server("aiohttp server", &["aiohttp"], "opentelemetry-instrumentation-aiohttp-server"),
    server("grpc", &["grpcio"], "opentelemetry-instrumentation-grpc"),
    server("celery", &["celery"], "opentelemetry-instrumentation-celery"),
    server("kafka-python", &["kafka-python", "kafka-python-ng"], "opentelemetry-instrumentation-kafka-python"),
    server("confluent-kafka", &["confluent-kafka"], "opentelemetry-instrumentation-confluent-kafka"),
    server("pika", &["pika"], "opentelemetry-instrumentation-pika"),
    server("aio-pika", &["aio-pika"], "opentelemetry-instrumentation-aio-pika"),
    client("requests", &["requests"], "opentelemetry-instrumentation-requests"),
    client("urllib3", &["urllib3"], "opentelemetry-instrumentation-urllib3"),
    client("httpx", &["httpx"], "opentelemetry-instrumentation-httpx"),
    client("aiohttp client", &["aiohttp"], "opentelemetry-instrumentation-aiohttp-client"),
    client("sqlalchemy", &["sqlalchemy"], "opentelemetry-instrumentation-sqlalchemy"),
    client("psycopg", &["psycopg"], "opentelemetry-instrumentation-psycopg"),
    client("psycopg2", &["psycopg2", "psycopg2-binary"], "opentelemetry-instrumentation-psycopg2"),
    client("asyncpg", &["asyncpg"], "opentelemetry-instrumentation-asyncpg"),
    client("aiopg", &["aiopg"], "opentelemetry-instrumentation-aiopg"),
    client("mysql", &["mysql-connector-python"], "opentelemetry-instrumentation-mysql"),
    client("mysqlclient", &["mysqlclient"], "opentelemetry-instrumentation-mysqlclient"),
    client("pymysql", &["pymysql"], "opentelemetry-instrumentation-pymysql"),
    client("pymongo", &["pymongo"], "opentelemetry-instrumentation-pymongo"),
    client("cassandra", &["cassandra-driver", "scylla-driver"], "opentelemetry-instrumentation-cassandra"),
    client("redis", &["redis"], "opentelemetry-instrumentation-redis"),
    client("pymemcache", &["pymemcache"], "opentelemetry-instrumentation-pymemcache"),
    client("botocore", &["botocore"], "opentelemetry-instrumentation-botocore"),
    client("jinja2", &["jinja2"], "opentelemetry-instrumentation-jinja2"),
];

/// The instrumentations a program needs, from what its interpreter has; from the project's files where it could not be asked.
pub(super) fn needed(project: &Project, runtime: Option<&Runtime>) -> Vec<&'static Instrumentation> {
    let present: Vec<String> = match runtime {
        Some(runtime) => runtime.installed.iter().map(|one| canonical(&one.name)).collect(),
        None => declared(project),
    };
    let hit = |one: &&Instrumentation| one.packages.iter().any(|name| present.iter().any(|have| have == name));
    let mut found: Vec<&Instrumentation> = BY_PACKAGE.iter().filter(hit).collect();
    // FastAPI is built on Starlette and its instrumentation covers both; two would make two spans of a request.
    if found.iter().any(|one| one.name == "fastapi") {
        found.retain(|one| one.name != "starlette");
    }
    found
}

/// Frameworks that the project's files ask for but its interpreter lacks: the usual sign of the wrong virtual environment.
pub(super) fn declared_but_missing(project: &Project, runtime: &Runtime) -> Vec<&'static str> {
    let declared = declared(project);
    BY_PACKAGE
        .iter()
        .filter(|one| one.is_server)
        .filter(|one| one.packages.iter().any(|name| declared.iter().any(|have| have == name)))
        .filter(|one| one.packages.iter().all(|name| runtime.version_of(name).is_none()))
        .map(|one| one.name)
        .collect()
}

/// Package names in requirements files, pyproject.toml, Pipfile, setup.py and setup.cfg. A rough reading that may find too
/// much: it is only ever compared with the names above.
pub(super) fn declared(project: &Project) -> Vec<String> {
    let mut names = Vec::new();
    let is_list =
        |path: &str| path.ends_with(".txt") || matches!(path, "pyproject.toml" | "Pipfile" | "setup.py" | "setup.cfg");
    for (_, text) in project.contents(is_list) {
        for line in text.lines() {
            let code = line.split('#').next().unwrap_or("");
            for word in code.split(['"', '\'', ',', '=', '[', ']', '(', ')', '<', '>', '~', '!', ';', ' ', '\t']) {
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
                if !word.is_empty() && word.chars().all(plain) {
                    names.push(canonical(word));
                }
            }
        }
    }
    names
}
