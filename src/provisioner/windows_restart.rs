//! A restart of Windows: Packer's `windows-restart` provisioner.
//!
//! Windows says that it restarts and goes on answering for a while. So first a
//! restart in a minute is asked for: it is refused until the machine has come
//! back, and then called off. Source of facts: the system error codes 1115 and
//! 1190, Packer's documentation.

use std::time::Duration;

use super::windows_script::Discard;
use super::{Context, Limit, Show, communicator_of, late};
use crate::communicator::winrm::powershell::encoded;
use crate::communicator::{Communicator, ExitStatus};
use crate::error::{Error, Kind, Result};
use crate::plan::provisioner::WindowsRestart;

/// A shutdown is in progress (1115), or one is scheduled already (1190).
const GOING_DOWN: [u32; 2] = [1115, 1190];

const TEST: &str = "shutdown /r /f /t 60 /c \"packer restart test\"";
const CALL_OFF: &str = "shutdown /a";
const CHECK: &str = "Write-Output \"$($env:COMPUTERNAME) restarted.\"";

/// Nominal pauses between two looks.
const WHILE_GOING_DOWN: Duration = Duration::from_secs(2);
const WHILE_DOWN: Duration = Duration::from_secs(5);

/// Restarts the machine and waits until it is back.
pub(super) async fn run(options: &WindowsRestart, cx: &Context<'_>, limit: Limit) -> Result<()> {
    let communicator = communicator_of(cx, "windows-restart")?;
    let restart = Restart {
        options,
        cx,
        communicator,
    };
    let work = async { cx.stop.race(restart.run()).await? };
    limit.apply(cx, work).await
}

struct Restart<'a> {
    options: &'a WindowsRestart,
    cx: &'a Context<'a>,
    communicator: &'a dyn Communicator,
}

impl Restart<'_> {
    async fn run(&self) -> Result<()> {
        let Self { options, cx, .. } = self;
        cx.events.say("Restarting Machine");
        self.restart().await?;
        let waiting = async {
            self.wait_until_it_answers_as_usual().await?;
            cx.events.say("Waiting for machine to restart...");
            self.wait_until_it_is_back().await
        };
        let waited = cx.stop.clock().timeout(options.timeout, waiting).await;
        waited.unwrap_or_else(|| {
            let message = format!(
                "Timeout waiting for the machine to restart after {:?}",
                options.timeout
            );
            Err(Error::new(Kind::Timeout, message)
                .with_hint("Raise `restart_timeout` if Windows installs updates meanwhile"))
        })?;
        cx.events.say("Machine successfully restarted, moving on");
        Ok(())
    }

    async fn restart(&self) -> Result<()> {
        let command = self.rendered("restart_command", &self.options.command)?;
        let mut show = Show::new(self.cx.events);
        match self.communicator.exec(&command, &mut show).await? {
            ExitStatus::Disconnected | ExitStatus::Code(0) => Ok(()),
            ExitStatus::Code(code) if GOING_DOWN.contains(&code) => Ok(()),
            ExitStatus::Code(code) => Err(Error::new(
                Kind::Provision,
                format!("Restart script exited with non-zero exit status: {code}"),
            )),
        }
    }

    /// Returns also when the machine does not answer any more.
    async fn wait_until_it_answers_as_usual(&self) -> Result<()> {
        loop {
            let ended = self.communicator.exec(TEST, &mut Discard).await;
            match ended {
                Ok(ExitStatus::Code(0)) => break,
                Ok(ExitStatus::Code(_)) => self.cx.stop.sleep(WHILE_GOING_DOWN).await?,
                Ok(ExitStatus::Disconnected) => return Ok(()),
                Err(error) if error.kind() == Kind::Connect => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        let called_off = self.communicator.exec(CALL_OFF, &mut Discard).await;
        called_off.map(drop)
    }

    async fn wait_until_it_is_back(&self) -> Result<()> {
        let own = encoded(CHECK);
        let check = match &self.options.check_command {
            Some(command) => self.rendered("restart_check_command", command)?,
            None => own,
        };
        while !self.succeeds(&check).await? {
            self.cx.stop.sleep(WHILE_DOWN).await?;
        }
        for key in &self.options.registry_keys {
            let test = format!("if (Test-Path '{}') {{ exit 1 }}", key.replace('\'', "''"));
            let test = encoded(&test);
            while !self.succeeds(&test).await? {
                self.cx.stop.sleep(WHILE_DOWN).await?;
            }
        }
        Ok(())
    }

    async fn succeeds(&self, command: &str) -> Result<bool> {
        match self
            .communicator
            .exec(command, &mut Show::new(self.cx.events))
            .await
        {
            Ok(status) => Ok(status == ExitStatus::Code(0)),
            Err(error) if error.kind() == Kind::Connect => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn rendered(&self, name: &str, text: &str) -> Result<String> {
        late::render(text, &late::Fields::new(), self.cx.data)
            .map_err(|error| error.context(format!("Could not render `{name}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provisioner::fake::{Fake, Reply, World};

    fn options() -> WindowsRestart {
        WindowsRestart {
            command: "restart {{ build `ID` }}".to_owned(),
            check_command: Some("check".to_owned()),
            timeout: Duration::from_secs(3600),
            registry_keys: Vec::new(),
        }
    }

    async fn restart(options: &WindowsRestart, world: &World) -> Result<()> {
        let limit = Limit::new(Duration::ZERO, "windows-restart");
        run(options, &world.context(), limit).await
    }

    #[tokio::test]
    async fn a_machine_is_back_when_it_neither_goes_down_nor_fails_the_check() {
        let test = "exec shutdown /r /f /t 60";
        let fake = Fake::default()
            .reply("exec restart i-1", Reply::Exit(1190))
            .reply(test, Reply::Exit(1115))
            .reply(test, Reply::NoConnection)
            .reply("exec check", Reply::NoConnection)
            .reply("exec check", Reply::Exit(1));
        let world = World::new(fake);
        restart(&options(), &world).await.unwrap();
        let going_down = "exec shutdown /r /f /t 60 /c \"packer restart test\"";
        let expected = [
            "exec restart i-1",
            going_down,
            going_down,
            "exec check",
            "exec check",
            "exec check",
        ];
        assert_eq!(world.calls(), expected);
    }

    #[tokio::test]
    async fn the_test_is_called_off_and_the_time_is_limited() {
        let fake = Fake::default()
            .reply("exec restart", Reply::Disconnect)
            .reply("exec check", Reply::Hang);
        let world = World::new(fake);
        let error = restart(&options(), &world).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Timeout);
        assert_eq!(world.calls()[2], "exec shutdown /a");
        let failed = World::new(Fake::default().reply("exec restart", Reply::Exit(5)));
        let error = restart(&options(), &failed).await.unwrap_err();
        assert_eq!(
            error.message(),
            "Restart script exited with non-zero exit status: 5"
        );
    }
}
