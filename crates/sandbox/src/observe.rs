//! Observation over HTTP, for clients in other processes:
//! `GET /_sandbox/{alive,calls,report,images}`,
//! `POST /_sandbox/{faults,state-faults,seed,reset-report,advance}`.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::alive::alive;
use crate::calls::Call;
use crate::faults::{Fault, StateFault};
use crate::seed::{Seed, SeedItem};
use crate::server::plain;
use crate::world::Shared;

pub(crate) fn answer(shared: &Shared, method: &Method, path: &str, body: &[u8]) -> Response {
    let found = match (method, path) {
        (&Method::GET, "alive") => Ok(json!(alive(&shared.world().0.cloud))),
        (&Method::GET, "calls") => Ok(calls(shared)),
        (&Method::GET, "report") => Ok(json!(shared.world().0.report())),
        (&Method::GET, "images") => {
            let (world, now) = shared.world();
            Ok(json!(world.images_json(now)))
        }
        (&Method::POST, "faults") => parse::<Fault>(body).map(|fault| {
            shared.world().0.faults.plan(fault);
            json!({})
        }),
        (&Method::POST, "state-faults") => parse::<StateFault>(body).map(|fault| {
            shared.world().0.faults.plan_state(fault);
            json!({})
        }),
        (&Method::POST, "seed") => parse::<Vec<SeedItem>>(body).map(|items| {
            let seed = Seed::new(shared);
            items.iter().for_each(|item| item.place(&seed));
            json!({})
        }),
        (&Method::POST, "reset-report") => {
            shared.world().0.reset_report();
            Ok(json!({}))
        }
        (&Method::POST, "advance") => parse::<f64>(body).and_then(|seconds| {
            let by = Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string())?;
            shared.clock.advance(by);
            shared.notify();
            Ok(json!({}))
        }),
        _ => return plain(StatusCode::NOT_FOUND, "no such path"),
    };
    match found {
        Ok(value) => json_response(StatusCode::OK, &value),
        Err(why) => json_response(StatusCode::BAD_REQUEST, &json!({"error": why})),
    }
}

fn calls(shared: &Shared) -> Value {
    let calls = shared.world().0.calls.clone();
    let calls: Vec<Call> = calls.into_iter().map(Call::redacted).collect();
    json!(calls)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn json_response(status: StatusCode, value: &Value) -> Response {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(value.to_string()))
        .expect("status and headers are valid")
}
