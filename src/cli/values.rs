//! The values of options: closed sets, and how texts are read.

use clap::ValueEnum;

/// The values of `-on-error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnError {
    /// Delete everything temporary
    Cleanup,
    /// Keep everything
    Abort,
    /// Nobody can be asked: as `cleanup`, with a warning
    Ask,
    /// Run the error-cleanup-provisioner, then keep everything
    RunCleanupProvisioner,
}

/// The values of `-config-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConfigType {
    /// HCL2
    Hcl2,
    /// Packer's JSON
    Json,
}

/// The values of `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON object per event and line
    Json,
}

/// The values of `--ci`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Ci {
    /// Find out
    Auto,
    /// None
    None,
    /// GitHub Actions, Gitea, Forgejo
    Github,
    /// GitLab CI
    Gitlab,
    /// Azure Pipelines
    Azure,
}

/// The values of `--signature`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Signature {
    /// ACS3-HMAC-SHA256
    Acs3,
    /// HMAC-SHA1 in the parameters
    RpcV1,
}

/// The values of `--delays`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Delays {
    /// As long as in the real cloud
    Realistic,
    /// At once
    None,
}

/// Go's `strconv.ParseBool`, which Packer's boolean options accept.
pub fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// `name=value`; the value is everything after the first `=`.
pub fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// A part of the whole, from 0 to 1.
pub fn spread(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|part| (0.0..=1.0).contains(part))
        .ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

/// A positive finite factor.
pub fn scale(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|factor: &f64| factor.is_finite() && *factor > 0.0)
        .ok_or_else(|| "expected a positive number".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn definitions_are_consistent() {
        crate::cli::Cli::command().debug_assert();
    }

    #[test]
    fn go_bool_is_gos_parse_bool() {
        assert_eq!(go_bool("T"), Ok(true));
        assert_eq!(go_bool("0"), Ok(false));
        assert!(go_bool("yes").is_err());
    }

    #[test]
    fn a_value_may_hold_equals_signs() {
        assert_eq!(key_value("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(key_value("a="), Ok(("a".into(), String::new())));
        assert!(key_value("a").is_err());
        assert!(key_value("=a").is_err());
    }

    #[test]
    fn scales_are_positive_and_finite() {
        assert_eq!(scale("0.5"), Ok(0.5));
        for bad in ["0", "-1", "inf", "NaN", "x"] {
            assert!(scale(bad).is_err(), "{bad}");
        }
    }
}
