//! Functions of paths, and of what is in files.
//!
//! Relative paths start from the template's directory, as in Packer. What may
//! be read is up to the [`World`](super::World).

use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;

use super::signature::{Arguments, Function, Parameter, Shape};
use super::{FunctionError, Outcome};

/// How deep `**` looks into directories.
const DEPTH_MAX: usize = 64;

const PATH: Parameter = Parameter::text("path");

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("abspath", &[PATH], abspath),
    Function::new("basename", &[PATH], basename),
    Function::new("dirname", &[PATH], dirname),
    Function::new("file", &[PATH], file),
    Function::new("filebase64", &[PATH], filebase64),
    Function::new("fileexists", &[PATH], fileexists),
    Function::new("fileset", &[PATH, Parameter::text("pattern")], fileset),
    Function::new("pathexpand", &[PATH], pathexpand),
    Function::new(
        "templatefile",
        &[PATH, Parameter::new("vars", Shape::Object).or_unknown()],
        templatefile,
    ),
];

fn abspath(arguments: &Arguments<'_>) -> Outcome {
    let path = arguments.world.working_directory().join(arguments.text(0));
    Ok(text(&cleaned(&path)).into())
}

fn basename(arguments: &Arguments<'_>) -> Outcome {
    let path = arguments.text(0).trim_end_matches('/');
    Ok(match (arguments.text(0), path) {
        ("", _) => ".".into(),
        (_, "") => "/".into(),
        _ => path.rsplit('/').next().unwrap_or(path).into(),
    })
}

fn dirname(arguments: &Arguments<'_>) -> Outcome {
    let path = arguments.text(0);
    let directory = path.rfind('/').map_or("", |slash| &path[..=slash]);
    Ok(text(&cleaned(Path::new(directory))).into())
}

fn file(arguments: &Arguments<'_>) -> Outcome {
    Ok(contents(arguments)?.into())
}

fn contents(arguments: &Arguments<'_>) -> Result<String, FunctionError> {
    String::from_utf8(bytes(arguments)?).map_err(|_| {
        FunctionError::at(
            0,
            format!("The file `{}` is no text in UTF-8", arguments.text(0)),
        )
        .with_hint("Read it with `filebase64`")
    })
}

fn filebase64(arguments: &Arguments<'_>) -> Outcome {
    Ok(STANDARD.encode(bytes(arguments)?).into())
}

fn bytes(arguments: &Arguments<'_>) -> Result<Vec<u8>, FunctionError> {
    let path = resolved(arguments)?;
    let read = arguments.world.read(&path);
    read.map_err(|reason| refused(&path, &reason))
}

fn fileexists(arguments: &Arguments<'_>) -> Outcome {
    let path = resolved(arguments)?;
    match arguments.world.is_file(&path) {
        Ok(None) => Ok(false.into()),
        Ok(Some(true)) => Ok(true.into()),
        Ok(Some(false)) => Err(refused(&path, "is no regular file")),
        Err(reason) => Err(refused(&path, &reason)),
    }
}

fn fileset(arguments: &Arguments<'_>) -> Outcome {
    let directory = resolved(arguments)?;
    let pattern = arguments.text(1);
    let depth = match pattern.contains("**") {
        true => DEPTH_MAX,
        false => pattern.split('/').count(),
    };
    let fits = glob(pattern)?;
    let files = arguments.world.files(&directory, depth);
    let files = files.map_err(|reason| refused(&directory, &reason))?;
    let files = files.iter().map(|path| text(path));
    let mut files: Vec<String> = files.filter(|path| fits.is_match(path)).collect();
    files.sort();
    Ok(files.into())
}

fn pathexpand(arguments: &Arguments<'_>) -> Outcome {
    Ok(text(&expanded(arguments)?).into())
}

fn templatefile(arguments: &Arguments<'_>) -> Outcome {
    let path = resolved(arguments)?;
    let template = contents(arguments)?;
    arguments
        .world
        .render(&path, template, arguments.object(1).clone())
}

fn refused(path: &Path, reason: &str) -> FunctionError {
    FunctionError::at(0, format!("The path `{}` {reason}", path.display()))
}

/// The path that an argument names, from the template's directory. One with
/// `path.root` in it starts from the working directory; Packer looks for that
/// in the template's directory, and finds it only when both are the same.
fn resolved(arguments: &Arguments<'_>) -> Result<PathBuf, FunctionError> {
    let path = expanded(arguments)?;
    let world = arguments.world;
    let is_there = |path: &Path| matches!(world.is_file(path), Ok(Some(_)));
    let joined = world.template_directory().join(&path);
    let as_it_is = world.working_directory().join(&path);
    Ok(match !is_there(&joined) && is_there(&as_it_is) {
        true => as_it_is,
        false => joined,
    })
}

/// The path with the home directory for a leading `~`.
fn expanded(arguments: &Arguments<'_>) -> Result<PathBuf, FunctionError> {
    let path = arguments.text(0);
    let Some(rest) = path.strip_prefix('~') else {
        return Ok(path.into());
    };
    if !rest.is_empty() && !rest.starts_with('/') {
        let message = format!("`{path}` begins with the home directory of another user");
        return Err(FunctionError::at(0, message));
    }
    let home = arguments.world.home().ok_or_else(|| {
        FunctionError::at(
            0,
            format!("`{path}` begins with the home directory, and there is none"),
        )
    })?;
    Ok(match rest.trim_start_matches('/') {
        "" => home.to_owned(),
        rest => home.join(rest),
    })
}

/// The shortest path that means the same, without looking at the disk.
fn cleaned(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match (component, clean.components().next_back()) {
            (Component::CurDir, _) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => {
                clean.pop();
            }
            (Component::ParentDir, Some(Component::RootDir)) => {}
            (component, _) => clean.push(component),
        }
    }
    match clean.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => clean,
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A pattern for paths, with `*`, `?`, `**`, `[a-z]` and `{a,b}`, as a regular
/// expression.
fn glob(pattern: &str) -> Result<Regex, FunctionError> {
    let mut out = String::from("^");
    let mut rest = pattern.strip_prefix("./").unwrap_or(pattern);
    let mut depth = 0;
    while let Some(c) = rest.chars().next() {
        let (part, length) = match c {
            '*' if rest.starts_with("**/") => ("(?:[^/]+/)*", 3),
            '*' if rest.starts_with("**") => (".*", 2),
            '*' => ("[^/]*", 1),
            '?' => ("[^/]", 1),
            '{' => ("(?:", 1),
            ',' if depth > 0 => ("|", 1),
            '}' if depth > 0 => (")", 1),
            '[' if rest.starts_with("[!") => ("[^", 2),
            '[' | ']' | '-' | '^' => (&rest[..1], 1),
            '\\' => ("", 1 + rest[1..].chars().next().map_or(0, char::len_utf8)),
            _ => ("", c.len_utf8()),
        };
        depth += i32::from(c == '{') - i32::from(c == '}' && depth > 0);
        match part {
            "" => out.push_str(&regex::escape(unescaped(&rest[..length]))),
            part => out.push_str(part),
        }
        rest = &rest[length..];
    }
    out.push('$');
    Regex::new(&out)
        .map_err(|_| FunctionError::at(1, format!("`{pattern}` is no pattern for files")))
}

/// The character behind a backslash.
fn unescaped(text: &str) -> &str {
    match text.strip_prefix('\\') {
        Some("") | None => text,
        Some(escaped) => escaped,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn results_are_those_of_packer() {
        check(&[
            (r#"abspath("x/../y")"#, r#""/work/here/y""#),
            (r#"abspath("/a//b/./c/..")"#, r#""/a/b""#),
            (r#"basename("/a/b/")"#, r#""b""#),
            (r#"basename("")"#, r#"".""#),
            (r#"basename("/")"#, r#""/""#),
            (r#"dirname("/a/b/c")"#, r#""/a/b""#),
            (r#"dirname("/a/b/")"#, r#""/a/b""#),
            (r#"dirname("a")"#, r#"".""#),
            (r#"dirname("")"#, r#"".""#),
            (r#"dirname("/a")"#, r#""/""#),
            (r#"pathexpand("~/x")"#, r#""/home/ann/x""#),
            (r#"pathexpand("~")"#, r#""/home/ann""#),
            (r#"pathexpand("a/~")"#, r#""a/~""#),
            (
                r#"pathexpand("~bob/x")"#,
                "! `~bob/x` begins with the home directory of another user",
            ),
            (r#"file("motd.txt")"#, r#""Hello\n""#),
            (r#"file("/project/motd.txt")"#, r#""Hello\n""#),
            (r#"file("~/key")"#, r#""key""#),
            (r#"file("nope")"#, "! The path `/project/nope` is not there"),
            (
                r#"file("binary")"#,
                "! The file `binary` is no text in UTF-8",
            ),
            (r#"filebase64("binary")"#, r#""/wA=""#),
            (r#"fileexists("motd.txt")"#, "true"),
            (r#"fileexists("nope")"#, "false"),
            (
                r#"fileexists("scripts")"#,
                "! The path `/project/scripts` is no regular file",
            ),
            (r#"fileset("scripts", "*")"#, r#"["a.sh"]"#),
            (
                r#"fileset("scripts", "**")"#,
                r#"["a.sh","deep/b.sh","deep/c.ps1"]"#,
            ),
            (
                r#"fileset("scripts", "**/*.sh")"#,
                r#"["a.sh","deep/b.sh"]"#,
            ),
            (
                r#"fileset(".", "scripts/*/[a-b].{ps1,sh}")"#,
                r#"["scripts/deep/b.sh"]"#,
            ),
            (r#"fileset(".", "mot?.txt")"#, r#"["motd.txt"]"#),
            (r#"fileset("scripts", "\\*")"#, "[]"),
            (r#"fileset("nope", "*")"#, "[]"),
            (r#"fileset(".", "[")"#, "! `[` is no pattern for files"),
            (
                r#"templatefile("motd.txt", {"a":1})"#,
                r#""/project/motd.txt \"Hello\\n\" [\"a\"]""#,
            ),
            (
                r#"templatefile("motd.txt", [])"#,
                "! `vars` of `templatefile` must be a map or an object, and is a list",
            ),
        ]);
    }
}
