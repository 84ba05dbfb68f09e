//! Kubernetes' own functions, each expression with its answer or its error.

use lib_cel::{Program, Value};

use super::{ENV, STORED, limits, new_at};

fn answer(text: &str) -> String {
    let program = match Program::compile(text, &ENV, &[], limits(STORED)) {
        Ok(program) => program,
        Err(error) => return format!("refused {error}"),
    };
    match program.evaluate(&[], &mut 1_000_000) {
        Ok(Value::Bool(value)) => value.to_string(),
        Ok(Value::Int(value)) => value.to_string(),
        Ok(Value::Text(text)) => format!("'{text}'"),
        Ok(other) => format!("{other:?}"),
        Err(error) => format!("error {error}"),
    }
}

fn check(rows: &str) {
    for line in rows.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (text, expect) = line.rsplit_once(" => ").expect("a row is `expression => answer`");
        assert_eq!(answer(text.trim()), expect.trim(), "{text}");
    }
}

#[test]
fn every_library_answers() {
    check(
        r"
        [1, 2, 2].isSorted() && !['b', 'a'].isSorted()            => true
        [1, 2].sum() + [3, 9, 4].max() + [3, 9, 4].min()          => 15
        [].sum() == 0 && [duration('1s'), duration('2s')].sum() == duration('3s') => true
        [1].filter(x, x > 1).max()                                => error max called on empty list
        ['a', 'b', 'a'].indexOf('a') + ['a', 'b', 'a'].lastIndexOf('a') => 2
        'abc 123'.find('[0-9]+') + 'x'.find('[0-9]+')             => '123'
        '123 abc 456'.findAll('[0-9]+').join(',')                 => '123,456'
        '1 2 3'.findAll('[0-9]', 2).size()                        => 2
        url('https://user@Example.org:8443/a%20b?x=1&x=2#f').getHost() => 'Example.org:8443'
        url('https://[::1]:80/').getHostname() + url('https://[::1]:80/').getPort() => '::180'
        url('/path with spaces/').getEscapedPath()                => '/path%20with%20spaces/'
        url('https://h/?k=a&k=b&l').getQuery()['k'].join('+')     => 'a+b'
        url('https://h').getScheme() + url('https://h').getEscapedPath() => 'https'
        isURL('https://h') && isURL('/p') && !isURL('p') && !isURL('../x') && !isURL('https://a b/') => true
        quantity('1.5Gi').isGreaterThan(quantity('1Gi')) && quantity('200M').isLessThan(quantity('1G')) => true
        quantity('50k').asInteger() + quantity('50k').compareTo(quantity('50000')) => 50000
        quantity('1').add(1).sub(quantity('500m')).asApproximateFloat() == 1.5 => true
        sign(quantity('-1')) + sign(quantity('0'))                => -1
        quantity('1') == quantity('1000m')                        => true
        isQuantity('10Mi') && !isQuantity('10 Mi')                => true
        quantity('x')                                             => error quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'
        ip('127.0.0.1').isLoopback() && ip('::1').family() == 6   => true
        ip.isCanonical('::1') && !ip.isCanonical('0:0::1')        => true
        isIP('1.2.3.4') && !isIP('1.2.3') && !isIP('::ffff:1.2.3.4') && !isIP('fe80::1%eth0') => true
        ip('8.8.8.8').isGlobalUnicast() && !ip('169.254.0.1').isGlobalUnicast() && ip('fe80::1').isLinkLocalUnicast() => true
        cidr('10.0.0.0/8').containsIP('10.1.2.3') && !cidr('10.0.0.0/8').containsIP(ip('11.0.0.1')) => true
        cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && !cidr('10.1.0.0/16').containsCIDR(cidr('10.0.0.0/8')) => true
        string(cidr('10.1.2.3/8').masked()) + string(cidr('10.1.2.3/8').ip()) => '10.0.0.0/810.1.2.3'
        cidr('::/0').prefixLength() == 0 && !isCIDR('10.0.0.0/33') && !isCIDR('10.0.0.0/08') => true
        type(ip('::1')) == net.IP && type(ip('::1')) != net.CIDR  => true
        format.dns1123Label().validate('a-b').hasValue()          => false
        format.named('dns1123Label').value().validate('A').value()[0].contains('RFC 1123') => true
        format.named('nope').hasValue()                           => false
        !format.uuid().validate('123e4567-e89b-12d3-a456-426614174000').hasValue() => true
        format.date().validate('2021-02-29').value()[0]           => 'invalid date'
        semver('1.2.3').isLessThan(semver('1.10.0')) && semver('1.0.0-rc.1').isLessThan(semver('1.0.0')) => true
        isSemver('v1.0') || !isSemver('v1.0', true)               => false
        semver('v01.2', true).minor()                             => 2
        ",
    );
}

/// What a server's own minor version brings may be used in new definitions one minor version later.
#[test]
fn functions_come_with_their_minor_version() {
    let takes = |text: &str, minor: u8| Program::compile(text, &ENV, &[], limits(new_at(minor))).is_ok();
    for (text, since) in [
        ("isIP('1.2.3.4')", 31),
        ("format.uuid().validate('').hasValue()", 32),
        ("[1].all(i, v, i < v)", 33),
        ("isSemver('1.0.0')", 34),
        ("lists.range(3).size() == 3", 35),
        ("[1].sortBy(x, x) == [1]", 35),
    ] {
        assert!(!takes(text, since - 1) && takes(text, since), "{text}");
    }
}
