//! `build` blocks: which sources are built, and what follows each of them.
//!
//! Every source of every build becomes a builder of its own name. Provisioners
//! and post-processors are evaluated once for each, as they may refer to
//! `source` and `build`. Source of facts: Packer's documentation of the
//! `build` block, and what Packer does.

use std::collections::BTreeMap;

use hcl_edit::expr::Expression;

use super::blocks::{Placed, Root, duplicate};
use super::body::{Bodies, Members};
use super::evaluate::{Evaluator, Text};
use super::scope::{Names, Place, Scope};
use super::show::show;
use super::value::{Type, Value};
use super::world::World;
use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::model::{BuildOutline, BuilderBlock, Hcl, Template};
use crate::template::nearest::did_you_mean;
use crate::template::source::{Sources, Span, Spanned};
use crate::template::value::{self as plain, Entry, ValueKind};

mod step;

const BLOCKS: &[&str] = &[
    "source",
    "provisioner",
    "error-cleanup-provisioner",
    "post-processor",
    "post-processors",
    "hcp_packer_registry",
];

/// What build blocks may refer to.
pub(super) struct Builds<'r, 'f> {
    pub(super) root: &'r Root<'f>,
    pub(super) variables: &'r Names,
    pub(super) locals: &'r Names,
    pub(super) world: &'r World<'r>,
    pub(super) sources: &'r Sources,
    pub(super) diagnostics: &'r mut Diagnostics,
}

/// The source blocks by type and name.
type SourceBlocks<'f> = BTreeMap<(String, String), Placed<'f>>;

/// A source as a build uses it.
struct Use<'f> {
    source: Placed<'f>,
    type_name: Spanned<String>,
    /// The name of the source block.
    source_name: String,
    /// The name within the build.
    local_name: String,
    /// The `source` block in the build.
    addition: Option<Placed<'f>>,
    /// Where the build refers to the source.
    span: Span,
}

/// A build block while it is read.
struct Build<'f> {
    placed: Placed<'f>,
    /// `build.name`; empty when it has none.
    name: String,
    uses: Vec<Use<'f>>,
}

impl Build<'_> {
    /// The name that selects and shows the build of a source.
    fn full_name(&self, used: &Use<'_>) -> String {
        match self.name.as_str() {
            "" => used.short_name(),
            name => format!("{name}.{}", used.short_name()),
        }
    }
}

impl Use<'_> {
    /// What `only` and `except` of blocks compare with.
    fn short_name(&self) -> String {
        format!("{}.{}", self.type_name, self.local_name)
    }
}

impl<'f> Builds<'_, 'f> {
    /// Reads all build blocks.
    pub(super) fn read(mut self) -> Template {
        let mut template = Template::default();
        let builds = self.builds(&mut template);
        template.hcl = Some(Hcl {
            variables: shown(self.variables),
            locals: shown(self.locals),
            builds,
        });
        template
    }

    fn builds(&mut self, template: &mut Template) -> Vec<BuildOutline> {
        let known = self.source_blocks();
        if self.root.builds.is_empty() {
            let message = "There is no `build` block";
            let help = "Add one that names a source: `build { sources = [\"source.TYPE.NAME\"] }`";
            self.diagnostics
                .push(Diagnostic::error(message, None).help(help));
        }
        let builds = self.root.builds.iter();
        builds
            .map(|placed| self.build(*placed, &known, template))
            .collect()
    }

    fn source_blocks(&mut self) -> SourceBlocks<'f> {
        let mut known = SourceBlocks::new();
        for placed in &self.root.sources {
            let (Some(type_name), Some(name)) = (placed.label(0), placed.label(1)) else {
                continue;
            };
            let key = (type_name.value.clone(), name.value.clone());
            if let Some(first) = known.get(&key) {
                let both = Spanned {
                    value: format!("{type_name}.{name}"),
                    span: Some(placed.header()),
                };
                let finding = duplicate("source", &both, Some(first.header()), self.sources);
                self.diagnostics.push(finding);
                continue;
            }
            known.insert(key, *placed);
        }
        known
    }

    fn build(
        &mut self,
        placed: Placed<'f>,
        known: &SourceBlocks<'f>,
        template: &mut Template,
    ) -> BuildOutline {
        placed.check_contents(
            &["name", "description", "sources"],
            BLOCKS,
            self.diagnostics,
        );
        let name = self.text(placed, "name").unwrap_or_default();
        let build = Build {
            placed,
            name,
            uses: self.uses(placed, known),
        };
        for used in &build.uses {
            self.builder(&build, used, template);
        }
        let mut outline = BuildOutline {
            name: (!build.name.is_empty()).then(|| build.name.clone()),
            description: self.text(placed, "description"),
            sources: build
                .uses
                .iter()
                .map(|used| format!("{}.{}", used.type_name, used.source_name))
                .collect(),
            ..BuildOutline::default()
        };
        for block in placed.block.body.blocks() {
            let block = placed.inner(block);
            match block.block.ident.as_str() {
                "provisioner" => self.provisioner(&build, block, template, &mut outline),
                "error-cleanup-provisioner" => self.error_cleanup(&build, block, template),
                "post-processor" => self.sequence(&build, &[block], template, &mut outline),
                "post-processors" => {
                    block.check_labels(&[], self.diagnostics);
                    block.check_contents(&[], &["post-processor"], self.diagnostics);
                    let steps: Vec<_> = block.blocks("post-processor").collect();
                    self.sequence(&build, &steps, template, &mut outline);
                }
                "hcp_packer_registry" => {
                    let message = "The block `hcp_packer_registry` has no effect";
                    let warning = Diagnostic::warning(message, block.header());
                    self.diagnostics.push(warning);
                }
                _ => {}
            }
        }
        outline
    }

    fn evaluator<'s>(&'s mut self, text: Text<'s>, place: Place<'s>) -> Evaluator<'s> {
        let scope = Scope {
            place,
            variables: self.variables,
            locals: self.locals,
            world: self.world,
        };
        Evaluator::new(scope, text, self.diagnostics)
    }

    /// An attribute of the build itself.
    fn text(&mut self, placed: Placed<'f>, name: &str) -> Option<String> {
        let expression = placed.attribute(name)?;
        self.evaluator(placed.text, Place::Template)
            .string(expression)
    }

    fn uses(&mut self, placed: Placed<'f>, known: &SourceBlocks<'f>) -> Vec<Use<'f>> {
        let mut uses = Vec::new();
        for reference in self.references(placed) {
            uses.extend(self.used(&reference, None, known));
        }
        for block in placed.blocks("source") {
            if !block.check_labels(&["TYPE.NAME"], self.diagnostics) {
                continue;
            }
            if let Some(reference) = block.label(0) {
                uses.extend(self.used(&reference, Some(block), known));
            }
        }
        if placed.attribute("sources").is_none() && placed.blocks("source").next().is_none() {
            let message = "This build has no source";
            let help = "Name one: `sources = [\"source.TYPE.NAME\"]`";
            let finding = Diagnostic::error(message, placed.header()).help(help);
            self.diagnostics.push(finding);
        }
        uses
    }

    /// The elements of `sources`.
    fn references(&mut self, placed: Placed<'f>) -> Vec<Spanned<String>> {
        let Some(expression) = placed.attribute("sources") else {
            return Vec::new();
        };
        let mut evaluator = self.evaluator(placed.text, Place::Template);
        if let Expression::Array(elements) = expression {
            let elements: Vec<_> = elements.iter().collect();
            let references = elements.into_iter().filter_map(|element| {
                let span = evaluator.span(element);
                if let Expression::Traversal(path) = element
                    && matches!(&path.expr, Expression::Variable(it) if it.as_str() == "source")
                {
                    let message = "A reference to a source is a string";
                    let help = "Put it in double quotes";
                    return evaluator.report(Diagnostic::error(message, span).help(help));
                }
                Some(Spanned::new(evaluator.string(element)?, span))
            });
            return references.collect();
        }
        let span = evaluator.span(expression);
        let Some(Value::List(references)) = evaluator.typed(expression, &Type::strings()) else {
            return Vec::new();
        };
        let references = references.iter().filter_map(Value::text);
        references
            .map(|reference| Spanned::new(reference, span))
            .collect()
    }

    /// A source that is referred to.
    fn used(
        &mut self,
        reference: &Spanned<String>,
        addition: Option<Placed<'f>>,
        known: &SourceBlocks<'f>,
    ) -> Option<Use<'f>> {
        let mut parts = reference.value.rsplit('.');
        let (name, type_name) = (parts.next().unwrap_or_default(), parts.next());
        let Some(type_name) = type_name.filter(|it| is_word(it) && is_word(name)) else {
            let message = format!("`{reference}` is no reference to a source");
            let help = "Write `source.TYPE.NAME`, for example `source.alicloud-ecs.web`";
            let finding = Diagnostic::error(message, reference.span).help(help);
            self.diagnostics.push(finding);
            return None;
        };
        let key = (type_name.to_owned(), name.to_owned());
        let Some(source) = known.get(&key) else {
            let names: Vec<_> = known.keys().map(|(t, n)| format!("{t}.{n}")).collect();
            let wanted = format!("{type_name}.{name}");
            let message = format!("There is no source `{wanted}`");
            let help =
                did_you_mean(&wanted, names.iter().map(String::as_str)).unwrap_or_else(|| {
                    format!("Declare it: `source \"{type_name}\" \"{name}\" {{ … }}`")
                });
            let finding = Diagnostic::error(message, reference.span).help(help);
            self.diagnostics.push(finding);
            return None;
        };
        let local_name = addition.and_then(|block| self.text(block, "name"));
        Some(Use {
            source: *source,
            type_name: source.label(0)?,
            source_name: name.to_owned(),
            local_name: local_name.unwrap_or_else(|| name.to_owned()),
            addition,
            span: reference.span.unwrap_or_default(),
        })
    }

    fn builder(&mut self, build: &Build<'f>, used: &Use<'f>, template: &mut Template) {
        let full_name = build.full_name(used);
        if template
            .builders
            .iter()
            .any(|it| it.build_name == full_name)
        {
            let message = format!("There are two builds of the name `{full_name}`");
            let help = "Give each `build` block a `name`, or each `source` block in it";
            let finding = Diagnostic::error(message, used.span).help(help);
            self.diagnostics.push(finding);
            return;
        }
        let mut members = Members::default();
        let sources = self.sources;
        for block in [Some(used.source), used.addition].into_iter().flatten() {
            let mut evaluator = self.evaluator(block.text, Place::Template);
            let mut bodies = Bodies {
                evaluator: &mut evaluator,
                sources,
            };
            bodies.read(&block.block.body, &mut members);
        }
        let span = used.source.header();
        let mut body = members.into_object(span);
        if used.addition.is_some() {
            without(&mut body, "name");
        }
        self.refuse_type(&body);
        template.builders.push(BuilderBlock {
            type_name: used.type_name.clone(),
            name: Spanned::new(full_name.clone(), used.span),
            build_name: full_name,
            source_name: used.source_name.clone(),
            body,
            span,
        });
    }

    /// The type is a label here; decoders leave an attribute of that name
    /// alone.
    fn refuse_type(&mut self, object: &plain::Value) {
        let mut entries = object.entries().iter();
        if let Some(entry) = entries.find(|entry| entry.key.eq_ignore_ascii_case("type")) {
            let message = "The attribute `type` is not expected here";
            let help = "The type is the first label of the block";
            let finding = Diagnostic::error(message, entry.key_span).help(help);
            self.diagnostics.push(finding);
        }
    }
}

/// Values as Packer shows them.
fn shown(names: &Names) -> Vec<(String, Option<String>)> {
    let values = names.iter();
    let shown = values.map(|(name, value)| (name.clone(), value.as_ref().map(show)));
    shown.collect()
}

fn without(object: &mut plain::Value, key: &str) {
    if let ValueKind::Object(entries) = &mut object.kind {
        entries.retain(|entry: &Entry| entry.key != key);
    }
}

/// Letters, digits, `_` and `-`, a letter first.
fn is_word(text: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    text.starts_with(char::is_alphabetic) && text.chars().all(is_part)
}
