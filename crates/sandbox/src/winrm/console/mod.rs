//! A console without a Windows: `cmd` and what it starts, interpreted.
//!
//! Facts: `help` of cmd.exe, the codes of `shutdown` and of unknown commands.

mod cmd;
mod powershell;
mod programs;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::computer::{
    Computer, NO_SHUTDOWN, SHUTDOWN_IN_PROGRESS, SHUTDOWN_IS_SCHEDULED, Shutdown, USER,
};
use super::files::{self, HOME};

/// Something a command said.
#[derive(Debug)]
pub(crate) enum Said {
    Out(Vec<u8>),
    Err(Vec<u8>),
}

/// Where output goes.
enum Target {
    Console,
    /// `>`: collected, then written by whoever redirected.
    Collected(Vec<u8>),
}

/// One command with its variables and streams.
pub(crate) struct Session {
    computer: Arc<Computer>,
    /// By upper-case name.
    variables: BTreeMap<String, (String, String)>,
    directory: String,
    said: Option<mpsc::UnboundedSender<Said>>,
    input: mpsc::UnboundedReceiver<Vec<u8>>,
    out: Target,
    /// Whether errors go where output goes (`2>&1`).
    joined: bool,
    /// How deep commands start others.
    depth: u32,
}

const DEEPEST: u32 = 16;

impl Session {
    pub(crate) fn new(
        computer: &Arc<Computer>,
        variables: &[(String, String)],
        directory: Option<&str>,
        input: mpsc::UnboundedReceiver<Vec<u8>>,
    ) -> Self {
        let mut session = Self {
            computer: Arc::clone(computer),
            variables: BTreeMap::new(),
            directory: files::absolute(directory.unwrap_or(HOME), HOME),
            said: None,
            input,
            out: Target::Console,
            joined: false,
            depth: 0,
        };
        for (name, value) in [
            ("COMPUTERNAME", computer.hostname()),
            ("USERNAME", USER),
            ("USERPROFILE", "C:\\Users\\Administrator"),
            ("SystemRoot", "C:\\Windows"),
            ("windir", "C:\\Windows"),
            ("SystemDrive", "C:"),
            ("TEMP", "C:\\Windows\\Temp"),
            ("TMP", "C:\\Windows\\Temp"),
            ("OS", "Windows_NT"),
            ("ComSpec", "C:\\Windows\\system32\\cmd.exe"),
        ] {
            session.set(name, value);
        }
        for (name, value) in variables {
            session.set(name, value);
        }
        session
    }

    /// Where what is said goes from now on.
    pub(crate) fn attach(&mut self, said: mpsc::UnboundedSender<Said>) {
        self.said = Some(said);
    }

    /// Runs a command line as `cmd /c` does.
    pub(crate) async fn run(&mut self, line: &str) -> i32 {
        self.nested(line).await
    }

    /// A command line from within another.
    async fn nested(&mut self, line: &str) -> i32 {
        if self.depth == DEEPEST {
            self.complain("The maximum depth of nested commands was reached.");
            return 1;
        }
        self.depth += 1;
        let code = Box::pin(cmd::run_line(self, line)).await;
        self.depth -= 1;
        code
    }

    fn set(&mut self, name: &str, value: &str) {
        let upper = name.to_uppercase();
        match value.is_empty() {
            true => drop(self.variables.remove(&upper)),
            false => {
                self.variables
                    .insert(upper, (name.to_owned(), value.to_owned()));
            }
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.variables.get(&name.to_uppercase());
        found.map(|(_, value)| value.as_str())
    }

    /// `%NAME%` becomes its value; an unknown name stays, as in `cmd /c`.
    fn expanded(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            out.push_str(before);
            let named = after.split_once('%');
            match named.and_then(|(name, after)| Some((self.get(name)?, after))) {
                Some((value, after)) => {
                    out.push_str(value);
                    rest = after;
                }
                None => {
                    out.push('%');
                    rest = after;
                }
            }
        }
        out + rest
    }

    fn path(&self, path: &str) -> String {
        files::absolute(&self.expanded(path), &self.directory)
    }

    fn say(&mut self, line: &str) {
        self.write(format!("{line}\r\n").as_bytes());
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        match &mut self.out {
            Target::Collected(collected) => collected.extend_from_slice(bytes),
            Target::Console => self.send(Said::Out(bytes.to_vec())),
        }
    }

    fn complain(&mut self, line: &str) {
        self.write_error(format!("{line}\r\n").as_bytes());
    }

    pub(super) fn write_error(&mut self, bytes: &[u8]) {
        match self.joined {
            true => self.write(bytes),
            false => self.send(Said::Err(bytes.to_vec())),
        }
    }

    pub(super) fn computer(&self) -> &Computer {
        &self.computer
    }

    /// The variables, as pairs of name and value.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.variables.values();
        pairs.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Where relative paths begin.
    pub(super) fn directory(&self) -> &str {
        &self.directory
    }

    /// Takes what the client sends over; the console gets nothing more of it.
    pub(super) fn take_input(&mut self) -> mpsc::UnboundedReceiver<Vec<u8>> {
        let (_, none) = mpsc::unbounded_channel();
        std::mem::replace(&mut self.input, none)
    }

    fn send(&self, said: Said) {
        if let Some(channel) = &self.said {
            // Nobody listens any more once the shell is deleted.
            let _ = channel.send(said);
        }
    }

    /// Waits for simulated time.
    async fn sleep(&self, simulated: Duration) {
        tokio::time::sleep(self.computer.real(simulated)).await;
    }

    pub(super) fn shutdown(&mut self, how: Shutdown, after: Duration) -> i32 {
        let Err(code) = self.computer.shut_down(how, after) else {
            return 0;
        };
        self.complain(match code {
            SHUTDOWN_IN_PROGRESS => "A system shutdown is in progress.(1115)",
            SHUTDOWN_IS_SCHEDULED => "A system shutdown has already been scheduled.(1190)",
            _ => "The shutdown failed.",
        });
        code
    }

    fn call_shutdown_off(&mut self) -> i32 {
        if self.computer.call_off() {
            return 0;
        }
        self.complain(
            "Unable to abort the system shutdown because no shutdown was in progress.(1116)",
        );
        NO_SHUTDOWN
    }

    /// What `dir` shows of a directory or a file; whether there is one.
    fn show_directory(&mut self, path: &str) -> bool {
        let path = self.path(path);
        let Some(entries) = self.computer.files(|files| files.list(&path)) else {
            return false;
        };
        self.say("");
        self.say(&format!("    Directory: {}", files::shown(&path)));
        self.say("");
        for (name, size) in entries {
            self.say(&match size {
                None => format!("d-----            {name}"),
                Some(size) => format!("-a---- {size:>10} {name}"),
            });
        }
        true
    }
}

/// Words of a command line; double quotes group and are taken off.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            letter if letter.is_whitespace() && !quoted => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}
