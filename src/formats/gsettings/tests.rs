use std::collections::BTreeMap;
use std::convert::Infallible;

use super::*;
use crate::model::digest::Digest;

/// An enumeration and a set of flags for the keys in the tables below.
const NAMES: &str = r#"<enum id="e"><value nick="one" value="1"/><value nick="two" value="-2"/></enum>
    <flags id="f"><value nick="none" value="0"/><value nick="red" value="1"/><value nick="blue" value="0x4"/></flags>"#;

fn compiled(files: &[(&str, &str)]) -> Compiled {
    compile(sources(files.iter().map(|(name, text)| (*name, text.as_bytes())))).unwrap()
}

fn sources<'a>(files: impl Iterator<Item = (impl AsRef<str>, &'a [u8])>) -> Sources {
    let mut sources = Sources::default();
    for (name, bytes) in files {
        let Ok(()) = sources.add(name.as_ref(), bytes.len() as u64, || Ok::<_, Infallible>(bytes.to_vec()));
    }
    sources
}

/// Compiles a schema with these contents, and a file of overrides.
fn schema(contents: &str, overrides: &str) -> Compiled {
    let text = format!(
        r#"<schemalist>{NAMES}<schema id="a.b" path="/a/b/" gettext-domain="dom">{contents}</schema></schemalist>"#
    );
    compiled(&[("a.gschema.xml", &text), ("b.gschema.override", overrides)])
}

/// Returns all stored values. Each key of the map is the name of a schema and the name of the value, such as `a.b k`.
fn values(file: &[u8]) -> BTreeMap<String, String> {
    let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let mut values = BTreeMap::new();
    let mut tables = vec![(String::new(), number(16), number(20))];
    while let Some((schema, start, end)) = tables.pop() {
        for item in (start + 8 + 4 * number(start + 4)..end).step_by(24) {
            let length = usize::from(u16::from_le_bytes([file[item + 12], file[item + 13]]));
            let name = String::from_utf8(file[number(item + 8)..][..length].to_vec()).unwrap();
            let (start, end) = (number(item + 16), number(item + 20));
            match file[item + 14] {
                b'H' => tables.push((name, start, end)),
                b'v' => {
                    assert_eq!(start % 8, 0);
                    values.insert(format!("{schema} {name}"), file[start..end].escape_ascii().to_string());
                }
                _ => {}
            }
        }
    }
    values
}

fn left_out(compiled: &Compiled) -> String {
    let line = |part: &LeftOut| format!("{}: {}\n", part.place, part.fault);
    compiled.left_out.iter().map(line).collect()
}

/// The attributes and contents of keys, and the bytes that GLib stores for them.
const CONSTRUCTS: &[(&str, &[u8])] = &[
        (
            r#"type="s"><default l10n='messages'>  'x'
               </default>"#,
            b"x\0lm'x'\0\x02\0(s(y(ys)))",
        ),
        (r#"type="s"><default l10n='time' context='c'>'x'</default>"#, b"x\0ltc\x04'x'\0\x02\0(s(y(ys)))"),
        (r#"type="s"><default l10n='messages'>'x'</default><default>'y'</default>"#, b"y\0lm'y'\0\x02\0(s(y(ys)))"),
        (
            r#"enum="e"><default>'one'</default>"#,
            b"one\0e\0\0\0\x01\0\0\0\xffone\0\0\0\xff\xfe\xff\xff\xff\xfftwo\0\0\0\xff\x04\0(s(yau))",
        ),
        (
            r#"enum="e"><default>'one'</default><aliases><alias value='uno' target='one'/></aliases>"#,
            b"one\0e\0\0\0\x01\0\0\0\xffone\0\0\0\xff\xfe\xff\xff\xff\xfftwo\0\0\0\xff\0\0\0\0\xfeuno\0\0\0\xff\x04\0(s(yau))",
        ),
        (
            r#"flags="f"><default>['blue','red']</default>"#,
            b"blue\0red\0\x05\x09\0f\0\0\0\x01\0\0\0\xffred\0\0\0\xff\x04\0\0\0\xffblue\0\0\xff\x0b\0(as(yau))",
        ),
        (
            r#"flags="f"><default>[]</default>"#,
            b"f\0\0\0\x01\0\0\0\xffred\0\0\0\xff\x04\0\0\0\xffblue\0\0\xff\0\0(as(yau))",
        ),
        (
            r#"type="s"><choices><choice value='x'/><choice value='yy'/></choices><default>'x'</default>
               <aliases><alias value='z' target='x'/></aliases>"#,
            b"x\0\0\0c\0\0\0\0\0\0\0\xffx\0\0\0\0\0\xff\0\0\0\0\xffyy\0\0\0\0\xff\0\0\0\0\xfez\0\0\0\0\0\xff\x02\0(s(yau))",
        ),
        (
            r#"type="ams"><choices><choice value='x'/></choices><default>['x',nothing]</default>"#,
            b"x\0\0\x03\x03\0\0\0c\0\0\0\0\0\0\0\xffx\0\0\0\0\0\xff\x05\0(ams(yau))",
        ),
        (
            r#"type="i"><range min='1' max='5'/><default>3</default>"#,
            b"\x03\0\0\0r\0\0\0\x01\0\0\0\x05\0\0\0\0(i(y(ii)))",
        ),
        (
            r#"type="u"><default>3</default><range min='1'/>"#,
            b"\x03\0\0\0r\0\0\0\x01\0\0\0\xff\xff\xff\xff\0(u(y(uu)))",
        ),
        (
            r#"type="d"><default>3</default><range max='0x10'/>"#,
            b"\0\0\0\0\0\0\x08@r\0\0\0\0\0\0\0\0\0\0\0\0\0\xf0\xff\0\0\0\0\0\x000@\0(d(y(dd)))",
        ),
        (
            r#"type="s"><default xml:space='preserve' x:y='1'>'x'</default><its:a>b<key/></its:a>"#,
            b"x\0\0(s)",
        ),
        (r#"type="s"><default>'&lt;&amp;&#65;&#x42;&quot;'<!-- c -->  </default>"#, b"<&AB\"\0\0(s)"),
        (r#"type="s"><default><![CDATA['<']]></default>"#, b"<\0\0(s)"),
        (r#"type="s"><default>'a<!-- c -->b'</default>"#, b"ab\0\0(s)"),
        ("type=\"s\"><default>'x\r\ny'</default>", b"x\ny\0\0(s)"),
        (
            "type=\"s\"><default>'x y'</default><choices><choice value='x\ny'/></choices>",
            b"x y\0c\0\0\0\0\0\0\0\xffx y\0\0\0\xff\x04\0(s(yau))",
        ),
        (r#"type="s"><summary>a</summary><summary>b</summary><default>'x'</default><description/>"#, b"x\0\0(s)"),
    ];

/// The expected values were written by `glib-compile-schemas` of GLib 2.74.
#[test]
fn each_construct_has_the_bytes_of_glib() {
    for (contents, bytes) in CONSTRUCTS {
        let compiled = schema(&format!(r#"<key name="k" {contents}</key>"#), "");
        assert_eq!(left_out(&compiled), "", "{contents}");
        assert_eq!(values(&compiled.bytes)["a.b k"], bytes.escape_ascii().to_string(), "{contents}");
    }
}

#[test]
fn the_whole_file_has_the_bytes_of_glib() {
    let compiled = compiled(&[
        ("20_site.gschema.override", include_str!("tests/20_site.gschema.override")),
        ("10_vendor.gschema.override", include_str!("tests/10_vendor.gschema.override")),
        ("org.example.late.gschema.xml", include_str!("tests/org.example.late.gschema.xml")),
        ("org.example.broken.gschema.xml", include_str!("tests/org.example.broken.gschema.xml")),
        ("org.example.app.gschema.xml", include_str!("tests/org.example.app.gschema.xml")),
        ("a.enums.xml", include_str!("tests/a.enums.xml")),
        ("README", "no settings"),
    ]);
    insta::assert_snapshot!(left_out(&compiled), @"
    org.example.broken.gschema.xml, line 3: `'text'` is not a value of the type `i`
    10_vendor.gschema.override, org.example.app scale: `0.1` is not one of the allowed values
    10_vendor.gschema.override, org.example.app:KDE font-name: a translated text has the same default for all desktops
    20_site.gschema.override, org.example.app unknown: there is no key `unknown`
    ");
    let listing: String = values(&compiled.bytes).iter().map(|(name, value)| format!("{name}  {value}\n")).collect();
    insta::assert_snapshot!(listing, @r#"
    org.example.app .gettext-domain  example\x00\x00s
    org.example.app .path  /org/example/app/\x00\x00s
    org.example.app empty  \x00(as)
    org.example.app extra  zoom\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf8?\x00d\x05\x00\x00\x00\x00\x00names\x00\x00\x00x\x00y\x00\x02\x04\x00as\x06\x13*\x00(a{sv})
    org.example.app font-name  Sans 11\x00lmfont\x04\'Sans 11\'\x00\x08\x00(s(y(ys)))
    org.example.app limit  \x00(mi)
    org.example.app mode  careful\x00c\x00\x00\x00\x00\x00\x00\x00\xfffast\x00\x00\xff\x00\x00\x00\x00\xffcareful\x00\x00\x00\xff\x08\x00(s(yau))
    org.example.app parts  tail\x00head\x00\x05\nf\x00\x00\x00\x01\x00\x00\x00\xffhead\x00\x00\xff\x02\x00\x00\x00\xfftail\x00\x00\xff\x0c\x00(as(yau))
    org.example.app profiles/  org.example.profiles\x00\x00s
    org.example.app recent  a.txt\x00text/plain\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x11\x06\x00\x00\x00\x00\x00\x00b\x00\x00\x00\x00\x00\x00\x00\xfe\xff\xff\xff\xff\xff\xff\xff\x03\x02\":\x00(a(ssx))
    org.example.app scale  \x00\x00\x00\x00\x00\x00\xf4?r\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xe0?\x00\x00\x00\x00\x00\x00\xf0\x7f\x00(d(y(dd)))
    org.example.app side  left\x00\x00\x00\x00e\x00\x00\x00\x00\x00\x00\x00\xffleft\x00\x00\xff\x01\x00\x00\x00\xffright\x00\xff\x00\x00\x00\x00\xfewest\x00\x00\xff\x05\x00(s(yau))
    org.example.app width  \xbc\x02\x00\x00r\x00\x00\x00\n\x00\x00\x00\x0f\'\x00\x00d\x00\x00\x00\x00\x00\x00\x00GNOME\x00\x00\x00\x00\x04\x00\x00\x00u\x06\x00KDE\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00u\x04\x0f\x1f\x00(u(y(uu))(ya{sv}))
    org.example.app window/  org.example.window\x00\x00s
    org.example.dialog .extends  org.example.window\x00\x00s
    org.example.dialog .gettext-domain  other\x00\x00s
    org.example.dialog maximized  \x01\x00(b)
    org.example.dialog title  Dialog\x00lt\'Dialog\'\x00\x07\x00(s(y(ys)))
    org.example.late .extends  org.example.dialog\x00\x00s
    org.example.late new  \x07\x00(y)
    org.example.nothing .path  /org/example/nothing/\x00\x00s
    org.example.profiles .list-of  org.example.window\x00\x00s
    org.example.profiles .path  /org/example/profiles:/\x00\x00s
    org.example.window maximized  \x00\x00(b)
    org.example.window position  \xff\xff\xff\xff\xff\xff\xff\xff\x00((ii))
    "#);
    // The digest of the file that `glib-compile-schemas` of GLib 2.74 writes for these files.
    let digest = "47a6b054cb4da60de8b61822eff6603bae0304dca13d4464676802b6909c1c3a";
    assert_eq!(Digest::of(&compiled.bytes).to_string(), digest);
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is one table and its results")]
fn a_file_with_a_fault_is_left_out() {
    let key = |contents: &str| format!(r#"<key name="k" {contents}</key>"#);
    let named = |name: &str| format!(r#"<key name="{name}" type="i"><default>1</default></key>"#);
    let table = [
        key(r#"type="s"><default l10n='x'>'x'</default>"#),
        key(r#"type="s"><default context='x'>'x'</default>"#),
        key(r#"enum="e"><default>'three'</default>"#),
        key(r#"enum="e"><aliases><alias value='uno' target='one'/></aliases><default>'uno'</default>"#),
        key(r#"flags="f"><default>['none']</default>"#),
        key(r#"type="s"><default>'z'</default><choices><choice value='x'/></choices>"#),
        key(r#"type="ams"><choices><choice value='x'/></choices><default>['y',nothing]</default>"#),
        key(r#"type="i"><choices><choice value='x'/></choices><default>1</default>"#),
        key(r#"type="s"><choices></choices><default>'x'</default>"#),
        key(r#"type="s"><choices><choice value='x'/><choice value='x'/></choices><default>'x'</default>"#),
        key(r#"enum="e"><choices><choice value='x'/></choices><default>'x'</default>"#),
        key(r#"type="s"><default>'x'</default><aliases><alias value='z' target='x'/></aliases>"#),
        key(r#"enum="e"><default>'one'</default><aliases><alias value='z' target='x'/></aliases>"#),
        key(r#"type="i"><default>6</default><range min='1' max='5'/>"#),
        key(r#"type="i"><default>6</default><range min='5' max='1'/>"#),
        key(r#"type="s"><default>'6'</default><range min='5' max='9'/>"#),
        key(r#"type="h"><default>6</default><range min='5' max='9'/>"#),
        key(r#"type="s"><summary>x</summary>"#),
        key(r#"type="s" enum="e"><default>'one'</default>"#),
        key(r#"><default>'one'</default>"#),
        key(r#"enum="x"><default>'one'</default>"#),
        key(r#"type="a*"><default>[]</default>"#),
        key(r#"type="i"><default>'x'</default>"#),
        named("K"),
        named("a_b"),
        named("a--b"),
        named("a-"),
        named(""),
        named("é"),
        named("k") + &named("k"),
        r#"<child name="c" schema="x.y"/><child name="c" schema="x.y"/>"#.to_owned(),
        key(r#"type="s"><default>'x'</default>hello"#),
        key(r#"type="s"><default>'x'</default><other/>"#),
        key(r#"type="s"><default x='1'>'x'</default>"#),
        key(r#"type="s"><default>'x&foo;'</default>"#),
        key(r#"type="s" type="s"><default>'x'</default>"#),
        r#"</schema></schemalist><schemalist><schema id="a.b">"#.to_owned(),
        "</schema>".to_owned(),
        "<override name='k'>1</override>".to_owned(),
        "</schema><schema id='l' list-of='a.b'>".to_owned(),
        "</schema><schema id='l' list-of='m'>".to_owned(),
        "</schema><schema id='l' extends='a.b'>".to_owned(),
        "</schema><schema id='l' extends='m'>".to_owned(),
        "</schema><schema id='l' path='l'>".to_owned(),
        "</schema><schema id='p'/><schema id='l' list-of='p' path='/l/'>".to_owned(),
        format!("</schema><schema id='p'/><schema id='l' list-of='p' path='/l:/'>{}", named("k")),
        format!("</schema><schema id='p'>{}</schema><schema id='l' extends='p'>{}", named("k"), named("k")),
        "</schema><schema id='p'/><schema id='l' extends='p'><override name='k'>1</override>".to_owned(),
        "</schema><schema id='p'/><schema id='q'/><schema id='l' list-of='p'/><schema id='m' extends='l' list-of='q'>"
            .to_owned(),
        "</schema><enum id='x'></enum><schema id='m'>".to_owned(),
        "</schema><enum id='e'><value nick='one' value='1'/></enum><schema id='m'>".to_owned(),
    ];
    let mut found = String::new();
    for contents in table {
        let compiled = schema(&contents, "");
        assert_eq!(values(&compiled.bytes), BTreeMap::new(), "{contents}");
        found += &left_out(&compiled);
    }
    insta::assert_snapshot!(found.replace("a.gschema.xml, ", ""), @"
    line 2: a text can only be translated if its schema has a `gettext-domain`, and `l10n` must be `messages` or `time`
    line 2: a text can only be translated if its schema has a `gettext-domain`, and `l10n` must be `messages` or `time`
    line 2: `three` is not one of the allowed values
    line 2: `uno` is not one of the allowed values
    line 2: `none` is not one of the allowed values
    line 2: `z` is not one of the allowed values
    line 2: `y` is not one of the allowed values
    line 2: `<choices>` is not possible here
    line 2: `<choices>` needs a `<choice>`
    line 2: the value `x` is already defined
    line 2: `<choices>` is not possible here
    line 2: `<aliases>` is not possible here
    line 2: there is no choice `x`
    line 2: `6` is not one of the allowed values
    line 2: `5` is not one of the allowed values
    line 2: `<range>` is not possible here
    line 2: `<range>` is not possible here
    line 2: `<key>` needs a `<default>`
    line 2: `<key>` needs the attribute `type`
    line 2: `<key>` needs the attribute `type`
    line 2: there is no enumeration `x`
    line 2: `a*` is not a type of a value
    line 2: `'x'` is not a value of the type `i`
    line 2: `K` is not allowed as a name
    line 2: `a_b` is not allowed as a name
    line 2: `a--b` is not allowed as a name
    line 2: `a-` is not allowed as a name
    line 2: `` is not allowed as a name
    line 2: `é` is not allowed as a name
    line 2: the key `k` is already defined
    line 2: the key `c/` is already defined
    line 2: text is not allowed in `<key>`
    line 2: `<other>` is not allowed in `<key>`
    line 2: `<default>` cannot have the attribute `x`
    line 2: `&foo;` is not defined
    line 2: error while parsing attribute: position 22: duplicated attribute, previous declaration at position 13
    line 2: schema `a.b` is already defined
    line 2: ill-formed document: expected `</schemalist>`, but `</schema>` was found
    line 2: there is no key `k`
    line 2: schema `a.b` cannot be extended or listed like this
    line 2: there is no schema `m`
    line 2: schema `a.b` cannot be extended or listed like this
    line 2: there is no schema `m`
    line 2: `l` cannot be the path of settings of this kind
    line 2: `/l/` cannot be the path of settings of this kind
    line 2: `<key>` is not possible here
    line 2: the key `k` is already defined
    line 2: there is no key `k`
    line 2: schema `l` cannot be extended or listed like this
    line 2: `<enum>` needs a `<value>`
    line 2: the enumeration `e` is already defined
    ");
}

#[test]
fn files_that_are_no_xml_are_left_out() {
    let table: &[&[u8]] =
        &[b"", b"text", b"<schemalist>", b"<schemalist></schema>", b"<other/>", b"\xff", b"<schemalist/>\0"];
    let files = table.iter().enumerate().map(|(number, bytes)| (format!("{number}.gschema.xml"), *bytes));
    let compiled = compile(sources(files)).unwrap();
    insta::assert_snapshot!(left_out(&compiled), @"
    0.gschema.xml, line 1: it is empty
    1.gschema.xml, line 1: text is not allowed in `<file>`
    2.gschema.xml, line 1: it ends inside `<schemalist>`
    3.gschema.xml, line 1: ill-formed document: expected `</schemalist>`, but `</schema>` was found
    4.gschema.xml, line 1: `<other>` is not allowed in `<file>`
    5.gschema.xml: it is not UTF-8, or it contains the byte 0
    6.gschema.xml: it is not UTF-8, or it contains the byte 0
    ");
    // GLib writes the same file if all schemas are left out.
    assert_eq!(compiled.bytes.len(), 60);
}

#[test]
fn entities_of_the_file_itself_are_not_expanded() {
    let text = r#"<!DOCTYPE schemalist [<!ENTITY f "x"><!ENTITY g "&f;&f;">]><schemalist><schema id="a.b">
        <key name="k" type="s"><default>'&g;'</default></key></schema></schemalist>"#;
    assert_eq!(left_out(&compiled(&[("a.gschema.xml", text)])), "a.gschema.xml, line 2: `&g;` is not defined\n");
}

/// The expected results are those of `glib-compile-schemas` of GLib 2.74.
#[test]
fn overrides_replace_defaults() {
    let keys = r#"<key name="k" type="y"><range min="1" max="5"/><default>3</default></key>
        <key name="t" type="s"><default l10n="messages">'x'</default></key>
        <key name="s" type="s"><choices><choice value="x"/><choice value="y"/></choices><default>"x"</default></key>"#;
    let table = [
        ("# c\n\n[a.b]\nk=4\ns = \"y\" \n", 4, "y", ""),
        ("[a.b]\nk=9\ns=\"z\"\n", 3, "x", "b.gschema.override, a.b k: `9` is not one of the allowed values\n"),
        ("[a.b]\nz=9\nk=2\n[x.y]\nz=1\n", 2, "x", "b.gschema.override, a.b z: there is no key `z`\n"),
        ("[a.b]\nk=1\nk=2\n", 2, "x", ""),
        ("[a.b]\nk=x\ns='y'\n", 3, "y", "b.gschema.override, a.b k: `x` is not a value of the type `y`\n"),
        ("[a.b]\nk=1\nk[de]=2\n", 1, "x", ""),
        ("[a.b]\nk=1\nfoo\n", 3, "x", "b.gschema.override: `foo` is not a line of a file of overrides\n"),
        ("k=1\n[a.b]\nk=2\n", 3, "x", "b.gschema.override: `k=1` is not a line of a file of overrides\n"),
        ("[a.b]\r\nk=1\r\n", 1, "x", ""),
        ("  [a.b]  \n  k  =  1  \n", 1, "x", ""),
        ("[a.b]\n=1\nk=1", 3, "x", "b.gschema.override: `=1` is not a line of a file of overrides\n"),
        ("[a.b]\nk[=1\nk=1", 3, "x", "b.gschema.override: `k[=1` is not a line of a file of overrides\n"),
        ("[a[b]\nk=1", 3, "x", "b.gschema.override: `[a[b]` is not a line of a file of overrides\n"),
        (
            "[a.b:X]\nt='y'\n",
            3,
            "x",
            "b.gschema.override, a.b:X t: a translated text has the same default for all desktops\n",
        ),
    ];
    for (overrides, number, text, faults) in table {
        let compiled = schema(keys, overrides);
        let values = values(&compiled.bytes);
        assert!(values["a.b k"].starts_with(&[number].escape_ascii().to_string()), "{overrides}");
        assert!(values["a.b s"].starts_with(text), "{overrides}");
        assert!(
            left_out(&compiled).starts_with(faults) && left_out(&compiled).is_empty() == faults.is_empty(),
            "{}",
            left_out(&compiled)
        );
    }
    let desktops = "[a.b:GNOME]\nk=4\n[a.b:KDE]\nk=5\n[a.b:A]\nk=1\n[a.b:b]\nk=2\n[a.b:GNOME]\nk=2\n";
    let bytes = b"\x03r\x01\x05\0\0\0\0d\0\0\0\0\0\0\0GNOME\0\0\0\x02\0y\x06\0\0\0\0KDE\0\0\0\0\0\x05\0y\x04\0\0\0\0A\0\0\0\0\0\0\0\x01\0y\x02\0\0\0\0b\0\0\0\0\0\0\0\x02\0y\x02\x0c\x1c,<\0(y(y(yy))(ya{sv}))";
    assert_eq!(values(&schema(keys, desktops).bytes)["a.b k"], bytes.escape_ascii().to_string());
}

#[test]
fn hostile_files_have_limits() {
    let large = format!("<schemalist>{}</schemalist>", " ".repeat(MAX_FILE_BYTES as usize));
    assert_eq!(left_out(&compiled(&[("a.gschema.xml", &large)])), "a.gschema.xml: it has more than 1048576 bytes\n");
    // The result would contain a copy of the enumeration for each key.
    let member = |number: usize| format!("<value nick='name{number}' value='{number}'/>");
    let members: String = (0..10_000).map(member).collect();
    let key = |number: usize| format!("<key name='k{number}' enum='e'><default>'name1'</default></key>");
    let keys: String = (0..5000).map(key).collect();
    let text = format!("<schemalist><enum id='e'>{members}</enum><schema id='s'>{keys}</schema></schemalist>");
    let found = left_out(&compiled(&[("a.gschema.xml", &text)]));
    assert_eq!(found, "a.gschema.xml, line 1: the compiled settings would have more than 33554432 bytes\n");
    let extending = |number: usize| format!("<schema id='s{}' extends='s{number}'/>", number + 1);
    let chain: String = (0..99).map(extending).collect();
    let found =
        left_out(&compiled(&[("a.gschema.xml", &format!("<schemalist><schema id='s0'/>{chain}</schemalist>"))]));
    assert_eq!(found, "a.gschema.xml, line 1: schema `s33` cannot be extended or listed like this\n");
    // The text has 600 kB. In the compiled form, each number in it has 125 more bytes, because it is inside 126 maybes.
    let values = "1,".repeat(300_000);
    let text = format!(
        "<schemalist><schema id='s'><key name='k' type='a{}i'><default>[{values}1]</default></key></schema></schemalist>",
        "m".repeat(126)
    );
    let sources = sources([("a.gschema.xml", text.as_bytes())].into_iter());
    assert!(matches!(compile(sources), Err(Fault::CompiledSize)));
}

#[test]
fn files_that_are_too_large_are_not_read() {
    let mut sources = Sources::default();
    let mut read = Vec::new();
    let sizes =
        [MAX_FILE_BYTES + 1, u64::MAX].into_iter().chain([MAX_FILE_BYTES; 15]).chain([MAX_FILE_BYTES - 1, 2, 1, 1]);
    for (number, size_bytes) in sizes.enumerate() {
        let add = || {
            read.push(number);
            Ok::<_, Infallible>(b"<schemalist/>".to_vec())
        };
        let Ok(()) = sources.add(&format!("{number}.gschema.xml"), size_bytes, add);
    }
    // With file 18, the total size would exceed the limit by one byte. File 19 fits exactly.
    assert_eq!(read, (2..=17).chain([19]).collect::<Vec<_>>());
    insta::assert_snapshot!(left_out(&compile(sources).unwrap()), @"
    0.gschema.xml: it has more than 1048576 bytes
    1.gschema.xml: it has more than 1048576 bytes
    18.gschema.xml: the file would make the total size more than 16777216 bytes
    20.gschema.xml: the file would make the total size more than 16777216 bytes
    ");
}

/// In the compiled settings, the names of the first file would have 32.0 MB, and the names of the second file 3.2 MB.
/// The limit for all files is 33.6 MB.
#[test]
fn a_file_with_a_fault_does_not_use_up_the_limit_for_names() {
    let member = |number: usize| format!("<value nick='name{number}' value='{number}'/>");
    let members: String = (0..10_000).map(member).collect();
    let key = |number: usize| format!("<key name='k{number}' enum='e'><default>'name1'</default></key>");
    let keys = |count: usize| (0..count).map(key).collect::<String>();
    let faulty = format!("<schemalist><schema id='a'>{}<x/></schema></schemalist>", keys(200));
    let good = format!("<schemalist><schema id='b'>{}</schema></schemalist>", keys(20));
    let enumeration = format!("<schemalist><enum id='e'>{members}</enum></schemalist>");
    let found =
        left_out(&compiled(&[("e.enums.xml", &enumeration), ("a.gschema.xml", &faulty), ("b.gschema.xml", &good)]));
    assert_eq!(found, "a.gschema.xml, line 1: `<x>` is not allowed in `<schema>`\n");
}
