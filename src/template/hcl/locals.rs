//! Locals: in the order in which they need each other, wherever they stand.

use std::collections::BTreeMap;

use hcl_edit::Decorated;
use hcl_edit::expr::{Expression, Traversal, TraversalOperator};
use hcl_edit::visit::{Visit, visit_traversal};

use super::blocks::{Placed, Root, duplicate};
use super::evaluate::{Evaluator, Text};
use super::scope::{Names, Place, Scope};
use super::secret::collect;
use super::variables::Resolution;
use super::world::World;
use crate::secret::Secret;
use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::source::Spanned;

/// A local before it is evaluated.
struct Local<'f> {
    name: Spanned<String>,
    text: Text<'f>,
    expression: &'f Expression,
    is_sensitive: bool,
}

/// How many locals may need each other in a row: an end before the stack's.
const LONGEST_CHAIN: usize = 100;

/// How far a local is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Those it needs are being evaluated.
    Begun,
    Done,
}

impl Resolution<'_> {
    /// The values of all locals; what of them must not be shown joins the
    /// secrets.
    pub(super) fn locals(&mut self, root: &Root<'_>, variables: &Names) -> Names {
        let locals = self.declared_locals(root, variables);
        // Known by name before any has a value, for "did you mean".
        let values = locals.keys().map(|name| (name.clone(), None)).collect();
        let mut resolver = Resolver {
            locals: &locals,
            variables,
            world: self.world,
            values,
            progress: BTreeMap::new(),
            path: Vec::new(),
            secrets: self.secrets,
            diagnostics: self.diagnostics,
        };
        for name in locals.keys() {
            resolver.visit(name);
        }
        resolver.values
    }

    fn declared_locals<'f>(
        &mut self,
        root: &Root<'f>,
        variables: &Names,
    ) -> BTreeMap<String, Local<'f>> {
        let short = root.locals.iter().map(|definition| Local {
            name: definition.name(),
            text: definition.text,
            expression: &definition.attribute.value,
            is_sensitive: false,
        });
        let mut all: Vec<_> = short.collect();
        for placed in &root.long_locals {
            all.extend(self.long_local(*placed, variables));
        }
        let mut locals: BTreeMap<String, Local<'f>> = BTreeMap::new();
        for local in all {
            let name = &local.name;
            if let Some(first) = locals.get(&name.value) {
                let finding = duplicate("local", name, first.name.span, self.sources);
                self.diagnostics.push(finding);
            } else {
                locals.insert(name.value.clone(), local);
            }
        }
        locals
    }

    fn long_local<'f>(&mut self, placed: Placed<'f>, variables: &Names) -> Option<Local<'f>> {
        let attributes = ["expression", "sensitive", "description"];
        placed.check_contents(&attributes, &[], self.diagnostics);
        let name = placed.label(0)?;
        let Some(expression) = placed.attribute("expression") else {
            let message = format!("The local `{name}` has no `expression`");
            let finding = Diagnostic::error(message, placed.header());
            self.diagnostics.push(finding);
            return None;
        };
        let scope = Scope {
            place: Place::Template,
            variables,
            locals: &Names::new(),
            world: self.world,
        };
        let mut evaluator = Evaluator::new(scope, placed.text, self.diagnostics);
        let sensitive = placed.attribute("sensitive");
        Some(Local {
            name,
            text: placed.text,
            expression,
            // In doubt it is.
            is_sensitive: sensitive
                .is_some_and(|flag| evaluator.decision(flag, "`sensitive`") != Some(false)),
        })
    }
}

struct Resolver<'r, 'f> {
    locals: &'r BTreeMap<String, Local<'f>>,
    variables: &'r Names,
    world: &'r World<'r>,
    values: Names,
    progress: BTreeMap<String, Progress>,
    /// Those that are begun, outer ones first.
    path: Vec<String>,
    secrets: &'r mut Vec<Secret>,
    diagnostics: &'r mut Diagnostics,
}

impl Resolver<'_, '_> {
    fn visit(&mut self, name: &str) {
        let Some(local) = self.locals.get(name) else {
            return;
        };
        match self.progress.get(name) {
            Some(Progress::Done) => return,
            Some(Progress::Begun) => return self.report_circle(name),
            None => {}
        }
        if self.path.len() == LONGEST_CHAIN {
            let message = format!("More than {LONGEST_CHAIN} locals need each other in a row");
            self.diagnostics
                .push(Diagnostic::error(message, local.name.span));
            self.progress.insert(name.to_owned(), Progress::Done);
            return;
        }
        self.progress.insert(name.to_owned(), Progress::Begun);
        self.path.push(name.to_owned());
        for needed in needs(local.expression) {
            self.visit(&needed);
        }
        self.path.pop();
        // One of a circle was reported and has no value.
        if self.progress.insert(name.to_owned(), Progress::Done) == Some(Progress::Begun) {
            self.evaluate(name, local);
        }
    }

    fn evaluate(&mut self, name: &str, local: &Local<'_>) {
        let scope = Scope {
            place: Place::Template,
            variables: self.variables,
            locals: &self.values,
            world: self.world,
        };
        let value = Evaluator::new(scope, local.text, self.diagnostics).value(local.expression);
        if let (true, Some(value)) = (local.is_sensitive, &value) {
            collect(value, self.secrets);
        }
        self.values.insert(name.to_owned(), value);
    }

    fn report_circle(&mut self, name: &str) {
        let from = self
            .path
            .iter()
            .position(|begun| begun == name)
            .unwrap_or(0);
        let circle = &self.path[from..];
        let message = match circle {
            [_] => format!("The local `{name}` refers to itself"),
            _ => {
                let names: Vec<_> = circle.iter().map(|name| format!("`{name}`")).collect();
                format!("The locals {} refer to each other", names.join(", "))
            }
        };
        let span = self.locals.get(name).and_then(|local| local.name.span);
        let help = "Give one of them a value of its own";
        self.diagnostics
            .push(Diagnostic::error(message, span).help(help));
        for name in circle {
            self.progress.insert(name.clone(), Progress::Done);
        }
    }
}

/// The locals that an expression names.
fn needs(expression: &Expression) -> Vec<String> {
    let mut needs = Needs(Vec::new());
    needs.visit_expr(expression);
    needs.0
}

struct Needs(Vec<String>);

impl Visit for Needs {
    fn visit_traversal(&mut self, node: &Traversal) {
        let is_local = matches!(&node.expr, Expression::Variable(root) if root.as_str() == "local");
        if is_local {
            match node.operators.first().map(Decorated::value) {
                Some(TraversalOperator::GetAttr(name)) => self.0.push(name.as_str().to_owned()),
                Some(TraversalOperator::Index(Expression::String(name))) => {
                    self.0.push(name.value().clone());
                }
                _ => {}
            }
        }
        visit_traversal(self, node);
    }
}
