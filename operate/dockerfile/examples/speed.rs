//! Files checked in a second on one core: the corpus, again and again. Run it in a release build:
//! `cargo run --release -p operate-dockerfile --example speed`.

use std::io::Write;

use operate_dockerfile::{Options, check};

const SECONDS: u64 = 3;

#[expect(clippy::disallowed_methods, reason = "a measurement reads files and the clock")]
fn main() -> std::io::Result<()> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let text = std::fs::read_to_string(entry?.path())?;
        let cases = text.split("===== ").skip(1).filter_map(|case| case.split_once('\n'));
        files.extend(cases.map(|(_, rest)| rest.split("-----\n").next().unwrap_or("").to_owned()));
    }
    // As long as what projects have: a dozen cases one after the other.
    let long: Vec<String> = files.chunks(12).map(|some| some.concat()).collect();
    let options = Options { dockerignore: Some(Some(".git\n.env\n".to_owned())), ..Options::default() };
    let mut out = std::io::stdout();
    for (name, set) in [("files of the corpus", files), ("a dozen of them in a file", long)] {
        let bytes: usize = set.iter().map(String::len).sum();
        let (mut done, mut findings) = (0u64, 0usize);
        let start = std::time::Instant::now();
        while start.elapsed().as_secs() < SECONDS {
            for text in &set {
                findings += check(text, &options).map_or(0, |checked| checked.findings.len());
                done += 1;
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        let mean = bytes / set.len().max(1);
        writeln!(out, "{name} ({mean} bytes each): {:.0} files/s, {findings} findings", done as f64 / seconds)?;
    }
    Ok(())
}
