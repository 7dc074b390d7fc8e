//! Waiting for a machine to let us in.
//!
//! Packer tries every five seconds and allows a minute for a handshake that
//! never comes. Here the first attempt is made at once, a silent peer is left
//! after two seconds (more each time), and the next attempt follows within
//! half a second. Limits (`ssh_timeout`, `ssh_handshake_attempts`) mean what they mean
//! in Packer.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use russh::client::{self, Handle};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::Target;
use super::algorithm::client_config;
use super::authenticate::{Login, authenticate};
use super::failure::{Failure, Seen};
use super::host_key::HostKey;
use super::key::KeyPair;
use super::known_hosts::KnownHosts;
use super::session::{Client, Connection, Fault, Services};
use super::transport::{self, Stream, Transport};
use crate::clock::Clock;
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result};
use crate::plan::communicator::{Bastion, Ssh};

/// Nominal limits and pauses of one attempt.
const FIRST_ANSWER: Duration = Duration::from_secs(2);
const LAST_ANSWER: Duration = Duration::from_secs(15);

/// After how many attempts a silent server is given twice the time. What
/// listens on this machine is QEMU's forwarding, as a rule: it takes
/// connections long before its guest does and lets them hang, and a new
/// attempt gets through to a guest that is up where an old one does not.
const PATIENT_AFTER: u32 = 4;
const PATIENT_AFTER_HERE: u32 = 16;
const LOGIN: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_millis(500);
const FIRST_PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// OpenSSH 9.8 and later lock an address out when logins fail faster than
/// one in five seconds (`PerSourcePenalties authfail:5s`).
const LAST_PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(5);

/// A scaled clock does not make networks and processors faster: limits of one
/// attempt never go below these in real time.
const SHORTEST_ANSWER: Duration = Duration::from_millis(500);
const SHORTEST_LOGIN: Duration = Duration::from_secs(20);

/// Makes connections to one machine, the same way each time.
pub(super) struct Connector {
    options: Ssh,
    target: Target,
    login: Login,
    host_key: Arc<HostKey>,
    services: Services,
    bastion: Option<Jump>,
    clock: Clock,
}

/// The bastion, and the connection to it that attempts share.
struct Jump {
    host: String,
    port: u16,
    login: Login,
    host_key: Arc<HostKey>,
    connection: Mutex<Option<Arc<Connection>>>,
}

impl Connector {
    /// Reads the keys and files that the options name.
    pub(super) fn new(
        options: &Ssh,
        target: Target,
        generated_key: Option<&KeyPair>,
        agent_socket: Option<PathBuf>,
        clock: Clock,
    ) -> Result<Self> {
        if target.host.is_empty() {
            let message = "There is no address to connect to by SSH";
            return Err(Error::new(Kind::Connect, message).with_hint(
                "The instance needs an address this machine can reach, or set ssh_host",
            ));
        }
        let known_hosts = known_hosts(options)?;
        let bastion = options
            .bastion
            .as_ref()
            .map(|bastion| Jump::new(bastion, known_hosts.clone(), agent_socket.as_deref()));
        Ok(Self {
            login: Login::new(options, generated_key, agent_socket.as_deref())?,
            host_key: Arc::new(HostKey::new(&target.host, target.port, known_hosts)),
            services: Services {
                remote_tunnels: options.remote_tunnels.clone(),
                agent_socket: agent_socket.filter(|_| !options.disable_agent_forwarding),
            },
            bastion: bastion.transpose()?,
            options: options.clone(),
            target,
            clock,
        })
    }

    /// The machine.
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Whether an agent is lent to the machine.
    pub(super) fn lends_agent(&self) -> bool {
        self.services.agent_socket.is_some()
    }

    /// Tries until the machine lets us in or a limit is reached.
    pub(super) async fn wait(&self, stop: &Stop) -> Result<Connection> {
        let mut progress = Progress::new(&self.target.host);
        let Some(limit) = self.options.timeout else {
            return stop.race(Box::pin(self.persist(&mut progress))).await?;
        };
        // A handshake is a large future; whoever waits shall not grow with it.
        let attempts = Box::pin(self.persist(&mut progress));
        let attempts = self.clock.timeout(limit, attempts);
        match stop.race(attempts).await? {
            Some(result) => result,
            None => Err(self.timed_out(limit, progress)),
        }
    }

    async fn persist(&self, progress: &mut Progress) -> Result<Connection> {
        loop {
            match self.attempt(progress.patience()).await {
                Ok(connection) => return Ok(connection),
                Err(Failure::Fatal(error)) => return Err(error),
                Err(Failure::NotReady(seen)) => progress.not_ready(seen),
                Err(Failure::Refused(seen)) => progress.refused(seen),
            }
            let allowed = self.options.handshake_attempts;
            if allowed > 0 && progress.refusals >= allowed {
                return Err(self.too_many(progress));
            }
            self.clock.sleep(progress.pause()).await;
        }
    }

    fn timed_out(&self, limit: Duration, progress: Progress) -> Error {
        let Target { host, port } = &self.target;
        let message = format!("Timeout waiting for SSH at {host}:{port} after {limit:?}");
        let last = progress.last.unwrap_or_else(|| Seen::no_answer(*port));
        Error::new(Kind::Timeout, message).with_source(Error::from(last))
    }

    fn too_many(&self, progress: &mut Progress) -> Error {
        let Target { host, port } = &self.target;
        let (count, times) = match progress.refusals {
            1 => (1, "time"),
            count => (count, "times"),
        };
        let message = format!("SSH at {host}:{port} refused the login {count} {times}");
        let error = Error::new(Kind::Connect, message);
        match progress.last.take() {
            Some(last) => error.with_source(Error::from(last)),
            None => error,
        }
    }

    /// One attempt: stream, handshake, login, tunnels.
    async fn attempt(&self, patience: Duration) -> Result<Connection, Failure> {
        let Target { host, port } = &self.target;
        let (stream, bastion) = self.stream(patience).await?;
        let shake = Handshake {
            options: &self.options,
            host_key: &self.host_key,
            services: &self.services,
            login: &self.login,
            clock: self.clock,
            patience,
        };
        let connection = shake.run(stream, bastion).await?;
        self.listen_remote(&connection).await.map_err(|error| {
            Failure::Fatal(error.context(format!("Could not set up {host}:{port}")))
        })?;
        Ok(connection)
    }

    async fn listen_remote(&self, connection: &Connection) -> Result<()> {
        for tunnel in &self.services.remote_tunnels {
            let port = u32::from(tunnel.listen_port);
            let listening = connection.handle().tcpip_forward("localhost", port);
            listening.await.map_err(|error| {
                let message = format!("The machine does not listen on port {port} for a tunnel");
                Error::new(Kind::Connect, message)
                    .with_source(error)
                    .with_hint(
                        "The server must have AllowTcpForwarding on, and the port must be free",
                    )
            })?;
        }
        Ok(())
    }

    /// A stream to the machine's port, and the bastion it runs through.
    async fn stream(
        &self,
        patience: Duration,
    ) -> Result<(Box<dyn Stream>, Option<Arc<Connection>>), Failure> {
        let Target { host, port } = &self.target;
        if let Some(jump) = &self.bastion {
            let bastion = jump.connect(&self.options, self.clock, patience).await?;
            let stream = jump.open(&bastion, &self.target, self.clock).await?;
            return Ok((stream, Some(bastion)));
        }
        let limit = self.clock.real(patience).max(SHORTEST_ANSWER);
        let dial = async {
            match &self.options.proxy {
                Some(proxy) => transport::through_proxy(proxy, host, *port).await,
                None => transport::direct(host, *port).await,
            }
        };
        Ok((Box::new(dialled(limit, *port, dial).await?), None))
    }
}

fn known_hosts(options: &Ssh) -> Result<Option<KnownHosts>> {
    let Some(file) = &options.known_hosts_file else {
        return Ok(None);
    };
    let known = KnownHosts::load(&file.value).map_err(|error| error.at(file.span))?;
    Ok(Some(known))
}

async fn dialled<T>(
    limit: Duration,
    port: u16,
    dial: impl Future<Output = std::io::Result<T>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, dial).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(Failure::NotReady(Seen::from_io(&error, port))),
        Err(_) => Err(Failure::NotReady(Seen::no_answer(port))),
    }
}

impl Jump {
    fn new(
        bastion: &Bastion,
        known_hosts: Option<KnownHosts>,
        agent_socket: Option<&std::path::Path>,
    ) -> Result<Self> {
        let (host, port) = (bastion.host.value.clone(), bastion.port);
        Ok(Self {
            login: Login::bastion(bastion, agent_socket)?,
            host_key: Arc::new(HostKey::new(&host, port, known_hosts)),
            host,
            port,
            connection: Mutex::default(),
        })
    }

    /// The connection to the bastion: the one there is, or a new one.
    async fn connect(
        &self,
        options: &Ssh,
        clock: Clock,
        patience: Duration,
    ) -> Result<Arc<Connection>, Failure> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = slot.as_ref().filter(|it| !it.is_lost()) {
            return Ok(Arc::clone(connection));
        }
        let limit = clock.real(patience).max(SHORTEST_ANSWER);
        let dial = transport::direct(&self.host, self.port);
        let shake = Handshake {
            options,
            host_key: &self.host_key,
            services: &Services::default(),
            login: &self.login,
            clock,
            patience,
        };
        let connected = async {
            let stream = dialled(limit, self.port, dial).await?;
            shake.run(Box::new(stream), None).await
        };
        let connection = Arc::new(connected.await.map_err(|it| self.at_bastion(it))?);
        *slot = Some(Arc::clone(&connection));
        Ok(connection)
    }

    fn at_bastion(&self, failure: Failure) -> Failure {
        let name = |seen: Seen| seen.at(&format!("bastion {}:{}", self.host, self.port));
        match failure {
            Failure::NotReady(seen) => Failure::NotReady(name(seen)),
            Failure::Refused(seen) => Failure::Refused(name(seen)),
            Failure::Fatal(error) => {
                Failure::Fatal(error.context(format!("Could not use the bastion {}", self.host)))
            }
        }
    }

    /// A stream from the bastion to the machine.
    async fn open(
        &self,
        bastion: &Connection,
        target: &Target,
        clock: Clock,
    ) -> Result<Box<dyn Stream>, Failure> {
        let port = u32::from(target.port);
        let opening =
            bastion
                .handle()
                .channel_open_direct_tcpip(target.host.as_str(), port, "127.0.0.1", 0);
        let limit = clock.real(LAST_ANSWER).max(SHORTEST_LOGIN);
        let why = match tokio::time::timeout(limit, opening).await {
            Ok(Ok(channel)) => return Ok(Box::new(channel.into_stream())),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        Err(Failure::NotReady(Seen::new(
            format!("the bastion {} cannot reach the machine: {why}", self.host),
            "The security group must let the bastion reach the machine's SSH port, and the bastion must allow TCP forwarding",
        )))
    }
}

/// What a handshake needs besides a stream.
struct Handshake<'a> {
    options: &'a Ssh,
    host_key: &'a Arc<HostKey>,
    services: &'a Services,
    login: &'a Login,
    clock: Clock,
    patience: Duration,
}

impl Handshake<'_> {
    async fn run(
        &self,
        stream: Box<dyn Stream>,
        bastion: Option<Arc<Connection>>,
    ) -> Result<Connection, Failure> {
        let config = client_config(self.options, &self.host_key.algorithms(), self.clock);
        let config = Arc::new(config.map_err(Failure::Fatal)?);
        let (client, seen, lost) = Client::new(Arc::clone(self.host_key), self.services.clone());
        let cut = CancellationToken::new();
        let guard = cut.clone().drop_guard();
        let limit = self.clock.real(LOGIN).max(SHORTEST_LOGIN);
        let login = async {
            let mut handle = self.exchange_keys(config, stream, client, cut).await?;
            authenticate(&mut handle, self.login).await?;
            Ok(handle)
        };
        let handle = tokio::time::timeout(limit, login)
            .await
            .unwrap_or_else(|_| Err(slow_login()))?;
        let key = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(key) = key {
            self.host_key.pin(key);
        }
        Ok(Connection::new(handle, lost, guard, bastion))
    }

    async fn exchange_keys(
        &self,
        config: Arc<client::Config>,
        stream: Box<dyn Stream>,
        client: Client,
        cut: CancellationToken,
    ) -> Result<Handle<Client>, Failure> {
        let (transport, first_byte) = Transport::new(stream, cut);
        let limit = self.clock.real(self.patience).max(SHORTEST_ANSWER);
        let silence = async {
            if tokio::time::timeout(limit, first_byte).await.is_ok() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            result = client::connect_stream(config, transport, client) => {
                result.map_err(handshake_failed)
            }
            () = silence => Err(Failure::NotReady(Seen::no_banner())),
        }
    }
}

fn slow_login() -> Failure {
    Failure::NotReady(Seen::new(
        "the login took too long",
        "The machine may be overloaded, or a name server it asks does not answer (UseDNS)",
    ))
}

fn handshake_failed(fault: Fault) -> Failure {
    let error = match fault {
        Fault::HostKey(error) => return Failure::Fatal(error),
        Fault::Protocol(error) => error,
    };
    match error {
        russh::Error::NoCommonAlgo { theirs, .. } => Failure::Fatal(
            Error::new(
                Kind::Connect,
                format!(
                    "The SSH server takes no algorithm that we offer; it takes {}",
                    theirs.join(", ")
                ),
            )
            .with_hint(
                "Choose with ssh_ciphers and ssh_key_exchange_algorithms, or update the server",
            ),
        ),
        error => Failure::NotReady(Seen::new(
            format!("the SSH handshake failed: {error}"),
            "The machine may still be booting, or something other than sshd has the port",
        )),
    }
}

/// What happened so far.
#[derive(Debug)]
struct Progress {
    patient_after: u32,
    attempts: u32,
    refusals: u32,
    refused_last: bool,
    last: Option<Seen>,
}

impl Progress {
    fn new(host: &str) -> Self {
        let is_here = host
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback());
        Self {
            patient_after: if is_here {
                PATIENT_AFTER_HERE
            } else {
                PATIENT_AFTER
            },
            attempts: 0,
            refusals: 0,
            refused_last: false,
            last: None,
        }
    }

    fn not_ready(&mut self, seen: Seen) {
        self.attempts = self.attempts.saturating_add(1);
        self.refused_last = false;
        tracing::debug!("SSH is not ready: {seen}");
        // A refused login says more than the time-out of the attempt after it.
        if self.refusals == 0 {
            self.last = Some(seen);
        }
    }

    fn refused(&mut self, seen: Seen) {
        self.refusals = self.refusals.saturating_add(1);
        self.refused_last = true;
        tracing::debug!("SSH login {} refused: {seen}", self.refusals);
        self.last = Some(seen);
    }

    /// How long the next attempt waits for the first sign of a server.
    fn patience(&self) -> Duration {
        (FIRST_ANSWER * 2_u32.pow((self.attempts / self.patient_after).min(3))).min(LAST_ANSWER)
    }

    fn pause(&self) -> Duration {
        if self.refused_last {
            let grown = FIRST_PAUSE_AFTER_REFUSAL * 2_u32.pow((self.refusals - 1).min(3));
            return grown.min(LAST_PAUSE_AFTER_REFUSAL);
        }
        let grown = FIRST_PAUSE * 2_u32.pow(self.attempts.saturating_sub(1).min(1));
        grown.min(LAST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Seen {
        Seen::new(text, "hint")
    }

    #[test]
    fn pauses_grow_to_their_limits() {
        let mut progress = Progress::new("10.0.0.1");
        let pauses: Vec<_> = (0..4)
            .map(|_| {
                progress.not_ready(seen("no"));
                progress.pause().as_millis()
            })
            .collect();
        assert_eq!(pauses, [250, 500, 500, 500]);
        let pauses: Vec<_> = (0..5)
            .map(|_| {
                progress.refused(seen("refused"));
                progress.pause().as_secs()
            })
            .collect();
        assert_eq!(pauses, [1, 2, 4, 5, 5]);
        progress.not_ready(seen("no"));
        assert_eq!(progress.pause(), LAST_PAUSE);
        assert_eq!(progress.last, Some(seen("refused")));
    }

    #[test]
    fn patience_grows_to_its_limit() {
        for (host, attempts) in [("10.0.0.1", 4), ("127.0.0.1", 16)] {
            let mut progress = Progress::new(host);
            let mut limits = Vec::new();
            for _ in 0..5 {
                limits.push(progress.patience().as_secs());
                progress.attempts += attempts;
            }
            assert_eq!(limits, [2, 4, 8, 15, 15]);
        }
    }
}
