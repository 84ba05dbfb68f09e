//! Which files of a folder are the build context, as Docker's own client chooses them: `.dockerignore` decides, a folder that is left out is not looked
//! into unless a `!` pattern begins with its path, and Dockerfile and `.dockerignore` are always sent. Source: `archive.TarWithOptions` and
//! `build.TrimBuildFilesFromExcludes` of Docker 20.10 (behaviour; no code is taken).

use operate_dockerfile::IgnoreFile;

/// The choice for one folder.
#[derive(Debug, Clone, Default)]
pub struct Ignored {
    patterns: IgnoreFile,
    /// Sent whatever the patterns say: the engine reads them, and takes them away itself where they are ignored.
    always: Vec<String>,
}

impl Ignored {
    /// `dockerfile` is its path in the context.
    pub fn new(dockerignore: &str, dockerfile: &str) -> Ignored {
        let always = vec![dockerfile.trim_start_matches("./").to_owned(), ".dockerignore".to_owned()];
        Ignored { patterns: IgnoreFile::parse(dockerignore), always }
    }

    /// Whether a file, a link or a folder itself is sent; the path is relative to the context.
    pub fn sends(&self, path: &str) -> bool {
        self.always.iter().any(|one| one == path) || !self.patterns.ignores(path)
    }

    /// Whether what is below a folder may be sent.
    pub fn enters(&self, folder: &str) -> bool {
        let slash = format!("{folder}/");
        !self.patterns.ignores(folder)
            || self.patterns.keeps_below(folder)
            || self.always.iter().any(|one| one.starts_with(&slash))
    }
}

/// The `.dockerignore` to send when the Dockerfile comes from elsewhere and travels under a name of ours: the engine takes away again what the
/// project does not have before the build sees it.
pub fn tar_dockerignore(own: &str, dockerfile: &str) -> String {
    if own.is_empty() {
        return format!(".dockerignore\n{dockerfile}\n");
    }
    format!("{own}{}{dockerfile}\n", if own.ends_with('\n') { "" } else { "\n" })
}
