//! The grammar of `boot_command`: text and `<keys>` become [`Step`]s.
//!
//! Packer's grammar never fails: what is no key is typed as it stands. Two
//! things are refused here, as they can only be slips: a wait of nothing, and
//! a malformed `<waitText "…">`, which is ours. Not here: rendering
//! `{{.HTTPIP}}` and typing (`builder::qemu`).

use std::time::Duration;

use crate::template::go_duration::GoDuration;

/// One thing to do at the keyboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Wait.
    Wait(Duration),
    /// Wait until the guest shows a text.
    WaitText {
        /// The text, on the text screen or the serial console.
        text: String,
        /// The limit; the caller's default when absent.
        limit: Option<Duration>,
    },
    /// Press and release.
    Press(Key),
    /// Press and keep pressed.
    Hold(Key),
    /// Release.
    Release(Key),
}

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The key that types a character.
    Character(char),
    /// A key without character, as an X11 keysym.
    Special(u32),
}

/// Why a command is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BootCommandError {
    /// `<wait0s>`.
    #[error("waits for no time at `{0}`")]
    NoWait(String),
    /// `<waitText` that is not followed by a text in quotes and perhaps a
    /// limit.
    #[error("has a malformed wait at `{0}`")]
    WaitText(String),
}

/// Names of special keys, in lower case, and their keysyms.
const SPECIAL: &[(&str, u32)] = &[
    ("bs", 0xff08),
    ("del", 0xffff),
    ("down", 0xff54),
    ("end", 0xff57),
    ("enter", 0xff0d),
    ("esc", 0xff1b),
    ("f1", 0xffbe),
    ("f2", 0xffbf),
    ("f3", 0xffc0),
    ("f4", 0xffc1),
    ("f5", 0xffc2),
    ("f6", 0xffc3),
    ("f7", 0xffc4),
    ("f8", 0xffc5),
    ("f9", 0xffc6),
    ("f10", 0xffc7),
    ("f11", 0xffc8),
    ("f12", 0xffc9),
    ("home", 0xff50),
    ("insert", 0xff63),
    ("left", 0xff51),
    ("leftalt", 0xffe9),
    ("leftcommand", 0xffe9),
    ("leftctrl", 0xffe3),
    ("leftoption", 0xffe7),
    ("leftshift", 0xffe1),
    ("leftsuper", 0xffeb),
    ("menu", 0xff67),
    ("pagedown", 0xff56),
    ("pageup", 0xff55),
    ("return", 0xff0d),
    ("right", 0xff53),
    ("rightalt", 0xffea),
    ("rightcommand", 0xffea),
    ("rightctrl", 0xffe4),
    ("rightoption", 0xffe8),
    ("rightshift", 0xffe2),
    ("rightsuper", 0xffec),
    ("spacebar", 0x0020),
    ("tab", 0xff09),
    ("up", 0xff52),
];

const WAIT_TEXT: &str = "<waitText";

/// Parses a command.
///
/// # Errors
/// The first wait that cannot be meant.
pub fn parse(command: &str) -> Result<Vec<Step>, BootCommandError> {
    let mut steps = Vec::new();
    let mut rest = command;
    while let Some(first) = rest.chars().next() {
        let (step, after) = match token(rest)? {
            Some(found) => found,
            None => (
                Step::Press(Key::Character(first)),
                &rest[first.len_utf8()..],
            ),
        };
        steps.push(step);
        rest = after;
    }
    Ok(steps)
}

/// The token at the beginning, with what follows it.
fn token(text: &str) -> Result<Option<(Step, &str)>, BootCommandError> {
    if text.starts_with(WAIT_TEXT) {
        let malformed = || BootCommandError::WaitText(text.chars().take(40).collect());
        return wait_text(text).ok_or_else(malformed).map(Some);
    }
    let Some(inside) = text.strip_prefix('<') else {
        return Ok(None);
    };
    if let Some(found) = character_toggle(inside) {
        return Ok(Some(found));
    }
    let Some((name, after)) = inside.split_once('>') else {
        return Ok(None);
    };
    if let Some(step) = wait(name)? {
        return Ok(Some((step, after)));
    }
    Ok(special(name).map(|step| (step, after)))
}

/// `xOn>` and `xOff>` for any one character.
fn character_toggle(inside: &str) -> Option<(Step, &str)> {
    let character = inside.chars().next()?;
    let rest = &inside[character.len_utf8()..];
    let key = Key::Character(character);
    let strip = |suffix: &str| {
        let (head, tail) = rest.split_at_checked(suffix.len())?;
        head.eq_ignore_ascii_case(suffix).then_some(tail)
    };
    if let Some(after) = strip("on>") {
        return Some((Step::Hold(key), after));
    }
    strip("off>").map(|after| (Step::Release(key), after))
}

/// `wait`, `wait5`, `wait1m30s`; in lower case only.
fn wait(name: &str) -> Result<Option<Step>, BootCommandError> {
    let Some(length) = name.strip_prefix("wait") else {
        return Ok(None);
    };
    let Some(nanoseconds) = wait_length(length) else {
        return Ok(None);
    };
    match GoDuration(nanoseconds).non_negative() {
        Some(duration) if !duration.is_zero() => Ok(Some(Step::Wait(duration))),
        _ => Err(BootCommandError::NoWait(format!("<{name}>"))),
    }
}

fn wait_length(length: &str) -> Option<i64> {
    const SECOND: i64 = 1_000_000_000;
    if length.is_empty() {
        return Some(SECOND);
    }
    if length.bytes().all(|byte| byte.is_ascii_digit()) {
        return length.parse::<i64>().ok()?.checked_mul(SECOND);
    }
    length.parse::<GoDuration>().ok().map(|duration| duration.0)
}

fn special(name: &str) -> Option<Step> {
    let lower = name.to_ascii_lowercase();
    let keysym = |name: &str| {
        let found = SPECIAL.iter().find(|(known, _)| *known == name);
        found.map(|(_, keysym)| Key::Special(*keysym))
    };
    if let Some(key) = keysym(&lower) {
        return Some(Step::Press(key));
    }
    if let Some(key) = lower.strip_suffix("on").and_then(keysym) {
        return Some(Step::Hold(key));
    }
    let key = lower.strip_suffix("off").and_then(keysym)?;
    Some(Step::Release(key))
}

/// `<waitText "boot:">` or `<waitText "boot:" 2m>`; `\"` and `\\` in the text.
fn wait_text(text: &str) -> Option<(Step, &str)> {
    let quoted = text.strip_prefix(WAIT_TEXT)?.trim_start_matches(' ');
    let (wanted, rest) = quoted_text(quoted.strip_prefix('"')?)?;
    let (limit, after) = rest.split_once('>')?;
    let limit = match limit.trim() {
        "" => None,
        limit => Some(limit.parse::<GoDuration>().ok()?.non_negative()?),
    };
    let is_something = !wanted.is_empty() && limit != Some(Duration::ZERO);
    let step = Step::WaitText {
        text: wanted,
        limit,
    };
    is_something.then_some((step, after))
}

/// The text up to the closing quote, and what follows it.
fn quoted_text(text: &str) -> Option<(String, &str)> {
    let mut wanted = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Some((wanted, &text[index + 1..])),
            '\\' => wanted.push(characters.next()?.1),
            _ => wanted.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(character: char) -> Step {
        Step::Press(Key::Character(character))
    }

    fn shown(text: &str, limit: Option<u64>) -> Step {
        Step::WaitText {
            text: text.to_owned(),
            limit: limit.map(Duration::from_secs),
        }
    }

    #[test]
    fn parses_every_form() {
        let (enter, shift) = (Key::Special(0xff0d), Key::Special(0xffe1));
        let wait = |milliseconds| Step::Wait(Duration::from_millis(milliseconds));
        let table: Vec<(&str, Vec<Step>)> = vec![
            ("", vec![]),
            ("aB", vec![press('a'), press('B')]),
            ("ä", vec![press('ä')]),
            ("<enter>", vec![Step::Press(enter)]),
            ("<RETURN>", vec![Step::Press(enter)]),
            ("<pageUp>", vec![Step::Press(Key::Special(0xff55))]),
            ("<F12>", vec![Step::Press(Key::Special(0xffc9))]),
            (
                "<leftShiftOn>a<leftShiftOff>",
                vec![Step::Hold(shift), press('a'), Step::Release(shift)],
            ),
            (
                "<aOn><aOff>",
                vec![
                    Step::Hold(Key::Character('a')),
                    Step::Release(Key::Character('a')),
                ],
            ),
            ("<<On>", vec![Step::Hold(Key::Character('<'))]),
            ("<wait>", vec![wait(1000)]),
            ("<wait5>", vec![wait(5000)]),
            ("<wait1m30s>", vec![wait(90_000)]),
            ("<wait500ms>", vec![wait(500)]),
            ("<wait1.5s>", vec![wait(1500)]),
            ("<Wait>", "<Wait>".chars().map(press).collect()),
            ("<waitx>", "<waitx>".chars().map(press).collect()),
            ("<nokey>", "<nokey>".chars().map(press).collect()),
            ("<", vec![press('<')]),
            ("a<b", vec![press('a'), press('<'), press('b')]),
            ("<waitText \"boot:\">", vec![shown("boot:", None)]),
            (
                "<waitText \"a > \\\"b\\\\\" 2m>x",
                vec![shown("a > \"b\\", Some(120)), press('x')],
            ),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_waits_nobody_means() {
        for text in ["<wait0>", "a<wait0s>", "<wait-1s>"] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, BootCommandError::NoWait(_)), "{text}");
        }
        for text in [
            "<waitText>",
            "<waitText boot:>",
            "<waitText \"\">",
            "<waitText \"a>",
            "<waitText \"a\" 5>",
            "<waitText \"a\" 0s>",
        ] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, BootCommandError::WaitText(_)), "{text}");
        }
    }
}
