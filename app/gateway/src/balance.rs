//! Whose turn it is: smooth weighted round robin, as nginx introduced it. Over as many turns as the weights sum up to,
//! each gets exactly its weight, spread evenly. Knows nothing of upstreams but their weights.

/// One candidate's place in the rotation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turn {
    credit: i64,
}

/// The index whose turn it is among `(weight, turn)`; None when all weights are 0. A candidate that must not be taken
/// now comes with weight 0 and keeps its credit.
pub(crate) fn next<'a>(turns: impl Iterator<Item = (u32, &'a mut Turn)>) -> Option<usize> {
    let (mut total, mut best): (i64, Option<(usize, &mut Turn)>) = (0, None);
    for (index, (weight, turn)) in turns.enumerate() {
        if weight == 0 {
            continue;
        }
        total += i64::from(weight);
        turn.credit += i64::from(weight);
        if best.as_ref().is_none_or(|(_, other)| turn.credit > other.credit) {
            best = Some((index, turn));
        }
    }
    let (index, turn) = best?;
    turn.credit -= total;
    Some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(weights: &[u32], expect: &str) {
        let mut turns = vec![Turn::default(); weights.len()];
        let rounds = weights.iter().sum::<u32>().max(1);
        let mut taken = String::new();
        let mut counts = vec![0; weights.len()];
        for _ in 0..rounds * 3 {
            match next(weights.iter().copied().zip(turns.iter_mut())) {
                Some(index) => {
                    counts[index] += 1;
                    taken.push(char::from(b'a' + u8::try_from(index).unwrap()));
                }
                None => taken.push('-'),
            }
        }
        assert_eq!(&taken[..expect.len()], expect, "{weights:?}");
        let exact: Vec<u32> = weights.iter().map(|weight| weight * 3).collect();
        assert_eq!(counts, exact, "{weights:?}");
    }

    #[test]
    fn turns_are_exact_and_spread() {
        check(&[1], "aaa");
        check(&[0], "---");
        check(&[], "---");
        check(&[1, 1], "ababab");
        check(&[5, 1, 1], "aabacaa");
        check(&[0, 2, 1], "bcbbcbbcb");
        check(&[99, 1], &"a".repeat(49));
        check(&[10_000, 1], "aaaa");
    }

    #[test]
    fn who_comes_back_after_a_pause_does_not_catch_up() {
        let mut turns = [Turn::default(), Turn::default()];
        let mut run = |weights: [u32; 2], rounds: usize| {
            let mut counts = [0, 0];
            for _ in 0..rounds {
                counts[next(weights.into_iter().zip(turns.iter_mut())).unwrap()] += 1;
            }
            counts
        };
        assert_eq!(run([1, 1], 10), [5, 5]);
        assert_eq!(run([1, 0], 1_000), [1_000, 0]);
        assert_eq!(run([1, 1], 10), [5, 5]);
    }
}
