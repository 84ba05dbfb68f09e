//! What all of these tests need: the engine, an image built of the machine's static busybox, containers that run a line of shell, and a way to wait.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use connect_docker::{BuildOptions, ContainerSpec, Engine, Progress, Result, Surroundings, find};
use futures_util::{StreamExt, TryStreamExt};

pub(crate) const GRACE: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn engine() -> Engine {
    let host = std::env::var("APM_TEST_DOCKER_HOST");
    let host = host.expect("APM_TEST_DOCKER_HOST is not set: these tests are run by `cargo xtask journeys`");
    let surroundings = Surroundings { docker_host: Some(host), ..Default::default() };
    Engine::new(find(&surroundings, &*base_world::World::real().disk).expect("a good address")).expect("no TLS")
}

pub(crate) const DOCKERFILE: &str = "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nENV BASE=1\nCMD [\"sh\"]\n";

pub(crate) async fn build(engine: &Engine, tag: &str, dockerfile: &str) -> Result<Vec<Progress>> {
    let options = BuildOptions { tags: vec![tag.into()], labels: label("made-by", "real"), ..Default::default() };
    engine.build(&options, pieces(context(dockerfile))).await?.try_collect().await
}

/// The image all tests use; built by whoever comes first.
pub(crate) async fn image(engine: &Engine) -> &'static str {
    static BUILT: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    const TAG: &str = "real/busybox:1";
    BUILT.get_or_init(|| async { drop(build(engine, TAG, DOCKERFILE).await.expect("it builds")) }).await;
    TAG
}

pub(crate) fn label(key: &str, value: &str) -> BTreeMap<String, String> {
    [(key.to_owned(), value.to_owned())].into()
}

pub(crate) fn words(text: &str) -> Vec<String> {
    ["sh", "-c", text].map(str::to_owned).to_vec()
}

/// A container that runs a line of shell.
pub(crate) async fn spec(engine: &Engine, name: &str, line: &str) -> ContainerSpec {
    ContainerSpec {
        name: name.into(),
        image: image(engine).await.into(),
        command: Some(words(line)),
        init: true,
        ..Default::default()
    }
}

pub(crate) async fn run(engine: &Engine, spec: &ContainerSpec) {
    engine.remove_container_if_there(&spec.name).await.expect("away");
    engine.create_container(spec).await.expect("made");
    assert!(engine.start_container(&spec.name).await.expect("started"));
}

/// Looks until it is so; each look is a call to the engine, which takes its time.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looks = async {
        loop {
            match look().await {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(MINUTE, looks).await.unwrap_or_else(|_| panic!("a minute passed, and still not: {what}"))
}

/// The context of an image: a tar file of its Dockerfile and busybox.
pub(crate) fn context(dockerfile: &str) -> Vec<u8> {
    let busybox = std::fs::read("/bin/busybox").expect("Debian's busybox-static");
    let mut tar = Vec::new();
    for (name, mode, body) in [("Dockerfile", 0o644, dockerfile.as_bytes()), ("busybox", 0o755, &busybox[..])] {
        tar.extend(tar_header(name, mode, body.len()));
        tar.extend(body);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// POSIX ustar: numbers in octal, a sum over the header with its own place as blanks.
pub(crate) fn tar_header(name: &str, mode: u32, len: usize) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |at: usize, text: &str| (&mut header[at..]).write_all(text.as_bytes()).expect("it fits");
    put(0, name);
    put(100, &format!("{mode:07o}"));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{len:011o}"));
    put(136, "00000000000");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    (&mut header[148..]).write_all(format!("{sum:06o}\0 ").as_bytes()).expect("it fits");
    header
}

pub(crate) fn pieces(bytes: Vec<u8>) -> futures_util::stream::BoxStream<'static, std::io::Result<Bytes>> {
    let pieces: Vec<_> = bytes.chunks(64 << 10).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    futures_util::stream::iter(pieces).boxed()
}
