//! Makes text from machines, programs and servers fit for a log.
//!
//! A log of a CI system is a command channel: GitHub obeys `::error::…` at the
//! start of a line and `##[error]…` anywhere, Azure `##vso[…]`. A terminal
//! obeys escape sequences. Nothing of that may come from a guest. The forms
//! are broken by a backslash, which stays visible.

use std::borrow::Cow;

/// Longer lines are cut, in bytes.
pub(super) const LONGEST_LINE: usize = 8 * 1024;

/// One line without control characters and commands.
pub(super) fn line(text: &str) -> String {
    break_commands(&shown(text))
}

/// Several lines, each as [`line`].
pub(super) fn text(text: &str) -> String {
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// A JSON text with the same meaning in which no CI system finds a command.
/// Two `#` are only ever together inside of a string.
pub(super) fn json(text: &str) -> String {
    text.replace("##[", "##\\u005b")
        .replace("##vso[", "##vso\\u005b")
}

/// The line, cut at [`LONGEST_LINE`].
pub(super) fn cut(line: &str) -> Cow<'_, str> {
    if line.len() <= LONGEST_LINE {
        return Cow::Borrowed(line);
    }
    let end = line.floor_char_boundary(LONGEST_LINE);
    Cow::Owned(format!(
        "{}… ({} bytes cut)",
        &line[..end],
        line.len() - end
    ))
}

/// What a terminal would show at the end: the text after the last carriage
/// return (a progress bar's last state), without escape sequences.
fn shown(text: &str) -> String {
    let text = text.trim_end_matches(['\r', '\n']);
    let last = text.rsplit('\r').next().unwrap_or(text);
    without_escapes(last)
}

fn without_escapes(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' => skip_escape(&mut letters),
            '\u{9b}' => skip_csi(&mut letters),
            '\t' => clean.push('\t'),
            hidden if is_hidden(hidden) => {}
            visible => clean.push(visible),
        }
    }
    clean
}

type Letters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn skip_escape(letters: &mut Letters<'_>) {
    match letters.next() {
        Some('[') => skip_csi(letters),
        // Strings (window titles, links) end with BEL or ESC \.
        Some(']' | 'P' | 'X' | '^' | '_') => skip_string(letters),
        // Character sets and the like take one more letter.
        Some('(' | ')' | '*' | '+' | '#' | '%' | ' ') => {
            letters.next();
        }
        _ => {}
    }
}

/// Parameters, then one letter from `@` to `~`.
fn skip_csi(letters: &mut Letters<'_>) {
    while let Some(letter) = letters.next_if(|letter| (' '..='~').contains(letter)) {
        if letter >= '@' {
            break;
        }
    }
}

fn skip_string(letters: &mut Letters<'_>) {
    while let Some(letter) = letters.next() {
        match letter {
            '\u{7}' | '\u{9c}' => break,
            '\u{1b}' => {
                letters.next_if_eq(&'\\');
                break;
            }
            _ => {}
        }
    }
}

/// Control characters, and those that reorder or break lines unseen.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Breaks what a CI system would obey; keeps everything else.
pub(super) fn break_commands(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    let (space, rest) = line.split_at(indent);
    let mark = if rest.starts_with("::") { "\\" } else { "" };
    format!(
        "{space}{mark}{}",
        rest.replace("##[", "##\\[").replace("##vso[", "##vso\\[")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_lines() {
        let table = [
            ("plain ünïcode\ttab", "plain ünïcode\ttab"),
            ("::error::x", "\\::error::x"),
            ("  ::add-mask::a", "  \\::add-mask::a"),
            ("\u{1b}[0m::error::x", "\\::error::x"),
            ("\u{200b}::error::x", "\\::error::x"),
            ("a ::error::x", "a ::error::x"),
            ("x ##[command]y", "x ##\\[command]y"),
            ("##\u{1b}[0m[command]y", "##\\[command]y"),
            ("##vso[task.setvariable]y", "##vso\\[task.setvariable]y"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]8;;http://x\u{1b}\\link", "link"),
            ("\u{1b}(Bx\u{9b}2Jy", "xy"),
            ("10%\r20%\r30%\r", "30%"),
            ("a\u{0}\u{7}\u{8}b\u{7f}", "ab"),
            ("evil\u{202e}gpj.exe", "evilgpj.exe"),
            ("line\u{2028}::error::x", "line::error::x"),
            ("unfinished \u{1b}[", "unfinished "),
            ("\u{1b}", ""),
            ("bad \u{fffd} byte", "bad \u{fffd} byte"),
        ];
        for (hostile, expected) in table {
            assert_eq!(line(hostile), expected, "{hostile:?}");
        }
    }

    #[test]
    fn every_line_of_a_text_is_made_safe() {
        assert_eq!(text("a\n::b\r\n c"), "a\n\\::b\n c");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let value = serde_json::json!({"##[a]": ["##vso[b]c", "[", "##", "::d"]});
        let text = json(&value.to_string());
        assert!(!text.contains("##[") && !text.contains("##vso["), "{text}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            value
        );
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let long = "ä".repeat(LONGEST_LINE);
        let cut = cut(&long);
        assert!(
            cut.ends_with("… (8192 bytes cut)"),
            "{}",
            &cut[cut.len() - 40..]
        );
        assert!(cut.starts_with(&"ä".repeat(LONGEST_LINE / 2)));
        assert_eq!(super::cut("short"), "short");
    }
}
