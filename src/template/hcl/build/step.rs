//! What follows a source in a build: provisioners and post-processors.
//!
//! Each is evaluated once for every source that it runs for.

use super::{Build, Builds, Use, without};
use crate::template::decode::{Decoder, OptionSpec};
use crate::template::diagnostic::Diagnostic;
use crate::template::hcl::blocks::Placed;
use crate::template::hcl::body::Bodies;
use crate::template::hcl::scope::{Place, Running};
use crate::template::hcl::value::{Type, Value};
use crate::template::meta::{self, Timing, divide, timing};
use crate::template::model::{BuildOutline, PostProcessorBlock, ProvisionerBlock, Scope, Template};
use crate::template::nearest::did_you_mean;
use crate::template::source::{Span, Spanned};
use crate::template::value::{self as plain, ValueKind};

impl<'f> Builds<'_, 'f> {
    pub(super) fn provisioner(
        &mut self,
        build: &Build<'f>,
        block: Placed<'f>,
        template: &mut Template,
        outline: &mut BuildOutline,
    ) {
        if !block.check_labels(&["TYPE"], self.diagnostics) {
            return;
        }
        outline
            .provisioners
            .extend(block.label(0).map(|it| it.value));
        for used in &build.uses {
            let read = self.provisioner_for(build, block, used);
            template.provisioners.extend(read);
        }
    }

    pub(super) fn error_cleanup(
        &mut self,
        build: &Build<'f>,
        block: Placed<'f>,
        template: &mut Template,
    ) {
        let keyword = "error-cleanup-provisioner";
        if !block.check_labels(&["TYPE"], self.diagnostics) {
            return;
        }
        let first = build.placed.blocks(keyword).next();
        if first.is_some_and(|first| first.header() != block.header()) {
            let message = format!("A build has one `{keyword}` at most");
            let finding = Diagnostic::error(message, block.header()).help("Keep one of them");
            self.diagnostics.push(finding);
            return;
        }
        for used in &build.uses {
            let read = self.provisioner_for(build, block, used);
            template.error_cleanup_provisioners.extend(read);
        }
    }

    fn provisioner_for(
        &mut self,
        build: &Build<'f>,
        block: Placed<'f>,
        used: &Use<'f>,
    ) -> Option<ProvisionerBlock> {
        let type_name = block.label(0)?;
        let label = format!("provisioner `{type_name}`");
        let (mut body, meta) = self.step(build, block, used, meta::PROVISIONER)?;
        without(&mut body, "name");
        let overrides = self.overrides(build, used, &meta, &label);
        let tables = meta::PROVISIONER_TABLES;
        let Timing {
            pause_before,
            timeout,
            max_retries,
            continue_on_error,
        } = timing(&mut Decoder::new(&meta, tables, &label, self.diagnostics));
        Some(ProvisionerBlock {
            type_name,
            scope: only(build, used),
            overrides,
            pause_before,
            timeout,
            max_retries,
            continue_on_error,
            body,
            span: block.header(),
        })
    }

    /// What differs for one source: `override`, by local names.
    fn overrides(
        &mut self,
        build: &Build<'f>,
        used: &Use<'f>,
        meta: &plain::Value,
        label: &str,
    ) -> Vec<(String, plain::Value)> {
        let tables = meta::PROVISIONER_TABLES;
        let object = Decoder::new(meta, tables, label, self.diagnostics).object("override");
        let mut overrides = Vec::new();
        for entry in object.map_or(&[][..], plain::Value::entries) {
            let names =
                |it: &Use<'f>| [it.local_name.clone(), it.short_name(), build.full_name(it)];
            if !build.uses.iter().any(|it| names(it).contains(&entry.key)) {
                let message = format!(
                    "`override` of {label} names source `{}`, which this build does not have",
                    entry.key
                );
                let known: Vec<_> = build.uses.iter().map(|it| it.local_name.as_str()).collect();
                self.warn(message, entry.key_span, &entry.key, &known);
            }
            if names(used).contains(&entry.key) {
                if let ValueKind::Object(_) = entry.value.kind {
                    overrides.push((build.full_name(used), entry.value.clone()));
                } else {
                    let message = format!("`override` for `{}` must be an object", entry.key);
                    self.diagnostics
                        .push(Diagnostic::error(message, entry.value.span));
                }
            }
        }
        overrides
    }

    pub(super) fn sequence(
        &mut self,
        build: &Build<'f>,
        blocks: &[Placed<'f>],
        template: &mut Template,
        outline: &mut BuildOutline,
    ) {
        let mut labelled = Vec::new();
        for block in blocks {
            if block.check_labels(&["TYPE"], self.diagnostics) {
                labelled.push(*block);
            }
        }
        let names = labelled.iter().filter_map(|block| {
            let name = self.text(*block, "name");
            name.or_else(|| block.label(0).map(|label| label.value))
        });
        outline.post_processors.push(names.collect());
        for used in &build.uses {
            let steps = labelled.iter();
            let steps: Vec<_> = steps
                .filter_map(|block| self.post_processor_for(build, *block, used))
                .collect();
            if !steps.is_empty() {
                template.post_processors.push(steps);
            }
        }
    }

    fn post_processor_for(
        &mut self,
        build: &Build<'f>,
        block: Placed<'f>,
        used: &Use<'f>,
    ) -> Option<PostProcessorBlock> {
        let type_name = block.label(0)?;
        let label = format!("post-processor `{type_name}`");
        let (body, meta) = self.step(build, block, used, meta::POST_PROCESSOR)?;
        let tables = meta::POST_PROCESSOR_TABLES;
        let mut decoder = Decoder::new(&meta, tables, &label, self.diagnostics);
        let name = decoder.string("name").map(|name| name.value);
        Some(PostProcessorBlock {
            name: name.unwrap_or_else(|| type_name.value.clone()),
            type_name,
            scope: only(build, used),
            keep_input_artifact: decoder.bool("keep_input_artifact"),
            body,
            span: block.header(),
        })
    }

    /// Body and meta keys of a block for one source; nothing when it does not
    /// run for that one.
    fn step(
        &mut self,
        build: &Build<'f>,
        block: Placed<'f>,
        used: &Use<'f>,
        keys: &[OptionSpec],
    ) -> Option<(plain::Value, plain::Value)> {
        let running = Running {
            source_name: &used.local_name,
            source_type: &used.type_name.value,
            build_name: &build.name,
        };
        if !self.includes(build, block, used, running) {
            return None;
        }
        let sources = self.sources;
        let mut evaluator = self.evaluator(block.text, Place::Build(running));
        let mut bodies = Bodies {
            evaluator: &mut evaluator,
            sources,
        };
        let object = bodies.object(&block.block.body, block.header());
        self.refuse_type(&object);
        Some(divide(&object, keys))
    }

    /// Whether `only` and `except` let a block run for a source.
    fn includes(
        &mut self,
        build: &Build<'f>,
        block: Placed<'f>,
        used: &Use<'f>,
        running: Running<'_>,
    ) -> bool {
        let is_named = |names: &[String]| {
            names.contains(&used.short_name()) || names.contains(&build.full_name(used))
        };
        let only = self.names(build, block, "only", running);
        let except = self.names(build, block, "except", running);
        if let (Some(_), Some(_)) = (&only, &except) {
            let message = "Only one of `only` and `except` may be given";
            let finding = Diagnostic::error(message, block.header());
            self.diagnostics.push(finding);
        }
        only.is_none_or(|names| is_named(&names)) && !except.is_some_and(|names| is_named(&names))
    }

    fn names(
        &mut self,
        build: &Build<'f>,
        block: Placed<'f>,
        option: &str,
        running: Running<'_>,
    ) -> Option<Vec<String>> {
        let expression = block.attribute(option)?;
        let span = block.text.span(expression);
        let mut evaluator = self.evaluator(block.text, Place::Build(running));
        let Value::List(names) = evaluator.typed(expression, &Type::strings())? else {
            return None;
        };
        let names: Vec<_> = names.iter().filter_map(Value::text).collect();
        for name in &names {
            let known: Vec<_> = build.uses.iter().map(Use::short_name).collect();
            let is_full = build.uses.iter().any(|used| build.full_name(used) == *name);
            if !known.contains(name) && !is_full {
                let message =
                    format!("`{option}` names `{name}`, which is no source of this build");
                let known: Vec<_> = known.iter().map(String::as_str).collect();
                self.warn(message, span, name, &known);
            }
        }
        (!names.is_empty()).then_some(names)
    }

    fn warn(&mut self, message: String, span: Span, name: &str, known: &[&str]) {
        let help = did_you_mean(name, known.iter().copied()).unwrap_or_else(|| {
            let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("It has {}", known.join(", "))
        });
        let warning = Diagnostic::warning(message, span).help(help);
        self.diagnostics.push(warning);
    }
}

fn only(build: &Build<'_>, used: &Use<'_>) -> Scope {
    Scope::Only(vec![Spanned::new(build.full_name(used), used.span)])
}
