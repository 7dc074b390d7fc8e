//! Packer's spellings of options, turned into ours.
//!
//! Packer uses Go's `flag` package: `-name` is `--name`, an option that takes
//! a value takes the next argument whatever it looks like, a boolean is
//! switched off with `-name=false`, and the last of several wins. Which
//! options there are is asked from the definitions in `cli`.

use std::ffi::OsString;

use clap::{Arg, ArgAction, CommandFactory};

use crate::cli::{self, Cli};

const MACHINE_READABLE: &str = "--machine-readable";

/// The same arguments (the program's name first) in the form clap expects.
pub(super) fn normalize(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments = arguments.into_iter();
    let program = arguments.next();
    let rest: Vec<_> = arguments.collect();
    let (machine, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(is_machine_readable);
    let mut rest = rest.into_iter();
    let Some(command) = rest.next() else {
        return program.into_iter().collect();
    };
    let command = version_as_command(command);
    let options = options_of(&command.to_string_lossy());
    let mut out = options.rewrite(rest);
    // Commands that print nothing of the sort ignore it, as in Packer.
    if !machine.is_empty() && options.find(MACHINE_READABLE).is_some() {
        out.insert(0, MACHINE_READABLE.into());
    }
    out.insert(0, command);
    out.splice(0..0, program);
    out
}

/// Packer accepts this one anywhere, also before the command.
fn is_machine_readable(argument: &OsString) -> bool {
    argument == "-machine-readable" || argument == MACHINE_READABLE
}

/// `packer -v` prints the version.
fn version_as_command(first: OsString) -> OsString {
    match first.to_str() {
        Some("-v" | "-V" | "-version" | "--version") => "version".into(),
        Some("-help") => "--help".into(),
        _ => first,
    }
}

struct Options(Vec<Arg>);

fn options_of(command: &str) -> Options {
    let cli = Cli::command();
    let definitions = cli.find_subcommand(command);
    Options(definitions.map_or_else(Vec::new, |command| {
        command.get_arguments().cloned().collect()
    }))
}

impl Options {
    fn rewrite(&self, mut arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
        let mut out = Vec::new();
        while let Some(argument) = arguments.next() {
            if argument == "--" {
                out.push(argument);
                out.extend(arguments);
                break;
            }
            match self.long(&argument) {
                Some(long) => self.rewrite_one(long, &mut arguments, &mut out),
                None => out.push(argument),
            }
        }
        out
    }

    /// The argument as a long option with two dashes, if it is one.
    fn long(&self, argument: &OsString) -> Option<OsString> {
        let text = argument.to_string_lossy();
        let name = text.strip_prefix('-')?;
        let is_number = name.starts_with(|first: char| first.is_ascii_digit() || first == '.');
        let is_repeated_v = name.chars().all(|letter| letter == 'v');
        if name.starts_with('-') {
            return Some(argument.clone());
        }
        if name.len() < 2 || is_number || is_repeated_v {
            return None;
        }
        let mut long = OsString::from("-");
        long.push(argument);
        Some(long)
    }

    fn rewrite_one(
        &self,
        mut long: OsString,
        rest: &mut impl Iterator<Item = OsString>,
        out: &mut Vec<OsString>,
    ) {
        let text = long.to_string_lossy().into_owned();
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (&*text, None),
        };
        let Some(option) = self.find(name) else {
            out.push(long);
            return;
        };
        let is_switch = matches!(option.get_action(), ArgAction::SetTrue);
        match value.map(cli::go_bool) {
            Some(Ok(on)) if is_switch => {
                out.retain(|earlier| earlier != name);
                out.extend(on.then(|| name.into()));
                return;
            }
            None if takes_next(option) => {
                if let Some(next) = rest.next() {
                    long.push("=");
                    long.push(next);
                }
            }
            _ => {}
        }
        out.push(long);
    }

    fn find(&self, name: &str) -> Option<&Arg> {
        let name = name.strip_prefix("--")?;
        self.0.iter().find(|option| option.get_long() == Some(name))
    }
}

fn takes_next(option: &Arg) -> bool {
    option.get_action().takes_values() && !option.is_require_equals_set()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(line: &str) -> String {
        let arguments = line.split(' ').map(OsString::from);
        normalize(arguments)
            .iter()
            .map(|argument| argument.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn packers_spellings() {
        let table = [
            ("p build -var k=v t.json", "p build --var=k=v t.json"),
            ("p build -var=k=v t.json", "p build --var=k=v t.json"),
            ("p build --var k=v t.json", "p build --var=k=v t.json"),
            ("p build -var k=-1 -", "p build --var=k=-1 -"),
            ("p build -var -x=1 t", "p build --var=-x=1 t"),
            ("p build -var-file f t", "p build --var-file=f t"),
            ("p build -force t", "p build --force t"),
            ("p build -force=true t", "p build --force t"),
            ("p build -force=0 t", "p build t"),
            ("p build -force -force=false t", "p build t"),
            ("p build -color=false t", "p build --color=false t"),
            ("p build -color t", "p build --color t"),
            (
                "p build -parallel-builds -1 t",
                "p build --parallel-builds=-1 t",
            ),
            ("p build -h", "p build -h"),
            ("p build -help", "p build --help"),
            ("p build -vv t", "p build -vv t"),
            ("p build -- -t.json", "p build -- -t.json"),
            ("p build -frce t", "p build --frce t"),
            (
                "p -machine-readable build t",
                "p build --machine-readable t",
            ),
            (
                "p build t -machine-readable",
                "p build --machine-readable t",
            ),
            ("p -v", "p version"),
            ("p --version", "p version"),
            (
                "p -machine-readable version",
                "p version --machine-readable",
            ),
            ("p init -machine-readable .", "p init ."),
            ("p", "p"),
        ];
        for (typed, expected) in table {
            assert_eq!(normalized(typed), expected, "{typed}");
        }
    }
}
