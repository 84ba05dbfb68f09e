//! Settings as they stand in `apm.yaml`, and wrong ones.

use crate::{Direction, Metric, Settings, Subject};

fn parse(text: &str) -> Result<Settings, String> {
    let settings: Settings = serde_json::from_str(text).map_err(|error| error.to_string())?;
    settings.check().map_err(|error| error.to_string())?;
    Ok(settings)
}

#[test]
fn read_with_kayentas_words_or_ours() {
    let settings = parse(
        r#"{"bake": "90s", "min_traffic": 0.5, "metrics": {
            "latency_p95": {"critical": false, "allowedIncrease": 0.1, "weight": 5},
            "throughput": {"direction": "either", "nanStrategy": "replace", "mustHaveData": true}}}"#,
    )
    .unwrap();
    assert_eq!(settings.bake.as_secs(), 90);
    let p95 = settings.rule(Metric::LatencyP95);
    assert_eq!((p95.critical, p95.allowed_increase, p95.critical_increase, p95.weight), (false, 0.1, 0.3, 5.0));
    assert_eq!(settings.rule(Metric::Throughput).direction, Direction::Either);
    assert_eq!(settings.rule(Metric::ErrorRate), Settings::default().rule(Metric::ErrorRate));
    assert_eq!(parse("{}").unwrap(), Settings::default());
    let back = serde_json::to_string(&settings).unwrap();
    assert_eq!(parse(&back).unwrap(), settings);
}

#[test]
fn wrong_ones_are_named() {
    let check = |text: &str, says: &str| {
        let error = parse(text).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    };
    check(r#"{"bakes": "5m"}"#, "unknown field `bakes`");
    check(r#"{"bake": "5 minutes"}"#, "`5 minutes` is not a duration");
    check(r#"{"bake": "1s"}"#, "bake is 1s");
    check(r#"{"alpha": 0.9}"#, "alpha is 0.9, and has to be above 0 and below 0.5");
    check(r#"{"min_traffic": -1}"#, "min_traffic");
    check(r#"{"pass_score": 20}"#, "pass_score is 20 (and marginal_score 50)");
    check(r#"{"days_back": [0]}"#, "days_back");
    check(r#"{"metrics": {"latency_p42": {}}}"#, "unknown variant `latency_p42`");
    check(r#"{"metrics": {"error_rate": {"allowed_increase": 0.5}}}"#, "metrics.error_rate.critical_increase is 0.02");
    let error = serde_json::from_str::<Subject>(r#"{"checks": [{"promq": "x"}]}"#).unwrap_err().to_string();
    assert!(error.contains("unknown field `promq`"), "{error}");
}
