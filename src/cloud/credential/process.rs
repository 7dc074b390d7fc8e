//! Keys from an external process, as the Alibaba Cloud CLI runs it: the
//! command line is split like a shell would, but no shell runs it; standard
//! output is a profile as JSON.

use std::time::Duration;

use async_trait::async_trait;

use super::{Credential, Provider, plain};
use crate::clock::Clock;
use crate::communicator::Output;
use crate::engine::event::Stream;
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result};
use crate::process::{self, Command, Environment};

/// How long the process may take, real time; the CLI's limit.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct ExternalProcess {
    pub(super) command: String,
    pub(super) environment: Environment,
}

#[async_trait]
impl Provider for ExternalProcess {
    async fn fetch(&self) -> Result<Credential> {
        let mut words = split(&self.command)?.into_iter();
        let program = words.next().unwrap_or_default();
        let what = format!("The output of `{program}`");
        let command = Command {
            program: program.clone(),
            arguments: words.collect(),
            environment: &self.environment,
            variables: Vec::new(),
        };
        // A stop of the run drops this future, which kills the process.
        let stop = Stop::new(Clock::default());
        let mut output = Said::default();
        let run = process::run(&command, &stop, &mut output);
        let failed = |why: String| Error::new(Kind::Credentials, format!("`{program}` {why}"));
        match tokio::time::timeout(PATIENCE, run).await {
            Err(_) => Err(failed(format!("took longer than {} s", PATIENCE.as_secs()))),
            Ok(Err(error)) => Err(failed("could not provide keys".to_owned()).with_source(error)),
            Ok(Ok(0)) => plain::keys(&what, &output.stdout),
            // Its standard error could hold anything, keys too.
            Ok(Ok(code)) => Err(failed(format!("ended with {code} instead of keys"))
                .with_hint(format!("Run `{}` to see what it says", self.command))),
        }
    }
}

/// Standard output, whole.
#[derive(Default)]
struct Said {
    stdout: Vec<u8>,
}

impl Output for Said {
    fn line(&mut self, stream: Stream, line: &[u8]) {
        if stream == Stream::Stdout {
            self.stdout.extend_from_slice(line);
            self.stdout.push(b'\n');
        }
    }
}

/// Splits as a shell does: blanks, single and double quotes, backslashes.
fn split(line: &str) -> Result<Vec<String>> {
    let (mut words, mut word): (Vec<String>, Option<String>) = (Vec::new(), None);
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (None, ' ' | '\t' | '\n') => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (Some(open), _) if letter == open => quote = None,
            (None | Some('"'), '\\') => {
                let next = letters.next().unwrap_or('\\');
                let escapes = quote.is_none() || matches!(next, '"' | '\\' | '$' | '`');
                let word = word.get_or_insert_default();
                word.extend((!escapes).then_some('\\'));
                word.push(next);
            }
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    if quote.is_some() || words.is_empty() {
        let message = format!("`{line}` is not a command line");
        return Err(Error::new(Kind::Credentials, message));
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_split_as_a_shell_does() {
        let table: [(&str, &[&str]); 6] = [
            ("broker --role web", &["broker", "--role", "web"]),
            (r#"b "a b" 'c "d"' e\ f"#, &["b", "a b", r#"c "d""#, "e f"]),
            (r#"b "" ''"#, &["b", "", ""]),
            (r#"b "a\"b\n" 'a\b'"#, &["b", r#"a"b\n"#, r"a\b"]),
            ("  b\t$HOME;x ", &["b", "$HOME;x"]),
            ("/a'b c'd", &["/ab cd"]),
        ];
        for (line, words) in table {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
        assert!(split("").is_err() && split("a 'b").is_err());
    }

    fn script(text: &str) -> ExternalProcess {
        ExternalProcess {
            command: format!("/bin/sh -c '{text}'"),
            environment: Environment::for_children([("PATH", "/usr/bin:/bin")]),
        }
    }

    #[tokio::test]
    async fn a_process_prints_a_profile() {
        let keys = r#"{"mode":"StsToken","access_key_id":"STS.a","access_key_secret":"s",
            "sts_token":"t","expiration":"2026-01-02T03:04:05Z"}"#;
        let keys = script(&format!("echo \"{}\"", keys.replace('"', "\\\"")));
        let keys = keys.fetch().await.unwrap();
        assert_eq!(keys.access_key_id, "STS.a");
        assert_eq!(keys.security_token.unwrap().expose(), "t");
        assert!(keys.expiration.is_some());
    }

    #[tokio::test]
    async fn a_process_whose_keys_are_not_the_end_is_refused() {
        let role = r#"{"mode":"RamRoleArn","access_key_id":"a","access_key_secret":"s"}"#;
        let role = script(&format!("echo \"{}\"", role.replace('"', "\\\"")));
        let error = role.fetch().await.unwrap_err();
        assert_eq!(
            error.message(),
            "The output of `/bin/sh` has the mode `RamRoleArn`"
        );
    }

    #[tokio::test]
    async fn what_a_failing_process_printed_is_not_shown() {
        for text in ["echo hunter2; exit 3", "echo hunter2"] {
            let error = script(text).fetch().await.unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2 "), "{error:?}");
            assert!(error.message().contains("/bin/sh"), "{error:?}");
        }
    }
}
