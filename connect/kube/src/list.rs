//! Reading: one object, pages of them, all of them within a limit. It watches nothing.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::call::{ANSWER_BYTES_MAX, Call, garbled};
use crate::object::complete;
use crate::{Cluster, KubeError, ObjectAt, Resource, Result};

/// As kubectl: a page of this size costs the server some MiB.
pub(crate) const PAGE_OBJECTS: u32 = 500;

/// Which objects, and how many at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// `app=web,tier!=cache`
    pub labels: Option<String>,
    /// `status.phase=Running`; which fields can be asked for depends on the kind.
    pub fields: Option<String>,
    /// Objects on a page; 500 when not set, 0 for all on one.
    pub page: Option<u32>,
    /// Where a page before this one ended.
    pub from: Option<String>,
}

impl ListOptions {
    pub fn labelled(labels: &str) -> Self {
        Self { labels: Some(labels.to_owned()), ..Self::default() }
    }

    pub(crate) fn on(&self, call: Call) -> Call {
        call.maybe("labelSelector", &self.labels).maybe("fieldSelector", &self.fields)
    }
}

/// Some objects of a kind, all of one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub objects: Vec<Value>,
    /// The moment: a watch may begin here.
    pub version: String,
    /// Where the next page begins; `None`: this is the last.
    pub next: Option<String>,
}

/// A page whose objects are not taken apart yet: one after the other, they need less memory than all at once.
#[derive(Deserialize)]
pub(crate) struct RawPage<'a> {
    #[serde(default)]
    pub(crate) metadata: ListMeta,
    #[serde(borrow, default)]
    pub(crate) items: Option<Vec<&'a RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ListMeta {
    pub(crate) resource_version: String,
    #[serde(rename = "continue")]
    next: Option<String>,
}

impl ListMeta {
    pub(crate) fn next(&self) -> Option<String> {
        self.next.clone().filter(|next| !next.is_empty())
    }
}

/// A call for a page.
pub(crate) fn page_call(resource: &Resource, namespace: Option<&str>, options: &ListOptions) -> Call {
    let call = options.on(Call::get(resource.collection(namespace), "list", resource.target(namespace, "")));
    call.query("limit", options.page.unwrap_or(PAGE_OBJECTS).to_string()).maybe("continue", &options.from)
}

/// An object's text as an object.
pub(crate) fn object(raw: &RawValue, resource: &Resource, doing: impl FnOnce() -> String) -> Result<Value> {
    let mut object: Value = serde_json::from_str(raw.get()).map_err(|error| garbled(doing(), &error))?;
    complete(&mut object, resource);
    Ok(object)
}

impl Cluster {
    pub async fn get(&self, at: &ObjectAt) -> Result<Value> {
        self.json(Call::get(at.path(None), "get", at.target())).await
    }

    /// `None` when it is not there. A kind the server does not know is an error.
    pub async fn get_if_there(&self, at: &ObjectAt) -> Result<Option<Value>> {
        match self.get(at).await {
            Ok(object) => Ok(Some(object)),
            Err(KubeError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One page; `namespace: None` is the whole cluster.
    pub async fn page(&self, resource: &Resource, namespace: Option<&str>, options: &ListOptions) -> Result<Page> {
        let call = page_call(resource, namespace, options);
        let doing = call.doing();
        let bytes = self.bytes(call).await?.value;
        let page: RawPage<'_> = serde_json::from_slice(&bytes).map_err(|error| garbled(doing.clone(), &error))?;
        let items = page.items.unwrap_or_default();
        let objects = items.into_iter().map(|item| object(item, resource, || doing.clone())).collect::<Result<_>>()?;
        Ok(Page { objects, next: page.metadata.next(), version: page.metadata.resource_version })
    }

    /// All of them, page by page, at most `objects_max`: more are an error.
    pub async fn list(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        options: &ListOptions,
        objects_max: usize,
    ) -> Result<Vec<Value>> {
        let (mut all, mut options) = (Vec::new(), Cow::Borrowed(options));
        loop {
            let page = self.page(resource, namespace, &options).await?;
            if all.len() + page.objects.len() > objects_max {
                return Err(too_many(resource, namespace, objects_max));
            }
            all.extend(page.objects);
            let Some(next) = page.next else { return Ok(all) };
            options.to_mut().from = Some(next);
        }
    }
}

pub(crate) fn too_many(resource: &Resource, namespace: Option<&str>, objects_max: usize) -> KubeError {
    let reason = format!("there are more than {objects_max} objects; choose some by labels");
    KubeError::Garbled { doing: format!("list {}", resource.target(namespace, "")), reason }
}

const _: () = assert!(ANSWER_BYTES_MAX > PAGE_OBJECTS as usize * (64 << 10), "a page of common objects fits");
