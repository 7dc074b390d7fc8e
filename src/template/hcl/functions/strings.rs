//! Functions of strings. Patterns and formats have their own files.
//!
//! A character is what a reader takes for one (a grapheme cluster), as in
//! cty: a letter with its accents, an emoji with its parts.

use std::sync::LazyLock;

use regex::Regex;

use super::super::value::{Deferred, Value};
use super::signature::{Arguments, Function, Parameter, Shape};
use super::{FunctionError, Outcome};

/// How far `indent` goes at most, so that a slip does not use up the memory.
const INDENT_MAX: usize = 1000;

const STR: Parameter = Parameter::text("str");

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("chomp", &[STR], chomp),
    Function::new("endswith", &[STR, Parameter::text("suffix")], endswith),
    Function::new("indent", &[Parameter::number("spaces"), STR], indent),
    Function::new("join", &[Parameter::text("separator")], join)
        .and_any_number_of(Parameter::new("lists", Shape::Texts).or_unknown()),
    Function::new("lower", &[STR], lower),
    Function::new(
        "replace",
        &[STR, Parameter::text("substr"), Parameter::text("replace")],
        replace,
    ),
    Function::new("split", &[Parameter::text("separator"), STR], split),
    Function::new("startswith", &[STR, Parameter::text("prefix")], startswith),
    Function::new(
        "strcontains",
        &[STR, Parameter::text("substr")],
        strcontains,
    ),
    Function::new("strrev", &[STR], strrev),
    Function::new(
        "substr",
        &[
            STR,
            Parameter::number("offset"),
            Parameter::number("length"),
        ],
        substr,
    ),
    Function::new("title", &[STR], title),
    Function::new("trim", &[STR, Parameter::text("cutset")], trim),
    Function::new("trimprefix", &[STR, Parameter::text("prefix")], trimprefix),
    Function::new("trimspace", &[STR], trimspace),
    Function::new("trimsuffix", &[STR, Parameter::text("suffix")], trimsuffix),
    Function::new("upper", &[STR], upper),
];

/// The characters of a text, as a reader counts them.
pub(super) fn characters(text: &str) -> Vec<&str> {
    // Unicode Standard Annex #29, without the rules for Indic and Hangul
    // syllables that are typed in parts.
    static CHARACTER: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r"(?s)\r\n|(?:\p{RI}{2}|.)(?:[\p{gcb=Extend}\p{gcb=SpacingMark}]|\x{200D}\p{Extended_Pictographic}?)*";
        Regex::new(pattern).expect("the pattern is valid")
    });
    CHARACTER
        .find_iter(text)
        .map(|found| found.as_str())
        .collect()
}

fn chomp(arguments: &Arguments<'_>) -> Outcome {
    Ok(arguments.text(0).trim_end_matches(['\r', '\n']).into())
}

fn endswith(arguments: &Arguments<'_>) -> Outcome {
    Ok(arguments.text(0).ends_with(arguments.text(1)).into())
}

fn indent(arguments: &Arguments<'_>) -> Outcome {
    let spaces = arguments.natural(0)?;
    if spaces > INDENT_MAX {
        return Err(FunctionError::at(
            0,
            format!("Text is indented by at most {INDENT_MAX} spaces"),
        ));
    }
    let line = format!("\n{}", " ".repeat(spaces));
    Ok(arguments.text(1).replace('\n', &line).into())
}

fn join(arguments: &Arguments<'_>) -> Outcome {
    if arguments.count() == 1 {
        return Err(FunctionError::new("At least one list is needed")
            .with_hint("Write `join(separator, list)`"));
    }
    let mut parts = Vec::new();
    for index in 1..arguments.count() {
        parts.extend(parts_of(index, arguments.list(index))?);
    }
    let is_known = !arguments.from(1).iter().any(Value::has_unknown);
    let joined = parts.join(arguments.text(0));
    Ok(match is_known {
        true => joined.into(),
        false => Value::Unknown(Deferred { template: joined }),
    })
}

/// The texts of a list's elements; of what is only known later, the template
/// that stands for it.
fn parts_of(index: usize, items: &[Value]) -> Result<Vec<String>, FunctionError> {
    let parts = items.iter().map(|item| match item {
        Value::Unknown(deferred) => Ok(deferred.template.clone()),
        item => item
            .text()
            .ok_or_else(|| FunctionError::at(index, "Null cannot be joined")),
    });
    parts.collect()
}

fn lower(arguments: &Arguments<'_>) -> Outcome {
    Ok(mapped(arguments.text(0), |c| single(c, c.to_lowercase())))
}

fn upper(arguments: &Arguments<'_>) -> Outcome {
    Ok(mapped(arguments.text(0), |c| single(c, c.to_uppercase())))
}

fn mapped(text: &str, map: impl Fn(char) -> char) -> Value {
    text.chars().map(map).collect::<String>().into()
}

/// Go maps each character to one other; what becomes several (`ß`) stays.
fn single(original: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        // The dotted capital I, whose dot Go drops.
        (Some('i'), Some('\u{307}')) => 'i',
        _ => original,
    }
}

fn replace(arguments: &Arguments<'_>) -> Outcome {
    let (text, from, to) = (arguments.text(0), arguments.text(1), arguments.text(2));
    Ok(text.replace(from, to).into())
}

fn split(arguments: &Arguments<'_>) -> Outcome {
    let (separator, text) = (arguments.text(0), arguments.text(1));
    if separator.is_empty() {
        return Ok(characters_of_go(text).collect());
    }
    Ok(text.split(separator).collect())
}

/// Go splits by nothing between code points.
fn characters_of_go(text: &str) -> impl Iterator<Item = String> {
    text.chars().map(String::from)
}

fn startswith(arguments: &Arguments<'_>) -> Outcome {
    Ok(arguments.text(0).starts_with(arguments.text(1)).into())
}

fn strcontains(arguments: &Arguments<'_>) -> Outcome {
    Ok(arguments.text(0).contains(arguments.text(1)).into())
}

fn strrev(arguments: &Arguments<'_>) -> Outcome {
    let characters = characters(arguments.text(0));
    Ok(characters.into_iter().rev().collect::<String>().into())
}

fn substr(arguments: &Arguments<'_>) -> Outcome {
    let characters = characters(arguments.text(0));
    let (offset, length) = (arguments.integer(1)?, arguments.integer(2)?);
    let start = match usize::try_from(offset) {
        Ok(offset) => offset.min(characters.len()),
        Err(_) => characters
            .len()
            .saturating_sub(offset.unsigned_abs() as usize),
    };
    let rest = &characters[start..];
    // A negative length takes all there is.
    let taken = usize::try_from(length).map_or(rest.len(), |length| length.min(rest.len()));
    Ok(rest[..taken].concat().into())
}

/// The letter behind anything that is no letter, digit or underscore becomes
/// a capital.
fn title(arguments: &Arguments<'_>) -> Outcome {
    let mut before = ' ';
    let capitalised = arguments.text(0).chars().map(|c| {
        let is_first = is_separator(before);
        before = c;
        if is_first {
            single(c, c.to_uppercase())
        } else {
            c
        }
    });
    Ok(capitalised.collect::<String>().into())
}

fn is_separator(c: char) -> bool {
    match c.is_ascii() {
        true => !c.is_ascii_alphanumeric() && c != '_',
        false => c.is_whitespace(),
    }
}

fn trim(arguments: &Arguments<'_>) -> Outcome {
    let cutset = arguments.text(1);
    Ok(arguments
        .text(0)
        .trim_matches(|c| cutset.contains(c))
        .into())
}

fn trimprefix(arguments: &Arguments<'_>) -> Outcome {
    let text = arguments.text(0);
    Ok(text.strip_prefix(arguments.text(1)).unwrap_or(text).into())
}

fn trimspace(arguments: &Arguments<'_>) -> Outcome {
    Ok(arguments.text(0).trim().into())
}

fn trimsuffix(arguments: &Arguments<'_>) -> Outcome {
    let text = arguments.text(0);
    Ok(text.strip_suffix(arguments.text(1)).unwrap_or(text).into())
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn results_are_those_of_packer() {
        check(&[
            (r#"chomp("a\r\n\n")"#, r#""a""#),
            (r#"chomp("\n\na\n")"#, r#""\n\na""#),
            (r#"indent(2,"a\nb\n\nc")"#, r#""a\n  b\n  \n  c""#),
            (r#"indent("2", "a\nb")"#, r#""a\n  b""#),
            (
                r#"indent(1.5, "a\nb")"#,
                "! `1.5` is not a whole number from 0 up",
            ),
            (r#"join(",",["a","b"],["c"])"#, r#""a,b,c""#),
            (r#"join(",",[1,true])"#, r#""1,true""#),
            (r#"join(",",[])"#, r#""""#),
            (r#"join(",")"#, "! At least one list is needed"),
            (r#"join(",",["a",null])"#, "! Null cannot be joined"),
            (r#"join("-", [1.50, 2])"#, r#""1.5-2""#),
            (r#"join(1, ["a","b"])"#, r#""a1b""#),
            (
                r#"join(",", "a")"#,
                "! `lists` of `join` must be a list of strings, and is a string",
            ),
            (
                r#"join(",", [["a"]])"#,
                "! `lists[0]` of `join` must be a string, and is a list",
            ),
            (
                r#"join(",", {"a":1})"#,
                "! `lists` of `join` must be a list of strings, and is an object",
            ),
            (r#"lower("ÀÉİ")"#, r#""àéi""#),
            (r#"replace("a.b.c",".","-")"#, r#""a-b-c""#),
            (r#"replace("abc","/b/","x")"#, r#""abc""#),
            (r#"replace("abc","","x")"#, r#""xaxbxcx""#),
            (r#"replace("aaa", "aa", "b")"#, r#""ba""#),
            (r#"split(",","a,b,,c")"#, r#"["a","b","","c"]"#),
            (r#"split("","abc")"#, r#"["a","b","c"]"#),
            (r#"split(",","")"#, r#"[""]"#),
            (r#"split(",", null)"#, "! `str` of `split` must not be null"),
            (r#"strrev("héllo")"#, r#""olléh""#),
            (r#"substr("hello",1,3)"#, r#""ell""#),
            (r#"substr("hello",-3,2)"#, r#""ll""#),
            (r#"substr("hello",1,-1)"#, r#""ello""#),
            (r#"substr("hello",1,0)"#, r#""""#),
            (r#"substr("hello",10,1)"#, r#""""#),
            (r#"substr("hello",0,100)"#, r#""hello""#),
            (r#"substr("hello",-10,2)"#, r#""he""#),
            (r#"substr("hello",5,1)"#, r#""""#),
            (r#"substr("héllo", 1, 2)"#, r#""él""#),
            (r#"substr("hello", -1, -1)"#, r#""o""#),
            (r#"substr("hello", 2, -2)"#, r#""llo""#),
            (
                r#"title("hello wORLD foo-bar_baz it's")"#,
                r#""Hello WORLD Foo-Bar_baz It'S""#,
            ),
            (
                r#"title("élan vital 2nd über")"#,
                r#""Élan Vital 2nd Über""#,
            ),
            (r#"title("a.b,c(d")"#, r#""A.B,C(D""#),
            (r#"trim("xxabcxx","x")"#, r#""abc""#),
            (r#"trim("?!hello?!","!?")"#, r#""hello""#),
            (r#"trimprefix("helloworld","hello")"#, r#""world""#),
            (r#"trimspace("  a\n ")"#, r#""a""#),
            (r#"trimspace("\u00a0x\u3000")"#, r#""x""#),
            (r#"trimsuffix("helloworld","world")"#, r#""hello""#),
            (r#"upper("ßa")"#, r#""ßA""#),
            ("upper(null)", "! `str` of `upper` must not be null"),
            (
                "upper([1])",
                "! `str` of `upper` must be a string, and is a list",
            ),
            (r#"endswith("hello", "lo")"#, "true"),
            (r#"startswith("hello", "lo")"#, "false"),
            (r#"strcontains("hello", "ell")"#, "true"),
            (
                r#"indent(1001, "a")"#,
                "! Text is indented by at most 1000 spaces",
            ),
        ]);
    }

    #[test]
    fn characters_are_what_a_reader_counts() {
        for (text, count) in [
            ("", 0),
            ("abc", 3),
            ("e\u{301}", 1),
            ("\r\n", 1),
            ("🇩🇪🇨🇳", 2),
            ("👨\u{200d}👩\u{200d}👧!", 2),
        ] {
            assert_eq!(characters(text).len(), count, "{text:?}");
        }
    }
}
