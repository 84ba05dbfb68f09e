//! Joins what a room asks for with what can answer it: one file for each trait and its other side. It decides nothing itself.

mod arrival;
mod checks;
mod containers;
mod front;
mod judge;
mod kubernetes;
mod node_pods;
mod paths;
mod promql;
mod rule_tests;
mod scan;
mod telemetry;
mod webhook;

pub use arrival::{ArrivalJudge, OpenCluster};
pub use checks::Checks;
pub use containers::DockerContainers;
pub use front::FrontProcess;
pub use judge::{GateJudge, Request};
pub use kubernetes::{Clusters, KubernetesTargets};
pub use node_pods::NodePods;
pub use paths::{expand, not_understood};
pub use promql::{FailedCase, QueryTests, query_tests};
pub use rule_tests::{FailedRule, RuleTests, faults_told, rule_tests};
pub use scan::{ImageJudge, KeepReport, ScanError, scan, who_looks};
pub use telemetry::{Elsewhere, Places, Telemetry, without_password};
pub use webhook::Webhook;

#[cfg(test)]
mod tests;
