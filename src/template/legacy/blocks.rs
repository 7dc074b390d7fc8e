//! Builders, provisioners and post-processors of a legacy template.

use super::wrong_shape;
use crate::template::decode::{Decoder, OptionSpec};
use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::evaluate::{render_body, render_text};
use crate::template::interpolate::Context;
use crate::template::meta::{self, Timing, check_names, divide, timing, unknown_builder};
use crate::template::model::{BuilderBlock, PostProcessorBlock, ProvisionerBlock, Scope};
use crate::template::source::{Span, Spanned};
use crate::template::value::{Value, ValueKind};

/// Reads blocks; builders first, because the others name them.
pub(super) struct Reader<'r, 'a> {
    context: &'r Context<'a>,
    diagnostics: &'r mut Diagnostics,
    /// Names of the builders as written.
    builders: Vec<String>,
}

impl<'r, 'a> Reader<'r, 'a> {
    pub(super) fn new(context: &'r Context<'a>, diagnostics: &'r mut Diagnostics) -> Self {
        Self {
            context,
            diagnostics,
            builders: Vec::new(),
        }
    }

    pub(super) fn builders(&mut self, list: &[Value]) -> Vec<BuilderBlock> {
        let mut blocks: Vec<BuilderBlock> = Vec::new();
        for (index, value) in list.iter().enumerate() {
            let Some(block) = self.builder(value, index + 1) else {
                continue;
            };
            if blocks.iter().any(|b| b.build_name == block.build_name) {
                let message = format!(
                    "Builder {}: a builder with the name `{}` already exists",
                    index + 1,
                    block.build_name
                );
                let help = "Give each builder a `name` of its own";
                self.diagnostics
                    .push(Diagnostic::error(message, block.name.span).help(help));
                continue;
            }
            blocks.push(block);
        }
        blocks
    }

    fn builder(&mut self, value: &Value, number: usize) -> Option<BuilderBlock> {
        let label = format!("builder {number}");
        self.object(value, &label)?;
        let (body, meta) = divide(value, meta::BUILDER);
        let type_name = self.type_name(&meta, &label, value.span);
        let name = self.text(&meta, "name", &label).or(type_name.clone())?;
        // Known by name even when it is wrong otherwise.
        self.builders.push(name.value.clone());
        let build_name = render_text(&name.value, name.span, self.context, self.diagnostics)?;
        Some(BuilderBlock {
            type_name: type_name?,
            name,
            source_name: build_name.clone(),
            build_name,
            body,
            span: value.span,
        })
    }

    pub(super) fn provisioners(&mut self, list: &[Value]) -> Vec<ProvisionerBlock> {
        let numbered = list.iter().enumerate();
        numbered
            .filter_map(|(index, value)| {
                self.provisioner(value, &format!("provisioner {}", index + 1))
            })
            .collect()
    }

    pub(super) fn error_cleanup_provisioner(&mut self, value: &Value) -> Option<ProvisionerBlock> {
        self.provisioner(value, "the error-cleanup-provisioner")
    }

    fn provisioner(&mut self, value: &Value, label: &str) -> Option<ProvisionerBlock> {
        self.object(value, label)?;
        let (body, meta) = divide(value, meta::PROVISIONER);
        let type_name = self.type_name(&meta, label, value.span);
        let scope = self.scope(&meta, meta::PROVISIONER_TABLES, label);
        let overrides = self.overrides(&meta, label);
        // Packer interpolates `max_retries` only; the others do no harm.
        let meta = render_body(
            &meta,
            self.context,
            &["type", "only", "except", "override"],
            self.diagnostics,
        );
        let mut decoder = Decoder::new(&meta, meta::PROVISIONER_TABLES, label, self.diagnostics);
        let Timing {
            pause_before,
            timeout,
            max_retries,
            continue_on_error,
        } = timing(&mut decoder);
        Some(ProvisionerBlock {
            type_name: type_name?,
            scope,
            overrides,
            pause_before,
            timeout,
            max_retries,
            continue_on_error,
            body,
            span: value.span,
        })
    }

    fn overrides(&mut self, meta: &Value, label: &str) -> Vec<(String, Value)> {
        let tables = meta::PROVISIONER_TABLES;
        let object = Decoder::new(meta, tables, label, self.diagnostics).object("override");
        let mut overrides = Vec::new();
        for entry in object.map_or(&[][..], Value::entries) {
            let name = &entry.key;
            if !self.builders.contains(name) {
                let message =
                    format!("`override` of {label} names builder `{name}`, which does not exist");
                let span = Some(entry.key_span);
                let finding = unknown_builder(message, name, &self.builders, span);
                self.diagnostics.push(finding);
            } else if self
                .object(&entry.value, &format!("`override` for `{name}` of {label}"))
                .is_some()
            {
                overrides.push((name.clone(), entry.value.clone()));
            }
        }
        overrides
    }

    pub(super) fn post_processors(&mut self, list: &[Value]) -> Vec<Vec<PostProcessorBlock>> {
        let mut sequences = Vec::new();
        for (index, value) in list.iter().enumerate() {
            let label = format!("post-processor {}", index + 1);
            let sequence: Vec<_> = match &value.kind {
                ValueKind::List(elements) => elements
                    .iter()
                    .enumerate()
                    .filter_map(|(i, e)| self.post_processor(e, &format!("{label}.{}", i + 1)))
                    .collect(),
                _ => self.post_processor(value, &label).into_iter().collect(),
            };
            if !sequence.is_empty() {
                sequences.push(sequence);
            }
        }
        sequences
    }

    fn post_processor(&mut self, value: &Value, label: &str) -> Option<PostProcessorBlock> {
        match &value.kind {
            ValueKind::Object(_) => self.post_processor_object(value, label),
            ValueKind::String(name) => Some(bare_post_processor(name, value.span)),
            ValueKind::List(_) => {
                let message = format!(
                    "{}: a sequence cannot be nested in a sequence",
                    capitalized(label)
                );
                self.diagnostics
                    .push(Diagnostic::error(message, value.span).help("Move it one level up"));
                None
            }
            _ => {
                let expected = "a string, an object or a list";
                self.diagnostics
                    .push(wrong_shape(&capitalized(label), value, expected));
                None
            }
        }
    }

    fn post_processor_object(&mut self, value: &Value, label: &str) -> Option<PostProcessorBlock> {
        let (body, meta) = divide(value, meta::POST_PROCESSOR);
        let type_name = self.type_name(&meta, label, value.span);
        let name = self.text(&meta, "name", label);
        let scope = self.scope(&meta, meta::POST_PROCESSOR_TABLES, label);
        let keep_input_artifact = self.keep_input_artifact(&meta, label);
        let type_name = type_name?;
        Some(PostProcessorBlock {
            name: name.map_or_else(|| type_name.value.clone(), |name| name.value),
            type_name,
            scope,
            keep_input_artifact,
            body,
            span: value.span,
        })
    }

    /// The one meta key that Packer does not decode weakly.
    fn keep_input_artifact(&mut self, meta: &Value, label: &str) -> Option<Spanned<bool>> {
        let value = meta.get("keep_input_artifact")?;
        match &value.kind {
            ValueKind::Null => None,
            ValueKind::Bool(flag) => Some(Spanned::new(*flag, value.span)),
            other => {
                let what = format!("`keep_input_artifact` of {label}");
                let mut finding = wrong_shape(&what, value, "a bool");
                if matches!(other, ValueKind::String(_)) {
                    finding = finding.help("Write `true` or `false` without quotes");
                }
                self.diagnostics.push(finding);
                None
            }
        }
    }

    fn object(&mut self, value: &Value, label: &str) -> Option<()> {
        if matches!(value.kind, ValueKind::Object(_)) {
            return Some(());
        }
        self.diagnostics
            .push(wrong_shape(&capitalized(label), value, "an object"));
        None
    }

    fn type_name(&mut self, meta: &Value, label: &str, block: Span) -> Option<Spanned<String>> {
        let written = meta.get("type").is_some();
        let type_name = self.text(meta, "type", label);
        if type_name.is_none() && !is_wrong_shape(meta.get("type")) {
            let message = format!("{}: `type` is missing", capitalized(label));
            let place = meta.get("type").map_or(block, |value| value.span);
            let finding = Diagnostic::error(message, place);
            self.diagnostics.push(if written {
                finding.label("it must not be empty")
            } else {
                finding
            });
        }
        type_name
    }

    /// A meta key that must be a string.
    fn text(&mut self, meta: &Value, key: &str, label: &str) -> Option<Spanned<String>> {
        let value = meta.get(key)?;
        match &value.kind {
            ValueKind::Null => None,
            // Packer takes an empty text for an absent one.
            ValueKind::String(text) if text.is_empty() => None,
            ValueKind::String(text) => Some(Spanned::new(text.clone(), value.span)),
            _ => {
                let what = format!("`{key}` of {label}");
                self.diagnostics.push(wrong_shape(&what, value, "a string"));
                None
            }
        }
    }

    fn scope(
        &mut self,
        meta: &Value,
        tables: &'static [&'static [OptionSpec]],
        label: &str,
    ) -> Scope {
        let mut decoder = Decoder::new(meta, tables, label, self.diagnostics);
        let only = decoder
            .string_list("only")
            .filter(|list| !list.value.is_empty());
        let except = decoder
            .string_list("except")
            .filter(|list| !list.value.is_empty());
        for (option, list) in [("only", &only), ("except", &except)] {
            let names = list.as_ref().map_or(&[][..], |list| list.value.as_slice());
            check_names(option, label, names, &self.builders, self.diagnostics);
        }
        match (only, except) {
            (Some(_), Some(except)) => {
                let message = format!(
                    "{}: only one of `only` or `except` may be given",
                    capitalized(label)
                );
                self.diagnostics
                    .push(Diagnostic::error(message, except.span));
                Scope::All
            }
            (Some(only), None) => Scope::Only(only.value),
            (None, Some(except)) => Scope::Except(except.value),
            (None, None) => Scope::All,
        }
    }
}

fn is_wrong_shape(value: Option<&Value>) -> bool {
    value.is_some_and(|value| !matches!(value.kind, ValueKind::String(_) | ValueKind::Null))
}

/// `"compress"` stands for `{"type": "compress"}`.
fn bare_post_processor(name: &str, span: Span) -> PostProcessorBlock {
    PostProcessorBlock {
        type_name: Spanned::new(name.to_owned(), span),
        name: name.to_owned(),
        scope: Scope::All,
        keep_input_artifact: None,
        body: Value {
            kind: ValueKind::Object(Vec::new()),
            span,
        },
        span,
    }
}

fn capitalized(label: &str) -> String {
    let mut chars = label.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}
