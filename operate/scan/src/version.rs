//! Which of two versions is the newer one, as the systems' own package managers say it. Sources: deb-version(7); apk's page "APKBUILD reference" for
//! `pkgver` and its suffixes.

use std::cmp::Ordering;

use crate::packages::Ecosystem;

/// Orders two versions.
pub fn compare(ecosystem: Ecosystem, a: &str, b: &str) -> Ordering {
    match ecosystem {
        Ecosystem::Debian => debian(a, b),
        Ecosystem::Alpine => alpine(a, b),
    }
}

fn debian(a: &str, b: &str) -> Ordering {
    let split = |text: &str| {
        let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
        (epoch.parse::<u64>().unwrap_or(0), upstream.to_owned(), revision.to_owned())
    };
    let (a, b) = (split(a), split(b));
    a.0.cmp(&b.0).then_with(|| part(&a.1, &b.1)).then_with(|| part(&a.2, &b.2))
}

/// Letters before other signs, `~` before everything and the end; digits by their number.
fn part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        while a.first().is_some_and(|c| !c.is_ascii_digit()) || b.first().is_some_and(|c| !c.is_ascii_digit()) {
            let weight = |rest: &[u8]| match rest.first() {
                Some(b'~') => -1,
                Some(c) if c.is_ascii_alphabetic() => i32::from(*c),
                Some(c) if !c.is_ascii_digit() => i32::from(*c) + 256,
                _ => 0,
            };
            let order = weight(a).cmp(&weight(b));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (a.get(1..).unwrap_or_default(), b.get(1..).unwrap_or_default());
        }
        let digits = |rest: &[u8]| rest.iter().take_while(|c| c.is_ascii_digit()).count();
        let ((left, a_rest), (right, b_rest)) = (a.split_at(digits(a)), b.split_at(digits(b)));
        let order = number(left, right);
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (a_rest, b_rest);
        if a.is_empty() && b.is_empty() {
            return Ordering::Equal;
        }
    }
}

/// Of any length.
fn number(a: &[u8], b: &[u8]) -> Ordering {
    let bare = |digits: &[u8]| digits.iter().skip_while(|c| **c == b'0').copied().collect::<Vec<u8>>();
    let (a, b) = (bare(a), bare(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(&b))
}

fn alpine(a: &str, b: &str) -> Ordering {
    // `_alpha` and its kind come before the bare version, `_p` and its kind after it: as deb-version has `~` and letters.
    let as_debian = |text: &str| {
        let (version, revision) = text.rsplit_once("-r").unwrap_or((text, "0"));
        let mut version = version.to_owned();
        for before in ["_alpha", "_beta", "_pre", "_rc"] {
            version = version.replace(before, &format!("~{}", before.trim_start_matches('_')));
        }
        format!("{}-{revision}", version.replace('_', "+"))
    };
    debian(&as_debian(a), &as_debian(b))
}
