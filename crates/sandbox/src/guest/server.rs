//! The SSH server of a guest: who may log in, and what a channel may ask for.

use std::{borrow::Cow, collections::HashMap, io, net::SocketAddr, sync::Arc, time::Duration};

use russh::{
    Channel, ChannelId, MethodKind, MethodSet, Pty,
    keys::{Algorithm, PrivateKey},
    server::{
        Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Response, Session,
        VerifiedPublicKey,
    },
};
use tokio_util::sync::CancellationToken;

use super::{
    exec::{self, Request, Terminal},
    machine::{Inside, Machine},
    scp, sftp,
};

/// Users that may log in; all of them are root.
const USERS: [&str; 2] = ["root", "ecs-user"];

/// The server's configuration, with a new host key.
pub(crate) fn config(with_password: bool) -> io::Result<Arc<Config>> {
    let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).map_err(io::Error::other)?;
    let mut methods = vec![MethodKind::PublicKey];
    if with_password {
        methods.extend([MethodKind::Password, MethodKind::KeyboardInteractive]);
    }
    Ok(Arc::new(Config {
        methods: MethodSet::from(methods.as_slice()),
        auth_rejection_time: Duration::from_millis(20),
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![key],
        inactivity_timeout: None,
        event_buffer_size: 64,
        ..Config::default()
    }))
}

/// A channel that has not been told yet what to run.
struct Pending {
    channel: Channel<Msg>,
    environment: Vec<(String, String)>,
    terminal: Option<Terminal>,
}

/// One client's connection.
pub(crate) struct Connection {
    machine: Arc<Machine>,
    peer: SocketAddr,
    local: Option<SocketAddr>,
    stop: CancellationToken,
    pending: HashMap<ChannelId, Pending>,
}

impl Connection {
    pub(crate) fn new(
        machine: &Arc<Machine>,
        peer: SocketAddr,
        local: Option<SocketAddr>,
        stop: CancellationToken,
    ) -> Connection {
        Connection {
            machine: Arc::clone(machine),
            peer,
            local,
            stop,
            pending: HashMap::new(),
        }
    }

    /// What sshd tells its children about the connection.
    fn environment(&self) -> Vec<(String, String)> {
        let peer = format!("{} {}", self.peer.ip(), self.peer.port());
        let local = self.local.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 22)));
        vec![
            ("SSH_CLIENT".into(), format!("{peer} {}", local.port())),
            (
                "SSH_CONNECTION".into(),
                format!("{peer} {} {}", local.ip(), local.port()),
            ),
        ]
    }

    /// Runs a command, or a login shell, on a pending channel.
    fn start(&mut self, id: ChannelId, command: Option<&[u8]>, session: &mut Session) -> Outcome {
        let running = self.machine.inside();
        let (Some(pending), Some((inside, _))) = (self.pending.remove(&id), running) else {
            return session.channel_failure(id);
        };
        session.channel_success(id)?;
        let handle = session.handle();
        let transfer = command.and_then(scp::Transfer::parse);
        if let Some(transfer) = transfer.filter(|_| scp::is_needed(&inside)) {
            tokio::spawn(scp::serve(transfer, inside, pending.channel, handle));
            return Ok(());
        }
        let mut environment = self.environment();
        environment.extend(pending.environment);
        let request = Request {
            command: command.map(<[u8]>::to_vec),
            environment,
            terminal: pending.terminal,
        };
        let stop = self.stop.clone();
        match inside {
            Inside::Scripted(_) => {
                tokio::spawn(exec::pretend(request, pending.channel, handle));
            }
            Inside::Namespaces(holder) => {
                tokio::spawn(exec::run(request, holder, pending.channel, handle, stop));
            }
        }
        Ok(())
    }
}

type Outcome = Result<(), russh::Error>;

fn verdict(accepted: bool) -> Result<Auth, russh::Error> {
    Ok(if accepted {
        Auth::Accept
    } else {
        Auth::reject()
    })
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, russh::Error> {
        verdict(USERS.contains(&user) && self.machine.accepts_password(password))
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, russh::Error> {
        verdict(USERS.contains(&user) && self.machine.authorizes(offer.public_key).await)
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, russh::Error> {
        verdict(USERS.contains(&user) && self.machine.authorizes(key.public_key).await)
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, russh::Error> {
        let Some(mut response) = response else {
            return Ok(Auth::Partial {
                name: Cow::Borrowed(""),
                instructions: Cow::Borrowed(""),
                prompts: Cow::Borrowed(&[(Cow::Borrowed("Password: "), false)]),
            });
        };
        let answer = response.next().unwrap_or_default();
        let accepted = std::str::from_utf8(&answer)
            .is_ok_and(|password| self.machine.accepts_password(password));
        verdict(USERS.contains(&user) && accepted)
    }

    async fn auth_succeeded(&mut self, _session: &mut Session) -> Outcome {
        tracing::debug!(instance = self.machine.instance_id(), peer = %self.peer, "logged in");
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Outcome {
        let pending = Pending {
            channel,
            environment: Vec::new(),
            terminal: None,
        };
        self.pending.insert(pending.channel.id(), pending);
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _session: &mut Session) -> Outcome {
        self.pending.remove(&channel);
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        term: &str,
        col_width: u32,
        row_height: u32,
        _pix_width: u32,
        _pix_height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Outcome {
        let Some(pending) = self.pending.get_mut(&channel) else {
            return session.channel_failure(channel);
        };
        pending.terminal = Some(Terminal {
            name: term.to_owned(),
            columns: col_width,
            rows: row_height,
        });
        session.channel_success(channel)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Outcome {
        let accepted = name == "LANG" || name.starts_with("LC_");
        match self.pending.get_mut(&channel).filter(|_| accepted) {
            Some(pending) => {
                pending
                    .environment
                    .push((name.to_owned(), value.to_owned()));
                session.channel_success(channel)
            }
            None => session.channel_failure(channel),
        }
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Outcome {
        self.start(channel, None, session)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Outcome {
        self.start(channel, Some(data), session)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Outcome {
        let view = self
            .machine
            .inside()
            .and_then(|(inside, _)| inside.view().ok());
        match (view, self.pending.remove(&channel)) {
            (Some(view), Some(pending)) if name == "sftp" => {
                session.channel_success(channel)?;
                tokio::spawn(sftp::serve(
                    view,
                    pending.channel,
                    session.handle(),
                    self.stop.clone(),
                ));
                Ok(())
            }
            _ => session.channel_failure(channel),
        }
    }
}
