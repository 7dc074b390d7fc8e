//! The script that runs a command with all rights.
//!
//! A remote session has fewer rights than a desktop: it cannot install updates
//! or reach other machines. So a scheduled task runs the command; its output
//! goes to a file that this script shows while it grows. Source of facts: the
//! Task Scheduler 2.0 reference. It must run on PowerShell 2.0.

use quick_xml::escape::escape;
use uuid::Uuid;

use crate::secret::Secret;

const TASK: &str = include_str!("task.xml");
const SCRIPT: &str = include_str!("elevated.ps1");

/// The script; the password is in it.
pub(super) fn wrapper(command: &str, user: &str, password: &Secret) -> Secret {
    let name = format!("packer-{}", Uuid::new_v4());
    // Without a password it is an account of a service.
    let logon_type = match password.is_empty() {
        true => ("", "5"),
        false => ("<LogonType>Password</LogonType>", "1"),
    };
    let arguments = format!("/c {command} > %SYSTEMROOT%\\Temp\\{name}.out 2>&1");
    let task = TASK
        .replace("@LOGON_TYPE@", logon_type.0)
        .replace("@USER@", &escape(user))
        .replace("@ARGUMENTS@", &escape(arguments.as_str()));
    // The task last: what the user wrote must not be replaced.
    Secret::new(
        SCRIPT
            .replace("@NAME@", &name)
            .replace("@LOGON_TYPE@", logon_type.1)
            .replace("@USER@", &literal(user))
            .replace("@PASSWORD@", &literal(password.expose()))
            .replace("@TASK@", task.trim_end()),
    )
}

/// Text between PowerShell's single quotes.
fn literal(text: &str) -> String {
    text.replace('\'', "''")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_wrote_is_escaped() {
        let command = "powershell \"& { &'c:/x.ps1' }\"";
        let script = wrapper(command, "it's\\me", &Secret::new("p'<w>"));
        let script = script.expose();
        let arguments = "<Arguments>/c powershell &quot;&amp; { &amp;&apos;c:/x.ps1&apos; }&quot; \
                         &gt; %SYSTEMROOT%\\Temp\\packer-";
        assert!(script.contains(arguments), "{script}");
        for part in [
            "<UserId>it&apos;s\\me</UserId>",
            "<LogonType>Password</LogonType>",
            "'it''s\\me'",
            "'p''<w>'",
        ] {
            assert!(script.contains(part), "{part}: {script}");
        }
    }

    #[test]
    fn a_service_account_has_no_password() {
        let script = wrapper("dir", "SYSTEM", &Secret::new(""));
        assert!(!script.expose().contains("<LogonType>"));
        assert!(script.expose().contains("$password, 5, $null)"));
    }
}
