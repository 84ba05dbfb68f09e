//! What whoever serves the page relies on: names, types, both forms of a body, and a page that a strict CSP lets live.
use std::io::Read as _;

use crate::{ASSETS, find, index};

fn check(path: &str, expect: Option<&str>) {
    assert_eq!(find(path).map(|asset| asset.content_type), expect, "{path}");
}

#[test]
fn files_are_found_by_name() {
    check("app.js", Some("text/javascript; charset=utf-8"));
    check("/app.css", Some("text/css; charset=utf-8"));
    check("icon.svg", Some("image/svg+xml"));
    check("index.html", Some("text/html; charset=utf-8"));
    check("", None);
    check("services", None);
    check("../Cargo.toml", None);
    check("//app.js", None);
}

#[test]
fn gzip_unpacks_to_the_same_bytes() {
    for asset in ASSETS {
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(asset.gzip).read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == asset.bytes, "{}", asset.path);
    }
}

#[test]
fn etags_tell_files_apart() {
    let mut etags: Vec<_> = ASSETS.iter().map(|asset| asset.etag).collect();
    assert!(etags.iter().all(|etag| etag.starts_with('"') && etag.ends_with('"')));
    etags.sort_unstable();
    etags.dedup();
    assert_eq!(etags.len(), ASSETS.len());
}

#[test]
fn the_first_load_stays_small() {
    let bytes: usize = ASSETS.iter().map(|asset| asset.gzip.len()).sum();
    assert!(bytes <= 150_000, "the page weighs {bytes} bytes compressed; the limit is 150 kB");
}

#[test]
fn the_page_asks_only_for_files_that_are_there() {
    let html = std::str::from_utf8(index().bytes).unwrap();
    let mut found = 0;
    for attribute in ["src=\"", "href=\""] {
        for rest in html.split(attribute).skip(1) {
            let url = rest.split('"').next().unwrap();
            let path = url.strip_prefix("/ui/").unwrap_or_else(|| panic!("{url} is not below /ui/"));
            assert!(find(path).is_some(), "{url} is not in the build");
            found += 1;
        }
    }
    assert!(found >= 3, "the page has a script, a style sheet and an icon");
    assert!(!html.contains("<script>") && !html.contains("onload="), "an inline script would be blocked by the CSP");
}
