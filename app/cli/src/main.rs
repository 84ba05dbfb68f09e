//! The `apm` binary: hands the words of the command line to the command they name.

mod args;
mod collect;
mod config;
mod demo;
mod deploy;
mod docker;
mod export;
mod front;
mod k8s;
mod output;
mod post_render;
mod registry;
mod run;
mod test;
mod unified;
mod up;

use clap::Parser;

fn main() -> std::process::ExitCode {
    // Before any thread starts.
    base_world::os::heap::limit_arenas(2);
    let args = args::Args::parse();
    // A service of the demo sets up its own telemetry, which is the program's log too.
    if !matches!(args.command, args::Command::DemoService(_)) {
        output::start_log(&args.global);
    }
    // One provider in the whole program: with none chosen rustls panics at the first connection.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let ended = match args.command {
        args::Command::Up(up) => up::up(&args.global, &up),
        args::Command::Collect(collect) => collect::collect(&args.global, &collect),
        args::Command::Run(run) => run::run(&args.global, &run),
        args::Command::Deploy(deploy) => deploy::deploy(&args.global, &deploy),
        args::Command::Front(front) => front::front(&args.global, &front),
        args::Command::Registry(registry) => registry::registry(&args.global, &registry),
        args::Command::Docker(docker) => docker::docker(&args.global, &docker),
        args::Command::K8s(k8s) => k8s::k8s(&args.global, &k8s),
        args::Command::PostRender(post) => post_render::post_render(&post),
        args::Command::Test(test) => test::test(&args.global, &test),
        args::Command::Export(export) => export::export(&args.global, &export),
        args::Command::Import(import) => export::import(&args.global, &import),
        args::Command::DemoService(words) => demo::service(&words.words),
    };
    output::exit_code(&args.global, ended)
}
