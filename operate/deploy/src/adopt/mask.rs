//! Values that look like secrets: how they are recognised, and a box that shows them to nobody. It decides by looks alone, on the safe side:
//! what is taken for a secret and is none costs a file.

use std::collections::BTreeMap;
use std::fmt;

/// Names with values that are shown nowhere.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Masked(BTreeMap<String, String>);

impl fmt::Debug for Masked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.0.keys()).finish()
    }
}

impl Masked {
    pub fn put(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Of several lines, as a key in PEM is.
    pub fn is_long(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| value.contains('\n'))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How the tokens of well-known services begin, by their own documentation; each is followed by at least a dozen characters.
const TOKENS: [&str; 12] = [
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "sk_live_",
    "rk_live_",
    "AKIA",
    "npm_",
    "dop_v1_",
];
const TOKEN_CHARS_MIN: usize = 12;

/// A variable that is better shown to nobody: its name says so, or its value does.
pub fn looks_secret(name: &str, value: &str) -> bool {
    operate_dockerfile::is_secret_name(name) || is_secret_value(value)
}

/// By the value alone: a password in an address, a key in PEM, a token of a known form.
pub(super) fn is_secret_value(value: &str) -> bool {
    let long = |rest: &str| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).count();
    let token = TOKENS.iter().any(|begin| value.strip_prefix(begin).is_some_and(|rest| long(rest) >= TOKEN_CHARS_MIN));
    // RFC 7519: three parts in base64url, the first of which begins with `{"`.
    let web_token = value.starts_with("eyJ") && value.matches('.').count() == 2;
    token || web_token || value.contains("-----BEGIN ") && value.contains("PRIVATE KEY") || has_password(value)
}

/// `scheme://user:password@host` (RFC 3986), wherever it stands in the value.
fn has_password(value: &str) -> bool {
    value.match_indices("://").any(|(at, mark)| {
        let rest = &value[at + mark.len()..];
        let authority = rest.split(['/', '?', '#', ' ', ',']).next().unwrap_or_default();
        let user = authority.rsplit_once('@').map(|(user, _)| user);
        user.and_then(|user| user.split_once(':')).is_some_and(|(_, password)| !password.is_empty())
    })
}

/// A word of a command line: also `--password=x` and `PASSWORD=x`.
pub(super) fn is_secret_word(word: &str) -> bool {
    let assigned = |word: &str| {
        word.split_once('=').is_some_and(|(name, value)| {
            let name = name.trim_start_matches('-').replace('-', "_");
            // `--token=$TOKEN` tells nothing.
            operate_dockerfile::is_secret_name(&name) && !value.is_empty() && !value.contains('$')
        })
    };
    is_secret_value(word) || word.split_whitespace().any(assigned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_one() {
        let check = |value: &str, expect: bool| assert_eq!(is_secret_value(value), expect, "{value}");
        check("postgres://ann:hunter2@db:5432/shop", true);
        check("amqp://db:5672/x,amqp://u:p@db2:5672", true);
        check("postgres://db:5432/shop?user=ann", false);
        check("postgres://ann@db/shop", false);
        check("http://example.org/a@b:c", false);
        check(&format!("{}{}", "ghp_", "a1b2c3d4e5f6g7h8"), true);
        check("ghp_ is how they begin", false);
        check("-----BEGIN RSA PRIVATE KEY-----\nMII", true);
        check("debug", false);
        let word = |word: &str, expect: bool| assert_eq!(is_secret_word(word), expect, "{word}");
        word("--password=hunter2", true);
        word("--db-password=hunter2", true);
        word("DB_PASSWORD=hunter2 exec serve", true);
        word("--password=$DB_PASSWORD", false);
        word("--password-file=/run/secrets/x", false);
        word("serve", false);
    }

    #[test]
    fn a_mask_shows_names_alone() {
        let mut masked = Masked::default();
        masked.put("DB_PASSWORD", "hunter2");
        assert_eq!(format!("{masked:?}"), "{\"DB_PASSWORD\"}");
    }
}
