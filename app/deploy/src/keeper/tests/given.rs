//! How long files live that were sent with a compose project.

use std::collections::BTreeSet;

use super::*;
use crate::{ComposeAsk, Sent};

/// A project whose one service reads a secret.
fn sent(folder: &Path, image: &str, secret: &str) -> Sent {
    let disk = World::real().disk;
    let compose = format!(
        "name: shop\nservices: {{ cart: {{ image: '{image}', network_mode: host, secrets: [password] }} }}\nsecrets: {{ password: {{ file: ./password }} }}\n"
    );
    for (name, text) in [("compose.yaml", compose.as_str()), ("password", secret)] {
        base_world::replace_file(&*disk, &folder.join(name), text.as_bytes()).expect("written");
    }
    let environment = BTreeMap::new();
    let files = vec![folder.join("compose.yaml")];
    let ask = ComposeAsk { files, profiles: Vec::new(), environment: &environment, disk: &*disk };
    Sent::read(&ask, None).unwrap_or_else(|report| panic!("{report}")).0
}

/// What the engine's own file says beside it.
fn settings() -> String {
    "project: shop\nservices:\n  cart: { deploy: { judged: false, ready: 60s } }\n".to_owned()
}

impl Rig {
    /// What is kept.
    fn given(&self) -> BTreeSet<String> {
        let disk = World::real().disk;
        let folder =
            crate::compose::given_folder(&self.folder.path().join("state"), &self.history().display().to_string());
        let read = |path: PathBuf| String::from_utf8(disk.read(&path, 99).expect("a file")).expect("text");
        let files = disk.list(&folder).unwrap_or_default().into_iter().flat_map(|entry| {
            let below = folder.join(entry.name);
            disk.list(&below).expect("a folder").into_iter().map(move |file| below.join(file.name)).collect::<Vec<_>>()
        });
        files.map(read).collect()
    }
}

impl Life {
    async fn send(&self, sent: &Sent) -> RunId {
        self.keeper
            .begin_sent(&asked(), None, "deployer", sent)
            .await
            .unwrap_or_else(|error| panic!("{}", error.report()))
    }

    async fn sent(&self, sent: &Sent, status: Status) {
        let run = self.send(sent).await;
        let ended = self.end(&run).await;
        assert_eq!(ended, status, "{:#?}", self.entries(&run).await);
        self.idle().await;
        self.keeper.clear().await.expect("a look");
    }
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

#[tokio::test]
async fn files_that_were_sent_live_as_long_as_they_are_needed() {
    let rig = Rig::new();
    *rig.settings.lock() = settings();
    let here = TempDir::new().unwrap();
    let life = rig.life("apm 1", 0);
    life.sent(&sent(here.path(), "shop/cart:1", "one"), Status::Complete).await;
    assert_eq!(rig.given(), set(["one"]));
    life.sent(&sent(here.path(), "shop/cart:2", "two"), Status::Complete).await;
    assert_eq!(rig.given(), set(["two"]), "the version before is gone, and its file is not");
    // A release that is undone leaves the old one's, and not its own.
    rig.paper.answers.store(false, Ordering::Relaxed);
    let third = life.send(&sent(here.path(), "shop/cart:3", "three")).await;
    life.until(&third, |event| matches!(event, Event::StepBegun { .. })).await;
    life.keeper.clear().await.expect("a look");
    assert_eq!(rig.given(), set(["three", "two"]), "taken from a run that goes on");
    life.order(&third, Order::Cancel).await.expect("an order");
    rig.paper.answers.store(true, Ordering::Relaxed);
    assert_eq!(life.end(&third).await, Status::RolledBack);
    life.idle().await;
    life.keeper.clear().await.expect("a look");
    assert_eq!(rig.given(), set(["two"]));
}

#[tokio::test]
async fn what_a_killed_engine_left_is_removed_by_the_next() {
    let rig = Rig::new();
    *rig.settings.lock() = settings();
    let here = TempDir::new().unwrap();
    let life = rig.life("apm 1", 0);
    life.sent(&sent(here.path(), "shop/cart:1", "one"), Status::Complete).await;
    // It ended between the files and their run.
    let left = sent(here.path(), "shop/cart:2", "left");
    let inner = &life.keeper.0;
    left.keep(&left.place(&inner.state_folder, &inner.history), &*inner.world.disk).expect("kept");
    // So do those of another project's engine, which are not ours to remove.
    left.keep(&left.place(&inner.state_folder, "other.db"), &*inner.world.disk).expect("kept");
    drop(life);
    let next = rig.life("apm 2", 0);
    next.keeper.clear().await.expect("a look");
    assert_eq!(rig.given(), set(["one"]));
    let other = crate::compose::given_folder(&rig.folder.path().join("state"), "other.db");
    assert_eq!(World::real().disk.list(&other).expect("a folder").len(), 1);
}
