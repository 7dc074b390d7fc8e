//! What a statement may call: cmdlets, and programs by their names.

use std::time::Duration;

use super::super::Session;
use super::syntax::cut;
use super::{Flow, Scope, arguments, captured, exists, interpolated, run_file};
use crate::winrm::computer::Shutdown;

/// A command, and what becomes of its output.
pub(super) async fn pipeline(session: &mut Session, scope: &mut Scope, statement: &str) -> Flow {
    let parts = cut(statement, &['|']);
    let Some((first, rest)) = parts.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        return command(session, scope, statement).await;
    };
    let last = rest[rest.len() - 1].trim().to_lowercase();
    match last.as_str() {
        "out-null" => {
            captured(session, scope, first).await;
            Flow::Next
        }
        "out-default" | "out-host" | "out-string" => command(session, scope, first).await,
        _ => scope.failed(
            session,
            format!("The sandbox cannot run '{last}' in a pipeline."),
        ),
    }
}

async fn command(session: &mut Session, scope: &mut Scope, text: &str) -> Flow {
    let text = text.trim();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let words = arguments(session, scope, rest).await;
    let plain: Vec<_> = words
        .iter()
        .filter(|word| !word.starts_with('-'))
        .cloned()
        .collect();
    scope.succeeded = true;
    match name.to_lowercase().as_str() {
        "write-output" | "echo" | "write" => plain.iter().for_each(|line| session.say(line)),
        "write-host" => session.say(&plain.join(" ")),
        "write-error" => return scope.failed(session, format!("Write-Error: {}", plain.join(" "))),
        "start-sleep" => {
            let is_short = words
                .iter()
                .any(|word| word.to_lowercase().starts_with("-m"));
            let count = plain.first().and_then(|it| it.parse().ok()).unwrap_or(0);
            let unit = if is_short { 1 } else { 1000 };
            session.sleep(Duration::from_millis(count * unit)).await;
        }
        "restart-computer" => drop(session.shutdown(Shutdown::Restart, Duration::ZERO)),
        "stop-computer" => drop(session.shutdown(Shutdown::PowerOff, Duration::ZERO)),
        "enable-psremoting" | "set-item" | "new-wsmaninstance" => {
            let computer = std::sync::Arc::clone(&session.computer);
            computer.configure(text).await;
        }
        "set-variable"
        | "set-executionpolicy"
        | "set-psdebug"
        | "import-module"
        | "set-service"
        | "new-netfirewallrule"
        | "set-location"
        | "get-service"
        | "start-service" => {}
        name => match on_files(session, scope, name, &words) {
            Some(flow) => return flow,
            None => return native(session, scope, text).await,
        },
    }
    Flow::Next
}

/// The cmdlets about files; none when it is another one.
fn on_files(
    session: &mut Session,
    scope: &mut Scope,
    name: &str,
    words: &[String],
) -> Option<Flow> {
    let plain: Vec<_> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let first = plain.first().map_or("", |path| path.as_str());
    let path = session.path(first);
    let missing = || format!("Cannot find path '{first}' because it does not exist.");
    match name {
        "get-childitem" | "dir" | "ls" | "gci" => {
            let here = session.directory.clone();
            if !session.show_directory(if first.is_empty() { &here } else { first }) {
                return Some(scope.failed(session, missing()));
            }
        }
        "get-content" | "type" | "cat" | "gc" => {
            let Some(content) = session.computer.files(|files| files.read(&path)) else {
                return Some(scope.failed(session, missing()));
            };
            let text = String::from_utf8_lossy(&content).into_owned();
            text.lines().for_each(|line| session.say(line));
        }
        "set-content" | "out-file" | "add-content" => {
            return Some(write_file(session, scope, name, words));
        }
        "new-item" | "mkdir" | "md" => {
            let named = named(words, "-path").or(plain.last().copied());
            let path = session.path(named.map_or("", |path| path));
            session
                .computer
                .files(|files| files.create_directory(&path));
        }
        "remove-item" | "del" | "rm" | "rmdir" => {
            for path in plain {
                let path = session.path(path);
                session.computer.files(|files| files.remove(&path));
            }
        }
        "test-path" => {
            let is_there = exists(session, first);
            session.say(if is_there { "True" } else { "False" });
        }
        _ => return None,
    }
    Some(Flow::Next)
}

/// The value behind a parameter.
fn named<'a>(words: &'a [String], parameter: &str) -> Option<&'a String> {
    let at = words
        .iter()
        .position(|word| word.eq_ignore_ascii_case(parameter))?;
    words.get(at + 1)
}

fn write_file(session: &mut Session, scope: &mut Scope, name: &str, words: &[String]) -> Flow {
    let plain: Vec<_> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let path = named(words, "-path").or(plain.first().copied());
    let text = named(words, "-value").or(plain.get(1).copied());
    let path = session.path(path.map_or("", |path| path));
    let mut content = format!("{}\r\n", text.map_or("", |text| text)).into_bytes();
    let written = session.computer.files(|files| {
        if name.eq_ignore_ascii_case("add-content")
            && let Some(old) = files.read(&path)
        {
            content = [old.as_slice(), &content].concat();
        }
        files.write(&path, content)
    });
    match written {
        Ok(()) => Flow::Next,
        Err(error) => scope.failed(session, error),
    }
}

/// Programs, by their names or as batch files.
pub(super) async fn native(session: &mut Session, scope: &mut Scope, text: &str) -> Flow {
    const PROGRAMS: [&str; 14] = [
        "cmd",
        "powershell",
        "pwsh",
        "shutdown",
        "winrm",
        "hostname",
        "whoami",
        "net",
        "sc",
        "netsh",
        "reg",
        "ping",
        "timeout",
        "ver",
    ];
    let name = text.split_whitespace().next().unwrap_or_default();
    let lower = name.to_lowercase();
    let program = lower.strip_suffix(".exe").unwrap_or(&lower);
    let is_batch = lower.ends_with(".bat") || lower.ends_with(".cmd");
    if lower.ends_with(".ps1") {
        return Box::pin(run_file(session, scope, name)).await;
    }
    if !is_batch && !PROGRAMS.contains(&program) {
        let error = format!(
            "The term '{name}' is not recognized as the name of a cmdlet, function, script file, \
             or operable program."
        );
        return scope.failed(session, error);
    }
    let line = interpolated_line(session, scope, text).await;
    let code = session.nested(&line).await;
    scope.last_exit_code = Some(code);
    scope.succeeded = code == 0;
    Flow::Next
}

/// A program's line keeps its quotes.
async fn interpolated_line(session: &mut Session, scope: &mut Scope, text: &str) -> String {
    match text.contains('$') {
        true => interpolated(session, scope, &text.replace('"', "`\"")).await,
        false => text.to_owned(),
    }
}
