//! Where each product answers in each region.
//!
//! Facts: the public endpoint lists of ECS, VPC and STS. The rule
//! `<product>.<region>.aliyuncs.com` holds for nearly all; new regions follow
//! it, so an unknown region is never an error here.

use std::collections::BTreeMap;
use std::net::IpAddr;

use url::{Host, Url};

use super::Product;
use crate::error::{Error, Kind, Result};

/// Regions known when this was built, one per line.
const REGIONS: &str = include_str!("regions.txt");

/// Closed or small regions without an STS of their own.
const WITHOUT_STS: &[&str] = &[
    "ap-south-1",
    "ap-southeast-2",
    "ap-southeast-6",
    "cn-hangzhou-finance",
    "cn-heyuan-acdr-1",
    "cn-shenzhen-finance-1",
    "cn-zhengzhou-jva",
    "cn-zhongwei",
    "us-southeast-1",
];

/// Whether the region was known when this was built. New ones appear: ask the
/// API (`DescribeRegions`) before calling it an error.
pub fn is_known_region(region: &str) -> bool {
    known_regions().any(|known| known == region)
}

/// The regions known when this was built.
fn known_regions() -> impl Iterator<Item = &'static str> {
    REGIONS.lines()
}

/// The known region that is spelt most like this one, if any is near.
pub fn nearest_region(region: &str) -> Option<&'static str> {
    known_regions()
        .map(|known| (strsim::jaro_winkler(region, known), known))
        .filter(|&(likeness, _)| likeness > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// Whether regional names resolve to public or VPC-internal addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    /// Reachable from anywhere.
    #[default]
    Public,
    /// Only from inside a VPC of the region.
    Vpc,
}

/// The rules plus what the user overrides.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    network: Network,
    everywhere: BTreeMap<Product, Url>,
    in_region: BTreeMap<(Product, String), Url>,
}

impl Endpoints {
    /// The rules for a network, without overrides.
    pub fn new(network: Network) -> Self {
        Self {
            network,
            ..Self::default()
        }
    }

    /// Sends everything to one place, for example a sandbox.
    ///
    /// # Errors
    /// `Kind::Usage` when `endpoint` is not one; see [`parse`].
    pub fn everything_to(endpoint: &str) -> Result<Self> {
        let products = [
            Product::Ecs,
            Product::Vpc,
            Product::Sts,
            Product::Ram,
            Product::Oss,
        ];
        products
            .into_iter()
            .try_fold(Self::default(), |all, product| all.with(product, endpoint))
    }

    /// Sends a product's requests to a custom endpoint in all regions.
    ///
    /// # Errors
    /// `Kind::Usage` when `endpoint` is not one; see [`parse`].
    pub fn with(mut self, product: Product, endpoint: &str) -> Result<Self> {
        self.everywhere.insert(product, parse(endpoint)?);
        Ok(self)
    }

    /// Sends a product's requests to a custom endpoint in one region.
    ///
    /// # Errors
    /// `Kind::Usage` when `endpoint` is not one; see [`parse`].
    pub fn with_regional(mut self, product: Product, region: &str, endpoint: &str) -> Result<Self> {
        let url = parse(endpoint)?;
        self.in_region.insert((product, region.to_owned()), url);
        Ok(self)
    }

    /// Where a product answers in a region.
    ///
    /// # Errors
    /// `Kind::Usage` when the region cannot be part of a host name.
    pub fn of(&self, product: Product, region: &str) -> Result<Url> {
        let custom = self
            .in_region
            .get(&(product, region.to_owned()))
            .or_else(|| self.everywhere.get(&product));
        if let Some(url) = custom {
            return Ok(url.clone());
        }
        let is_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if region.is_empty() || !region.chars().all(is_label) {
            return Err(Error::new(
                Kind::Usage,
                format!("'{region}' is not a region id"),
            ));
        }
        parse(&self.rule(product, region))
    }

    fn rule(&self, product: Product, region: &str) -> String {
        let name = match product {
            Product::Ecs if region == "cn-hangzhou-finance" => {
                return "ecs.aliyuncs.com".to_owned();
            }
            Product::Sts if WITHOUT_STS.contains(&region) => {
                return "sts.aliyuncs.com".to_owned();
            }
            Product::Ram => return "ram.aliyuncs.com".to_owned(),
            Product::Oss => return self.oss(region),
            Product::Ecs => "ecs",
            Product::Vpc => "vpc",
            Product::Sts => "sts",
        };
        let network = match self.network {
            Network::Public => "",
            Network::Vpc => "-vpc",
        };
        format!("{name}{network}.{region}.aliyuncs.com")
    }

    fn oss(&self, region: &str) -> String {
        let network = match self.network {
            Network::Public => "",
            Network::Vpc => "-internal",
        };
        format!("oss-{region}{network}.aliyuncs.com")
    }
}

/// Reads an endpoint: a host with optional scheme and port. `https` unless it
/// says otherwise; `http` only to this machine, because requests carry
/// passwords and tokens.
///
/// # Errors
/// `Kind::Usage` when it is anything else.
pub fn parse(endpoint: &str) -> Result<Url> {
    let invalid = |why: &str| {
        Error::new(
            Kind::Usage,
            format!("'{endpoint}' is not an endpoint: {why}"),
        )
        .with_hint("Write a host name, for example ecs.cn-hangzhou.aliyuncs.com")
    };
    let text = endpoint.trim();
    let with_scheme = if text.contains("://") {
        text.to_owned()
    } else {
        format!("https://{text}")
    };
    let url = Url::parse(&with_scheme).map_err(|error| invalid(&error.to_string()))?;
    let extra = url.path() != "/" || url.query().is_some() || url.fragment().is_some();
    if extra || !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("only scheme, host and port can be given"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(invalid(
            "plain http would show passwords and tokens to the network",
        )),
        _ => Err(invalid("the scheme is neither https nor http")),
    }
}

/// Whether a URL leads to this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_follow_the_rules() {
        let public = Endpoints::default();
        let vpc = Endpoints::new(Network::Vpc);
        let table = [
            (
                &public,
                Product::Ecs,
                "cn-hangzhou",
                "https://ecs.cn-hangzhou.aliyuncs.com/",
            ),
            (
                &public,
                Product::Vpc,
                "eu-central-1",
                "https://vpc.eu-central-1.aliyuncs.com/",
            ),
            (
                &public,
                Product::Sts,
                "cn-beijing",
                "https://sts.cn-beijing.aliyuncs.com/",
            ),
            (
                &public,
                Product::Sts,
                "us-southeast-1",
                "https://sts.aliyuncs.com/",
            ),
            (
                &public,
                Product::Ecs,
                "cn-hangzhou-finance",
                "https://ecs.aliyuncs.com/",
            ),
            (
                &public,
                Product::Ecs,
                "mars-north-1",
                "https://ecs.mars-north-1.aliyuncs.com/",
            ),
            (
                &vpc,
                Product::Vpc,
                "cn-beijing",
                "https://vpc-vpc.cn-beijing.aliyuncs.com/",
            ),
            (
                &vpc,
                Product::Sts,
                "cn-beijing",
                "https://sts-vpc.cn-beijing.aliyuncs.com/",
            ),
        ];
        for (endpoints, product, region, expected) in table {
            assert_eq!(endpoints.of(product, region).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn overrides_win_where_they_apply() {
        let endpoints = Endpoints::default()
            .with_regional(Product::Ecs, "cn-beijing", "ecs.example.com")
            .unwrap()
            .with(Product::Vpc, "http://127.0.0.1:8080")
            .unwrap();
        let of = |product, region| endpoints.of(product, region).unwrap().to_string();
        assert_eq!(of(Product::Ecs, "cn-beijing"), "https://ecs.example.com/");
        assert_eq!(
            of(Product::Ecs, "cn-qingdao"),
            "https://ecs.cn-qingdao.aliyuncs.com/"
        );
        assert_eq!(of(Product::Vpc, "any"), "http://127.0.0.1:8080/");
    }

    #[test]
    fn a_sandbox_gets_everything() {
        let endpoints = Endpoints::everything_to("http://localhost:8080").unwrap();
        for product in [Product::Ecs, Product::Vpc, Product::Sts] {
            let url = endpoints.of(product, "cn-beijing").unwrap();
            assert_eq!(url.as_str(), "http://localhost:8080/");
        }
    }

    #[test]
    fn bad_endpoints_and_regions_are_refused() {
        for endpoint in [
            "http://ecs.example.com",
            "ftp://127.0.0.1",
            "https://a.b/c",
            "https://u:p@a.b",
            "",
            "https://a.b/?x",
        ] {
            assert!(parse(endpoint).is_err(), "{endpoint}");
        }
        for region in ["", "a.b", "x/y", "evil.com#", "CN"] {
            assert!(
                Endpoints::default().of(Product::Ecs, region).is_err(),
                "{region}"
            );
        }
        assert!(parse("http://[::1]:1").is_ok() && parse("http://localhost:1").is_ok());
    }

    #[test]
    fn regions_are_known_and_typos_are_recognized() {
        assert!(is_known_region("cn-hangzhou") && is_known_region("ap-southeast-1"));
        assert!(!is_known_region("cn-hangzou") && !is_known_region(""));
        assert_eq!(nearest_region("cn-hangzou"), Some("cn-hangzhou"));
        assert_eq!(nearest_region("eu-centrl-1"), Some("eu-central-1"));
        assert_eq!(nearest_region("zzz"), None);
    }
}
