//! What we show where telemetry goes. A token that lies in a file is read again: those that Kubernetes projects are another every hour. It knows no
//! address and sends nothing.

use std::path::PathBuf;

use base_explain::Report;
use base_http::Secret;
use base_world::World;
use parking_lot::Mutex;

/// As client-go: a token file is read again after a minute.
const AGE_MAX_NS: u64 = 60_000_000_000;
const TOKEN_BYTES_MAX: u64 = 1 << 20;

/// Where the token is had from.
pub enum TokenFrom {
    Nowhere,
    /// It stays as it is.
    Given(String),
    File(PathBuf),
}

pub(crate) struct Token {
    from: TokenFrom,
    world: World,
    held: Mutex<Held>,
}

struct Held {
    /// A header's value.
    authorization: Option<Secret>,
    read_ns: u64,
    /// Whether it was told that the file cannot be used.
    told: bool,
}

impl Token {
    /// A file that cannot be used is an error now; later the last one that could be is shown.
    pub(crate) fn new(from: TokenFrom, world: World) -> Result<Self, Report> {
        let authorization = match &from {
            TokenFrom::Nowhere => None,
            TokenFrom::Given(token) => Some(bearer(token)),
            TokenFrom::File(path) => {
                let hint = format!("`--token-file` or `collect.token_file` names {}", path.display());
                Some(
                    read(path, &world)
                        .map_err(|why| Report::new("there is no token to show").because(why).hint(hint))?,
                )
            }
        };
        let held = Held { authorization, read_ns: world.clock.monotonic_ns(), told: false };
        Ok(Token { from, world, held: Mutex::new(held) })
    }

    /// The value of `Authorization`.
    pub(crate) fn shown(&self) -> Option<Secret> {
        let mut held = self.held.lock();
        if self.world.clock.monotonic_ns().saturating_sub(held.read_ns) >= AGE_MAX_NS {
            self.read_again(&mut held);
        }
        held.authorization.clone()
    }

    /// After a 401 to `refused`: whether there is another to try.
    pub(crate) fn is_another(&self, refused: Option<&Secret>) -> bool {
        let mut held = self.held.lock();
        if held.authorization.as_ref() == refused {
            self.read_again(&mut held);
        }
        held.authorization.as_ref() != refused
    }

    fn read_again(&self, held: &mut Held) {
        let TokenFrom::File(path) = &self.from else { return };
        held.read_ns = self.world.clock.monotonic_ns();
        match read(path, &self.world) {
            Ok(authorization) => (held.authorization, held.told) = (Some(authorization), false),
            Err(why) if !held.told => {
                held.told = true;
                tracing::warn!("{why}; the token that was read before is shown on");
            }
            Err(_) => {}
        }
    }
}

fn read(path: &std::path::Path, world: &World) -> Result<Secret, String> {
    let bytes = world.disk.read(path, TOKEN_BYTES_MAX).map_err(|error| error.to_string())?;
    let token = std::str::from_utf8(&bytes).unwrap_or_default().trim();
    // Anything else no header can carry.
    match !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(bearer(token)),
        false => Err(format!("{} holds no token", path.display())),
    }
}

fn bearer(token: &str) -> Secret {
    Secret::new(format!("Bearer {token}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use base_world::replace_file;
    use base_world::sim::SimWorld;

    use super::*;

    const FILE: &str = "/secrets/token";

    fn write(sim: &SimWorld, text: &str) {
        let disk = &*sim.world().disk;
        disk.create_folder(Path::new("/secrets")).unwrap();
        replace_file(disk, Path::new(FILE), text.as_bytes()).unwrap();
    }

    fn check(token: &Token, expect: &str) {
        assert_eq!(token.shown().as_ref().map(Secret::expose), Some(expect));
    }

    #[test]
    fn a_file_is_read_again_after_a_minute_and_at_once_when_it_was_refused() {
        let sim = SimWorld::new(1);
        write(&sim, "one\n");
        let token = Token::new(TokenFrom::File(FILE.into()), sim.world()).unwrap();
        check(&token, "Bearer one");
        write(&sim, "two\n");
        sim.clock.advance_ms(59_000);
        check(&token, "Bearer one");
        sim.clock.advance_ms(1_000);
        check(&token, "Bearer two");
        // Refused: the file has no other, and then it has.
        let refused = token.shown();
        assert!(!token.is_another(refused.as_ref()));
        write(&sim, "three");
        assert!(token.is_another(refused.as_ref()));
        check(&token, "Bearer three");
        // Another way out has found it before.
        assert!(token.is_another(refused.as_ref()));
        // While it is being replaced nothing is lost.
        for bad in ["", " \n", "a b", "é"] {
            write(&sim, bad);
            sim.clock.advance_ms(60_000);
            check(&token, "Bearer three");
        }
    }

    #[test]
    fn what_was_given_stays_and_a_missing_file_is_told_at_the_start() {
        let sim = SimWorld::new(1);
        let given = Token::new(TokenFrom::Given("fixed".into()), sim.world()).unwrap();
        check(&given, "Bearer fixed");
        assert!(!given.is_another(given.shown().as_ref()));
        let Err(report) = Token::new(TokenFrom::File(FILE.into()), sim.world()) else { panic!("there is no file") };
        assert!(report.one_line().contains(FILE), "{}", report.one_line());
    }
}
