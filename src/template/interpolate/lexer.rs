//! Template text to pieces: text, and the tokens between `{{` and `}}`.
//!
//! Follows Go's `text/template` lexer, with trim markers and comments.

use super::error::{Cause, InterpolateError};
use super::syntax::Bytes;

/// A token inside an action, or a text outside of one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) at: Bytes,
    pub(super) kind: TokenKind,
    /// Whether blanks stand before it; they separate arguments.
    pub(super) spaced: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// Text outside of actions; the range is the token's own.
    Literal,
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// A function or keyword.
    Word(String),
    /// `.Name`
    Field(String),
    /// `.`
    Dot,
    /// `$name`, without the `$`.
    Variable(String),
    Text(String),
    Int(i64),
    Float(f64),
    LeftParen,
    RightParen,
    Pipe,
    Declare,
    Assign,
    Comma,
}

/// All tokens of a text.
pub(super) fn lex(text: &str) -> Result<Vec<Token>, InterpolateError> {
    let mut lexer = Lexer {
        text,
        position: 0,
        tokens: Vec::new(),
    };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer<'t> {
    text: &'t str,
    position: usize,
    tokens: Vec<Token>,
}

impl<'t> Lexer<'t> {
    fn run(&mut self) -> Result<(), InterpolateError> {
        let mut trim_left = false;
        loop {
            let open = self.rest().find("{{").map(|found| self.position + found);
            let end = open.unwrap_or(self.text.len());
            self.literal(end, trim_left, open.is_some_and(|at| self.trims_before(at)));
            let Some(open) = open else {
                return Ok(());
            };
            self.position = open;
            trim_left = self.action(open)?;
        }
    }

    /// Pushes the text up to `end`, trimmed as its neighbours want it.
    fn literal(&mut self, end: usize, trim_left: bool, trim_right: bool) {
        let (mut start, mut stop) = (self.position, end);
        if trim_left {
            start += leading_blanks(&self.text[start..stop]);
        }
        if trim_right {
            stop = start + self.text[start..stop].trim_end_matches(BLANKS).len();
        }
        if start < stop {
            self.push(start..stop, TokenKind::Literal, false);
        }
    }

    fn trims_before(&self, open: usize) -> bool {
        self.text[open + 2..].starts_with('-') && self.text[open + 3..].starts_with(BLANKS)
    }

    /// One `{{ … }}`; returns whether it trims the text behind it.
    fn action(&mut self, open: usize) -> Result<bool, InterpolateError> {
        self.position = open + if self.trims_before(open) { 3 } else { 2 };
        let after_blanks = self.position + leading_blanks(self.rest());
        if self.text[after_blanks..].starts_with("/*") {
            // Go wants a comment right behind `{{` or `{{- `; blanks do no harm.
            return self.comment(open, after_blanks);
        }
        self.push(open..self.position, TokenKind::Open, false);
        loop {
            let blanks = leading_blanks(self.rest());
            self.position += blanks;
            if blanks > 0 && self.rest().starts_with("-}}") {
                self.close(3);
                return Ok(true);
            }
            if self.rest().starts_with("}}") {
                self.close(2);
                return Ok(false);
            }
            self.token(open, blanks > 0)?;
        }
    }

    fn close(&mut self, len: usize) {
        let start = self.position;
        self.position += len;
        self.push(start..self.position, TokenKind::Close, false);
    }

    fn comment(&mut self, open: usize, start: usize) -> Result<bool, InterpolateError> {
        let unclosed = || {
            InterpolateError::new(&(open..self.text.len()), Cause::Syntax, "Unclosed comment")
                .hint("Close it with `*/}}`")
        };
        let end = start + self.text[start..].find("*/").ok_or_else(unclosed)? + 2;
        self.position = end + leading_blanks(&self.text[end..]);
        let trims = self.position > end && self.rest().starts_with("-}}");
        let len = if trims { 3 } else { 2 };
        if !trims && !self.rest().starts_with("}}") {
            return Err(unclosed());
        }
        self.position += len;
        Ok(trims)
    }

    fn token(&mut self, open: usize, spaced: bool) -> Result<(), InterpolateError> {
        let start = self.position;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Err(
                InterpolateError::new(&(open..open + 2), Cause::Syntax, "Unclosed `{{`")
                    .hint("Close it with `}}`; to write `{{` itself use `{{`{{`}}`"),
            );
        };
        let (kind, len) = match first {
            '"' => self.quoted(rest, '"')?,
            '\'' => self.quoted(rest, '\'')?,
            '`' => self.raw(rest)?,
            '(' => (TokenKind::LeftParen, 1),
            ')' => (TokenKind::RightParen, 1),
            '|' => (TokenKind::Pipe, 1),
            ',' => (TokenKind::Comma, 1),
            '=' => (TokenKind::Assign, 1),
            ':' if rest.starts_with(":=") => (TokenKind::Declare, 2),
            '$' => named(rest, TokenKind::Variable),
            '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                let (kind, len) = named(rest, TokenKind::Field);
                if len == 1 {
                    (TokenKind::Dot, 1)
                } else {
                    (kind, len)
                }
            }
            '.' | '+' | '-' | '0'..='9' => self.number(rest)?,
            c if c.is_alphabetic() || c == '_' => {
                let len = word_len(rest);
                (TokenKind::Word(rest[..len].to_owned()), len)
            }
            c => {
                let at = start..start + c.len_utf8();
                let message = format!("Unexpected `{}` in a template action", c.escape_debug());
                return Err(InterpolateError::new(&at, Cause::Syntax, message));
            }
        };
        self.position += len;
        self.push(start..self.position, kind, spaced);
        Ok(())
    }

    fn raw(&self, rest: &str) -> Result<(TokenKind, usize), InterpolateError> {
        let end = rest[1..].find('`').ok_or_else(|| self.unclosed_string())? + 1;
        Ok((TokenKind::Text(rest[1..end].to_owned()), end + 1))
    }

    fn quoted(&self, rest: &str, quote: char) -> Result<(TokenKind, usize), InterpolateError> {
        let mut escaped = false;
        let end = rest
            .char_indices()
            .skip(1)
            .take_while(|(_, c)| *c != '\n')
            .find(|(_, c)| {
                let closes = *c == quote && !escaped;
                escaped = *c == '\\' && !escaped;
                closes
            })
            .map(|(index, _)| index)
            .ok_or_else(|| self.unclosed_string())?;
        let at = self.position..self.position + end + 1;
        let text = unquote(&rest[1..end]).ok_or_else(|| {
            InterpolateError::new(&at, Cause::Syntax, "Bad escape in a quoted string")
                .hint("Quote with backquotes, in which a backslash is itself")
        })?;
        if quote == '"' {
            return Ok((TokenKind::Text(text), end + 1));
        }
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => Ok((TokenKind::Int(i64::from(u32::from(c))), end + 1)),
            _ => Err(InterpolateError::new(
                &at,
                Cause::Syntax,
                "Single quotes hold one character only",
            )
            .hint("Quote strings with backquotes")),
        }
    }

    fn unclosed_string(&self) -> InterpolateError {
        let at = self.position..self.text.len();
        InterpolateError::new(&at, Cause::Syntax, "Unclosed string in a template action")
    }

    fn number(&self, rest: &str) -> Result<(TokenKind, usize), InterpolateError> {
        let len = number_len(rest);
        let text = &rest[..len];
        let at = self.position..self.position + len;
        if let Some(int) = super::super::decode::parse_int(text) {
            return Ok((TokenKind::Int(int), len));
        }
        match text.replace('_', "").parse::<f64>() {
            Ok(float) if text.contains(|c: char| c.is_ascii_digit()) => {
                Ok((TokenKind::Float(float), len))
            }
            _ => {
                let message = format!("Bad number `{text}` in a template action");
                Err(InterpolateError::new(&at, Cause::Syntax, message))
            }
        }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.position..]
    }

    fn push(&mut self, at: Bytes, kind: TokenKind, spaced: bool) {
        self.tokens.push(Token { at, kind, spaced });
    }
}

const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

fn leading_blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches(BLANKS).len()
}

fn word_len(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

/// A name behind a one-byte sign.
fn named(rest: &str, kind: fn(String) -> TokenKind) -> (TokenKind, usize) {
    let len = word_len(&rest[1..]) + 1;
    (kind(rest[1..len].to_owned()), len)
}

fn number_len(rest: &str) -> usize {
    let signed = usize::from(rest.starts_with(['+', '-']));
    let mut previous = ' ';
    rest[signed..]
        .find(|c: char| {
            let exponent_sign = matches!(c, '+' | '-') && matches!(previous, 'e' | 'E');
            let ends = !(c.is_alphanumeric() || c == '.' || c == '_' || exponent_sign);
            previous = c;
            ends
        })
        .map_or(rest.len(), |len| len + signed)
}

/// The text of a Go string literal's inside, or nothing for a bad escape.
fn unquote(inner: &str) -> Option<String> {
    let mut out: Vec<u8> = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    let push = |out: &mut Vec<u8>, c: char| {
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    };
    while let Some(c) = chars.next() {
        if c != '\\' {
            push(&mut out, c);
            continue;
        }
        let escape = chars.next()?;
        let simple = match escape {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' => b'\\',
            '\'' => b'\'',
            '"' => b'"',
            'x' => u8::try_from(digits(&mut chars, 2, 16, None)?).ok()?,
            '0'..='7' => u8::try_from(digits(&mut chars, 2, 8, Some(escape))?).ok()?,
            'u' | 'U' => {
                let count = if escape == 'u' { 4 } else { 8 };
                push(
                    &mut out,
                    char::from_u32(digits(&mut chars, count, 16, None)?)?,
                );
                continue;
            }
            _ => return None,
        };
        out.push(simple);
    }
    String::from_utf8(out).ok()
}

fn digits(
    chars: &mut std::str::Chars<'_>,
    count: usize,
    radix: u32,
    first: Option<char>,
) -> Option<u32> {
    let start = first.map_or(Some(0), |c| c.to_digit(radix))?;
    (0..count).try_fold(start, |value, _| {
        value
            .checked_mul(radix)?
            .checked_add(chars.next()?.to_digit(radix)?)
    })
}
