//! Kubernetes' libraries of IP addresses and CIDR ranges. Addresses of version 4 in the form of version 6 and zones are none to them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lib_cel::{Cx, EvalError, Run, Value};

use super::{Out, no, opaque, own, wrap};

#[derive(Debug, PartialEq)]
struct Ip(IpAddr);
opaque!(Ip, "net.IP");

#[derive(Debug, PartialEq)]
struct Cidr {
    ip: IpAddr,
    bits: u8,
}
opaque!(Cidr, "net.CIDR");

pub(super) const IP: &[(&str, Run)] = &[
    ("ip(string) -> net.IP", |_, args| match args {
        [Value::Text(text)] => parse(text).map(|ip| wrap(Ip(ip))),
        _ => no("ip"),
    }),
    ("net.IP.family() -> int", |_, args| of(args, |ip| Value::Int(if ip.is_ipv4() { 4 } else { 6 }))),
    ("ip.isCanonical(string) -> bool", |_, args| match args {
        [Value::Text(text)] => parse(text).map(|ip| Value::Bool(shown(ip) == **text)),
        _ => no("ip.isCanonical"),
    }),
    ("net.IP.isUnspecified() -> bool", |_, args| of(args, |ip| Value::Bool(ip.is_unspecified()))),
    ("net.IP.isLoopback() -> bool", |_, args| of(args, |ip| Value::Bool(ip.is_loopback()))),
    ("net.IP.isLinkLocalMulticast() -> bool", |_, args| of(args, |ip| Value::Bool(link_local_multicast(ip)))),
    ("net.IP.isLinkLocalUnicast() -> bool", |_, args| of(args, |ip| Value::Bool(link_local(ip)))),
    ("net.IP.isGlobalUnicast() -> bool", |_, args| of(args, |ip| Value::Bool(global(ip)))),
    ("isIP(string) -> bool", |_, args| match args {
        [Value::Text(text)] => Ok(Value::Bool(parse(text).is_ok())),
        _ => no("isIP"),
    }),
    ("string(net.IP) -> string", |_, args| of(args, |ip| Value::from(shown(ip)))),
];

pub(super) const CIDR: &[(&str, Run)] = &[
    ("cidr(string) -> net.CIDR", |_, args| match args {
        [Value::Text(text)] => parse_cidr(text).map(wrap),
        _ => no("cidr"),
    }),
    ("net.CIDR.containsIP(string) -> bool\nnet.CIDR.containsIP(net.IP) -> bool", contains_ip),
    ("net.CIDR.containsCIDR(string) -> bool\nnet.CIDR.containsCIDR(net.CIDR) -> bool", contains_cidr),
    ("net.CIDR.ip() -> net.IP", |_, args| of_cidr(args, |cidr| wrap(Ip(cidr.ip)))),
    ("net.CIDR.prefixLength() -> int", |_, args| of_cidr(args, |cidr| Value::Int(i64::from(cidr.bits)))),
    ("net.CIDR.masked() -> net.CIDR", |_, args| {
        of_cidr(args, |cidr| wrap(Cidr { ip: masked(cidr.ip, cidr.bits), bits: cidr.bits }))
    }),
    ("isCIDR(string) -> bool", |_, args| match args {
        [Value::Text(text)] => Ok(Value::Bool(parse_cidr(text).is_ok())),
        _ => no("isCIDR"),
    }),
    ("string(net.CIDR) -> string", |_, args| {
        of_cidr(args, |cidr| Value::from(format!("{}/{}", shown(cidr.ip), cidr.bits)))
    }),
];

fn parse(text: &str) -> Result<IpAddr, EvalError> {
    let parsed =
        text.parse::<IpAddr>().ok().filter(|ip| !matches!(ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some()));
    parsed.ok_or_else(|| EvalError::fails(format!("IP Address {text:?} parse error during conversion from string")))
}

fn parse_cidr(text: &str) -> Result<Cidr, EvalError> {
    let wrong = || EvalError::fails(format!("network address parse error during conversion from string: {text:?}"));
    let (ip, bits) = text.split_once('/').ok_or_else(wrong)?;
    let ip = parse(ip).map_err(|_| wrong())?;
    let plain = bits.bytes().all(|b| b.is_ascii_digit()) && (bits == "0" || !bits.starts_with('0'));
    let most = if ip.is_ipv4() { 32 } else { 128 };
    let bits = bits.parse().ok().filter(|bits: &u8| plain && *bits <= most).ok_or_else(wrong)?;
    Ok(Cidr { ip, bits })
}

/// As Go and Rust write it alike: RFC 5952.
fn shown(ip: IpAddr) -> String {
    ip.to_string()
}

fn of(args: &[Value], f: impl Fn(IpAddr) -> Value) -> Out {
    match args {
        [ip] => own::<Ip>(ip).map_or_else(|| no("net.IP"), |ip| Ok(f(ip.0))),
        _ => no("net.IP"),
    }
}

fn of_cidr(args: &[Value], f: impl Fn(&Cidr) -> Value) -> Out {
    match args {
        [cidr] => own::<Cidr>(cidr).map_or_else(|| no("net.CIDR"), |cidr| Ok(f(cidr))),
        _ => no("net.CIDR"),
    }
}

fn link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.segments()[0] & 0xffc0 == 0xfe80,
    }
}

fn link_local_multicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets()[..3] == [224, 0, 0],
        IpAddr::V6(ip) => ip.segments()[0] & 0xff0f == 0xff02,
    }
}

fn global(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast() && !link_local(ip) && !broadcast
}

fn masked(ip: IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() & mask))
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & mask))
        }
    }
}

fn holds(cidr: &Cidr, ip: IpAddr) -> bool {
    cidr.ip.is_ipv4() == ip.is_ipv4() && masked(cidr.ip, cidr.bits) == masked(ip, cidr.bits)
}

fn contains_ip(_: &mut Cx<'_>, args: &[Value]) -> Out {
    let [cidr, ip] = args else { return no("containsIP") };
    let ip = match (ip, own::<Ip>(ip)) {
        (Value::Text(text), _) => parse(text)?,
        (_, Some(ip)) => ip.0,
        _ => return no("containsIP"),
    };
    of_cidr(std::slice::from_ref(cidr), |cidr| Value::Bool(holds(cidr, ip)))
}

fn contains_cidr(_: &mut Cx<'_>, args: &[Value]) -> Out {
    let [cidr, inner] = args else { return no("containsCIDR") };
    let (ip, bits) = match (inner, own::<Cidr>(inner)) {
        (Value::Text(text), _) => parse_cidr(text).map(|inner| (inner.ip, inner.bits))?,
        (_, Some(inner)) => (inner.ip, inner.bits),
        _ => return no("containsCIDR"),
    };
    of_cidr(std::slice::from_ref(cidr), |cidr| Value::Bool(cidr.bits <= bits && holds(cidr, ip)))
}
