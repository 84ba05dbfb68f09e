//! The key that seals: made once, for its owner's eyes, never replaced.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base_world::os::{OsDisk, OsRandom};
use operate_execute::Seal;
use operate_history::seal_key;

fn key(folder: &Path) -> Result<[u8; 32], String> {
    seal_key(&OsDisk, &OsRandom, folder).map_err(|error| error.to_string())
}

fn check_refused(folder: &Path, expect: &str) {
    let before = std::fs::read(folder.join("seal.key")).expect("it is there");
    let refused = key(folder).expect_err("refused");
    assert!(refused.contains(expect), "{refused}\nshould speak of {expect}");
    assert_eq!(std::fs::read(folder.join("seal.key")).expect("still there"), before, "it was overwritten");
}

#[test]
fn a_key_is_made_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let state = folder.path().join("state/apm");
    let made = key(&state).expect("made");
    assert_ne!(made, [0; 32]);
    assert_eq!(key(&state).expect("read"), made);
    let file = state.join("seal.key");
    assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(&state).expect("listed").count(), 1, "something is left beside it");
    Seal::new(&made, std::sync::Arc::new(OsRandom)).expect("a key that seals");
    let other = key(&folder.path().join("another")).expect("made");
    assert_ne!(other, made, "two users have the same key");
}

#[test]
fn a_key_that_is_not_right_is_refused_and_never_replaced() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("seal.key");
    key(folder.path()).expect("made");
    let rights = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("set");
    for mode in [0o640, 0o604, 0o666] {
        rights(mode);
        check_refused(folder.path(), &format!("others may read it (its mode is {mode:o}): run `chmod 600 "));
    }
    rights(0o600);
    for bytes in [0, 31, 33, 64] {
        std::fs::write(&file, vec![7; bytes]).expect("written");
        check_refused(folder.path(), &format!("has {bytes} bytes, and a key has 32"));
    }
    std::fs::write(&file, vec![7; 5_000]).expect("written");
    check_refused(folder.path(), "5000 bytes");
}

#[test]
fn many_who_come_first_get_the_same_key() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let start = std::sync::Barrier::new(8);
        let keys: Vec<[u8; 32]> = std::thread::scope(|scope| {
            let comers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        key(folder.path()).expect("a key")
                    })
                })
                .collect();
            comers.into_iter().map(|comer| comer.join().expect("no panic")).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 1, "something is left beside it");
    }
}
