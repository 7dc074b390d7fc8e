//! Texts that are the whole output of a command: version, completions, the
//! facts of a sandbox, generated pages.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::json;

use super::{Writers, sanitize};
use crate::cloud::credential::{Found, PassedOver};
use crate::secret::Secret;

/// The version of Packer whose templates are understood; `min_packer_version`
/// is compared with it.
pub use crate::template::PACKER_VERSION;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Writes a text with parts of a template or of a file to standard output:
/// nothing in it is obeyed by a terminal or a CI system.
pub fn print_text(writers: Writers, text: &str) {
    print(writers, &sanitize::text(text));
}

/// The same for JSON, or YAML whose strings are JSON; it keeps its meaning.
pub fn print_json(writers: Writers, text: &str) {
    print(writers, &sanitize::json(text));
}

/// Writes a text to standard output. A reader that went away is no failure.
pub fn print(mut writers: Writers, text: &str) {
    let end = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let _ = write!(writers.stdout, "{text}{end}");
    let _ = writers.stdout.flush();
}

/// The answer of `version`.
pub fn version(machine_readable: bool) -> String {
    if !machine_readable {
        return format!("alicloud-image {VERSION} (templates of Packer {PACKER_VERSION})");
    }
    super::machine_readable::version(jiff::Timestamp::now(), VERSION)
}

/// A field of a `-machine-readable` line, with Packer's escapes.
pub fn machine_readable_field(text: &str) -> String {
    super::machine_readable::escaped(text)
}

/// The completion script for a shell.
pub fn completions(shell: clap_complete::Shell, mut definitions: clap::Command) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut definitions, "alicloud-image", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// What a client needs to use a sandbox.
#[derive(Debug)]
pub struct SandboxFacts {
    /// Base URL of all products.
    pub url: String,
    /// A key pair that is allowed everything, of no worth elsewhere.
    pub access_key_id: String,
    /// Its secret.
    pub access_key_secret: Secret,
    /// SSH port of its instances.
    pub guest_port: u16,
}

/// The answer of `sandbox`: lines for `eval` in a shell.
pub fn sandbox(facts: &SandboxFacts) -> String {
    let mut text = format!(
        "# The sandbox answers at {}. In another shell:\n",
        facts.url
    );
    let port = facts.guest_port.to_string();
    let exports = [
        ("ALIBABA_CLOUD_ENDPOINT_ECS", facts.url.as_str()),
        ("ALIBABA_CLOUD_ENDPOINT_VPC", &facts.url),
        ("ALIBABA_CLOUD_ENDPOINT_STS", &facts.url),
        ("ALIBABA_CLOUD_ENDPOINT_RAM", &facts.url),
        ("ALIBABA_CLOUD_ENDPOINT_OSS", &facts.url),
        ("ALICLOUD_IMAGE_GUEST_PORT", &port),
        ("ALICLOUD_ACCESS_KEY", &facts.access_key_id),
        ("ALICLOUD_SECRET_KEY", facts.access_key_secret.expose()),
    ];
    for (name, value) in exports {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "export {name}={value}");
    }
    text
}

/// Whose keys are used.
#[derive(Debug)]
pub struct Caller {
    /// Where they come from.
    pub found: Found,
    /// The id of the account.
    pub account: String,
    /// Who it is.
    pub arn: String,
    /// `Account`, `RAMUser` or `AssumedRoleUser`.
    pub identity_type: String,
    /// When the keys end, if that is known.
    pub expiration: Option<jiff::Timestamp>,
}

/// The answer of `whoami`.
pub fn caller(caller: &Caller, is_json: bool) -> String {
    let expiration = caller.expiration.map(|end| end.to_string());
    if is_json {
        return caller_json(caller, expiration.as_deref()).to_string();
    }
    let mut text = format!(
        "Provider: {}\nAccount:  {}\nARN:      {} ({})\n",
        caller.found.provider, caller.account, caller.arn, caller.identity_type
    );
    if let Some(expiration) = expiration {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "Expires:  {expiration}, then renewed");
    }
    text + &passed_over(&caller.found.passed_over)
}

fn caller_json(caller: &Caller, expiration: Option<&str>) -> serde_json::Value {
    let passed_over = caller.found.passed_over.iter();
    let passed_over: Vec<_> = passed_over
        .map(|passed| json!({"provider": passed.provider, "reason": passed.reason}))
        .collect();
    json!({
        "provider": caller.found.provider,
        "account_id": caller.account,
        "arn": caller.arn,
        "identity_type": caller.identity_type,
        "expiration": expiration,
        "passed_over": passed_over,
    })
}

/// Where no keys were, as a list.
pub fn passed_over(places: &[PassedOver]) -> String {
    let mut text = String::new();
    if !places.is_empty() {
        text.push_str("Passed over:\n");
    }
    for PassedOver {
        provider, reason, ..
    } in places
    {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {provider}: {reason}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sandbox_prints_lines_for_a_shell() {
        let facts = SandboxFacts {
            url: "http://127.0.0.1:1".into(),
            access_key_id: "id".into(),
            access_key_secret: Secret::new("s"),
            guest_port: 22,
        };
        let text = sandbox(&facts);
        assert!(text.contains("export ALIBABA_CLOUD_ENDPOINT_ECS=http://127.0.0.1:1\n"));
        assert!(text.ends_with("export ALICLOUD_SECRET_KEY=s\n"));
    }

    #[test]
    fn completions_know_the_commands() {
        let script = completions(clap_complete::Shell::Bash, crate::inputs::definitions());
        for command in ["build", "validate", "cleanup", "sandbox"] {
            assert!(script.contains(command), "{command}");
        }
    }
}
