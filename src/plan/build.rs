//! Puts a plan together from an evaluated template.
//!
//! Every selected build is read to its end, so that all errors are found at
//! once. Blocks of types this version does not know stop only builds that are
//! selected.

use std::path::PathBuf;

use jiff::Timestamp;

use super::alicloud_ecs::{self, Defaults, ProfileReading};
use super::communicator::{self, Communicator};
use super::files::{Places, TRUST};
use super::post_processor::{self, PostProcessor};
use super::provisioner::{self, Provisioner};
use super::qemu;
use super::reader::{Desk, Reader, alternatives};
use super::select::expand;
use super::{Build, Builder, Meta, Plan};
use crate::secret::Secret;
use crate::template::Loaded;
use crate::template::decode::OptionSpec;
use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::evaluate::render_body;
use crate::template::interpolate::{BuildAccess, Context, MissingFields};
use crate::template::model::{BuilderBlock, PostProcessorBlock, ProvisionerBlock, Template};
use crate::template::nearest::did_you_mean;
use crate::template::selection::Selection;
use crate::template::source::{Sources, Span, Spanned};
use crate::template::value::{Entry, Value, ValueKind};
use crate::template::variables::ResolvedVariables;

/// What a plan depends on beside the template.
#[derive(Clone)]
pub struct Settings<'a> {
    /// The template's path as the user gave it.
    pub template_path: PathBuf,
    /// The template's directory, absolute; empty for standard input.
    pub template_dir: String,
    /// The texts the template's values come from.
    pub sources: &'a Sources,
    /// `-only`: names or patterns with `*` and `?`.
    pub only: Vec<String>,
    /// `-except`: the same, also for post-processors.
    pub except: Vec<String>,
    /// `-force`.
    pub force: bool,
    /// The environment's region, for templates without one.
    pub region: Option<String>,
    /// The profiles of the Alibaba Cloud CLI, when they are of use.
    pub profiles: Option<ProfileReading<'a>>,
    /// Where relative paths and `~` lead.
    pub places: Places,
    /// When the run began.
    pub start: Timestamp,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoPlan {
    /// The diagnostics hold errors.
    Invalid {
        /// What must be hidden when they are shown with the template's lines.
        secrets: Vec<Secret>,
    },
    /// `-only` and `-except` left no build.
    NoMatch,
}

/// What starts programs on this machine, or takes any file of it.
const LOCAL: &[&str] = &["qemu", "shell-local", "ansible", "artifice"];

/// The builder types there are.
const BUILDERS: &[&str] = &["alicloud-ecs", "qemu"];

/// Makes the plan.
///
/// # Errors
/// [`NoPlan::Invalid`] after all errors became diagnostics, and
/// [`NoPlan::NoMatch`] when nothing is selected.
pub fn plan(
    loaded: &Loaded,
    settings: &Settings<'_>,
    diagnostics: &mut Diagnostics,
) -> Result<Plan, NoPlan> {
    let Loaded {
        template,
        variables,
    } = loaded;
    let selection = select(template, settings, diagnostics);
    if selection.builders.is_empty() && !template.builders.is_empty() {
        return Err(NoPlan::NoMatch);
    }
    let mut planner = Planner {
        template,
        selection: &selection,
        variables,
        settings,
        pwd: settings
            .places
            .working_directory
            .to_string_lossy()
            .into_owned(),
        diagnostics,
        secrets: variables.secrets(),
    };
    let blocks = selection.builders.iter();
    let builds: Vec<_> = blocks.filter_map(|block| planner.build(block)).collect();
    let secrets = without_repetitions(planner.secrets);
    if diagnostics.has_errors() {
        return Err(NoPlan::Invalid { secrets });
    }
    Ok(Plan {
        template_path: settings.template_path.clone(),
        builds,
        secrets,
    })
}

fn select<'t>(
    template: &'t Template,
    settings: &Settings<'_>,
    diagnostics: &mut Diagnostics,
) -> Selection<'t> {
    let builders = template.builders.iter();
    let mut names: Vec<_> = builders.map(|block| block.build_name.as_str()).collect();
    let only = expand(&settings.only, &names);
    for block in template.post_processors.iter().flatten() {
        names.extend([block.name.as_str(), block.type_name.value.as_str()]);
    }
    let except = expand(&settings.except, &names);
    template.select(&only, &except, diagnostics)
}

fn without_repetitions(secrets: Vec<Secret>) -> Vec<Secret> {
    let mut kept: Vec<Secret> = Vec::new();
    for secret in secrets {
        if !secret.is_empty() && !kept.contains(&secret) {
            kept.push(secret);
        }
    }
    kept
}

struct Planner<'a> {
    template: &'a Template,
    selection: &'a Selection<'a>,
    variables: &'a ResolvedVariables,
    settings: &'a Settings<'a>,
    pwd: String,
    diagnostics: &'a mut Diagnostics,
    secrets: Vec<Secret>,
}

impl<'a> Planner<'a> {
    /// One build; nothing when its builder cannot be read.
    fn build(&mut self, block: &BuilderBlock) -> Option<Build> {
        let machine = self.builder(block);
        let communicator = machine.as_ref().map(|(_, communicator)| communicator);
        let provisioners = self.provisioners(block, communicator);
        let error_cleanup = self.error_cleanup(block, communicator);
        let post_processors = self.post_processors(block);
        let (builder, communicator) = machine?;
        Some(Build {
            name: block.build_name.clone(),
            source_name: block.source_name.clone(),
            span: block.span,
            builder,
            communicator,
            provisioners,
            error_cleanup_provisioner: error_cleanup,
            post_processors,
        })
    }

    fn builder(&mut self, block: &BuilderBlock) -> Option<(Builder, Communicator)> {
        self.refuse_local("builder", &block.type_name);
        let title = format!("builder `{}`", block.build_name);
        match block.type_name.value.as_str() {
            "alicloud-ecs" => Some(self.alicloud_ecs(block, &title)),
            "qemu" => Some(self.qemu(block, &title)),
            _ => {
                self.refuse_type("builder", &block.type_name, BUILDERS);
                None
            }
        }
    }

    fn alicloud_ecs(&mut self, block: &BuilderBlock, title: &str) -> (Builder, Communicator) {
        let body = self.render(&block.body, block, Stage::Machine);
        let defaults = self.defaults();
        let read = |reader: &mut Reader<'_, '_>| {
            let ecs = alicloud_ecs::read(reader, defaults);
            (
                Builder::AlicloudEcs(Box::new(ecs)),
                communicator::read(reader),
            )
        };
        self.read(&body, alicloud_ecs::OPTIONS, title, read)
    }

    fn qemu(&mut self, block: &BuilderBlock, title: &str) -> (Builder, Communicator) {
        let (late, early) = split(&block.body, qemu::LATE);
        let early = self.render(&early, block, Stage::Machine);
        let late = self.render(&late, block, Stage::Late);
        let body = join(early, late);
        let defaults = qemu::Defaults {
            build: &block.source_name,
            force: self.settings.force,
        };
        let read = |reader: &mut Reader<'_, '_>| {
            let qemu = qemu::read(reader, defaults);
            (Builder::Qemu(Box::new(qemu)), communicator::read(reader))
        };
        self.read(&body, qemu::OPTIONS, title, read)
    }

    fn provisioners(
        &mut self,
        builder: &BuilderBlock,
        communicator: Option<&Communicator>,
    ) -> Vec<Provisioner> {
        let blocks = self.template.provisioners.iter();
        let blocks = blocks.filter(|block| block.applies_to(builder));
        blocks
            .filter_map(|block| self.provisioner(block, builder, communicator))
            .collect()
    }

    fn error_cleanup(
        &mut self,
        builder: &BuilderBlock,
        communicator: Option<&Communicator>,
    ) -> Option<Provisioner> {
        let mut blocks = self.template.error_cleanup_provisioners.iter();
        let block = blocks.find(|block| block.applies_to(builder))?;
        self.provisioner(block, builder, communicator)
    }

    fn provisioner(
        &mut self,
        block: &ProvisionerBlock,
        builder: &BuilderBlock,
        communicator: Option<&Communicator>,
    ) -> Option<Provisioner> {
        self.refuse_local("provisioner", &block.type_name);
        let types = provisioner::TYPES;
        let Some(kind) = types.iter().find(|kind| kind.name == block.type_name.value) else {
            let names: Vec<_> = types.iter().map(|kind| kind.name).collect();
            self.refuse_type("provisioner", &block.type_name, &names);
            return None;
        };
        if kind.needs_machine && matches!(communicator, Some(Communicator::None)) {
            self.refuse_without_machine(block, builder);
        }
        let body = self.render(&block.body_for(builder), builder, Stage::Late);
        let title = format!("provisioner `{}`", kind.name);
        let kind = self.read(&body, kind.options, &title, kind.read);
        if let (provisioner::Kind::Ansible(ansible), Some(Communicator::Winrm(_))) =
            (&kind, communicator)
            && ansible.use_proxy == Some(true)
        {
            let span = body.get("use_proxy").map_or(block.span, |value| value.span);
            self.diagnostics.push(cannot_adapt(span));
        }
        Some(Provisioner {
            span: block.span,
            meta: meta(block),
            kind,
        })
    }

    fn post_processors(&mut self, builder: &BuilderBlock) -> Vec<Vec<PostProcessor>> {
        let mut sequences = Vec::new();
        for sequence in &self.selection.post_processors {
            let blocks = sequence.iter().filter(|block| block.applies_to(builder));
            let read: Vec<_> = blocks
                .filter_map(|block| self.post_processor(block, builder))
                .collect();
            self.warn_without_files(&read, builder);
            if !read.is_empty() {
                sequences.push(read);
            }
        }
        sequences
    }

    /// A warning only, as templates share their post-processors between
    /// builders, and those that make files are served.
    fn warn_without_files(&mut self, sequence: &[PostProcessor], builder: &BuilderBlock) {
        let makes_files = builder.type_name.value != "alicloud-ecs";
        for step in post_processor::without_files(sequence, makes_files) {
            let message = format!(
                "The post-processor `{}` will fail for builder `{}`: it needs files, and gets an \
                 image in the cloud",
                step.name, builder.build_name
            );
            let warning = Diagnostic::warning(message, step.span).help(
                "Name the builders that make files in its `only`, or put `artifice` before it",
            );
            self.diagnostics.push(warning);
        }
    }

    fn post_processor(
        &mut self,
        block: &PostProcessorBlock,
        builder: &BuilderBlock,
    ) -> Option<PostProcessor> {
        self.refuse_local("post-processor", &block.type_name);
        let types = post_processor::TYPES;
        let Some(kind) = types.iter().find(|kind| kind.name == block.type_name.value) else {
            let names: Vec<_> = types.iter().map(|kind| kind.name).collect();
            self.refuse_type("post-processor", &block.type_name, &names);
            return None;
        };
        let body = self.render(&block.body, builder, Stage::Late);
        let defaults = self.defaults();
        let title = format!("post-processor `{}`", block.name);
        Some(PostProcessor {
            span: block.span,
            name: block.name.clone(),
            keep_input_artifact: block.keep_input_artifact.as_ref().map(|keep| keep.value),
            kind: self.read(&body, kind.options, &title, |reader| {
                (kind.read)(reader, defaults)
            }),
        })
    }

    fn defaults(&self) -> Defaults<'a> {
        Defaults {
            region: self.settings.region.as_deref(),
            force: self.settings.force,
            profiles: self.settings.profiles,
        }
    }

    fn read<T>(
        &mut self,
        body: &Value,
        options: &'static [&'static [OptionSpec]],
        title: &str,
        read: impl FnOnce(&mut Reader<'_, '_>) -> T,
    ) -> T {
        let mut desk = Desk {
            diagnostics: self.diagnostics,
            secrets: &mut self.secrets,
            places: &self.settings.places,
        };
        let mut reader = Reader::new(body, options, title, &mut desk);
        let result = read(&mut reader);
        reader.finish();
        result
    }

    fn render(&mut self, body: &Value, builder: &BuilderBlock, stage: Stage) -> Value {
        let Settings {
            template_dir,
            start,
            sources,
            ..
        } = self.settings;
        let (build, missing_fields) = match stage {
            Stage::Machine => (BuildAccess::Unavailable, MissingFields::Error),
            Stage::Late => (BuildAccess::Deferred, MissingFields::Keep),
        };
        let context = Context {
            sources: Some(sources),
            build,
            missing_fields,
            ..Context::new(&self.variables.values, template_dir, &self.pwd, *start)
        };
        let context = context.for_build(&builder.source_name, &builder.type_name.value);
        render_body(body, &context, &[], self.diagnostics)
    }

    /// Reports what a stranger's template may not have.
    fn refuse_local(&mut self, what: &str, type_name: &Spanned<String>) {
        let is_confined = self.settings.places.confined_to.is_some();
        let name = type_name.value.as_str();
        if !is_confined || !LOCAL.contains(&name) {
            return;
        }
        let message = format!("The {what} `{name}` uses this machine, which is not allowed");
        let diagnostic = Diagnostic::error(message, type_name.span).help(TRUST);
        self.diagnostics.push(diagnostic);
    }

    /// Reports a type that is not known.
    fn refuse_type(&mut self, what: &str, type_name: &Spanned<String>, known: &[&str]) {
        let name = type_name.value.as_str();
        let supported = format!(
            "This version has {}",
            alternatives(known).replace(" or ", " and ")
        );
        let help = match did_you_mean(name, known.iter().copied()) {
            Some(guess) => format!("{guess} {supported}"),
            None => supported,
        };
        let message = format!("There is no {what} of type `{name}`");
        let diagnostic = Diagnostic::error(message, type_name.span).help(help);
        self.diagnostics.push(diagnostic);
    }

    fn refuse_without_machine(&mut self, block: &ProvisionerBlock, builder: &BuilderBlock) {
        let message = format!(
            "The provisioner `{}` needs a connection, but builder `{}` has `communicator: none`",
            block.type_name, builder.build_name
        );
        let help = format!(
            "Use `communicator: ssh`, or keep it from this build by `except: [\"{}\"]`",
            builder.name
        );
        let diagnostic = Diagnostic::error(message, block.type_name.span).help(help);
        self.diagnostics.push(diagnostic);
    }
}

fn cannot_adapt(span: Span) -> Diagnostic {
    let message = "Ansible cannot go through a connection by WinRM";
    let help = "Set `use_proxy` to false: Ansible then connects by WinRM itself";
    Diagnostic::error(message, span).help(help)
}

/// When the strings of a block are used.
#[derive(Clone, Copy)]
enum Stage {
    /// As they are.
    Machine,
    /// Rendered once more when the machine runs and its facts are known.
    Late,
}

/// The entries of an object with these names, and the others.
fn split(object: &Value, names: &[&str]) -> (Value, Value) {
    let is_named = |entry: &&Entry| {
        names
            .iter()
            .any(|name| entry.key.eq_ignore_ascii_case(name))
    };
    let (named, others) = object.entries().iter().partition::<Vec<_>, _>(is_named);
    let of = |entries: Vec<&Entry>| Value {
        kind: ValueKind::Object(entries.into_iter().cloned().collect()),
        span: object.span,
    };
    (of(named), of(others))
}

/// An object with the entries of two.
fn join(first: Value, second: Value) -> Value {
    let span = first.span;
    let entries = [first, second]
        .into_iter()
        .flat_map(|object| match object.kind {
            ValueKind::Object(entries) => entries,
            _ => Vec::new(),
        });
    Value {
        kind: ValueKind::Object(entries.collect()),
        span,
    }
}

fn meta(block: &ProvisionerBlock) -> Meta {
    Meta {
        pause_before: block.pause_before,
        timeout: block.timeout,
        max_retries: block.max_retries,
        continue_on_error: block.continue_on_error,
    }
}

#[cfg(test)]
mod tests;
