//! Variables with modifiers: each row is what bash makes of it, for what BuildKit takes from there.

use crate::{Scope, expand};

fn scope() -> Scope {
    let mut scope = Scope::default();
    scope.set("v", Some("registry.example/shop/cart:1.2.3-rc".into()));
    scope.set("e", Some(String::new()));
    scope.set("later", None);
    scope
}

#[test]
fn modifiers_make_what_a_shell_makes() {
    let rows = r"
        ${v#*/} => shop/cart:1.2.3-rc
        ${v##*/} => cart:1.2.3-rc
        ${v%:*} => registry.example/shop/cart
        ${v%-*} => registry.example/shop/cart:1.2.3
        ${v%%.*} => registry
        ${v/shop/store} => registry.example/store/cart:1.2.3-rc
        ${v//r/R} => RegistRy.example/shop/caRt:1.2.3-Rc
        ${v#nope} => registry.example/shop/cart:1.2.3-rc
        ${v%%:*} => registry.example/shop/cart
        ${v//.} => registryexample/shop/cart:123-rc
        ${v/nope/x} => registry.example/shop/cart:1.2.3-rc
        ${v-d} => registry.example/shop/cart:1.2.3-rc
        ${v:-d} => registry.example/shop/cart:1.2.3-rc
        ${u-d} => d
        ${u:-d} => d
        ${u+d} => 
        ${v+d} => d
        ${v:+d} => d
        ${e-d} => 
        ${e:-d} => d
        ${e:+d} => 
        ${e+d} => d
        ${v?no} => registry.example/shop/cart:1.2.3-rc
        ${u:-${v#*-}} => rc
        ${v#?} => egistry.example/shop/cart:1.2.3-rc
        ${v%?} => registry.example/shop/cart:1.2.3-r
        ${v/?/_} => _egistry.example/shop/cart:1.2.3-rc
        ${v/c*t/x} => registry.example/shop/x:1.2.3-rc
        a${v%%/*}b => aregistry.exampleb
        ";
    for row in rows.lines().map(str::trim_start).filter(|row| !row.is_empty()) {
        let (word, expect) = row.split_once(" => ").expect("a row is `word => text`");
        assert_eq!(expand(word, &scope(), '\\').text.as_deref(), Some(expect), "{word}");
    }
}

#[test]
fn what_only_the_build_knows_is_not_guessed() {
    for (word, expect) in [
        ("$later", None),
        ("${later}", None),
        ("${later#a}", None),
        ("${later:-d}", None),
        ("${later-d}", None),
        ("${later+d}", Some("d")),
        ("${u:-$later}", None),
        ("${v:-$later}", Some("registry.example/shop/cart:1.2.3-rc")),
        ("${v#$later}", None),
        ("${u:?it is needed}", None),
        ("${e:?it is needed}", None),
        ("${later?it is needed}", None),
        ("${u#a}", Some("")),
        ("${v^^}", None),
        ("${}", None),
        ("${v", Some("${v")),
        ("$", Some("$")),
        ("$1", Some("$1")),
        (r"\$e${e}", Some("$e")),
        (r#""a\z$e'\"'""#, Some(r#"a\z'"'"#)),
        ("'$v'", Some("$v")),
    ] {
        assert_eq!(expand(word, &scope(), '\\').text.as_deref(), expect, "{word}");
    }
}

#[test]
fn limits_are_kept() {
    let deep = (0..40).fold("x".to_owned(), |inner, _| format!("${{u:-{inner}}}"));
    assert_eq!(expand(&deep, &scope(), '\\').text, None, "too deep");
    let mut scope = scope();
    scope.set("long", Some("ab".repeat(200)));
    assert_eq!(expand("${long//a}", &scope, '\\').text, None, "too long to try a pattern on");
    scope.set("huge", Some("x".repeat(3_000)));
    assert_eq!(expand("$huge$huge", &scope, '\\').text, None, "too long a value");
}
