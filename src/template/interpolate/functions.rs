//! The functions that Packer adds to the template language, and the table of
//! all functions.

use super::builtins;
use super::datum::Datum;
use super::error::{Cause, InterpolateError};
use super::syntax::Bytes;
use super::{BuildAccess, Context};
use crate::template::PACKER_VERSION;
use crate::template::go_time;
use crate::template::nearest::did_you_mean;

/// A computed argument.
#[derive(Debug, Clone)]
pub(super) struct Argument {
    pub(super) at: Bytes,
    pub(super) value: Datum,
}

/// What `build` can be asked for.
pub const BUILD_FIELDS: [&str; 13] = [
    "ID",
    "Host",
    "Port",
    "User",
    "Password",
    "ConnType",
    "PackerRunUUID",
    "PackerHTTPIP",
    "PackerHTTPPort",
    "PackerHTTPAddr",
    "SSHPublicKey",
    "SSHPrivateKey",
    "WinRMPassword",
];

type Outcome = Result<Datum, InterpolateError>;
type Implementation = fn(&Call<'_>) -> Outcome;

/// One call of a function.
pub(super) struct Call<'c> {
    pub(super) name: &'c str,
    pub(super) at: &'c Bytes,
    pub(super) arguments: &'c [Argument],
    pub(super) context: &'c Context<'c>,
}

/// Name, least and most arguments, and what it does.
const FUNCTIONS: &[(&str, usize, usize, Implementation)] = &[
    ("user", 1, 1, user),
    ("env", 1, 1, env),
    ("timestamp", 0, 0, timestamp),
    ("isotime", 0, 1, isotime),
    ("strftime", 1, 1, strftime),
    ("uuid", 0, 0, uuid),
    ("build_name", 0, 0, build_name),
    ("build_type", 0, 0, build_type),
    ("template_dir", 0, 0, template_dir),
    ("pwd", 0, 0, pwd),
    ("packer_version", 0, 0, packer_version),
    ("lower", 1, 1, lower),
    ("upper", 1, 1, upper),
    ("split", 3, 3, split),
    ("replace", 4, 4, replace),
    ("replace_all", 3, 3, replace_all),
    ("build", 1, 1, build),
    ("clean_resource_name", 1, 1, clean_resource_name),
    ("sed", 0, usize::MAX, sed),
    ("consul_key", 0, usize::MAX, unsupported),
    ("vault", 0, usize::MAX, unsupported),
    ("aws_secretsmanager", 0, usize::MAX, unsupported),
    ("aws_secretsmanager_raw", 0, usize::MAX, unsupported),
    // `and` and `or` are computed by the evaluator, which can stop early.
    ("and", 1, usize::MAX, unsupported),
    ("or", 1, usize::MAX, unsupported),
    ("not", 1, 1, builtins::not),
    ("eq", 2, usize::MAX, builtins::eq),
    ("ne", 2, 2, builtins::ne),
    ("lt", 2, 2, builtins::lt),
    ("le", 2, 2, builtins::le),
    ("gt", 2, 2, builtins::gt),
    ("ge", 2, 2, builtins::ge),
    ("len", 1, 1, builtins::len),
    ("index", 1, usize::MAX, builtins::index),
    ("slice", 1, 3, builtins::slice),
    ("print", 0, usize::MAX, builtins::print),
    ("println", 0, usize::MAX, builtins::println),
    ("printf", 1, usize::MAX, builtins::printf),
    ("html", 1, usize::MAX, builtins::html),
    ("js", 1, usize::MAX, builtins::js),
    ("urlquery", 1, usize::MAX, builtins::urlquery),
];

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, ..)| *name)
}

pub(super) fn exists(name: &str) -> bool {
    names().any(|known| known == name)
}

/// Advice for functions that people bring from elsewhere.
pub(super) fn hint_for_unknown(name: &str) -> Option<String> {
    let hint = match name {
        "clean_image_name" | "clean_ami_name" => "Use `clean_resource_name`",
        "var" | "local" => "That is HCL2; in JSON templates write {{user `name`}}",
        "call" => "`call` is not supported: no value is a function",
        _ => return None,
    };
    Some(hint.to_owned())
}

pub(super) fn call(
    name: &str,
    at: &Bytes,
    arguments: &[Argument],
    context: &Context<'_>,
) -> Outcome {
    let call = Call {
        name,
        at,
        arguments,
        context,
    };
    let Some((_, least, most, function)) = FUNCTIONS.iter().find(|(known, ..)| *known == name)
    else {
        return Err(call.refuse(format!("There is no template function `{name}`")));
    };
    let count = arguments.len();
    if count < *least || count > *most {
        let wanted = match (least, most) {
            (least, most) if least == most => least.to_string(),
            (least, &usize::MAX) => format!("at least {least}"),
            (least, most) => format!("{least} to {most}"),
        };
        return Err(call.refuse(format!(
            "`{name}` takes {wanted} argument(s), but {count} are given"
        )));
    }
    function(&call)
}

impl Call<'_> {
    pub(super) fn refuse(&self, message: impl Into<String>) -> InterpolateError {
        InterpolateError::new(self.at, Cause::Failed, message)
    }

    pub(super) fn text(&self, index: usize) -> Result<&str, InterpolateError> {
        match &self.arguments[index].value {
            Datum::Text(text) => Ok(text),
            other => Err(self.wrong_type(index, "string", other)),
        }
    }

    pub(super) fn int(&self, index: usize) -> Result<i64, InterpolateError> {
        match &self.arguments[index].value {
            Datum::Int(int) => Ok(*int),
            other => Err(self.wrong_type(index, "int", other)),
        }
    }

    fn wrong_type(&self, index: usize, wanted: &str, found: &Datum) -> InterpolateError {
        let argument = &self.arguments[index];
        let message = format!(
            "Argument {} of `{}` must be a {wanted}, but it is a {}",
            index + 1,
            self.name,
            found.type_name()
        );
        InterpolateError::new(&argument.at, Cause::Failed, message)
    }
}

fn text(text: impl Into<String>) -> Outcome {
    Ok(Datum::Text(text.into()))
}

fn user(call: &Call<'_>) -> Outcome {
    let name = call.text(0)?;
    match call.context.user.get(name) {
        Some(value) => text(value),
        None if call.context.env.is_none() => text(""),
        None => {
            let cause = Cause::UnsetVariable(name.to_owned());
            let message = format!("Variable `{name}` has no value");
            Err(InterpolateError::new(&call.arguments[0].at, cause, message))
        }
    }
}

fn env(call: &Call<'_>) -> Outcome {
    let name = call.text(0)?;
    let Some(lookup) = call.context.env else {
        let message = "`env` is only allowed in the defaults of `variables`";
        return Err(call.refuse(message).hint(format!(
            "Add \"{0}\": \"{{{{env `{1}`}}}}\" to `variables` and write {{{{user `{0}`}}}} here",
            name.to_ascii_lowercase(),
            name
        )));
    };
    text(lookup(name).unwrap_or_default())
}

fn timestamp(call: &Call<'_>) -> Outcome {
    text(call.context.start.as_second().to_string())
}

fn isotime(call: &Call<'_>) -> Outcome {
    let layout = match call.arguments {
        [] => go_time::RFC3339,
        _ => call.text(0)?,
    };
    text(go_time::format_layout(call.context.start, layout))
}

fn strftime(call: &Call<'_>) -> Outcome {
    text(go_time::strftime(call.context.start, call.text(0)?))
}

/// A random UUID whose first four bytes are the start time.
fn uuid(call: &Call<'_>) -> Outcome {
    let seconds = call.context.start.as_second().to_be_bytes();
    let mut bytes = uuid::Uuid::new_v4().into_bytes();
    bytes[..4].copy_from_slice(&seconds[4..]);
    text(uuid::Uuid::from_bytes(bytes).to_string())
}

fn build_name(call: &Call<'_>) -> Outcome {
    known(call, call.context.build_name)
}

fn build_type(call: &Call<'_>) -> Outcome {
    known(call, call.context.build_type)
}

fn template_dir(call: &Call<'_>) -> Outcome {
    let directory = call.context.template_dir;
    known(call, (!directory.is_empty()).then_some(directory))
}

fn known(call: &Call<'_>, value: Option<&str>) -> Outcome {
    value.map_or_else(
        || Err(call.refuse(format!("`{}` is not available here", call.name))),
        text,
    )
}

fn pwd(call: &Call<'_>) -> Outcome {
    text(call.context.pwd)
}

fn packer_version(_: &Call<'_>) -> Outcome {
    text(PACKER_VERSION)
}

fn lower(call: &Call<'_>) -> Outcome {
    text(call.text(0)?.to_lowercase())
}

fn upper(call: &Call<'_>) -> Outcome {
    text(call.text(0)?.to_uppercase())
}

fn split(call: &Call<'_>) -> Outcome {
    let (whole, separator, index) = (call.text(0)?, call.text(1)?, call.int(2)?);
    let pieces: Vec<&str> = if separator.is_empty() {
        whole.split("").filter(|piece| !piece.is_empty()).collect()
    } else {
        whole.split(separator).collect()
    };
    let piece = usize::try_from(index)
        .ok()
        .and_then(|index| pieces.get(index));
    piece.map_or_else(
        || {
            Err(call.refuse(format!(
                "The substring {index} was unavailable using the separator value, {separator}, \
                 only {} values were found",
                pieces.len()
            )))
        },
        |piece| text(*piece),
    )
}

fn replace(call: &Call<'_>) -> Outcome {
    let (old, new, count, source) = (call.text(0)?, call.text(1)?, call.int(2)?, call.text(3)?);
    text(match usize::try_from(count) {
        Ok(count) => source.replacen(old, new, count),
        Err(_) => source.replace(old, new),
    })
}

fn replace_all(call: &Call<'_>) -> Outcome {
    text(call.text(2)?.replace(call.text(0)?, call.text(1)?))
}

fn build(call: &Call<'_>) -> Outcome {
    let name = call.text(0)?;
    let unknown = || {
        let error = call.refuse(format!("`build` knows no `{name}`"));
        match did_you_mean(name, BUILD_FIELDS) {
            Some(hint) => error.hint(hint),
            None => error.hint(format!("It knows: {}", BUILD_FIELDS.join(", "))),
        }
    };
    match call.context.build {
        BuildAccess::Known(values) => values.get(name).map(text).ok_or_else(unknown)?,
        BuildAccess::Deferred if BUILD_FIELDS.contains(&name) => text(format!("{{{{.{name}}}}}")),
        BuildAccess::Deferred => Err(unknown()),
        BuildAccess::Unavailable => Err(call
            .refuse("`build` is not available here")
            .hint("It works in provisioners and post-processors")),
    }
}

/// Keeps what the name of an ECS image may have; see the parameter `ImageName`
/// of `CreateImage`.
fn clean_resource_name(call: &Call<'_>) -> Outcome {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
    let clean = |c: char| if allowed(c) { c } else { '-' };
    text(call.text(0)?.chars().map(clean).collect::<String>())
}

fn sed(call: &Call<'_>) -> Outcome {
    Err(call
        .refuse("Template function `sed` is deprecated and does nothing")
        .hint("Use `replace` or `replace_all` instead"))
}

fn unsupported(call: &Call<'_>) -> Outcome {
    Err(call
        .refuse(format!("Template function `{}` is not supported", call.name))
        .hint("Read the secret before the build and pass it in an environment variable: {{env `NAME`}} in `variables`"))
}
