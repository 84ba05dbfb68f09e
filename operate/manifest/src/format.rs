//! The forms of words in manifests: names, labels, quantities, ports. By the rules of Kubernetes's own validation. Knows no field.

/// Lower-case letters, digits and `-`, at most 63, as RFC 1123.
pub(crate) fn dns_label(text: &str) -> bool {
    text.len() <= 63 && label_like(text)
}

fn label_like(text: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = text.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

/// As a label, and it begins with a letter: RFC 1035.
pub(crate) fn dns_1035(text: &str) -> bool {
    dns_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase())
}

/// Labels with dots between them, at most 253.
pub(crate) fn dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(label_like)
}

/// `*.example.org`.
pub(crate) fn wildcard_domain(text: &str) -> bool {
    text.len() <= 253 && text.strip_prefix("*.").is_some_and(|rest| rest.split('.').all(label_like))
}

/// A label's or annotation's key: a name of at most 63, behind an optional domain and `/`.
pub(crate) fn qualified_name(text: &str) -> bool {
    let name = match text.split_once('/') {
        Some((domain, name)) if dns_subdomain(domain) && !name.contains('/') => name,
        Some(_) => return false,
        None => text,
    };
    !name.is_empty() && label_value(name)
}

/// A label's value: empty, or at most 63 letters, digits, `-`, `_`, `.`, with a letter or digit at both ends.
pub(crate) fn label_value(text: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

/// Parts with `.` or `/` between them, as `net.core.somaxconn`; at most 253.
pub(crate) fn sysctl(text: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let part = |part: &str| {
        let bytes = part.as_bytes();
        let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(b);
        edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inner)
    };
    text.len() <= 253 && text.split(['.', '/']).all(part)
}

/// What may stand as one part of a URL's path.
pub(crate) fn path_segment(text: &str) -> bool {
    !text.is_empty() && text != "." && text != ".." && !text.contains(['/', '%'])
}

/// A port's name, by RFC 6335: at most 15 lower-case letters, digits and single `-`, one letter at least.
pub(crate) fn port_name(text: &str) -> bool {
    text.len() <= 15 && label_like(text) && !text.contains("--") && text.bytes().any(|b| b.is_ascii_lowercase())
}

/// A key of a ConfigMap or Secret.
pub(crate) fn config_key(text: &str) -> bool {
    let signs = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    !text.is_empty() && text.len() <= 253 && signs && text != "." && !text.starts_with("..")
}

/// An environment variable's name; before 1.32 with letters, digits, `_`, `-` and `.` only, since then any printable ASCII but `=`.
pub(crate) fn env_name(text: &str, minor: u8) -> bool {
    if text.is_empty() {
        return false;
    }
    if minor >= 32 && text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'=') {
        return true;
    }
    let signs = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    signs && !text.starts_with(|c: char| c.is_ascii_digit()) && text != "." && !text.starts_with("..")
}

/// A quantity (`500m`, `1Gi`) in billionths; none if it is none. Its form: <https://pkg.go.dev/k8s.io/apimachinery/pkg/api/resource#Quantity>
pub fn quantity(text: &str) -> Option<i128> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (digits, suffix) = rest.split_at_checked(end)?;
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && part.is_empty()) || part.contains('.') {
        return None;
    }
    let (two, ten): (u32, i32) = match suffix {
        "" => (0, 0),
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        exponent => (0, exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    // As many digits as the sum can bear: whoever asks for more has reached the largest value.
    let kept: String = part.chars().take(9).collect();
    let mut value: i128 = format!("{whole}{kept}").parse().unwrap_or(i128::MAX >> 64);
    let ten = ten.clamp(-40, 40) + 9 - i32::try_from(kept.len()).ok()?;
    for _ in 0..ten.unsigned_abs() {
        // A remainder is rounded up, as the API does.
        value = if ten > 0 { value.saturating_mul(10) } else { (value + 9) / 10 };
    }
    value = value.saturating_mul(1 << two);
    Some(if negative { -value } else { value })
}

/// How many bytes a base64 text stands for, line breaks in it allowed; none if it is none.
pub(crate) fn base64_bytes(text: &str) -> Option<usize> {
    let bytes: Vec<u8> = text.bytes().filter(|b| !matches!(b, b'\n' | b'\r')).collect();
    let body = bytes.iter().rposition(|b| *b != b'=').map_or(0, |at| at + 1);
    let padding = bytes.len() - body;
    let signs = bytes.iter().take(body).all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
    (signs && bytes.len().is_multiple_of(4) && padding <= 2).then_some(bytes.len() / 4 * 3 - padding)
}

/// `25%`, as a number.
pub(crate) fn percent(text: &str) -> Option<i64> {
    let digits = text.strip_suffix('%')?;
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}
