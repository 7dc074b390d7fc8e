//! Tables of the weak rules.

use super::super::diagnostic::Severity;
use super::super::json;
use super::super::source::Sources;
use super::*;

const fn spec(name: &'static str, kind: OptionKind) -> OptionSpec {
    OptionSpec {
        name,
        kind,
        default: "",
        doc: "",
        status: Status::Supported,
    }
}

const TABLES: &[&[OptionSpec]] = &[
    &[
        spec("text", OptionKind::String),
        spec("number", OptionKind::Int),
        spec("flag", OptionKind::Bool),
        spec("maybe", OptionKind::Tri),
        spec("wait", OptionKind::Duration),
        spec("names", OptionKind::StringList),
        spec("tags", OptionKind::StringMap),
    ],
    &[
        spec("disk", OptionKind::Object),
        spec("disks", OptionKind::ObjectList),
        spec("password", OptionKind::Secret),
        OptionSpec {
            status: Status::Deprecated { successor: "text" },
            ..spec("old_text", OptionKind::String)
        },
        OptionSpec {
            status: Status::Ignored {
                why: "Nothing needs it",
            },
            ..spec("nothing", OptionKind::Bool)
        },
    ],
];

fn parse(text: &str) -> Value {
    let mut sources = Sources::default();
    let source = sources.add("t.json", text);
    json::parse(source, &sources, &mut Diagnostics::default()).unwrap()
}

/// What one option decodes to, and the findings about it.
macro_rules! decode {
    ($method:ident, $name:literal, $json:expr) => {{
        let value = parse(&format!("{{\"{}\": {}}}", $name, $json));
        let mut diagnostics = Diagnostics::default();
        let mut decoder = Decoder::new(&value, TABLES, "builder `x`", &mut diagnostics);
        let decoded = decoder.$method($name).map(|spanned| spanned.value);
        decoder.finish();
        (decoded, diagnostics.into_sorted())
    }};
}

#[test]
fn strings() {
    let table = [
        (r#""a""#, Some("a")),
        (r#""""#, Some("")),
        ("1.5", Some("1.5")),
        ("1.50", Some("1.5")),
        ("1e3", Some("1000")),
        ("22", Some("22")),
        ("1234567890123456789", Some("1234567890123456789")),
        ("true", Some("1")),
        ("false", Some("0")),
        ("null", None),
    ];
    for (json, expected) in table {
        let (decoded, findings) = decode!(string, "text", json);
        assert_eq!(
            (decoded.as_deref(), findings.len()),
            (expected, 0),
            "{json}"
        );
    }
    for json in ["[]", "{}", r#"["a"]"#] {
        let (decoded, findings) = decode!(string, "text", json);
        assert_eq!(decoded, None);
        assert!(
            findings[0]
                .message
                .contains("must be a string, but it is a"),
            "{json}"
        );
    }
}

#[test]
fn ints() {
    let table = [
        ("22", 22),
        ("22.7", 22),
        ("-22.7", -22),
        ("1e3", 1000),
        (r#""2222""#, 2222),
        (r#""-5""#, -5),
        (r#""+5""#, 5),
        (r#""0x16""#, 22),
        (r#""0b101""#, 5),
        (r#""0o17""#, 15),
        (r#""017""#, 15),
        (r#""1_000""#, 1000),
        (r#""""#, 0),
        ("true", 1),
        ("false", 0),
        ("9223372036854775807", i64::MAX),
    ];
    for (json, expected) in table {
        let (decoded, findings) = decode!(int, "number", json);
        assert_eq!((decoded, findings.len()), (Some(expected), 0), "{json}");
    }
    for json in [
        r#""abc""#,
        r#""7200 ""#,
        r#""1.5""#,
        r#""0x""#,
        r#""08""#,
        r#""_1""#,
        r#""1__0""#,
        "1e30",
        r#""9223372036854775808""#,
        "[]",
        "{}",
    ] {
        let (decoded, findings) = decode!(int, "number", json);
        assert_eq!((decoded, findings.len()), (None, 1), "{json}");
        assert!(findings[0].message.contains("must be an integer"), "{json}");
    }
}

#[test]
fn bools() {
    let yes = [
        "true", "1", "2", "-1.5", "\"1\"", "\"t\"", "\"T\"", "\"TRUE\"", "\"true\"", "\"True\"",
    ];
    let no = [
        "false",
        "0",
        "0.0",
        "\"0\"",
        "\"f\"",
        "\"F\"",
        "\"FALSE\"",
        "\"false\"",
        "\"False\"",
        "\"\"",
    ];
    for (texts, expected) in [(yes, true), (no, false)] {
        for json in texts {
            let (decoded, findings) = decode!(bool, "flag", json);
            assert_eq!((decoded, findings.len()), (Some(expected), 0), "{json}");
        }
    }
    for (json, help) in [
        ("\"yes\"", "Write `true`"),
        ("\"off\"", "Write `false`"),
        ("\" true\"", "Write `true`"),
        ("\"tRUE\"", "Write `true`"),
        ("\"maybe\"", "Write `true` or `false`"),
    ] {
        let (decoded, findings) = decode!(bool, "flag", json);
        assert_eq!(decoded, None);
        assert_eq!(findings[0].help.as_deref(), Some(help), "{json}");
    }
}

#[test]
fn tri_state_bools() {
    let table = [
        ("true", Some(true)),
        ("false", Some(false)),
        ("\"true\"", Some(true)),
        ("1", Some(true)),
        ("0", Some(false)),
        ("\"\"", None),
        ("null", None),
    ];
    for (json, expected) in table {
        let (decoded, findings) = decode!(bool, "maybe", json);
        assert_eq!((decoded, findings.len()), (expected, 0), "{json}");
    }
    assert_eq!(decode!(bool, "maybe", "2").1.len(), 1);
}

#[test]
fn durations() {
    for (json, seconds) in [("\"90s\"", 90), ("\"1h15m\"", 4500), ("\"0\"", 0), ("0", 0)] {
        let (decoded, findings) = decode!(duration, "wait", json);
        assert_eq!(decoded, Some(Duration::from_secs(seconds)), "{json}");
        assert_eq!(findings, [], "{json}");
    }
    let (decoded, findings) = decode!(duration, "wait", "30");
    assert_eq!(decoded, Some(Duration::from_nanos(30)));
    assert_eq!(findings[0].severity, Severity::Warning);
    assert_eq!(
        findings[0].help.as_deref(),
        Some("Write a text with a unit, for example `\"30s\"`")
    );
    let table = [
        (
            "\"5\"",
            Some("The unit is missing: write `\"5s\"` for seconds"),
        ),
        (
            "\"5d\"",
            Some("There is no unit `d`; the units are `h`, `m`, `s`, `ms`, `us` and `ns`"),
        ),
        ("\"\"", Some("Write for example `\"1h30m\"` or `\"90s\"`")),
        ("\"-5s\"", None),
        ("true", None),
    ];
    for (json, help) in table {
        let (decoded, findings) = decode!(duration, "wait", json);
        assert_eq!((decoded, findings.len()), (None, 1), "{json}");
        assert_eq!(findings[0].help.as_deref(), help, "{json}");
    }
    let (decoded, _) = decode!(signed_duration, "wait", "\"-5s\"");
    assert_eq!(decoded, Some(GoDuration(-5_000_000_000)));
}

#[test]
fn lists_of_strings() {
    let table: &[(&str, &[&str])] = &[
        (r#"["a", 1, true, "b,c"]"#, &["a", "1", "1", "b,c"]),
        (r#""a,b, c""#, &["a", "b", " c"]),
        (r#""a""#, &["a"]),
        (r#""""#, &[]),
        ("[]", &[]),
        ("5", &["5"]),
    ];
    for (json, expected) in table {
        let (decoded, findings) = decode!(string_list, "names", json);
        let names: Vec<_> = decoded.unwrap().into_iter().map(|s| s.value).collect();
        assert_eq!(names, *expected, "{json}");
        assert_eq!(findings, [], "{json}");
    }
    for json in [r#"[["a"]]"#, r#"{"a": "b"}"#, r#"[{"a": "b"}]"#] {
        let (decoded, findings) = decode!(string_list, "names", json);
        assert_eq!((decoded, findings.len()), (None, 1), "{json}");
    }
}

#[test]
fn maps_of_strings() {
    let table: &[(&str, &[(&str, &str)])] = &[
        (
            r#"{"b": 1, "a": true, "c": null}"#,
            &[("a", "1"), ("b", "1")],
        ),
        (
            r#"[{"a": "1"}, {"b": "2", "a": "3"}]"#,
            &[("a", "3"), ("b", "2")],
        ),
        ("[]", &[]),
    ];
    for (json, expected) in table {
        let (decoded, findings) = decode!(string_map, "tags", json);
        let expected = expected
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        assert_eq!(decoded, Some(expected.collect()), "{json}");
        assert_eq!(findings, [], "{json}");
    }
    for json in [r#""a""#, r#"["a"]"#, r#"{"a": []}"#] {
        let (decoded, findings) = decode!(string_map, "tags", json);
        assert_eq!((decoded, findings.len()), (None, 1), "{json}");
    }
}

#[test]
fn objects() {
    let value = parse(r#"{"disk": [{}], "disks": {"a": 1}}"#);
    let mut diagnostics = Diagnostics::default();
    let mut decoder = Decoder::new(&value, TABLES, "builder `x`", &mut diagnostics);
    assert_eq!(decoder.object("disk"), None);
    assert_eq!(decoder.object_list("disks").len(), 1);
    decoder.finish();
    assert_eq!(
        diagnostics.into_sorted()[0].message,
        "Option `disk` of builder `x` must be an object, but it is a list"
    );
    let value = parse(r#"{"disk": {}, "disks": [{}, 5, null, {}]}"#);
    let mut diagnostics = Diagnostics::default();
    let mut decoder = Decoder::new(&value, TABLES, "builder `x`", &mut diagnostics);
    assert!(decoder.object("disk").is_some());
    assert_eq!(decoder.object_list("disks").len(), 2);
    decoder.finish();
    assert_eq!(diagnostics.into_sorted().len(), 1);
}

#[test]
fn keys_match_in_any_case_and_unknown_ones_are_errors() {
    let value = parse(
        r#"{"TEXT": "a", "type": "x", "packer_force": 1, "txet": 1, "_comment": "c", "zzz": 1,
            "flag": 1, "Flag": 0, "old_text": "b", "nothing": true, "NOTHING2": null}"#,
    );
    let mut diagnostics = Diagnostics::default();
    let mut decoder = Decoder::new(&value, TABLES, "builder `x`", &mut diagnostics);
    assert_eq!(decoder.string("text").unwrap().value, "a");
    decoder.finish();
    let findings: Vec<_> = diagnostics
        .into_sorted()
        .into_iter()
        .map(|f| (f.severity, f.message, f.help.unwrap_or_default()))
        .collect();
    let expected = [
        (
            Severity::Error,
            "Unknown option `txet` in builder `x`",
            "Did you mean `text`?",
        ),
        (
            Severity::Error,
            "Unknown option `_comment` in builder `x`",
            "Comment keys are only allowed at the root of a template",
        ),
        (Severity::Error, "Unknown option `zzz` in builder `x`", ""),
        (
            Severity::Error,
            "`Flag` and `flag` are the same option of builder `x`",
            "Keep one of them",
        ),
        (
            Severity::Warning,
            "Option `old_text` of builder `x` is deprecated",
            "Use `text` instead",
        ),
        (
            Severity::Warning,
            "Option `nothing` of builder `x` has no effect",
            "Nothing needs it",
        ),
        (
            Severity::Error,
            "Unknown option `NOTHING2` in builder `x`",
            "Did you mean `nothing`?",
        ),
    ];
    let expected = expected.map(|(s, m, h)| (s, m.to_owned(), h.to_owned()));
    assert_eq!(findings, expected);
}

#[test]
fn secrets_are_not_shown() {
    let value = parse(r#"{"password": ["hunter2"]}"#);
    let mut diagnostics = Diagnostics::default();
    let mut decoder = Decoder::new(&value, TABLES, "builder `x`", &mut diagnostics);
    assert_eq!(decoder.string("password"), None);
    assert!(!format!("{:?}", diagnostics.into_sorted()).contains("hunter2"));
}

#[test]
fn what_is_broken_was_reported_and_counts_as_written() {
    let span = Span::default();
    let broken = Value {
        kind: ValueKind::Broken,
        span,
    };
    let object = Value {
        kind: ValueKind::Object(vec![Entry {
            key: "number".to_owned(),
            key_span: span,
            value: broken,
        }]),
        span,
    };
    let mut diagnostics = Diagnostics::default();
    let mut decoder = Decoder::new(&object, TABLES, "builder `x`", &mut diagnostics);
    assert_eq!(decoder.int("number"), None);
    assert!(decoder.object_list("number").is_empty());
    assert!(
        decoder
            .value("number")
            .is_some_and(|value| !value.is_unset())
    );
    decoder.finish();
    assert_eq!(diagnostics.into_sorted(), []);
}

/// A value without its places.
fn plain(value: &Value) -> String {
    match &value.kind {
        ValueKind::Null => "null".to_owned(),
        ValueKind::Broken => "broken".to_owned(),
        ValueKind::Bool(flag) => flag.to_string(),
        ValueKind::Number(text) => text.clone(),
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::List(list) => {
            let items: Vec<_> = list.iter().map(plain).collect();
            format!("[{}]", items.join(","))
        }
        ValueKind::Object(entries) => {
            let items = entries
                .iter()
                .map(|e| format!("{:?}:{}", e.key, plain(&e.value)));
            format!("{{{}}}", items.collect::<Vec<_>>().join(","))
        }
    }
}

#[test]
fn merging_replaces_scalars_and_merges_lists_by_index() {
    let table = [
        (
            r#"{"a":1,"b":2}"#,
            r#"{"b":3,"c":4}"#,
            r#"{"a":1,"b":3,"c":4}"#,
        ),
        (r#"{"l":["a","b"]}"#, r#"{"l":["c"]}"#, r#"{"l":["c","b"]}"#),
        (r#"{"l":["a"]}"#, r#"{"l":["b","c"]}"#, r#"{"l":["b","c"]}"#),
        (r#"{"l":["a","b"]}"#, r#"{"l":"c"}"#, r#"{"l":["c","b"]}"#),
        (r#"{"l":"a,b"}"#, r#"{"l":["c"]}"#, r#"{"l":["c","b"]}"#),
        (
            r#"{"m":{"x":1,"y":2}}"#,
            r#"{"m":{"y":3}}"#,
            r#"{"m":{"x":1,"y":3}}"#,
        ),
        (
            r#"{"l":[{"x":1}]}"#,
            r#"{"l":[{"y":2}]}"#,
            r#"{"l":[{"x":1,"y":2}]}"#,
        ),
        (
            r#"{"Inline":["a"]}"#,
            r#"{"inline":["b"]}"#,
            r#"{"Inline":["b"]}"#,
        ),
        (
            r#"{"m":{"X":1}}"#,
            r#"{"m":{"x":2}}"#,
            r#"{"m":{"X":1,"x":2}}"#,
        ),
        (r#"{"a":1}"#, r#"{"a":null}"#, r#"{"a":1}"#),
        (r#"{"a":null}"#, r#"{"a":1}"#, r#"{"a":1}"#),
        (r#"{"a":"x"}"#, r#"{"a":{"b":1}}"#, r#"{"a":{"b":1}}"#),
    ];
    for (base, over, expected) in table {
        let merged = merge(&parse(base), &parse(over));
        assert_eq!(plain(&merged), plain(&parse(expected)), "{base} {over}");
    }
}
