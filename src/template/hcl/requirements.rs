//! `packer {}`: which Packer and which plugins a template wants.
//!
//! Plugins are built in here, so that a requirement is never installed: one
//! that is not built in is warned of, and what uses it is an error there.

use hcl_edit::expr::{Expression, Object, ObjectKey};

use super::blocks::Placed;
use super::evaluate::Evaluator;
use super::scope::{Names, Place, Scope};
use super::value::{Type, Value};
use super::world::World;
use crate::template::PACKER_VERSION;
use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::version::{Constraint, satisfies};

/// The plugins whose components are built in, by the end of their source.
const BUILT_IN: &[&str] = &["alicloud", "qemu", "ansible"];

/// Checks a `packer` block.
pub(super) fn check(placed: Placed<'_>, world: &World<'_>, diagnostics: &mut Diagnostics) {
    placed.check_contents(&["required_version"], &["required_plugins"], diagnostics);
    let nothing = Names::new();
    let scope = Scope {
        place: Place::Given,
        variables: &nothing,
        locals: &nothing,
        world,
    };
    let mut evaluator = Evaluator::new(scope, placed.text, diagnostics);
    if let Some(wanted) = placed.attribute("required_version") {
        check_version(&mut evaluator, wanted);
    }
    for plugins in placed.blocks("required_plugins") {
        for plugin in plugins.block.body.attributes() {
            check_plugin(&mut evaluator, plugin.key.as_str(), &plugin.value);
        }
    }
}

fn check_version(evaluator: &mut Evaluator<'_>, wanted: &Expression) {
    let Some(constraint) = evaluator.string(wanted) else {
        return;
    };
    let span = evaluator.span(wanted);
    let finding = match satisfies(PACKER_VERSION, &constraint) {
        Constraint::Met => return,
        Constraint::Unmet => Diagnostic::error(
            format!(
                "This template requires Packer `{constraint}`; this program answers as \
                 {PACKER_VERSION}"
            ),
            span,
        )
        .help("Change `required_version` if the template uses nothing that is missing here"),
        Constraint::Malformed => {
            let message = format!("`required_version` is malformed: `{constraint}`");
            Diagnostic::error(message, span).label("expected for example `>= 1.7.0, < 2.0.0`")
        }
    };
    evaluator.diagnostics.push(finding);
}

fn check_plugin(evaluator: &mut Evaluator<'_>, name: &str, wanted: &Expression) {
    let source = match wanted {
        Expression::Object(object) => attribute(object, "source"),
        _ => None,
    };
    let Some(source) = source else {
        let span = evaluator.span(wanted);
        let message = format!("The required plugin `{name}` has no source");
        let help = "Write `{ source = \"github.com/hashicorp/alicloud\", version = \">= 1.0.0\" }`";
        evaluator
            .diagnostics
            .push(Diagnostic::error(message, span).help(help));
        return;
    };
    let Some(Value::String(address)) = evaluator.typed(source, &Type::String) else {
        return;
    };
    let plugin = address.rsplit('/').next().unwrap_or_default();
    if !BUILT_IN.contains(&plugin) {
        let span = evaluator.span(source);
        let message = format!("The plugin `{address}` is not built in, and is not installed");
        let help = "Remove it if nothing in the template uses it";
        evaluator
            .diagnostics
            .push(Diagnostic::warning(message, span).help(help));
    }
}

fn attribute<'o>(object: &'o Object, name: &str) -> Option<&'o Expression> {
    let mut entries = object.iter();
    let (_, value) = entries.find(|(key, _)| match key {
        ObjectKey::Ident(key) => key.as_str() == name,
        ObjectKey::Expression(Expression::String(key)) => key.value() == name,
        ObjectKey::Expression(_) => false,
    })?;
    Some(value.expr())
}
