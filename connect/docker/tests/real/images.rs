//! Images: built, saved, loaded, pushed and pulled.

use bytes::Bytes;
use connect_docker::{ContainerSpec, DockerError, RegistryAuth};
use futures_util::{FutureExt, StreamExt, TryStreamExt};

use crate::registry::{Registry, open, password};
use crate::support::{DOCKERFILE, build, engine, image, label, spec};

#[tokio::test]
async fn images_are_built_and_a_failing_build_says_why() {
    let engine = engine();
    let messages = build(
        &engine,
        "real/built:1",
        &format!("{DOCKERFILE}HEALTHCHECK CMD true\nEXPOSE 8080\nUSER 1\nRUN echo out loud\n"),
    )
    .await;
    let messages = messages.expect("it builds");
    assert!(messages.iter().any(|message| message.output.contains("out loud")), "{messages:?}");
    let id = messages.iter().rev().find_map(|message| message.digest()).expect("an id").to_owned();
    let view = engine.image("real/built:1").await.expect("there");
    assert_eq!((view.id, view.user.as_str(), view.has_health_check), (id.clone(), "1", true));
    assert_eq!((view.exposed_ports, view.labels["made-by"].as_str()), (vec!["8080/tcp".to_owned()], "real"));
    assert!(engine.images(&label("made-by", "real")).await.expect("listed").contains(&id));

    let error = build(&engine, "real/bad:1", &format!("{DOCKERFILE}RUN exit 5\n")).await.expect_err("it fails");
    assert!(error.to_string().contains("returned a non-zero code: 5"), "{error}");
    let error = build(&engine, "real/bad:1", "FORM scratch\n").await.expect_err("no instruction");
    assert!(error.to_string().contains("FORM"), "{error}");
    // Refused before the context has been read: the reason arrives all the same.
    let error = build(&engine, "Not A Name", DOCKERFILE).await.expect_err("no name");
    assert!(error.to_string().contains("invalid reference format"), "{error}");

    // Saved and loaded again, it is the same image.
    let tar: Vec<Bytes> = engine.save(&["real/built:1"]).await.expect("it begins").try_collect().await.expect("whole");
    engine.tag("real/built:1", "real/copy:2").await.expect("tagged");
    for name in ["real/built:1", "real/copy:2"] {
        assert!(engine.remove_image_if_there(name).await.expect("away"));
    }
    assert_eq!(engine.image_if_there(&id).await.expect("no error"), None);
    engine.load(futures_util::stream::iter(tar.into_iter().map(Ok)).boxed()).await.expect("loaded");
    assert_eq!(engine.image("real/built:1").await.expect("there").id, id);
    let error = {
        let spec = ContainerSpec { image: "real/built:1".into(), ..spec(&engine, "user", "sleep 1").await };
        engine.create_container(&spec).await.expect("made");
        engine.remove_image(&id).await.expect_err("in use")
    };
    assert!(matches!(error, DockerError::Conflict { .. }), "{error:?}");
    engine.remove_container("user").await.expect("away");
    engine.remove_image("real/built:1").await.expect("away");
}

#[tokio::test]
async fn an_image_goes_to_a_registry_and_comes_back() {
    let engine = engine();
    let registry = Registry::start(open);
    let reference = format!("{}/real/pushed:1", registry.address);
    engine.tag(image(&engine).await, &reference).await.expect("tagged");
    let mut pushed = 0;
    let digest = engine.push(&reference, None, |_| pushed += 1).await.expect("pushed").expect("a digest");
    assert!(pushed > 1 && digest.starts_with("sha256:"), "{digest}");
    engine.remove_image(&reference).await.expect("away");
    let messages: Vec<_> =
        engine.pull(&reference, None, "").await.expect("it begins").try_collect().await.expect("pulled");
    assert_eq!(messages.iter().rev().find_map(|message| message.digest()), Some(digest.as_str()));
    let pinned = format!("{}@{digest}", reference.trim_end_matches(":1"));
    assert!(engine.image(&reference).await.expect("there").digests.contains(&pinned));
    engine.pull(&pinned, None, "").await.expect("it begins").try_collect::<Vec<_>>().await.expect("pulled by digest");

    let none = reference.replace(":1", ":none");
    let pull = |reference: String| {
        let engine = engine.clone();
        async move { engine.pull(&reference, None, "").await?.try_collect::<Vec<_>>().await }.boxed()
    };
    let error = pull(none.clone()).await.expect_err("no such tag");
    assert!(matches!(&error, DockerError::ImageMissing { image, .. } if *image == none), "{error:?}");
    let error = pull("127.0.0.1:1/none:1".to_owned()).await.expect_err("no registry");
    assert!(error.to_string().contains("127.0.0.1:1/none:1") && error.to_string().contains("refused"), "{error}");
    let error = engine.push("127.0.0.1:1/none:1", None, |_| {}).await.expect_err("no such image");
    assert!(!error.to_string().is_empty(), "{error:?}");
    engine.remove_image(&reference).await.expect("away");
}

#[tokio::test]
async fn a_registry_that_knows_us_not_is_named() {
    let (engine, registry) = (engine(), Registry::start(password));
    let reference = format!("{}/real/private:1", registry.address);
    engine.tag(image(&engine).await, &reference).await.expect("tagged");
    let auth = |password: &str| RegistryAuth {
        registry: registry.address.clone(),
        username: "user".into(),
        password: password.into(),
        ..Default::default()
    };
    let refused = |error: DockerError| match error {
        DockerError::Unauthorized { object, said } => {
            assert_eq!(object.name, reference);
            assert!(!said.message.contains("wrong"), "{said}");
        }
        other => panic!("{other:?}"),
    };
    refused(engine.push(&reference, None, |_| {}).await.expect_err("nobody"));
    refused(engine.push(&reference, Some(&auth("wrong")), |_| {}).await.expect_err("a wrong password"));
    engine.push(&reference, Some(&auth("secret")), |_| {}).await.expect("known").expect("a digest");
    engine.remove_image(&reference).await.expect("away");
    let pull =
        async |auth: Option<&RegistryAuth>| engine.pull(&reference, auth, "").await?.try_collect::<Vec<_>>().await;
    refused(pull(None).await.expect_err("nobody"));
    pull(Some(&auth("secret"))).await.expect("pulled");
    engine.remove_image(&reference).await.expect("away");
}
