//! Requests of the RPC style: all products but OSS.

use std::time::Duration;

use serde_json::Value;

use super::{About, Client, Exchange};
use crate::cloud::credential::Credential;
use crate::cloud::failure::{self, Asked, Failure, Refusal};
use crate::cloud::parameters::{HIDDEN, Parameters};
use crate::cloud::sign::{self, Stamp, Unsigned};
use crate::cloud::transport::HttpResponse;
use crate::cloud::{Action, Product};
use crate::error::{Error, Kind, Result};

/// A request that can be signed for each attempt.
pub(super) struct Request {
    about: About,
    product: Product,
    parameters: Parameters,
}

impl Request {
    pub(super) fn new<R: Action>(
        client: &Client,
        region: &str,
        request: &R,
        token: Option<&str>,
        creates: bool,
    ) -> Result<Self> {
        Ok(Self {
            product: R::PRODUCT,
            parameters: parameters(region, request, token)?,
            about: About {
                action: R::NAME,
                region: region.to_owned(),
                repeat: R::REPEAT,
                creates,
                url: client.config().endpoints.of(R::PRODUCT, region)?,
            },
        })
    }

    fn read(
        &self,
        response: &HttpResponse,
        credential: &Credential,
        string_to_sign: &str,
    ) -> Result<Value, Box<Refusal>> {
        let asked = Asked {
            action: self.about.action,
            region: &self.about.region,
        };
        let mut outcome = failure::read(asked, response);
        if let Err(refusal) = &mut outcome {
            refusal.settle_signature(string_to_sign);
            let message = self.parameters.scrub(&refusal.failure.message);
            refusal.failure.message = credential.scrub(&message);
        }
        outcome
    }
}

impl Exchange for Request {
    type Answer = Value;

    fn about(&self) -> &About {
        &self.about
    }

    async fn exchange(&self, client: &Client, credential: &Credential) -> Result<Value, Failure> {
        let action = self.about.action;
        let stamp = Stamp {
            nonce: uuid::Uuid::new_v4().to_string(),
            time: client.now(),
        };
        let unsigned = Unsigned {
            url: &self.about.url,
            product: self.product,
            action,
            parameters: &self.parameters,
            read_timeout: read_timeout(action),
        };
        let signature = sign::sign(client.config().signature, unsigned, credential, &stamp);
        tracing::trace!(action, parameters = %self.parameters, "request");
        let response = client.transmit(signature.request).await?;
        let content = self
            .read(&response, credential, &signature.string_to_sign)
            .map_err(Failure::Refused)?;
        tracing::trace!(action, content = %hide_secrets(&content), "answer");
        Ok(content)
    }

    fn done(&self) -> Value {
        Value::Object(serde_json::Map::default())
    }

    fn request_id(answer: &Value) -> &str {
        answer["RequestId"].as_str().unwrap_or_default()
    }
}

fn parameters<R: Action>(region: &str, request: &R, token: Option<&str>) -> Result<Parameters> {
    let mut parameters = Parameters::of(request).map_err(|error| {
        Error::new(Kind::Internal, format!("Failed to encode {}", R::NAME)).with_source(error)
    })?;
    // Sts and Ram are the account's, not a region's.
    if !matches!(R::PRODUCT, Product::Sts | Product::Ram) {
        parameters.add("RegionId", region);
    }
    if let Some(token) = token {
        parameters.add("ClientToken", token);
    }
    Ok(parameters)
}

/// How long answers may take, in real time. Creating calls are slow at times; giving up on
/// one early leaves something behind.
fn read_timeout(action: &str) -> Duration {
    let seconds = match action {
        "RunInstances"
        | "CreateSnapshot"
        | "CreateSecurityGroup"
        | "CreateImage"
        | "CopyImage"
        | "ImportImage"
        | "DeleteSecurityGroup"
        | "DeleteInstance" => 90,
        "StartInstance" | "StopInstance" | "DescribeImages" | "DeleteImage" => 60,
        _ => 30,
    };
    Duration::from_secs(seconds)
}

fn hide_secrets(content: &Value) -> Value {
    const SECRETS: &[&str] = &[
        "AccessKeySecret",
        "SessionAccessKeySecret",
        "SecurityToken",
        "PrivateKeyBody",
        "Password",
        "UserData",
        "OIDCToken",
    ];
    match content {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let secret = SECRETS.contains(&name.as_str());
                let shown = if secret {
                    Value::from(HIDDEN)
                } else {
                    hide_secrets(value)
                };
                (name.clone(), shown)
            })
            .collect(),
        Value::Array(items) => items.iter().map(hide_secrets).collect(),
        other => other.clone(),
    }
}
