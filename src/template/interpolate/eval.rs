//! Walks the tree of a template text and writes its output.

use std::collections::BTreeMap;

use super::datum::Datum;
use super::error::{Cause, InterpolateError};
use super::functions::{self, Argument};
use super::syntax::{Branch, Bytes, Command, Node, NodeKind, Operand, OperandKind, Pipeline};
use super::{BuildAccess, Context, MissingFields};

/// How many nodes one text may execute: an end to `range 1000000000`.
const STEP_LIMIT: usize = 100_000;

pub(super) struct Evaluator<'a> {
    text: &'a str,
    context: &'a Context<'a>,
    out: String,
    variables: Vec<(String, Datum)>,
    steps: usize,
}

/// Why a node did not finish.
enum Stop {
    Failed(InterpolateError),
    /// A field has no value, and its action is to stay as it is.
    Keep,
    Break,
    Continue,
}

impl From<InterpolateError> for Stop {
    fn from(error: InterpolateError) -> Self {
        Self::Failed(error)
    }
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(text: &'a str, context: &'a Context<'a>) -> Self {
        Self {
            text,
            context,
            out: String::with_capacity(text.len()),
            variables: Vec::new(),
            steps: 0,
        }
    }

    pub(super) fn render(mut self, nodes: &[Node]) -> Result<String, InterpolateError> {
        let root = self.root();
        self.variables.push((String::new(), root.clone()));
        match self.nodes(nodes, &root) {
            Err(Stop::Failed(error)) => Err(error),
            // The parser lets no `break` outside of a loop through, and a
            // kept action ends at its node.
            Ok(()) | Err(Stop::Keep | Stop::Break | Stop::Continue) => Ok(self.out),
        }
    }

    fn root(&self) -> Datum {
        let mut root = BTreeMap::new();
        let mut add = |map: &BTreeMap<String, String>| {
            for (name, value) in map {
                root.insert(name.clone(), Datum::Text(value.clone()));
            }
        };
        if let BuildAccess::Known(build) = self.context.build {
            add(build);
        }
        add(self.context.fields);
        Datum::Map(root)
    }

    fn nodes(&mut self, nodes: &[Node], dot: &Datum) -> Result<(), Stop> {
        for node in nodes {
            self.count(&node.at)?;
            let (written, scope) = (self.out.len(), self.variables.len());
            match self.node(node, dot) {
                Err(Stop::Keep) => {
                    self.out.truncate(written);
                    self.variables.truncate(scope);
                    self.out.push_str(&self.text[node.at.clone()]);
                }
                other => other?,
            }
        }
        Ok(())
    }

    fn count(&mut self, at: &Bytes) -> Result<(), InterpolateError> {
        self.steps += 1;
        if self.steps > STEP_LIMIT {
            let message = "The template runs for too long";
            return Err(InterpolateError::new(at, Cause::Failed, message));
        }
        Ok(())
    }

    fn node(&mut self, node: &Node, dot: &Datum) -> Result<(), Stop> {
        match &node.kind {
            NodeKind::Text(range) => self.out.push_str(&self.text[range.clone()]),
            NodeKind::Action(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.targets.is_empty() {
                    self.out.push_str(&value.output());
                }
            }
            NodeKind::If(branch) => self.choose(branch, dot, false)?,
            NodeKind::With(branch) => self.choose(branch, dot, true)?,
            NodeKind::Range(branch) => self.range(branch, dot)?,
            NodeKind::Break => return Err(Stop::Break),
            NodeKind::Continue => return Err(Stop::Continue),
        }
        Ok(())
    }

    fn choose(&mut self, branch: &Branch, dot: &Datum, sets_dot: bool) -> Result<(), Stop> {
        let scope = self.variables.len();
        let value = self.pipeline(&branch.condition, dot)?;
        let result = if value.is_true() {
            self.nodes(&branch.body, if sets_dot { &value } else { dot })
        } else {
            self.nodes(&branch.otherwise, dot)
        };
        self.variables.truncate(scope);
        result
    }

    fn range(&mut self, branch: &Branch, dot: &Datum) -> Result<(), Stop> {
        let scope = self.variables.len();
        let value = self.values(&branch.condition, dot)?;
        let items = self.items(value, &branch.condition.at)?;
        let mut result = Ok(());
        if items.is_empty() {
            result = self.nodes(&branch.otherwise, dot);
        }
        for (key, element) in items {
            self.count(&branch.condition.at)?;
            self.bind_items(&branch.condition, key, element.clone());
            let end = self.nodes(&branch.body, &element);
            self.variables.truncate(scope);
            match end {
                Ok(()) | Err(Stop::Continue) => {}
                Err(Stop::Break) => break,
                Err(other) => return Err(other),
            }
        }
        self.variables.truncate(scope);
        result
    }

    fn items(&self, value: Datum, at: &Bytes) -> Result<Vec<(Datum, Datum)>, Stop> {
        let numbered = |index: usize| Datum::Int(i64::try_from(index).unwrap_or(i64::MAX));
        Ok(match value {
            Datum::Map(map) => map
                .into_iter()
                .map(|(key, item)| (Datum::Text(key), item))
                .collect(),
            // Steps are counted, so one more than the limit is enough.
            Datum::Int(count) => (0..usize::try_from(count).unwrap_or(0).min(STEP_LIMIT + 1))
                .map(|index| (numbered(index), numbered(index)))
                .collect(),
            Datum::Nil => Vec::new(),
            other => {
                let message = format!("`range` cannot go over a {}", other.type_name());
                return Err(InterpolateError::new(at, Cause::Failed, message).into());
            }
        })
    }

    fn bind_items(&mut self, pipeline: &Pipeline, key: Datum, element: Datum) {
        let targets = pipeline.targets.as_slice();
        match targets {
            [] => {}
            [one] => self.bind(one, element, pipeline.declares),
            [index, item, ..] => {
                self.bind(index, key, pipeline.declares);
                self.bind(item, element, pipeline.declares);
            }
        }
    }

    fn bind(&mut self, name: &str, value: Datum, declares: bool) {
        let known = self.variables.iter_mut().rev().find(|(n, _)| n == name);
        match known {
            Some((_, old)) if !declares => *old = value,
            _ => self.variables.push((name.to_owned(), value)),
        }
    }

    /// The value of a pipeline, bound to its variables.
    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Datum) -> Result<Datum, Stop> {
        let value = self.values(pipeline, dot)?;
        if let Some(name) = pipeline.targets.last() {
            self.bind(name, value.clone(), pipeline.declares);
        }
        Ok(value)
    }

    fn values(&mut self, pipeline: &Pipeline, dot: &Datum) -> Result<Datum, Stop> {
        let mut piped: Option<Argument> = None;
        for command in &pipeline.commands {
            self.count(&command.at)?;
            let value = self.command(command, dot, piped.take())?;
            piped = Some(Argument {
                at: command.at.clone(),
                value,
            });
        }
        Ok(piped.map_or(Datum::Nil, |argument| argument.value))
    }

    fn command(
        &mut self,
        command: &Command,
        dot: &Datum,
        piped: Option<Argument>,
    ) -> Result<Datum, Stop> {
        let (first, rest) = command
            .operands
            .split_first()
            .expect("the parser makes no command without operands");
        let OperandKind::Function(name) = &first.kind else {
            return self.operand(first, dot);
        };
        if matches!(name.as_str(), "and" | "or") {
            return self.short_circuit(name == "and", first, rest, dot, piped);
        }
        let mut arguments = Vec::with_capacity(rest.len() + 1);
        for operand in rest {
            arguments.push(Argument {
                at: operand.at.clone(),
                value: self.operand(operand, dot)?,
            });
        }
        arguments.extend(piped);
        Ok(functions::call(name, &first.at, &arguments, self.context)?)
    }

    /// `and` gives the first false value, `or` the first true one, else the
    /// last; the values behind it are not computed.
    fn short_circuit(
        &mut self,
        and: bool,
        function: &Operand,
        rest: &[Operand],
        dot: &Datum,
        piped: Option<Argument>,
    ) -> Result<Datum, Stop> {
        let mut last = None;
        for operand in rest {
            let value = self.operand(operand, dot)?;
            if value.is_true() != and {
                return Ok(value);
            }
            last = Some(value);
        }
        let last = piped.map(|argument| argument.value).or(last);
        last.ok_or_else(|| {
            let message = "`and` and `or` need at least one argument";
            InterpolateError::new(&function.at, Cause::Failed, message).into()
        })
    }

    fn operand(&mut self, operand: &Operand, dot: &Datum) -> Result<Datum, Stop> {
        Ok(match &operand.kind {
            OperandKind::Dot => dot.clone(),
            OperandKind::Nil => Datum::Nil,
            OperandKind::Bool(flag) => Datum::Bool(*flag),
            OperandKind::Int(int) => Datum::Int(*int),
            OperandKind::Float(float) => Datum::Float(*float),
            OperandKind::Text(text) => Datum::Text(text.clone()),
            OperandKind::Field(names) => self.chain(dot, names, &operand.at)?,
            OperandKind::Variable(name, names) => {
                let variable = self.variables.iter().rev().find(|(n, _)| n == name);
                let value = variable.map_or(Datum::Nil, |(_, value)| value.clone());
                self.chain(&value, names, &operand.at)?
            }
            OperandKind::Nested(pipeline, names) => {
                let value = self.pipeline(pipeline, dot)?;
                self.chain(&value, names, &operand.at)?
            }
            OperandKind::Function(name) => functions::call(name, &operand.at, &[], self.context)?,
        })
    }

    fn chain(&self, start: &Datum, names: &[String], at: &Bytes) -> Result<Datum, Stop> {
        let mut value = start.clone();
        for name in names {
            let Datum::Map(map) = &value else {
                let message = format!("A {} has no field `.{name}`", value.type_name());
                return Err(InterpolateError::new(at, Cause::Failed, message).into());
            };
            value = match map.get(name) {
                Some(found) => found.clone(),
                None => return Err(self.missing_field(name, map, at)),
            };
        }
        Ok(value)
    }

    fn missing_field(&self, name: &str, map: &BTreeMap<String, Datum>, at: &Bytes) -> Stop {
        if self.context.missing_fields == MissingFields::Keep {
            return Stop::Keep;
        }
        let message = format!("There is no field `.{name}` here");
        let cause = Cause::UnknownField(name.to_owned());
        let error = InterpolateError::new(at, cause, message);
        if super::BUILD_FIELDS.contains(&name) {
            return Stop::Failed(error.hint(format!("Write {{{{build `{name}`}}}}")));
        }
        let known: Vec<_> = map.keys().map(|key| format!("`.{key}`")).collect();
        let hint = if known.is_empty() {
            format!("To write it literally use {{{{`{{{{.{name}}}}}`}}}}")
        } else {
            format!("Known here: {}", known.join(", "))
        };
        Stop::Failed(error.hint(hint))
    }
}

/// The literal arguments of all calls of `user`.
pub(super) fn user_variables(nodes: &[Node]) -> Vec<(Bytes, String)> {
    let mut found = Vec::new();
    for node in nodes {
        match &node.kind {
            NodeKind::Action(pipeline) => visit_pipeline(pipeline, &mut found),
            NodeKind::If(branch) | NodeKind::With(branch) | NodeKind::Range(branch) => {
                visit_pipeline(&branch.condition, &mut found);
                found.extend(user_variables(&branch.body));
                found.extend(user_variables(&branch.otherwise));
            }
            NodeKind::Text(_) | NodeKind::Break | NodeKind::Continue => {}
        }
    }
    found
}

fn visit_pipeline(pipeline: &Pipeline, found: &mut Vec<(Bytes, String)>) {
    let mut piped: Option<&Operand> = None;
    for command in &pipeline.commands {
        let function = &command.operands[0];
        let argument = command.operands.get(1).or(piped.take());
        if let OperandKind::Function(name) = &function.kind
            && name == "user"
            && let Some(Operand {
                at,
                kind: OperandKind::Text(text),
            }) = argument
        {
            found.push((at.clone(), text.clone()));
        }
        for operand in &command.operands {
            if let OperandKind::Nested(nested, _) = &operand.kind {
                visit_pipeline(nested, found);
            }
        }
        piped = (command.operands.len() == 1).then_some(function);
    }
}
