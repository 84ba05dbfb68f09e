//! A front that was killed comes up as it was; one that is told to end lets its requests end.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use app_gateway::control::{Client, ControlError};
use app_gateway::{Front, FrontError};
use base_world::World;

use crate::stage::{PATIENCE, Server, Stage, options, status};

/// Set for the child that is the front.
const FOLDER: &str = "APM_TEST_FRONT_FOLDER";

/// No test of its own: the process that the others start and kill.
#[test]
fn front_process() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let _front = Front::start(World::real(), options(Path::new(&folder))).await.unwrap();
        std::future::pending::<()>().await;
    });
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(folder: &Path) -> Process {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "restart::front_process", "--nocapture"]).env(FOLDER, folder);
    Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

async fn reached(control: &Client) -> app_gateway::State {
    let waited = async {
        loop {
            match control.get().await {
                Ok(state) => return state,
                Err(ControlError::Unreachable { .. } | ControlError::Broken { .. }) => {
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.expect("the front comes up")
}

#[tokio::test]
async fn killed_at_any_moment_it_comes_up_with_the_last_set_that_was_acknowledged() {
    let (blue, green) = (Server::start("blue").await, Server::start("green").await);
    let folder = tempfile::tempdir().unwrap();
    let control = Client::new(folder.path().join("front.sock"));
    let mut acknowledged = 0;
    for round in 0..8_u64 {
        let process = start(folder.path());
        let state = reached(&control).await;
        // The last one may have been kept without its answer being heard.
        assert!([acknowledged, acknowledged + 1].contains(&state.generation), "{acknowledged}: {state:?}");
        if state.generation > 0 {
            let weight = u64::from(state.upstreams[0].upstream.weight);
            assert_eq!(weight, state.generation, "another set came up: {state:?}");
            let name = if state.generation.is_multiple_of(2) { "green" } else { "blue" };
            let answer = crate::stage::get(state.listen.parse().unwrap(), "/").await;
            assert_eq!((status(&answer), crate::stage::body(&answer)), (200, name));
        }
        acknowledged = state.generation;
        // Switches as fast as it can, and is killed in the middle of them.
        let switching = async {
            loop {
                let next = acknowledged + 1;
                let server = if next.is_multiple_of(2) { &green } else { &blue };
                match control.set(acknowledged, vec![server.spec(u32::try_from(next).unwrap())]).await {
                    Ok(state) => acknowledged = state.generation,
                    Err(_) => return,
                }
            }
        };
        let killing = async {
            tokio::time::sleep(std::time::Duration::from_millis(20 + 13 * round)).await;
            tokio::task::spawn_blocking(move || drop(process)).await.unwrap();
        };
        tokio::join!(switching, killing);
    }
    assert!(acknowledged > 8, "it switched {acknowledged} times");
}

#[tokio::test]
async fn told_to_end_it_ends_its_requests_first() {
    let blue = Server::start("blue").await;
    let mut stage = Stage::new(vec![blue.spec(1)]).await;
    let mut wire = stage.connect().await;
    wire.send("GET /slow?300 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    while blue.begun() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let mut idle = stage.connect().await;
    idle.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    idle.answer().await;
    stage.front.take().unwrap().stop().await;
    assert_eq!(wire.answer().await.1, "blue");
    assert_eq!(idle.closing().await, "");
    assert!(tokio::net::TcpStream::connect(stage.address).await.is_err(), "it still listens");
    assert!(stage.control.get().await.unwrap_err().is_unreachable());
    // The socket that is left behind by a killed one is in nobody's way; here it is gone.
    assert!(!crate::stage::socket(&stage.folder).exists());
}

#[tokio::test]
async fn a_damaged_state_is_named_and_not_taken_for_none() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("front.state"), "apm-front-state 1 00000000\n{}\n").unwrap();
    let error = Front::start(World::real(), options(folder.path())).await.err().unwrap();
    assert!(matches!(error, FrontError::State(_)), "{error}");
    assert!(error.to_string().contains("its checksum differs; remove it"), "{error}");
}
