//! The scan step of a release: the image is looked into, the report is kept with the run, and the verdict is a ruling for the executor. What nobody could look
//! into is told, or a person is asked; it never passes in silence. It decides neither limit nor severity.

use std::sync::Arc;

use async_trait::async_trait;
use base_world::World;
use connect_docker::{DockerError, Engine};
use operate_execute::{Context, Judgement, Ruling, RunId, Tell};
use operate_plan::{Failure, Severity};
use operate_scan::{Scan, ScanSettings, Scanner, Unknown, Verdict};
use serde_json::{Value, json};

use super::{ScanError, scan, who_looks};

/// Keeps reports with their run. The same report may come twice: whoever goes on with a run scans again.
#[async_trait]
pub trait KeepReport: Send + Sync {
    async fn keep(&self, run: &RunId, name: &str, media_type: &str, bytes: &[u8]) -> Result<(), Failure>;
}

/// Looks into images of one engine on behalf of runs.
pub struct ImageJudge {
    pub engine: Engine,
    pub world: World,
    pub reports: Arc<dyn KeepReport>,
    pub tell: Arc<dyn Tell>,
    /// Of this program, for SARIF.
    pub version: String,
}

impl ImageJudge {
    /// `exact` is what the plan names, `named` what a person asked for.
    pub(crate) async fn judge(
        &self,
        context: &Context,
        exact: &str,
        named: &str,
        settings: &ScanSettings,
    ) -> Result<Judgement, Failure> {
        let limit = settings.fail_on;
        let verdict = match self.look(context, exact, settings).await {
            Ok(scan) => {
                let scan = Scan { image: named.to_owned(), ..scan };
                let mut report = operate_scan::json(&scan, Some(limit));
                report["image_exact"] = exact.into();
                self.keep(context, "json", "application/json", &report).await?;
                let sarif = operate_scan::sarif(&scan, &self.version);
                self.keep(context, "sarif", "application/sarif+json", &sarif).await?;
                scan.verdict(limit)
            }
            Err(Unseen::Failed(failure)) => return Err(failure),
            Err(Unseen::Unknown(why)) => {
                let verdict = Verdict::Unknown(format!("{named} is not judged: {why}"));
                let report = json!({
                    "version": 1, "scan": null, "image": named, "image_exact": exact, "fail_on": limit, "fails": null, "verdict": verdict,
                });
                self.keep(context, "json", "application/json", &report).await?;
                verdict
            }
        };
        Ok(match verdict {
            Verdict::Pass(sentence) => Ruling::Pass { sentence },
            Verdict::Fail(sentence) => Ruling::Fail { sentence, hurt_since_ms: None },
            Verdict::Unknown(sentence) if settings.unknown == Unknown::Halt => {
                Ruling::Inconclusive { sentence: format!("{sentence}. Release it unseen?") }
            }
            Verdict::Unknown(sentence) => {
                self.tell.tell(&context.run, Severity::Warning, &sentence);
                Ruling::Pass { sentence: format!("unknown: {sentence}; the settings let it go on") }
            }
        }
        .into())
    }

    async fn keep(&self, context: &Context, ending: &str, media_type: &str, report: &Value) -> Result<(), Failure> {
        let (name, text) = (format!("image-{}.{ending}", context.step), format!("{report:#}\n"));
        self.reports.keep(&context.run, &name, media_type, text.as_bytes()).await
    }

    async fn look(&self, context: &Context, exact: &str, settings: &ScanSettings) -> Result<Scan, Unseen> {
        let looked = match who_looks(settings) {
            Some(Scanner::Packages) => {
                // By a name that whoever goes on with the run finds again.
                let container = format!("apm-scan-{}-{}", context.run, context.step);
                let (engine, world, exact) = (self.engine.clone(), self.world.clone(), exact.to_owned());
                let settings = settings.clone();
                // To its end even if the run is cancelled meanwhile: the container is removed.
                let whole = async move { scan(&engine, &world, &exact, &settings, Some(&container)).await };
                tokio::spawn(whole).await.map_err(|error| Unseen::Unknown(error.to_string()))?
            }
            _ => scan(&self.engine, &self.world, exact, settings, None).await,
        };
        looked.map_err(|error| match error {
            ScanError::Engine(
                error @ (DockerError::ImageMissing { .. }
                | DockerError::NotFound { .. }
                | DockerError::TooLarge { .. }
                | DockerError::Garbled { .. }),
            ) => Unseen::Unknown(error.to_string()),
            ScanError::Engine(error) => Unseen::Failed(operate_target_docker::failure(&error)),
            error => Unseen::Unknown(error.to_string()),
        })
    }
}

/// Why there is no scan.
enum Unseen {
    /// It may work a moment later.
    Failed(Failure),
    Unknown(String),
}
