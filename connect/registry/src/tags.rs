//! The tags of a repository, page after page as `Link` says, within limits: a registry that sends us round in a circle is told so.

use std::collections::HashSet;

use base_http::Incoming;
use serde_json::Value;
use url::Url;

use crate::call::Call;
use crate::place::{same_origin, shown};
use crate::{Client, Reference, RegistryError, Result};

/// More tags than this are no list for a person.
const TAGS_MAX: usize = 200_000;
const PAGES_MAX: usize = 2_000;
const PAGE_BYTES_MAX: usize = 8 << 20;
/// What we ask for; registries give fewer when they like.
const PAGE_TAGS: &str = "1000";

impl Client {
    /// All tags, in the registry's order.
    pub async fn tags(&self, repository: &Reference) -> Result<Vec<String>> {
        let doing = format!("list the tags of `{}`", repository.familiar());
        let mut url = self.url(&repository.registry, &format!("{}/tags/list", repository.repository))?;
        url.query_pairs_mut().append_pair("n", PAGE_TAGS);
        let mut tags = Vec::new();
        for page in self.pages(repository, url, &doing).await? {
            let names = page["tags"].as_array().into_iter().flatten();
            tags.extend(names.filter_map(|name| name.as_str().map(str::to_owned)));
        }
        Ok(tags)
    }

    /// Reads page after page. Each must be new, or we would go round for ever.
    pub(crate) async fn pages(&self, repository: &Reference, first: Url, doing: &str) -> Result<Vec<Value>> {
        let mut asked = HashSet::new();
        let (mut pages, mut next, mut bytes) = (Vec::new(), Some(first), 0);
        while let Some(url) = next {
            let refused = |reason: &str| RegistryError::Redirect {
                doing: doing.to_owned(),
                to: shown(&url),
                reason: reason.to_owned(),
            };
            if !asked.insert(url.to_string()) {
                return Err(refused("it names a page a second time, and the list would never end"));
            }
            if asked.len() > PAGES_MAX || bytes > TAGS_MAX * 128 {
                return Err(refused("the list does not end"));
            }
            let call = Call::new("GET", url.clone(), &repository.registry, doing.to_owned());
            let answer = self.send(call.scope(&repository.repository, "pull")).await?;
            next = link(&answer, &url);
            if let Some(other) = next.as_ref().filter(|next| !same_origin(next, &url)) {
                let (doing, to, reason) =
                    (doing.to_owned(), shown(other), "the next page is somebody else's".to_owned());
                return Err(RegistryError::Redirect { doing, to, reason });
            }
            let body = self.whole(answer, doing, &repository.registry, PAGE_BYTES_MAX).await?;
            bytes += body.len();
            let garbled = |error: serde_json::Error| RegistryError::Garbled {
                doing: doing.to_owned(),
                reason: error.to_string(),
            };
            pages.push(serde_json::from_slice(&body).map_err(garbled)?);
        }
        Ok(pages)
    }
}

/// `Link: </v2/a/tags/list?last=x&n=100>; rel="next"`
fn link(answer: &Incoming, base: &Url) -> Option<Url> {
    answer.headers("link").iter().find_map(|header| {
        let (to, rest) = header.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = rest.split(';').map(str::trim).any(|part| part == "rel=next" || part == "rel=\"next\"");
        is_next.then(|| base.join(to).ok()).flatten()
    })
}
