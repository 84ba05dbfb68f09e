//! `ip("…")`: one address, a network (`10.0.0.0/8`) or a range (`10.0.0.1-10.0.0.9`), looked for anywhere in a text.

use std::net::IpAddr;

/// From the first to the last address, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IpRange {
    first: IpAddr,
    last: IpAddr,
}

impl IpRange {
    pub(super) fn new(text: &str) -> Option<Self> {
        if let Some((first, last)) = text.split_once('-') {
            let (first, last) = (first.trim().parse::<IpAddr>().ok()?, last.trim().parse::<IpAddr>().ok()?);
            return (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(IpRange { first, last });
        }
        let Some((address, bits)) = text.split_once('/') else {
            let only = text.trim().parse().ok()?;
            return Some(IpRange { first: only, last: only });
        };
        let bits: u32 = bits.parse().ok()?;
        match address.parse().ok()? {
            IpAddr::V4(address) => {
                let host = u32::MAX.checked_shr(bits).filter(|_| bits <= 32).or((bits == 32).then_some(0))?;
                let address = u32::from(address);
                let (first, last) = ((address & !host).into(), (address | host).into());
                Some(IpRange { first: IpAddr::V4(first), last: IpAddr::V4(last) })
            }
            IpAddr::V6(address) => {
                let host = u128::MAX.checked_shr(bits).filter(|_| bits <= 128).or((bits == 128).then_some(0))?;
                let address = u128::from(address);
                let (first, last) = ((address & !host).into(), (address | host).into());
                Some(IpRange { first: IpAddr::V6(first), last: IpAddr::V6(last) })
            }
        }
    }

    fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && self.first <= address && address <= self.last
    }

    /// Whether any address in the text is in the range.
    pub(super) fn is_in(self, text: &str) -> bool {
        let may_belong = |c: char| c.is_ascii_hexdigit() || c == '.' || c == ':';
        text.split(|c: char| !may_belong(c)).any(|word| {
            let word = word.trim_end_matches(['.', ':']);
            // `10.0.0.1:8080` is an address and a port.
            let mut tries = std::iter::once(word).chain(word.split(':').filter(|part| part.contains('.')));
            tries.any(|part| part.parse().is_ok_and(|address| self.contains(address)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::IpRange;

    #[test]
    fn addresses_in_texts() {
        let table = [
            ("10.0.0.0/8", "from 10.255.0.1:8080 to 192.168.0.1", true),
            ("10.0.0.0/8", "from 11.0.0.1", false),
            ("192.168.4.5-192.168.4.20", "client=192.168.4.20.", true),
            ("192.168.4.5-192.168.4.20", "client=192.168.4.21", false),
            ("10.0.0.1", "x10.0.0.1y", true),
            ("10.0.0.1", "10.0.0.11", false),
            ("0.0.0.0/0", "no address, 1.2.3 is none", false),
            ("10.0.0.1/32", "10.0.0.1", true),
            ("2001:db8::/32", "peer [2001:db8::7]:443", true),
            ("2001:db8::/32", "peer 2001:db9::7", false),
            ("::/0", "10.0.0.1", false),
        ];
        for (range, text, expect) in table {
            assert_eq!(IpRange::new(range).unwrap().is_in(text), expect, "{range} in {text}");
        }
        for bad in ["", "10.0.0", "10.0.0.1/33", "10.0.0.9-10.0.0.1", "10.0.0.1-::1", "::1/129", "a/b"] {
            assert_eq!(IpRange::new(bad), None, "{bad}");
        }
    }
}
