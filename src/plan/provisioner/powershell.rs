//! Reads the options of `powershell`.

use super::script;
use super::{Elevated, Kind, PowerShell};
use crate::plan::reader::Reader;
use crate::secret::Secret;

/// What one of which must be written.
const SCRIPTS: &[&str] = &["inline", "script", "scripts"];
/// What commands may use.
const FIELDS: &[&str] = &["Vars", "Path"];

const POLICIES: &[&str] = &[
    "bypass",
    "allsigned",
    "default",
    "remotesigned",
    "restricted",
    "undefined",
    "unrestricted",
    "none",
];

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Kind {
    let scripts = script::scripts(reader, SCRIPTS);
    let default = default_command(reader);
    Kind::PowerShell(Box::new(PowerShell {
        inline: scripts.inline,
        scripts: scripts.files,
        environment: script::environment(reader),
        env_var_format: script::env_var_format(reader, "$env:%s=\"%s\"; "),
        execute_command: reader.late_or("execute_command", &default, FIELDS),
        elevated: elevated(reader, &default),
        remote_path: reader.plain("remote_path"),
        remote_env_var_path: reader.plain("remote_env_var_path"),
        skip_clean: reader.flag("skip_clean"),
        start_retry_timeout: script::start_retry_timeout(reader),
        valid_exit_codes: script::exit_codes(reader),
        pause_after: reader.duration("pause_after").unwrap_or_default(),
    }))
}

/// Runs the script that sets the environment and then the user's, in one
/// PowerShell without progress bars, and ends as the last program did.
fn default_command(reader: &mut Reader<'_, '_>) -> String {
    let program = match reader.flag("use_pwsh") {
        true => "pwsh",
        false => "powershell",
    };
    let trace = match debug_mode(reader) {
        0 => String::new(),
        level => format!("Set-PsDebug -Trace {level};"),
    };
    let policy = match policy(reader) {
        "none" => String::new(),
        policy => format!(" -executionpolicy {policy}"),
    };
    format!(
        "{program}{policy} \"& {{ if (Test-Path variable:global:ProgressPreference)\
         {{set-variable -name variable:global:ProgressPreference -value 'SilentlyContinue'}};\
         {trace}. {{{{.Vars}}}}; &'{{{{.Path}}}}'; exit $LastExitCode }}\""
    )
}

fn debug_mode(reader: &mut Reader<'_, '_>) -> u32 {
    let mode = reader.count("debug_mode");
    if mode > 2 {
        let what = format!("is {mode}");
        reader.error("debug_mode", &what, "Write 0, 1 or 2");
    }
    mode
}

fn policy(reader: &mut Reader<'_, '_>) -> &'static str {
    let Some(written) = reader.text("execution_policy") else {
        return POLICIES[0];
    };
    let known = POLICIES
        .iter()
        .find(|it| it.eq_ignore_ascii_case(&written.value));
    known.copied().unwrap_or_else(|| {
        let words: Vec<_> = POLICIES.iter().map(|word| (*word, ())).collect();
        // Says what the values are.
        reader.one_of("execution_policy", &words);
        POLICIES[0]
    })
}

fn elevated(reader: &mut Reader<'_, '_>, default: &str) -> Option<Elevated> {
    let user = reader.text("elevated_user");
    let command = reader.late_or("elevated_execute_command", default, FIELDS);
    let password = reader.text("elevated_password");
    for text in user.iter().map(|user| ("elevated_user", user)).chain(
        password
            .iter()
            .map(|password| ("elevated_password", password)),
    ) {
        reader.check_late(text.0, text.1, &[]);
    }
    let Some(user) = user else {
        if password.is_some() {
            let what = "is set without a user";
            reader.error("elevated_password", what, "Set `elevated_user` too");
        }
        return None;
    };
    let password = Secret::new(password.map_or_else(String::new, |password| password.value));
    // A text that is rendered later is no secret itself.
    if !password.is_empty() && !script::is_late(password.expose()) {
        reader.keep_secret(&password);
    }
    Some(Elevated {
        user: user.value,
        password,
        execute_command: command,
    })
}
