//! Values of one kind as another, as text, and compared over kinds.

use super::check;

#[test]
fn conversions() {
    check(
        r#"
        int(timestamp('1970-01-01T00:01:00.9Z'))  => 60
        int(timestamp('1969-12-31T23:59:59.5Z'))  => -1
        int(18446744073709551615u)                => error integer overflow
        uint(7) + uint(7u) + uint(7.9)            => 21u
        uint('12')                                => 12u
        uint(-1)                                  => error unsigned integer overflow
        uint(-0.5)                                => error unsigned integer overflow
        uint(2e19)                                => error unsigned integer overflow
        uint('-1')                                => error type conversion error from 'string' to 'uint'
        double(1.5) + double(2u)                  => 3.5
        double('x')                               => error type conversion error from 'string' to 'double'
        string(double('NaN'))                     => 'NaN'
        string(double('Inf'))                     => '+Inf'
        string(double('-Inf'))                    => '-Inf'
        string(1e21) + ' ' + string(-0.00001)     => '1e+21 -1e-05'
        string(0.0001) + ' ' + string(0.0)        => '0.0001 0'
        string(3u) + string('x')                  => '3x'
        string(b'\xc3\xa4')                       => 'ä'
        string(b'\xff')                           => error invalid UTF-8 in bytes, cannot convert to string
        string(duration('90s'))                   => '90s'
        string(timestamp(0))                      => '1970-01-01T00:00:00Z'
        bytes('ab') == b'ab' && bytes(b'ab') == b'ab' => true
        bool('t') && bool('True') && bool(true)   => true
        bool('0') || bool('FALSE') || bool('f')   => false
        bool('yes')                               => error type conversion error from 'string' to 'bool'
        duration(duration('1h')) == duration('60m') => true
        duration(dyn('x'))                           => error type conversion error from 'string' to 'google.protobuf.Duration'
        timestamp(timestamp(60)) == timestamp('1970-01-01T00:01:00Z') => true
        timestamp(dyn('x'))                          => error type conversion error from 'string' to 'google.protobuf.Timestamp'
        "#,
    );
}

#[test]
fn formats() {
    check(
        r#"
        '%d %d'.format([-3, 3u])                  => '-3 3'
        '%f %.2f'.format([1.5, 1.255])            => '1.500000 1.25'
        '%.2f %.0f %f'.format([1234567.891, -1234.5, 1e20]) => '1,234,567.89 -1,234 100,000,000,000,000,000,000.000000'
        '%f %f'.format([double('NaN'), double('-Inf')]) => 'NaN -∞'
        '%f|%e|%.3e'.format(['NaN', 'Infinity', '-Infinity']) => 'NaN|     ∞| -∞'
        '%e %.1e'.format([1234.5, 0.00012])       => '1.234500 × 10⁰³ 1.200000 × 10⁻⁰⁴'
        '%.30e|'.format([-1e100])                 => '             -1.000000 × 10¹⁰⁰|'
        '%b %b %b'.format([true, -5, 5u])         => '1 -101 101'
        '%o %o'.format([-8, 8u])                  => '-10 10'
        '%x %X %x %X'.format([-255, 255, 255u, 255u]) => '-ff FF ff FF'
        '%x %X'.format(['ab', 'ko'])              => '6162 6B6F'
        '%x %X'.format([b'\xfe', b'\xfe'])        => 'fe FE'
        '%s %s %s'.format([null, 1u, double('-Inf')]) => 'null 1 -Inf'
        '%s %s'.format([1e21, b'ab'])             => '1e+21 ab'
        '%s %s'.format([duration('90s'), timestamp(0)]) => '90s 1970-01-01T00:00:00Z'
        '%s'.format([[1.5, double('NaN'), 'a"b', b'ab', duration('90s'), timestamp(0), null, type(1), true, 2u]]) => '[1.500000, "NaN", "a\"b", b"ab", duration("90s"), timestamp("1970-01-01T00:00:00Z"), null, int, true, 2]'
        '%s'.format([{'b': 1, 'a': [2]}])         => '{"a":[2], "b":1}'
        '%s %s'.format([type(1), optional.of(1).hasValue()]) => 'int true'
        '100%%'.format([])                        => '100%'
        '%d'.format([dyn('a')])                   => error error during formatting: decimal clause can only be used on integers, was given string
        '%f'.format([dyn(1)])                     => error error during formatting: fixed-point clause can only be used on doubles, was given int
        '%b'.format([dyn('a')])                   => error error during formatting: only integers and bools can be formatted as binary, was given string
        '%o'.format([dyn('a')])                   => error error during formatting: octal clause can only be used on integers, was given string
        '%x'.format([dyn(1.5)])                   => error error during formatting: only integers, byte buffers, and strings can be formatted as hex, was given double
        '%e'.format([dyn(1)])                     => error error during formatting: scientific clause can only be used on doubles, was given int
        '%s'.format([dyn(optional.of(1))])        => error error during formatting: string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps, was given optional_type
        '%y'.format(dyn([1]))                     => error could not parse formatting clause: unrecognized formatting clause "y"
        dyn('%d %d').format([1])                  => error index 1 out of range
        dyn('%').format([1])                      => error unexpected end of string
        "#,
    );
}

#[test]
fn kinds_compared() {
    check(
        r#"
        type(null) == type(null) && type(true) == bool  => true
        [type(1u), type(1.0), type(b''), type('')] == [uint, double, bytes, string] => true
        type(duration('1s')) == type(timestamp(0))      => false
        b'a' < b'b' && false < true                     => true
        dyn(3u) == dyn(3) && dyn(3.0) == dyn(3u)        => true
        dyn(3.5) > dyn(3u) && dyn(3u) < dyn(3.5)        => true
        dyn(2.5) < dyn(3) && dyn(3) > dyn(2.5)          => true
        dyn(1e30) > dyn(3) && dyn(-1e30) < dyn(3u)      => true
        dyn(double('NaN')) < dyn(3)                     => error NaN values cannot be ordered
        dyn({true: 1, false: 3})[true]                  => 1
        {1: 'a'}[dyn(1u)] + {1: 'a'}[dyn(1.0)]          => 'aa'
        {1: 'a'}[dyn(1.5)]                              => error no such key: 1.5
        optional.of(1) == optional.of(1)                => true
        optional.of(1) == optional.of(2) || optional.none() == optional.of(1) => false
        dyn(self.pairs) == dyn([{'k': dyn('b'), 'v': dyn(2)}, {'k': dyn('a'), 'v': dyn(1)}]) => true
        dyn(self.pairs) == dyn([{'k': dyn('b'), 'v': dyn(2)}, {'k': dyn('a'), 'v': dyn(2)}]) => false
        self.set == [2, 1]                              => true
        "#,
    );
}
