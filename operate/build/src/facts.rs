//! What an image does when it starts: its entry point, command, variables. From the engine's answer, or, before anything was built, from the Dockerfile as
//! far as it says.

use operate_dockerfile::{Dockerfile, Instruction, Kind, Stages};

/// An image's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
    pub env: Vec<(String, String)>,
    /// `/bin/sh` is there, so a script can be the entry point.
    pub has_shell: bool,
    /// Instructions that the image hands to whoever builds on it.
    pub onbuild: bool,
}

impl Facts {
    /// From the stages that ship; what the base image brings is not known, and a shell is taken to be there.
    pub fn of(file: &Dockerfile<'_>, stages: &Stages) -> Facts {
        let mut facts = Facts { has_shell: true, ..Facts::default() };
        let Some(target) = stages.target() else { return facts };
        // The oldest ancestor first.
        let mut chain: Vec<_> = stages.chain(target).collect();
        chain.reverse();
        for stage in chain {
            for it in file.instructions.get(stage.from..stage.end).unwrap_or(&[]) {
                facts.add(it);
            }
        }
        facts.env = facts
            .env
            .drain(..)
            .map(|(name, _)| {
                let value = target.scope.get(&name).cloned().flatten().unwrap_or_default();
                (name, value)
            })
            .collect();
        facts
    }

    fn add(&mut self, it: &Instruction) {
        match it.kind {
            Kind::Entrypoint => {
                self.entrypoint = words(it);
                // As Docker has it: an inherited command does not fit a new entry point.
                self.command.clear();
            }
            Kind::Cmd => self.command = words(it),
            Kind::Env => {
                for (key, _) in it.pairs() {
                    self.env.retain(|(name, _)| *name != key.value);
                    self.env.push((key.value, String::new()));
                }
            }
            Kind::Onbuild => self.onbuild = true,
            _ => {}
        }
    }

    pub fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// The program and its words, out of a shell's hands where it only starts it: `sh -c "exec python app.py"` is `python app.py`.
    pub fn program(&self) -> Vec<String> {
        let all: Vec<String> = self.entrypoint.iter().chain(&self.command).cloned().collect();
        match &all[..] {
            [shell, flag, line]
                if flag == "-c" && ["sh", "bash", "ash", "dash"].iter().any(|name| shell.ends_with(name)) =>
            {
                line.split_whitespace()
                    .skip_while(|word| *word == "exec" || word.contains('='))
                    .map(str::to_owned)
                    .collect()
            }
            [init, rest @ ..] if ["tini", "dumb-init", "docker-init"].iter().any(|name| init.ends_with(name)) => {
                rest.iter().skip_while(|word| word.starts_with('-')).cloned().collect()
            }
            _ => all,
        }
    }
}

fn words(it: &Instruction) -> Vec<String> {
    match &it.exec {
        Some(words) => words.iter().map(|word| word.value.clone()).collect(),
        None => vec!["/bin/sh".to_owned(), "-c".to_owned(), it.rest_text().trim().to_owned()],
    }
}
