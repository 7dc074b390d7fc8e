//! Who calls: access keys, temporary credentials, nonces and time stamps.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, tz};
use serde_json::{Value, json};

use crate::clock::Moment;
use crate::error::ApiError;
use crate::options::AccessKey;
use crate::policy;
use crate::request::Request;
use crate::signature::{
    Acs3Authorization, Acs3Request, acs3_canonical_request, acs3_signature, acs3_string_to_sign,
    rpc_signature, rpc_string_to_sign, sha256_hex,
};
use crate::state::Cloud;

/// The account all keys belong to.
pub(crate) const ACCOUNT_ID: &str = "1234567890123456";

/// How far a time stamp may be off.
const CLOCK_SKEW: Duration = Duration::from_secs(15 * 60);

/// The accounts' keys, sessions and used nonces.
pub(crate) struct Authority {
    keys: Vec<AccessKey>,
    sessions: BTreeMap<String, Session>,
    nonces: HashSet<String>,
    /// What sessions of a role may do, by the role's name in lower case; other
    /// roles may do everything.
    role_policies: BTreeMap<String, Value>,
    /// OpenID Connect providers by name.
    pub(crate) oidc_providers: BTreeMap<String, OidcProvider>,
    /// The life of all sessions, whatever was asked for; in real time.
    session_life: Option<Duration>,
    /// How far the clock is ahead of this machine's.
    clock_ahead: SignedDuration,
}

/// An OpenID Connect provider as RAM knows it.
pub(crate) struct OidcProvider {
    pub(crate) issuer: String,
    pub(crate) client_ids: Vec<String>,
}

#[derive(Clone)]
struct Session {
    secret: String,
    token: String,
    expires: Moment,
    role: String,
    session_name: String,
    policies: Vec<Value>,
}

/// An authenticated caller.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) arn: String,
    pub(crate) identity_type: &'static str,
    pub(crate) display_name: String,
    /// All of them must allow what it does.
    policies: Vec<Value>,
}

/// Temporary credentials as AssumeRole hands them out.
pub(crate) struct Temporary {
    pub(crate) access_key_id: String,
    pub(crate) access_key_secret: String,
    pub(crate) security_token: String,
}

impl Temporary {
    /// New ones.
    pub(crate) fn new(cloud: &mut Cloud) -> Self {
        Self {
            access_key_id: format!("STS.{}", cloud.new_secret(24)),
            access_key_secret: cloud.new_secret(44),
            security_token: format!("CAIS{}", cloud.new_secret(200)),
        }
    }
}

impl Caller {
    /// Checks the caller's policy for a RAM action such as `ecs:RunInstances`.
    pub(crate) fn authorize(&self, ram_action: &str) -> Result<(), ApiError> {
        for document in &self.policies {
            match policy::evaluate(document, ram_action) {
                policy::Verdict::Allow => {}
                verdict => return Err(self.forbidden(ram_action, verdict)),
            }
        }
        Ok(())
    }

    /// Nobody, for calls that carry a proof of their own.
    pub(crate) fn anonymous() -> Self {
        Self {
            arn: String::new(),
            identity_type: "Anonymous",
            display_name: String::new(),
            policies: Vec::new(),
        }
    }

    fn forbidden(&self, ram_action: &str, verdict: policy::Verdict) -> ApiError {
        let explicit = verdict == policy::Verdict::Deny;
        let mut error = ApiError::new(
            403,
            "Forbidden.RAM",
            "User not authorized to operate on the specified resource, or this API doesn't support RAM.",
        );
        error.access_denied = Some(Box::new(json!({
            "PolicyType": "AccountLevelIdentityBasedPolicy",
            "AuthAction": ram_action,
            "AuthPrincipalType": self.identity_type,
            "AuthPrincipalDisplayName": self.display_name,
            "AuthPrincipalOwnerId": ACCOUNT_ID,
            "NoPermissionType": if explicit { "ExplicitDeny" } else { "ImplicitDeny" },
            "EncodedDiagnosticMessage": "AQEAAAAAsandbox",
        })));
        error
    }
}

/// Why an access key is not accepted. Each style of API has its own codes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum KeyProblem {
    Unknown,
    TokenMissing,
    TokenWrong,
    TokenExpired,
    TokenUnexpected,
}

impl KeyProblem {
    fn rpc_error(self) -> ApiError {
        ApiError::gateway(match self {
            Self::Unknown => "InvalidAccessKeyId.NotFound",
            Self::TokenMissing => "MissingSecurityToken",
            Self::TokenExpired => "InvalidSecurityToken.Expired",
            Self::TokenWrong | Self::TokenUnexpected => {
                "InvalidSecurityToken.MismatchWithAccessKey"
            }
        })
    }
}

struct Claim {
    access_key_id: String,
    token: Option<String>,
    nonce: String,
    timestamp: String,
}

impl Authority {
    pub(crate) fn new(
        keys: Vec<AccessKey>,
        session_life: Option<Duration>,
        clock_ahead: SignedDuration,
    ) -> Self {
        Self {
            clock_ahead,
            keys,
            sessions: BTreeMap::new(),
            nonces: HashSet::new(),
            role_policies: BTreeMap::new(),
            oidc_providers: BTreeMap::new(),
            session_life,
        }
    }

    /// Says what sessions of a role may do.
    pub(crate) fn limit_role(&mut self, role: &str, policy: Value) {
        self.role_policies.insert(role.to_lowercase(), policy);
    }

    /// How long a session lives that was asked for so long.
    pub(crate) fn life(&self, asked: Duration) -> Duration {
        self.session_life.unwrap_or(asked)
    }

    /// Verifies a request; `now` is for the expiry of temporary credentials.
    pub(crate) fn authenticate(
        &mut self,
        request: &Request,
        now: Moment,
    ) -> Result<Caller, ApiError> {
        if let Some(header) = request.headers.get("authorization") {
            return self.authenticate_acs3(request, header, now);
        }
        self.authenticate_rpc(request, now)
    }

    fn authenticate_rpc(&mut self, request: &Request, now: Moment) -> Result<Caller, ApiError> {
        let param = |name: &str| {
            let value = request.params.get(name).filter(|v| !v.is_empty());
            value
                .cloned()
                .ok_or_else(|| ApiError::missing_parameter(name))
        };
        if param("SignatureMethod")? != "HMAC-SHA1" || param("SignatureVersion")? != "1.0" {
            return Err(ApiError::gateway("IncompleteSignature"));
        }
        let claim = Claim {
            access_key_id: param("AccessKeyId")?,
            token: param("SecurityToken").ok(),
            nonce: param("SignatureNonce")?,
            timestamp: param("Timestamp")?,
        };
        let given = param("Signature")?;
        let (caller, secret) = self.identify(&claim, now)?;
        let string_to_sign = rpc_string_to_sign(&request.method, &request.params);
        if rpc_signature(&secret, &string_to_sign) != given {
            let message = format!(
                "Specified signature is not matched with our calculation. server string to sign is:{string_to_sign}"
            );
            return Err(ApiError::new(400, "SignatureDoesNotMatch", message));
        }
        self.use_nonce(claim.nonce)?;
        Ok(caller)
    }

    fn authenticate_acs3(
        &mut self,
        request: &Request,
        authorization: &str,
        now: Moment,
    ) -> Result<Caller, ApiError> {
        let incomplete = || ApiError::gateway("IncompleteSignature");
        let authorization = Acs3Authorization::parse(authorization).ok_or_else(incomplete)?;
        let header = |name: &str| request.headers.get(name).cloned().ok_or_else(incomplete);
        check_coverage(request, &authorization.signed_headers).ok_or_else(incomplete)?;
        let claim = Claim {
            access_key_id: authorization.access_key_id.clone(),
            token: request.headers.get("x-acs-security-token").cloned(),
            nonce: header("x-acs-signature-nonce")?,
            timestamp: header("x-acs-date")?,
        };
        let (caller, secret) = self.identify(&claim, now)?;
        let canonical = acs3_canonical_request(&Acs3Request {
            method: &request.method,
            path: &request.path,
            query: &request.query,
            headers: &request.headers,
            signed_headers: &authorization.signed_headers,
            body: &request.body,
        });
        let string_to_sign = acs3_string_to_sign(&canonical);
        if acs3_signature(&secret, &string_to_sign) != authorization.signature {
            let message = format!(
                "Specified signature does not match our calculation. server StringToSign is [{string_to_sign}] server CanonicalRequest is [{canonical}]"
            );
            return Err(ApiError::new(400, "SignatureDoesNotMatch", message));
        }
        self.use_nonce(claim.nonce)?;
        Ok(caller)
    }

    fn identify(&self, claim: &Claim, now: Moment) -> Result<(Caller, String), ApiError> {
        self.check_timestamp(&claim.timestamp)?;
        let found = self.identify_key(&claim.access_key_id, claim.token.as_deref(), now);
        found.map_err(KeyProblem::rpc_error)
    }

    /// The time that requests are compared with: nobody's requests are late
    /// because a test skipped time.
    pub(crate) fn time(&self) -> Timestamp {
        Timestamp::now() + self.clock_ahead
    }

    fn check_timestamp(&self, text: &str) -> Result<(), ApiError> {
        let format = "%Y-%m-%dT%H:%M:%SZ";
        let given = jiff::civil::DateTime::strptime(format, text)
            .ok()
            .and_then(|time| time.to_zoned(tz::TimeZone::UTC).ok())
            .ok_or_else(|| ApiError::gateway("InvalidTimeStamp.Format"))?;
        let off = given.timestamp().duration_since(self.time());
        if off.unsigned_abs() > CLOCK_SKEW {
            return Err(ApiError::gateway("InvalidTimeStamp.Expired"));
        }
        Ok(())
    }

    /// Whose an access key is, and its secret.
    pub(crate) fn identify_key(
        &self,
        id: &str,
        token: Option<&str>,
        now: Moment,
    ) -> Result<(Caller, String), KeyProblem> {
        let token = token.filter(|token| !token.is_empty());
        if let Some(session) = self.sessions.get(id) {
            session.check(token, now)?;
            return Ok((session.caller(), session.secret.clone()));
        }
        let key = self.keys.iter().find(|key| key.id == id);
        let key = key.ok_or(KeyProblem::Unknown)?;
        if token.is_some() {
            return Err(KeyProblem::TokenUnexpected);
        }
        Ok((caller_of(key), key.secret.clone()))
    }

    fn use_nonce(&mut self, nonce: String) -> Result<(), ApiError> {
        if self.nonces.insert(nonce) {
            return Ok(());
        }
        Err(ApiError::gateway("SignatureNonceUsed"))
    }

    /// Registers temporary credentials of a role.
    pub(crate) fn open_session(
        &mut self,
        temporary: &Temporary,
        role: &str,
        session_name: &str,
        expires: Moment,
        policy: Option<Value>,
    ) {
        let of_role = self.role_policies.get(&role.to_lowercase()).cloned();
        let session = Session {
            secret: temporary.access_key_secret.clone(),
            token: temporary.security_token.clone(),
            expires,
            role: role.to_owned(),
            session_name: session_name.to_owned(),
            policies: of_role.into_iter().chain(policy).collect(),
        };
        self.sessions
            .insert(temporary.access_key_id.clone(), session);
    }
}

impl Session {
    fn check(&self, token: Option<&str>, now: Moment) -> Result<(), KeyProblem> {
        match token {
            None => Err(KeyProblem::TokenMissing),
            Some(token) if token != self.token => Err(KeyProblem::TokenWrong),
            Some(_) if now >= self.expires => Err(KeyProblem::TokenExpired),
            Some(_) => Ok(()),
        }
    }

    fn caller(&self) -> Caller {
        Caller {
            arn: format!(
                "acs:ram::{ACCOUNT_ID}:assumed-role/{}/{}",
                self.role, self.session_name
            ),
            identity_type: "AssumedRoleUser",
            display_name: format!("{}:{}", self.role, self.session_name),
            policies: self.policies.clone(),
        }
    }
}

fn caller_of(key: &AccessKey) -> Caller {
    let (arn, identity_type, display_name) = match &key.user {
        Some(user) => (
            format!("acs:ram::{ACCOUNT_ID}:user/{user}"),
            "RAMUser",
            user.clone(),
        ),
        None => (
            format!("acs:ram::{ACCOUNT_ID}:root"),
            "Account",
            "root".to_owned(),
        ),
    };
    Caller {
        arn,
        identity_type,
        display_name,
        policies: key.policy.iter().cloned().collect(),
    }
}

/// The signature must cover every header that carries meaning, and the hash
/// the body.
fn check_coverage(request: &Request, signed_headers: &str) -> Option<()> {
    let covered: HashSet<&str> = signed_headers.split(';').collect();
    let meaningful = |name: &str| name.starts_with("x-acs-") || name == "host";
    let mut names = request.headers.keys().filter(|name| meaningful(name));
    let all = names.all(|name| covered.contains(name.as_str()));
    let hash = request.headers.get("x-acs-content-sha256")?;
    (all && *hash == sha256_hex(&request.body)).then_some(())
}
