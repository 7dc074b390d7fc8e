//! QEMU's control socket.
//!
//! JSON lines over a Unix socket: a greeting, `qmp_capabilities`, then
//! commands with answers; events in between are passed over. Source of facts:
//! QEMU's "QMP protocol specification" and "QMP reference manual".

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::error::{Error, Kind, Result};

/// How long QEMU may take to answer: its own time, which no clock scales.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// A longer line is no answer.
const LONGEST_LINE: usize = 4 << 20;

/// A connection in command mode.
pub(super) struct Qmp {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Qmp {
    /// Connects and leaves negotiation mode.
    ///
    /// # Errors
    /// When nobody listens or the peer is no QEMU.
    pub(super) async fn connect(path: &Path) -> Result<Self> {
        let stream = UnixStream::connect(path)
            .await
            .map_err(|error| failed("connect to", error))?;
        let (reader, writer) = stream.into_split();
        let mut qmp = Self {
            reader: BufReader::new(reader),
            writer,
        };
        limited(qmp.greeting()).await?;
        qmp.execute("qmp_capabilities", json!({})).await?;
        Ok(qmp)
    }

    /// Runs a command and gives what it returns.
    ///
    /// # Errors
    /// When QEMU refuses it, or is gone.
    pub(super) async fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let mut line = json!({"execute": command, "arguments": arguments}).to_string();
        line.push('\n');
        let answer = async {
            self.writer
                .write_all(line.as_bytes())
                .await
                .map_err(|error| failed("write to", error))?;
            loop {
                let mut message = self.message().await?;
                if let Some(value) = message.get_mut("return") {
                    return Ok(value.take());
                }
                if let Some(error) = message.get("error") {
                    return Err(refused(command, error));
                }
            }
        };
        limited(answer).await
    }

    /// Events that nobody heard since the last connection may come first.
    async fn greeting(&mut self) -> Result<()> {
        loop {
            let message = self.message().await?;
            if message.get("QMP").is_some() {
                return Ok(());
            }
            if message.get("event").is_none() {
                let message = "What listens at QEMU's control socket is not QEMU";
                return Err(Error::new(Kind::Io, message));
            }
        }
    }

    async fn message(&mut self) -> Result<Value> {
        let mut line = Vec::new();
        loop {
            let part = self
                .reader
                .fill_buf()
                .await
                .map_err(|error| failed("read from", error))?;
            let end = part.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(part.len(), |end| end + 1);
            if taken == 0 || line.len() + taken > LONGEST_LINE {
                let error = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                return Err(failed("read from", error));
            }
            line.extend_from_slice(&part[..taken]);
            self.reader.consume(taken);
            if end.is_some() {
                break;
            }
        }
        serde_json::from_slice(&line).map_err(|error| {
            let message = "QEMU's control socket gave no JSON";
            Error::new(Kind::Io, message).with_source(error)
        })
    }
}

async fn limited<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(ANSWER_LIMIT, answer)
        .await
        .unwrap_or_else(|_| {
            let message = format!("QEMU did not answer within {ANSWER_LIMIT:?}");
            Err(Error::new(Kind::Timeout, message))
        })
}

fn failed(verb: &str, error: std::io::Error) -> Error {
    Error::new(Kind::Io, format!("Cannot {verb} QEMU's control socket")).with_source(error)
}

fn refused(command: &str, error: &Value) -> Error {
    let reason = error["desc"].as_str().unwrap_or("no reason was given");
    Error::new(Kind::Io, format!("QEMU refused `{command}`: {reason}"))
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    /// Answers each line with the next of the given ones.
    async fn serve(listener: UnixListener, greeting: &str, answers: &[&str]) -> Vec<Value> {
        let (stream, _) = listener.accept().await.unwrap();
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        writer.write_all(greeting.as_bytes()).await.unwrap();
        let mut asked = Vec::new();
        for answer in answers {
            let line = lines.next_line().await.unwrap().unwrap();
            asked.push(serde_json::from_str(&line).unwrap());
            writer.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    }

    async fn talk(greeting: &str, answers: &[&str], command: &str) -> (Result<Value>, Vec<Value>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("qmp");
        let listener = UnixListener::bind(&path).unwrap();
        let client = async {
            let mut qmp = Qmp::connect(&path).await?;
            qmp.execute(command, json!({"a": 1})).await
        };
        tokio::join!(client, serve(listener, greeting, answers))
    }

    const GREETING: &str = "{\"QMP\":{}}\n";
    const READY: &str = "{\"return\":{}}\n";

    #[tokio::test]
    async fn events_are_passed_over() {
        let answer = "{\"event\":\"RESET\"}\n{\"return\":{\"running\":true}}\n";
        let greeting = format!("{{\"event\":\"VNC_CONNECTED\"}}\n{GREETING}");
        let (outcome, asked) = talk(&greeting, &[READY, answer], "query-status").await;
        assert_eq!(outcome.unwrap(), json!({"running": true}));
        assert_eq!(asked[0]["execute"], "qmp_capabilities");
        assert_eq!(asked[1]["arguments"], json!({"a": 1}));
    }

    #[tokio::test]
    async fn refusals_and_strangers_are_errors() {
        let refusal = "{\"error\":{\"class\":\"GenericError\",\"desc\":\"no such thing\"}}\n";
        let (outcome, _) = talk(GREETING, &[READY, refusal], "x").await;
        assert_eq!(
            outcome.unwrap_err().message(),
            "QEMU refused `x`: no such thing"
        );
        let (outcome, _) = talk("{}\n", &[], "x").await;
        assert!(outcome.unwrap_err().message().contains("not QEMU"));
        let (outcome, _) = talk("SSH-2.0\n", &[], "x").await;
        assert!(outcome.unwrap_err().message().contains("no JSON"));
    }
}
