//! Takes an HTTP request apart: which product and action, which parameters.
//! Both styles are understood on one address: RPC parameters (`Action`,
//! `Version`) and ACS3 headers (`x-acs-action`, `x-acs-version`); parameters
//! come in the query, in a form body or both.

use std::collections::BTreeMap;

use axum::http::request::Parts;
use bytes::Bytes;

/// A request, taken apart but not yet believed.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) host: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) query: BTreeMap<String, String>,
    /// Parameters of the query and of the form body.
    pub(crate) params: BTreeMap<String, String>,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn new(parts: &Parts, body: Bytes) -> Self {
        let headers = headers_of(parts);
        let query = decode(parts.uri.query().unwrap_or_default());
        let mut params = query.clone();
        let kind = headers.get("content-type").map_or("", String::as_str);
        if kind.starts_with("application/x-www-form-urlencoded") {
            params.extend(decode(&String::from_utf8_lossy(&body)));
        }
        let host = parts.uri.host().map(str::to_owned);
        let host = host.or_else(|| headers.get("host").cloned());
        Self {
            method: parts.method.as_str().to_owned(),
            path: parts.uri.path().to_owned(),
            host: host.unwrap_or_default(),
            headers,
            query,
            params,
            body,
        }
    }

    fn protocol(&self, header: &str, param: &str) -> String {
        let header = self.headers.get(header);
        let value = header.or_else(|| self.params.get(param));
        value.cloned().unwrap_or_default()
    }

    pub(crate) fn action(&self) -> String {
        self.protocol("x-acs-action", "Action")
    }

    pub(crate) fn version(&self) -> String {
        self.protocol("x-acs-version", "Version")
    }

    /// The product, told by the version: each product has one.
    pub(crate) fn product(&self) -> Option<&'static str> {
        match self.version().as_str() {
            "2014-05-26" => Some("Ecs"),
            "2016-04-28" => Some("Vpc"),
            "2015-04-01" => Some("Sts"),
            "2015-05-01" => Some("Ram"),
            _ => None,
        }
    }

    /// Answers are XML unless asked otherwise or signed with ACS3.
    pub(crate) fn wants_json(&self) -> bool {
        let format = self.params.get("Format");
        format.map_or_else(
            || self.headers.contains_key("x-acs-action"),
            |format| format.eq_ignore_ascii_case("json"),
        )
    }
}

/// Headers with lower-case names.
pub(crate) fn headers_of(parts: &Parts) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.insert(name.as_str().to_owned(), value);
    }
    headers
}

fn decode(form: &str) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(form.as_bytes())
        .into_owned()
        .collect()
}
