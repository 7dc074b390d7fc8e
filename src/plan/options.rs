//! The options of every block: name, kind, default, meaning, status.
//!
//! One table each; `decode` reads templates by them and `docs` prints them.
//! Not here: what an option does. Names, kinds and defaults are Packer's.

use crate::template::decode::{OptionKind as K, OptionSpec, Status};

pub mod access;
pub mod checksum;
pub mod communicator;
pub mod disk;
pub mod file;
pub mod image;
pub mod manifest;
pub mod run;
pub mod shell;
pub mod shell_local;
pub mod sleep;

const fn spec(
    name: &'static str,
    kind: K,
    default: &'static str,
    doc: &'static str,
    status: Status,
) -> OptionSpec {
    OptionSpec {
        name,
        kind,
        default,
        doc,
        status,
    }
}

/// An option without a default.
const fn option(name: &'static str, kind: K, doc: &'static str) -> OptionSpec {
    spec(name, kind, "", doc, Status::Supported)
}

/// An option that must be set.
const fn required(name: &'static str, kind: K, doc: &'static str) -> OptionSpec {
    spec(name, kind, REQUIRED, doc, Status::Supported)
}

/// What stands in place of a default when there must be a value.
pub const REQUIRED: &str = "required";

/// An option with a default.
const fn defaulted(
    name: &'static str,
    kind: K,
    default: &'static str,
    doc: &'static str,
) -> OptionSpec {
    spec(name, kind, default, doc, Status::Supported)
}

/// An old spelling.
const fn renamed(name: &'static str, kind: K, successor: &'static str) -> OptionSpec {
    spec(
        name,
        kind,
        "",
        "Old spelling",
        Status::Deprecated { successor },
    )
}

/// An option Packer accepts without using it.
const fn ignored(name: &'static str, kind: K, why: &'static str) -> OptionSpec {
    spec(name, kind, "", "No effect", Status::Ignored { why })
}

/// An option of Packer this version cannot serve.
const fn unsupported(
    name: &'static str,
    kind: K,
    instead: &'static str,
    doc: &'static str,
) -> OptionSpec {
    spec(name, kind, "", doc, Status::Unsupported { instead })
}
