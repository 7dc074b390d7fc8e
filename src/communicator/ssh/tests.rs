//! The communicator against a server in this process, which does what OpenSSH
//! cannot be told to do.

use std::borrow::Cow;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;

use russh::keys::{Algorithm, PrivateKey};
use russh::server::{self, Auth, ChannelOpenHandle, Response, Session as ServerSession};
use russh::{ChannelId, Disconnect, MethodKind, MethodSet, Sig};
use tokio::net::{TcpListener, TcpStream};

use super::tests_support::options;
use super::*;
use crate::clock::Clock;
use crate::engine::event::{Event, EventKind, Reporter, Stream};
use crate::error::one_line;
use crate::secret::Secret;
use crate::template::source::Spanned;

/// How the server treats those who come.
#[derive(Clone)]
struct Rules {
    host_key: PrivateKey,
    methods: &'static [MethodKind],
    sessions: bool,
}

impl Rules {
    fn new(methods: &'static [MethodKind]) -> Self {
        Self {
            host_key: PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap(),
            methods,
            sessions: true,
        }
    }

    fn config(&self) -> Arc<server::Config> {
        Arc::new(server::Config {
            keys: vec![self.host_key.clone()],
            methods: MethodSet::from(self.methods),
            auth_rejection_time: Duration::ZERO,
            ..server::Config::default()
        })
    }
}

/// One client's server. The password is `right`, and so are both answers.
struct Guest {
    rules: Rules,
}

impl server::Handler for Guest {
    type Error = russh::Error;

    async fn auth_password(&mut self, _user: &str, password: &str) -> Result<Auth, russh::Error> {
        Ok(if password == "right" {
            Auth::Accept
        } else {
            Auth::reject()
        })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, russh::Error> {
        let Some(answers) = response else {
            return Ok(Auth::Partial {
                name: Cow::Borrowed(""),
                instructions: Cow::Borrowed(""),
                prompts: Cow::Borrowed(&[
                    (Cow::Borrowed("Password: "), false),
                    (Cow::Borrowed("Again: "), false),
                ]),
            });
        };
        let answers: Vec<_> = answers.collect();
        let right = answers.len() == 2 && answers.iter().all(|answer| &answer[..] == b"right");
        Ok(if right { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<server::Msg>,
        reply: ChannelOpenHandle,
        _session: &mut ServerSession,
    ) -> Result<(), russh::Error> {
        if self.rules.sessions {
            reply.accept().await;
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut ServerSession,
    ) -> Result<(), russh::Error> {
        let refused = command == b"refuse\n";
        if refused {
            session.channel_failure(channel)?;
            return session.close(channel);
        }
        session.channel_success(channel)?;
        match command {
            b"exit 3\n" => session.exit_status_request(channel, 3)?,
            b"killed\n" => signalled(session, channel, Sig::KILL)?,
            b"bus\n" => signalled(session, channel, Sig::Custom("BUS".to_owned()))?,
            b"vanish\n" => {
                session.data(channel, "partial")?;
                return session.disconnect(Disconnect::ByApplication, "", "");
            }
            _ => {}
        }
        session.close(channel)
    }
}

fn signalled(
    session: &mut ServerSession,
    channel: ChannelId,
    signal: Sig,
) -> Result<(), russh::Error> {
    session.exit_signal_request(channel, signal, false, "", "")
}

/// A port on which each connection meets the next of the rules; the last ones
/// stay.
struct Server {
    port: u16,
    met: Arc<AtomicU32>,
}

impl Server {
    async fn start(rules: Vec<Rule>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let met = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&met);
        tokio::spawn(async move {
            let mut held = Vec::new();
            for number in 0.. {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                count.fetch_add(1, Ordering::Relaxed);
                match &rules[usize::min(number, rules.len() - 1)] {
                    Rule::Serve(rules) => serve(Rules::clone(rules), stream),
                    Rule::BeSilent => held.push(stream),
                    Rule::HangUp => drop(stream),
                }
            }
        });
        Self { port, met }
    }

    fn target(&self) -> Target {
        target(self.port)
    }
}

enum Rule {
    Serve(Box<Rules>),
    BeSilent,
    HangUp,
}

impl Rule {
    fn serve(rules: Rules) -> Self {
        Self::Serve(Box::new(rules))
    }
}

fn serve(rules: Rules, stream: TcpStream) {
    tokio::spawn(async move {
        let guest = Guest {
            rules: rules.clone(),
        };
        if let Ok(session) = server::run_stream(rules.config(), stream, guest).await {
            let _ = session.await;
        }
    });
}

fn target(port: u16) -> Target {
    Target {
        host: "127.0.0.1".to_owned(),
        port,
    }
}

const PASSWORD: &[MethodKind] = &[MethodKind::Password];

fn password(password: &str) -> Options {
    Options {
        password: Some(Secret::new(password)),
        ..options("user")
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Reporter for Log {
    fn on(&mut self, event: &Event) {
        if let EventKind::Say(text) | EventKind::Message(text) = &event.kind {
            self.0.lock().unwrap().push(text.clone());
        }
    }
}

/// Nominal seconds are hundredths: what waits on the clock is quick.
fn stop() -> Stop {
    Stop::new(Clock::scaled(0.01))
}

async fn connect(options: &Options, target: Target) -> Result<Ssh> {
    let events = Events::new(Log::default());
    // The clock runs at its real speed where a server must answer in time.
    let stop = Stop::new(Clock::default());
    Ssh::connect(options, target, None, None, &events, &stop).await
}

async fn fail(options: &Options, target: Target) -> Error {
    let events = Events::new(Log::default());
    let result = Ssh::connect(options, target, None, None, &events, &stop()).await;
    result.err().expect("the connection must fail")
}

#[derive(Default)]
struct Lines(Vec<(Stream, String)>);

impl Output for Lines {
    fn line(&mut self, stream: Stream, line: &[u8]) {
        self.0
            .push((stream, String::from_utf8(line.to_vec()).unwrap()));
    }
}

async fn run(ssh: &Ssh, command: &str) -> Result<ExitStatus> {
    ssh.exec(command, &mut Lines::default()).await
}

#[tokio::test]
async fn a_password_logs_in() {
    let server = Server::start(vec![Rule::serve(Rules::new(PASSWORD))]).await;
    let ssh = connect(&password("right"), server.target()).await.unwrap();
    assert_eq!(run(&ssh, "exit 3").await.unwrap(), ExitStatus::Code(3));
}

#[tokio::test]
async fn a_password_answers_questions() {
    let rules = Rules::new(&[MethodKind::KeyboardInteractive]);
    let server = Server::start(vec![Rule::serve(rules)]).await;
    let ssh = connect(&password("right"), server.target()).await.unwrap();
    assert_eq!(run(&ssh, "exit 3").await.unwrap(), ExitStatus::Code(3));
}

#[tokio::test]
async fn refusals_end_at_the_allowed_number() {
    let server = Server::start(vec![Rule::serve(Rules::new(PASSWORD))]).await;
    let options = Options {
        timeout: None,
        handshake_attempts: 3,
        ..password("wrong")
    };
    let error = fail(&options, server.target()).await;
    assert_eq!(error.kind(), Kind::Connect);
    let text = one_line(&error);
    assert!(text.contains("refused the login 3 times"), "{text}");
    assert!(
        text.contains("tried: password; the server takes: nothing more"),
        "{text}"
    );
    assert!(!text.contains("wrong"), "{text}");
    assert_eq!(server.met.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn commands_end_in_many_ways() {
    let server = Server::start(vec![Rule::serve(Rules::new(PASSWORD))]).await;
    let ssh = connect(&password("right"), server.target()).await.unwrap();
    for (command, want) in [
        ("exit 3", ExitStatus::Code(3)),
        ("killed", ExitStatus::Code(137)),
        ("bus", ExitStatus::Code(135)),
        ("no status", ExitStatus::Disconnected),
    ] {
        assert_eq!(run(&ssh, command).await.unwrap(), want, "{command}");
    }
    let error = run(&ssh, "refuse").await.unwrap_err();
    assert!(error.message().contains("refused to run"), "{error:?}");
    assert_eq!(server.met.load(Ordering::Relaxed), 1);
    let mut lines = Lines::default();
    let status = ssh.exec("vanish", &mut lines).await.unwrap();
    assert_eq!(status, ExitStatus::Disconnected);
    assert_eq!(lines.0, [(Stream::Stdout, "partial".to_owned())]);
    assert_eq!(run(&ssh, "exit 3").await.unwrap(), ExitStatus::Code(3));
    assert_eq!(server.met.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_changed_host_key_ends_the_build() {
    let (first, second) = (Rules::new(PASSWORD), Rules::new(PASSWORD));
    let server = Server::start(vec![Rule::serve(first), Rule::serve(second)]).await;
    let ssh = connect(&password("right"), server.target()).await.unwrap();
    run(&ssh, "vanish").await.unwrap();
    let error = run(&ssh, "exit 3").await.unwrap_err();
    assert!(
        error.message().contains("changed within this build"),
        "{error:?}"
    );
}

#[tokio::test]
async fn host_keys_may_change_until_a_login_succeeds() {
    // The first boot: sshd runs with the image's keys and no user, then anew.
    let early = Rules::new(&[MethodKind::PublicKey]);
    let server = Server::start(vec![Rule::serve(early), Rule::serve(Rules::new(PASSWORD))]).await;
    let mut options = password("right");
    let key = tempfile::NamedTempFile::new().unwrap();
    let pair = KeyPair::generate(crate::plan::communicator::KeyType::Ed25519).unwrap();
    std::fs::write(key.path(), pair.private.expose()).unwrap();
    options.private_key_file = Some(Spanned::default_value(key.path().to_owned()));
    let ssh = connect(&options, server.target()).await.unwrap();
    assert_eq!(run(&ssh, "exit 3").await.unwrap(), ExitStatus::Code(3));
    assert_eq!(server.met.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn silent_and_broken_servers_are_left_for_the_next_attempt() {
    let server = Server::start(vec![
        Rule::HangUp,
        Rule::BeSilent,
        Rule::serve(Rules::new(PASSWORD)),
    ])
    .await;
    let ssh = connect(&password("right"), server.target()).await.unwrap();
    assert_eq!(run(&ssh, "exit 3").await.unwrap(), ExitStatus::Code(3));
    assert_eq!(server.met.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_timeout_says_what_was_seen_last() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let silent = Server::start(vec![Rule::BeSilent]).await;
    let refusing = Server::start(vec![Rule::serve(Rules::new(PASSWORD))]).await;
    for (port, want, hint) in [
        (closed, "refused", "ssh_port"),
        (silent.port, "no SSH server answered", "booting"),
        (refusing.port, "refused to log in", "ssh_username"),
    ] {
        let options = Options {
            timeout: Some(Duration::from_secs(200)),
            ..password("wrong")
        };
        let error = fail(&options, target(port)).await;
        assert_eq!(error.kind(), Kind::Timeout);
        let text = one_line(&error);
        assert!(
            text.starts_with("Timeout waiting for SSH at 127.0.0.1:"),
            "{text}"
        );
        assert!(text.contains(want), "{text}");
        assert!(error.hints()[0].contains(hint), "{error:?}");
    }
}

#[tokio::test]
async fn what_cannot_succeed_fails_at_once() {
    let nowhere = Target {
        host: String::new(),
        port: 22,
    };
    let error = fail(&password("right"), nowhere).await;
    assert!(error.message().contains("no address"), "{error:?}");
    let options = Options {
        agent_auth: true,
        ..password("right")
    };
    let error = fail(&options, target(1)).await;
    assert!(error.hints()[0].contains("SSH_AUTH_SOCK"), "{error:?}");
}

#[tokio::test]
async fn a_stopped_build_stops_waiting() {
    let silent = Server::start(vec![Rule::BeSilent]).await;
    let (events, stop) = (Events::new(Log::default()), Stop::new(Clock::default()));
    let options = password("right");
    let waiting = Ssh::connect(&options, silent.target(), None, None, &events, &stop);
    let stopping = async { stop.stop() };
    let (result, ()) = tokio::join!(waiting, stopping);
    assert_eq!(result.err().unwrap().kind(), Kind::Cancelled);
}

#[tokio::test]
async fn a_pause_is_followed_by_another_connection() {
    let server = Server::start(vec![Rule::serve(Rules::new(PASSWORD))]).await;
    let options = Options {
        timeout: Some(Duration::from_secs(6000)),
        pause_before_connecting: Duration::from_secs(10),
        ..password("right")
    };
    let log = Log::default();
    let events = Events::new(log.clone());
    let ssh = Ssh::connect(&options, server.target(), None, None, &events, &stop()).await;
    assert_eq!(
        run(&ssh.unwrap(), "exit 3").await.unwrap(),
        ExitStatus::Code(3)
    );
    assert_eq!(server.met.load(Ordering::Relaxed), 2);
    let said = log.0.lock().unwrap().clone();
    assert_eq!(
        said[2..],
        ["Pausing 10s before connecting...", "Connected to SSH!"]
    );
}

#[tokio::test]
async fn a_server_without_sessions_is_not_taken_for_dead() {
    let rules = Rules {
        sessions: false,
        ..Rules::new(PASSWORD)
    };
    let server = Server::start(vec![Rule::serve(rules)]).await;
    let ssh = connect(&password("right"), server.target()).await.unwrap();
    let error = run(&ssh, "exit 3").await.unwrap_err();
    assert!(
        error.message().contains("refused to open a session"),
        "{error:?}"
    );
    assert_eq!(server.met.load(Ordering::Relaxed), 1);
}
