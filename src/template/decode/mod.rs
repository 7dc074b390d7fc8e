//! From evaluated values to typed options, as weakly as Packer does it.
//!
//! A [`Decoder`] reads one object against tables of [`OptionSpec`]. Keys are
//! matched without regard to case, `null` is the same as absent, and every
//! problem becomes a diagnostic, so that all of them are found at once. Not
//! here: what an option means, defaults, and rules between options (`plan`).

use std::collections::BTreeMap;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::go_duration::GoDuration;
use super::nearest::did_you_mean;
use super::source::{Span, Spanned};
use super::value::{Entry, Value, ValueKind};

mod merge;
mod weak;

pub use merge::merge;
pub(in crate::template) use weak::parse_int;

pub use weak::Mismatch;

/// One option that a block may have.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    /// The name as templates write it.
    pub name: &'static str,
    /// What values it takes.
    pub kind: OptionKind,
    /// The default, as documentation shows it; empty when there is none.
    pub default: &'static str,
    /// What it does, one sentence.
    pub doc: &'static str,
    /// Whether it has an effect.
    pub status: Status,
}

/// What values an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionKind {
    /// Text; numbers and bools are converted.
    String,
    /// An integer; texts and fractions are converted.
    Int,
    /// `true` or `false`, also as text or number.
    Bool,
    /// As [`OptionKind::Bool`], but an empty text counts as not set.
    Tri,
    /// A Go duration, for example `5m`.
    Duration,
    /// A list of texts; one text is split on commas.
    StringList,
    /// A list of lists of texts.
    StringLists,
    /// An object whose values are texts; a list of objects is merged.
    StringMap,
    /// One object with options of its own.
    Object,
    /// A list of objects; one object counts as a list of one.
    ObjectList,
    /// A path, relative to the working directory.
    Path,
    /// Text that must not be shown.
    Secret,
}

/// Whether an option has an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It has.
    Supported,
    /// It has, but another one should be used; accepted with a warning.
    Deprecated {
        /// The option to use.
        successor: &'static str,
    },
    /// It has none; accepted with a warning.
    Ignored {
        /// Why, as a sentence without final dot.
        why: &'static str,
    },
    /// Packer has it, this version does not; an error that says so.
    Unsupported {
        /// What to do for now, as a sentence without final dot.
        instead: &'static str,
    },
}

/// Reads the options of one block.
pub struct Decoder<'v, 'd> {
    object: &'v Value,
    specs: &'static [&'static [OptionSpec]],
    block: String,
    diagnostics: &'d mut Diagnostics,
}

impl<'v, 'd> Decoder<'v, 'd> {
    /// Starts reading. `block` names it in messages, for example
    /// ``builder `alicloud-ecs` ``.
    pub fn new(
        object: &'v Value,
        specs: &'static [&'static [OptionSpec]],
        block: &str,
        diagnostics: &'d mut Diagnostics,
    ) -> Self {
        Self {
            object,
            specs,
            block: block.to_owned(),
            diagnostics,
        }
    }

    /// Text; numbers become decimal text and bools `1` or `0`.
    pub fn string(&mut self, name: &str) -> Option<Spanned<String>> {
        self.convert(name, weak::string)
    }

    /// An integer; also a fraction (cut), a bool, or text with base prefix.
    pub fn int(&mut self, name: &str) -> Option<Spanned<i64>> {
        self.convert(name, weak::int)
    }

    /// `true` or `false`; also a number, or text as Go's `ParseBool` takes it.
    /// An empty text is `false`, or not set for an [`OptionKind::Tri`].
    pub fn bool(&mut self, name: &str) -> Option<Spanned<bool>> {
        if self
            .spec(name)
            .is_some_and(|spec| spec.kind == OptionKind::Tri)
        {
            let spanned = self.convert(name, weak::tri)?;
            let span = spanned.span;
            return spanned.value.map(|value| Spanned { value, span });
        }
        self.convert(name, weak::bool)
    }

    /// A duration that is not negative.
    pub fn duration(&mut self, name: &str) -> Option<Spanned<Duration>> {
        let signed = self.signed_duration(name)?;
        let Some(value) = signed.value.non_negative() else {
            let message = format!("Option `{name}` of {} must not be negative", self.block);
            self.diagnostics.push(
                Diagnostic::error(message, signed.span).label("expected a duration such as `5m`"),
            );
            return None;
        };
        Some(Spanned {
            value,
            span: signed.span,
        })
    }

    /// A duration of either sign; a bare number counts nanoseconds.
    pub fn signed_duration(&mut self, name: &str) -> Option<Spanned<GoDuration>> {
        let duration = self.convert(name, weak::duration)?;
        if let Some(Value {
            kind: ValueKind::Number(digits),
            span,
        }) = self.value(name)
            && duration.value.0 != 0
        {
            let message = format!(
                "Option `{name}` of {} is a bare number, which counts nanoseconds",
                self.block
            );
            let help = format!("Write a text with a unit, for example `\"{digits}s\"`");
            self.diagnostics
                .push(Diagnostic::warning(message, *span).help(help));
        }
        Some(duration)
    }

    /// A list of texts; a single text is split on commas.
    pub fn string_list(&mut self, name: &str) -> Option<Spanned<Vec<Spanned<String>>>> {
        self.convert(name, weak::string_list)
    }

    /// A list of lists of texts; a list of texts counts as several short ones.
    pub fn string_lists(&mut self, name: &str) -> Option<Spanned<Vec<Vec<Spanned<String>>>>> {
        self.convert(name, weak::string_lists)
    }

    /// An object with texts; a list of objects is merged.
    pub fn string_map(&mut self, name: &str) -> Option<Spanned<BTreeMap<String, String>>> {
        self.convert(name, weak::string_map)
    }

    /// One object.
    pub fn object(&mut self, name: &str) -> Option<&'v Value> {
        let value = self.whole(name)?;
        if matches!(value.kind, ValueKind::Object(_)) {
            return Some(value);
        }
        self.report(name, &weak::mismatch(value, "an object"));
        None
    }

    /// A list of objects; one object counts as a list of one. Elements of
    /// other shapes are reported and left out.
    pub fn object_list(&mut self, name: &str) -> Vec<&'v Value> {
        let elements = match self.whole(name) {
            None => return Vec::new(),
            Some(Value {
                kind: ValueKind::List(elements),
                ..
            }) => elements.as_slice(),
            Some(single) => std::slice::from_ref(single),
        };
        let mut objects = Vec::new();
        for element in elements {
            match element.kind {
                ValueKind::Object(_) => objects.push(element),
                ValueKind::Null => {}
                _ => self.report(name, &weak::mismatch(element, "a list of objects")),
            }
        }
        objects
    }

    /// The value as it stands, `null` counting as absent.
    pub fn value(&self, name: &str) -> Option<&'v Value> {
        debug_assert!(self.spec(name).is_some(), "`{name}` is in no table");
        lookup(self.object, name)
            .map(|entry| &entry.value)
            .filter(|value| value.kind != ValueKind::Null)
    }

    /// The value, unless it is wrong already.
    fn whole(&self, name: &str) -> Option<&'v Value> {
        let value = self.value(name)?;
        (value.kind != ValueKind::Broken).then_some(value)
    }

    /// Where findings go, for the caller's own.
    pub fn diagnostics(&mut self) -> &mut Diagnostics {
        self.diagnostics
    }

    /// Where an option's value stands, if it is set.
    pub fn span(&self, name: &str) -> Option<Span> {
        self.value(name).map(|value| value.span)
    }

    /// Where the block stands.
    pub fn block_span(&self) -> Span {
        self.object.span
    }

    /// How messages name the block.
    pub fn block(&self) -> &str {
        &self.block
    }

    /// Reports unknown and unsupported options as errors, and deprecated and
    /// ignored ones as warnings. `type` and `packer_*` are left alone.
    pub fn finish(self) {
        let mut seen: Vec<&Entry> = Vec::new();
        for entry in self.object.entries() {
            if let Some(finding) = self.judge(entry, &seen) {
                self.diagnostics.push(finding);
            }
            seen.push(entry);
        }
    }

    fn judge(&self, entry: &Entry, seen: &[&Entry]) -> Option<Diagnostic> {
        let key = entry.key.as_str();
        if key.eq_ignore_ascii_case("type") || key.starts_with("packer_") {
            return None;
        }
        let Some(spec) = self.spec(key) else {
            return Some(self.unknown(entry));
        };
        if let Some(twin) = seen.iter().find(|e| e.key.eq_ignore_ascii_case(key)) {
            let message = format!(
                "`{key}` and `{}` are the same option of {}",
                twin.key, self.block
            );
            return Some(Diagnostic::error(message, entry.key_span).help("Keep one of them"));
        }
        if entry.value.kind == ValueKind::Null {
            return None;
        }
        match spec.status {
            Status::Supported => None,
            Status::Deprecated { successor } => {
                let message = format!("Option `{}` of {} is deprecated", spec.name, self.block);
                Some(
                    Diagnostic::warning(message, entry.key_span)
                        .help(format!("Use `{successor}` instead")),
                )
            }
            Status::Ignored { why } => {
                let message = format!("Option `{}` of {} has no effect", spec.name, self.block);
                Some(Diagnostic::warning(message, entry.key_span).help(why))
            }
            // An empty variable must not stop a build that does without.
            Status::Unsupported { .. } if is_unset(&entry.value) => None,
            Status::Unsupported { instead } => {
                let message = format!(
                    "Option `{}` of {} is not supported yet",
                    spec.name, self.block
                );
                Some(Diagnostic::error(message, entry.key_span).help(instead))
            }
        }
    }

    fn unknown(&self, entry: &Entry) -> Diagnostic {
        let message = format!("Unknown option `{}` in {}", entry.key, self.block);
        let diagnostic = Diagnostic::error(message, entry.key_span);
        let known = self.all_specs().map(|spec| spec.name);
        if entry.key.starts_with('_') {
            return diagnostic.help("Comment keys are only allowed at the root of a template");
        }
        match did_you_mean(&entry.key, known) {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    }

    fn convert<T>(
        &mut self,
        name: &str,
        conversion: fn(&Value) -> Result<T, Mismatch>,
    ) -> Option<Spanned<T>> {
        let value = self.whole(name)?;
        match conversion(value) {
            Ok(converted) => Some(Spanned::new(converted, value.span)),
            Err(mismatch) => {
                self.report(name, &mismatch);
                None
            }
        }
    }

    fn report(&mut self, name: &str, mismatch: &Mismatch) {
        let secret = self
            .spec(name)
            .is_some_and(|spec| spec.kind == OptionKind::Secret);
        let found = if secret {
            mismatch.shape
        } else {
            &mismatch.found
        };
        let message = format!(
            "Option `{name}` of {} must be {}, but it is {found}",
            self.block, mismatch.expected
        );
        let mut diagnostic = Diagnostic::error(message, mismatch.span)
            .label(format!("expected {}", mismatch.expected));
        diagnostic.help.clone_from(&mismatch.help);
        self.diagnostics.push(diagnostic);
    }

    fn spec(&self, name: &str) -> Option<&'static OptionSpec> {
        self.all_specs()
            .find(|spec| spec.name.eq_ignore_ascii_case(name))
    }

    fn all_specs(&self) -> impl Iterator<Item = &'static OptionSpec> + use<> {
        self.specs.iter().flat_map(|table| table.iter())
    }
}

/// Whether a value says nothing: empty text or `false`.
fn is_unset(value: &Value) -> bool {
    match &value.kind {
        ValueKind::Null | ValueKind::Bool(false) => true,
        ValueKind::String(text) => text.is_empty(),
        _ => false,
    }
}

/// The entry of a key: the exact spelling first, then any case.
fn lookup<'v>(object: &'v Value, name: &str) -> Option<&'v Entry> {
    let entries = object.entries();
    entries
        .iter()
        .find(|entry| entry.key == name)
        .or_else(|| entries.iter().find(|e| e.key.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests;
