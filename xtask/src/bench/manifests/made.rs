//! Made resources as a repository of many teams has them: ten kinds for each service, three files a service, twenty services a folder. One of them has a
//! flaw. It does not know who reads them.

use std::path::Path;

use crate::sh;

/// What one Deployment says instead of `replicas`.
pub(super) const FLAW: &str = "replicass";
const SERVICES_EACH: usize = 20;

/// What was written.
pub(super) struct Made {
    pub(super) resources: usize,
    pub(super) kinds: usize,
    pub(super) files: usize,
    pub(super) folders: usize,
}

/// Writes at least so many resources below the folder.
pub(super) fn write(folder: &Path, resources: usize) -> sh::Outcome<Made> {
    let files = [("app.yaml", APP), ("config.yaml", CONFIG), ("access.yaml", ACCESS)];
    let kinds = files.iter().map(|(_, text)| text.matches("\nkind: ").count()).sum::<usize>();
    let services = resources.div_ceil(kinds);
    for number in 0..services {
        let team = number / SERVICES_EACH;
        for (file, text) in files {
            let flawed = number == services / 2;
            let replicas = if flawed { FLAW } else { "replicas" };
            let text = text.replace("NAME", &format!("service-{number}")).replace("TEAM", &format!("team-{team}"));
            let text = text.replace("REPLICAS", replicas);
            sh::write(&folder.join(format!("team-{team}/service-{number}/{file}")), &text)?;
        }
    }
    let folders = services.div_ceil(SERVICES_EACH) + services;
    Ok(Made { resources: services * kinds, kinds, files: services * files.len(), folders })
}

const APP: &str = "# The service NAME of TEAM.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: NAME
  namespace: TEAM
  labels: {app.kubernetes.io/name: NAME, owner: TEAM}
spec:
  REPLICAS: 3
  revisionHistoryLimit: 4
  selector:
    matchLabels:
      app.kubernetes.io/name: NAME
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: 25%, maxUnavailable: 1}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: NAME
        tier: backend
      annotations:
        prometheus.io/scrape: \"true\"
        prometheus.io/port: \"9090\"
    spec:
      serviceAccountName: NAME
      terminationGracePeriodSeconds: 20
      securityContext:
        runAsNonRoot: true
        runAsUser: 1000
        seccompProfile: {type: RuntimeDefault}
      affinity:
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
          - weight: 100
            podAffinityTerm:
              topologyKey: kubernetes.io/hostname
              labelSelector: {matchLabels: {app.kubernetes.io/name: NAME}}
      containers:
      - name: app
        image: registry.example.org/TEAM/NAME:1.4.2
        args: [--port, \"8080\"]
        ports:
        - {name: http, containerPort: 8080}
        - {name: metrics, containerPort: 9090}
        env:
        - {name: MODE, value: prod}
        - name: NODE_IP
          valueFrom: {fieldRef: {fieldPath: status.hostIP}}
        envFrom:
        - configMapRef: {name: NAME}
        resources:
          requests: {cpu: 100m, memory: 128Mi}
          limits: {memory: 128Mi}
        livenessProbe:
          httpGet: {path: /healthz, port: http}
          periodSeconds: 10
        readinessProbe:
          httpGet: {path: /ready, port: http}
        securityContext:
          allowPrivilegeEscalation: false
          readOnlyRootFilesystem: true
          capabilities: {drop: [ALL]}
        volumeMounts:
        - {name: config, mountPath: /etc/app, readOnly: true}
        - {name: tmp, mountPath: /tmp}
      volumes:
      - name: config
        configMap: {name: NAME}
      - name: tmp
        emptyDir: {sizeLimit: 64Mi}
---
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: TEAM}
spec:
  selector: {app.kubernetes.io/name: NAME}
  ports:
  - {name: http, port: 80, targetPort: http}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: NAME, namespace: TEAM}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector: {matchLabels: {app.kubernetes.io/name: NAME}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: NAME, namespace: TEAM}
spec:
  ingressClassName: nginx
  tls: [{hosts: [NAME.example.org], secretName: NAME-tls}]
  rules:
  - host: NAME.example.org
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: NAME, port: {name: http}}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: NAME, namespace: TEAM}
spec:
  podSelector: {matchLabels: {app.kubernetes.io/name: NAME}}
  policyTypes: [Ingress]
  ingress:
  - ports: [{protocol: TCP, port: 8080}]
";

const CONFIG: &str = "# Settings.
apiVersion: v1
kind: ConfigMap
metadata: {name: NAME, namespace: TEAM}
data:
  LOG_LEVEL: info
  app.yaml: |
    listen: 0.0.0.0:8080
    database:
      host: db.TEAM.svc
      pool: 20
    features: [search, cart]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: NAME-nightly, namespace: TEAM}
spec:
  schedule: \"15 3 * * *\"
  concurrencyPolicy: Forbid
  jobTemplate:
    spec:
      ttlSecondsAfterFinished: 3600
      backoffLimit: 2
      template:
        metadata: {labels: {job: NAME-nightly}}
        spec:
          serviceAccountName: NAME
          restartPolicy: Never
          securityContext: {runAsNonRoot: true}
          containers:
          - name: job
            image: registry.example.org/TEAM/NAME-job:1.4.2
            command: [clean, --days, \"30\"]
            resources:
              requests: {cpu: 50m, memory: 64Mi}
              limits: {memory: 64Mi}
            securityContext:
              allowPrivilegeEscalation: false
              readOnlyRootFilesystem: true
              capabilities: {drop: [ALL]}
";

const ACCESS: &str = "# Who may do what.
apiVersion: v1
kind: ServiceAccount
metadata: {name: NAME, namespace: TEAM}
automountServiceAccountToken: false
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: NAME, namespace: TEAM}
rules:
- apiGroups: [\"\"]
  resources: [configmaps]
  verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: NAME, namespace: TEAM}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: NAME}
subjects:
- {kind: ServiceAccount, name: NAME, namespace: TEAM}
";
