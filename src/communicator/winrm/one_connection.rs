//! Keeps an HTTP client on the one connection it opened first.
//!
//! NTLM logs a connection in, not a request, but HTTP clients choose a
//! connection for each request: when the last one is not back in the pool yet
//! they open another, on which nobody is logged in. With this layer they wait
//! for the one they have; when that is gone, requests fail to connect.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tower_layer::Layer;
use tower_service::Service;

/// How long a request waits for the connection to come back to the pool. That
/// takes microseconds; what takes longer is a connection that is gone.
const PATIENCE: Duration = Duration::from_secs(2);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Lets one connection be opened.
#[derive(Debug, Clone, Default)]
pub(super) struct OneConnection {
    is_opened: Arc<AtomicBool>,
}

impl<S> Layer<S> for OneConnection {
    type Service = Connector<S>;

    fn layer(&self, inner: S) -> Connector<S> {
        Connector {
            inner,
            is_opened: Arc::clone(&self.is_opened),
        }
    }
}

/// Opens the connection.
#[derive(Debug, Clone)]
pub(super) struct Connector<S> {
    inner: S,
    is_opened: Arc<AtomicBool>,
}

impl<S, R> Service<R> for Connector<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
    S::Response: 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, target: R) -> Self::Future {
        if self.is_opened.swap(true, Ordering::AcqRel) {
            return Box::pin(async {
                tokio::time::sleep(PATIENCE).await;
                Err("the connection that was logged in is gone".into())
            });
        }
        Box::pin(self.inner.call(target))
    }
}
