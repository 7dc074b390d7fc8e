//! Where a bucket answers.
//!
//! Facts: "Regions and endpoints" of the OSS documentation. The bucket is part
//! of the host name, except at an IP address, and at a custom domain, which
//! belongs to one bucket.

use url::{Host, Url};

use crate::cloud::endpoint;
use crate::cloud::sign::encode;
use crate::error::{Error, Kind, Result};

/// An endpoint and how it names buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    endpoint: Url,
    style: Style,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `bucket.oss-cn-hangzhou.aliyuncs.com/key`
    VirtualHost,
    /// `127.0.0.1/bucket/key`
    Path,
    /// `images.example.com/key`
    CustomDomain,
}

impl Place {
    pub(super) fn new(endpoint: Url) -> Self {
        let style = match endpoint.host() {
            Some(Host::Domain("localhost")) => Style::Path,
            Some(Host::Domain(name)) if is_alibabas(name) => Style::VirtualHost,
            Some(Host::Domain(_)) => Style::CustomDomain,
            Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => Style::Path,
        };
        Self { endpoint, style }
    }

    fn host_of(&self, bucket: &str) -> String {
        let host = self.endpoint.host_str().unwrap_or_default();
        match self.style {
            Style::VirtualHost if !host.starts_with(&format!("{bucket}.")) => {
                format!("{bucket}.{host}")
            }
            _ => host.to_owned(),
        }
    }

    /// The URL of a request. Everything is encoded here, because what is sent
    /// must be what is signed.
    pub(super) fn url(
        &self,
        bucket: &str,
        key: Option<&str>,
        query: &[(&str, &str)],
    ) -> Result<Url> {
        let scheme = self.endpoint.scheme();
        let port = self
            .endpoint
            .port()
            .map_or_else(String::new, |port| format!(":{port}"));
        let host = self.host_of(bucket);
        let folder = match self.style {
            Style::Path => format!("{bucket}/"),
            Style::VirtualHost | Style::CustomDomain => String::new(),
        };
        let path = encode(key.unwrap_or_default()).replace("%2F", "/");
        let query: Vec<_> = query.iter().map(|pair| parameter(*pair)).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        let text = format!(
            "{scheme}://{host}{port}/{folder}{path}{mark}{}",
            query.join("&")
        );
        Url::parse(&text).map_err(|error| {
            let message = format!("'{bucket}' cannot be part of a host name");
            Error::new(Kind::Usage, message).with_source(error)
        })
    }
}

fn parameter((name, value): (&str, &str)) -> String {
    match value {
        "" => encode(name),
        value => format!("{}={}", encode(name), encode(value)),
    }
}

fn is_alibabas(host: &str) -> bool {
    host.ends_with(".aliyuncs.com") || host.ends_with(".aliyun-inc.com")
}

/// What a user may write for OSS's endpoint: `internal`, `accelerate`,
/// `accelerate-overseas`, `public`, or a host with optional scheme and port.
/// Gives none for the usual public endpoint.
///
/// # Errors
/// `Kind::Usage` when it is no endpoint.
pub fn parse_endpoint(text: &str, region: &str) -> Result<Option<String>> {
    let host = match text.trim() {
        "public" => return Ok(None),
        "internal" => format!("oss-{region}-internal.aliyuncs.com"),
        "accelerate" => "oss-accelerate.aliyuncs.com".to_owned(),
        "accelerate-overseas" => "oss-accelerate-overseas.aliyuncs.com".to_owned(),
        other => other.to_owned(),
    };
    endpoint::parse(&host).map(|_| Some(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_where_the_endpoint_wants_it() {
        let table = [
            (
                "https://oss-cn-hangzhou.aliyuncs.com",
                "https://b.oss-cn-hangzhou.aliyuncs.com/d/a%20b%2B.raw?uploads",
            ),
            (
                "https://b.oss-cn-hangzhou.aliyuncs.com",
                "https://b.oss-cn-hangzhou.aliyuncs.com/d/a%20b%2B.raw?uploads",
            ),
            (
                "https://oss-accelerate.aliyuncs.com",
                "https://b.oss-accelerate.aliyuncs.com/d/a%20b%2B.raw?uploads",
            ),
            (
                "https://images.example.com",
                "https://images.example.com/d/a%20b%2B.raw?uploads",
            ),
            (
                "http://127.0.0.1:8080",
                "http://127.0.0.1:8080/b/d/a%20b%2B.raw?uploads",
            ),
            (
                "http://[::1]:8080",
                "http://[::1]:8080/b/d/a%20b%2B.raw?uploads",
            ),
        ];
        for (endpoint, expected) in table {
            let place = Place::new(endpoint.parse().unwrap());
            let url = place
                .url("b", Some("d/a b+.raw"), &[("uploads", "")])
                .unwrap();
            assert_eq!(url.as_str(), expected);
        }
    }

    #[test]
    fn an_endpoint_can_be_a_word() {
        let parse = |text| parse_endpoint(text, "cn-beijing").unwrap();
        assert_eq!(parse("public"), None);
        assert_eq!(
            parse("internal").as_deref(),
            Some("oss-cn-beijing-internal.aliyuncs.com")
        );
        assert_eq!(
            parse("accelerate").as_deref(),
            Some("oss-accelerate.aliyuncs.com")
        );
        assert_eq!(
            parse("images.example.com").as_deref(),
            Some("images.example.com")
        );
        assert!(parse_endpoint("http://images.example.com", "x").is_err());
    }
}
