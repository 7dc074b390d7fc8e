//! Strings with markup, laid out: literals with their escapes undone, their
//! indentation and the blanks around `~` removed.
//!
//! The parser's own dedentation of `<<-` differs from Packer's, so that
//! literals of heredocs are read from the source once more. Not here: what the
//! markup evaluates to. Source of facts: the HCL native syntax specification,
//! and what Packer makes of the same texts.

use hcl_edit::Span as _;
use hcl_edit::expr::Expression;
use hcl_edit::template::{Directive, Element, Strip, Template};

/// A piece of a string.
#[derive(Debug)]
pub(super) enum Piece<'e> {
    /// As it is.
    Text(String),
    /// `${ … }`
    Value(&'e Expression),
    /// `%{ if … }`
    If {
        condition: &'e Expression,
        then: Vec<Piece<'e>>,
        otherwise: Vec<Piece<'e>>,
    },
    /// `%{ for … }`
    For {
        key: Option<&'e str>,
        value: &'e str,
        collection: &'e Expression,
        body: Vec<Piece<'e>>,
    },
}

/// How the literals of a string were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writing<'t> {
    /// In quotes; with the source.
    Quoted(&'t str),
    /// As `<<`, or as a file; with the source.
    Plain(&'t str),
    /// As `<<-`; with the source.
    Indented(&'t str),
}

/// The pieces of a template.
pub(super) fn pieces<'e>(template: &'e Template, writing: Writing<'_>) -> Vec<Piece<'e>> {
    let mut tokens = Vec::new();
    tokenize(template, writing, 0, &mut tokens);
    strip(&mut tokens);
    if matches!(writing, Writing::Indented(_)) {
        dedent(&mut tokens);
    }
    build(template, &mut literals(tokens).into_iter())
}

/// A literal in quotes without its escapes, as far as they are valid.
pub(super) fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(c) = rest.chars().next() {
        let (found, length) = match c {
            '\\' => escape(rest).unwrap_or((c, 1)),
            '$' | '%' if rest[1..].starts_with(c) && rest[2..].starts_with('{') => {
                text.push(c);
                ('{', 3)
            }
            _ => (c, c.len_utf8()),
        };
        text.push(found);
        rest = &rest[length..];
    }
    text
}

fn escape(rest: &str) -> Option<(char, usize)> {
    let code = |digits: usize| {
        let hex = rest.get(2..2 + digits)?;
        let code = u32::from_str_radix(hex, 16).ok()?;
        Some((char::from_u32(code)?, 2 + digits))
    };
    match rest[1..].chars().next()? {
        'n' => Some(('\n', 2)),
        'r' => Some(('\r', 2)),
        't' => Some(('\t', 2)),
        '\\' => Some(('\\', 2)),
        '"' => Some(('"', 2)),
        'u' => code(4),
        'U' => code(8),
        _ => None,
    }
}

/// What stands one after the other, whatever is inside of what.
enum Token {
    /// A part of a literal: a line of a heredoc, or all of it.
    Text {
        text: String,
        /// Whether it is the last part of its literal.
        is_end: bool,
    },
    /// `${ … }` or `%{ … }`, with the blanks that it takes away.
    Markup(Strip),
}

fn tokenize(template: &Template, writing: Writing<'_>, depth: usize, tokens: &mut Vec<Token>) {
    for element in template {
        match element {
            Element::Literal(literal) => {
                let raw = |source: &str| {
                    let range = literal.span()?;
                    source.get(range).map(str::to_owned)
                };
                match writing {
                    // The parser undoes escapes outside of directives only.
                    Writing::Quoted(source) => {
                        let inner = raw(source).filter(|_| depth > 0);
                        let inner = inner.map(|raw| unescape(&raw));
                        let text = inner.unwrap_or_else(|| literal.value().clone());
                        tokens.push(Token::Text { text, is_end: true });
                    }
                    Writing::Plain(source) | Writing::Indented(source) => {
                        let raw = raw(source).unwrap_or_else(|| literal.value().clone());
                        lines(&raw.replace("$${", "${").replace("%%{", "%{"), tokens);
                    }
                }
            }
            Element::Interpolation(interpolation) => {
                tokens.push(Token::Markup(interpolation.strip));
            }
            Element::Directive(directive) => match &**directive {
                Directive::If(directive) => {
                    tokens.push(Token::Markup(directive.if_expr.strip));
                    tokenize(&directive.if_expr.template, writing, depth + 1, tokens);
                    if let Some(otherwise) = &directive.else_expr {
                        tokens.push(Token::Markup(otherwise.strip));
                        tokenize(&otherwise.template, writing, depth + 1, tokens);
                    }
                    tokens.push(Token::Markup(directive.endif_expr.strip));
                }
                Directive::For(directive) => {
                    tokens.push(Token::Markup(directive.for_expr.strip));
                    tokenize(&directive.for_expr.template, writing, depth + 1, tokens);
                    tokens.push(Token::Markup(directive.endfor_expr.strip));
                }
            },
        }
    }
}

fn lines(literal: &str, tokens: &mut Vec<Token>) {
    let mut lines = literal.split_inclusive('\n').peekable();
    if lines.peek().is_none() {
        tokens.push(Token::Text {
            text: String::new(),
            is_end: true,
        });
    }
    while let Some(line) = lines.next() {
        tokens.push(Token::Text {
            text: line.to_owned(),
            is_end: lines.peek().is_none(),
        });
    }
}

/// `~` takes away the blanks up to the next markup or line.
fn strip(tokens: &mut [Token]) {
    for at in 0..tokens.len() {
        let Token::Markup(strip) = tokens[at] else {
            continue;
        };
        if let (true, Some(Token::Text { text, .. })) = (
            strip.strip_start() && at > 0,
            tokens.get_mut(at.wrapping_sub(1)),
        ) {
            text.truncate(text.trim_end().len());
        }
        if let (true, Some(Token::Text { text, .. })) = (strip.strip_end(), tokens.get_mut(at + 1))
        {
            *text = text.trim_start().to_owned();
        }
    }
}

/// Takes the indentation that all lines share away. A line that begins with
/// markup has none; one whose line break was stripped is no line.
fn dedent(tokens: &mut [Token]) {
    let mut shared = usize::MAX;
    let mut first_of_lines = Vec::new();
    let mut is_line_start = true;
    for (at, token) in tokens.iter().enumerate() {
        if std::mem::take(&mut is_line_start) {
            match token {
                Token::Text { text, .. }
                    if text.trim_start().is_empty() && text.ends_with('\n') => {}
                Token::Text { text, .. } => {
                    shared = shared.min(text.chars().take_while(|c| c.is_whitespace()).count());
                    first_of_lines.push(at);
                }
                Token::Markup(_) => shared = 0,
            }
        }
        is_line_start |= matches!(token, Token::Text { text, .. } if text.ends_with('\n'));
    }
    for at in first_of_lines {
        if let Token::Text { text, .. } = &mut tokens[at] {
            *text = text.chars().skip(shared).collect();
        }
    }
}

/// The literals, in the order of the template.
fn literals(tokens: Vec<Token>) -> Vec<String> {
    let mut literals = Vec::new();
    let mut literal = String::new();
    for token in tokens {
        if let Token::Text { text, is_end } = token {
            literal.push_str(&text);
            if is_end {
                literals.push(std::mem::take(&mut literal));
            }
        }
    }
    literals
}

fn build<'e>(template: &'e Template, literals: &mut dyn Iterator<Item = String>) -> Vec<Piece<'e>> {
    let mut pieces = Vec::new();
    for element in template.iter() {
        pieces.push(match element {
            Element::Literal(_) => Piece::Text(literals.next().unwrap_or_default()),
            Element::Interpolation(interpolation) => Piece::Value(&interpolation.expr),
            Element::Directive(directive) => match &**directive {
                Directive::If(directive) => Piece::If {
                    condition: &directive.if_expr.cond_expr,
                    then: build(&directive.if_expr.template, literals),
                    otherwise: directive
                        .else_expr
                        .as_ref()
                        .map_or_else(Vec::new, |part| build(&part.template, literals)),
                },
                Directive::For(directive) => Piece::For {
                    key: directive
                        .for_expr
                        .key_var
                        .as_ref()
                        .map(|name| name.as_str()),
                    value: directive.for_expr.value_var.as_str(),
                    collection: &directive.for_expr.collection_expr,
                    body: build(&directive.for_expr.template, literals),
                },
            },
        });
    }
    pieces
}
