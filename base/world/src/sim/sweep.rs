//! One story played for many seeds. It knows no story.

use std::ops::Range;

/// Plays the story for the seeds from 0 up to `usual`, or to `APM_SEEDS`; for the one seed of `APM_SEED` alone, which is how a failure is played again.
/// The error names the first seed that fails.
pub fn sweep(usual: u64, story: impl Fn(u64) -> Result<(), String>) -> Result<(), String> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = number("APM_SEED").map_or(0..number("APM_SEEDS").unwrap_or(usual), |seed| seed..seed + 1);
    played(seeds, story)
}

fn played(mut seeds: Range<u64>, story: impl Fn(u64) -> Result<(), String>) -> Result<(), String> {
    seeds.try_for_each(|seed| story(seed).map_err(|why| format!("APM_SEED={seed}: {why}")))
}

#[cfg(test)]
mod tests {
    use super::played;

    #[test]
    fn the_first_seed_that_fails_is_named() {
        let story = |seed| if seed % 5 == 4 { Err("lost".to_owned()) } else { Ok(()) };
        assert_eq!(played(0..4, story), Ok(()));
        assert_eq!(played(0..20, story), Err("APM_SEED=4: lost".to_owned()));
    }
}
