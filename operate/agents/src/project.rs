//! What a recipe sees of a project: its files' names, the text of the few it asks for, and the command.
//! Does not know where they came from.

/// One file, by its path relative to the project folder (`/` between parts).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectFile {
    pub path: String,
    /// Only for the files [`wanted_files`] names, and only when small enough to read.
    pub content: Option<String>,
}

/// A project as a recipe sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Project {
    /// The last part of the project folder's path.
    pub folder: String,
    /// The files at the top of the project folder and the wanted ones below it.
    pub files: Vec<ProjectFile>,
    /// The command as given, program first.
    pub command: Vec<String>,
    /// The first bytes of the program file, where it is a script: its `#!` line names the interpreter.
    pub program_head: Option<String>,
}

impl Project {
    pub fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| file.path == path)
    }

    pub fn content(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path)?.content.as_deref()
    }

    /// The texts of the files whose path satisfies the question.
    pub fn contents<'a>(&'a self, wanted: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files
            .iter()
            .filter(move |file| wanted(&file.path))
            .filter_map(|file| Some((file.path.as_str(), file.content.as_deref()?)))
    }
}

/// `flask` for `/venv/bin/flask`; in lower case, without `.exe`.
pub fn program_name(program: &str) -> String {
    let last = program.rsplit(['/', '\\']).next().unwrap_or(program).to_lowercase();
    last.strip_suffix(".exe").unwrap_or(&last).to_owned()
}

/// The relative paths whose text a recipe wants to see, given the names at the top of the project folder and the command.
/// Some may not exist.
pub fn wanted_files(command: &[String], top: &[String]) -> Vec<String> {
    let mut wanted: Vec<String> = top.iter().filter(|name| is_manifest(name)).cloned().collect();
    let mut add = |path: String| {
        if !wanted.contains(&path) {
            wanted.push(path);
        }
    };
    let mut previous = "";
    for word in command.iter().skip(1) {
        if word.ends_with(".py") && !word.starts_with('/') {
            add(word.trim_start_matches("./").to_owned());
        } else if matches!(previous, "-m" | "--app" | "-A") || word.contains(':') {
            // `module:app` of a server, `-m package.module`: the module's file.
            let module = word.split(':').next().unwrap_or(word);
            if !module.is_empty() && module.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_')) {
                let path = module.replace('.', "/");
                add(format!("{path}.py"));
                add(format!("{path}/__main__.py"));
            }
        }
        previous = word;
    }
    wanted
}

fn is_manifest(name: &str) -> bool {
    let requirements = name.starts_with("requirements") && name.ends_with(".txt");
    requirements
        || matches!(name, "pyproject.toml" | "Pipfile" | "setup.py" | "setup.cfg" | "manage.py" | "package.json")
}

/// The project's own name: `name` in pyproject.toml or package.json, else its folder's.
pub(crate) fn project_name(project: &Project) -> String {
    let declared = project
        .content("pyproject.toml")
        .and_then(|text| toml_name(text, &["[project]", "[tool.poetry]"]))
        .or_else(|| project.content("package.json").and_then(json_name));
    let name = declared.unwrap_or_else(|| project.folder.clone());
    let tidy: String = name.trim().chars().map(|c| if c.is_whitespace() || c.is_control() { '-' } else { c }).collect();
    if tidy.is_empty() { "app".to_owned() } else { tidy }
}

/// `name = "shop"` in one of the sections. A full TOML reader would be a dependency for one key.
fn toml_name(text: &str, sections: &[&str]) -> Option<String> {
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = sections.contains(&line);
        } else if inside && let Some((key, value)) = line.split_once('=') {
            let quoted = value.trim();
            let quote = quoted.chars().next()?;
            if key.trim() == "name" && matches!(quote, '"' | '\'') {
                return quoted.get(1..)?.split(quote).next().map(str::to_owned);
            }
        }
    }
    None
}

/// The first `"name": "…"` of a package.json; by convention it is the package's own.
fn json_name(text: &str) -> Option<String> {
    let after = text.split_once("\"name\"")?.1.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    after.split('"').next().map(|name| name.trim_start_matches('@').replace('/', "-"))
}
