//! What a chart renders to, changed on its way by a program that Helm starts.

use super::*;

/// Whatever changes a chart's objects is a program that Helm starts: here the editor of streams, which is told by the file what to do.
#[test]
fn what_a_chart_renders_to_is_changed_and_goes_back_as_it_was() {
    let cart = Cart::new("helm-post");
    *cart.post.borrow_mut() = Some(b"s/MODE: \"v/MODE: \"changed-/".to_vec());
    let mode = || {
        let map = cart.rig.image(&ObjectId::new("ConfigMap", "helm-post/cart"));
        let Image::Present(map) = map else { panic!("no ConfigMap") };
        map["data"]["MODE"].as_str().expect("text").to_owned()
    };
    let first = cart.release("1", json!({"hook": true}));
    let planned = first.items.iter().map(|item| &item.body).find(|body| body["kind"] == "ConfigMap").expect("one");
    assert_eq!(planned["data"]["MODE"], "changed-1", "the plan shows what is applied");
    let (run, status) = cart.deploy(&first, &[]);
    assert_eq!(status, Status::Complete, "{}", cart.rig.reason(&run));
    assert_eq!(mode(), "changed-1");
    let manifest = cart.says(&["get", "manifest", "cart"]);
    assert!(manifest.contains("changed-1"), "{manifest}");
    let hooks = cart.says(&["get", "hooks", "cart"]);
    assert!(hooks.contains("MODE: \"v1\""), "{hooks}");
    // Another way of changing it is another release, and undone it is the one before, without that program.
    let before = cart.rig.objects();
    *cart.post.borrow_mut() = Some(b"s/MODE: \"v/MODE: \"again-/".to_vec());
    let mut bad = cart.release("1", json!({"hook": true}));
    bad.judge = Some(json!({"fail": true}));
    let (run, status) = cart.deploy(&bad, &[]);
    assert_eq!(status, Status::RolledBack, "{}", cart.rig.reason(&run));
    cart.rig.is_as(&before).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(mode(), "changed-1");
    // One that cannot do it ends the release before anything is changed.
    *cart.post.borrow_mut() = Some(b"s/unfinished".to_vec());
    let broken = cart.post.borrow().clone();
    let render = Render {
        namespace: &cart.rig.namespace,
        release: "cart",
        chart: &cart
            .rig
            .runtime
            .block_on(
                Rig::helm().pack(&Pack { chart: &cart.chart.path().join("cart").display().to_string(), version: None }),
            )
            .expect("an archive")
            .archive,
        values: &[],
        kubernetes: "1.34.0",
        hangs: false,
        post: broken.as_deref(),
    };
    let failure = cart.rig.runtime.block_on(Rig::helm().render(&render)).expect_err("refused");
    assert_eq!(failure.code, "helm.post-render", "{failure}");
}
