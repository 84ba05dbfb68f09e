//! Whether something holds of a release. It changes nothing.

use operate_execute::Met;
use operate_plan::{Condition, Failure};

use super::records::revisions;
use super::{At, mark};
use crate::KubeTarget;
use crate::failure::foreign;

pub(crate) async fn check(target: &KubeTarget, condition: &Condition) -> Result<Met, Failure> {
    let with = &condition.with;
    let newest = revisions(&target.cluster, &At::of(&condition.object)?).await?.newest;
    let Some(newest) = newest else {
        return match condition.verb.as_str() {
            "absent" | "settled" => Ok(Met::Yes),
            "same" | "deployed" => Ok(Met::No("it is not there".into())),
            verb => Err(foreign(verb, &condition.object)),
        };
    };
    let holds = match condition.verb.as_str() {
        "absent" => false,
        "settled" => !newest.is_pending(),
        "same" => with["revision"] == newest.revision && with["status"] == *newest.status,
        "deployed" => {
            newest.status == "deployed" && newest.says_itself() && newest.label(mark::CONFIG) == with["config"].as_str()
        }
        verb => return Err(foreign(verb, &condition.object)),
    };
    Ok(match holds {
        true => Met::Yes,
        false => Met::No(format!("it is at revision {}, which is {}", newest.revision, newest.status)),
    })
}
