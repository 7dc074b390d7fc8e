//! Finds the quote or bracket that is never closed.
//!
//! Only asked once the parser has failed: it is no lexer, and knows nothing
//! but what opens, closes, and hides both.

/// Something without its counterpart.
pub(super) struct Unbalanced {
    /// The first byte of it.
    pub(super) at: usize,
    /// Its length in bytes.
    pub(super) length: usize,
    /// What is wrong with it.
    pub(super) what: String,
    /// What to do about it.
    pub(super) help: &'static str,
}

/// The first thing without a counterpart.
pub(super) fn check(text: &str) -> Option<Unbalanced> {
    let mut scan = Scan {
        text,
        at: 0,
        open: Vec::new(),
    };
    while scan.at < text.len() {
        if let Some(unbalanced) = scan.step() {
            return Some(unbalanced);
        }
    }
    let (opener, at) = scan.open.pop()?;
    Some(never_closed(opener, at))
}

struct Scan<'t> {
    text: &'t str,
    at: usize,
    /// `{`, `[`, `(`, `"` and `${`, with their places.
    open: Vec<(&'static str, usize)>,
}

impl Scan<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn step(&mut self) -> Option<Unbalanced> {
        match self.open.last() {
            Some(("\"", opened)) => {
                let opened = *opened;
                self.in_quotes(opened)
            }
            _ => self.in_code(),
        }
    }

    fn in_quotes(&mut self, opened: usize) -> Option<Unbalanced> {
        let rest = self.rest();
        let length = match rest.chars().next()? {
            '\n' => return Some(self.unclosed_line(opened)),
            '\\' => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            '"' => {
                self.open.pop();
                1
            }
            _ if rest.starts_with("$${") || rest.starts_with("%%{") => 3,
            _ if rest.starts_with("${") || rest.starts_with("%{") => {
                self.open.push(("${", self.at));
                2
            }
            other => other.len_utf8(),
        };
        self.at += length;
        None
    }

    /// A quote in `${ … }` on the same line is the end of the string that the
    /// markup is in: what is not closed is the markup.
    fn unclosed_line(&self, opened: usize) -> Unbalanced {
        let outer = self.open.iter().rev().nth(1);
        match outer {
            Some(("${", at)) if !self.text[*at..opened].contains('\n') => never_closed("${", *at),
            _ => never_closed("\"", opened),
        }
    }

    fn in_code(&mut self) -> Option<Unbalanced> {
        let rest = self.rest();
        let c = rest.chars().next()?;
        let mut length = c.len_utf8();
        match c {
            '#' => length = rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("//") => length = rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => {
                length = rest.find("*/").map_or(rest.len(), |end| end + 2);
            }
            '"' => self.open.push(("\"", self.at)),
            '{' => self.open.push(("{", self.at)),
            '[' => self.open.push(("[", self.at)),
            '(' => self.open.push(("(", self.at)),
            '}' | ']' | ')' => return self.close(c),
            '<' if rest.starts_with("<<") => match heredoc(rest) {
                Some(Some(end)) => length = end,
                Some(None) => {
                    return Some(Unbalanced {
                        at: self.at,
                        length: 2,
                        what: "this heredoc is never closed".to_owned(),
                        help: "Its last line is the word behind `<<` and nothing else",
                    });
                }
                None => {}
            },
            _ => {}
        }
        self.at += length;
        None
    }

    fn close(&mut self, closer: char) -> Option<Unbalanced> {
        let expected = match self.open.last() {
            None => {
                return Some(Unbalanced {
                    at: self.at,
                    length: 1,
                    what: format!("this `{closer}` closes nothing"),
                    help: "Remove it, or add what it should close",
                });
            }
            Some(("[", _)) => ']',
            Some(("(", _)) => ')',
            _ => '}',
        };
        if closer != expected {
            return Some(Unbalanced {
                at: self.at,
                length: 1,
                what: format!("this `{closer}` stands where `{expected}` is expected"),
                help: "Close what was opened last first",
            });
        }
        self.open.pop();
        self.at += 1;
        None
    }
}

fn never_closed(opener: &'static str, at: usize) -> Unbalanced {
    let (what, help) = match opener {
        "\"" => (
            "this string is never closed".to_owned(),
            "Add the missing double quote; text of several lines goes in a heredoc, `<<-EOT`",
        ),
        opener => (
            format!("this `{opener}` is never closed"),
            match opener {
                "[" => "Add the missing `]`",
                "(" => "Add the missing `)`",
                _ => "Add the missing `}`",
            },
        ),
    };
    Unbalanced {
        at,
        length: opener.len(),
        what,
        help,
    }
}

/// The length of a heredoc, nothing inside when it does not end; nothing when
/// it is none.
#[expect(clippy::option_option, reason = "none is not endless")]
fn heredoc(rest: &str) -> Option<Option<usize>> {
    let first_line = rest.lines().next()?;
    let word = first_line
        .trim_start_matches('<')
        .trim_start_matches('-')
        .trim_end();
    if word.is_empty()
        || !word
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
    {
        return None;
    }
    let mut end = 0;
    for (number, line) in rest.split_inclusive('\n').enumerate() {
        let indent = line.len() - line.trim_start().len();
        let is_end = line[indent..].strip_prefix(word).is_some_and(|behind| {
            !behind.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-'))
        });
        if number > 0 && is_end {
            return Some(Some(end + indent + word.len()));
        }
        end += line.len();
    }
    Some(None)
}
