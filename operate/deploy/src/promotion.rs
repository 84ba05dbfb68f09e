//! A version's way through environments: what was decided when it was begun, and where it stands by what its stages did. Pure. Each stage is
//! a release of its own, planned when its turn comes; this knows none of them, only how each of them ended.

use serde::{Deserialize, Serialize};

/// What was decided when it was begun. It never changes: where it stands is told by the runs of its stages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// `promote-cart-2-5f2c1a`
    pub id: String,
    pub project: String,
    pub service: String,
    pub version: String,
    /// By digest: what reaches the last environment is what ran in the first.
    pub image: String,
    /// Environments in their order; at least two.
    pub stages: Vec<String>,
    /// A run that had released the version in the first environment before, if the promotion began there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_run: Option<String>,
    pub actor: String,
    #[serde(default)]
    pub reason: String,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

/// Where one stage stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Nobody has begun it.
    Open,
    UnderWay,
    /// The version serves, and its judge passed it, or none was to be asked.
    Passed,
    /// The version serves, and somebody else than the judge decided so: the reason, for people.
    Unproven(String),
    /// It served, and the version before was deployed again.
    TakenBack,
    /// It was undone: the reason.
    Undone(String),
    /// Neither done nor undone.
    Failed(String),
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Next {
    /// The first stage, which waits for nobody.
    Begin,
    /// A person's yes to this stage. `doubt`: why the stage before proves less than it should; then the yes needs a reason.
    Approval {
        stage: usize,
        doubt: Option<String>,
    },
    UnderWay {
        stage: usize,
    },
    /// It goes no further from here; a yes begins the stage anew where it was undone.
    Stopped {
        stage: usize,
        why: String,
        again: bool,
    },
    Rejected {
        why: String,
    },
    Complete,
}

/// What comes next, by how the stages stand, one each, and by whether somebody said no.
pub fn next(stages: &[Stage], rejected: Option<&str>) -> Next {
    let mut doubt = None;
    for (at, stage) in stages.iter().enumerate() {
        let stopped = |why: &str, again| Next::Stopped { stage: at, why: why.to_owned(), again };
        match stage {
            // Taken back when a later one is on its way already changes nothing there any more.
            Stage::TakenBack if stages.get(at + 1).is_none_or(|later| *later == Stage::Open) => {
                return stopped("it was taken back", false);
            }
            Stage::Passed | Stage::TakenBack => doubt = None,
            Stage::Unproven(why) => doubt = Some(why.clone()),
            Stage::UnderWay => return Next::UnderWay { stage: at },
            Stage::Open | Stage::Undone(_) if rejected.is_some() => {
                return Next::Rejected { why: rejected.unwrap_or_default().to_owned() };
            }
            Stage::Open if at == 0 => return Next::Begin,
            Stage::Open => return Next::Approval { stage: at, doubt },
            Stage::Undone(why) => return stopped(why, true),
            Stage::Failed(why) => return stopped(why, false),
        }
    }
    Next::Complete
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A letter a stage: o open, w under way, p passed, u unproven, t taken back, x undone, f failed.
    fn check(stages: &str, rejected: Option<&str>, expect: Next) {
        let stage = |letter| match letter {
            'o' => Stage::Open,
            'w' => Stage::UnderWay,
            'p' => Stage::Passed,
            'u' => Stage::Unproven("too little traffic".into()),
            't' => Stage::TakenBack,
            'x' => Stage::Undone("errors".into()),
            _ => Stage::Failed("stuck".into()),
        };
        let all: Vec<Stage> = stages.chars().map(stage).collect();
        assert_eq!(next(&all, rejected), expect, "{stages}");
    }

    #[test]
    fn one_stage_after_the_other_and_a_yes_between_them() {
        let approval = |stage, doubt: Option<&str>| Next::Approval { stage, doubt: doubt.map(str::to_owned) };
        let stopped = |stage, why: &str, again| Next::Stopped { stage, why: why.into(), again };
        check("ooo", None, Next::Begin);
        check("woo", None, Next::UnderWay { stage: 0 });
        check("poo", None, approval(1, None));
        check("uoo", None, approval(1, Some("too little traffic")));
        check("puo", None, approval(2, Some("too little traffic")));
        check("upo", None, approval(2, None));
        check("ppw", None, Next::UnderWay { stage: 2 });
        check("ppp", None, Next::Complete);
        check("xoo", None, stopped(0, "errors", true));
        check("pxo", None, stopped(1, "errors", true));
        check("pfo", None, stopped(1, "stuck", false));
        check("too", None, stopped(0, "it was taken back", false));
        check("two", None, Next::UnderWay { stage: 1 });
        check("tpo", None, approval(2, None));
        check("ppt", None, stopped(2, "it was taken back", false));
        check("poo", Some("not today"), Next::Rejected { why: "not today".into() });
        check("pxo", Some("no"), Next::Rejected { why: "no".into() });
        // What is under way goes on; a no is to the next stage.
        check("pwo", Some("no"), Next::UnderWay { stage: 1 });
    }
}
