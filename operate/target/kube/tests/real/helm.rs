//! Releases that the real helm carries out on the real API server: good ones, bad ones, ones whose helm was killed in the middle, and ones
//! killed with us at every boundary and at random instants. The pods are pretended.

mod post;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base_world::{Rng, World};
use operate_deploy::{ClusterRelease, HelmChart, Item, Refusal, Secret, helm_object, plan_cluster};
use operate_execute::{Image, RunId, Status};
use operate_manifest::{Limits, read};
use operate_plan::ObjectId;
use operate_target_fake::Kill;
use operate_target_kube::{Pack, Render, secret_name, stuck};
use serde_json::{Value, json};

use crate::rig::Rig;

const CHART: &str = "apiVersion: v2\nname: cart\nversion: 1.2.3\nappVersion: \"1\"\n";
const VALUES: &str =
    "image: {tag: '0'}\nfate: none\nextra: false\nhang: false\nhook: false\nkept: false\npassword: x\n";
const TEMPLATES: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: cart}
data: {MODE: "v{{ .Values.image.tag }}"}
---
apiVersion: v1
kind: Secret
metadata: {name: cart}
stringData: {password: {{ .Values.password | quote }}}
---
apiVersion: v1
kind: Service
metadata: {name: cart}
spec: {selector: {app: cart}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart}
spec:
  replicas: 2
  selector: {matchLabels: {app: cart}}
  progressDeadlineSeconds: 60
  template:
    metadata: {labels: {app: cart, apm.test/fate: {{ .Values.fate | quote }}}}
    spec:
      terminationGracePeriodSeconds: 0
      nodeSelector: {type: kwok}
      tolerations: [{key: kwok.x-k8s.io/node, operator: Exists}]
      containers: [{name: app, image: "apm.test/cart:{{ .Values.image.tag }}"}]
{{- if .Values.hook }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: hook, annotations: {helm.sh/hook: "pre-upgrade,pre-install"}}
data: {MODE: "v{{ .Values.image.tag }}"}
{{- end }}
{{- if .Values.extra }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: extra
{{- if .Values.kept }}
  annotations: {helm.sh/resource-policy: keep}
{{- end }}
{{- end }}
{{- if .Values.hang }}
---
apiVersion: batch/v1
kind: Job
metadata: {name: hang, annotations: {helm.sh/hook: "pre-upgrade,pre-install"}}
spec:
  template:
    metadata: {labels: {apm.test/fate: unready}}
    spec:
      restartPolicy: Never
      nodeSelector: {type: kwok}
      tolerations: [{key: kwok.x-k8s.io/node, operator: Exists}]
      containers: [{name: app, image: "apm.test/hang:1"}]
{{- end }}
"#;

/// A service as a chart.
struct Cart {
    rig: Rig,
    chart: tempfile::TempDir,
    hangs: std::cell::Cell<bool>,
    /// What the post-renderer is told.
    post: std::cell::RefCell<Option<Vec<u8>>>,
}

impl Cart {
    fn new(namespace: &str) -> Cart {
        let chart = tempfile::tempdir().expect("a folder");
        let disk = World::real().disk;
        disk.create_folder(&chart.path().join("cart/templates")).expect("a folder");
        for (name, text) in [("Chart.yaml", CHART), ("values.yaml", VALUES), ("templates/all.yaml", TEMPLATES)] {
            base_world::replace_file(&*disk, &chart.path().join("cart").join(name), text.as_bytes()).expect("written");
        }
        Cart { rig: Rig::pretended(namespace), chart, hangs: std::cell::Cell::new(false), post: Default::default() }
    }

    fn release(&self, version: &str, values: Value) -> ClusterRelease {
        let (rig, helm) = (&self.rig, Rig::helm());
        let chart = self.chart.path().join("cart").display().to_string();
        let mut whole = json!({"image": {"tag": version}, "password": "correct-horse"});
        for (name, value) in values.as_object().into_iter().flatten() {
            whole[name] = value.clone();
        }
        let whole = whole.to_string().into_bytes();
        let packed = rig.runtime.block_on(helm.pack(&Pack { chart: &chart, version: None })).expect("an archive");
        let post = self.post.borrow();
        let render = Render {
            namespace: &rig.namespace,
            release: "cart",
            chart: &packed.archive,
            values: std::slice::from_ref(&whole),
            kubernetes: "1.34.0",
            hangs: self.hangs.get(),
            post: post.as_deref(),
        };
        let text = rig.runtime.block_on(helm.render(&render)).expect("objects");
        let objects = read("all", &text, &Limits::default()).expect("objects").objects;
        let items = objects.iter().map(|object| {
            let mut body = object.json();
            body["metadata"]["namespace"] = json!(rig.namespace);
            Item { body, secrets: Default::default(), source: String::new() }
        });
        let id = helm_object(&rig.namespace, "cart");
        let seal = &rig.lives.seal;
        let secret = |place: &str, plain: &[u8], content: &[u8]| Secret {
            sealed: seal.seal(&secret_name(&id, place), plain).expect("sealed"),
            mark: seal.mark(content),
        };
        ClusterRelease {
            items: items.collect(),
            helm: Some(HelmChart {
                release: "cart".into(),
                chart,
                chart_version: None,
                packed: Some(secret("/chart", &packed.archive, packed.content.as_bytes())),
                values: vec![secret("/values/0", &whole, &whole)],
                post: post.as_deref().map(|post| secret("/post", post, post)),
                create_namespace: false,
                limit_ms: 20_000,
                stuck_after_ms: 900_000,
                repair: false,
                history_max: None,
                by_hand: String::new(),
            }),
            ready_ms: 30_000,
            ..rig.release(version)
        }
    }

    fn deploy(&self, release: &ClusterRelease, kills: &[Kill]) -> (RunId, Status) {
        self.rig.deploy(release, kills)
    }

    fn good(&self, version: &str) {
        let (run, status) = self.deploy(&self.release(version, json!({})), &[]);
        assert_eq!(status, Status::Complete, "{version}: {}", self.rig.reason(&run));
    }

    /// Somebody's helm.
    fn command(&self, words: &[&str]) -> Command {
        let helm = Rig::helm();
        let mut command = Command::new(&helm.program);
        command.args(words).args(["--namespace", &self.rig.namespace]).env("KUBECONFIG", helm.kubeconfig.expect("one"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn says(&self, words: &[&str]) -> String {
        let output = self.command(words).output().expect("helm");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// `REVISION STATUS` of each revision, as `helm history` tells them.
    fn history(&self) -> Vec<String> {
        let all: Value = serde_json::from_str(&self.says(&["history", "cart", "--output", "json"])).expect("JSON");
        let line = |one: &Value| format!("{} {}", one["revision"], one["status"].as_str().expect("a status"));
        all.as_array().expect("revisions").iter().map(line).collect()
    }

    /// Somebody's helm, in the middle of its work and killed there.
    fn killed(&self, words: &[&str], status: &str) {
        let chart = self.chart.path().join("cart").display().to_string();
        let mut words = words.to_vec();
        words.extend(["cart", &chart, "--set", "hang=true,extra=true,image.tag=9", "--timeout", "10m"]);
        let mut child: Child = self.command(&words).spawn().expect("helm");
        let clock = World::real().clock;
        let begun = clock.monotonic_ns();
        // The hook's Job, which comes after the record.
        let job = ObjectId::new("Job.batch", format!("{}/hang", self.rig.namespace));
        while self.rig.image(&job) == Image::Absent {
            assert!(clock.monotonic_ns() - begun < 60_000_000_000, "helm does not begin");
            assert_eq!(child.try_wait().expect("a child"), None, "helm ended");
            self.rig.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(50)).await });
        }
        child.kill().expect("killed");
        child.wait().expect("over");
        self.hangs.set(true);
        assert!(self.history().last().expect("one").ends_with(status), "{:?}", self.history());
    }

    fn refusal(&self, release: &ClusterRelease) -> Refusal {
        let seen = self.rig.survey(release);
        plan_cluster(release, &seen, World::real().clock.now_ms()).map(drop).expect_err("refused")
    }
}

#[test]
fn a_chart_is_upgraded_and_helm_knows_it() {
    let cart = Cart::new("helm-good");
    cart.good("1");
    let (run, status) = cart.deploy(&cart.release("2", json!({"extra": true})), &[]);
    assert_eq!(status, Status::Complete, "{}", cart.rig.reason(&run));
    assert_eq!(cart.history(), ["1 superseded", "2 deployed"]);
    let refused = cart.refusal(&cart.release("2", json!({"extra": true})));
    assert!(matches!(refused, Refusal::NothingToDo { .. }), "{refused}");
    assert!(cart.says(&["get", "values", "cart"]).contains("tag: \"2\""));
    // What people do with it goes on working, and is seen.
    cart.says(&["rollback", "cart", "1", "--wait"]);
    assert_eq!(cart.history(), ["1 superseded", "2 superseded", "3 deployed"]);
    let refused = cart.refusal(&cart.release("1", json!({})));
    assert!(matches!(refused, Refusal::NothingToDo { .. }), "{refused}");
    cart.says(&["upgrade", "cart", &cart.chart.path().join("cart").display().to_string(), "--set", "image.tag=7"]);
    let (run, status) = cart.deploy(&cart.release("1", json!({})), &[]);
    assert_eq!(status, Status::Complete, "{}", cart.rig.reason(&run));
}

/// A version that must not stay leaves everything as it was, and helm knows what happened.
fn check_undone(namespace: &str, values: Value, judge_fails: bool, reason: &str) {
    let cart = Cart::new(namespace);
    cart.good("1");
    cart.good("2");
    let before = cart.rig.objects();
    let mut bad = cart.release("3", values);
    // Time for what is wrong to show itself; it ends the wait when it does.
    bad.ready_ms = 90_000;
    bad.judge = Some(json!({"fail": judge_fails}));
    if let Some(helm) = &mut bad.helm {
        helm.limit_ms = 4_000;
    }
    let (run, status) = cart.deploy(&bad, &[]);
    assert_eq!(status, Status::RolledBack, "{}", cart.rig.reason(&run));
    assert!(cart.rig.reason(&run).contains(reason), "{} has no `{reason}`", cart.rig.reason(&run));
    cart.rig.is_as(&before).unwrap_or_else(|why| panic!("{why}"));
    let history = cart.history();
    assert_eq!(history.last().map(String::as_str), Some("4 deployed"), "{history:?}");
    cart.good("3");
}

#[test]
fn a_version_that_the_judge_refuses_is_rolled_back() {
    check_undone("helm-judged", json!({"extra": true}), true, "");
}

#[test]
fn a_version_that_ends_again_and_again_is_rolled_back() {
    check_undone("helm-crash", json!({"fate": "crash"}), false, "kube.crash-loop");
}

#[test]
fn a_hook_that_never_ends_is_rolled_back() {
    check_undone("helm-hook", json!({"hang": true}), false, "helm.failed");
}

#[test]
fn a_first_install_that_fails_leaves_nothing_but_what_must_stay() {
    let cart = Cart::new("helm-first");
    let mut first = cart.release("1", json!({"fate": "crash", "extra": true, "kept": true}));
    first.ready_ms = 5_000;
    let (run, status) = cart.deploy(&first, &[]);
    assert_eq!(status, Status::RolledBack, "{}", cart.rig.reason(&run));
    let left: Vec<_> = cart.rig.objects().iter().map(|(id, _)| id.to_string()).collect();
    assert_eq!(left, ["ConfigMap/helm-first/extra"]);
    cart.good("1");
}

#[test]
fn a_release_whose_helm_was_killed_is_repaired_when_somebody_says_so() {
    let cart = Cart::new("helm-stuck");
    cart.good("1");
    cart.killed(&["upgrade"], "pending-upgrade");
    let found = cart.rig.runtime.block_on(stuck(&Rig::cluster(), Some("helm-stuck"))).expect("records");
    assert_eq!((found.len(), found[0].revision, found[0].to), (1, 2, Some(1)), "{found:?}");
    let mut next = cart.release("2", json!({}));
    let refused = cart.refusal(&next);
    assert!(matches!(refused, Refusal::HelmBusy { .. }), "{refused}");
    next.helm.as_mut().expect("a chart").repair = true;
    let (run, status) = cart.deploy(&next, &[]);
    assert_eq!(status, Status::Complete, "{}", cart.rig.reason(&run));
    assert_eq!(cart.history(), ["1 superseded", "2 failed", "3 superseded", "4 deployed"]);
    let found = cart.rig.runtime.block_on(stuck(&Rig::cluster(), Some("helm-stuck"))).expect("records");
    assert_eq!(found, []);
}

#[test]
fn an_install_whose_helm_was_killed_is_taken_up_when_it_is_old_enough() {
    let cart = Cart::new("helm-stuck-first");
    cart.killed(&["install"], "pending-install");
    let mut next = cart.release("1", json!({}));
    assert!(matches!(cart.refusal(&next), Refusal::HelmBusy { .. }));
    next.helm.as_mut().expect("a chart").stuck_after_ms = 1;
    let (run, status) = cart.deploy(&next, &[]);
    assert_eq!(status, Status::Complete, "{}", cart.rig.reason(&run));
    // Helm itself has the next one supersede what it took it from.
    assert_eq!(cart.history(), ["1 superseded", "2 deployed"]);
}

/// Killed with whatever helm is at work; the end is the same as ever. The numbers of versions rise, whatever became of the one before.
fn check_killed(cart: &Cart, number: usize, fails: bool, kills: &[Kill]) -> u64 {
    let before = cart.rig.objects();
    let version = (number + 2).to_string();
    // An object more, or one less.
    let mut next = cart.release(&version, json!({"extra": number.is_multiple_of(2)}));
    next.judge = Some(json!({"fail": fails}));
    let (run, status) = cart.deploy(&next, kills);
    let reason = cart.rig.reason(&run);
    if fails {
        assert_eq!(status, Status::RolledBack, "{kills:?}: {reason}");
        cart.rig.is_as(&before).unwrap_or_else(|why| panic!("{kills:?}: {why}"));
    } else {
        assert_eq!(status, Status::Complete, "{kills:?}: {reason}");
        let map = cart.rig.image(&ObjectId::new("ConfigMap", format!("{}/cart", cart.rig.namespace)));
        let Image::Present(map) = map else { panic!("{kills:?}: no ConfigMap") };
        assert_eq!(map["data"]["MODE"], format!("v{version}"), "{kills:?}");
    }
    let history = cart.history();
    let deployed: Vec<_> = history.iter().filter(|line| line.ends_with("deployed")).collect();
    assert_eq!(deployed.len(), 1, "{kills:?}: {history:?}");
    assert!(history.last().is_some_and(|line| line.ends_with("deployed")), "{kills:?}: {history:?}");
    cart.rig.lives.crash.passed()
}

/// Side by side on one cluster.
const LANES: usize = 3;
const INSTANTS: u64 = 12;

fn play(name: &str, cases: &[(bool, Vec<Kill>)]) {
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            scope.spawn(move || {
                let cart = Cart::new(&format!("{name}-{lane}"));
                cart.good("1");
                for (number, (fails, kills)) in cases.iter().enumerate().skip(lane).step_by(LANES) {
                    check_killed(&cart, number, *fails, kills);
                }
            });
        }
    });
}

#[test]
fn a_release_of_helm_killed_at_any_boundary_ends_as_it_should() {
    let cart = Cart::new("helm-kill-count");
    cart.good("1");
    let both = check_killed(&cart, 0, true, &[]);
    assert!(both > 8, "only {both} boundaries");
    let cases: Vec<_> = (1..=both).map(|moment| (true, vec![Kill::Moment(moment)])).collect();
    play("helm-kill", &cases);
}

#[test]
fn a_release_of_helm_killed_at_random_instants_ends_as_it_should() {
    let instants = std::env::var("APM_TEST_INSTANTS").ok().and_then(|text| text.parse().ok()).unwrap_or(INSTANTS);
    let mut rng = Rng::new(instants);
    let mut drawn = || Kill::After(Duration::from_millis(rng.below(2_500)));
    let cases: Vec<_> = (0..instants).map(|number| (number % 2 == 1, vec![drawn(), drawn()])).collect();
    play("helm-instant", &cases);
}
