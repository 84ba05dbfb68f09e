//! Turns the built page in `dist` into a table of assets: each file's bytes, their gzip form, an ETag and a content type.
//! It does not run npm and knows nothing of the page's source: a newcomer needs cargo alone.
#![expect(clippy::disallowed_methods, reason = "a build script works on real files, before base-world exists")]

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("dist");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={}", root.display());

    let mut files = Vec::new();
    collect(&root, &root, &mut files)?;
    files.sort();
    let mut table = String::from("pub(crate) static ASSETS: &[crate::Asset] = &[\n");
    for (number, path) in files.iter().enumerate() {
        let file = root.join(path);
        println!("cargo:rerun-if-changed={}", file.display());
        let bytes = std::fs::read(&file).map_err(|e| format!("cannot read {}: {e}", file.display()))?;
        let packed = out.join(format!("{number}.gz"));
        std::fs::write(&packed, gzip(&bytes)?)?;
        let content_type =
            content_type(path).ok_or_else(|| format!("{path}: no content type known; add it to app/web/build.rs"))?;
        let etag = format!("\"{:016x}\"", fnv1a(&bytes));
        writeln!(
            table,
            "    crate::Asset {{ path: {path:?}, content_type: {content_type:?}, etag: {etag:?}, bytes: include_bytes!({file:?}), gzip: include_bytes!({packed:?}) }},",
        )?;
    }
    table.push_str("];\n");
    let index = files
        .iter()
        .position(|path| path == "index.html")
        .ok_or("dist has no index.html; run `npm ci && npm run build` in app/web")?;
    writeln!(table, "const INDEX: usize = {index};")?;
    std::fs::write(out.join("assets.rs"), table)?;
    Ok(())
}

/// Every file below `folder`, as a path relative to `root` with forward slashes.
fn collect(root: &Path, folder: &Path, files: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    let entries = std::fs::read_dir(folder)
        .map_err(|e| format!("cannot list {}: {e}; run `npm ci && npm run build` in app/web", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else {
            let relative: Vec<_> = path.strip_prefix(root)?.iter().map(|part| part.to_string_lossy()).collect();
            files.push(relative.join("/"));
        }
    }
    Ok(())
}

/// No time stamp and no name in the header, so that the same page gives the same binary.
fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn content_type(path: &str) -> Option<&'static str> {
    Some(match path.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        "png" => "image/png",
        _ => return None,
    })
}

/// FNV-1a, 64 bits: an ETag must only tell two builds of one file apart.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
