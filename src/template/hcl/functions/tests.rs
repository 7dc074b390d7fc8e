//! What the tests of all families share: rows of calls and results.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::slice;

use jiff::Timestamp;

use super::super::value::{Deferred, Value};
use super::{FunctionError, FunctionErrorKind, World, call, encoding, names};

/// A world with a few files in memory, at the beginning of 2024.
struct Imagined {
    directory: PathBuf,
}

const FILES: &[(&str, &[u8])] = &[
    ("/project/motd.txt", b"Hello\n"),
    ("/project/scripts/a.sh", b"echo a"),
    ("/project/scripts/deep/b.sh", b"echo b"),
    ("/project/scripts/deep/c.ps1", b"echo c"),
    ("/project/binary", b"\xff\x00"),
    ("/home/ann/key", b"key"),
];

impl World for Imagined {
    fn start(&self) -> Timestamp {
        "2024-01-02T03:04:05.6Z".parse().expect("a time")
    }

    fn template_directory(&self) -> &Path {
        &self.directory
    }

    fn working_directory(&self) -> &Path {
        Path::new("/work/here")
    }

    fn home(&self) -> Option<&Path> {
        Some(Path::new("/home/ann"))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let found = FILES.iter().find(|(name, _)| Path::new(name) == path);
        found
            .map(|(_, bytes)| bytes.to_vec())
            .ok_or_else(|| "is not there".to_owned())
    }

    fn is_file(&self, path: &Path) -> Result<Option<bool>, String> {
        let mut paths = FILES.iter().map(|(name, _)| Path::new(name));
        if paths.clone().any(|name| name == path) {
            return Ok(Some(true));
        }
        Ok(paths.any(|name| name.starts_with(path)).then_some(false))
    }

    fn files(&self, directory: &Path, depth: usize) -> Result<Vec<PathBuf>, String> {
        let paths = FILES.iter().filter_map(|(name, _)| {
            let path = Path::new(name).strip_prefix(directory).ok()?;
            (path.components().count() <= depth).then(|| path.to_owned())
        });
        Ok(paths.collect())
    }

    fn render(
        &self,
        path: &Path,
        template: String,
        variables: BTreeMap<String, Value>,
    ) -> Result<Value, FunctionError> {
        let names: Vec<&String> = variables.keys().collect();
        Ok(format!("{} {template:?} {names:?}", path.display()).into())
    }
}

pub(super) fn outcome(name: &str, arguments: &[Value]) -> Result<Value, FunctionError> {
    let world = Imagined {
        directory: PathBuf::from("/project"),
    };
    call(name, arguments, &world)
}

/// Checks rows of a call, whose arguments are JSON, and its result: JSON, or
/// after `! ` what the error says.
///
/// The rows of functions that Packer 1.6.6 has were compared with its console,
/// but for the words of errors.
#[track_caller]
pub(super) fn check(rows: &[(&str, &str)]) {
    for (written, expected) in rows {
        let (name, rest) = written.split_once('(').expect("a call");
        let arguments = rest.strip_suffix(')').expect("a call");
        let arguments = outcome("jsondecode", &[format!("[{arguments}]").into()]);
        let Ok(Value::List(arguments)) = arguments else {
            panic!("the arguments of `{written}` are no JSON: {arguments:?}");
        };
        let found = match outcome(name, &arguments) {
            Ok(value) => encoding::json(&value),
            Err(error) => format!("! {}", error.message),
        };
        assert_eq!(&found, expected, "{written}");
    }
}

fn build_host() -> Value {
    Value::Unknown(Deferred {
        template: "{{ build `Host` }}".to_owned(),
    })
}

#[test]
fn arguments_are_counted_and_converted() {
    check(&[
        ("upper(1)", r#""1""#),
        ("max(\"5\", 3)", "5"),
        ("upper()", "! `upper` takes 1 argument, and got 0"),
        (
            "lookup({}, \"a\")",
            "! `lookup` takes 3 arguments, and got 2",
        ),
        ("join()", "! `join` takes 1 or more arguments, and got 0"),
        (
            "upper([])",
            "! `str` of `upper` must be a string, and is a list",
        ),
        ("upper(null)", "! `str` of `upper` must not be null"),
        (
            "keys([])",
            "! `map` of `keys` must be a map or an object, and is a list",
        ),
        (
            "reverse(\"abc\")",
            "! `list` of `reverse` must be a list, and is a string",
        ),
        (
            "sort([[1]])",
            "! `list[0]` of `sort` must be a string, and is a list",
        ),
        (
            "distinct([1, true])",
            "! `list` of `distinct` must be values of one type, and is a list of several",
        ),
        ("frobnicate()", "! There is no function `frobnicate`"),
        (
            "vault(\"a\", \"b\")",
            "! Vault is not asked for secrets here",
        ),
    ]);
}

#[test]
fn messages_show_the_beginning_of_arguments() {
    let long = "é".repeat(41);
    let error = outcome("parseint", &[long.into(), 10i64.into()]).expect_err("no number");
    let message = format!("`{}…` is no integer of base 10", "é".repeat(40));
    assert_eq!(error.message, message);
}

#[test]
fn every_function_has_a_name_of_its_own() {
    let mut sorted: Vec<&str> = names().collect();
    sorted.sort_unstable();
    let count = sorted.len();
    sorted.dedup();
    assert_eq!(sorted.len(), count);
    assert_eq!(count, 100);
}

#[test]
fn what_is_not_known_yet_is_only_moved() {
    let list = Value::List(vec!["a".into(), build_host()]);
    let moved = |name: &str, arguments: &[Value]| outcome(name, arguments).expect("a value");
    assert_eq!(moved("concat", slice::from_ref(&list)), list);
    assert_eq!(moved("length", slice::from_ref(&list)), 2i64.into());
    assert_eq!(moved("element", &[list.clone(), 1i64.into()]), build_host());
    let deferred = |template: &str| {
        Value::Unknown(Deferred {
            template: template.to_owned(),
        })
    };
    let joined = moved("join", &[",".into(), list.clone()]);
    assert_eq!(joined, deferred("a,{{ build `Host` }}"));
    let formatted = moved(
        "format",
        &["http://%s:%d/".into(), build_host(), 80i64.into()],
    );
    assert_eq!(formatted, deferred("http://{{ build `Host` }}:80/"));
    for (name, arguments) in [
        ("upper", vec![build_host()]),
        ("length", vec![build_host()]),
        ("jsonencode", vec![list.clone()]),
        ("format", vec!["%q".into(), build_host()]),
        ("contains", vec![list, "a".into()]),
    ] {
        let error = outcome(name, &arguments).expect_err("it is not known");
        assert_eq!(error.kind, FunctionErrorKind::Unknown, "{name}");
    }
}
