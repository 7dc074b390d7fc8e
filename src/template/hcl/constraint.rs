//! Type constraints as they are written: `list(object({size = number}))`.
//!
//! Not here: what values a type takes (`value`). Source of facts: the page on
//! type constraints of Packer's documentation.

use std::collections::BTreeMap;

use hcl_edit::expr::{Expression, FuncCall, ObjectKey};

use super::evaluate::Evaluator;
use super::value::{Attribute, Type, Value};
use crate::template::diagnostic::Diagnostic;
use crate::template::nearest::did_you_mean;
use crate::template::source::Span;

const NAMES: &[&str] = &[
    "string", "number", "bool", "any", "list", "set", "map", "object", "tuple",
];

impl Evaluator<'_> {
    /// The type that an expression stands for.
    pub(super) fn constraint(&mut self, expression: &Expression) -> Option<Type> {
        let span = self.span(expression);
        match expression {
            Expression::Variable(name) => self.simple_type(name.as_str(), span),
            // As Packer and Terraform once had it.
            Expression::String(name) => self.simple_type(name.value(), span),
            Expression::Parenthesis(inner) => self.constraint(inner.inner()),
            Expression::FuncCall(call) => self.composed_type(call, span),
            _ => self.no_type("This is no type", span),
        }
    }

    fn simple_type(&mut self, name: &str, span: Span) -> Option<Type> {
        let any = || Box::new(Type::Any);
        match name {
            "string" => Some(Type::String),
            "number" => Some(Type::Number),
            "bool" => Some(Type::Bool),
            "any" => Some(Type::Any),
            "list" => Some(Type::List(any())),
            "set" => Some(Type::Set(any())),
            "map" => Some(Type::Map(any())),
            "object" | "tuple" => self.no_type(&format!("`{name}` needs to say of what"), span),
            _ => self.no_type(&format!("There is no type `{name}`"), span),
        }
    }

    fn composed_type(&mut self, call: &FuncCall, span: Span) -> Option<Type> {
        let name = call.name.name.as_str();
        let arguments: Vec<_> = call.args.iter().collect();
        let of = match arguments.as_slice() {
            [of] => *of,
            _ if NAMES.contains(&name) => {
                return self.no_type(&format!("`{name}(…)` takes one argument"), span);
            }
            _ => return self.no_type(&format!("There is no type `{name}`"), span),
        };
        match (name, of) {
            ("list", of) => Some(Type::List(Box::new(self.constraint(of)?))),
            ("set", of) => Some(Type::Set(Box::new(self.constraint(of)?))),
            ("map", of) => Some(Type::Map(Box::new(self.constraint(of)?))),
            ("tuple", Expression::Array(kinds)) => {
                let kinds: Vec<_> = kinds.iter().map(|kind| self.constraint(kind)).collect();
                kinds.into_iter().collect::<Option<_>>().map(Type::Tuple)
            }
            ("object", Expression::Object(object)) => {
                let mut attributes = BTreeMap::new();
                for (key, kind) in object {
                    let ObjectKey::Ident(name) = key else {
                        let span = self.span(key);
                        return self.no_type("An attribute's name is a bare word here", span);
                    };
                    attributes.insert(name.to_string(), self.attribute_type(kind.expr())?);
                }
                Some(Type::Object(attributes))
            }
            ("tuple", _) => self.no_type("`tuple` takes a list of types", span),
            ("object", _) => self.no_type("`object` takes attributes with their types", span),
            ("optional", _) => self.no_type("`optional` belongs into an `object`", span),
            _ => self.no_type(&format!("There is no type `{name}`"), span),
        }
    }

    fn attribute_type(&mut self, expression: &Expression) -> Option<Attribute> {
        let required = |kind| Attribute {
            kind,
            is_optional: false,
            default: Value::Null,
        };
        let Expression::FuncCall(call) = expression else {
            return self.constraint(expression).map(required);
        };
        if call.name.name.as_str() != "optional" {
            return self.constraint(expression).map(required);
        }
        let arguments: Vec<_> = call.args.iter().collect();
        let (kind, default) = match arguments.as_slice() {
            [kind] => (self.constraint(kind)?, Value::Null),
            [kind, default] => {
                let kind = self.constraint(kind)?;
                let default = self.typed(default, &kind)?;
                (kind, default)
            }
            _ => {
                let span = self.span(expression);
                return self.no_type("`optional(…)` takes a type and a default", span);
            }
        };
        Some(Attribute {
            kind,
            is_optional: true,
            default,
        })
    }

    fn no_type<T>(&mut self, message: &str, span: Span) -> Option<T> {
        let word = message.split('`').nth(1).unwrap_or_default();
        let guess = did_you_mean(word, NAMES.iter().copied().filter(|name| *name != word));
        let help = guess.unwrap_or_else(|| {
            "Types are `string`, `number`, `bool`, `any`, `list(T)`, `set(T)`, `map(T)`, \
             `object({name = T})` and `tuple([T, …])`"
                .to_owned()
        });
        self.report(Diagnostic::error(message, span).help(help))
    }
}
