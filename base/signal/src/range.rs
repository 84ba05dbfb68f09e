//! Time ranges, closed at both ends. Metrics count in milliseconds, logs and spans in nanoseconds; the type says which.

macro_rules! range {
    ($name:ident, $start:ident, $end:ident, $unit:literal) => {
        #[doc = concat!("From `", stringify!($start), "` to `", stringify!($end), "`, both inclusive, in Unix ", $unit, ".")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name {
            pub $start: i64,
            pub $end: i64,
        }

        impl $name {
            pub const ALL: $name = $name { $start: i64::MIN, $end: i64::MAX };

            pub fn new($start: i64, $end: i64) -> Self {
                $name { $start, $end }
            }

            pub fn contains(self, time: i64) -> bool {
                self.$start <= time && time <= self.$end
            }

            pub fn overlaps(self, other: Self) -> bool {
                self.$start <= other.$end && other.$start <= self.$end
            }
        }
    };
}

range!(RangeMs, start_ms, end_ms, "milliseconds");
range!(RangeNs, start_ns, end_ns, "nanoseconds");
