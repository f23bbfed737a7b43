//! Converts terms of the text format to values of a type.

use super::number;
use super::pattern::Pattern;
use super::text::{self, Term};
use super::value::Value;
use super::variant_type::{MAX_DEPTH, VariantType};

/// Parses the text of a value of the type `own`. `None` if the text is not valid, or if it is not a value of this type.
pub(super) fn parse(text: &str, own: &VariantType) -> Option<Value> {
    value(&text::parse(text)?, own)
}

fn value(term: &Term, own: &VariantType) -> Option<Value> {
    let boxed = |term: &Term, own: &VariantType| value(term, own).map(Box::new);
    Some(match (term, own) {
        // Like in GLib, the type in the text is not used here, because the type of the value is already known.
        (Term::Typed(_, inner), _) => value(inner, own)?,
        (Term::Maybe(None), VariantType::Maybe(_)) => Value::Nothing,
        (Term::Maybe(Some(inner)), VariantType::Maybe(element)) => Value::Just(1, boxed(inner, element)?),
        (_, VariantType::Maybe(_)) => {
            let (levels, base) = own.without_maybes();
            Value::Just(levels, boxed(term, base)?)
        }
        (Term::Array(terms), VariantType::Array(element)) => {
            Value::Array(terms.iter().map(|term| value(term, element)).collect::<Option<_>>()?)
        }
        (Term::Bytes(bytes), VariantType::Array(element)) if **element == VariantType::BYTE => {
            Value::Array(bytes.iter().chain(&[0]).map(|byte| Value::Integer(i128::from(*byte))).collect())
        }
        (Term::Dictionary(entries), VariantType::Array(element)) => {
            let VariantType::Entry(key, content, _) = element.as_ref() else { return None };
            let entry =
                |(one, other): &(Term, Term)| Some(Value::Tuple(vec![value(one, key)?, value(other, content)?]));
            Value::Array(entries.iter().map(entry).collect::<Option<_>>()?)
        }
        (Term::Entry(one, other), VariantType::Entry(key, content, _)) => {
            Value::Tuple(vec![value(one, key)?, value(other, content)?])
        }
        (Term::Tuple(terms), VariantType::Tuple(members, _)) if terms.len() == members.len() => {
            Value::Tuple(terms.iter().zip(members).map(|(term, own)| value(term, own)).collect::<Option<_>>()?)
        }
        (Term::Variant(inner), VariantType::Variant) => {
            let own = pattern(inner)?.usual().filter(VariantType::has_allowed_length)?;
            let value = boxed(inner, &own)?;
            Value::Variant(own, value)
        }
        (Term::Boolean(value), VariantType::Basic(b'b')) => Value::Boolean(*value),
        (Term::Text(text), VariantType::Basic(letter)) => Value::Text(is_text(text, *letter).then(|| text.clone())?),
        (Term::Number(text), VariantType::Basic(b'd')) => Value::Double(number::double(text)?),
        (Term::Number(text), VariantType::Basic(letter)) => {
            let number = number::integer(text)?;
            let (least, most) = limits(*letter)?;
            (least <= number && number <= most).then_some(Value::Integer(number))?
        }
        _ => return None,
    })
}

/// Returns the smallest and the greatest value of the type of integers with this letter.
pub(super) fn limits(letter: u8) -> Option<(i128, i128)> {
    Some(match letter {
        b'y' => (0, u8::MAX.into()),
        b'n' => (i16::MIN.into(), i16::MAX.into()),
        b'q' => (0, u16::MAX.into()),
        b'i' | b'h' => (i32::MIN.into(), i32::MAX.into()),
        b'u' => (0, u32::MAX.into()),
        b'x' => (i64::MIN.into(), i64::MAX.into()),
        b't' => (0, u64::MAX.into()),
        _ => return None,
    })
}

/// Whether `text` is a string (`s`), the path of an object (`o`) or a signature (`g`) of D-Bus.
fn is_text(text: &str, letter: u8) -> bool {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    match letter {
        b's' => true,
        b'o' => text == "/" || text.strip_prefix('/').is_some_and(|names| names.split('/').all(is_name)),
        // A signature of D-Bus contains no maybes.
        b'g' => !text.contains('m') && are_types(text),
        _ => false,
    }
}

/// Whether `text` consists of types, one after the other.
fn are_types(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        if VariantType::take(&mut rest, MAX_DEPTH).is_none() {
            return false;
        }
    }
    true
}

/// Returns the types that a term may have.
fn pattern(term: &Term) -> Option<Pattern> {
    let inner = match term {
        Term::Typed(own, _) => return Some(own.into()),
        Term::Maybe(inner) => {
            return Some(Pattern::Maybe(Box::new(inner.as_ref().map_or(Some(Pattern::Any), |term| pattern(term))?)));
        }
        Term::Array(terms) => Pattern::array(Pattern::of_all(terms.iter().map(pattern))?),
        Term::Tuple(terms) => Pattern::Tuple(terms.iter().map(pattern).collect::<Option<_>>()?),
        Term::Variant(_) => Pattern::Variant,
        Term::Dictionary(entries) => Pattern::array(match entries.first() {
            None => Pattern::Entry(Box::new(Pattern::Any), Box::new(Pattern::Any)),
            Some((_, first)) => entry(entries.iter().map(|(key, _)| key), first)?,
        }),
        Term::Entry(key, value) => entry(std::iter::once(key.as_ref()), value)?,
        Term::Text(_) => Pattern::Text,
        Term::Bytes(_) => Pattern::array(Pattern::Basic(b'y')),
        Term::Number(text) => {
            let has_exponent = !text.starts_with("0x") && text.contains('e');
            let is_double = text.contains('.') || has_exponent || number::is_special(text);
            if is_double { Pattern::Basic(b'd') } else { Pattern::Number }
        }
        Term::Boolean(_) => Pattern::Basic(b'b'),
    };
    Some(Pattern::liftable(inner))
}

/// Returns the pattern of the entries of a dictionary. All keys must fit the same type. The pattern of the values is
/// that of the first value.
fn entry<'a>(keys: impl Iterator<Item = &'a Term>, value: &Term) -> Option<Pattern> {
    let key = match Pattern::of_all(keys.map(pattern))? {
        Pattern::Liftable(inner) => *inner,
        other => other,
    };
    let is_basic = matches!(key, Pattern::Number | Pattern::Text | Pattern::Basic(_));
    is_basic.then_some(Pattern::Entry(Box::new(key), Box::new(pattern(value)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types, texts, and the bytes that GLib stores for them.
    const TEXTS: &[(&str, &str, &[u8])] = &[
            ("b", "true", b"\x01\0(b)"),
            ("y", "0xff", b"\xff\0(y)"),
            ("n", "-5", b"\xfb\xff\0(n)"),
            ("q", " 65535 ", b"\xff\xff\0(q)"),
            ("i", "-2147483648", b"\0\0\0\x80\0(i)"),
            ("u", "uint32 010", b"\x08\0\0\0\0(u)"),
            ("x", "-9223372036854775808", b"\0\0\0\0\0\0\0\x80\0(x)"),
            ("t", "18446744073709551615", b"\xff\xff\xff\xff\xff\xff\xff\xff\0(t)"),
            ("h", "7", b"\x07\0\0\0\0(h)"),
            ("d", "1.5", b"\0\0\0\0\0\0\xf8?\0(d)"),
            ("d", "-inf", b"\0\0\0\0\0\0\xf0\xff\0(d)"),
            ("d", "1", b"\0\0\0\0\0\0\xf0?\0(d)"),
            ("s", "'plain'", b"plain\0\0(s)"),
            ("s", "\"it's \\\"x\\\" \\u00e9 \\t \\q\"", b"it's \"x\" \xc3\xa9 \x09 q\0\0(s)"),
            ("s", "'ü'", b"\xc3\xbc\0\0(s)"),
            ("o", "'/a/b_1'", b"/a/b_1\0\0(o)"),
            ("g", "'a{sv}(ii)'", b"a{sv}(ii)\0\0(g)"),
            ("as", "[]", b"\0(as)"),
            ("as", "@as []", b"\0(as)"),
            ("as", "['a','b']", b"a\0b\0\x02\x04\0(as)"),
            ("ai", "[1,2,3]", b"\x01\0\0\0\x02\0\0\0\x03\0\0\0\0(ai)"),
            ("ab", "[true, false]", b"\x01\0\0(ab)"),
            ("a(si)", "[('a',1),('bcd',2)]", b"a\0\0\0\x01\0\0\0\x02\0\0\0bcd\0\x02\0\0\0\x04\x09\x15\0(a(si))"),
            ("(si)", "('x',2)", b"x\0\0\0\x02\0\0\0\x02\0((si))"),
            ("(is)", "(2,'x')", b"\x02\0\0\0x\0\0((is))"),
            ("(sss)", "('a','bc','')", b"a\0bc\0\0\x05\x02\0((sss))"),
            ("()", "()", b"\0\0(())"),
            ("(i)", "(1,)", b"\x01\0\0\0\0((i))"),
            ("(yx)", "(1,2)", b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\0((yx))"),
            ("(yxy)", "(1,2,3)", b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\0((yxy))"),
            ("a{sv}", "{}", b"\0(a{sv})"),
            ("a{sv}", "{'a': <1>, 'b': <'x'>, 'c': <[1,2.5]>}", b"a\0\0\0\0\0\0\0\x01\0\0\0\0i\x02\0b\0\0\0\0\0\0\0x\0\0s\x02\0\0\0c\0\0\0\0\0\0\0\0\0\0\0\0\0\xf0?\0\0\0\0\0\0\x04@\0ad\x02\x0f\x1d<\0(a{sv})"),
            ("a{sv}", "{'p': <(byte 1, @x 2, true)>, 'q': <@mi nothing>, 'r': <just 5>, 's': <{'k': 1}>, 't': <{1, <2>}>}", b"p\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0(yxb)\x02\0q\0\0\0\0\0\0\0\0mi\x02\0\0\0\0r\0\0\0\0\0\0\0\x05\0\0\0\0mi\x02s\0\0\0\0\0\0\0k\0\0\0\x01\0\0\0\x02\x09\0a{si}\x02\0\0\0\0\0\0\0t\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0i\0{iv}\x02'4Ha\x84\0(a{sv})"),
            ("a{ss}", "{'k':'v'}", b"k\0v\0\x02\x05\0(a{ss})"),
            ("a{is}", "{1:'v', 2:'w'}", b"\x01\0\0\0v\0\0\0\x02\0\0\0w\0\x06\x0e\0(a{is})"),
            ("{sv}", "{'a', <true>}", b"a\0\0\0\0\0\0\0\x01\0b\x02\0({sv})"),
            ("v", "<nan>", b"\0\0\0\0\0\0\xf8\x7f\0d\0(v)"),
            ("v", "<<'x'>>", b"x\0\0s\0v\0(v)"),
            ("v", "<['a', 'b']>", b"a\0b\0\x02\x04\0as\0(v)"),
            ("v", "<[just 1, nothing, 2]>", b"\x01\0\0\0\x02\0\0\0\x04\x04\x08\0ami\0(v)"),
            ("v", "<[1, byte 2]>", b"\x01\x02\0ay\0(v)"),
            ("v", "<[('a', nothing), ('b', just 1.0)]>", b"a\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0b\0\0\0\0\0\0\0\0\0\0\0\0\0\xf0?\x02\x09!\0a(smd)\0(v)"),
            ("v", "<b'ab\\101\\n'>", b"abA\x0a\0\0ay\0(v)"),
            ("v", "<[[], [1]]>", b"\x01\0\0\0\0\x04\0aai\0(v)"),
            ("v", "<[{}, {'a': 1}]>", b"a\0\0\0\x01\0\0\0\x02\x09\0\x0a\0aa{si}\0(v)"),
            ("v", "<'a'>", b"a\0\0s\0(v)"),
            ("v", "<objectpath '/'>", b"/\0\0o\0(v)"),
            ("v", "<@a{sv} {}>", b"\0a{sv}\0(v)"),
            ("v", "<1e3>", b"\0\0\0\0\0@\x8f@\0d\0(v)"),
            ("v", "<[1, 2e1]>", b"\0\0\0\0\0\0\xf0?\0\0\0\0\0\x004@\0ad\0(v)"),
            ("mi", "5", b"\x05\0\0\0\0(mi)"),
            ("mi", "just 5", b"\x05\0\0\0\0(mi)"),
            ("mi", "nothing", b"\0(mi)"),
            ("ms", "'x'", b"x\0\0\0(ms)"),
            ("mms", "'x'", b"x\0\0\0\0(mms)"),
            ("mms", "just nothing", b"\0\0(mms)"),
            ("mms", "nothing", b"\0(mms)"),
            ("ami", "[1, nothing, just 2]", b"\x01\0\0\0\x02\0\0\0\x04\x04\x08\0(ami)"),
            ("m(ii)", "(1,2)", b"\x01\0\0\0\x02\0\0\0\0(m(ii))"),
            ("mmi", "3", b"\x03\0\0\0\0\0(mmi)"),
            ("ay", "b'abc'", b"abc\0\0(ay)"),
            ("ay", "[1,2]", b"\x01\x02\0(ay)"),
            ("ay", "b'a\\0b'", b"a\0\0(ay)"),
            ("aay", "[b'a', b\"bc\"]", b"a\0bc\0\x02\x05\0(aay)"),
            ("ay", "[0x41]", b"A\0(ay)"),
            ("aas", "[['a'],[],['b','c']]", b"a\0\x02b\0c\0\x02\x04\x03\x03\x09\0(aas)"),
            ("a(ss)", "@a(ss) []", b"\0(a(ss))"),
            ("(ayas)", "([1],['x'])", b"\x01x\0\x02\x01\0((ayas))"),
            ("a{s(ii)}", "{'a':(1,2)}", b"a\0\0\0\x01\0\0\0\x02\0\0\0\x02\x0d\0(a{s(ii)})"),
            ("aa{sv}", "[{'a':<1>},{}]", b"a\0\0\0\0\0\0\0\x01\0\0\0\0i\x02\x0f\x10\x10\0(aa{sv})"),
            ("(ddd)", "(1, 2.0, .5)", b"\0\0\0\0\0\0\xf0?\0\0\0\0\0\0\0@\0\0\0\0\0\0\xe0?\0((ddd))"),
            ("(nqs)", "(1,2,'a')", b"\x01\0\x02\0a\0\0((nqs))"),
            ("d", "0x10", b"\0\0\0\0\0\x000@\0(d)"),
            ("i", "@s 5", b"\x05\0\0\0\0(i)"),
            ("i", "string 5", b"\x05\0\0\0\0(i)"),
            ("i", "+5", b"\x05\0\0\0\0(i)"),
            ("s", "'a\nb'", b"a\x0ab\0\0(s)"),
            ("s", "'a\\\nb'", b"ab\0\0(s)"),
            ("d", "nan", b"\0\0\0\0\0\0\xf8\x7f\0(d)"),
        ];

    /// The expected bytes are those that `glib-compile-schemas` of GLib 2.74 stores for a key with this type and
    /// default.
    #[test]
    fn texts_become_the_bytes_of_glib() {
        for (own, text, bytes) in TEXTS {
            let own = VariantType::parse(own).unwrap();
            let value = parse(text, &own).unwrap_or_else(|| panic!("{own} {text}"));
            let key = Value::Variant(VariantType::tuple(vec![own]), Box::new(Value::Tuple(vec![value])));
            let found = key.bytes(&VariantType::Variant);
            assert_eq!(found.escape_ascii().to_string(), bytes.escape_ascii().to_string(), "{text}");
        }
    }

    /// GLib refuses these texts, too.
    #[test]
    fn other_texts_are_refused() {
        let table = [
            ("as", "['a',]"),
            ("v", "<[]>"),
            ("v", "<nothing>"),
            ("v", "<['a', 1]>"),
            ("v", "<[(1,), (1, 2)]>"),
            ("i", "1.5"),
            ("i", "2147483648"),
            ("y", "-1"),
            ("u", "-1"),
            ("s", "'a"),
            ("s", "'a\\'"),
            ("s", "a"),
            ("s", "'a' 'b'"),
            ("as", "['a' 'b']"),
            ("as", "['a'"),
            ("(ii)", "(1)"),
            ("(i)", "(1)"),
            ("(ii)", "(1,2,3)"),
            ("i", "--1"),
            ("i", "true"),
            ("b", "1"),
            ("b", "yes"),
            ("o", "'a'"),
            ("o", "'/a/'"),
            ("g", "'z'"),
            ("s", "'\\u0000'"),
            ("s", "'\\ud800'"),
            ("s", "'\\uzzzz'"),
            ("i", "08"),
            ("d", "1e999"),
            ("i", ""),
            ("as", "[,]"),
            ("a{sv}", "{'a': 1}"),
            ("v", "1"),
            ("(ii)", "(1,2,)"),
            ("i", "INF"),
            ("s", "nothing"),
            ("mi", "just"),
            ("i", "@z 5"),
            ("d", "infinity"),
            ("i", "- 1"),
            ("i", "1#"),
            ("v", "<1"),
            ("a{sv}", "{'a': <1>,}"),
            ("a{sv}", "{,}"),
            ("i", "1_0"),
            ("v", "<{[1]: 2}>"),
            ("v", "<{1: 'a', 'b': 'c'}>"),
        ];
        for (own, text) in table {
            assert_eq!(parse(text, &VariantType::parse(own).unwrap()), None, "{own} {text}");
        }
    }

    #[test]
    fn deep_texts_are_refused() {
        let nested = |depth: usize| (format!("{}1{}", "<".repeat(depth), ">".repeat(depth)), VariantType::Variant);
        let (text, own) = nested(100);
        assert!(parse(&text, &own).is_some());
        let (text, own) = nested(100_000);
        assert_eq!(parse(&text, &own), None);
        assert_eq!(parse(&"[".repeat(100_000), &own), None);
        assert_eq!(parse(&"just ".repeat(100_000), &own), None);
    }

    /// The limit for a type inside a variant is the same as for a type that a file declares.
    #[test]
    fn a_long_type_inside_a_variant_is_refused() {
        let tuple = |length: usize| format!("<({})>", vec!["1"; length - "()".len()].join(","));
        let is_value = |text: &str| parse(text, &VariantType::Variant).is_some();
        assert!(is_value(&tuple(255)) && !is_value(&tuple(256)));
        let outer = |inner: &str| format!("<({inner},)>");
        assert!(is_value(&outer(&tuple(255))) && !is_value(&outer(&tuple(256))));
        let declared = |length: usize| VariantType::parse(&format!("({})", "i".repeat(length - "()".len()))).is_some();
        assert!(declared(255) && !declared(256));
    }

    /// In the text of a type, each maybe is one letter. If the maybes were nested in memory, each value would need much
    /// more memory.
    #[test]
    fn many_maybes_are_not_nested_in_memory() {
        let own = VariantType::parse(&format!("a{}i", "m".repeat(126))).unwrap();
        let Some(Value::Array(values)) = parse("[1, just nothing, 2]", &own) else { panic!() };
        assert_eq!(values[0], Value::Just(126, Box::new(Value::Integer(1))));
        assert_eq!(values[1], Value::Just(1, Box::new(Value::Nothing)));
        assert_eq!(values[0].bytes(&VariantType::parse(&own.to_string()[1..]).unwrap()).len(), 4 + 125);
    }
}
