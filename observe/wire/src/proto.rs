//! A zero-copy reader of protobuf's wire format, and the few pieces of a writer that answers need.
//!
//! The format is <https://protobuf.dev/programming-guides/encoding/>. Groups are refused, unknown fields are the caller's to
//! skip (every field comes out whole). Knows no schema.

use crate::{DecodeError, DecodeErrorKind};

/// One field as it lies on the wire; lengths are already checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WireValue<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    /// Bytes and their offset in the body.
    Bytes(&'a [u8], usize),
}

/// Reads fields in turn. `base` is where `bytes` begin in the whole body, so that errors can say where they are.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    base: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader::at(bytes, 0)
    }

    pub fn at(bytes: &'a [u8], base: usize) -> Self {
        Reader { bytes, position: 0, base }
    }

    /// The offset in the whole body of what is read next.
    pub fn offset(&self) -> usize {
        self.base + self.position
    }

    pub fn is_empty(&self) -> bool {
        self.position >= self.bytes.len()
    }

    fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::at(kind, self.offset())
    }

    /// The next field's number and value; `None` at the end.
    pub fn field(&mut self) -> Result<Option<(u32, WireValue<'a>)>, DecodeError> {
        if self.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = key >> 3;
        if number == 0 || number > 0x1fff_ffff {
            return Err(self.error(DecodeErrorKind::FieldNumber(number)));
        }
        let value = match (key & 7) as u8 {
            0 => WireValue::Varint(self.varint()?),
            1 => WireValue::Fixed64(self.fixed64()?),
            2 => {
                let length = self.varint()?;
                let offset = self.offset();
                WireValue::Bytes(self.take(length)?, offset)
            }
            5 => WireValue::Fixed32(u32::from_le_bytes(self.array()?)),
            other => return Err(self.error(DecodeErrorKind::WireType(other))),
        };
        Ok(Some((number as u32, value)))
    }

    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0u64;
        for shift in 0..10 {
            let Some(&byte) = self.bytes.get(self.position) else {
                return Err(self.error(DecodeErrorKind::Truncated));
            };
            self.position += 1;
            // Bits past the 64th fall off, as in every reader of this format.
            number |= u64::from(byte & 0x7f) << (shift * 7);
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.error(DecodeErrorKind::VarintTooLong))
    }

    pub fn fixed64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let taken = self.take(N as u64)?;
        taken.try_into().map_err(|_| self.error(DecodeErrorKind::Truncated))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], DecodeError> {
        let rest = self.bytes.get(self.position..).unwrap_or(&[]);
        let taken = usize::try_from(length).ok().and_then(|length| rest.get(..length));
        let taken = taken.ok_or_else(|| self.error(DecodeErrorKind::Truncated))?;
        self.position += taken.len();
        Ok(taken)
    }
}

impl<'a> WireValue<'a> {
    pub fn describe(&self) -> &'static str {
        match self {
            WireValue::Varint(_) => "a varint",
            WireValue::Fixed64(_) => "8 fixed bytes",
            WireValue::Fixed32(_) => "4 fixed bytes",
            WireValue::Bytes(..) => "a run of bytes",
        }
    }

    pub(crate) fn mismatch(&self, expected: &'static str) -> DecodeError {
        let kind = DecodeErrorKind::Type { expected, found: self.describe().to_owned() };
        match self {
            WireValue::Bytes(_, offset) => DecodeError::at(kind, *offset),
            _ => DecodeError::new(kind),
        }
    }

    pub fn bytes(&self) -> Result<(&'a [u8], usize), DecodeError> {
        match *self {
            WireValue::Bytes(bytes, offset) => Ok((bytes, offset)),
            _ => Err(self.mismatch("bytes")),
        }
    }

    pub fn text(&self) -> Result<&'a str, DecodeError> {
        let (bytes, offset) = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|e| DecodeError::at(DecodeErrorKind::Utf8, offset + e.valid_up_to()))
    }

    /// Any whole number: varint or fixed.
    pub fn unsigned(&self) -> Result<u64, DecodeError> {
        match *self {
            WireValue::Varint(number) | WireValue::Fixed64(number) => Ok(number),
            WireValue::Fixed32(number) => Ok(u64::from(number)),
            WireValue::Bytes(..) => Err(self.mismatch("a whole number")),
        }
    }

    pub fn double(&self) -> Result<f64, DecodeError> {
        match *self {
            WireValue::Fixed64(bits) => Ok(f64::from_bits(bits)),
            WireValue::Fixed32(bits) => Ok(f64::from(f32::from_bits(bits))),
            _ => Err(self.mismatch("a floating point number")),
        }
    }

    /// `sint32` and `sint64`.
    pub fn zigzag(&self) -> Result<i64, DecodeError> {
        let number = self.unsigned()?;
        Ok(((number >> 1) as i64) ^ -((number & 1) as i64))
    }
}

/// Appends fields of an answer.
#[derive(Clone, Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn put_varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number as u8) | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    pub fn varint(&mut self, field: u32, number: u64) -> &mut Self {
        self.put_varint(u64::from(field) << 3);
        self.put_varint(number);
        self
    }

    pub fn fixed64(&mut self, field: u32, number: u64) -> &mut Self {
        self.put_varint(u64::from(field) << 3 | 1);
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub fn double(&mut self, field: u32, number: f64) -> &mut Self {
        self.fixed64(field, number.to_bits())
    }

    pub fn bytes(&mut self, field: u32, bytes: &[u8]) -> &mut Self {
        self.put_varint(u64::from(field) << 3 | 2);
        self.put_varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn text(&mut self, field: u32, text: &str) -> &mut Self {
        self.bytes(field, text.as_bytes())
    }

    pub fn message(&mut self, field: u32, fill: impl FnOnce(&mut Writer)) -> &mut Self {
        let mut inner = Writer::default();
        fill(&mut inner);
        self.bytes(field, &inner.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expect: &str) {
        let mut reader = Reader::new(bytes);
        let mut shown = Vec::new();
        loop {
            match reader.field() {
                Ok(Some((number, value))) => shown.push(format!("{number}={value:?}")),
                Ok(None) => break,
                Err(error) => {
                    shown.push(error.to_string());
                    break;
                }
            }
        }
        assert_eq!(shown.join("; "), expect);
    }

    #[test]
    fn fields_and_what_is_wrong_with_them() {
        check(&[0x08, 0x96, 0x01], "1=Varint(150)");
        check(&[0x12, 0x02, 0x68, 0x69], "2=Bytes([104, 105], 2)");
        check(&[0x15, 1, 0, 0, 0, 0x19, 2, 0, 0, 0, 0, 0, 0, 0], "2=Fixed32(1); 3=Fixed64(2)");
        check(&[0x12, 0x05, 0x68], "byte 2: the bytes end in the middle of a field");
        check(
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            "byte 11: the bytes end in the middle of a field",
        );
        check(&[0x0b], "byte 1: wire type 3 is not supported (groups left protobuf long ago)");
        check(&[0x00], "byte 1: field number 0 is not between 1 and 536870911");
        check(
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            "byte 11: a number is longer than 10 bytes",
        );
        check(&[], "");
    }

    #[test]
    fn zigzag_and_negative_numbers() {
        for (wire, number) in [(0, 0), (1, -1), (2, 1), (u64::MAX, i64::MIN), (u64::MAX - 1, i64::MAX)] {
            assert_eq!(WireValue::Varint(wire).zigzag().unwrap(), number);
        }
        let mut writer = Writer::default();
        writer.varint(1, -5i64 as u64);
        let (_, value) = Reader::new(&writer.0).field().unwrap().unwrap();
        assert_eq!(value.unsigned().unwrap() as i64, -5);
    }
}
