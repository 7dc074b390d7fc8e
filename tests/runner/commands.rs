//! Workflow commands: what the runner does with each line of the log.

use std::collections::BTreeMap;

/// Annotations of a kind that a step may have; more are only log lines.
const MOST_ANNOTATIONS: usize = 10;

/// What is left of a longer message.
const LONGEST_MESSAGE: usize = 4096;

/// The commands the runner knows. `stop-commands` is apart.
const KNOWN: &[&str] = &[
    "add-mask",
    "add-matcher",
    "remove-matcher",
    "add-path",
    "set-env",
    "set-output",
    "save-state",
    "warning",
    "error",
    "notice",
    "debug",
    "group",
    "endgroup",
    "echo",
    "stop-commands",
];

/// A command in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) name: String,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) data: String,
}

/// A finding as GitHub shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Annotation {
    /// `error`, `warning` or `notice`.
    pub(crate) level: String,
    pub(crate) title: Option<String>,
    /// Relative to the workspace.
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
    pub(crate) end_column: Option<u32>,
    pub(crate) message: String,
}

/// What becomes of a step's output.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The lines people see.
    pub(crate) shown: Vec<String>,
    pub(crate) annotations: Vec<Annotation>,
    /// All that was obeyed.
    pub(crate) obeyed: Vec<Command>,
    masks: Vec<String>,
    /// The token that ends `stop-commands`.
    resume: Option<String>,
}

impl Log {
    /// A log that hides values from its beginning.
    pub(crate) fn hiding(masks: &[String]) -> Self {
        Self {
            masks: masks.to_vec(),
            ..Self::default()
        }
    }

    /// Takes a line. `relative` turns a path of the container into one in the
    /// workspace.
    pub(crate) fn take(&mut self, line: &str, relative: impl Fn(&str) -> String) {
        let command = match &self.resume {
            Some(token) => {
                if line.trim() == format!("::{token}::") {
                    self.resume = None;
                }
                None
            }
            None => parse(line),
        };
        let Some(command) = command else {
            return self.show(line);
        };
        self.obeyed.push(command.clone());
        match command.name.as_str() {
            "add-mask" => self.mask(&command.data),
            "stop-commands" => self.resume = Some(command.data),
            level @ ("error" | "warning" | "notice") => {
                self.show(&format!("{level}: {}", command.data));
                self.annotate(&command, relative);
            }
            "group" => self.show(&format!("▸ {}", command.data)),
            _ => {}
        }
    }

    /// The values that are hidden by now.
    pub(crate) fn masks(&self) -> &[String] {
        &self.masks
    }

    /// A text with hidden values replaced.
    pub(crate) fn masked(&self, text: &str) -> String {
        let masks = self.masks.iter();
        masks.fold(text.to_owned(), |text, mask| text.replace(mask, "***"))
    }

    fn show(&mut self, line: &str) {
        let line = self.masked(line);
        self.shown.push(line);
    }

    fn mask(&mut self, value: &str) {
        let lines = value.lines().map(str::trim).filter(|line| !line.is_empty());
        self.masks.extend([value.to_owned()]);
        self.masks.extend(lines.map(str::to_owned));
        self.masks.retain(|mask| !mask.is_empty());
        self.masks.sort_by_key(|mask| std::cmp::Reverse(mask.len()));
    }

    fn annotate(&mut self, command: &Command, relative: impl Fn(&str) -> String) {
        let same = self.annotations.iter();
        if same.filter(|it| it.level == command.name).count() == MOST_ANNOTATIONS {
            return;
        }
        let text = |name: &str| command.properties.get(name).cloned();
        let number = |name: &str| text(name)?.parse::<u32>().ok();
        let line = number("line").or_else(|| number("endLine"));
        let one_line = line.is_some() && number("endLine").is_none_or(|end| Some(end) == line);
        let column = |name| number(name).filter(|_| one_line);
        let message: String = command.data.chars().take(LONGEST_MESSAGE).collect();
        self.annotations.push(Annotation {
            level: command.name.clone(),
            title: text("title").map(|title| self.masked(&title)),
            file: text("file").map(|file| relative(&file)),
            line,
            column: column("col"),
            end_column: column("endColumn"),
            message: self.masked(&message),
        });
    }
}

/// The command in a line, in the new form at its beginning or in the old one
/// anywhere.
pub(crate) fn parse(line: &str) -> Option<Command> {
    let command = new_form(line).or_else(|| old_form(line))?;
    KNOWN.contains(&command.name.as_str()).then_some(command)
}

fn new_form(line: &str) -> Option<Command> {
    let rest = line.trim_start().strip_prefix("::")?;
    let (head, data) = rest.split_once("::")?;
    let escapes = [("%0D", "\r"), ("%0A", "\n"), ("%25", "%")];
    let more = [
        ("%0D", "\r"),
        ("%0A", "\n"),
        ("%3A", ":"),
        ("%2C", ","),
        ("%25", "%"),
    ];
    Some(command(head, ',', unescaped(data, &escapes), &more))
}

fn old_form(line: &str) -> Option<Command> {
    let (_, rest) = line.split_once("##[")?;
    let (head, data) = rest.split_once(']')?;
    let escapes = [
        ("%0D", "\r"),
        ("%0A", "\n"),
        ("%5D", "]"),
        ("%3B", ";"),
        ("%25", "%"),
    ];
    Some(command(head, ';', unescaped(data, &escapes), &escapes))
}

fn command(head: &str, separator: char, data: String, escapes: &[(&str, &str)]) -> Command {
    let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
    let pairs = properties
        .split(separator)
        .filter_map(|it| it.split_once('='));
    let pairs = pairs.filter(|(_, value)| !value.is_empty());
    Command {
        name: name.to_lowercase(),
        properties: pairs
            .map(|(name, value)| (name.trim().to_owned(), unescaped(value, escapes)))
            .collect(),
        data,
    }
}

fn unescaped(text: &str, escapes: &[(&str, &str)]) -> String {
    let escapes = escapes.iter();
    escapes.fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[test]
fn commands_are_found_as_the_runner_finds_them() {
    let name = |line: &str| parse(line).map(|command| command.name);
    assert_eq!(name("  ::error::x").as_deref(), Some("error"));
    assert_eq!(name("text ##[error]x").as_deref(), Some("error"));
    assert_eq!(name("text ::error::x"), None);
    assert_eq!(name("::unknown::x"), None);
    let parsed = parse("::error file=a%2Cb,line=3,title=a%3Ab::x%0Ay%25").unwrap();
    assert_eq!(parsed.properties["file"], "a,b");
    assert_eq!(parsed.properties["title"], "a:b");
    assert_eq!(parsed.data, "x\ny%");
}

#[test]
fn masks_stops_and_limits_are_obeyed() {
    let mut log = Log::default();
    let same = |path: &str| path.to_owned();
    log.take("::add-mask::hunter2", same);
    log.take("it is hunter2", same);
    log.take("::stop-commands::token", same);
    log.take("::error::not obeyed", same);
    log.take("::token::", same);
    for number in 0..12 {
        log.take(&format!("::warning col=2::w{number}"), same);
    }
    assert_eq!(log.shown[0], "it is ***");
    assert_eq!(log.annotations.len(), MOST_ANNOTATIONS);
    assert_eq!(log.annotations[0].column, None);
}
