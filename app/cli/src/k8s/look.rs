//! `apm k8s contexts` and `status`: what clusters there are, and how the workloads of one are. They change nothing.

use app_deploy::{Clusters, KubeSurroundings, Workload, WorkloadState};
use base_explain::Report;
use base_world::World;
use clap::Args as ClapArgs;

use crate::args::Global;
use crate::deploy::judge::{Form, json};
use crate::output::{Failure, paint, say};

const AFTER_STATUS: &str =
    "Exit codes: 0 all are ready or on the way, 1 one is in trouble, 3 it could not be looked at.

Examples:
  apm k8s status
  apm k8s status --namespace shop --context prod
  apm k8s status --all-namespaces --output json";

#[derive(Debug, ClapArgs)]
pub(crate) struct ContextsArgs {
    /// The form of the answer
    #[arg(long, short, value_name = "FORM", default_value = "text")]
    output: Form,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_STATUS)]
pub(crate) struct StatusArgs {
    /// The context of the kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// The namespace [default: the context's]
    #[arg(long, short, value_name = "NAME", conflicts_with = "all_namespaces")]
    namespace: Option<String>,
    /// Look at all of them
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    /// The form of the answer
    #[arg(long, short, value_name = "FORM", default_value = "text")]
    output: Form,
}

fn clusters() -> Clusters {
    let surroundings = KubeSurroundings::from_variables(|name| std::env::var(name).ok());
    Clusters { world: World::real(), surroundings }
}

pub(crate) fn contexts(global: &Global, args: &ContextsArgs) -> Result<u8, Failure> {
    let all = clusters().contexts().map_err(Failure::Broken)?;
    if args.output == Form::Json {
        let all = all.iter().map(|one| {
            serde_json::json!({
                "name": one.name, "cluster": one.cluster, "server": one.server, "user": one.user,
                "namespace": one.namespace, "current": one.current,
            })
        });
        json(&all.collect::<Vec<_>>());
        return Ok(0);
    }
    if all.is_empty() {
        say(global, "there is no context: `kubectl config view` shows what is read");
    }
    for one in all {
        let mark = if one.current { "*" } else { " " };
        let namespace = if one.namespace.is_empty() { "default" } else { &one.namespace };
        say(global, &format!("{mark} {:<24} {}  as {}, in {namespace}", one.name, one.server, one.user));
    }
    Ok(0)
}

pub(crate) fn status(global: &Global, args: &StatusArgs) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Broken(Report::of(&error)))?;
    let namespace = if args.all_namespaces { Some("") } else { args.namespace.as_deref() };
    let asked = clusters();
    let context = args.context.as_deref().unwrap_or_default();
    let all = runtime.block_on(asked.workloads(context, namespace)).map_err(Failure::Broken)?;
    match args.output {
        Form::Json => json(&all),
        _ if all.is_empty() => say(global, "there is no workload"),
        _ => all
            .iter()
            .for_each(|one| lines(one).iter().for_each(|(code, line)| say(global, &paint(global, code, line)))),
    }
    Ok(u8::from(all.iter().any(|one| one.state == WorkloadState::Trouble)))
}

/// Lines for a person, each with its colour.
fn lines(one: &Workload) -> Vec<(&'static str, String)> {
    let (word, code) = match one.state {
        WorkloadState::Ready => ("ready", "32"),
        WorkloadState::Waiting => ("waiting", "33"),
        WorkloadState::Trouble => ("trouble", "31"),
    };
    let mut lines = vec![(code, format!("{word:<8} {} {}/{}", one.kind, one.namespace, one.name))];
    if !one.says.is_empty() {
        let code = one.code.map(|code| format!(" [{code}]")).unwrap_or_default();
        lines.push(("0", format!("         {}{code}", one.says)));
    }
    lines.extend(one.next.as_ref().map(|next| ("2", format!("         do: {next}"))));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(state: WorkloadState, says: &str, next: Option<&'static str>, expect: &[&str]) {
        let code = next.map(|_| "kube.unready");
        let (namespace, kind, name, says) = ("shop".into(), "Deployment".into(), "cart".into(), says.into());
        let next = next.map(str::to_owned);
        let one = Workload { namespace, kind, name, state, code, says, next };
        let told: Vec<_> = lines(&one).into_iter().map(|(_, line)| line).collect();
        assert_eq!(told, expect);
    }

    #[test]
    fn a_workload_is_told_with_its_reason_and_what_to_do() {
        check(WorkloadState::Ready, "", None, &["ready    Deployment shop/cart"]);
        check(
            WorkloadState::Waiting,
            "1 of 2 new pods are made",
            None,
            &["waiting  Deployment shop/cart", "         1 of 2 new pods are made"],
        );
        let expect =
            ["trouble  Deployment shop/cart", "         it does not answer [kube.unready]", "         do: see why"];
        check(WorkloadState::Trouble, "it does not answer", Some("see why"), &expect);
    }
}
