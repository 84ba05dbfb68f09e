//! `WWW-Authenticate` as registries send it: `Basic realm="…"`, `Bearer realm="https://auth…",service="…",scope="repository:a:pull"`. Source: RFC 9110
//! 11.6.1 and the distribution project's token specification. It sends nothing.

use std::collections::BTreeMap;

/// How a registry wants to be told who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    Bearer { realm: String, service: String, scope: String, error: String },
}

impl Challenge {
    /// The best of those that were sent: a token rather than a password with each request.
    pub(crate) fn best(headers: &[String]) -> Option<Challenge> {
        let all: Vec<_> = headers.iter().flat_map(|header| split(header)).collect();
        let bearer = all.iter().find_map(|(scheme, words)| {
            let text = |key: &str| words.get(key).cloned().unwrap_or_default();
            (scheme == "bearer" && words.contains_key("realm")).then(|| Challenge::Bearer {
                realm: text("realm"),
                service: text("service"),
                scope: text("scope"),
                error: text("error"),
            })
        });
        bearer.or_else(|| all.iter().any(|(scheme, _)| scheme == "basic").then_some(Challenge::Basic))
    }
}

/// A header may hold several challenges, parted by commas like their own parameters: a word without `=` begins the next.
fn split(header: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut found: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    let mut rest = header.trim_start();
    while !rest.is_empty() {
        let end = rest.find([' ', '=', ',']).unwrap_or(rest.len());
        let word = rest[..end].to_ascii_lowercase();
        rest = rest[end..].trim_start();
        match rest.strip_prefix('=') {
            Some(after) => {
                let (value, after) = value(after.trim_start());
                rest = after;
                if let Some((_, words)) = found.last_mut() {
                    words.insert(word, value);
                }
            }
            None if !word.is_empty() => found.push((word, BTreeMap::new())),
            None => {}
        }
        rest = rest.trim_start_matches([',', ' ']);
    }
    found
}

/// A token, or a text in quotes with `\` before what is meant as it stands; and what follows.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let (mut out, mut escaped) = (String::new(), false);
    for (at, letter) in quoted.char_indices() {
        match letter {
            _ if escaped => {
                out.push(letter);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (out, &quoted[at + 1..]),
            _ => out.push(letter),
        }
    }
    (out, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[&str], expect: Option<Challenge>) {
        let headers: Vec<String> = headers.iter().map(|header| (*header).to_owned()).collect();
        assert_eq!(Challenge::best(&headers), expect, "{headers:?}");
    }

    fn bearer(realm: &str, service: &str, scope: &str, error: &str) -> Option<Challenge> {
        let [realm, service, scope, error] = [realm, service, scope, error].map(str::to_owned);
        Some(Challenge::Bearer { realm, service, scope, error })
    }

    #[test]
    fn challenges_are_read() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/a:pull,push""#;
        check(
            &[hub],
            bearer("https://auth.docker.io/token", "registry.docker.io", "repository:library/a:pull,push", ""),
        );
        check(&[r#"Basic realm="test""#], Some(Challenge::Basic));
        check(&[r#"basic realm="a, Bearer realm=\"x\"""#], Some(Challenge::Basic));
        check(
            &[r#"Basic realm="x", Bearer realm="https://a/t", service=b , error="invalid_token""#],
            bearer("https://a/t", "b", "", "invalid_token"),
        );
        check(&["Basic realm=x", r#"Bearer realm="https://a/t""#], bearer("https://a/t", "", "", ""));
        check(&["Negotiate", "Bearer"], None);
        check(&["", ",,,", "=", "\"", "Bearer realm=\"unclosed"], bearer("unclosed", "", "", ""));
        check(&[], None);
    }
}
