//! `apm registry`: shows what a registry says of an image, and does to it what it is told. How a registry is spoken to is known elsewhere.

use std::io::{IsTerminal, Read};

use app_deploy::{DockerSurroundings, Inspected, Registry, RegistryError, RegistryKind};
use base_explain::Report;
use base_world::World;
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use serde_json::json;

use crate::args::Global;
use crate::output::{Failure, say};

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Logins are those of Docker: `docker login` serves apm, and the other way round.\nExit codes: 0 done, 2 the words are wrong, 3 it could not be done, 4 the registry does not allow it."
)]
pub(crate) struct RegistryArgs {
    #[command(subcommand)]
    pub(crate) command: RegistryCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RegistryCommand {
    /// Try a name and a password, and keep them where `docker login` does
    Login(LoginArgs),
    /// Forget a login
    Logout {
        /// The registry [default: docker.io]
        #[arg(default_value = "docker.io", hide_default_value = true)]
        registry: String,
    },
    /// List the tags of a repository
    Tags {
        /// Such as registry.example.org/shop/cart
        repository: String,
        #[command(flatten)]
        wire: Wire,
    },
    /// Print the digest that a tag is now
    Digest(ImageArgs),
    /// Show what an image is made of
    Inspect {
        #[command(flatten)]
        image: ImageArgs,
        /// The form of the answer
        #[arg(long, short, value_name = "FORM", default_value = "text")]
        output: Form,
    },
    /// Copy an image with everything that it is made of; its digest stays
    Copy {
        from: String,
        to: String,
        /// Only the part for this platform, such as linux/arm64
        #[arg(long, value_name = "OS/PROCESSOR")]
        platform: Option<String>,
        #[command(flatten)]
        wire: Wire,
    },
    /// Delete an image, and with it every tag that names it
    Delete {
        /// By a tag or a digest
        image: String,
        /// Do it; without, what would be deleted is only shown
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        wire: Wire,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LoginArgs {
    /// The registry [default: docker.io]
    #[arg(default_value = "docker.io", hide_default_value = true)]
    registry: String,
    /// The user
    #[arg(long, short, value_name = "NAME")]
    username: String,
    /// Read the password from standard input; it is never taken from the command line, where others could read it
    #[arg(long, required = true)]
    password_stdin: bool,
    #[command(flatten)]
    wire: Wire,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ImageArgs {
    /// Such as registry.example.org/shop/cart:2
    image: String,
    /// Of an image for several platforms, the part for this one, such as linux/arm64
    #[arg(long, value_name = "OS/PROCESSOR")]
    platform: Option<String>,
    #[command(flatten)]
    wire: Wire,
}

#[derive(Debug, Default, ClapArgs)]
pub(crate) struct Wire {
    /// A registry that has no TLS; may be given several times. Those on this machine need no such word
    #[arg(long, value_name = "HOST[:PORT]")]
    insecure: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    Text,
    Json,
}

/// A password or a token is not longer.
const PASSWORD_BYTES_MAX: u64 = 64 << 10;

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Failure {
        let report = Report::of(&error).hint(error.hint());
        match (&error, error.kind()) {
            (RegistryError::Reference { .. } | RegistryError::Platform { .. }, _) => Failure::Usage(report),
            (_, RegistryKind::Auth | RegistryKind::Permission) => Failure::Refused(report),
            _ => Failure::Broken(report),
        }
    }
}

pub(crate) fn registry(global: &Global, args: &RegistryArgs) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Broken(Report::of(&error)))?;
    let ended = runtime.block_on(run(global, &args.command));
    runtime.shutdown_background();
    ended.map(|()| 0)
}

fn open(wire: &Wire) -> Result<Registry, Failure> {
    let docker = DockerSurroundings::from_variables(|name| std::env::var(name).ok());
    Ok(Registry::new(World::real(), &docker, wire.insecure.clone())?)
}

async fn run(global: &Global, command: &RegistryCommand) -> Result<(), Failure> {
    match command {
        RegistryCommand::Login(args) => login(global, args).await,
        RegistryCommand::Logout { registry } => {
            let known = open(&Wire::default())?.logout(registry).await?;
            say(
                global,
                &if known { format!("logged out of {registry}") } else { format!("no login for {registry} was kept") },
            );
            Ok(())
        }
        RegistryCommand::Tags { repository, wire } => {
            for tag in open(wire)?.tags(repository).await? {
                say(global, &tag);
            }
            Ok(())
        }
        RegistryCommand::Digest(args) => {
            say(global, &open(&args.wire)?.digest(&args.image, args.platform.as_deref()).await?);
            Ok(())
        }
        RegistryCommand::Inspect { image, output } => {
            let inspected = open(&image.wire)?.inspect(&image.image, image.platform.as_deref()).await?;
            match output {
                Form::Text => text(&inspected).iter().for_each(|line| say(global, line)),
                Form::Json => say(global, &format!("{:#}", as_json(&inspected))),
            }
            Ok(())
        }
        RegistryCommand::Copy { from, to, platform, wire } => {
            let (digest, blobs, bytes) = open(wire)?.copy(from, to, platform.as_deref()).await?;
            say(global, &format!("copied {from} to {to}: {digest} ({blobs} blobs sent, {})", size(bytes)));
            Ok(())
        }
        RegistryCommand::Delete { image, yes, wire } => {
            let registry = open(wire)?;
            let pinned = registry.pinned(image).await?;
            if !yes {
                let report = Report::new(format!("{pinned} would be deleted, and with it every tag that names it"));
                return Err(Failure::Refused(report.hint("`--yes` does it")));
            }
            registry.delete(&pinned).await?;
            say(global, &format!("deleted {pinned}"));
            Ok(())
        }
    }
}

async fn login(global: &Global, args: &LoginArgs) -> Result<(), Failure> {
    let mut password = String::new();
    if std::io::stdin().is_terminal() {
        // A terminal shows what is typed.
        let report = Report::new("a password is not read from a terminal");
        let hint = format!(
            "printf %s \"$TOKEN\" | apm registry login {} -u {} --password-stdin",
            args.registry, args.username
        );
        return Err(Failure::Usage(report.hint(hint)));
    }
    let read = std::io::stdin().lock().take(PASSWORD_BYTES_MAX).read_to_string(&mut password);
    read.map_err(|error| Failure::Usage(Report::new("the password cannot be read").because(error.to_string())))?;
    let password = password.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Failure::Usage(Report::new("the password on standard input is empty")));
    }
    let kept = open(&args.wire)?.login(&args.registry, &args.username, password).await?;
    say(global, &format!("logged in to {} as {}; kept in {kept}", args.registry, args.username));
    if !kept.starts_with("docker-credential-") {
        crate::output::note(
            "the file holds the password, readable by you alone; `credsStore` in it names a program that keeps logins better",
        );
    }
    Ok(())
}

fn text(image: &Inspected) -> Vec<String> {
    let mut lines = vec![
        format!("image     {}", image.reference),
        format!("digest    {}", image.digest),
        format!("type      {}", image.media_type),
    ];
    if let Some(config) = &image.config {
        let word = |key: &str| config[key].as_str().unwrap_or_default().to_owned();
        lines.push(format!("platform  {}/{}", word("os"), word("architecture")));
        if !word("created").is_empty() {
            lines.push(format!("created   {}", word("created")));
        }
    }
    if !image.layers.is_empty() {
        let bytes = image.layers.iter().map(|(_, bytes)| bytes).sum();
        lines.push(format!("layers    {} ({})", image.layers.len(), size(bytes)));
        lines.extend(image.layers.iter().map(|(digest, bytes)| format!("  {digest}  {}", size(*bytes))));
    }
    for (platform, digest, _) in &image.parts {
        let platform = if platform.is_empty() { "-" } else { platform };
        lines.push(format!("  {digest}  {platform}"));
    }
    lines.extend(image.rate_limit.iter().map(|limit| format!("limit     {limit}")));
    lines
}

fn as_json(image: &Inspected) -> serde_json::Value {
    let layer = |(digest, bytes): &(String, u64)| json!({"digest": digest, "size_bytes": bytes});
    let part = |(platform, digest, bytes): &(String, String, u64)| json!({"platform": platform, "digest": digest, "size_bytes": bytes});
    json!({
        "image": image.reference,
        "digest": image.digest,
        "media_type": image.media_type,
        "layers": image.layers.iter().map(layer).collect::<Vec<_>>(),
        "parts": image.parts.iter().map(part).collect::<Vec<_>>(),
        "config": image.config,
        "rate_limit": image.rate_limit,
    })
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}
