//! The form of selectors as `kubectl -l` and `--field-selector` take them: a mistake is told when the file is read, not by a server later.
//!
//! Source: <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>. What a server makes of names and values is its own.

/// `app=web,tier!=cache,zone in (a, b),!old`; the error is what cannot be read.
pub(super) fn labels(text: &str) -> Result<(), String> {
    parts(text).into_iter().try_for_each(|part| {
        let wrong = || format!("`{}` is no condition on a label", part.trim());
        let condition = part.trim();
        let negated = condition.strip_prefix('!').filter(|rest| !rest.starts_with('='));
        let (name, rest) = split_name(negated.unwrap_or(condition));
        let rest = rest.trim();
        let good = match (name.is_empty(), negated.is_some()) {
            (true, _) => false,
            (false, true) => rest.is_empty(),
            (false, false) => rest.is_empty() || compares(rest) || chooses(rest),
        };
        if good { Ok(()) } else { Err(wrong()) }
    })
}

/// `status.phase=Running,spec.nodeName!=n1`.
pub(super) fn fields(text: &str) -> Result<(), String> {
    // Between two commas nothing may stand here, as the server takes it.
    parts(text).into_iter().filter(|part| !part.is_empty()).try_for_each(|part| {
        let field = part.split_once('=').map(|(field, _)| field.trim_end_matches(['!', '=']).trim());
        match field {
            Some(field) if !field.is_empty() => Ok(()),
            _ => Err(format!("`{}` is no condition on a field", part.trim())),
        }
    })
}

/// Between commas that stand in no brackets; none of an empty text.
fn parts(text: &str) -> Vec<&str> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    let mut depth = 0_i32;
    let separates = |c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    };
    text.split(separates).collect()
}

fn split_name(text: &str) -> (&str, &str) {
    let in_name = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    text.split_at(text.find(|c| !in_name(c)).unwrap_or(text.len()))
}

fn is_value(text: &str) -> bool {
    text.trim().chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn compares(rest: &str) -> bool {
    if let Some(number) = rest.strip_prefix(['>', '<']) {
        return number.trim().parse::<i64>().is_ok();
    }
    ["==", "!=", "="].iter().find_map(|sign| rest.strip_prefix(sign)).is_some_and(is_value)
}

fn chooses(rest: &str) -> bool {
    let list = ["in", "notin"].iter().find_map(|word| rest.strip_prefix(word)).map(str::trim);
    let list = list.and_then(|list| list.strip_prefix('(')?.strip_suffix(')'));
    list.is_some_and(|list| list.split(',').all(is_value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubectl_takes_and_what_not() {
        for text in [
            "",
            "app",
            "!app",
            "app=",
            "app=web",
            "app == web,tier!=",
            "a.b/c in (x, y),d notin (z)",
            "size>3",
            "a=1,b in (c)",
        ] {
            assert_eq!(labels(text), Ok(()), "{text}");
        }
        for (text, wrong) in [
            ("=web", "=web"),
            ("app=a b", "app=a b"),
            ("a,,b", ""),
            ("app in x", "app in x"),
            ("app in (a", "app in (a"),
            ("!app=web", "!app=web"),
            ("size>big", "size>big"),
            ("app~web", "app~web"),
        ] {
            assert_eq!(labels(text), Err(format!("`{wrong}` is no condition on a label")), "{text}");
        }
        for text in ["", "status.phase=Running", "spec.nodeName!=n1,a==b", "a="] {
            assert_eq!(fields(text), Ok(()), "{text}");
        }
        for (text, wrong) in [("status.phase", "status.phase"), ("=x", "=x"), ("a=b, ", "")] {
            assert_eq!(fields(text), Err(format!("`{wrong}` is no condition on a field")), "{text}");
        }
    }
}
