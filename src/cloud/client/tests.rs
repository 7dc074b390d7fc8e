//! The client against a scripted transport, in paused time.

mod refusals;
mod repeats;
mod requests;

use std::collections::{HashMap, VecDeque};

use async_trait::async_trait;

use super::*;
use crate::clock::Clock;
use crate::cloud::credential::Static;
use crate::cloud::transport::{SendFailure, Signed};
use crate::cloud::{Cloud, ecs, vpc};
use crate::error::one_line;
use crate::secret::Secret;

const REGION: &str = "cn-hangzhou";

/// What the transport does with one request.
enum Reply {
    Answer(HttpResponse),
    Lost,
    Unsent,
    /// Answers after this time.
    Late(Duration, HttpResponse),
    Never,
}

fn ok(body: &str) -> Reply {
    Reply::Answer(response(200, body))
}

fn response(status: u16, body: &str) -> HttpResponse {
    HttpResponse {
        status,
        body: body.to_owned().into(),
        ..HttpResponse::default()
    }
}

fn refusal(status: u16, code: &str) -> HttpResponse {
    let body = format!(r#"{{"Code":"{code}","Message":"No","RequestId":"r1"}}"#);
    response(status, &body)
}

fn refused(status: u16, code: &str) -> Reply {
    Reply::Answer(refusal(status, code))
}

/// A transport that plays a script and keeps what it was sent.
#[derive(Default)]
struct Script {
    replies: Mutex<VecDeque<Reply>>,
    sent: Mutex<Vec<Signed>>,
}

impl Script {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        Arc::new(Self {
            replies: Mutex::new(replies.into_iter().collect()),
            sent: Mutex::default(),
        })
    }

    fn sent(&self) -> Vec<Signed> {
        self.sent.lock().unwrap().clone()
    }

    /// The form of each request.
    fn forms(&self) -> Vec<HashMap<String, String>> {
        self.sent()
            .iter()
            .map(|signed| {
                url::form_urlencoded::parse(&signed.body)
                    .into_owned()
                    .collect()
            })
            .collect()
    }

    fn headers(&self, name: &str) -> Vec<String> {
        let of = |signed: &Signed| {
            let header = signed.headers.iter().find(|(known, _)| *known == name);
            header.unwrap().1.clone()
        };
        self.sent().iter().map(of).collect()
    }
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: Signed) -> Result<HttpResponse, SendFailure> {
        let failure = |unsent| SendFailure {
            unsent,
            host: request.url.host_str().unwrap().to_owned(),
            source: "connection reset".into(),
        };
        let reply = self.replies.lock().unwrap().pop_front();
        self.sent.lock().unwrap().push(request.clone());
        match reply.expect("the script has no more replies") {
            Reply::Answer(response) => Ok(response),
            Reply::Lost => Err(failure(false)),
            Reply::Unsent => Err(failure(true)),
            Reply::Late(wait, response) => {
                tokio::time::sleep(wait).await;
                Ok(response)
            }
            Reply::Never => std::future::pending().await,
        }
    }
}

fn config(script: &Arc<Script>) -> CloudConfig {
    let keys = Static::new(
        "id",
        Secret::new("keysecret"),
        Some(Secret::new("sts-token")),
    );
    CloudConfig {
        credentials: Arc::new(keys),
        endpoints: Endpoints::default(),
        signature: SignatureAlgorithm::default(),
        transport: Arc::clone(script) as Arc<dyn Transport>,
    }
}

fn cloud(script: &Arc<Script>) -> Cloud {
    Cloud::new(config(script))
}

fn stop() -> Stop {
    Stop::new(Clock::default())
}

async fn describe(script: &Arc<Script>) -> Result<ecs::DescribeRegionsResponse> {
    let request = ecs::DescribeRegions::default();
    cloud(script).call(REGION, &request, &stop()).await
}

/// As `Cloud::create` does it.
async fn create<R: Action>(script: &Arc<Script>, request: &R, stop: &Stop) -> Result<R::Response> {
    let token = (R::REPEAT == Repeat::WithClientToken).then_some("token-1");
    Client::new(config(script))
        .send(REGION, request, token, true, stop)
        .await
}

#[test]
fn the_futures_can_run_on_any_thread() {
    fn movable<T: Send>(_: T) {}
    let (script, stop) = (Script::new([]), stop());
    let cloud = cloud(&script);
    let request = ecs::DescribeRegions::default();
    movable(cloud.call(REGION, &request, &stop));
    let probe = async || {
        cloud.call(REGION, &request, &stop).await?;
        Ok(crate::cloud::wait::Poll::Ready(()))
    };
    let pace = crate::cloud::wait::Pace::VPC;
    movable(crate::cloud::wait::until(
        &stop,
        Duration::MAX,
        pace,
        "",
        probe,
    ));
}
