//! `cmd`: command lines, batch files, and the commands built into it.

use std::time::Duration;

use super::{Session, Target, powershell, words};
use crate::winrm::computer::Shutdown;
use crate::winrm::files;

/// How a batch file goes on.
enum Next {
    Line(i32),
    Exit(i32),
}

/// Runs a line; `&`, `&&` and `||` join commands, `>` and `>>` redirect.
pub(super) async fn run_line(session: &mut Session, line: &str) -> i32 {
    let line = session.expanded(line);
    match run_commands(session, &line).await {
        Next::Line(code) | Next::Exit(code) => code,
    }
}

async fn run_commands(session: &mut Session, line: &str) -> Next {
    let mut code = 0;
    for (joint, command) in split(line) {
        let runs = match joint {
            "&&" => code == 0,
            "||" => code != 0,
            _ => true,
        };
        if runs {
            match redirected(session, command.trim()).await {
                Next::Line(of_command) => code = of_command,
                exit @ Next::Exit(_) => return exit,
            }
        }
    }
    Next::Line(code)
}

/// Commands with what joins them to the one before.
fn split(line: &str) -> Vec<(&str, &str)> {
    let mut commands = Vec::new();
    let (mut joint, mut start, mut quoted) = ("&", 0, false);
    let bytes = line.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        quoted ^= bytes[at] == b'"';
        let rest = &line.as_bytes()[at..];
        // `2>&1` joins streams, not commands.
        let of_redirection = at > 0 && bytes[at - 1] == b'>';
        let found = match rest {
            [b'&', b'&', ..] => Some("&&"),
            [b'|', b'|', ..] => Some("||"),
            [b'&', ..] if !of_redirection => Some("&"),
            _ => None,
        };
        match found.filter(|_| !quoted) {
            Some(next) => {
                commands.push((joint, &line[start..at]));
                joint = next;
                at += next.len();
                start = at;
            }
            None => at += 1,
        }
    }
    commands.push((joint, &line[start..]));
    commands
}

/// Runs a command with its output where `>` says.
async fn redirected(session: &mut Session, command: &str) -> Next {
    let (command, redirection) = redirection(command);
    let Some(redirection) = redirection else {
        return Box::pin(run_command(session, command)).await;
    };
    let before = std::mem::replace(&mut session.out, Target::Collected(Vec::new()));
    let was_joined = std::mem::replace(&mut session.joined, redirection.joins);
    let next = Box::pin(run_command(session, command)).await;
    session.joined = was_joined;
    let collected = std::mem::replace(&mut session.out, before);
    let Target::Collected(mut content) = collected else {
        return next;
    };
    if redirection.target.eq_ignore_ascii_case("nul") {
        return next;
    }
    let path = session.path(&redirection.target);
    let written = session.computer.files(|files| {
        if redirection.appends
            && let Some(old) = files.read(&path)
        {
            content = [old.as_slice(), &content].concat();
        }
        files.write(&path, content)
    });
    match written {
        Ok(()) => next,
        Err(_) => {
            session.complain("The system cannot find the path specified.");
            Next::Line(1)
        }
    }
}

struct Redirection {
    target: String,
    appends: bool,
    joins: bool,
}

fn redirection(command: &str) -> (&str, Option<Redirection>) {
    let joined = command.strip_suffix("2>&1").map(str::trim_end);
    let rest = joined.unwrap_or(command);
    let mut quoted = false;
    let found = rest.char_indices().find(|(_, letter)| {
        quoted ^= *letter == '"';
        *letter == '>' && !quoted
    });
    let Some((at, _)) = found else {
        return (rest, None);
    };
    let after = &rest[at + 1..];
    let appends = after.starts_with('>');
    let target = after.trim_start_matches('>').trim().trim_matches('"');
    let before = rest[..at].trim_end();
    let redirection = Redirection {
        target: target.to_owned(),
        appends,
        joins: joined.is_some(),
    };
    (
        before.strip_suffix(" 1").unwrap_or(before),
        Some(redirection),
    )
}

async fn run_command(session: &mut Session, command: &str) -> Next {
    let command = command.trim_start_matches(['@', '(', ' ']).trim();
    if command.is_empty() || command.starts_with("::") {
        return Next::Line(0);
    }
    let (name, rest) = name_and_rest(command);
    let lower = name.replace('\\', "/").to_lowercase();
    let program = lower.rsplit('/').next().unwrap_or_default();
    let program = program.strip_suffix(".exe").unwrap_or(program);
    let arguments = words(rest);
    let code = match program {
        "rem" | "setlocal" | "endlocal" | "chcp" | "title" => 0,
        "echo" | "echo." => {
            echo(session, rest);
            0
        }
        "exit" => {
            let code = arguments.iter().find_map(|word| word.parse().ok());
            let code = code.unwrap_or_else(|| last_code(session));
            return Next::Exit(code);
        }
        "set" => set(session, rest),
        "cmd" => return Next::Line(cmd(session, rest).await),
        "call" => return Box::pin(run_command(session, rest)).await,
        "powershell" | "pwsh" => powershell::start(session, rest).await,
        "shutdown" => shutdown(session, &arguments),
        "winrm" => configure(session, command).await,
        "timeout" | "ping" => sleep(session, &arguments).await,
        "hostname" => {
            let name = session.computer.hostname().to_owned();
            session.say(&name);
            0
        }
        "whoami" => {
            let name = format!("{}\\administrator", session.computer.hostname());
            session.say(&name.to_lowercase());
            0
        }
        "ver" => {
            session.say("\r\nMicrosoft Windows [Version 10.0.20348.0]");
            0
        }
        "net" | "sc" | "netsh" | "reg" | "schtasks" | "wmic" => 0,
        "cd" | "chdir" | "pushd" => change_directory(session, &arguments),
        "dir" | "type" | "del" | "erase" | "mkdir" | "md" | "rmdir" | "rd" | "copy" | "if" => {
            return on_files(session, program, rest, &arguments).await;
        }
        _ => return Next::Line(start(session, &name).await),
    };
    Next::Line(code)
}

/// The first word, with or without quotes, and the rest as it stands.
fn name_and_rest(command: &str) -> (String, &str) {
    if let Some((name, rest)) = command
        .strip_prefix('"')
        .and_then(|rest| rest.split_once('"'))
    {
        return (name.to_owned(), rest.trim());
    }
    if command.to_lowercase().starts_with("echo.") {
        return ("echo.".to_owned(), &command[5..]);
    }
    let end = command.find(char::is_whitespace).unwrap_or(command.len());
    (command[..end].to_owned(), command[end..].trim())
}

fn echo(session: &mut Session, rest: &str) {
    if matches!(rest.to_lowercase().as_str(), "on" | "off") {
        return;
    }
    session.say(&rest.replace("^", ""));
}

fn set(session: &mut Session, rest: &str) -> i32 {
    let text = rest.strip_prefix('"').unwrap_or(rest);
    let text = text.strip_suffix('"').unwrap_or(text);
    match text.split_once('=') {
        Some((name, value)) => {
            session.set(name, value);
            0
        }
        None => {
            let prefix = text.to_uppercase();
            let known = session.variables.iter();
            let known = known.filter(|(name, _)| name.starts_with(&prefix));
            let lines: Vec<_> = known
                .map(|(_, (name, value))| format!("{name}={value}"))
                .collect();
            lines.iter().for_each(|line| session.say(line));
            i32::from(lines.is_empty())
        }
    }
}

/// `cmd /c LINE`.
async fn cmd(session: &mut Session, rest: &str) -> i32 {
    let lower = rest.to_lowercase();
    let Some(at) = lower.find("/c") else {
        return 0;
    };
    let line = rest[at + 2..].trim();
    // Quotes around the whole line are taken off.
    let inner = line
        .strip_prefix('"')
        .and_then(|line| line.strip_suffix('"'))
        .filter(|line| line.matches('"').count() != 1)
        .filter(|_| line.starts_with("\"\"") || line.matches('"').count() == 2);
    session.nested(inner.unwrap_or(line)).await
}

fn shutdown(session: &mut Session, arguments: &[String]) -> i32 {
    let lower: Vec<_> = arguments.iter().map(|word| word.to_lowercase()).collect();
    let has = |letter: &str| {
        let forms = [format!("/{letter}"), format!("-{letter}")];
        lower.iter().any(|word| forms.contains(word))
    };
    if has("a") {
        return session.call_shutdown_off();
    }
    let at = lower.iter().position(|word| word == "/t" || word == "-t");
    let seconds = at.and_then(|at| lower.get(at + 1)?.parse().ok());
    let after = Duration::from_secs(seconds.unwrap_or(30));
    match (has("r"), has("s")) {
        (true, _) => session.shutdown(Shutdown::Restart, after),
        (_, true) => session.shutdown(Shutdown::PowerOff, after),
        _ => 0,
    }
}

async fn configure(session: &mut Session, command: &str) -> i32 {
    let computer = std::sync::Arc::clone(&session.computer);
    computer.configure(command).await;
    0
}

async fn sleep(session: &mut Session, arguments: &[String]) -> i32 {
    let seconds = arguments.iter().find_map(|word| word.parse().ok());
    session
        .sleep(Duration::from_secs(seconds.unwrap_or(1)))
        .await;
    0
}

fn change_directory(session: &mut Session, arguments: &[String]) -> i32 {
    let target = arguments.iter().find(|word| !word.starts_with('/'));
    let Some(target) = target else {
        let here = files::shown(&session.directory);
        session.say(&here);
        return 0;
    };
    let path = session.path(target);
    if session.computer.files(|files| files.list(&path)).is_none() {
        session.complain("The system cannot find the path specified.");
        return 1;
    }
    session.directory = path;
    0
}

async fn on_files(session: &mut Session, program: &str, rest: &str, arguments: &[String]) -> Next {
    let is_switch = |word: &&String| word.starts_with('/') && word.len() <= 3;
    let paths: Vec<_> = arguments.iter().filter(|word| !is_switch(word)).collect();
    let paths: Vec<_> = paths.iter().map(|path| session.path(path)).collect();
    let code = match (program, paths.as_slice()) {
        ("if", _) => return condition(session, rest).await,
        ("dir", paths) => {
            let here = session.directory.clone();
            let path = paths.first().unwrap_or(&here).clone();
            not_found(session.show_directory(&path), session)
        }
        ("type", [path, ..]) => {
            let content = session.computer.files(|files| files.read(path));
            let is_there = content.is_some();
            session.write(&content.unwrap_or_default());
            not_found(is_there, session)
        }
        ("copy", [from, to]) => {
            let copied = session.computer.files(|files| {
                let content = files.read(from)?;
                files.write(to, content.to_vec()).ok()
            });
            not_found(copied.is_some(), session)
        }
        ("mkdir" | "md", paths) => {
            let make = |path: &String| session.computer.files(|files| files.create_directory(path));
            paths.iter().for_each(make);
            0
        }
        // As Windows has it, a missing file is no error.
        ("del" | "erase" | "rmdir" | "rd", paths) => {
            for path in paths {
                session.computer.files(|files| files.remove(path));
            }
            0
        }
        _ => {
            session.complain("The syntax of the command is incorrect.");
            1
        }
    };
    Next::Line(code)
}

fn not_found(is_there: bool, session: &mut Session) -> i32 {
    if !is_there {
        session.complain("The system cannot find the file specified.");
    }
    i32::from(!is_there)
}

/// `if [not] exist PATH COMMAND`, `if [not] A==B COMMAND`.
async fn condition(session: &mut Session, rest: &str) -> Next {
    let lower = rest.to_lowercase();
    let is_not = lower.starts_with("not ");
    let rest = if is_not { rest[4..].trim_start() } else { rest };
    let (holds, command) = match rest.to_lowercase().starts_with("exist ") {
        true => {
            let (path, command) = name_and_rest(rest[6..].trim_start());
            let path = session.path(&path);
            (session.computer.files(|files| files.exists(&path)), command)
        }
        false => {
            let (test, command) = name_and_rest(rest);
            let (left, right) = test.split_once("==").unwrap_or((&test, ""));
            (left == right, command)
        }
    };
    match holds != is_not {
        true => Box::pin(run_command(session, command)).await,
        false => Next::Line(0),
    }
}

fn last_code(session: &Session) -> i32 {
    let code = session.get("ERRORLEVEL");
    code.and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// Starts what is no command of `cmd`: a batch file, or nothing that is known.
async fn start(session: &mut Session, name: &str) -> i32 {
    let path = session.path(name);
    let candidates = [path.clone(), format!("{path}.bat"), format!("{path}.cmd")];
    let is_batch = |path: &&String| {
        let lower = path.to_lowercase();
        lower.ends_with(".bat") || lower.ends_with(".cmd")
    };
    for candidate in candidates.iter().filter(is_batch) {
        if let Some(content) = session.computer.files(|files| files.read(candidate)) {
            return batch(session, &String::from_utf8_lossy(&content)).await;
        }
    }
    let unknown = format!(
        "'{name}' is not recognized as an internal or external command,\r\noperable program or \
         batch file."
    );
    session.complain(&unknown);
    1
}

/// Runs a batch file; unless it says `@echo off` each line is shown first.
async fn batch(session: &mut Session, text: &str) -> i32 {
    let mut shows = true;
    let mut code = 0;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        session.set("ERRORLEVEL", &code.to_string());
        if shows && !line.starts_with('@') {
            let prompt = format!("\r\n{}>{line}", files::shown(&session.directory));
            session.say(&prompt);
        }
        match line.trim_start_matches('@').to_lowercase().as_str() {
            "echo off" => shows = false,
            "echo on" => shows = true,
            _ => {}
        }
        let line = session.expanded(line);
        match Box::pin(run_commands(session, &line)).await {
            Next::Line(of_line) => code = of_line,
            Next::Exit(code) => return code,
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_outside_quotes() {
        let line = "set \"A=1 & 2\" && echo x > f 2>&1 & dir || exit";
        let expected = [
            ("&", "set \"A=1 & 2\" "),
            ("&&", " echo x > f 2>&1 "),
            ("&", " dir "),
            ("||", " exit"),
        ];
        assert_eq!(split(line), expected);
    }

    #[test]
    fn redirections_are_found_outside_quotes() {
        let (command, redirection) = redirection("echo \"a > b\" >> \"C:\\x y\" 2>&1");
        let redirection = redirection.unwrap();
        assert_eq!(command, "echo \"a > b\"");
        assert_eq!(redirection.target, "C:\\x y");
        assert!(redirection.appends && redirection.joins);
    }
}
