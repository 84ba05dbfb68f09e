//! `cargo xtask schemas`: the API's published OpenAPI of each minor version becomes one small text that the validator reads. Fetches by the Go module
//! proxy, from the module that the servers themselves are built of. Knows nothing of validation; the form is told in docs/formats/kubernetes-schemas.md.

mod fetch;
mod merge;
mod shape;

use std::path::Path;

use crate::sh;

/// One release of each minor version that is validated for, the newest at the time.
const RELEASES: &[(u8, &str)] = &[
    (30, "v1.30.14"),
    (31, "v1.31.14"),
    (32, "v1.32.13"),
    (33, "v1.33.13"),
    (34, "v1.34.4"),
    (35, "v1.35.4"),
    (36, "v1.36.3"),
];

const OUT: &str = "operate/manifest/schemas/kubernetes.txt";

/// With a folder as its word, the specs are read from `FOLDER/VERSION/*.json` instead of being fetched.
pub(crate) fn run(words: &[String]) -> sh::Outcome {
    let mut merged = merge::Merged::default();
    for (minor, release) in RELEASES {
        let specs = match words.first() {
            Some(folder) => fetch::read(&Path::new(folder).join(release))?,
            None => fetch::module(release)?,
        };
        let shapes = shape::shapes(&specs)?;
        println!("  {release}: {} definitions, {} kinds", shapes.definitions.len(), shapes.kinds.len());
        merged.add(*minor, shapes);
    }
    let text = merged.text(RELEASES);
    sh::write(&sh::root().join(OUT), &text)?;
    println!("{OUT}: {} bytes", text.len());
    Ok(())
}
