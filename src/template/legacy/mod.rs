//! Packer's legacy JSON templates: root keys, and what is read first.
//!
//! Blocks are read in `blocks`. Facts are those of Packer's documentation of
//! JSON templates and of its observed behaviour. Not here: JSON itself (`json`).

use super::diagnostic::{Diagnostic, Diagnostics};
use super::interpolate::Context;
use super::model::{Template, Variable};
use super::nearest::did_you_mean;
use super::source::Spanned;
use super::value::{Entry, Value, ValueKind};
use super::variables::not_a_string;
use super::version::check_min_version;

mod blocks;

const ROOT_KEYS: [&str; 9] = [
    "min_packer_version",
    "description",
    "variables",
    "sensitive-variables",
    "builders",
    "provisioners",
    "error-cleanup-provisioner",
    "post-processors",
    "push",
];

/// The root object of a template.
pub(super) struct Root<'v> {
    value: &'v Value,
}

impl<'v> Root<'v> {
    /// Checks the root keys.
    pub(super) fn new(value: &'v Value, diagnostics: &mut Diagnostics) -> Option<Self> {
        if !matches!(value.kind, ValueKind::Object(_)) {
            let message = format!("A template must be an object, but it is {}", value.shape());
            diagnostics.push(Diagnostic::error(message, value.span));
            return None;
        }
        for (index, entry) in value.entries().iter().enumerate() {
            check_root_key(entry, &value.entries()[..index], diagnostics);
        }
        Some(Self { value })
    }

    /// The declared variables, and the names of sensitive ones.
    pub(super) fn variables(
        &self,
        diagnostics: &mut Diagnostics,
    ) -> (Vec<Variable>, Vec<Spanned<String>>) {
        let declared = self.entries("variables", diagnostics);
        let variables = declared
            .iter()
            .map(|entry| variable(entry, diagnostics))
            .collect();
        let names = self.list("sensitive-variables", diagnostics);
        let sensitive = names
            .iter()
            .filter_map(|name| text(name, "A name in `sensitive-variables`", diagnostics))
            .collect();
        (variables, sensitive)
    }

    /// Everything but the variables. `context` renders builder names and
    /// meta keys.
    pub(super) fn template(
        &self,
        context: &Context<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Template {
        let mut template = Template {
            min_packer_version: self.root_text("min_packer_version", diagnostics),
            description: self
                .root_text("description", diagnostics)
                .map(|text| text.value),
            ..Template::default()
        };
        if let Some(finding) = template
            .min_packer_version
            .as_ref()
            .and_then(check_min_version)
        {
            diagnostics.push(finding);
        }
        let builders = self.list("builders", diagnostics);
        let provisioners = self.list("provisioners", diagnostics);
        let post_processors = self.list("post-processors", diagnostics);
        self.require_builders(diagnostics);
        let mut reader = blocks::Reader::new(context, diagnostics);
        template.builders = reader.builders(builders);
        template.provisioners = reader.provisioners(provisioners);
        template.error_cleanup_provisioners = self
            .get("error-cleanup-provisioner")
            .and_then(|value| reader.error_cleanup_provisioner(value))
            .into_iter()
            .collect();
        template.post_processors = reader.post_processors(post_processors);
        template
    }

    fn require_builders(&self, diagnostics: &mut Diagnostics) {
        let value = self.get("builders");
        let empty = ValueKind::List(Vec::new());
        if value.is_none_or(|value| value.kind == empty) {
            let span = value.map_or(self.value.span, |value| value.span);
            let message = "At least one builder must be defined";
            let help = "Add `\"builders\": [{\"type\": \"alicloud-ecs\", …}]`";
            diagnostics.push(Diagnostic::error(message, span).help(help));
        }
    }

    fn get(&self, key: &str) -> Option<&'v Value> {
        self.value
            .get(key)
            .filter(|value| value.kind != ValueKind::Null)
    }

    fn root_text(&self, key: &str, diagnostics: &mut Diagnostics) -> Option<Spanned<String>> {
        text(self.get(key)?, &format!("`{key}`"), diagnostics)
    }

    fn list(&self, key: &str, diagnostics: &mut Diagnostics) -> &'v [Value] {
        match self.get(key) {
            None => &[],
            Some(Value {
                kind: ValueKind::List(list),
                ..
            }) => list,
            Some(other) => {
                let diagnostic = wrong_shape(&format!("`{key}`"), other, "a list");
                diagnostics.push(diagnostic.help("Put it in square brackets: `[ … ]`"));
                &[]
            }
        }
    }

    fn entries(&self, key: &str, diagnostics: &mut Diagnostics) -> &'v [Entry] {
        match self.get(key) {
            None => &[],
            Some(Value {
                kind: ValueKind::Object(entries),
                ..
            }) => entries,
            Some(other) => {
                diagnostics.push(wrong_shape(&format!("`{key}`"), other, "an object"));
                &[]
            }
        }
    }
}

fn check_root_key(entry: &Entry, before: &[Entry], diagnostics: &mut Diagnostics) {
    let key = entry.key.as_str();
    if key.starts_with('_') {
        if !matches!(entry.value.kind, ValueKind::String(_)) {
            let what = format!("The comment `{key}`");
            diagnostics.push(wrong_shape(&what, &entry.value, "a string"));
        }
        return;
    }
    if !ROOT_KEYS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(key))
    {
        let message = format!("Unknown root level key in template: `{key}`");
        let help = did_you_mean(key, ROOT_KEYS).unwrap_or_else(|| {
            "A key that starts with `_` is a comment; all others must be known".to_owned()
        });
        diagnostics.push(Diagnostic::error(message, entry.key_span).help(help));
    }
    if let Some(twin) = before.iter().find(|e| e.key.eq_ignore_ascii_case(key)) {
        let message = format!("`{key}` and `{}` are the same root key", twin.key);
        diagnostics.push(Diagnostic::error(message, entry.key_span).help("Keep one of them"));
    }
}

fn variable(entry: &Entry, diagnostics: &mut Diagnostics) -> Variable {
    let default = match &entry.value.kind {
        ValueKind::Null => None,
        ValueKind::String(text) => Some(Spanned::new(text.clone(), entry.value.span)),
        _ => {
            let what = format!("The default of variable `{}`", entry.key);
            diagnostics.push(not_a_string(&what, &entry.value, "a string or null"));
            // Declared all the same, so that nothing else complains of it.
            Some(Spanned::new(String::new(), entry.value.span))
        }
    };
    Variable {
        name: entry.key.clone(),
        name_span: entry.key_span,
        default,
    }
}

fn text(value: &Value, what: &str, diagnostics: &mut Diagnostics) -> Option<Spanned<String>> {
    if let ValueKind::String(text) = &value.kind {
        return Some(Spanned::new(text.clone(), value.span));
    }
    diagnostics.push(wrong_shape(what, value, "a string"));
    None
}

fn wrong_shape(what: &str, value: &Value, expected: &str) -> Diagnostic {
    let message = format!("{what} must be {expected}, but it is {}", value.shape());
    Diagnostic::error(message, value.span).label(format!("expected {expected}"))
}

#[cfg(test)]
mod tests;
