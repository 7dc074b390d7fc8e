//! PowerShell scripts on the machine: Packer's `powershell` provisioner.
//!
//! For each script: upload it and the script that sets the environment, run
//! both in one PowerShell, remove them. Uploading and starting are tried again
//! while no connection can be made. With `elevated_user` a scheduled task runs
//! them, with all rights (see `elevated`). Differences from Packer: inline
//! commands never touch this machine's disk and may hold any letters, and the
//! files are removed after a failure too.

mod elevated;

use std::time::Duration;

use uuid::Uuid;

use super::windows_script::{self, Discard, Retry, Script};
use super::{Context, Limit, Show, communicator_of, duration_text, environment, late};
use crate::communicator::{Communicator, ExitStatus};
use crate::engine::event::EventKind;
use crate::error::{Error, Kind, Result};
use crate::plan::provisioner::{Elevated, PowerShell};
use crate::secret::Secret;

/// Limit for removing files.
const CLEANUP: Duration = Duration::from_secs(60);

/// Runs all scripts of a `powershell` provisioner.
pub(super) async fn run(options: &PowerShell, cx: &Context<'_>, limit: Limit) -> Result<()> {
    let communicator = communicator_of(cx, "powershell")?;
    let session = Session {
        options,
        cx,
        communicator,
        paths: Paths::new(options),
        account: account(options.elevated.as_ref(), cx)?,
    };
    let work = async { cx.stop.race(session.provision()).await? };
    let result = limit.apply(cx, work).await;
    let is_reachable = !matches!(&result, Err(error)
        if matches!(error.kind(), Kind::Connect | Kind::Cancelled));
    if is_reachable && !options.skip_clean {
        session.remove_files().await;
    }
    result?;
    if !options.pause_after.is_zero() {
        let pause = duration_text(options.pause_after);
        cx.events
            .say(format!("Pausing {pause} after this provisioner..."));
        cx.stop.sleep(options.pause_after).await?;
    }
    Ok(())
}

/// Where things are on the machine.
struct Paths {
    script: String,
    environment: String,
    wrapper: String,
}

impl Paths {
    fn new(options: &PowerShell) -> Self {
        let temporary = |name: &str| format!("c:/Windows/Temp/{name}-{}.ps1", Uuid::new_v4());
        Self {
            script: options
                .remote_path
                .clone()
                .unwrap_or_else(|| temporary("script")),
            environment: options
                .remote_env_var_path
                .clone()
                .unwrap_or_else(|| temporary("packer-ps-env-vars")),
            wrapper: temporary("packer-elevated-shell"),
        }
    }
}

/// Whose task runs the scripts.
struct Account<'a> {
    user: String,
    password: Secret,
    execute_command: &'a str,
}

fn account<'a>(elevated: Option<&'a Elevated>, cx: &Context<'_>) -> Result<Option<Account<'a>>> {
    let Some(elevated) = elevated else {
        return Ok(None);
    };
    let rendered = |name: &str, text: &str| {
        late::render(text, &late::Fields::new(), cx.data)
            .map_err(|error| error.context(format!("Could not render `{name}`")))
    };
    let password = Secret::new(rendered("elevated_password", elevated.password.expose())?);
    if !password.is_empty() {
        cx.events.emit(EventKind::Secret(password.clone()));
    }
    Ok(Some(Account {
        user: rendered("elevated_user", &elevated.user)?,
        password,
        execute_command: &elevated.execute_command,
    }))
}

struct Session<'a> {
    options: &'a PowerShell,
    cx: &'a Context<'a>,
    communicator: &'a dyn Communicator,
    paths: Paths,
    account: Option<Account<'a>>,
}

impl Session<'_> {
    async fn provision(&self) -> Result<()> {
        let Self { options, cx, .. } = self;
        let scripts = windows_script::scripts(&options.inline, &options.scripts, cx)?;
        let environment = environment::flatten_quoted(
            &options.environment,
            &options.env_var_format,
            cx.data,
            quoted,
        );
        let command = self.command()?;
        for script in &scripts {
            self.run_script(script, &environment, &command).await?;
        }
        Ok(())
    }

    async fn run_script(
        &self,
        script: &Script<'_>,
        environment: &str,
        command: &str,
    ) -> Result<()> {
        let Self { options, cx, .. } = self;
        cx.events.say(format!(
            "Provisioning with powershell script: {}",
            script.display()
        ));
        let content = script.content().await?;
        let content = match script {
            Script::Inline(_) => with_mark(content),
            Script::File(_) => content,
        };
        let environment = with_mark(environment.as_bytes().to_vec());
        let retry = Retry::within(options.start_retry_timeout);
        let status = loop {
            let ended = self.upload_and_start(&content, &environment, command).await;
            if let Some(status) = retry.settle(cx, ended).await? {
                break status;
            }
        };
        windows_script::check_end(status, &options.valid_exit_codes)
            .map_err(|error| error.at(script.span()))
    }

    /// One try; everything is uploaded again each time because the machine may
    /// have been restarted and lost it.
    async fn upload_and_start(
        &self,
        script: &[u8],
        environment: &[u8],
        command: &str,
    ) -> Result<ExitStatus> {
        let Self {
            communicator,
            paths,
            ..
        } = self;
        windows_script::upload(*communicator, environment, &paths.environment).await?;
        windows_script::upload(*communicator, script, &paths.script).await?;
        let start = match &self.account {
            None => command.to_owned(),
            Some(account) => {
                let wrapper = elevated::wrapper(command, &account.user, &account.password);
                let wrapper = with_mark(wrapper.expose().as_bytes().to_vec());
                windows_script::upload(*communicator, &wrapper, &paths.wrapper).await?;
                format!(
                    "powershell -executionpolicy bypass -file \"{}\"",
                    paths.wrapper
                )
            }
        };
        communicator
            .exec(&start, &mut Show::new(self.cx.events))
            .await
    }

    /// What runs the script, in the task if there is one.
    fn command(&self) -> Result<String> {
        let (name, text) = match &self.account {
            None => ("execute_command", self.options.execute_command.as_str()),
            Some(account) => ("elevated_execute_command", account.execute_command),
        };
        let fields = late::fields([
            ("Vars", &self.paths.environment),
            ("Path", &self.paths.script),
        ]);
        late::render(text, &fields, self.cx.data)
            .map_err(|error: Error| error.context(format!("Could not render `{name}`")))
    }

    /// Removes what is on the machine. Whatever was to be reported has been,
    /// so a failure is passed over; the files hold no secret but the wrapper's.
    async fn remove_files(&self) {
        let Paths {
            script,
            environment,
            wrapper,
        } = &self.paths;
        let mut paths = vec![script, environment];
        paths.extend(self.account.is_some().then_some(wrapper));
        let paths = paths.iter().map(|path| path.replace('/', "\\"));
        let paths: Vec<_> = paths.map(|path| format!("\"{path}\"")).collect();
        let command = format!("del /f /q {}", paths.join(" "));
        let mut discard = Discard;
        let removing = self.communicator.exec(&command, &mut discard);
        let stop = self.cx.stop;
        let removed = stop.within(CLEANUP, "removing scripts", removing).await;
        if let Ok(Err(error)) | Err(error) = removed {
            tracing::debug!("scripts are left on the machine: {error}");
        }
    }
}

/// Windows PowerShell takes scripts for UTF-8 only with a mark in front.
fn with_mark(script: Vec<u8>) -> Vec<u8> {
    match script.is_ascii() {
        true => script,
        false => [b"\xef\xbb\xbf".as_slice(), &script].concat(),
    }
}

/// A value as it must stand between double quotes.
fn quoted(value: &str) -> String {
    let mut quoted = String::new();
    for letter in value.chars() {
        if matches!(letter, '`' | '$' | '"' | '\'') {
            quoted.push('`');
        }
        quoted.push(letter);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provisioner::fake::{Fake, Reply, World};

    fn options() -> PowerShell {
        PowerShell {
            inline: vec!["dir {{ build `ID` }}".to_owned()],
            scripts: Vec::new(),
            environment: vec![("A".to_owned(), "$b".to_owned())],
            env_var_format: "$env:%s=\"%s\"; ".to_owned(),
            execute_command: "run {{.Path}} with {{.Vars}}".to_owned(),
            elevated: None,
            remote_path: Some("c:/s.ps1".to_owned()),
            remote_env_var_path: Some("c:/e.ps1".to_owned()),
            skip_clean: false,
            start_retry_timeout: Duration::from_secs(300),
            valid_exit_codes: vec![0],
            pause_after: Duration::ZERO,
        }
    }

    async fn provision(options: &PowerShell, world: &World) -> Result<()> {
        let limit = Limit::new(Duration::ZERO, "powershell");
        run(options, &world.context(), limit).await
    }

    #[tokio::test]
    async fn both_scripts_are_uploaded_again_after_a_lost_connection() {
        let fake = Fake::default().reply("upload c:/s.ps1", Reply::NoConnection);
        let world = World::new(fake);
        provision(&options(), &world).await.unwrap();
        let environment = "upload c:/e.ps1 644 \"$env:A=\\\"`$b\\\"; \
                           $env:PACKER_BUILDER_TYPE=\\\"alicloud-ecs\\\"; \
                           $env:PACKER_BUILD_NAME=\\\"web\\\"; \"";
        let script = "upload c:/s.ps1 644 \"dir i-1\\r\\n\"";
        let expected = [
            environment,
            script,
            environment,
            script,
            "exec run c:/s.ps1 with c:/e.ps1",
            "exec del /f /q \"c:\\s.ps1\" \"c:\\e.ps1\"",
        ];
        assert_eq!(world.calls(), expected);
    }

    #[tokio::test]
    async fn files_are_removed_after_a_failure_but_not_from_a_lost_machine() {
        for (reply, removes) in [(Reply::Exit(1), true), (Reply::Disconnect, false)] {
            let world = World::new(Fake::default().reply("exec run", reply));
            provision(&options(), &world).await.unwrap_err();
            let last = world.calls().pop().unwrap();
            assert_eq!(last.starts_with("exec del"), removes, "{last}");
        }
        let allowed = PowerShell {
            valid_exit_codes: vec![0, 16_001],
            skip_clean: true,
            ..options()
        };
        let world = World::new(Fake::default().reply("exec run", Reply::Disconnect));
        provision(&allowed, &world).await.unwrap();
        assert!(world.calls().pop().unwrap().starts_with("exec run"));
    }

    #[tokio::test]
    async fn a_task_of_the_user_runs_the_script() {
        let options = PowerShell {
            elevated: Some(Elevated {
                user: "SYSTEM".to_owned(),
                password: Secret::new(""),
                execute_command: "elevated {{.Path}}".to_owned(),
            }),
            ..options()
        };
        let world = World::new(Fake::default());
        provision(&options, &world).await.unwrap();
        let calls = world.calls();
        assert!(
            calls[2].contains("<Arguments>/c elevated c:/s.ps1 &gt; "),
            "{calls:?}"
        );
        let start =
            "exec powershell -executionpolicy bypass -file \"c:/Windows/Temp/packer-elevated";
        assert!(calls[3].starts_with(start), "{calls:?}");
    }

    #[test]
    fn values_are_quoted_for_powershell() {
        for (value, expected) in [
            ("plain", "plain"),
            ("$a `b` \"c\" 'd'", "`$a ``b`` `\"c`\" `'d`'"),
            ("ä", "ä"),
        ] {
            assert_eq!(quoted(value), expected);
        }
    }

    #[test]
    fn only_scripts_with_other_letters_get_a_mark() {
        assert_eq!(with_mark(b"dir".to_vec()), b"dir");
        assert_eq!(with_mark("ä".into()), b"\xef\xbb\xbf\xc3\xa4");
    }
}
