//! What the settings of several clusters come to: each with its own, and refused where they cannot be meant.

use app_config::Tree;
use serde_json::json;

use super::*;

fn project(kubernetes: &str) -> Project {
    let text = format!(
        "services:\n  cart:\n    image: shop/cart\n    deploy:\n      target: kubernetes\n      kubernetes: {{ {kubernetes} }}\n"
    );
    let mut tree = Tree::default();
    tree.add_file_asking("apm.yaml", &text, &|_, _| None).expect("a file");
    Project::read(tree, None, "shop").expect("settings")
}

fn asked() -> Asked {
    Asked { version: Some("2".to_owned()), ..Asked::default() }
}

#[test]
fn each_cluster_has_its_own_and_what_is_said_for_all() {
    let project = project(
        "namespace: shop, transform: { env: { MODE: prod, LEVEL: info } }, parallel: 2, clusters: [\
         { context: prod-eu, name: eu, transform: { env: { LEVEL: debug } }, judge: { matchers: { cluster: eu } } }, \
         { context: us, namespace: other, replicas: { cart: 3 }, judge: { prometheus: \"http://us:9090\" } }]",
    );
    let placed = project.placed(&asked()).expect("clusters");
    let told: Vec<_> = placed
        .iter()
        .map(|one| {
            let transform = one.picked.settings.deploy.kubernetes.transform.as_ref().expect("a transform");
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            (
                one.name.as_str(),
                text(&one.picked.context),
                text(&one.picked.namespace),
                transform.env["MODE"].as_str(),
                transform.env["LEVEL"].as_str(),
            )
        })
        .collect();
    let expect = [
        ("eu", "prod-eu".to_owned(), "shop".to_owned(), "prod", "debug"),
        ("us", "us".to_owned(), "other".to_owned(), "prod", "info"),
    ];
    assert_eq!(told, expect);
    assert_eq!(placed[0].at.matchers["cluster"], "eu");
    assert_eq!(placed[1].at.asked.prometheus.as_deref(), Some("http://us:9090"));
    // The judge is asked about each cluster by itself.
    let request = |one: &Placed<'_>| {
        let judged = project.judged("cart", "2", &one.picked.settings, &one.at).expect("judged");
        judged.judge.expect("a question")["after"].clone()
    };
    assert_eq!(request(&placed[0])["subject"]["matchers"], json!({"cluster": "eu"}));
    assert_eq!(request(&placed[0])["at"], json!(null));
    assert_eq!(request(&placed[1])["at"], json!({"prometheus": "http://us:9090"}));
}

#[test]
fn a_cluster_has_as_many_pods_as_it_says() {
    let project =
        project("clusters: [{ context: eu, replicas: { cart: 3 } }, { context: us, replicas: { nobody: 1 } }]");
    let placed = project.placed(&asked()).expect("clusters");
    let item = |kind: &str, version: &str| {
        let body = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "cart"}, "spec": {"replicas": 9}});
        Item { body, secrets: BTreeMap::new(), source: String::new() }
    };
    let mut items = [item("Service", "v1"), item("Deployment", "apps/v1")];
    placed[0].scale(&mut items).expect("a workload");
    assert_eq!(items.map(|item| item.body["spec"]["replicas"].clone()), [json!(9), json!(3)]);
    let told = placed[1].scale(&mut [item("Deployment", "apps/v1")]).expect_err("nobody").one_line();
    assert!(told.contains("`replicas` of the cluster us names `nobody`"), "{told}");
}

fn check_refused(kubernetes: &str, expect: &str) {
    let told = project(kubernetes).placed(&asked()).map(|_| ()).expect_err(kubernetes).one_line();
    assert!(told.contains(expect), "{told}");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    check_refused("clusters: [{ name: eu }]", "names no context");
    check_refused("clusters: [{ context: arn:aws:eks:x/y }]", "a cluster cannot be called `arn:aws:eks:x/y`");
    check_refused("clusters: [{ context: eu }, { context: x, name: eu }]", "the cluster eu is named twice");
    check_refused("clusters: [{ context: x, name: eu }, { context: x, name: us }]", "the cluster us is named twice");
    check_refused("context: x, clusters: [{ context: eu }]", "has both `context` and `clusters`");
    check_refused("parallel: 0, clusters: [{ context: eu }]", "`services.cart.deploy.kubernetes.parallel` is 0");
    check_refused(
        "on_failure: this, clusters: [{ context: eu }]",
        "on_failure: this` would leave the release on some clusters",
    );
    assert!(project("on_failure: all, clusters: [{ context: eu }]").placed(&asked()).is_ok());
    check_refused("clusters: [{ context: eu, judge: { loki: \"http://me:hush@loki\" } }]", "has a password in it");
    check_refused(
        "clusters: [{ context: eu, judge: { loki: loki } }]",
        "`loki` of `judge` of the cluster eu is no address",
    );
}

#[test]
fn manifests_alone_go_to_the_cluster_that_is_named() {
    let project =
        project("namespace: shop, clusters: [{ context: prod-eu, name: eu, namespace: here }, { context: us }]");
    let check = |context: Option<&str>| {
        let plain = crate::Plain { context: context.map(str::to_owned), ..crate::Plain::default() };
        let asked = Asked { plain: Some(plain), ..asked() };
        let placed = project.placed(&asked).map_err(|report| report.one_line())?;
        assert_eq!(placed.len(), 1);
        Ok::<_, String>((placed[0].picked.context.clone().unwrap_or_default(), placed[0].picked.namespace.clone()))
    };
    let namespace = |name: &str| Some(name.to_owned());
    assert_eq!(check(Some("eu")), Ok(("prod-eu".to_owned(), namespace("here"))));
    assert_eq!(check(Some("us")), Ok(("us".to_owned(), namespace("shop"))));
    assert_eq!(check(Some("kind")), Ok(("kind".to_owned(), namespace("shop"))));
    assert!(check(None).is_err_and(|told| told.contains("cart runs on several clusters: eu, us")));
}
