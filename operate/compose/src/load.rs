//! Files become one project: variables are filled in, included and extended files are taken in, files are merged, profiles chosen, files of
//! variables read. It reads files by a function that it is given.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::canonical::{Canon, clean};
use crate::interpolate::Variables;
use crate::node::{Finding, Node, Pair, Place, Value};
use crate::shape::{NETWORK, SERVICE, SOURCE, Table, VOLUME};
use crate::{dotenv, merge, project, yaml};

/// Files that include or extend each other deeper than this go in a circle.
const DEPTH_MAX: usize = 20;

/// The text of a file; `None` when there is none.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> Result<Option<String>, String>;

/// What is to be read, and by what.
pub struct Ask<'a> {
    /// At least one; later ones are laid over earlier ones. Whole paths.
    pub files: Vec<PathBuf>,
    /// Of the project; else the file says it, else it is the folder's name.
    pub name: Option<String>,
    pub profiles: Vec<String>,
    /// The process's own variables; they win over `.env`.
    pub environment: &'a BTreeMap<String, String>,
    pub read: ReadFile<'a>,
}

/// A project as it is wanted: services, networks, volumes, secrets and configs in compose's canonical form.
#[derive(Debug)]
pub struct Project {
    pub name: String,
    pub root: Node,
    /// What was seen and changes nothing.
    pub notes: Vec<Finding>,
}

pub(crate) struct Loader<'a> {
    pub(crate) read: ReadFile<'a>,
    pub(crate) home: Option<PathBuf>,
    pub(crate) errors: Vec<Finding>,
    pub(crate) notes: Vec<Finding>,
}

/// Reads a project; all that stands in the way is told at once.
pub fn load(ask: &Ask<'_>) -> Result<Project, Vec<Finding>> {
    let home = ask.environment.get("HOME").map(PathBuf::from);
    let mut loader = Loader { read: ask.read, home, errors: Vec::new(), notes: Vec::new() };
    let Some(first) = ask.files.first() else { return Err(Vec::new()) };
    let folder = first.parent().map(Path::to_path_buf).unwrap_or_default();
    let mut result = loader.project(ask, &folder);
    if let Err(finding) = &mut result {
        loader.errors.push(finding.clone());
    }
    match result {
        Ok((name, root)) if loader.errors.is_empty() => Ok(Project { name, root, notes: loader.notes }),
        _ => Err(loader.errors),
    }
}

impl Loader<'_> {
    fn project(&mut self, ask: &Ask<'_>, folder: &Path) -> Result<(String, Node), Finding> {
        let environment = self.with_dotenv(ask.environment.clone(), &[folder.join(".env")], false)?;
        // The name is a variable in the file that may say it.
        let own = ask.name.clone().or_else(|| environment.get("COMPOSE_PROJECT_NAME").cloned());
        let of_folder = folder.file_name().map(|name| project_name(&name.to_string_lossy())).unwrap_or_default();
        let name = match own {
            Some(name) => name,
            None => self.named(&ask.files, &environment)?.unwrap_or(of_folder),
        };
        let mut environment = environment;
        environment.insert("COMPOSE_PROJECT_NAME".into(), name.clone());
        let mut root = self.files(&ask.files, folder, &environment, 0)?;
        project::choose_profiles(&mut root, &ask.profiles, &mut self.errors);
        self.env_files(&mut root, &environment)?;
        project::complete(&mut root, &name, &mut self.errors);
        self.errors.extend(project::order(&root).err());
        root.set("name", Node::text_at(&root.place.clone(), name.clone()));
        Ok((name, root))
    }

    fn text(&mut self, path: &Path, from: &Place) -> Result<String, Finding> {
        match (self.read)(path) {
            Ok(Some(text)) => Ok(text),
            Ok(None) => Err(Finding::new(from, format!("there is no file {}", path.display()), "check the path")),
            Err(why) => {
                Err(Finding::new(from, format!("{} cannot be read: {why}", path.display()), "check its rights"))
            }
        }
    }

    fn named(&mut self, files: &[PathBuf], environment: &BTreeMap<String, String>) -> Result<Option<String>, Finding> {
        let mut name = None;
        for path in files {
            let file = path.display().to_string();
            let text = self.text(path, &Place { file: file.as_str().into(), line: 1, column: 1 })?;
            if let Some(node) = yaml::parse(&file, &text)?.get("name") {
                let mut node = node.clone();
                self.fill(&mut node, environment)?;
                name = node.text().map(project_name).or(name);
            }
        }
        Ok(name)
    }

    /// Files laid over each other; the paths in them begin at `folder`.
    fn files(
        &mut self,
        files: &[PathBuf],
        folder: &Path,
        environment: &BTreeMap<String, String>,
        depth: usize,
    ) -> Result<Node, Finding> {
        let mut root = Node::default();
        for path in files {
            let place = Place { file: path.display().to_string().into(), line: 1, column: 1 };
            if depth > DEPTH_MAX {
                return Err(Finding::new(&place, "files include each other in a circle", "remove one `include`"));
            }
            let mut node = self.file(path, folder, environment, &place, depth)?;
            let included = node.take("include");
            root = if root.value == Value::Null { node } else { merge::merge(root, node, &mut Vec::new()) };
            if let Some(included) = included {
                self.include(&mut root, &included, folder, environment, depth)?;
            }
        }
        merge::unique(&mut root);
        Ok(root)
    }

    /// One file, canonical, with what its services extend.
    fn file(
        &mut self,
        path: &Path,
        folder: &Path,
        environment: &BTreeMap<String, String>,
        from: &Place,
        depth: usize,
    ) -> Result<Node, Finding> {
        let text = self.text(path, from)?;
        let mut raw = yaml::parse(&path.display().to_string(), &text)?;
        if !matches!(raw.value, Value::Map(_)) {
            return Err(Finding::new(&raw.place, "a compose file is a map of keys", "begin with `services:`"));
        }
        // What nobody is asked about is not looked at.
        if let Value::Map(pairs) = &mut raw.value {
            pairs.retain(|pair| !pair.key.starts_with("x-"));
        }
        self.fill(&mut raw, environment)?;
        let home = self.home.clone();
        let mut canon = Canon { folder, home: home.as_deref(), errors: Vec::new(), notes: Vec::new() };
        let root = top(&mut canon, raw);
        let Canon { errors, notes, .. } = canon;
        self.errors.extend(errors);
        self.notes.extend(notes);
        self.extend(root, folder, environment, depth)
    }

    fn fill(&mut self, node: &mut Node, environment: &BTreeMap<String, String>) -> Result<(), Finding> {
        let lookup = |name: &str| environment.get(name).cloned();
        Variables { lookup: &lookup, unset: Vec::new() }.fill(node, &mut self.notes)
    }

    /// Each service over the one that it extends.
    fn extend(
        &mut self,
        mut root: Node,
        folder: &Path,
        environment: &BTreeMap<String, String>,
        depth: usize,
    ) -> Result<Node, Finding> {
        let Some(services) = root.get("services").cloned() else { return Ok(root) };
        let names: Vec<_> = services.pairs().iter().map(|pair| pair.key.clone()).collect();
        let mut done = services.clone();
        for name in names {
            let service = self.extended(&name, &services, folder, environment, depth)?;
            done.set(&name, service);
        }
        root.set("services", done);
        Ok(root)
    }

    fn extended(
        &mut self,
        name: &str,
        services: &Node,
        folder: &Path,
        environment: &BTreeMap<String, String>,
        depth: usize,
    ) -> Result<Node, Finding> {
        let mut service = services.get(name).cloned().unwrap_or_default();
        let Some(extends) = service.take("extends") else { return Ok(service) };
        if depth > DEPTH_MAX {
            return Err(Finding::new(&extends.place, "services extend each other in a circle", "remove one `extends`"));
        }
        let base = match (extends.text(), extends.text_of("service")) {
            (Some(base), _) | (_, Some(base)) => base.to_owned(),
            _ => return Err(Finding::new(&extends.place, "`extends` names no `service`", "name the one it extends")),
        };
        let under = match extends.text_of("file") {
            Some(file) => {
                let other = PathBuf::from(clean(&folder.join(file)));
                // Its relative paths begin where it lies.
                let near = other.parent().map(Path::to_path_buf).unwrap_or_default();
                let root = self.file(&other, &near, environment, &extends.place, depth + 1)?;
                root.get("services").and_then(|services| services.get(&base)).cloned()
            }
            None if services.get(&base).is_some() => {
                Some(self.extended(&base, services, folder, environment, depth + 1)?)
            }
            None => None,
        };
        let Some(under) = under else {
            let message = format!("`{name}` extends `{base}`, and there is no such service");
            return Err(Finding::new(&extends.place, message, "check its name"));
        };
        Ok(merge::merge(under, service, &mut vec!["services".into(), name.to_owned()]))
    }

    fn include(
        &mut self,
        root: &mut Node,
        included: &Node,
        folder: &Path,
        environment: &BTreeMap<String, String>,
        depth: usize,
    ) -> Result<(), Finding> {
        for entry in included.items() {
            let whole = |text: &str| PathBuf::from(clean(&folder.join(text)));
            let listed = |key: &str| -> Vec<PathBuf> {
                let Some(node) = entry.get(key) else { return Vec::new() };
                let one = std::slice::from_ref(node);
                let all = if node.text().is_some() { one } else { node.items() };
                all.iter().filter_map(Node::text).map(whole).collect()
            };
            let files = entry.text().map_or_else(|| listed("path"), |path| vec![whole(path)]);
            let Some(first) = files.first() else {
                return Err(Finding::new(&entry.place, "`include` names no `path`", "name a file"));
            };
            let near = entry.text_of("project_directory").map(whole);
            let near = near.or_else(|| first.parent().map(Path::to_path_buf)).unwrap_or_default();
            let named = listed("env_file");
            let variables = if named.is_empty() { vec![near.join(".env")] } else { named.clone() };
            let environment = self.with_dotenv(environment.clone(), &variables, !named.is_empty())?;
            let other = self.files(&files, &near, &environment, depth + 1)?;
            for section in ["services", "networks", "volumes", "secrets", "configs"] {
                let Some(more) = other.get(section).cloned() else { continue };
                let mut all = root.get(section).cloned().unwrap_or(Node::at(&more.place, Value::Map(Vec::new())));
                for pair in more.pairs() {
                    if all.get(&pair.key).is_some_and(|known| known.json() != pair.node.json()) {
                        let message =
                            format!("`{}` of {section} is in an included file and here, and differs", pair.key);
                        return Err(Finding::new(&entry.place, message, "rename one, or merge the files with -f"));
                    }
                    all.set(&pair.key, pair.node.clone());
                }
                root.set(section, all);
            }
        }
        Ok(())
    }

    /// What files of variables say, under what is there already.
    fn with_dotenv(
        &mut self,
        environment: BTreeMap<String, String>,
        files: &[PathBuf],
        required: bool,
    ) -> Result<BTreeMap<String, String>, Finding> {
        let mut all = BTreeMap::new();
        for path in files {
            let file = path.display().to_string();
            let place = Place { file: file.as_str().into(), line: 1, column: 1 };
            let text = match (self.read)(path) {
                Ok(None) if !required => continue,
                _ => self.text(path, &place)?,
            };
            all.extend(dotenv::variables(&file, &text, &|name| environment.get(name).cloned())?);
        }
        all.extend(environment);
        Ok(all)
    }

    /// The files of variables of each service, under its own variables.
    fn env_files(&mut self, root: &mut Node, environment: &BTreeMap<String, String>) -> Result<(), Finding> {
        let Some(mut services) = root.get("services").cloned() else { return Ok(()) };
        let Value::Map(pairs) = &mut services.value else { return Ok(()) };
        for Pair { node: service, .. } in pairs {
            let mut all = Node::at(&service.place, Value::Map(Vec::new()));
            for entry in service.take("env_file").iter().flat_map(Node::items) {
                let Some(path) = entry.text_of("path") else { continue };
                let needed = entry.get("required").is_none_or(Node::is_true);
                let text = match (self.read)(Path::new(path)) {
                    Ok(None) if !needed => continue,
                    _ => self.text(Path::new(path), &entry.place)?,
                };
                let raw = entry.text_of("format") == Some("raw");
                if raw {
                    for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
                        all.set(name.trim(), Node::text_at(&entry.place, value));
                    }
                    continue;
                }
                let own = service.get("environment");
                let known = |name: &str| {
                    let own = own.and_then(|own| own.text_of(name)).map(str::to_owned);
                    let of_files = || all.text_of(name).map(str::to_owned);
                    own.or_else(|| environment.get(name).cloned()).or_else(of_files)
                };
                let found = dotenv::variables(path, &text, &known)?;
                found.into_iter().for_each(|(name, value)| all.set(&name, Node::text_at(&entry.place, value)));
            }
            for pair in service.get("environment").map(Node::pairs).unwrap_or_default() {
                let from_outside = environment.get(&pair.key).map(|value| Node::text_at(&pair.place, value.clone()));
                let node = match &pair.node.value {
                    Value::Null => from_outside.unwrap_or_else(|| pair.node.clone()),
                    _ => pair.node.clone(),
                };
                all.set(&pair.key, node);
            }
            if !all.pairs().is_empty() {
                service.set("environment", all);
            }
        }
        root.set("services", services);
        Ok(())
    }
}

/// The whole of one file.
fn top(canon: &mut Canon<'_>, raw: Node) -> Node {
    let sections: [(&str, Table, &str); 5] = [
        ("services", SERVICE, "service"),
        ("networks", NETWORK, "network"),
        ("volumes", VOLUME, "volume"),
        ("secrets", SOURCE, "secret"),
        ("configs", SOURCE, "config"),
    ];
    let mut root = Node::at(&raw.place, Value::Map(Vec::new()));
    let Value::Map(pairs) = raw.value else { return root };
    for pair in pairs {
        if let Some((section, table, word)) = sections.iter().find(|(section, ..)| *section == pair.key) {
            let place = pair.node.place.clone();
            let Value::Map(entries) = pair.node.value else {
                if pair.node.value != Value::Null {
                    canon.errors.push(Finding::new(
                        &place,
                        format!("`{section}` is a map of names"),
                        "write `name:` first",
                    ));
                }
                continue;
            };
            let read = entries.into_iter().filter(|entry| !entry.key.starts_with("x-")).map(|entry| {
                let mut node = canon.map(entry.node, table, &format!("{word} `{}`", entry.key));
                if let Some(file) = node.text_of("file").map(|file| canon.path(file)) {
                    let place = node.place.clone();
                    node.set("file", Node::text_at(&place, file));
                }
                if node.value == Value::Null {
                    node.value = Value::Map(Vec::new());
                }
                Pair { node, ..entry }
            });
            let node = Node { value: Value::Map(read.collect()), place, tag: pair.node.tag };
            root.set(section, node);
        } else {
            match pair.key.as_str() {
                "include" | "name" => root.set(&pair.key, pair.node),
                "version" => {}
                key => {
                    let known = ["services", "networks", "volumes", "secrets", "configs", "include", "name"];
                    let hint = base_explain::nearest(key, known).map(|near| format!("did you mean `{near}`?"));
                    let hint = hint.unwrap_or_else(|| "a key of your own begins with `x-`".to_owned());
                    canon.errors.push(Finding::new(&pair.place, format!("`{key}` is no key of a compose file"), hint));
                }
            }
        }
    }
    root
}

/// Lower case letters, digits, dashes and underscores.
fn project_name(text: &str) -> String {
    let lower = text.to_lowercase();
    let kept: String = lower.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
    kept.trim_start_matches(['-', '_']).to_owned()
}
