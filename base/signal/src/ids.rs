//! Trace and span ids: 16 and 8 bytes, hexadecimal in text. All-zero means "none", as W3C trace context says.

use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(pub [u8; 16]);

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(pub [u8; 8]);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id: 1 to {1} hexadecimal digits are wanted")]
pub struct IdError(String, usize);

macro_rules! id {
    ($name:ident, $len:literal) => {
        impl $name {
            pub fn is_zero(self) -> bool {
                self.0 == [0; $len]
            }

            /// From raw bytes of exactly the right length.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map($name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        /// Fewer digits than the full length are taken as leading zeros, as Jaeger does.
        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let error = || IdError(text.chars().take(64).collect(), $len * 2);
                if text.is_empty() || text.len() > $len * 2 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(error());
                }
                let padded = format!("{text:0>width$}", width = $len * 2);
                let mut bytes = [0; $len];
                for (i, byte) in bytes.iter_mut().enumerate() {
                    *byte = u8::from_str_radix(&padded[i * 2..i * 2 + 2], 16).map_err(|_| error())?;
                }
                Ok($name(bytes))
            }
        }
    };
}

id!(TraceId, 16);
id!(SpanId, 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let id: TraceId = "00ff10".parse().unwrap();
        assert_eq!(id.to_string(), "0000000000000000000000000000ff10");
        assert!("".parse::<SpanId>().is_err());
        assert!("+1".parse::<SpanId>().is_err());
        assert!("0123456789abcdef0".parse::<SpanId>().is_err());
    }
}
