//! Strings with `${ … }` and `%{ … }` in them.

use hcl_edit::expr::Expression;
use hcl_edit::template::{Element, HeredocTemplate, StringTemplate, Template};

use super::Evaluator;
use super::layout::{Piece, Writing, pieces};
use crate::template::diagnostic::Diagnostic;
use crate::template::hcl::value::{Deferred, Value};
use crate::template::source::Span;

/// How long a string may become: an end to locals that double each other.
const LONGEST: usize = 16 << 20;

/// A string while it is put together.
#[derive(Default)]
struct Output {
    text: String,
    /// Whether something in it is known only while a build runs.
    is_deferred: bool,
    /// Whether something in it could not be evaluated.
    is_broken: bool,
}

impl Evaluator<'_> {
    /// A string without markup.
    pub(super) fn plain(&mut self, expression: &Expression, text: &str) -> Option<Value> {
        let span = self.span(expression);
        self.one_line(span)?;
        Some(text.into())
    }

    /// A string in quotes. One that is nothing but `"${ … }"` is the value
    /// itself, whatever its type.
    pub(super) fn quoted(&mut self, template: &StringTemplate) -> Option<Value> {
        if let Some(Element::Interpolation(only)) = template.as_single_element() {
            return self.value(&only.expr);
        }
        for element in template.iter() {
            if let Element::Literal(literal) = element {
                self.one_line(self.span(literal))?;
            }
        }
        self.template(template, Writing::Quoted(self.text.text))
    }

    pub(super) fn heredoc(&mut self, heredoc: &HeredocTemplate) -> Option<Value> {
        let span = self.span(heredoc);
        let written = self.text.text.get(span.start..).unwrap_or_default();
        let writing = match written.starts_with("<<-") {
            true => Writing::Indented(self.text.text),
            false => Writing::Plain(self.text.text),
        };
        self.template(&heredoc.template, writing)
    }

    /// A string from its pieces; all of them are evaluated, for their errors.
    pub(super) fn template(&mut self, template: &Template, writing: Writing<'_>) -> Option<Value> {
        let mut output = Output::default();
        self.write_all(&pieces(template, writing), &mut output);
        if output.is_broken {
            return None;
        }
        Some(match output.is_deferred {
            true => Value::Unknown(Deferred {
                template: output.text,
            }),
            false => Value::String(output.text),
        })
    }

    fn write_all(&mut self, pieces: &[Piece<'_>], output: &mut Output) {
        for piece in pieces {
            if self.write(piece, output).is_none() {
                output.is_broken = true;
            }
        }
    }

    fn write(&mut self, piece: &Piece<'_>, output: &mut Output) -> Option<()> {
        match piece {
            Piece::Text(text) => output.text.push_str(text),
            Piece::Value(expression) => {
                let value = self.value(expression)?;
                let span = self.span(*expression);
                self.write_value(value, span, output)?;
            }
            Piece::If {
                condition,
                then,
                otherwise,
            } => {
                let branch = match self.decision(condition, "The condition")? {
                    true => then,
                    false => otherwise,
                };
                self.write_all(branch, output);
            }
            Piece::For {
                key,
                value,
                collection,
                body,
            } => {
                for (at, item) in self.items(collection)? {
                    let bound = self.bind_item(*key, value, at, item);
                    self.write_all(body, output);
                    self.unbind(bound);
                    // The same error for every element helps nobody.
                    if output.is_broken {
                        return None;
                    }
                }
            }
        }
        Some(())
    }

    fn write_value(&mut self, value: Value, span: Span, output: &mut Output) -> Option<()> {
        if let Value::Unknown(deferred) = value {
            output.text.push_str(&deferred.template);
            output.is_deferred = true;
            return Some(());
        }
        let Some(text) = value.text() else {
            let message = format!("A string cannot have {} in it", value.shape());
            let help = match value {
                Value::Null => "Give it a value, or choose with `… == null ? \"\" : …`",
                _ => "Take one element of it, or make a string of it with `join` or `jsonencode`",
            };
            return self.report(Diagnostic::error(message, span).help(help));
        };
        output.text.push_str(&text);
        if output.text.len() > LONGEST {
            let message = "The string is longer than 16 MiB here";
            return self.report(Diagnostic::error(message, span));
        }
        Some(())
    }

    /// Packer takes no line break inside of quotes; the parser does.
    fn one_line(&mut self, span: Span) -> Option<()> {
        let written = self.text.text.get(span.start..span.end).unwrap_or_default();
        let Some(line) = written.find('\n') else {
            return Some(());
        };
        let place = Span {
            end: span.start + line,
            ..span
        };
        let message = "A string in quotes must end on the line it begins on";
        let help = "Write `\\n`, or a heredoc: `<<-EOT`, the lines, and `EOT` on a line of its own";
        self.report(Diagnostic::error(message, place).help(help))
    }
}
