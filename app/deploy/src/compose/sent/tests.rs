//! A project that travels becomes there what it would have become here.

use base_world::World;

use super::*;

const COMPOSE: &str = r#"
name: shop
services:
  web:
    image: shop/web:${TAG:-3}
    command: ["sh", "-c", "echo $$HOME ${GREETING}"]
    environment: { PRICE: "5$$", EMPTY: "", FROM_OUTSIDE: }
    env_file: web.env
    ports: ["127.0.0.1:8080:80", "53:53/udp"]
    depends_on: { store: { condition: service_healthy } }
    secrets: [password]
    configs: [{ source: greeting, target: /etc/greeting }]
    volumes: ["data:/data", { type: tmpfs, target: /tmp, tmpfs: { size: 1m } }]
    ulimits: { nofile: { soft: 10, hard: 20 } }
    networks: { inside: { aliases: [behind] } }
  store:
    image: shop/store
    mem_limit: 64m
    healthcheck: { test: "wget -q localhost || exit $$?", interval: 2s, retries: 3 }
    profiles: [all]
  extra: { image: "shop/extra:1", profiles: [other] }
networks: { inside: {} }
volumes: { data: {} }
secrets: { password: { file: ./password } }
configs: { greeting: { file: ./greeting.txt } }
"#;

struct Here {
    folder: tempfile::TempDir,
    environment: BTreeMap<String, String>,
}

impl Here {
    fn new(compose: &str) -> Here {
        let folder = tempfile::tempdir().unwrap();
        let here = Here { folder, environment: [("GREETING".into(), "a $ sign".into())].into() };
        let files = [
            ("compose.yaml", compose),
            ("web.env", "FROM_FILE='a$b'\n"),
            ("password", "hunter2"),
            ("greeting.txt", "hi"),
        ];
        for (name, text) in files {
            replace_file(&*World::real().disk, &here.folder.path().join(name), text.as_bytes()).unwrap();
        }
        here
    }

    fn ask<'a>(&'a self, disk: &'a dyn Disk) -> ComposeAsk<'a> {
        let files = vec![self.folder.path().join("compose.yaml")];
        ComposeAsk { files, profiles: vec!["all".into()], environment: &self.environment, disk }
    }

    fn sent(&self) -> Sent {
        let (sent, _) = Sent::read(&self.ask(&*World::real().disk), None).unwrap_or_else(|report| panic!("{report}"));
        // As it is after the way.
        serde_json::from_str(&serde_json::to_string(&sent).unwrap()).unwrap()
    }
}

#[test]
fn services_are_there_what_they_would_be_here() {
    let disk = World::real().disk;
    let here = Here::new(COMPOSE);
    let mut local = Project::default();
    let composed = local.take_in(&here.ask(&*disk)).unwrap_or_else(|report| panic!("{report}"));
    let (sent, state) = (here.sent(), tempfile::tempdir().unwrap());
    let given = sent.place(state.path(), "history.db");
    let mut there = Project::default();
    let taken = there.take_in_sent(&sent, &given, &*disk).unwrap_or_else(|error| panic!("{}", error.report()));
    assert_eq!((taken.order, taken.external), (composed.order, composed.external));
    assert!(!given.folder.exists(), "a look keeps files");
    sent.keep(&given, &*disk).unwrap();
    // But for where the files are, which hold the same.
    let mut told = format!("{:#?}", there.services);
    for (path, (kept, _)) in &given.at {
        assert_eq!(disk.read(path, 99).unwrap(), disk.read(kept, 99).unwrap());
        told = told.replace(&kept.display().to_string(), &path.display().to_string());
    }
    assert_eq!(given.at.len(), 2);
    assert_eq!(told, format!("{:#?}", local.services));
    assert_eq!(there.name, "shop");
}

#[test]
fn a_folder_that_is_not_there_is_refused_by_name() {
    let compose = COMPOSE.replace("\"data:/data\"", "\"data:/data\", \"/nowhere/at/all:/x\"");
    let disk = World::real().disk;
    let here = Here::new(&compose);
    // The engine of Docker would make it, empty.
    assert!(Project::default().take_in(&here.ask(&*disk)).is_ok());
    let sent = here.sent();
    let given = sent.place(Path::new("/nowhere/state"), "history.db");
    let refused = Project::default().take_in_sent(&sent, &given, &*disk);
    match refused {
        Err(DeskError::HostPath(report)) => assert!(report.message.contains("web needs /nowhere/at/all"), "{report}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn another_project_is_refused_and_nothing_is_shown() {
    let sent = Here::new(COMPOSE).sent();
    let mut other = Project { name: "other".into(), named: true, ..Project::default() };
    let given = sent.place(Path::new("/nowhere/state"), "history.db");
    let error = other.take_in_sent(&sent, &given, &*World::real().disk).expect_err("another project");
    assert!(error.report().one_line().contains("of the project `other`, not of `shop`"), "{error}");
    let debug = format!("{sent:?}");
    assert!(!debug.contains("hunter2") && !debug.contains(&STANDARD.encode("hunter2")), "{debug}");
}
