//! An engine in memory for each test, with the images of the real tests.

use connect_docker_fake::{FakeEngine, ImageSpec, Program};

/// Cases of a sweep that are played side by side: most of their time is waiting for a lease.
pub(crate) const LANES: u64 = 12;

pub(crate) struct Here(pub(crate) FakeEngine);

impl Here {
    pub(crate) fn new() -> Here {
        let engine = FakeEngine::start().expect("a socket");
        for (tag, program) in [
            ("1", Program::serving()),
            ("2", Program::serving()),
            ("ends", Program::ending(3, &["cannot reach $DB_PASSWORD"])),
            ("mute", Program::default()),
        ] {
            engine.image(&format!("target/service:{tag}"), ImageSpec::of(program));
        }
        Here(engine)
    }

    pub(crate) fn host(&self) -> String {
        self.0.host()
    }

    /// It goes with the test.
    #[expect(clippy::unused_self, reason = "the real engine's has something to do")]
    pub(crate) fn remove(&self, _: &[String]) {}
}
