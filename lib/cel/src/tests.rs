//! Expressions and what they are: a value as text, or the error. Each suite is rows of both.

mod conversions;
mod hostile;

use crate::{Env, Keep, Key, Limits, List, Program, Type, Value, standard};

const LIMITS: Limits = Limits { version: u16::MAX, two_variable_macros_since: 1, sort_by_since: 1 };

fn env() -> Env {
    Env::new(standard(|_| 0), &[])
}

/// `self` is a record `{name: string, count: int, part: {…}, tags: list(string), any: dyn, map: map(string, int), set, pairs}`.
fn variables() -> (Type, Value) {
    let text = |text: &str| Value::from(text);
    let record = |pairs: Vec<(&str, Value)>| {
        Value::Map(
            pairs
                .into_iter()
                .map(|(key, value)| (Key::Text(key.into()), value))
                .collect::<std::collections::BTreeMap<_, _>>()
                .into(),
        )
    };
    let part = Type::record([("x".into(), Type::Int), ("y".into(), Type::Int)]);
    let pair = Type::record([("k".into(), Type::Text), ("v".into(), Type::Int)]);
    let kind = Type::record([
        ("name".into(), Type::Text),
        ("count".into(), Type::Int),
        ("part".into(), part),
        ("tags".into(), Type::list(Type::Text)),
        ("any".into(), Type::Dyn),
        ("map".into(), Type::map(Type::Text, Type::Int)),
        ("set".into(), Type::list(Type::Int)),
        ("pairs".into(), Type::list(pair)),
    ]);
    let list = |items: Vec<Value>, keep: Keep| Value::List(List { items: items.into(), keep });
    let pair = |k: &str, v: i64| record(vec![("k", text(k)), ("v", Value::Int(v))]);
    let value = record(vec![
        ("name", text("cart")),
        ("count", Value::Int(3)),
        ("part", record(vec![("x", Value::Int(1))])),
        ("tags", vec![text("a"), text("b")].into()),
        ("any", text("50%")),
        ("map", record(vec![("one", Value::Int(1)), ("two", Value::Int(2))])),
        ("set", list(vec![Value::Int(1), Value::Int(2)], Keep::Set)),
        ("pairs", list(vec![pair("a", 1), pair("b", 2)], Keep::Keys(["k".into()].into()))),
    ]);
    (kind, value)
}

fn answer(text: &str) -> String {
    let (kind, value) = variables();
    let program = match Program::compile(text, &env(), &[("self", kind)], LIMITS) {
        Ok(program) => program,
        Err(error) => return format!("refused {error}"),
    };
    match program.evaluate(&[("self", value)], &mut 1_000_000) {
        Ok(value) => shown(&value),
        Err(error) => format!("error {error}"),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("'{text}'"),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => format!("{value}u"),
        Value::Double(value) => format!("{value:?}"),
        Value::List(list) => format!("[{}]", list.items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Map(map) => {
            let pairs: Vec<String> =
                map.iter().map(|(key, value)| format!("{}: {}", shown(&key.value()), shown(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Value::Optional(Some(inner)) => format!("optional({})", shown(inner)),
        Value::Optional(None) => "none".to_owned(),
        Value::Null => "null".to_owned(),
        Value::Type(name) => name.to_string(),
        other => format!("{other:?}"),
    }
}

/// Each line is `expression => answer`.
fn check(rows: &str) {
    let mut count = 0;
    for line in rows.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (text, expect) = line.rsplit_once(" => ").expect("a row is `expression => answer`");
        assert_eq!(answer(text.trim()), expect.trim(), "{text}");
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn numbers() {
    check(
        r"
        1 + 2 * 3 - 4                          => 3
        (1 + 2) * 3 % 4                        => 1
        -7 / 2                                 => -3
        -7 % 2                                 => -1
        7.0 / 2.0                              => 3.5
        0x1F                                   => 31
        3u + 4u                                => 7u
        -9223372036854775808                   => -9223372036854775808
        9223372036854775808                    => refused 1:1: invalid int literal
        9223372036854775807 + 1                => error integer overflow
        -9223372036854775808 / -1              => error integer overflow
        1 / 0                                  => error division by zero
        1 % 0                                  => error modulus by zero
        1u - 2u                                => error integer overflow
        1 < 2.5 && 3u > 2 && 1 <= 1u           => true
        9007199254740993 > 9007199254740992.0  => true
        1 == 1.0                               => refused 1:3: found no matching overload for '_==_' applied to '(int, double)'
        dyn(1) == dyn(1.0)                     => true
        dyn(1) == 'a'                          => false
        int('12') + int(3.9) + int(2u)         => 17
        int('x')                               => error type conversion error from 'string' to 'int'
        int(1e30)                              => error integer overflow
        double('1.5') + double(2)              => 3.5
        string(1.5) + string(2) + string(true) => '1.52true'
        !true || !!true                        => true
        - - 3                                  => 3
        1 - -1                                 => 2
        1 +                                    => refused 1:4: Syntax error: mismatched input the end
        1 'a'                                  => refused 1:3: Syntax error: unexpected 'a'
        1 + 'a'                                => refused 1:3: found no matching overload for '_+_' applied to '(int, string)'
        ",
    );
}

#[test]
fn names_and_parts() {
    check(
        r"
        self.name == 'cart' && self.count > 2  => true
        self.nam                               => refused 1:5: undefined field 'nam'
        other                                  => refused 1:1: undeclared reference to 'other' (in container '')
        self.name.startWith('c')               => refused 1:20: undeclared reference to 'startWith' (in container '')
        self.name.startsWith(3)                => refused 1:21: found no matching overload for 'startsWith' applied to 'string.(int)'
        self.name.x                            => refused 1:10: type 'string' does not support field selection
        has(self.part.x)                       => true
        has(self.part.y)                       => false
        self.part.y                            => error no such key: y
        has(self.name)                         => true
        has(self)                              => refused 1:4: invalid argument to has() macro
        self.tags[1]                           => 'b'
        self.tags[5]                           => error index out of bounds: 5
        self.tags['a']                         => refused 1:10: found no matching overload for '_[_]' applied to '(list(string), string)'
        self.map['two'] + self.map.one         => 3
        self.map['no']                         => error no such key: no
        'one' in self.map && !('x' in self.map) => true
        'a' in self.tags                       => true
        1 in self.tags                         => refused 1:3: found no matching overload for '@in' applied to '(int, list(string))'
        self.any == '50%'                      => true
        self.any < 5                           => error no such overload: _<_
        type(self.any) == string               => true
        type(self.any) == int                  => false
        type(1) == int && type([]) == list && type(type(1)) == type => true
        type(timestamp('2020-01-01T00:00:00Z')) == google.protobuf.Timestamp => true
        self.part == null                      => false
        self.name == null                      => refused 1:11: found no matching overload for '_==_' applied to '(string, null)'
        true ? self.count : 0                  => 3
        true ? 1 : 'a'                         => refused 1:6: found no matching overload for '_?_:_' applied to '(bool, int, string)'
        false && self.part.y > 1               => false
        self.part.y > 1 && false               => false
        self.part.y > 1 || true                => true
        self.part.y > 1 && true                => error no such key: y
        if                                     => refused 1:1: reserved identifier: if
        ",
    );
}

#[test]
fn macros() {
    check(
        r"
        [1, 2, 3].all(x, x > 0)                => true
        [1, 2, 3].exists(x, x > 2)             => true
        [1, 2, 3].exists_one(x, x > 1)         => false
        [1, 2, 3].map(x, x * 2)                => [2, 4, 6]
        [1, 2, 3].map(x, x > 1, x * 2)         => [4, 6]
        [1, 2, 3].filter(x, x % 2 == 1)        => [1, 3]
        {'a': 1, 'b': 2}.all(k, k < 'c')       => true
        {'a': 1, 'b': 2}.exists(k, v, v == 2)  => true
        [5, 6].all(i, v, v == i + 5)           => true
        [5, 6].transformList(i, v, i * v)      => [0, 6]
        [5, 6].transformMap(i, v, v > 5, v)    => {1: 6}
        {'a': 1}.transformMapEntry(k, v, {v: k}) => {1: 'a'}
        [1, 2].all(i, i, true)                 => refused 1:11: duplicate variable name: i
        [1, 2].all(x.y, true)                  => refused 1:13: argument must be a simple name
        [1, 0, 2].exists(x, 4 / x == 2)        => true
        [1, 0].exists(x, 4 / x == 2)           => error division by zero
        [0, 1].all(x, 4 / x == 2)              => false
        self.tags.all(t, self.tags.exists(u, u == t)) => true
        [[1, 2], [3]].map(x, x.map(x, x + 1))  => [[2, 3], [4]]
        self.name.all(x, true)                 => refused 1:5: expression of type 'string' cannot be range of a comprehension (must be list, map, or dynamic)
        [1].all(x, x)                          => refused 1:12: expected type 'bool' but found 'int'
        [1, 'a']                               => refused 1:5: expected type 'int' but found 'string'
        [3, 1, 2].sortBy(x, -x)                => [3, 2, 1]
        ",
    );
}

#[test]
fn optionals() {
    check(
        r"
        optional.of(1).orValue(2)              => 1
        optional.none().orValue(2)             => 2
        optional.ofNonZeroValue('').hasValue() => false
        self.?name.orValue('x')                => 'cart'
        self.part.?y.orValue(7)                => 7
        self.?part.y.orValue(7)                => 7
        self.map[?'no'].orValue(0)             => 0
        self.tags[?9].hasValue()               => false
        optional.of(2).optMap(x, x * 3).value() => 6
        optional.none().value()                => error optional.none() dereference
        optional.of(2).optFlatMap(x, optional.of(x)) => optional(2)
        optional.none().or(optional.of(3)).value() => 3
        [?optional.none(), ?optional.of(1)]    => [1]
        {?'a': optional.none(), 'b': 2}        => {'b': 2}
        [1, 2].first().value() + [1, 2].last().value() => 3
        self.tags[?0].value()                  => 'a'
        self.?nope                             => refused 1:5: undefined field 'nope'
        ",
    );
}

#[test]
fn texts() {
    check(
        r#"
        'hello'.contains('ell') && 'hello'.startsWith('he') && 'hello'.endsWith('lo') => true
        'tacocat'.indexOf('ac')                => 1
        'tacocat'.lastIndexOf('a')             => 5
        'tacocat'.lastIndexOf('a', 3)          => 1
        'hello mellow'.indexOf('ello', 2)      => 7
        'über'.charAt(0) + 'über'.substring(1) => 'über'
        'über'.size()                          => 4
        'abc'.substring(1, 2)                  => 'b'
        'abc'.substring(2, 9)                  => error index out of range: 9
        'a,b,c'.split(',')                     => ['a', 'b', 'c']
        'a,b,c'.split(',', 2)                  => ['a', 'b,c']
        'abc'.split('')                        => ['a', 'b', 'c']
        ''.split(',')                          => ['']
        ['a', 'b'].join('-')                   => 'a-b'
        'aab'.replace('a', 'x', 1)             => 'xab'
        ' a '.trim() + 'B'.lowerAscii() + 'c'.upperAscii() => 'abC'
        '%s is %d, %.2f %x %%'.format(['a', 3, 1.5, 255]) => 'a is 3, 1.50 ff %'
        '%s'.format([[1, 'a', {'k': true}]])   => '[1, "a", {"k":true}]'
        ['%d'].map(f, f.format([1, 'a'])) == [1, 'a'] => refused 1:42: expected type 'int' but found 'string'
        '%s %s'.format([[1, 2], {'k': true}])  => '[1, 2] {"k":true}'
        '%d'.format(['a'])                     => error error during formatting: decimal clause can only be used on integers, was given string
        strings.quote('a"b')                   => '"a\"b"'
        "a'b" + 'c\n'.trim() + r'\d' + '\u00e9' + '\x41' => 'a'bc\déA'
        b'\xff' == b'\377'                     => true
        'aXb'.matches('^a[[:upper:]]b$')       => true
        'é'.matches('^\\w$')                   => false
        '٣'.matches(r'^\d$')                   => false
        'a{b'.matches('a{b')                   => true
        'a.b'.matches(r'^\Qa.b\E$')            => true
        'x'.matches('(')                       => refused 1:13: invalid matches argument
        'x'.matches('a{1001}')                 => refused 1:13: invalid matches argument
        'x'.matches('(?=a)')                   => refused 1:13: invalid matches argument
        'abc' < 'abd' && 'B' < 'a'             => true
        'open                                  => refused 1:1: Syntax error: a string has no end
        "#,
    );
}

#[test]
fn times() {
    check(
        r"
        duration('1h30m') == duration('90m')   => true
        duration('1.5s').getMilliseconds()     => 1500
        duration('1x')                         => refused 1:10: invalid duration argument
        string(duration('1m1.5s'))             => '61.5s'
        timestamp('2024-02-29T12:30:00Z').getDayOfYear() => 59
        timestamp('2024-02-29T12:30:00Z').getDayOfWeek() => 4
        timestamp('2024-02-29T23:30:00Z').getDate('+01:00') => 1
        timestamp('2023-02-29T12:30:00Z')      => refused 1:11: invalid timestamp argument
        timestamp('2024-01-01T00:00:00Z') + duration('24h') == timestamp('2024-01-02T00:00:00Z') => true
        timestamp('2024-01-02T00:00:00Z') - timestamp('2024-01-01T00:00:00Z') > duration('23h') => true
        string(timestamp('1969-12-31T23:59:59.5Z')) => '1969-12-31T23:59:59.5Z'
        timestamp('2024-01-01T00:00:00Z').getHours('Europe/Berlin') => error the time zone `Europe/Berlin` is not known here
        ",
    );
}

#[test]
fn lists_and_sets() {
    check(
        r"
        sets.contains([1, 2], [2]) && sets.equivalent([1, 1, 2], [2, 1]) && !sets.intersects([1], [2]) => true
        [1, 2, 3, 4].slice(1, 3)               => [2, 3]
        [1, 2].slice(1, 3)                     => error cannot slice(1, 3), list is length 2
        [[1], [2, 3]].flatten()                => [1, 2, 3]
        lists.range(3).reverse()               => [2, 1, 0]
        [1, 2, 1].distinct().size()            => 2
        [3, 1, 2].sort()                       => [1, 2, 3]
        [1] + [2]                              => [1, 2]
        self.set == [2, 1]                     => true
        self.set + [2, 3]                      => [1, 2, 3]
        self.pairs.map(p, p.v) == [1, 2]       => true
        self.tags == ['b', 'a']                => false
        size(self.map) + self.tags.size()      => 4
        ",
    );
}

/// An expression within a budget, and whether it sufficed.
#[test]
fn costs_are_counted() {
    let (kind, value) = variables();
    let cost = |text: &str| {
        let program = Program::compile(text, &env(), &[("self", kind.clone())], LIMITS).expect(text);
        let mut fuel = 1_000_000;
        program.evaluate(&[("self", value.clone())], &mut fuel).expect(text);
        1_000_000 - fuel
    };
    assert!(cost("self.name == 'a'") < 10);
    let (one, two) = (cost("[1, 2, 3].all(x, x > 0)"), cost("[1, 2, 3].all(x, [1, 2, 3].all(y, x + y > 0))"));
    assert!(two > one * 2, "{one} {two}");
}
