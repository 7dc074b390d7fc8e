//! Tokens to a tree.
//!
//! Follows the grammar of Go's `text/template`. `define`, `template` and
//! `block` are left out: one string cannot use them.

use super::error::{Cause, InterpolateError};
use super::functions;
use super::lexer::{Token, TokenKind, lex};
use super::syntax::{Branch, Bytes, Command, Node, NodeKind, Operand, OperandKind, Pipeline};
use crate::template::nearest::did_you_mean;

/// How deep parentheses and blocks may nest; the tree is walked recursively.
const DEPTH_LIMIT: usize = 64;

/// The tree of a text. All functions in it exist.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, InterpolateError> {
    let mut parser = Parser {
        tokens: lex(text)?,
        index: 0,
        depth: 0,
        variables: Vec::new(),
        loops: 0,
        length: text.len(),
    };
    let (nodes, ended_by) = parser.nodes()?;
    match ended_by {
        None => Ok(nodes),
        Some(end) => Err(InterpolateError::new(
            &end.at,
            Cause::Syntax,
            format!("`{{{{{}}}}}` without a block that it belongs to", end.word),
        )),
    }
}

struct Parser {
    tokens: Vec<Token>,
    index: usize,
    depth: usize,
    variables: Vec<String>,
    loops: usize,
    length: usize,
}

/// The action that ended a list of nodes: `end` or `else`.
struct Terminator {
    at: Bytes,
    word: &'static str,
}

impl Parser {
    fn nodes(&mut self) -> Result<(Vec<Node>, Option<Terminator>), InterpolateError> {
        let mut nodes = Vec::new();
        while let Some(token) = self.tokens.get(self.index).cloned() {
            self.index += 1;
            if token.kind == TokenKind::Literal {
                let kind = NodeKind::Text(token.at.clone());
                nodes.push(Node { at: token.at, kind });
                continue;
            }
            match self.action(&token.at)? {
                Item::Node(node) => nodes.push(node),
                Item::Terminator(end) => return Ok((nodes, Some(end))),
            }
        }
        Ok((nodes, None))
    }

    /// An action whose `{{` was taken.
    fn action(&mut self, open: &Bytes) -> Result<Item, InterpolateError> {
        let word = match self.peek() {
            Some(Token {
                kind: TokenKind::Word(word),
                ..
            }) => word.clone(),
            _ => String::new(),
        };
        let kind = match word.as_str() {
            "end" => return self.terminator(open, "end"),
            "else" => return self.terminator(open, "else"),
            "if" => NodeKind::If(self.block(open, false)?),
            "with" => NodeKind::With(self.block(open, false)?),
            "range" => NodeKind::Range(self.block(open, true)?),
            "break" | "continue" => self.jump(open, &word)?,
            "define" | "template" | "block" => {
                let message = format!("`{word}` is not supported in a template string");
                return Err(InterpolateError::new(&self.here(), Cause::Syntax, message));
            }
            _ => {
                let pipeline = self.pipeline(1)?;
                self.expect_close(open)?;
                NodeKind::Action(pipeline)
            }
        };
        let at = open.start..self.previous_end();
        Ok(Item::Node(Node { at, kind }))
    }

    /// `else` is left before what follows it, so that `else if` can nest.
    fn terminator(&mut self, open: &Bytes, word: &'static str) -> Result<Item, InterpolateError> {
        self.index += 1;
        if word == "end" {
            self.expect_close(open)?;
        }
        let at = open.start..self.previous_end();
        Ok(Item::Terminator(Terminator { at, word }))
    }

    fn jump(&mut self, open: &Bytes, word: &str) -> Result<NodeKind, InterpolateError> {
        let at = self.here();
        self.index += 1;
        if self.loops == 0 {
            let message = format!("`{word}` outside of `range`");
            return Err(InterpolateError::new(&at, Cause::Syntax, message));
        }
        self.expect_close(open)?;
        Ok(if word == "break" {
            NodeKind::Break
        } else {
            NodeKind::Continue
        })
    }

    /// The rest of a block whose keyword is next.
    fn block(&mut self, open: &Bytes, is_range: bool) -> Result<Branch, InterpolateError> {
        self.enter(open)?;
        self.index += 1;
        let known = self.variables.len();
        let condition = self.pipeline(if is_range { 2 } else { 1 })?;
        self.expect_close(open)?;
        self.loops += usize::from(is_range);
        let (body, ended_by) = self.nodes()?;
        self.loops -= usize::from(is_range);
        let otherwise = match ended_by {
            Some(end) if end.word == "else" => self.otherwise(open)?,
            Some(_) => Vec::new(),
            None => return Err(self.unclosed_block(open)),
        };
        self.variables.truncate(known);
        self.depth -= 1;
        Ok(Branch {
            condition,
            body,
            otherwise,
        })
    }

    /// What follows a taken `else`: `}}` and nodes, or `if …` / `with …`.
    fn otherwise(&mut self, open: &Bytes) -> Result<Vec<Node>, InterpolateError> {
        let else_at = self.here();
        if let Some(Token {
            kind: TokenKind::Word(word),
            ..
        }) = self.peek()
            && matches!(word.as_str(), "if" | "with")
        {
            let is_if = word == "if";
            let branch = self.block(open, false)?;
            let at = else_at.start..self.previous_end();
            let kind = if is_if {
                NodeKind::If(branch)
            } else {
                NodeKind::With(branch)
            };
            return Ok(vec![Node { at, kind }]);
        }
        self.expect_close(open)?;
        let (nodes, ended_by) = self.nodes()?;
        match ended_by {
            Some(end) if end.word == "end" => Ok(nodes),
            Some(end) => Err(InterpolateError::new(
                &end.at,
                Cause::Syntax,
                "A second `else`",
            )),
            None => Err(self.unclosed_block(open)),
        }
    }

    fn pipeline(&mut self, most_targets: usize) -> Result<Pipeline, InterpolateError> {
        let start = self.here();
        let (targets, declares) = self.targets(most_targets)?;
        let mut commands = vec![self.command()?];
        while self.take(&TokenKind::Pipe) {
            let command = self.command()?;
            let first = command.operands.first().map(|operand| &operand.kind);
            if !matches!(first, Some(OperandKind::Function(_))) {
                let message = "Only a function can follow `|`";
                return Err(InterpolateError::new(&command.at, Cause::Syntax, message));
            }
            commands.push(command);
        }
        if declares {
            self.variables.extend(targets.iter().cloned());
        }
        Ok(Pipeline {
            at: start.start..self.previous_end(),
            targets,
            declares,
            commands,
        })
    }

    /// `$x :=`, `$x =` or `$i, $x :=`; takes nothing when there is neither.
    fn targets(&mut self, most: usize) -> Result<(Vec<String>, bool), InterpolateError> {
        let mark = self.index;
        let mut targets = Vec::new();
        while let Some(Token {
            kind: TokenKind::Variable(name),
            at,
            ..
        }) = self.peek().cloned()
        {
            self.index += 1;
            targets.push(name);
            if self.take(&TokenKind::Declare) {
                return Ok((targets, true));
            }
            if self.take(&TokenKind::Assign) {
                self.known_variable(targets.last().map_or("", String::as_str), &at)?;
                return Ok((targets, false));
            }
            if targets.len() >= most || !self.take(&TokenKind::Comma) {
                break;
            }
        }
        self.index = mark;
        Ok((Vec::new(), false))
    }

    fn command(&mut self) -> Result<Command, InterpolateError> {
        let start = self.here();
        let mut operands: Vec<Operand> = Vec::new();
        while let Some(token) = self.peek().cloned() {
            if matches!(
                token.kind,
                TokenKind::Close | TokenKind::Pipe | TokenKind::RightParen
            ) {
                break;
            }
            if !operands.is_empty() && !token.spaced {
                let message = "A blank is missing between two arguments";
                return Err(InterpolateError::new(&token.at, Cause::Syntax, message));
            }
            operands.push(self.operand(token)?);
        }
        if operands.is_empty() {
            let message = "A value or a function is missing";
            return Err(InterpolateError::new(&start, Cause::Syntax, message));
        }
        let first_is_function = matches!(operands[0].kind, OperandKind::Function(_));
        if operands.len() > 1 && !first_is_function {
            let at = operands[0].at.start..self.previous_end();
            let message = "Arguments behind something that is not a function";
            return Err(InterpolateError::new(&at, Cause::Syntax, message));
        }
        Ok(Command {
            at: start.start..self.previous_end(),
            operands,
        })
    }

    fn operand(&mut self, token: Token) -> Result<Operand, InterpolateError> {
        self.index += 1;
        let at = token.at.clone();
        let kind = match token.kind {
            TokenKind::Dot => OperandKind::Dot,
            TokenKind::Field(name) => {
                let mut names = vec![name];
                names.extend(self.field_chain());
                OperandKind::Field(names)
            }
            TokenKind::Variable(name) => {
                self.known_variable(&name, &at)?;
                OperandKind::Variable(name, self.field_chain())
            }
            TokenKind::Word(word) => word_operand(word, &at)?,
            TokenKind::Text(text) => OperandKind::Text(text),
            TokenKind::Int(int) => OperandKind::Int(int),
            TokenKind::Float(float) => OperandKind::Float(float),
            TokenKind::LeftParen => self.nested(&at)?,
            _ => {
                let message = "Unexpected sign in a template action";
                return Err(InterpolateError::new(&at, Cause::Syntax, message));
            }
        };
        Ok(Operand {
            at: at.start..self.previous_end(),
            kind,
        })
    }

    fn nested(&mut self, open: &Bytes) -> Result<OperandKind, InterpolateError> {
        self.enter(open)?;
        let pipeline = self.pipeline(1)?;
        if !self.take(&TokenKind::RightParen) {
            let message = "Unclosed parenthesis in a template action";
            return Err(InterpolateError::new(open, Cause::Syntax, message));
        }
        self.depth -= 1;
        Ok(OperandKind::Nested(Box::new(pipeline), self.field_chain()))
    }

    /// `.Name`s that stand right behind an operand.
    fn field_chain(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(Token {
            kind: TokenKind::Field(name),
            spaced: false,
            ..
        }) = self.peek()
        {
            names.push(name.clone());
            self.index += 1;
        }
        names
    }

    fn known_variable(&self, name: &str, at: &Bytes) -> Result<(), InterpolateError> {
        if name.is_empty() || self.variables.iter().any(|known| known == name) {
            return Ok(());
        }
        let message = format!("Undefined variable `${name}`");
        Err(InterpolateError::new(at, Cause::Syntax, message)
            .hint("User variables are written {{user `name`}}"))
    }

    fn enter(&mut self, at: &Bytes) -> Result<(), InterpolateError> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            let message = "Template actions are nested too deep";
            return Err(InterpolateError::new(at, Cause::Syntax, message));
        }
        Ok(())
    }

    fn expect_close(&mut self, open: &Bytes) -> Result<(), InterpolateError> {
        if self.take(&TokenKind::Close) {
            return Ok(());
        }
        let at = if self.peek().is_some() {
            self.here()
        } else {
            open.clone()
        };
        Err(InterpolateError::new(
            &at,
            Cause::Syntax,
            "`}}` is expected here",
        ))
    }

    fn unclosed_block(&self, open: &Bytes) -> InterpolateError {
        InterpolateError::new(open, Cause::Syntax, "This block is never closed")
            .hint("Close it with `{{end}}`")
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.index)
    }

    fn take(&mut self, kind: &TokenKind) -> bool {
        let found = self.peek().is_some_and(|token| token.kind == *kind);
        self.index += usize::from(found);
        found
    }

    fn here(&self) -> Bytes {
        self.peek()
            .map_or(self.length..self.length, |token| token.at.clone())
    }

    fn previous_end(&self) -> usize {
        self.index
            .checked_sub(1)
            .map_or(0, |index| self.tokens[index].at.end)
    }
}

enum Item {
    Node(Node),
    Terminator(Terminator),
}

fn word_operand(word: String, at: &Bytes) -> Result<OperandKind, InterpolateError> {
    match word.as_str() {
        "true" => return Ok(OperandKind::Bool(true)),
        "false" => return Ok(OperandKind::Bool(false)),
        "nil" => return Ok(OperandKind::Nil),
        _ if functions::exists(&word) => return Ok(OperandKind::Function(word)),
        _ => {}
    }
    let message = format!("There is no template function `{word}`");
    let error = InterpolateError::new(at, Cause::UnknownFunction, message);
    Err(
        match functions::hint_for_unknown(&word).or_else(|| did_you_mean(&word, functions::names()))
        {
            Some(hint) => error.hint(hint),
            None => error,
        },
    )
}
