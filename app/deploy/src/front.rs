//! What the settings of a front and of a canary come to: where it listens, where its control socket lies, which ports the two colors have,
//! and what the judge is asked while both serve. It asks neither a front nor an engine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use app_adapt::{Elsewhere, Request};
use base_explain::Report;
use operate_deploy::{Beside, Canary, Front, Port, Sides};
use operate_gate::{Settings, Side, Subject};

use crate::release::ms;
use crate::settings::{CanarySettings, FrontSettings, Project, ServiceSettings};

/// `sun_path` of unix(7), without the byte for its end.
const SOCKET_BYTES_MAX: usize = 107;
/// Below what Linux gives to connections that ask for any port (32768 and up), so that none of them is in the way.
const PORTS_FROM: u16 = 20_000;
const PORTS_PAIRS: u64 = 6_000;
/// Each is watched; more would be a release of days.
const STEPS_MAX: usize = 20;

/// The front of a service, with what was left out.
pub(crate) fn front(
    project: &Project,
    service: &str,
    settings: &ServiceSettings,
    given: &FrontSettings,
    ports: &[Port],
    folder: &Path,
) -> Result<Front, Report> {
    let place = format!("services.{service}.deploy.front");
    let published: Vec<(u16, String)> = ports
        .iter()
        .filter_map(|port| {
            let publish = port.publish.as_ref()?;
            let address = if publish.address.is_empty() { "0.0.0.0" } else { &publish.address };
            Some((port.container, format!("{address}:{}", publish.port)))
        })
        .collect();
    let listen = given.listen.clone().or_else(|| Some(published.first()?.1.clone())).ok_or_else(|| {
        Report::new(format!("nobody says where the front of {service} listens"))
            .hint(format!("write `{place}.listen: \"127.0.0.1:8080\"`"))
    })?;
    let address: SocketAddr =
        listen.parse().ok().filter(|address: &SocketAddr| address.port() > 0).ok_or_else(|| {
            Report::new(format!("`{listen}` is no address to listen on ({place}.listen)"))
                .hint("write an address of the machine and a port, such as \"127.0.0.1:8080\"")
        })?;
    let listen = address.to_string();
    let behind = published.iter().find(|(_, published)| *published == listen).map(|(container, _)| *container);
    let port = behind.or(settings.port).ok_or_else(|| {
        Report::new(format!("nobody says which port of its container {service} answers on"))
            .hint(format!("write `services.{service}.port: 8080`"))
    })?;
    let ports = given.ports.unwrap_or_else(|| usual_ports(&listen));
    if ports[0] == ports[1] || ports.contains(&0) || ports.contains(&address.port()) {
        let report = Report::new(format!("{} and {} cannot be the two ports behind {listen}", ports[0], ports[1]));
        return Err(report.hint(format!("`{place}.ports` takes two others, such as [8081, 8082]")));
    }
    let control = match &given.control {
        Some(path) if path.is_absolute() => path.clone(),
        Some(path) => {
            let report = Report::new(format!("`{}` is no absolute path ({place}.control)", path.display()));
            return Err(report.hint("the front outlives the folder it was started in: begin with `/`"));
        }
        None => usual_control(project, service, folder),
    };
    let control = control.to_str().filter(|path| path.len() <= SOCKET_BYTES_MAX).ok_or_else(|| {
        let what = format!("the control socket {} cannot be: more than {SOCKET_BYTES_MAX} bytes", control.display());
        Report::new(what).hint(format!("name a shorter one: `{place}.control`"))
    })?;
    Ok(Front { listen, control: control.to_owned(), port, ports })
}

/// Always the same for an address, so that each release finds the colors where the last one left them.
fn usual_ports(listen: &str) -> [u16; 2] {
    let drawn = operate_plan::digest(&listen);
    let number = u64::from_str_radix(drawn.as_str().get(..12).unwrap_or("0"), 16).unwrap_or(0);
    let pair = u16::try_from(number % PORTS_PAIRS).unwrap_or(0);
    [PORTS_FROM + 2 * pair, PORTS_FROM + 2 * pair + 1]
}

/// By the service's name, or by a mark of it where the name is too long for a socket.
fn usual_control(project: &Project, service: &str, folder: &Path) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = format!("{}-{}-{service}", project.name, project.environment).chars().map(plain).collect();
    let path = folder.join(format!("{name}.sock"));
    if path.as_os_str().len() <= SOCKET_BYTES_MAX {
        return path;
    }
    let mark = operate_plan::digest(&(&project.name, &project.environment, service));
    folder.join(format!("{}.sock", mark.short()))
}

/// The judge's question about both versions while they serve side by side.
pub(crate) fn beside(
    subject: &Subject,
    settings: &Settings,
    canary: &CanarySettings,
    at: &Elsewhere,
) -> Option<Beside> {
    let mut settings = settings.clone();
    settings.bake = canary.bake.map_or(settings.bake, |bake| bake.0);
    let subject = Subject { side_by_side: true, old: Side::default(), ..subject.clone() };
    let request = Request::After { subject: Box::new(subject), settings: Box::new(settings), at: at.clone() };
    let request = serde_json::to_value(request).ok()?;
    Some(Beside { request, old_version_at: "/after/subject/old/version".to_owned() })
}

/// Where the judge's questions name the containers of the two versions.
pub(crate) fn sides() -> Sides {
    let at = |side: &str| format!("/after/subject/{side}/containers");
    Sides { new: at("new"), old: at("old") }
}

pub(crate) fn canary(given: &CanarySettings, beside: Option<Beside>, judge_ms: u64) -> Result<Canary, Report> {
    let steps = &given.steps;
    let rising = steps.is_sorted_by(|a, b| a < b);
    if !rising || steps.len() > STEPS_MAX || steps.iter().any(|percent| !(1..=100).contains(percent)) {
        let told: Vec<_> = steps.iter().map(u32::to_string).collect();
        let report = Report::new(format!("[{}] are no steps of a canary", told.join(", ")));
        return Err(report.hint(format!("at most {STEPS_MAX} percentages that rise, such as [10, 50, 100]")));
    }
    // A minute beside the bake, for questions that are slow to answer.
    let judge_ms = given.bake.map_or(judge_ms, |bake| ms(bake.0) + 60_000);
    Ok(Canary { steps: steps.clone(), beside, judge_ms })
}

#[cfg(test)]
mod tests {
    use app_config::Tree;

    use super::*;

    fn project(deploy: &str) -> Project {
        let mut tree = Tree::default();
        let file = format!("project: shop\nservices: {{ cart: {{ port: 80, deploy: {{ {deploy} }} }} }}\n");
        tree.add_file("apm.yaml", &file, &|_: &str| None).expect("YAML");
        Project::read(tree, None, "folder").expect("settings")
    }

    /// Listen, control, port and ports, or the error.
    fn found(deploy: &str, ports: &[Port], folder: &str) -> Result<Front, String> {
        let project = project(deploy);
        let settings = &project.services["cart"];
        let given = settings.deploy.front.clone().expect("a front");
        front(&project, "cart", settings, &given, ports, Path::new(folder)).map_err(|report| report.one_line())
    }

    fn check(deploy: &str, expect: Result<(&str, &str, [u16; 2]), &str>) {
        let published = operate_deploy::Publish { address: "127.0.0.1".into(), port: 8080 };
        let ports = [Port { container: 8000, publish: Some(published) }];
        let found = found(deploy, &ports, "/state/apm/fronts");
        let found = found.as_ref().map(|front| (front.listen.as_str(), front.control.as_str(), front.ports));
        match (found, expect) {
            (Ok(found), Ok(expect)) => assert_eq!(found, expect),
            (Err(found), Err(expect)) => assert!(found.contains(expect), "{found}"),
            (found, expect) => panic!("{deploy}: {found:?}, not {expect:?}"),
        }
    }

    #[test]
    fn what_is_left_out_is_found_and_what_cannot_be_is_refused() {
        let usual = usual_ports("127.0.0.1:8080");
        assert!(usual[0] >= 20_000 && usual[1] < 32_768 && usual[1] == usual[0] + 1, "{usual:?}");
        let control = "/state/apm/fronts/shop-default-cart.sock";
        check("front: {}", Ok(("127.0.0.1:8080", control, usual)));
        let other = usual_ports("0.0.0.0:90");
        check("front: { listen: \"0.0.0.0:90\", control: /run/c.sock }", Ok(("0.0.0.0:90", "/run/c.sock", other)));
        check("front: { ports: [8081, 8082] }", Ok(("127.0.0.1:8080", control, [8081, 8082])));
        check("front: { ports: [8081, 8081] }", Err("cannot be the two ports"));
        check("front: { ports: [8080, 8081] }", Err("cannot be the two ports"));
        check("front: { listen: \"8080\" }", Err("no address to listen on"));
        check("front: { control: c.sock }", Err("no absolute path"));
        check(&format!("front: {{ control: /{} }}", "x".repeat(107)), Err("more than 107 bytes"));
    }

    #[test]
    fn the_container_s_port_is_the_one_that_was_published_there_or_the_service_s() {
        let published = operate_deploy::Publish { address: String::new(), port: 90 };
        let ports = [Port { container: 8000, publish: Some(published) }];
        assert_eq!(found("front: { listen: \"0.0.0.0:90\" }", &ports, "/s").expect("a front").port, 8000);
        assert_eq!(found("front: { listen: \"127.0.0.1:91\" }", &ports, "/s").expect("a front").port, 80);
        assert!(
            found("front: {}", &[], "/s").expect_err("nowhere to listen").contains("where the front of cart listens")
        );
        let deep = found("front: {}", &ports, &format!("/{}", "d".repeat(87))).expect("a front").control;
        assert!(deep.len() <= SOCKET_BYTES_MAX && !deep.contains("shop-"), "{deep}");
    }

    #[test]
    fn a_canary_s_steps_rise_and_the_judge_is_asked_about_both_versions() {
        let steps = |text: &str| {
            canary(&project(&format!("canary: {{ steps: {text} }}")).services["cart"].deploy.canary, None, 7)
        };
        assert_eq!(steps("[5, 100]").expect("steps").steps, [5, 100]);
        for bad in ["[50, 10]", "[0, 10]", "[101]", "[10, 10]"] {
            assert!(steps(bad).is_err(), "{bad}");
        }
        let given = project("canary: { bake: 90s }").services["cart"].deploy.canary.clone();
        assert_eq!(
            (given.steps.as_slice(), canary(&given, None, 7).expect("steps").judge_ms),
            ([10, 50, 100].as_slice(), 150_000)
        );
        let beside =
            beside(&Subject::default(), &Settings::default(), &given, &Elsewhere::default()).expect("a question");
        let mut request = beside.request;
        *request.pointer_mut(&beside.old_version_at).expect("the old version's place") = "1".into();
        let Ok(Request::After { subject, settings, at }) = serde_json::from_value(request) else {
            panic!("another request")
        };
        assert!(subject.side_by_side && settings.bake.as_secs() == 90);
        assert_eq!(subject.old.version.as_deref(), Some("1"));
        // The planner writes the containers there, so there has to be a list.
        let request = Request::After { subject, settings, at };
        let request = serde_json::to_value(request).expect("JSON");
        let sides = sides();
        assert!([sides.new, sides.old].iter().all(|at| request.pointer(at).is_some_and(|list| list.is_array())));
    }
}
