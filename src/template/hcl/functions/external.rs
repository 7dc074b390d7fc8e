//! Functions of Packer that ask other services for secrets, or decrypt them.
//!
//! They are named here only to say what to do instead: a CI has a place for
//! secrets already, and hands them to a build without further credentials.

use super::signature::{Arguments, Function, Parameter, Shape};
use super::{FunctionError, Outcome};

pub(super) const FUNCTIONS: &[Function] = &[
    elsewhere("aws_secretsmanager", no_secrets_manager),
    elsewhere("aws_secretsmanager_raw", no_secrets_manager),
    elsewhere("consul_key", no_consul),
    elsewhere("rsadecrypt", no_decryption),
    elsewhere("vault", no_vault),
];

const ANYTHING: Parameter = Parameter::new("value", Shape::Any).or_null().or_unknown();

const fn elsewhere(name: &'static str, run: fn(&Arguments<'_>) -> Outcome) -> Function {
    Function::new(name, &[], run).and_any_number_of(ANYTHING)
}

fn no_secrets_manager(_: &Arguments<'_>) -> Outcome {
    Err(instead("AWS Secrets Manager is not asked for secrets here"))
}

fn no_consul(_: &Arguments<'_>) -> Outcome {
    Err(instead("Consul is not asked for values here"))
}

fn no_decryption(_: &Arguments<'_>) -> Outcome {
    Err(instead("`rsadecrypt` is not supported"))
}

fn no_vault(_: &Arguments<'_>) -> Outcome {
    Err(instead("Vault is not asked for secrets here"))
}

fn instead(message: &str) -> FunctionError {
    FunctionError::new(message).with_hint(
        "Declare a sensitive variable, and set it from a secret of your CI in the environment \
         variable `PKR_VAR_` and its name",
    )
}
