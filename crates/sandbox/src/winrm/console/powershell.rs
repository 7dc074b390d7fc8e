//! The part of PowerShell that provisioning scripts use most: statements,
//! `if`, `try`, variables, strings, script files, and a few cmdlets.
//!
//! What it does not know is an error, as an unknown command is in PowerShell:
//! said, and passed over unless `$ErrorActionPreference` is `Stop`. Facts:
//! about_Parsing, about_Try_Catch_Finally, about_Automatic_Variables.

mod cmdlets;
mod syntax;

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use self::cmdlets::{native, pipeline};
use self::syntax::{assignment, bracketed, cut, statements};
use super::{Session, Target, programs};

/// How a statement ends.
enum Flow {
    Next,
    Return,
    Exit(i32),
    Thrown(String),
}

/// What a script knows.
struct Scope {
    /// By lower-case name, without those of the environment.
    variables: BTreeMap<String, String>,
    last_exit_code: Option<i32>,
    succeeded: bool,
    /// Errors of `-EncodedCommand`, which come as XML.
    as_xml: Option<Vec<String>>,
}

/// `powershell ARGUMENTS`.
pub(super) async fn start(session: &mut Session, arguments: &str) -> i32 {
    let (source, is_encoded) = match parse(arguments) {
        Ok(parsed) => parsed,
        Err(why) => {
            session.complain(&why);
            return 1;
        }
    };
    let computer = Arc::clone(&session.computer);
    if let Some(pwsh) = computer.pwsh().filter(|_| !is_known(session, &source)) {
        return pwsh.run(session, &command(session, &source)).await;
    }
    interpret(session, source, is_encoded).await
}

/// Whether a script is one of those that need more than a shell.
fn is_known(session: &Session, source: &Source) -> bool {
    match source {
        Source::Text(text) => programs::knows(text),
        Source::File(path) => {
            let path = session.path(path);
            let content = session.computer.files(|files| files.read(&path));
            content.is_some_and(|content| programs::knows(&String::from_utf8_lossy(&content)))
        }
    }
}

/// What `-Command` gets to do the same.
fn command(session: &Session, source: &Source) -> String {
    match source {
        Source::Text(text) => text.clone(),
        Source::File(path) => {
            let path = session.path(path).replace('\'', "''");
            format!("& '{path}'; exit $LASTEXITCODE")
        }
    }
}

async fn interpret(session: &mut Session, source: Source, is_encoded: bool) -> i32 {
    let mut scope = Scope {
        variables: BTreeMap::new(),
        last_exit_code: None,
        succeeded: true,
        as_xml: is_encoded.then(Vec::new),
    };
    let flow = match source {
        Source::File(path) => {
            let flow = run_file(session, &mut scope, &path).await;
            match flow {
                Flow::Next => Flow::Exit(scope.last_exit_code.take().unwrap_or(0)),
                other => other,
            }
        }
        Source::Text(text) => match programs::run(session, &text).await {
            Some(Ok(code)) => Flow::Exit(code),
            Some(Err(error)) => Flow::Thrown(error),
            None => run(session, &mut scope, &text).await,
        },
    };
    let code = match flow {
        Flow::Exit(code) => code,
        Flow::Thrown(error) => {
            scope.error(session, &error);
            1
        }
        Flow::Next | Flow::Return => i32::from(!scope.succeeded),
    };
    scope.show_xml(session);
    code
}

enum Source {
    Text(String),
    File(String),
}

/// Where the script is, and whether it was encoded.
fn parse(arguments: &str) -> Result<(Source, bool), String> {
    let mut rest = arguments.trim();
    loop {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, after) = (&rest[..end], rest[end..].trim_start());
        let Some(option) = word.strip_prefix(['-', '/']) else {
            return Ok((Source::Text(unquoted(rest)), false));
        };
        let option = option.to_lowercase();
        let value_end = after.find(char::is_whitespace).unwrap_or(after.len());
        match option.as_str() {
            "e" | "ec" | "enc" | "encodedcommand" => {
                return Ok((Source::Text(decoded(&after[..value_end])?), true));
            }
            "f" | "file" => return Ok((Source::File(unquoted(after)), false)),
            "c" | "command" => return Ok((Source::Text(unquoted(after)), false)),
            "noprofile" | "nop" | "noninteractive" | "nologo" | "sta" | "mta" => rest = after,
            _ => rest = after[value_end..].trim_start(),
        }
    }
}

fn decoded(text: &str) -> Result<String, String> {
    let bytes = STANDARD.decode(text.trim_matches('"'));
    let bytes = bytes.map_err(|_| "Cannot process the command: it is not base64.".to_owned())?;
    let (pairs, _) = bytes.as_chunks::<2>();
    let units: Vec<_> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    Ok(String::from_utf16_lossy(&units))
}

fn unquoted(text: &str) -> String {
    let inner = text
        .trim()
        .strip_prefix('"')
        .and_then(|it| it.strip_suffix('"'));
    inner.unwrap_or(text).replace("\\\"", "\"")
}

impl Scope {
    fn error(&mut self, session: &mut Session, text: &str) {
        match &mut self.as_xml {
            Some(errors) => errors.push(text.to_owned()),
            None => session.complain(text),
        }
    }

    fn show_xml(&mut self, session: &mut Session) {
        let errors = self.as_xml.take().unwrap_or_default();
        if errors.is_empty() {
            return;
        }
        let errors = errors.iter().map(|error| {
            let error = quick_xml::escape::escape(error.as_str());
            format!("<S S=\"Error\">{error}_x000D__x000A_</S>")
        });
        session.complain("#< CLIXML");
        session.complain(&format!(
            "<Objs Version=\"1.1.0.1\" \
             xmlns=\"http://schemas.microsoft.com/powershell/2004/04\">{}</Objs>",
            errors.collect::<String>()
        ));
    }

    /// An error that stops the script only if it wants that.
    fn failed(&mut self, session: &mut Session, error: String) -> Flow {
        self.succeeded = false;
        let preference = self.variables.get("erroractionpreference");
        if preference.is_some_and(|it| it.eq_ignore_ascii_case("stop")) {
            return Flow::Thrown(error);
        }
        self.error(session, &error);
        Flow::Next
    }
}

async fn run_file(session: &mut Session, scope: &mut Scope, path: &str) -> Flow {
    let full = session.path(path);
    let content = session.computer.files(|files| files.read(&full));
    let Some(content) = content else {
        let error = format!(
            "The term '{path}' is not recognized as the name of a cmdlet, function, script file, \
             or operable program."
        );
        return scope.failed(session, error);
    };
    let text = String::from_utf8_lossy(&content).into_owned();
    let text = text.trim_start_matches('\u{feff}');
    if let Some(done) = Box::pin(programs::run(session, text)).await {
        return match done {
            Ok(code) => {
                scope.last_exit_code = Some(code);
                Flow::Next
            }
            Err(error) => Flow::Thrown(error),
        };
    }
    match run(session, scope, text).await {
        // `exit` in a script file ends that file.
        Flow::Exit(code) => {
            scope.last_exit_code = Some(code);
            Flow::Next
        }
        Flow::Return => Flow::Next,
        other => other,
    }
}

async fn run(session: &mut Session, scope: &mut Scope, text: &str) -> Flow {
    for statement in statements(text) {
        match Box::pin(run_statement(session, scope, &statement)).await {
            Flow::Next => {}
            other => return other,
        }
    }
    Flow::Next
}

async fn run_statement(session: &mut Session, scope: &mut Scope, statement: &str) -> Flow {
    let statement = statement.trim();
    let word_end = statement
        .find(|letter: char| !letter.is_alphanumeric() && letter != '-')
        .unwrap_or(statement.len());
    let (word, rest) = statement.split_at(word_end);
    match word.to_lowercase().as_str() {
        "if" => return conditional(session, scope, rest).await,
        "try" => return attempt(session, scope, rest).await,
        "return" => return Flow::Return,
        "throw" => return Flow::Thrown(value(session, scope, rest).await),
        "exit" => {
            let code = value(session, scope, rest).await;
            return Flow::Exit(code.parse().unwrap_or(0));
        }
        _ => {}
    }
    if let Some((name, expression)) = assignment(statement) {
        let value = value(session, scope, expression).await;
        match name.strip_prefix("env:") {
            Some(name) => session.set(name, &value),
            None => drop(scope.variables.insert(name, value)),
        }
        return Flow::Next;
    }
    match statement.split_at_checked(1) {
        Some(("&" | ".", rest)) if !rest.starts_with(['\\', '/']) => {
            return call(session, scope, rest.trim()).await;
        }
        Some(("$" | "'" | "\"" | "(", _)) => {
            let text = value(session, scope, statement).await;
            if !text.is_empty() {
                session.say(&text);
            }
            return Flow::Next;
        }
        _ => {}
    }
    pipeline(session, scope, statement).await
}

/// `& { block }`, `& 'file'`, `. file`.
async fn call(session: &mut Session, scope: &mut Scope, target: &str) -> Flow {
    if let Some((block, _)) = bracketed(target).filter(|_| target.starts_with('{')) {
        return run(session, scope, block).await;
    }
    let words = cut(target, &[' ']);
    let path = value(session, scope, words.first().unwrap_or(&"")).await;
    if path.to_lowercase().ends_with(".ps1") {
        return run_file(session, scope, &path).await;
    }
    native(session, scope, target.trim_matches(['\'', '"'])).await
}

async fn conditional(session: &mut Session, scope: &mut Scope, text: &str) -> Flow {
    let parts = bracketed(text).and_then(|(condition, rest)| {
        let (block, rest) = bracketed(rest)?;
        Some((condition, block, rest))
    });
    let Some((condition, block, rest)) = parts else {
        return Flow::Thrown("Missing condition or block after 'if'.".to_owned());
    };
    if holds(session, scope, condition).await {
        return run(session, scope, block).await;
    }
    let lower = rest.to_lowercase();
    if lower.starts_with("elseif") {
        return Box::pin(conditional(session, scope, &rest[6..])).await;
    }
    match rest.get(4..).and_then(bracketed) {
        Some((block, _)) if lower.starts_with("else") => run(session, scope, block).await,
        _ => Flow::Next,
    }
}

async fn attempt(session: &mut Session, scope: &mut Scope, text: &str) -> Flow {
    let Some((block, rest)) = bracketed(text) else {
        return Flow::Thrown("Missing block after 'try'.".to_owned());
    };
    let flow = run(session, scope, block).await;
    let handler = rest.get(5..).and_then(bracketed);
    match (flow, handler) {
        (Flow::Thrown(error), Some((handler, _))) if rest.starts_with("catch") => {
            scope.variables.insert("_".to_owned(), error);
            run(session, scope, handler).await
        }
        (flow, _) => flow,
    }
}

async fn holds(session: &mut Session, scope: &mut Scope, condition: &str) -> bool {
    let condition = condition.trim();
    let lower = condition.to_lowercase();
    if let Some(rest) = lower.strip_prefix("-not").or(lower.strip_prefix('!')) {
        let rest = &condition[condition.len() - rest.len()..];
        return !Box::pin(holds(session, scope, rest)).await;
    }
    if let Some((inner, "")) = bracketed(condition) {
        return Box::pin(holds(session, scope, inner)).await;
    }
    for (operator, wanted) in [(" -eq ", true), (" -ne ", false)] {
        if let Some(at) = lower.find(operator) {
            let left = value(session, scope, &condition[..at]).await;
            let right = value(session, scope, &condition[at + operator.len()..]).await;
            return left.eq_ignore_ascii_case(&right) == wanted;
        }
    }
    if lower.starts_with("test-path") {
        let words = arguments(session, scope, &condition[9..]).await;
        let path = words.iter().find(|word| !word.starts_with('-'));
        return path.is_some_and(|path| exists(session, path));
    }
    let text = value(session, scope, condition).await;
    !matches!(text.to_lowercase().as_str(), "" | "0" | "false")
}

/// Whether there is a file, a variable, or a key of the registry: there are
/// none of those.
fn exists(session: &Session, path: &str) -> bool {
    let lower = path.to_lowercase();
    if let Some(name) = lower.strip_prefix("env:") {
        return session.get(name).is_some();
    }
    if lower.starts_with("variable:") || lower.starts_with("hk") && lower.contains(':') {
        return lower.starts_with("variable:global:progresspreference");
    }
    let full = session.path(path);
    session.computer.files(|files| files.exists(&full))
}

/// The value of an expression, as text.
async fn value(session: &mut Session, scope: &mut Scope, expression: &str) -> String {
    let expression = expression.trim();
    if let Some((format, argument)) = expression.split_once("\" -f ") {
        let format = format.trim_start_matches('"');
        let argument = match argument.contains("GetHostName()") {
            true => session.computer.hostname().to_owned(),
            false => Box::pin(value(session, scope, argument)).await,
        };
        return format.replace("{0}", &argument);
    }
    if let Some(inner) = expression
        .strip_prefix('\'')
        .and_then(|it| it.strip_suffix('\''))
    {
        return inner.replace("''", "'");
    }
    if let Some(inner) = expression
        .strip_prefix('"')
        .and_then(|it| it.strip_suffix('"'))
    {
        return interpolated(session, scope, inner).await;
    }
    if let Some((inner, "")) = bracketed(expression) {
        return Box::pin(captured(session, scope, inner)).await;
    }
    if expression.starts_with('$') {
        return interpolated(session, scope, expression).await;
    }
    expression.replace('`', "")
}

/// What a command says, without its last line end.
async fn captured(session: &mut Session, scope: &mut Scope, text: &str) -> String {
    let before = std::mem::replace(&mut session.out, Target::Collected(Vec::new()));
    // An error is said; what is missing shows in the value.
    let _ = run(session, scope, text).await;
    match std::mem::replace(&mut session.out, before) {
        Target::Collected(said) => String::from_utf8_lossy(&said).trim_end().to_owned(),
        Target::Console => String::new(),
    }
}

/// Fills variables and `$(…)` in, and undoes escapes.
async fn interpolated(session: &mut Session, scope: &mut Scope, text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['$', '`', '"']) {
        out.push_str(&rest[..at]);
        let mark = &rest[at..=at];
        rest = &rest[at + 1..];
        match mark {
            "`" => {
                let letter = rest.chars().next().unwrap_or('`');
                out.push(match letter {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    other => other,
                });
                rest = rest.get(letter.len_utf8()..).unwrap_or_default();
            }
            // Two quotes are one.
            "\"" => {
                out.push('"');
                rest = rest.strip_prefix('"').unwrap_or(rest);
            }
            _ => match bracketed(rest).filter(|_| rest.starts_with(['(', '{'])) {
                Some((inner, _)) => {
                    let is_name = rest.starts_with('{');
                    rest = &rest[inner.len() + 2..];
                    out += &match is_name {
                        true => variable(session, scope, inner),
                        false => Box::pin(captured(session, scope, inner)).await,
                    };
                }
                None => {
                    let is_name = |letter: char| {
                        letter.is_alphanumeric() || matches!(letter, '_' | ':' | '?')
                    };
                    let end = rest.find(|letter| !is_name(letter)).unwrap_or(rest.len());
                    out += &variable(session, scope, &rest[..end]);
                    rest = &rest[end..];
                }
            },
        }
    }
    out + rest
}

fn variable(session: &Session, scope: &Scope, name: &str) -> String {
    let lower = name.to_lowercase();
    if let Some(name) = lower.strip_prefix("env:") {
        return session.get(name).unwrap_or_default().to_owned();
    }
    let name = lower.trim_start_matches("global:");
    match name {
        "true" => "True".to_owned(),
        "false" => "False".to_owned(),
        "lastexitcode" => scope
            .last_exit_code
            .map_or_else(String::new, |it| it.to_string()),
        name => scope.variables.get(name).cloned().unwrap_or_default(),
    }
}

async fn arguments(session: &mut Session, scope: &mut Scope, text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for word in cut(text.trim(), &[' ', ',', '\t']) {
        if !word.is_empty() {
            words.push(value(session, scope, word).await);
        }
    }
    words
}
