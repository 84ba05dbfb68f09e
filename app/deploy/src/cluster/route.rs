//! `kubernetes.route`: which route weighs a canary. What contradicts itself is refused where it stands. It looks for no route.

use operate_deploy::{RouteChoice, RouteKind};
use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer};

/// A name of Kubernetes is at most so long (a DNS subdomain, RFC 1123).
const NAME_MAX: usize = 253;

pub(super) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<RouteChoice, D::Error> {
    let route = RouteChoice::deserialize(from)?;
    match refused(&route) {
        Some(why) => Err(D::Error::custom(why)),
        None => Ok(route),
    }
}

fn refused(route: &RouteChoice) -> Option<String> {
    let by_pods = route.kind == Some(RouteKind::Pods);
    if by_pods && (route.name.is_some() || route.namespace.is_some() || route.unverified) {
        return Some("`kind: none` goes by the number of pods: there is no route to say more about".to_owned());
    }
    let is_name = |text: &String| {
        let is_good = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || "-.".contains(char);
        !text.is_empty() && text.len() <= NAME_MAX && text.chars().all(is_good)
    };
    let said = [("name", &route.name), ("namespace", &route.namespace)];
    let bad = said.into_iter().find_map(|(key, value)| Some((key, value.as_ref().filter(|text| !is_name(text))?)));
    bad.map(|(key, value)| format!("`{value}` is no {key} in Kubernetes: lower case, digits, dashes and dots"))
}

#[cfg(test)]
mod tests {
    use app_config::Tree;

    use super::*;
    use crate::Project;

    const TEXT: &str = "services:
  cart:
    deploy:
      kubernetes:
        route: ";

    fn read(route: &str) -> Result<RouteChoice, String> {
        let mut tree = Tree::default();
        let text = format!("{TEXT}{route}\n");
        tree.add_file_asking("apm.yaml", &text, &|_, _| None).map_err(|error| error.to_string())?;
        let project = Project::read(tree, None, "shop").map_err(|error| error.to_string())?;
        Ok(project.services["cart"].deploy.kubernetes.route.clone())
    }

    #[test]
    fn a_route_can_be_named() {
        let check = |route: &str, kind: Option<RouteKind>, name: Option<&str>, namespace: Option<&str>| {
            let text = |text: Option<&str>| text.map(str::to_owned);
            let expect = RouteChoice { kind, name: text(name), namespace: text(namespace), unverified: false };
            assert_eq!(read(route), Ok(expect), "{route}");
        };
        check("{}", None, None, None);
        check("{ kind: HTTPRoute, name: web }", Some(RouteKind::HttpRoute), Some("web"), None);
        check("{ kind: GRPCRoute, name: web }", Some(RouteKind::GrpcRoute), Some("web"), None);
        check("{ kind: VirtualService }", Some(RouteKind::VirtualService), None, None);
        check("{ kind: none }", Some(RouteKind::Pods), None, None);
        check("{ name: web.v1, namespace: edge-1 }", None, Some("web.v1"), Some("edge-1"));
        assert!(read("{ unverified: true }").is_ok_and(|route| route.unverified));
    }

    fn check_refused(route: &str, place: &str, expect: &str) {
        let told = read(route).expect_err(route);
        assert!(told.contains(expect) && told.contains(&format!("apm.yaml:{place}")), "{route}: {told}");
    }

    #[test]
    fn a_route_that_cannot_be_meant_is_refused_where_it_stands() {
        check_refused("{ kind: TCPRoute }", "5:24", "TCPRoute");
        check_refused("{ kind: httproute }", "5:24", "httproute");
        check_refused("{ nam: web }", "5:18", "nam");
        check_refused("{ unverified: maybe }", "5:30", "maybe");
        check_refused("{ name: [web] }", "5:24", "text is wanted here");
        check_refused("web", "5:16", "a map of settings");
        check_refused("{ kind: none, name: web }", "5:16", "there is no route to say more about");
        check_refused("{ name: edge/web }", "5:16", "`edge/web` is no name in Kubernetes");
        check_refused("{ name: web, namespace: Edge }", "5:16", "`Edge` is no namespace in Kubernetes");
    }
}
