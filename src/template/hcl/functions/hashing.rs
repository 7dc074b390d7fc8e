//! Functions that make digests and identifiers.

use md5::Md5;
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};
use uuid::Uuid;

use super::signature::{Arguments, Function, Parameter};
use super::{FunctionError, Outcome, excerpt};

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
            FunctionError::at(0, format!("There is no namespace `{}`", excerpt(other)))
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

#[cfg(test)]
mod tests {
    use super::super::tests::{check, outcome};
    use super::*;

    #[test]
    fn results_are_those_of_packer() {
        check(&[
            (
                r#"bcrypt("x",32)"#,
                "! A cost of 32 takes too long: at most 16 is supported",
            ),
            (r#"md5("hello")"#, r#""5d41402abc4b2a76b9719d911017c592""#),
            ("md5(1)", r#""c4ca4238a0b923820dcc509a6f75849b""#),
            (
                r#"sha1("hello")"#,
                r#""aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d""#,
            ),
            (
                r#"sha256("hello")"#,
                r#""2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824""#,
            ),
            (
                r#"sha512("hello")"#,
                r#""9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043""#,
            ),
            (
                r#"uuidv5("dns","tada")"#,
                r#""faa898db-9b9d-5b75-86a9-149e7bb8e3b8""#,
            ),
            (
                r#"uuidv5("url","tada")"#,
                r#""2c1ff6b4-211f-577e-94de-d978b0caa16e""#,
            ),
            (
                r#"uuidv5("oid","tada")"#,
                r#""61eeea26-5176-5288-87fc-232d6ed30d2f""#,
            ),
            (
                r#"uuidv5("x500","tada")"#,
                r#""7e12415e-f7c9-57c3-9e43-52dc9950d264""#,
            ),
            (r#"uuidv5("bad","tada")"#, "! There is no namespace `bad`"),
            (
                r#"uuidv5("6ba7b810-9dad-11d1-80b4-00c04fd430c8","tada")"#,
                r#""faa898db-9b9d-5b75-86a9-149e7bb8e3b8""#,
            ),
        ]);
    }

    #[test]
    fn bcrypt_makes_a_hash_that_fits() {
        let hash = outcome("bcrypt", &["secret".into(), 4i64.into()]).expect("a hash");
        let hash = hash.text().expect("a string");
        assert!(hash.starts_with("$2a$04$"), "{hash}");
        assert_eq!(bcrypt::verify("secret", &hash).ok(), Some(true));
        assert_eq!(cost(3), Ok(DEFAULT_COST));
        assert_eq!(cost(16), Ok(16));
    }

    #[test]
    fn uuids_are_random() {
        let one = outcome("uuidv4", &[]).expect("a UUID");
        assert_ne!(outcome("uuidv4", &[]), Ok(one.clone()));
        assert_eq!(one.text().map(|text| text.len()), Some(36));
    }
}
