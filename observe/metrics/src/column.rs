//! Columns of a segment: times and values as bytes. See `docs/formats/metric-segment.md`.
//!
//! Values are kept bit for bit. A run of values takes the smallest of: one constant; whole numbers after a shift of the
//! decimal point (the idea of ALP: Afroozeh et al., SIGMOD 2023), as differences packed in as few bits as they need; XOR.

use observe_block::codec::{self, Malformed, Reader};

use crate::bits::{BitReader, BitWriter};
use crate::chunk::{xor_decode, xor_encode};

/// Values a run holds at most: short enough that one counter reset does not widen many differences.
pub(crate) const RUN_VALUES: usize = 512;
/// Columns longer than this are not ours.
const VALUES_MAX: usize = 1 << 24;

const CONSTANT: u8 = 0;
const DECIMAL: u8 = 1;
const XOR: u8 = 2;

/// Powers that are exact in f64.
const POWERS: [f64; 15] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14];

/// Ascending times: the first, then differences of differences with their repeats counted.
pub(crate) fn encode_times(times: &[i64]) -> Vec<u8> {
    let mut out = Vec::new();
    codec::put_varint(&mut out, times.len() as u64);
    let Some(first) = times.first() else { return out };
    codec::put_zigzag(&mut out, *first);
    let (mut delta, mut pending, mut repeats) = (0i64, 0i64, 0u64);
    for pair in times.windows(2) {
        let next = pair[1].wrapping_sub(pair[0]);
        let dod = next.wrapping_sub(delta);
        delta = next;
        if repeats > 0 && dod == pending {
            repeats += 1;
            continue;
        }
        flush_repeats(&mut out, pending, repeats);
        (pending, repeats) = (dod, 1);
    }
    flush_repeats(&mut out, pending, repeats);
    out
}

fn flush_repeats(out: &mut Vec<u8>, value: i64, repeats: u64) {
    if repeats > 0 {
        codec::put_zigzag(out, value);
        codec::put_varint(out, repeats);
    }
}

pub(crate) fn decode_times(bytes: &[u8]) -> Result<Vec<i64>, Malformed> {
    let mut reader = Reader::new(bytes);
    let count = reader.varint_usize("count of times")?;
    if count > VALUES_MAX {
        return Err(reader.malformed("count of times"));
    }
    let mut times = Vec::with_capacity(count);
    if count == 0 {
        return Ok(times);
    }
    let (mut time, mut delta) = (reader.zigzag("first time")?, 0i64);
    times.push(time);
    while times.len() < count {
        let dod = reader.zigzag("difference")?;
        let repeats = reader.varint_usize("repeats")?;
        if repeats == 0 || repeats > count - times.len() {
            return Err(reader.malformed("repeats"));
        }
        for _ in 0..repeats {
            delta = delta.wrapping_add(dod);
            time = time.wrapping_add(delta);
            times.push(time);
        }
    }
    Ok(times)
}

/// Appends one run of values (as f64 bits).
pub(crate) fn encode_run(out: &mut Vec<u8>, values: &[u64]) {
    codec::put_varint(out, values.len() as u64);
    let Some(first) = values.first() else { return };
    if values.iter().all(|v| v == first) {
        out.push(CONSTANT);
        codec::put_u64(out, *first);
        return;
    }
    let xor = xor_encode(values);
    match encode_decimal(values).filter(|decimal| decimal.len() <= xor.len()) {
        Some(decimal) => {
            out.push(DECIMAL);
            out.extend_from_slice(&decimal);
        }
        None => {
            out.push(XOR);
            codec::put_bytes(out, &xor);
        }
    }
}

/// Appends the values of the next run to `to`.
pub(crate) fn decode_run(reader: &mut Reader<'_>, to: &mut Vec<u64>) -> Result<(), Malformed> {
    let count = reader.varint_usize("run length")?;
    if count == 0 {
        return Ok(());
    }
    if count > RUN_VALUES {
        return Err(reader.malformed("run length"));
    }
    match reader.u8("run codec")? {
        CONSTANT => {
            let value = reader.u64("constant")?;
            to.resize(to.len() + count, value);
        }
        DECIMAL => decode_decimal(reader, count, to)?,
        XOR => {
            let values = xor_decode(reader.bytes("xor bits")?, count);
            to.extend(values.ok_or_else(|| reader.malformed("xor bits"))?);
        }
        _ => return Err(reader.malformed("run codec")),
    }
    Ok(())
}

/// `bits` as a whole number of 10^-exponent, if that gives the same bits back.
fn as_decimal(bits: u64, exponent: usize) -> Option<i64> {
    let power = POWERS.get(exponent)?;
    let scaled = (f64::from_bits(bits) * power).round();
    // Beyond 2^53 not every whole number is a float.
    let fits = scaled.abs() < 9_007_199_254_740_992.0;
    // By way of the whole number, as the reader goes: that is where -0 would lose its sign.
    let number = scaled as i64;
    (fits && (number as f64 / power).to_bits() == bits).then_some(number)
}

fn encode_decimal(values: &[u64]) -> Option<Vec<u8>> {
    let exceptions_max = values.len() / 8 + 1;
    let mut exponent = 0;
    let mut hopeless = 0;
    for bits in values {
        match (exponent..POWERS.len()).find(|e| as_decimal(*bits, *e).is_some()) {
            Some(needed) => exponent = needed,
            None => hopeless += 1,
        }
        if hopeless > exceptions_max {
            return None;
        }
    }
    let (mut numbers, mut exceptions, mut last) = (Vec::with_capacity(values.len()), Vec::new(), 0i64);
    for (i, bits) in values.iter().enumerate() {
        match as_decimal(*bits, exponent) {
            Some(number) => last = number,
            None => exceptions.push((i, *bits)),
        }
        numbers.push(last);
    }
    if exceptions.len() > exceptions_max {
        return None;
    }
    let once = differences(&numbers);
    let twice = differences(&once);
    let (order, numbers) = [(0u8, &numbers), (1, &once), (2, &twice)]
        .into_iter()
        .min_by_key(|(order, numbers)| width(numbers.get(usize::from(*order)..).unwrap_or_default()))?;
    let mut out = vec![exponent as u8, order];
    let (heads, rest) = numbers.split_at_checked(usize::from(order))?;
    heads.iter().for_each(|head| codec::put_zigzag(&mut out, *head));
    let lowest = rest.iter().copied().min().unwrap_or(0);
    let bits = width(rest);
    codec::put_zigzag(&mut out, lowest);
    out.push(bits as u8);
    let mut packed = BitWriter::default();
    rest.iter().for_each(|number| packed.put(number.wrapping_sub(lowest) as u64, bits));
    out.extend_from_slice(&packed.to_bytes());
    codec::put_varint(&mut out, exceptions.len() as u64);
    for (at, bits) in exceptions {
        codec::put_varint(&mut out, at as u64);
        codec::put_u64(&mut out, bits);
    }
    Some(out)
}

/// The first stays, the others become the difference to the one before.
fn differences(numbers: &[i64]) -> Vec<i64> {
    let mut previous = 0i64;
    numbers.iter().map(|n| n.wrapping_sub(std::mem::replace(&mut previous, *n))).collect()
}

/// Bits that the numbers need above their lowest.
fn width(numbers: &[i64]) -> u32 {
    let lowest = numbers.iter().min().copied().unwrap_or(0);
    let highest = numbers.iter().max().copied().unwrap_or(0);
    64 - (highest.wrapping_sub(lowest) as u64).leading_zeros()
}

fn decode_decimal(reader: &mut Reader<'_>, count: usize, to: &mut Vec<u64>) -> Result<(), Malformed> {
    let exponent = usize::from(reader.u8("exponent")?);
    let power = *POWERS.get(exponent).ok_or_else(|| reader.malformed("exponent"))?;
    let order = usize::from(reader.u8("order")?);
    if order > 2 || order > count {
        return Err(reader.malformed("order"));
    }
    let mut numbers = Vec::with_capacity(count);
    for _ in 0..order {
        numbers.push(reader.zigzag("head")?);
    }
    let lowest = reader.zigzag("lowest")?;
    let bits = u32::from(reader.u8("width")?);
    if bits > 64 {
        return Err(reader.malformed("width"));
    }
    let rest = count - order;
    let packed = reader.take((rest * bits as usize).div_ceil(8), "packed bits")?;
    let mut packed = BitReader::new(packed);
    for _ in 0..rest {
        let raw = packed.take(bits).ok_or_else(|| reader.malformed("packed bits"))?;
        numbers.push(lowest.wrapping_add(raw as i64));
    }
    for _ in 0..order {
        let mut sum = 0i64;
        for number in &mut numbers {
            sum = sum.wrapping_add(*number);
            *number = sum;
        }
    }
    let start = to.len();
    to.extend(numbers.iter().map(|number| (*number as f64 / power).to_bits()));
    for _ in 0..reader.count("exceptions")? {
        let at = reader.varint_usize("exception")?;
        let bits = reader.u64("exception")?;
        let place = to.get_mut(start..).and_then(|run| run.get_mut(at));
        *place.ok_or_else(|| reader.malformed("exception"))? = bits;
    }
    Ok(())
}
