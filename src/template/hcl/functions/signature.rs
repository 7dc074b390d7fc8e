//! What a function takes: its parameters, and its arguments once they fit.

use std::collections::BTreeMap;

use super::super::value::{Number, Type, Value};
use super::{FunctionError, Outcome, World};

/// A function of the language.
#[derive(Debug)]
pub(super) struct Function {
    /// Its name in templates.
    pub(super) name: &'static str,
    /// The parameters that it always has.
    pub(super) parameters: &'static [Parameter],
    /// The parameter for all arguments after those.
    pub(super) rest: Option<Parameter>,
    /// What it does with arguments that fit.
    pub(super) run: fn(&Arguments<'_>) -> Outcome,
}

/// One parameter of a function.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter {
    name: &'static str,
    shape: Shape,
    takes_null: bool,
    takes_unknown: bool,
}

/// What an argument is made to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Any,
    Text,
    Number,
    /// A list whose elements stay as they are.
    List,
    /// A list whose elements are made of one type.
    Uniform,
    Texts,
    Numbers,
    Bools,
    Set,
    Object,
}

/// The arguments of a call, of the types that the function asks for.
pub(super) struct Arguments<'w> {
    values: Vec<Value>,
    pub(super) world: &'w dyn World,
}

impl Function {
    /// A function with a fixed number of parameters.
    pub(super) const fn new(
        name: &'static str,
        parameters: &'static [Parameter],
        run: fn(&Arguments<'_>) -> Outcome,
    ) -> Self {
        Self {
            name,
            parameters,
            rest: None,
            run,
        }
    }

    /// The function with a parameter for any number of further arguments.
    pub(super) const fn and_any_number_of(mut self, rest: Parameter) -> Self {
        self.rest = Some(rest);
        self
    }

    /// Makes the arguments of the types of the parameters.
    pub(super) fn accept(&self, arguments: &[Value]) -> Result<Vec<Value>, FunctionError> {
        let expected = self.parameters.len();
        if arguments.len() < expected || (arguments.len() > expected && self.rest.is_none()) {
            return Err(self.miscounted(arguments.len()));
        }
        let parameters = self.parameters.iter().chain(self.rest.iter().cycle());
        let pairs = arguments.iter().zip(parameters).enumerate();
        pairs
            .map(|(index, (argument, parameter))| self.fit(index, argument, parameter))
            .collect()
    }

    fn miscounted(&self, given: usize) -> FunctionError {
        let names: Vec<&str> = self
            .parameters
            .iter()
            .map(|parameter| parameter.name)
            .collect();
        let and_more = if self.rest.is_some() { " or more" } else { "" };
        let plural = if names.len() == 1 && self.rest.is_none() {
            ""
        } else {
            "s"
        };
        let message = format!(
            "`{}` takes {}{and_more} argument{plural}, and got {given}",
            self.name,
            names.len()
        );
        FunctionError::new(message).with_hint(format!(
            "Write `{}({})`",
            self.name,
            names.join(", ")
        ))
    }

    fn fit(&self, index: usize, argument: &Value, parameter: &Parameter) -> Outcome {
        if *argument == Value::Null && !parameter.takes_null {
            let message = format!("`{}` of `{}` must not be null", parameter.name, self.name);
            return Err(FunctionError::at(index, message));
        }
        if argument.has_unknown() && !parameter.takes_unknown {
            return Err(FunctionError::unknown(self.name, index));
        }
        let converted = parameter.shape.kind().convert(argument.clone());
        let converted = converted.map_err(|mismatch| {
            FunctionError::mismatch(self.name, index, parameter.name, &mismatch)
        })?;
        match parameter.shape.admits(&converted) {
            true => Ok(converted),
            false => Err(self.unshaped(index, parameter, &converted)),
        }
    }

    fn unshaped(&self, index: usize, parameter: &Parameter, found: &Value) -> FunctionError {
        let expected = match parameter.shape {
            Shape::Object => "a map or an object",
            _ => "a list",
        };
        let (name, shape) = (parameter.name, found.shape());
        FunctionError::at(
            index,
            format!(
                "`{name}` of `{}` must be {expected}, and is {shape}",
                self.name
            ),
        )
    }
}

impl Parameter {
    /// A parameter that takes neither null nor what is not known yet.
    pub(super) const fn new(name: &'static str, shape: Shape) -> Self {
        Self {
            name,
            shape,
            takes_null: false,
            takes_unknown: false,
        }
    }

    /// A string.
    pub(super) const fn text(name: &'static str) -> Self {
        Self::new(name, Shape::Text)
    }

    /// A number.
    pub(super) const fn number(name: &'static str) -> Self {
        Self::new(name, Shape::Number)
    }

    /// A list of strings.
    pub(super) const fn texts(name: &'static str) -> Self {
        Self::new(name, Shape::Texts)
    }

    /// The parameter, taking null as well.
    pub(super) const fn or_null(mut self) -> Self {
        self.takes_null = true;
        self
    }

    /// The parameter, taking what is only known while a build runs: the
    /// function only moves it to another place.
    pub(super) const fn or_unknown(mut self) -> Self {
        self.takes_unknown = true;
        self
    }
}

impl Shape {
    fn kind(self) -> Type {
        match self {
            Self::Any | Self::List | Self::Object => Type::Any,
            Self::Text => Type::String,
            Self::Number => Type::Number,
            Self::Uniform => Type::any_list(),
            Self::Texts => Type::strings(),
            Self::Numbers => Type::List(Box::new(Type::Number)),
            Self::Bools => Type::List(Box::new(Type::Bool)),
            Self::Set => Type::Set(Box::new(Type::Any)),
        }
    }

    fn admits(self, value: &Value) -> bool {
        match self {
            Self::List => matches!(value, Value::List(_)),
            Self::Object => matches!(value, Value::Object(_) | Value::Null),
            _ => true,
        }
    }
}

impl<'w> Arguments<'w> {
    /// Arguments that [`Function::accept`] made fit.
    pub(super) fn new(values: Vec<Value>, world: &'w dyn World) -> Self {
        Self { values, world }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.values.len()
    }

    /// All from an index on.
    pub(super) fn from(&self, index: usize) -> &[Value] {
        self.values.get(index..).unwrap_or_default()
    }

    /// Whatever stands at an index.
    pub(super) fn any(&self, index: usize) -> &Value {
        &self.values[index]
    }

    /// The string at an index.
    pub(super) fn text(&self, index: usize) -> &str {
        match &self.values[index] {
            Value::String(text) => text,
            other => unreachable!("the parameter is a string, not {}", other.shape()),
        }
    }

    /// The number at an index.
    pub(super) fn number(&self, index: usize) -> &Number {
        match &self.values[index] {
            Value::Number(number) => number,
            other => unreachable!("the parameter is a number, not {}", other.shape()),
        }
    }

    /// The list at an index.
    pub(super) fn list(&self, index: usize) -> &[Value] {
        match &self.values[index] {
            Value::List(items) => items,
            other => unreachable!("the parameter is a list, not {}", other.shape()),
        }
    }

    /// The object at an index.
    pub(super) fn object(&self, index: usize) -> &BTreeMap<String, Value> {
        match &self.values[index] {
            Value::Object(entries) => entries,
            other => unreachable!("the parameter is an object, not {}", other.shape()),
        }
    }

    /// The number at an index, which has to be whole.
    pub(super) fn integer(&self, index: usize) -> Result<i64, FunctionError> {
        let number = self.number(index);
        number.to_i64().ok_or_else(|| {
            FunctionError::at(
                index,
                format!("`{number}` is not a whole number of 64 bits"),
            )
        })
    }

    /// The number at an index, which has to be whole and not negative.
    pub(super) fn natural(&self, index: usize) -> Result<usize, FunctionError> {
        let number = self.number(index);
        number.to_usize().ok_or_else(|| {
            let message = format!("`{number}` is not a whole number from 0 up");
            FunctionError::at(index, message)
        })
    }
}
