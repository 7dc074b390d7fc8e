//! The HTTP side: one address for all products, and the observation paths
//! under `/_sandbox/`.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll};

use axum::body::Body;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, State};
use axum::handler::Handler;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::clock::http_date;
use crate::error::ApiError;
use crate::gateway::{self, Outcome};
use crate::instance_metadata;
use crate::observe;
use crate::oss;
use crate::request::Request;
use crate::world::Shared;
use crate::xml;

/// Larger bodies are refused: parameters only.
const BODY_LIMIT: usize = 1 << 20;

/// Serves until `stop` resolves.
pub(crate) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    stop: oneshot::Receiver<()>,
) -> io::Result<()> {
    let service = answer
        .with_state(shared)
        .into_make_service_with_connect_info::<Connection>();
    axum::serve(Breakable(listener), service)
        .with_graceful_shutdown(async {
            // Both a signal and a dropped sender stop the server.
            let _ = stop.await;
        })
        .await
}

/// The server's own time goes with every answer.
async fn answer(
    State(shared): State<Arc<Shared>>,
    connection: ConnectInfo<Connection>,
    request: axum::extract::Request,
) -> Response {
    let date = http_date(shared.clock.server_time());
    let mut response = route(State(shared), connection, request).await;
    let date = HeaderValue::from_str(&date).expect("a date is ASCII");
    response.headers_mut().insert(header::DATE, date);
    response
}

async fn route(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: axum::extract::Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if parts.method == Method::CONNECT {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "no tunnels");
    }
    if parts.uri.path().starts_with(instance_metadata::PREFIX) {
        return instance_metadata::answer(&shared, &parts).await;
    }
    let observed = parts.uri.path().starts_with("/_sandbox/");
    if !observed && oss::target::is_oss(&parts, &shared.oss.domains) {
        let answer = oss::answer(&shared, &parts, body).await;
        return answer.unwrap_or_else(|| connection.reset());
    }
    let Ok(body) = axum::body::to_bytes(body, BODY_LIMIT).await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "body too large");
    };
    if let Some(path) = parts.uri.path().strip_prefix("/_sandbox/") {
        return observe::answer(&shared, &parts.method, path, &body);
    }
    let request = Request::new(&parts, body);
    match gateway::call(&shared, &request).await {
        Outcome::Answer { result, request_id } => render(&request, result, &request_id),
        Outcome::Reset => connection.reset(),
    }
}

fn render(request: &Request, result: Result<Value, ApiError>, request_id: &str) -> Response {
    let action = request.action();
    let (status, root, mut body, retry_after) = match result {
        Ok(body) => (200, format!("{action}Response"), body, None),
        Err(error) => {
            let body = error.body(request_id, &request.host);
            (error.http, "Error".to_owned(), body, error.retry_after_ms)
        }
    };
    body["RequestId"] = json!(request_id);
    let (kind, text) = if request.wants_json() {
        ("application/json;charset=utf-8", body.to_string())
    } else {
        ("text/xml;charset=utf-8", xml::render(&root, &body))
    };
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, kind)
        .header("x-acs-request-id", request_id);
    if let Some(milliseconds) = retry_after {
        response = response.header("x-acs-retry-after", milliseconds.to_string());
    }
    response
        .body(Body::from(text))
        .expect("status and headers are valid")
}

/// A short text answer.
pub(crate) fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}

/// Accepts connections that a handler can break.
struct Breakable(TcpListener);

/// What a handler knows of its connection.
#[derive(Clone)]
struct Connection {
    broken: Arc<AtomicBool>,
}

impl Connection {
    /// Breaks the connection; the answer is never sent.
    fn reset(&self) -> Response {
        self.broken.store(true, Ordering::SeqCst);
        plain(StatusCode::INTERNAL_SERVER_ERROR, "reset")
    }
}

/// A stream that fails to write once it is broken, so that the client sees a
/// reset instead of an answer.
struct BreakableStream {
    stream: TcpStream,
    broken: Arc<AtomicBool>,
}

impl Listener for Breakable {
    type Io = BreakableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Answers are small; waiting to fill a segment only adds latency.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let broken = Arc::default();
        (BreakableStream { stream, broken }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Breakable>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Breakable>) -> Self {
        Self {
            broken: Arc::clone(&stream.io().broken),
        }
    }
}

impl BreakableStream {
    fn check(&self) -> io::Result<()> {
        if !self.broken.load(Ordering::SeqCst) {
            return Ok(());
        }
        // Closing without lingering sends a reset.
        self.stream.set_zero_linger()?;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for BreakableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for BreakableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
