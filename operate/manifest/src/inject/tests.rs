//! Injection as whoever reads the files sees it: golden files, twice is once, and back to the byte.

mod admission;
mod expected;
mod golden;
mod rules;

use lib_yaml_edit::Limits;
use serde_json::{Value, json};

use super::{InjectSettings, Op, Outcome, apply, inject, inject_text, uninject, uninject_text};

/// A Deployment as a team keeps it: comments, an odd order, a variable of its own.
pub(super) const SHOP: &str = "# The shop's cart.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: cart   # the service
  labels: {team: shop}
spec:
  replicas: 2
  selector:
    matchLabels: {app: cart}
  template:
    metadata:
      labels:
        app: cart
    spec:
      # One container is enough.
      containers:
        - name: app
          image: registry.shop/cart:1.4.2 # pinned by CI
          ports: [{containerPort: 8080}]
          env:
            # Left to the team.
            - {name: LOG_LEVEL, value: info}
            - name: OTEL_RESOURCE_ATTRIBUTES
              value: team=shop
          # The end.
---
apiVersion: v1
kind: Service
metadata: {name: cart}
spec: {ports: [{port: 80}]}
";

pub(super) fn injected(text: &str, settings: &InjectSettings) -> String {
    inject_text("f.yaml", text, settings, &Limits::default()).expect("it can be injected").text
}

/// Twice is once, and back gives the bytes; answers the injected text.
pub(super) fn check(text: &str, settings: &InjectSettings) -> String {
    let once = inject_text("f.yaml", text, settings, &Limits::default()).expect("it can be injected");
    assert_ne!(once.text, text, "something was injected");
    assert_eq!(injected(&once.text, settings), once.text, "twice is once");
    let back = uninject_text("f.yaml", &once.text, &Limits::default()).expect("it can be put back").text;
    assert_eq!(back, text, "back to the byte from\n{}", once.text);
    assert!(once.is_exact);
    once.text
}

/// The object after injection, by the very operations that a webhook would send.
pub(super) fn object(object: &Value, settings: &InjectSettings) -> Value {
    let Outcome::Ops(ops) = inject(object, settings).expect("it can be injected") else { panic!("skipped") };
    let after = carried_out(object, &ops);
    assert_eq!(inject(&after, settings), Ok(Outcome::Ops(Vec::new())), "twice is once");
    assert_eq!(&carried_out(&after, &uninject(&after).expect("it has a record")), object, "back");
    after
}

fn carried_out(object: &Value, ops: &[Op]) -> Value {
    let mut after = object.clone();
    for op in ops {
        apply(&mut after, op).unwrap_or_else(|| panic!("{op:?} does not fit"));
    }
    after
}

pub(super) fn pod(annotations: &Value, container: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "annotations": annotations}, "spec": {"containers": [container]}})
}
