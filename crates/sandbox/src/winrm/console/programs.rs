//! Scripts that say more than the interpreter understands, known by the classes
//! they use: those that receive files, send one, or run a scheduled task. Each
//! is done as the script says it.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::Session;
use crate::winrm::computer::USER;
use crate::winrm::files::absolute;

/// Accounts that log on without a password.
const SERVICE_ACCOUNTS: [&str; 4] = [
    "system",
    "nt authority\\system",
    "nt authority\\local service",
    "nt authority\\network service",
];

/// A script that is known.
enum Program {
    ReceiveFiles,
    RestoreFile,
    EncodeFile,
    SendFile,
    RunTask,
}

/// Whether a script is known.
pub(super) fn knows(script: &str) -> bool {
    recognize(script).is_some()
}

/// Runs a script if it is known: its exit code, or what went wrong in it.
pub(super) async fn run(session: &mut Session, script: &str) -> Option<Result<i32, String>> {
    Some(match recognize(script)? {
        Program::ReceiveFiles => receive_files(session).await.map(|()| 0),
        Program::RestoreFile => restore_file(session, script).map(|()| 0),
        Program::EncodeFile => encode_file(session, script).map(|()| 0),
        Program::SendFile => send_file(session, script).map(|()| 0),
        Program::RunTask => Ok(run_task(session, script).await),
    })
}

fn recognize(script: &str) -> Option<Program> {
    let uses = |parts: &[&str]| parts.iter().all(|part| script.contains(part));
    if uses(&[
        "process {",
        "::FromBase64String(",
        "[System.IO.File]::Create(",
    ]) {
        Some(Program::ReceiveFiles)
    } else if uses(&["::OpenText(", "::OpenWrite(", "::FromBase64String("]) {
        Some(Program::RestoreFile)
    } else if uses(&["::ReadAllBytes(\"", "::ToBase64String("]) {
        Some(Program::EncodeFile)
    } else if uses(&["::ToBase64String(", "[System.IO.File]::Open("]) {
        Some(Program::SendFile)
    } else if uses(&["Schedule.Service", "RegisterTaskDefinition"]) {
        Some(Program::RunTask)
    } else {
        None
    }
}

/// Lines of standard input until its end.
struct Lines {
    buffer: VecDeque<u8>,
    at_end: bool,
}

impl Lines {
    async fn next(&mut self, session: &mut Session) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line).trim().to_owned());
            }
            if self.at_end {
                let rest: Vec<u8> = self.buffer.drain(..).collect();
                let rest = String::from_utf8_lossy(&rest).trim().to_owned();
                return (!rest.is_empty()).then_some(rest);
            }
            match session.input.recv().await {
                Some(bytes) => self.buffer.extend(bytes),
                None => self.at_end = true,
            }
        }
    }
}

async fn receive_files(session: &mut Session) -> Result<(), String> {
    let mut lines = Lines {
        buffer: VecDeque::new(),
        at_end: false,
    };
    let mut sum = Sha256::new();
    let mut open: Option<(String, Vec<u8>)> = None;
    while let Some(line) = lines.next(session).await {
        match line.split_at_checked(1) {
            Some((mark @ (">" | ":"), path)) => {
                close(session, open.take())?;
                let path = String::from_utf8_lossy(&decoded(path)?).into_owned();
                let path = session.path(&path);
                if mark == ":" {
                    session
                        .computer
                        .files(|files| files.create_directory(&path));
                } else {
                    let parent = absolute(&format!("{path}/.."), "C:");
                    session
                        .computer
                        .files(|files| files.create_directory(&parent));
                    open = Some((path, Vec::new()));
                }
            }
            Some(_) => {
                let bytes = decoded(&line)?;
                sum.update(&bytes);
                let (_, content) = open
                    .as_mut()
                    .ok_or("You cannot call a method on a null-valued expression.")?;
                content.extend(bytes);
            }
            None => {}
        }
    }
    close(session, open)?;
    let sum: String = sum
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    session.say(&sum);
    Ok(())
}

fn decoded(text: &str) -> Result<Vec<u8>, String> {
    let invalid = |_| "Invalid length for a Base-64 char array or string.".to_owned();
    STANDARD.decode(text).map_err(invalid)
}

fn close(session: &mut Session, file: Option<(String, Vec<u8>)>) -> Result<(), String> {
    let Some((path, content)) = file else {
        return Ok(());
    };
    session.computer.files(|files| files.write(&path, content))
}

/// Packer's way: lines of base64 in one file become another file.
fn restore_file(session: &mut Session, script: &str) -> Result<(), String> {
    let mut paths = script.split("GetFullPath(\"").skip(1);
    let mut path = || paths.next()?.split_once('"').map(|(path, _)| path);
    let (from, to) = (path().unwrap_or_default(), path().unwrap_or_default());
    let temporary = session.get("TEMP").unwrap_or_default().to_owned();
    let from = session.path(&from.replace("$env:TEMP", &temporary));
    let to = session.path(to.trim_matches('\''));
    let lines = session.computer.files(|files| files.read(&from));
    let lines = String::from_utf8_lossy(lines.as_deref().map_or(&[], Vec::as_slice)).into_owned();
    let mut content = Vec::new();
    for line in lines.lines() {
        content.extend(decoded(line.trim())?);
    }
    let parent = absolute(&format!("{to}/.."), "C:");
    session.computer.files(|files| {
        files.create_directory(&parent);
        files.write(&to, content)
    })
}

/// Packer's way: all of a file as one line of base64.
fn encode_file(session: &mut Session, script: &str) -> Result<(), String> {
    let path = between(script, "ReadAllBytes(\"", "\")").unwrap_or_default();
    let full = session.path(path);
    let content = session.computer.files(|files| files.read(&full));
    let content = content.ok_or_else(|| format!("Could not find file '{path}'."))?;
    session.say(&STANDARD.encode(content.as_slice()));
    Ok(())
}

fn send_file(session: &mut Session, script: &str) -> Result<(), String> {
    let path = between(script, "FromBase64String('", "')").unwrap_or_default();
    let path = String::from_utf8_lossy(&decoded(path)?).into_owned();
    let full = session.path(&path);
    let content = session.computer.files(|files| files.read(&full));
    let content = content.ok_or_else(|| format!("Could not find file '{path}'."))?;
    for chunk in content.chunks(3 * 16_000) {
        session.say(&STANDARD.encode(chunk));
    }
    Ok(())
}

async fn run_task(session: &mut Session, script: &str) -> i32 {
    let literal = |text: &str| text.replace("''", "'");
    let user = between(script, "$definition, 6, '", "', $password");
    let user = literal(user.unwrap_or_default());
    let password = literal(between(script, "$password = '", "'\n").unwrap_or_default());
    let is_service = SERVICE_ACCOUNTS.contains(&user.to_lowercase().as_str());
    let name = user.rsplit('\\').next().unwrap_or_default();
    let is_known =
        name.eq_ignore_ascii_case(USER) && session.computer.password() == Some(password.as_str());
    if !is_service && !is_known {
        session.complain(&format!(
            "The task of {user} could not be made: The user name or password is incorrect."
        ));
        return 1;
    }
    let arguments = between(script, "<Arguments>", "</Arguments>").unwrap_or_default();
    let arguments = quick_xml::escape::unescape(arguments).unwrap_or_default();
    let before = session.get("USERNAME").unwrap_or_default().to_owned();
    session.set("USERNAME", name);
    let code = session.nested(&format!("cmd {arguments}")).await;
    session.set("USERNAME", &before);
    let log = arguments.rsplit_once('>').map_or("", |(before, _)| before);
    let log = log.trim_end_matches("2").trim_end();
    let log = log.rsplit_once('>').map_or("", |(_, log)| log);
    let log = session.path(log);
    let said = session.computer.files(|files| {
        let said = files.read(&log);
        files.remove(&log);
        said
    });
    session.write(&said.unwrap_or_default());
    code
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(found, _)| found)
}
