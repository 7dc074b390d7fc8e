//! Functions that make digests and identifiers.

use md5::Md5;
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};
use uuid::Uuid;

use super::signature::{Arguments, Function, Parameter};
use super::{FunctionError, Outcome};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("bcrypt", &[Parameter::text("str")], bcrypt)
        .and_any_number_of(Parameter::number("cost")),
    Function::new("md5", &[Parameter::text("str")], digest::<Md5>),
    Function::new("sha1", &[Parameter::text("str")], digest::<Sha1>),
    Function::new("sha256", &[Parameter::text("str")], digest::<Sha256>),
    Function::new("sha512", &[Parameter::text("str")], digest::<Sha512>),
    Function::new("uuidv4", &[], uuidv4),
    Function::new(
        "uuidv5",
        &[Parameter::text("namespace"), Parameter::text("name")],
        uuidv5,
    ),
];

/// The cost of `bcrypt` without one, as in Packer.
const DEFAULT_COST: u32 = 10;

/// The largest cost taken here: each step doubles the time, and this one
/// takes some seconds.
const COST_MAX: i64 = 16;

fn digest<D: Digest>(arguments: &Arguments<'_>) -> Outcome {
    let digest = D::digest(arguments.text(0));
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(hex.into())
}

fn bcrypt(arguments: &Arguments<'_>) -> Outcome {
    let cost = match arguments.count() {
        1 => DEFAULT_COST,
        2 => cost(arguments.integer(1)?)?,
        count => {
            let message = format!("`bcrypt` takes one or two arguments, and got {count}");
            return Err(FunctionError::new(message).with_hint("Write `bcrypt(str, cost)`"));
        }
    };
    let hashed = bcrypt::non_truncating_hash_with_result(arguments.text(0), cost)
        .map_err(|error| FunctionError::new(format!("Cannot hash: {error}")))?;
    // Go's name for the same algorithm.
    Ok(hashed.format_for_version(bcrypt::Version::TwoA).into())
}

/// A cost below 4 means the default one, as in Go.
fn cost(given: i64) -> Result<u32, FunctionError> {
    match given {
        ..4 => Ok(DEFAULT_COST),
        4..=COST_MAX => Ok(given.unsigned_abs() as u32),
        _ => Err(FunctionError::at(
            1,
            format!("A cost of {given} takes too long: at most {COST_MAX} is supported"),
        )),
    }
}

fn uuidv4(_: &Arguments<'_>) -> Outcome {
    Ok(Uuid::new_v4().to_string().into())
}

fn uuidv5(arguments: &Arguments<'_>) -> Outcome {
    let namespace = arguments.text(0);
    let id = match namespace {
        "dns" => Uuid::NAMESPACE_DNS,
        "url" => Uuid::NAMESPACE_URL,
        "oid" => Uuid::NAMESPACE_OID,
        "x500" => Uuid::NAMESPACE_X500,
        other => Uuid::parse_str(other).map_err(|_| {
            FunctionError::at(0, format!("There is no namespace `{other}`"))
                .with_hint("Namespaces are `dns`, `url`, `oid`, `x500` and any UUID")
        })?,
    };
    Ok(v5(id, arguments.text(1)).to_string().into())
}

/// A UUID of version 5 (RFC 9562, section 5.5).
fn v5(namespace: Uuid, name: &str) -> Uuid {
    let digest = Sha1::new()
        .chain_update(namespace)
        .chain_update(name)
        .finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_sha1_bytes(bytes).into_uuid()
}
