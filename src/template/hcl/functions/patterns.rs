//! Functions that search with regular expressions.
//!
//! Templates write the syntax of Go (RE2). It is that of the `regex` crate
//! but for what [`translated`] changes.

use std::collections::BTreeMap;

use regex::{Captures, Regex};

use super::super::value::Value;
use super::signature::{Arguments, Function, Parameter};
use super::{FunctionError, Outcome, excerpt};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new(
        "regex",
        &[Parameter::text("pattern"), Parameter::text("string")],
        regex,
    ),
    Function::new(
        "regex_replace",
        &[
            Parameter::text("str"),
            Parameter::text("pattern"),
            Parameter::text("replace"),
        ],
        regex_replace,
    ),
    Function::new(
        "regexall",
        &[Parameter::text("pattern"), Parameter::text("string")],
        regexall,
    ),
];

fn regex(arguments: &Arguments<'_>) -> Outcome {
    let pattern = compiled(arguments, 0)?;
    let shape = Shape::of(&pattern)?;
    let found = pattern.captures(arguments.text(1)).ok_or_else(|| {
        FunctionError::at(
            1,
            format!(
                "The pattern `{}` is nowhere in the string",
                excerpt(arguments.text(0))
            ),
        )
        .with_hint("Use `regexall`, which gives an empty list, or `try`")
    })?;
    Ok(shape.value(&pattern, &found))
}

fn regexall(arguments: &Arguments<'_>) -> Outcome {
    let pattern = compiled(arguments, 0)?;
    let shape = Shape::of(&pattern)?;
    let found = pattern.captures_iter(arguments.text(1));
    Ok(found
        .map(|captures| shape.value(&pattern, &captures))
        .collect())
}

fn regex_replace(arguments: &Arguments<'_>) -> Outcome {
    let pattern = compiled(arguments, 1)?;
    let replaced = pattern.replace_all(arguments.text(0), arguments.text(2));
    Ok(replaced.into_owned().into())
}

fn compiled(arguments: &Arguments<'_>, index: usize) -> Result<Regex, FunctionError> {
    let pattern = arguments.text(index);
    Regex::new(&translated(pattern)).map_err(|error| {
        // The last line has the reason; the others draw the pattern.
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default();
        let reason = reason.strip_prefix("error: ").unwrap_or(reason);
        let message = format!("`{}` is no regular expression: {reason}", excerpt(pattern));
        FunctionError::at(index, message).with_hint("The syntax is that of Go's `regexp` package")
    })
}

/// What a match becomes.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// Without groups: what matched.
    Whole,
    /// With groups: what each matched, null for those that took no part.
    Groups,
    /// With named groups: the same by name.
    Named,
}

impl Shape {
    fn of(pattern: &Regex) -> Result<Self, FunctionError> {
        let names: Vec<Option<&str>> = pattern.capture_names().skip(1).collect();
        if names.is_empty() {
            return Ok(Self::Whole);
        }
        match names.iter().filter(|name| name.is_some()).count() {
            0 => Ok(Self::Groups),
            named if named == names.len() => Ok(Self::Named),
            _ => Err(
                FunctionError::at(0, "A pattern must not mix named and unnamed groups")
                    .with_hint("Write `(?:…)` for groups that capture nothing"),
            ),
        }
    }

    fn value(self, pattern: &Regex, found: &Captures<'_>) -> Value {
        let text = |index: usize| {
            let group = found.get(index);
            group.map_or(Value::Null, |group| group.as_str().into())
        };
        match self {
            Self::Whole => text(0),
            Self::Groups => (1..found.len()).map(text).collect(),
            Self::Named => {
                let names = pattern.capture_names().enumerate();
                let entries =
                    names.filter_map(|(index, name)| Some((name?.to_owned(), text(index))));
                Value::Object(entries.collect::<BTreeMap<_, _>>())
            }
        }
    }
}

/// A pattern of Go in the syntax of the `regex` crate: classes like `\d` are
/// of ASCII; brackets within brackets stand for themselves, and so do braces
/// that repeat nothing and what stands between `\Q` and `\E`.
fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\\' => escape(rest, false, &mut out),
            '[' => class(rest, &mut out),
            '{' if !is_repetition(rest) => {
                out.push_str(r"\{");
                1
            }
            _ => {
                out.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    out
}

/// Whether a text begins with `{2}`, `{2,}` or `{2,3}`. Any other brace stands
/// for itself.
fn is_repetition(text: &str) -> bool {
    let Some((inside, _)) = text[1..].split_once('}') else {
        return false;
    };
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !least.is_empty() && is_number(least) && is_number(most)
}

/// Translates the escape that a text begins with. Gives its length.
fn escape(text: &str, is_in_class: bool, out: &mut String) -> usize {
    let Some(letter) = text[1..].chars().next() else {
        out.push('\\');
        return 1;
    };
    let ascii = match letter {
        'd' => r"[0-9]",
        'D' => r"[^0-9]",
        's' => r"[\t\n\f\r ]",
        'S' => r"[^\t\n\f\r ]",
        'w' => r"[0-9A-Za-z_]",
        'W' => r"[^0-9A-Za-z_]",
        'b' if !is_in_class => r"(?-u:\b)",
        'Q' => return quoted(text, out),
        'p' | 'P' | 'x' if text[2..].starts_with('{') => {
            let length = text.find('}').map_or(text.len(), |end| end + 1);
            out.push_str(&text[..length]);
            return length;
        }
        _ => {
            out.extend(['\\', letter]);
            return 1 + letter.len_utf8();
        }
    };
    out.push_str(ascii);
    2
}

/// Translates `\Q…\E`. Gives its length.
fn quoted(text: &str, out: &mut String) -> usize {
    let content = &text[2..];
    let (literal, closing) = match content.find(r"\E") {
        Some(end) => (&content[..end], 2),
        None => (content, 0),
    };
    out.push_str(&regex::escape(literal));
    2 + literal.len() + closing
}

/// Translates the bracket that a text begins with. Gives its length.
fn class(text: &str, out: &mut String) -> usize {
    let mut at = 1;
    out.push('[');
    if text[at..].starts_with('^') {
        out.push('^');
        at += 1;
    }
    let mut is_first = true;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        at += match c {
            ']' if !is_first => {
                out.push(']');
                return at + 1;
            }
            '\\' => escape(rest, true, out),
            '[' if rest.starts_with("[:") => posix(rest, out),
            '[' | ']' | '&' | '~' => {
                out.extend(['\\', c]);
                1
            }
            '-' if rest.starts_with("--") => {
                out.push_str(r"\-");
                1
            }
            _ => {
                out.push(c);
                c.len_utf8()
            }
        };
        is_first = false;
    }
    at
}

/// Copies a class like `[:alpha:]`. Gives its length.
fn posix(text: &str, out: &mut String) -> usize {
    let length = text.find(":]").map_or(1, |end| end + 2);
    match length {
        1 => out.push_str(r"\["),
        _ => out.push_str(&text[..length]),
    }
    length
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn results_are_those_of_packer() {
        check(&[
            (
                r#"regex_replace("hello world","(h\\w+)","<$1>")"#,
                r#""\u003chello\u003e world""#,
            ),
            (r#"regex_replace("abc","","-")"#, r#""-a-b-c-""#),
            (r#"regex_replace("baaac","a*","x")"#, r#""xbxcx""#),
            (
                r#"regex_replace("abc","[","x")"#,
                "! `[` is no regular expression: unclosed character class",
            ),
            (r#"regex_replace("añ1","\\w","x")"#, r#""xñx""#),
            (r#"regex_replace("x","x","$1y")"#, r#""""#),
            (r#"regex_replace("aXb","(?i)x","-")"#, r#""a-b""#),
            (r#"regex_replace("a[b","[[]","-")"#, r#""a-b""#),
            (r#"regex_replace("été","\\b","|")"#, r#""é|t|é""#),
            (
                r#"regex_replace("2020-01-02", "(\\d+)-(\\d+)", "$2/$1")"#,
                r#""01/2020-02""#,
            ),
            (r#"regex_replace("a.b", "[.]", "\\$")"#, r#""a\\$b""#),
            (r#"regex_replace("a\nb", ".", "x")"#, r#""x\nx""#),
            (r#"regex_replace("aé b", "\\W", "_")"#, r#""a__b""#),
            (r#"regex_replace("a b", "\\s+", "")"#, r#""ab""#),
            (
                r#"regex_replace("abc", "(b", "x")"#,
                "! `(b` is no regular expression: unclosed group",
            ),
            (
                r#"regex_replace("foo.bar", "\\Qo.b\\E", "x")"#,
                r#""foxar""#,
            ),
            (r#"regex_replace("a&&b", "[a&&b]", "x")"#, r#""xxxx""#),
            (r#"regex_replace("éa", "\\pL", "x")"#, r#""xx""#),
            (r#"regex_replace("aA", "(?i)A", "x")"#, r#""xx""#),
            (
                r#"regex_replace("ab", "a(?=b)", "x")"#,
                "! `a(?=b)` is no regular expression: look-around, including look-ahead and look-behind, is not supported",
            ),
            (r#"regex_replace("a{{b}}c", "{{", "<")"#, r#""a\u003cb}}c""#),
            (r#"regex_replace("a{,2}", "a{,2}", "x")"#, r#""x""#),
            (r#"regex_replace("aaa", "a{2,}", "x")"#, r#""x""#),
            (r#"regex_replace("αβ", "\\p{Greek}", "g")"#, r#""gg""#),
            (r#"regex_replace("a1", "[\\p{L}\\d]", "x")"#, r#""xx""#),
            (r#"regex_replace("x.y", "\\x{2e}", "-")"#, r#""x-y""#),
            (r#"regex_replace("a]b", "[]]", "x")"#, r#""axb""#),
            (r#"regex_replace("ab~c", "[a~~b]", "x")"#, r#""xxxc""#),
            (r#"regex("[a-z]+", "1234abcd5678efgh9")"#, r#""abcd""#),
            (
                r#"regex("(\\d+)-(x)?(\\d+)", "2019-02")"#,
                r#"["2019",null,"02"]"#,
            ),
            (
                r#"regex("(?P<year>\\d+)-(?P<month>\\d+)", "2019-02")"#,
                r#"{"month":"02","year":"2019"}"#,
            ),
            (
                r#"regex("(a)(?P<b>b)", "ab")"#,
                "! A pattern must not mix named and unnamed groups",
            ),
            (
                r#"regex("x", "abc")"#,
                "! The pattern `x` is nowhere in the string",
            ),
            (
                r#"regexall("[a-z]+", "1234abcd5678efgh9")"#,
                r#"["abcd","efgh"]"#,
            ),
            (
                r#"regexall("(.)=(.)", "a=1,b=2")"#,
                r#"[["a","1"],["b","2"]]"#,
            ),
            (r#"regexall("x", "abc")"#, "[]"),
            (r#"regexall("[^\\d\\s]", "a1 b")"#, r#"["a","b"]"#),
            (r#"regexall("[[:alpha:]]", "a1é")"#, r#"["a"]"#),
        ]);
    }
}
