//! The calendar functions, in UTC. Days are counted by Howard Hinnant's civil-from-days algorithm.

/// The function of this name, from Unix seconds; `None` for other names.
pub(super) fn find(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "minute" => |s| (seconds(s).rem_euclid(3600) / 60) as f64,
        "hour" => |s| (seconds(s).rem_euclid(86_400) / 3600) as f64,
        "day_of_week" => |s| (days(s) + 4).rem_euclid(7) as f64,
        "day_of_month" => |s| civil(days(s)).2 as f64,
        "day_of_year" => |s| {
            let day = days(s);
            (day - first_day_of_year(civil(day).0) + 1) as f64
        },
        "days_in_month" => |s| {
            let (year, month, _) = civil(days(s));
            days_in_month(year, month) as f64
        },
        "month" => |s| civil(days(s)).1 as f64,
        "year" => |s| civil(days(s)).0 as f64,
        _ => return None,
    })
}

/// What Prometheus' calendar makes of a number that is no second: it wraps around to this one, a Sunday in December.
const NO_SECOND: i64 = i64::MAX;

fn seconds(value: f64) -> i64 {
    let whole = value.trunc();
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&whole);
    if fits && whole > i64::MIN as f64 { whole as i64 } else { NO_SECOND }
}

fn days(value: f64) -> i64 {
    seconds(value).div_euclid(86_400)
}

/// (year, month from 1, day from 1) of a count of days since 1970.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn first_day_of_year(year: i64) -> i64 {
    let before = year - 1;
    before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162
}

/// `2006-01-02T15:04:05Z`
pub(super) fn rfc3339(time_ms: i64) -> String {
    let total = time_ms.div_euclid(1000);
    let (year, month, day) = civil(total.div_euclid(86_400));
    let of_day = total.rem_euclid(86_400);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_known_days() {
        let table = [
            (0, (1970, 1, 1)),
            (951_782_400, (2000, 2, 29)),
            (1_709_164_800, (2024, 2, 29)),
            (-86_400, (1969, 12, 31)),
            (4_107_456_000, (2100, 2, 28)),
        ];
        for (second, expected) in table {
            assert_eq!(civil(i64::div_euclid(second, 86_400)), expected, "{second}");
        }
        for (name, second, expected) in [
            ("day_of_year", 951_782_400.0, 60.0),
            ("day_of_year", 1_735_603_200.0, 366.0),
            ("days_in_month", 951_782_400.0, 29.0),
            ("day_of_week", 0.0, 4.0),
            ("hour", -1.0, 23.0),
            ("year", f64::NAN, 292_277_026_596.0),
            ("minute", f64::INFINITY, 30.0),
            ("hour", -1e300, 15.0),
            ("day_of_month", f64::NAN, 4.0),
        ] {
            assert_eq!(find(name).unwrap()(second), expected, "{name} {second}");
        }
        assert_eq!(rfc3339(951_786_123_999), "2000-02-29T01:02:03Z");
    }
}
