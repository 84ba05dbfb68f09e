//! `lint_speed COUNT [TEXTS…]`: COUNT Deployments and Services, half of each, checked in one go; how long reading and checking took, on one core. With a
//! second word the texts are written to that file instead, for other programs to read.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program of its own, for tests"
)]

use std::time::Instant;

use operate_manifest::{Limits, LintOptions, Manifests, check};

fn one(number: usize) -> String {
    let name = format!("web-{number}");
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  namespace: shop-{}
  labels: {{app: {name}}}
spec:
  replicas: 3
  selector:
    matchLabels:
      app: {name}
  template:
    metadata:
      labels:
        app: {name}
        tier: front
    spec:
      containers:
      - name: web
        image: registry.example.org/shop/web:1.4
        ports:
        - name: http
          containerPort: 8080
        env:
        - name: MODE
          value: fast
        - name: NODE
          valueFrom:
            fieldRef:
              fieldPath: spec.nodeName
        resources:
          requests:
            cpu: 100m
            memory: 64Mi
          limits:
            memory: 64Mi
        readinessProbe:
          httpGet:
            path: /ready
            port: http
        securityContext:
          runAsNonRoot: true
---
apiVersion: v1
kind: Service
metadata:
  name: {name}
  namespace: shop-{}
spec:
  selector:
    app: {name}
  ports:
  - name: http
    port: 80
    targetPort: http
",
        number % 10,
        number % 10
    )
}

fn main() {
    let mut words = std::env::args().skip(1);
    let count: usize = words.next().and_then(|word| word.parse().ok()).unwrap_or(5_000);
    let texts: Vec<String> = (0..count / 2).map(one).collect();
    if let Some(path) = words.next() {
        if let Err(error) = std::fs::write(&path, texts.join("---\n")) {
            eprintln!("{path}: {error}");
        }
        return;
    }
    let started = Instant::now();
    let mut manifests = Manifests::default();
    for (number, text) in texts.into_iter().enumerate() {
        manifests.add(&format!("{number}.yaml"), text, &Limits::default());
    }
    let read = started.elapsed();
    let checked = check(&manifests, &LintOptions { minor: 34, ..LintOptions::default() });
    let all = started.elapsed();
    let found: usize = checked.iter().map(|checked| checked.findings.len()).sum();
    let speed = count as f64 / all.as_secs_f64();
    println!("{count} resources: read {read:?}, read and checked {all:?}, {speed:.0} resources/s, {found} findings");
}
