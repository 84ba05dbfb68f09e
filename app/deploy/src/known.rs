//! Whether past releases were bad, by what people did about them afterwards and not by the judge: the yardstick of a replay. Pure.

use operate_execute::{RunRow, Status};

/// How a run ended, as far as its journal tells more than its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// It was not undone, or nobody can say why it was.
    Other,
    /// The judge failed it.
    Judge,
    /// A person cancelled it, or said no.
    Person,
}

/// What is known of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// `None`: nobody can say.
    pub(crate) was_bad: Option<bool>,
    /// How that is known, for people.
    pub(crate) how: &'static str,
}

/// What people did about `run`. `later` are the runs of the same service and environment that came after it, the oldest first.
pub(crate) fn known(run: &RunRow, why: Why, later: &[RunRow]) -> Known {
    let label = |row: &RunRow, name: &str| row.labels.get(name).cloned();
    let version = label(run, "version");
    let mut stayed = later.iter().filter(|row| row.status == Status::Complete);
    let says = |was_bad, how| Known { was_bad: Some(was_bad), how };
    match (run.status, why) {
        (Status::Complete, _) if taken_back(run, later) => says(true, "the version before was deployed again"),
        (Status::Complete, _) => says(false, "it stayed"),
        (Status::RolledBack, Why::Person) => says(true, "a person took it back"),
        (Status::RolledBack, Why::Judge) => match stayed.any(|row| label(row, "version") == version) {
            true => says(false, "it was undone, and stayed when it came again"),
            false => says(true, "it was undone, and never came again"),
        },
        _ => Known { was_bad: None, how: "nobody can say" },
    }
}

/// Whether the next release that stayed is the version from before this one.
pub(crate) fn taken_back(run: &RunRow, later: &[RunRow]) -> bool {
    let before = run.labels.get("version_before");
    let next = later.iter().find(|row| row.status == Status::Complete);
    let next = next.and_then(|row| row.labels.get("version"));
    before.is_some() && next == before && before != run.labels.get("version")
}

#[cfg(test)]
mod tests {
    use operate_execute::RunId;

    use super::*;

    /// `version<version_before status`
    fn row(text: &str) -> RunRow {
        let (versions, status) = text.split_once(' ').expect("a status");
        let (version, before) = versions.split_once('<').expect("a version before");
        let labels = [("version", version), ("version_before", before)];
        RunRow {
            run: RunId(text.to_owned()),
            title: String::new(),
            target: String::new(),
            labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            status: Status::ALL.into_iter().find(|known| known.word() == status).expect("a status"),
            created_ms: 0,
            ended_ms: None,
            sentence: String::new(),
            tags: Vec::new(),
        }
    }

    fn check(run: &str, why: Why, later: &[&str], was_bad: Option<bool>) {
        let later: Vec<RunRow> = later.iter().map(|text| row(text)).collect();
        assert_eq!(known(&row(run), why, &later).was_bad, was_bad, "{run} and then {later:?}");
    }

    #[test]
    fn what_people_did_says_what_it_was() {
        check("2<1 complete", Why::Other, &[], Some(false));
        check("2<1 complete", Why::Other, &["3<2 complete"], Some(false));
        check("2<1 complete", Why::Other, &["1<2 complete"], Some(true));
        // What was undone on the way back changed nothing.
        check("2<1 complete", Why::Other, &["3<2 rolled-back", "1<2 complete"], Some(true));
        check("2<1 complete", Why::Other, &["3<2 complete", "1<3 complete"], Some(false));
        // The same version made anew is no way back.
        check("1<1 complete", Why::Other, &["1<1 complete"], Some(false));
        check("2<1 rolled-back", Why::Judge, &["3<1 complete"], Some(true));
        check("2<1 rolled-back", Why::Judge, &["2<1 rolled-back", "2<1 complete"], Some(false));
        check("2<1 rolled-back", Why::Person, &["2<1 complete"], Some(true));
        check("2<1 rolled-back", Why::Other, &[], None);
        check("2<1 failed", Why::Judge, &[], None);
    }
}
