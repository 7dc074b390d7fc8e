//! The keys of blocks that Packer itself reads, and the body without them.

use std::time::Duration;

use crate::template::decode::{Decoder, OptionKind, OptionSpec, Status};
use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::nearest::did_you_mean;
use crate::template::source::{Span, Spanned};
use crate::template::value::{Value, ValueKind};

const fn meta(name: &'static str, kind: OptionKind, doc: &'static str) -> OptionSpec {
    OptionSpec {
        name,
        kind,
        default: "",
        doc,
        status: Status::Supported,
    }
}

/// Meta keys of builders.
pub(super) const BUILDER: &[OptionSpec] = &[
    meta("type", OptionKind::String, "Which builder it is."),
    meta(
        "name",
        OptionKind::String,
        "Name of the build; default is the type.",
    ),
];

/// Meta keys of provisioners.
pub(super) const PROVISIONER: &[OptionSpec] = &[
    meta("type", OptionKind::String, "Which provisioner it is."),
    meta("only", OptionKind::StringList, "Builders it runs for."),
    meta(
        "except",
        OptionKind::StringList,
        "Builders it does not run for.",
    ),
    meta(
        "override",
        OptionKind::Object,
        "What differs for single builders.",
    ),
    meta(
        "pause_before",
        OptionKind::Duration,
        "Wait before it starts.",
    ),
    meta("timeout", OptionKind::Duration, "Limit for one try."),
    meta(
        "max_retries",
        OptionKind::Int,
        "Further tries after a failure.",
    ),
    meta(
        "continue_on_error",
        OptionKind::Bool,
        "A failure is a warning.",
    ),
];

/// Meta keys of post-processors.
pub(super) const POST_PROCESSOR: &[OptionSpec] = &[
    meta("type", OptionKind::String, "Which post-processor it is."),
    meta(
        "name",
        OptionKind::String,
        "What `-except` may call it; default is the type.",
    ),
    meta("only", OptionKind::StringList, "Builders it runs for."),
    meta(
        "except",
        OptionKind::StringList,
        "Builders it does not run for.",
    ),
    meta(
        "keep_input_artifact",
        OptionKind::Bool,
        "Whether the artifact it got is kept.",
    ),
];

/// [`PROVISIONER`] for a decoder.
pub(super) const PROVISIONER_TABLES: &[&[OptionSpec]] = &[PROVISIONER];

/// [`POST_PROCESSOR`] for a decoder.
pub(super) const POST_PROCESSOR_TABLES: &[&[OptionSpec]] = &[POST_PROCESSOR];

/// When and how often a provisioner runs.
pub(super) struct Timing {
    pub(super) pause_before: Duration,
    pub(super) timeout: Duration,
    pub(super) max_retries: u32,
    pub(super) continue_on_error: bool,
}

/// Reads the meta keys that say when and how often a provisioner runs.
pub(super) fn timing(decoder: &mut Decoder<'_, '_>) -> Timing {
    let pause_before = decoder.duration("pause_before").map(|d| d.value);
    let timeout = decoder.duration("timeout").map(|d| d.value);
    Timing {
        pause_before: pause_before.unwrap_or(Duration::ZERO),
        timeout: timeout.unwrap_or(Duration::ZERO),
        max_retries: retries(decoder),
        continue_on_error: decoder.bool("continue_on_error").is_some_and(|b| b.value),
    }
}

fn retries(decoder: &mut Decoder<'_, '_>) -> u32 {
    let Some(written) = decoder.int("max_retries") else {
        return 0;
    };
    u32::try_from(written.value).unwrap_or_else(|_| {
        let message = format!(
            "`max_retries` of {} must not be negative or huge",
            decoder.block()
        );
        decoder
            .diagnostics()
            .push(Diagnostic::error(message, written.span));
        0
    })
}

/// The object without meta keys, and one that has nothing else.
pub(super) fn divide(object: &Value, specs: &[OptionSpec]) -> (Value, Value) {
    let is_meta = |key: &str| specs.iter().any(|spec| spec.name.eq_ignore_ascii_case(key));
    let (meta, body) = object
        .entries()
        .iter()
        .cloned()
        .partition(|entry| is_meta(&entry.key));
    let object = |entries| Value {
        kind: ValueKind::Object(entries),
        span: object.span,
    };
    (object(body), object(meta))
}

/// The names of `only` or `except`, all of which must be those of builders.
pub(super) fn check_names(
    option: &str,
    block: &str,
    names: &[Spanned<String>],
    builders: &[String],
    diagnostics: &mut Diagnostics,
) {
    for name in names.iter().filter(|name| !builders.contains(&name.value)) {
        let message = format!("`{option}` of {block} names builder `{name}`, which does not exist");
        diagnostics.push(unknown_builder(message, &name.value, builders, name.span));
    }
}

pub(super) fn unknown_builder(
    message: String,
    name: &str,
    builders: &[String],
    span: Option<Span>,
) -> Diagnostic {
    let known = || builders.iter().map(String::as_str);
    let help = did_you_mean(name, known()).unwrap_or_else(|| {
        let quoted: Vec<_> = known().map(|name| format!("`{name}`")).collect();
        format!("The builders are: {}", quoted.join(", "))
    });
    Diagnostic::error(message, span).help(help)
}
