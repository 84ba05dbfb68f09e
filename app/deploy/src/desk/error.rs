//! Why something at the desk did not work, and what to do about it. It does not know which command or route asked.

use base_explain::Report;
use operate_deploy::Refusal;
use operate_execute::{HistoryError, RunError, RunId, Status};
use operate_history::TagError;
use operate_plan::{Finding, StepId};

/// Why something at the desk did not work.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error(transparent)]
    Run(#[from] RunError),
    /// The plan has findings that nobody may wave through.
    #[error("the plan has critical findings")]
    Lint(Vec<Finding>),
    #[error("run `{run}` has no step `{step}`")]
    NoStep { run: RunId, step: String },
    #[error("run `{run}` is {status}, and takes no order")]
    Ended { run: RunId, status: Status },
    /// Who goes on although changes are frozen says why.
    #[error("step `{step}` waits because changes may not be made now; whoever goes on all the same says why")]
    NoReason { step: StepId },
    /// Another run has not ended, and changes the same target.
    #[error("`{target}` is being changed by the run {run}, which is {status}")]
    Occupied { target: String, run: RunId, status: Status },
    /// There is no such thing, whose kind the code says: `no-artefact`, `no-promotion`, `never-judged`.
    #[error("{}", .report.one_line())]
    Absent { code: &'static str, report: Report },
    /// Where a promotion stands does not allow it now.
    #[error("{}", .0.one_line())]
    Standing(Report),
    /// Compose files from elsewhere name folders that are not there on this machine.
    #[error("{}", .0.one_line())]
    HostPath(Report),
    /// The project's settings cannot be read, or do not say what to release.
    #[error("{}", .0.one_line())]
    Settings(Report),
    #[error("{}", .0.one_line())]
    Told(Report),
    /// More tags than a run may have.
    #[error(transparent)]
    Tags(TagError),
}

impl DeskError {
    /// What to do about it.
    pub fn report(&self) -> Report {
        match self {
            DeskError::Settings(report)
            | DeskError::Told(report)
            | DeskError::Standing(report)
            | DeskError::HostPath(report)
            | DeskError::Absent { report, .. } => report.clone(),
            DeskError::Refused(refusal) => Report::of(refusal).hint(refusal.hint()),
            DeskError::Lint(findings) => findings.iter().take(5).fold(Report::of(self), |report, finding| {
                report.because(format!("[{}] {}; {}", finding.rule, finding.message, finding.fix))
            }),
            DeskError::Run(RunError::Busy { .. }) => {
                Report::of(self).hint("wait for it, or see `apm deploy list` and cancel it")
            }
            DeskError::Occupied { run, .. } => Report::of(self).hint(format!(
                "wait for it; `apm deploy watch {run}` goes on with it if nobody does, `apm deploy cancel {run}` and then `watch` undo it"
            )),
            DeskError::Tags(_) => Report::of(self).hint("take some away: `apm deploy tag RUN NAME --remove`"),
            DeskError::NoReason { .. } => Report::of(self).hint("`--reason` says it, over HTTP `reason`"),
            DeskError::Run(RunError::Overtaken { .. }) => Report::of(self)
                .hint("look at what is there now; `apm deploy --version …` releases the version that should be"),
            _ => Report::of(self),
        }
    }
}
