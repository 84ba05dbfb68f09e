//! The browser half, embedded: the page's built files as bytes, ready to be served under `/ui/`.
//! It knows nothing of HTTP, routes or caching rules; `app/api` serves what it finds here. No network, no clock, no disk.

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// One file of the page. Names are fixed and carry no hash: let the browser keep the file and ask again with `If-None-Match`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// Relative to `/ui/`, without a leading slash: `app.js`.
    pub path: &'static str,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The value of `ETag`, with its quotes. The same for both forms of the body, so send `Vary: Accept-Encoding`.
    pub etag: &'static str,
    /// The file as it is.
    pub bytes: &'static [u8],
    /// The file for `Content-Encoding: gzip`.
    pub gzip: &'static [u8],
}

/// The policy the page is built to live under: send it with every answer below `/ui/`.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:";

/// The file at a path below `/ui/` (`app.js`, also `/app.js`); `None` when it is no file: then serve [`index`], the page routes by itself.
pub fn find(path: &str) -> Option<&'static Asset> {
    let path = path.strip_prefix('/').unwrap_or(path);
    ASSETS.iter().find(|asset| asset.path == path)
}

/// The page itself, for every path below `/ui/` that is not a file. A build without `dist/index.html` does not compile.
pub fn index() -> &'static Asset {
    &ASSETS[INDEX]
}

#[cfg(test)]
mod tests;
