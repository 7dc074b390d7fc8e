//! A template, whatever syntax it was written in.
//!
//! Blocks keep the place they were written at. Their bodies hold only what
//! belongs to the component: Packer's meta keys are fields here. Not here:
//! reading a syntax (`legacy`), and what components make of their bodies.

use std::borrow::Cow;
use std::time::Duration;

use super::decode::merge;
use super::source::{Span, Spanned};
use super::value::Value;

/// A whole template.
#[derive(Debug, Clone, Default)]
pub struct Template {
    /// The oldest Packer that it wants.
    pub min_packer_version: Option<Spanned<String>>,
    /// What it is for.
    pub description: Option<String>,
    /// Its variables, in the order written.
    pub variables: Vec<Variable>,
    /// Names of variables whose values must not be shown.
    pub sensitive_variables: Vec<Spanned<String>>,
    /// Its builders, in the order written.
    pub builders: Vec<BuilderBlock>,
    /// Its provisioners, in the order they run.
    pub provisioners: Vec<ProvisionerBlock>,
    /// What runs when a provisioner failed: the first one that applies.
    pub error_cleanup_provisioners: Vec<ProvisionerBlock>,
    /// Sequences that each start from the builder's artifact.
    pub post_processors: Vec<Vec<PostProcessorBlock>>,
    /// What an HCL2 template says of itself; nothing for a JSON template.
    pub hcl: Option<Hcl>,
}

/// The parts of an HCL2 template that its builds no longer show.
#[derive(Debug, Clone, Default)]
pub struct Hcl {
    /// The variables with their values as text; nothing without a value.
    pub variables: Vec<(String, Option<String>)>,
    /// The locals, in the same way.
    pub locals: Vec<(String, Option<String>)>,
    /// The build blocks.
    pub builds: Vec<BuildOutline>,
}

/// A build block, in names.
#[derive(Debug, Clone, Default)]
pub struct BuildOutline {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Its sources, as `type.name`.
    pub sources: Vec<String>,
    /// The types of its provisioners.
    pub provisioners: Vec<String>,
    /// The names of its post-processors, sequence by sequence.
    pub post_processors: Vec<Vec<String>>,
}

/// A declared variable.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub name_span: Span,
    /// The default, before interpolation; none when it is required.
    pub default: Option<Spanned<String>>,
}

impl Variable {
    /// Whether a value must be given.
    pub fn required(&self) -> bool {
        self.default.is_none()
    }
}

/// A builder.
#[derive(Debug, Clone)]
pub struct BuilderBlock {
    /// Its type, for example `alicloud-ecs`.
    pub type_name: Spanned<String>,
    /// Its name as written, which `only`, `except` and `override` of other
    /// blocks refer to; the type when there is none.
    pub name: Spanned<String>,
    /// The name after interpolation: that of the build.
    pub build_name: String,
    /// The name that templates and scripts see (`{{build_name}}`): the
    /// source's in an HCL2 template, else that of the build.
    pub source_name: String,
    /// The other keys.
    pub body: Value,
    /// The whole block.
    pub span: Span,
}

/// A provisioner.
#[derive(Debug, Clone)]
pub struct ProvisionerBlock {
    /// Its type, for example `shell`.
    pub type_name: Spanned<String>,
    /// For which builders it runs.
    pub scope: Scope,
    /// What differs for single builders, by their names.
    pub overrides: Vec<(String, Value)>,
    /// Wait before it starts.
    pub pause_before: Duration,
    /// Limit for one try; none when zero.
    pub timeout: Duration,
    /// Further tries after a failure.
    pub max_retries: u32,
    /// A failure is a warning.
    pub continue_on_error: bool,
    /// The other keys.
    pub body: Value,
    /// The whole block.
    pub span: Span,
}

impl ProvisionerBlock {
    /// Whether it runs for a builder.
    pub fn applies_to(&self, builder: &BuilderBlock) -> bool {
        self.scope.includes(&builder.name.value)
    }

    /// Its body for a builder: with the override laid over it, if any.
    pub fn body_for(&self, builder: &BuilderBlock) -> Cow<'_, Value> {
        let over = self
            .overrides
            .iter()
            .find(|(name, _)| *name == builder.name.value);
        match over {
            Some((_, over)) => Cow::Owned(merge(&self.body, over)),
            None => Cow::Borrowed(&self.body),
        }
    }
}

/// A post-processor.
#[derive(Debug, Clone)]
pub struct PostProcessorBlock {
    /// Its type, for example `manifest`.
    pub type_name: Spanned<String>,
    /// Its name; the type when there is none.
    pub name: String,
    /// For which builders it runs.
    pub scope: Scope,
    /// Whether the artifact it got is kept; its own default when not written.
    pub keep_input_artifact: Option<Spanned<bool>>,
    /// The other keys.
    pub body: Value,
    /// The whole block.
    pub span: Span,
}

impl PostProcessorBlock {
    /// Whether it runs for a builder.
    pub fn applies_to(&self, builder: &BuilderBlock) -> bool {
        self.scope.includes(&builder.name.value)
    }
}

/// Which builders a block is for, by their names as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    #[default]
    All,
    /// These.
    Only(Vec<Spanned<String>>),
    /// All but these.
    Except(Vec<Spanned<String>>),
}

impl Scope {
    /// Whether a builder is among them.
    pub fn includes(&self, builder: &str) -> bool {
        let named = |names: &[Spanned<String>]| names.iter().any(|name| name.value == builder);
        match self {
            Self::All => true,
            Self::Only(names) => named(names),
            Self::Except(names) => !named(names),
        }
    }
}
