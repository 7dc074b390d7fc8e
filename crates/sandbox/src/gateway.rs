//! The way of a call: planned faults, signature, parameters, policy, repeats,
//! dry runs, and at last the action itself. Everything is recorded.

use std::time::Duration;

use serde_json::Value;

use crate::api::{self, Capture, Context};
use crate::auth::Caller;
use crate::calls::Call;
use crate::catalogue::regions;
use crate::clock::Moment;
use crate::driver;
use crate::error::ApiError;
use crate::faults::Effect;
use crate::parameters::{self, ActionRule, Params};
use crate::request::Request;
use crate::world::{Shared, TokenUse, World};

/// How a call ends for the client.
pub(crate) enum Outcome {
    /// With an answer.
    Answer {
        result: Result<Value, ApiError>,
        request_id: String,
    },
    /// With a connection reset.
    Reset,
}

/// Longest accepted ClientToken.
const TOKEN_LENGTH: usize = 64;

/// Handles one call.
pub(crate) async fn call(shared: &std::sync::Arc<Shared>, request: &Request) -> Outcome {
    let at = shared.clock.now();
    let product = request.product().unwrap_or_default();
    let action = request.action();
    tokio::time::sleep(shared.latency).await;
    if action == "CreateKeyPair" {
        shared.keys.add().await;
    }
    let (fault, request_id) = {
        let (mut world, _) = shared.world();
        let request_id = world.cloud.new_request_id();
        (world.faults.hit(product, &action), request_id)
    };
    let (result, captures) = match &fault {
        Some(Effect::DropBefore | Effect::CutBody(_)) => {
            let dropped = ApiError::new(0, "Dropped", "");
            record(shared, request, at, &request_id, &Err(dropped));
            return Outcome::Reset;
        }
        Some(Effect::Error {
            http,
            code,
            message,
        }) => (Err(ApiError::new(*http, code, message)), Vec::new()),
        Some(Effect::ThrottleWithRetryAfter(after)) => (Err(throttled(*after)), Vec::new()),
        Some(Effect::Delay(delay)) => {
            tokio::time::sleep(*delay).await;
            execute(shared, request, &action)
        }
        Some(Effect::HoldBefore) => {
            shared.hold().await;
            execute(shared, request, &action)
        }
        Some(Effect::HoldAfter | Effect::DropAfter | Effect::CorruptBody) | None => {
            execute(shared, request, &action)
        }
    };
    capture_all(shared, captures).await;
    record(shared, request, at, &request_id, &result);
    driver::drive_new_instances(shared);
    shared.notify();
    match fault {
        Some(Effect::DropAfter) => return Outcome::Reset,
        Some(Effect::HoldAfter) => shared.hold().await,
        _ => {}
    }
    Outcome::Answer { result, request_id }
}

fn throttled(after: Duration) -> ApiError {
    let mut error = ApiError::gateway("Throttling.User");
    error.retry_after_ms = u64::try_from(after.as_millis()).ok();
    error
}

async fn capture_all(shared: &Shared, captures: Vec<Capture>) {
    for capture in captures {
        let disk = match driver::capture(capture.machine).await {
            Ok(disk) => disk,
            Err(error) => {
                tracing::error!(%error, "disk cannot be captured");
                continue;
            }
        };
        let (mut world, _) = shared.world();
        let cloud = &mut world.cloud;
        if let Some(image) = capture.image.and_then(|key| cloud.images.get_mut(&key)) {
            image.disk = Some(disk.clone());
        }
        let snapshot = capture.snapshot;
        if let Some(snapshot) = snapshot.and_then(|id| cloud.snapshots.get_mut(&id)) {
            snapshot.content = Some(disk);
        }
    }
}

type Executed = (Result<Value, ApiError>, Vec<Capture>);

fn execute(shared: &Shared, request: &Request, action: &str) -> Executed {
    let (mut world, now) = shared.world();
    let mut captures = Vec::new();
    let result = authorized(shared, &mut world, request, action, now, &mut captures);
    (result, captures)
}

fn authorized(
    shared: &Shared,
    world: &mut World,
    request: &Request,
    action: &str,
    now: Moment,
    captures: &mut Vec<Capture>,
) -> Result<Value, ApiError> {
    let (product, rule) = find_rule(request, action)?;
    let caller = match action {
        // The token in it is the proof.
        "AssumeRoleWithOIDC" => Caller::anonymous(),
        _ => world.authority.authenticate(request, now)?,
    };
    let params = Params::check(rule, action, &request.params)?;
    let region = region_of(request, &params)?;
    if action != "GetCallerIdentity" {
        // That one needs no permission.
        caller.authorize(&ram_action(product, action))?;
    }
    let token = params.get("ClientToken").filter(|_| rule.client_token);
    let token = token.map(str::to_owned);
    if token
        .as_ref()
        .is_some_and(|token| token.len() > TOKEN_LENGTH)
    {
        return Err(ApiError::invalid_parameter("ClientToken", "it is too long"));
    }
    let key = token.map(|token| (action.to_owned(), token));
    let repeated = key.as_ref().and_then(|key| world.tokens.get(key));
    if let Some(first) = repeated {
        return first.repeat(&params);
    }
    let given = params.as_map().clone();
    let dry_run = params.flag("DryRun");
    let prepared = Prepared {
        caller: &caller,
        rule,
        product,
        region,
        params,
        now,
    };
    if dry_run {
        return Err(prepared.try_out(shared, world, action));
    }
    let answer = prepared.run(shared, world, action, captures)?;
    if let Some(key) = key {
        let params = given;
        let answer = answer.clone();
        world.tokens.insert(key, TokenUse { params, answer });
    }
    Ok(answer)
}

impl TokenUse {
    fn repeat(&self, params: &Params) -> Result<Value, ApiError> {
        if *params.as_map() == self.params {
            return Ok(self.answer.clone());
        }
        Err(ApiError::gateway("IdempotentParameterMismatch"))
    }
}

/// A call that may run.
struct Prepared<'a> {
    caller: &'a Caller,
    rule: &'static ActionRule,
    product: &'static str,
    region: String,
    params: Params,
    now: Moment,
}

impl Prepared<'_> {
    fn run(
        self,
        shared: &Shared,
        world: &mut World,
        action: &str,
        captures: &mut Vec<Capture>,
    ) -> Result<Value, ApiError> {
        let mut context = Context {
            cloud: &mut world.cloud,
            faults: &mut world.faults,
            authority: &mut world.authority,
            clock: &shared.clock,
            keys: &shared.keys,
            caller: self.caller,
            rule: self.rule,
            product: self.product,
            region: self.region,
            params: self.params,
            now: self.now,
            captures: Vec::new(),
        };
        let answer = api::execute(&mut context, action);
        captures.append(&mut context.captures);
        answer
    }

    /// Runs on a copy of the state. A dry run that would succeed is answered
    /// as an error, as documented.
    fn try_out(self, shared: &Shared, world: &mut World, action: &str) -> ApiError {
        let code = self.rule.dry_run.as_deref().unwrap_or("DryRunOperation");
        let before = world.cloud.clone();
        let tried = self.run(shared, world, action, &mut Vec::new());
        world.cloud = before;
        let message = "Request validation has been passed with DryRun flag set.";
        tried
            .err()
            .unwrap_or_else(|| ApiError::new(400, code, message))
    }
}

fn find_rule(
    request: &Request,
    action: &str,
) -> Result<(&'static str, &'static ActionRule), ApiError> {
    if action.is_empty() {
        return Err(ApiError::missing_parameter("Action"));
    }
    let product = request
        .product()
        .ok_or_else(|| ApiError::gateway("InvalidVersion"))?;
    let rule = parameters::rule(product, action);
    let rule = rule.ok_or_else(|| ApiError::gateway("InvalidAction.NotFound"))?;
    debug_assert_eq!(rule.version, request.version());
    Ok((product, rule))
}

/// The RAM action a call needs: VPC actions stay VPC actions on ECS.
fn ram_action(product: &str, action: &str) -> String {
    let network = parameters::rule("Vpc", action).is_some() && !action.contains("Tag");
    let service = match product {
        "Ecs" if network => "vpc",
        "Ecs" => "ecs",
        "Vpc" => "vpc",
        "Ram" => "ram",
        _ => "sts",
    };
    format!("{service}:{action}")
}

const DEFAULT_REGION: &str = "cn-hangzhou";

/// The region of a call: its parameter, or that of the endpoint.
fn region_of(request: &Request, params: &Params) -> Result<String, ApiError> {
    let Some(region) = params.get("RegionId") else {
        let host = request.host.as_str();
        let mut known = regions().keys();
        let of_host =
            known.find(|id| host.contains(&format!(".{id}.")) || host.contains(&format!("-{id}.")));
        return Ok(of_host.map_or(DEFAULT_REGION, String::as_str).to_owned());
    };
    if !regions().contains_key(region) {
        return Err(ApiError::gateway("InvalidRegionId.NotFound"));
    }
    Ok(region.to_owned())
}

fn record(
    shared: &Shared,
    request: &Request,
    at: Moment,
    request_id: &str,
    result: &Result<Value, ApiError>,
) {
    let params = Params::unchecked(&request.params);
    let (mut world, now) = shared.world();
    if let Ok(answer) = result {
        let answer = answer.to_string();
        let named = params
            .as_map()
            .values()
            .cloned()
            .collect::<Vec<_>>()
            .join(" ");
        world.cloud.waits.observe(now, |wait| {
            named.contains(&wait.id) || answer.contains(&wait.id)
        });
    }
    let claimed = request.params.get("AccessKeyId").cloned();
    let header = request.headers.get("authorization");
    let claimed = claimed.or_else(|| {
        let parsed = crate::signature::Acs3Authorization::parse(header?)?;
        Some(parsed.access_key_id)
    });
    let region = region_of(request, &params).unwrap_or_default();
    world.calls.push(Call {
        at,
        product: request.product().unwrap_or_default().to_owned(),
        action: request.action(),
        region,
        params: params.as_map().clone(),
        code: result
            .as_ref()
            .map_or_else(|error| error.code.clone(), |_| "OK".to_owned()),
        http: result.as_ref().map_or_else(|error| error.http, |_| 200),
        access_key_id: claimed.unwrap_or_default(),
        request_id: request_id.to_owned(),
        user_agent: request
            .headers
            .get("user-agent")
            .cloned()
            .unwrap_or_default(),
    });
}
