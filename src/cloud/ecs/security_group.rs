//! Security groups and their rules.

use serde::{Deserialize, Serialize};

use crate::cloud::answer::{list, number};
use crate::cloud::{Done, Tag};

/// Makes a security group in a VPC.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateSecurityGroup {
    pub security_group_name: Option<String>,
    pub description: Option<String>,
    pub vpc_id: Option<String>,
    pub resource_group_id: Option<String>,
    pub tag: Vec<Tag>,
}
action!(Ecs CreateSecurityGroup -> CreateSecurityGroupResponse, WithClientToken, Create);

/// The new security group.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateSecurityGroupResponse {
    pub security_group_id: String,
}

/// Adds inbound rules. A rule that exists already is no error.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AuthorizeSecurityGroup {
    pub security_group_id: String,
    pub permissions: Vec<Permission>,
}
action!(Ecs AuthorizeSecurityGroup -> Done, WithClientToken, Call);

/// An inbound rule.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Permission {
    /// `TCP`, `UDP`, `ICMP`, `ALL`, …
    pub ip_protocol: String,
    /// `22/22`; `-1/-1` for protocols without ports.
    pub port_range: String,
    pub source_cidr_ip: Option<String>,
    pub ipv6_source_cidr_ip: Option<String>,
    /// `accept` (the default) or `drop`.
    pub policy: Option<String>,
    /// 1 (the default) to 100.
    pub priority: Option<String>,
    pub description: Option<String>,
}

/// Finds security groups.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSecurityGroups {
    pub security_group_id: Option<String>,
    pub security_group_name: Option<String>,
    pub vpc_id: Option<String>,
    pub resource_group_id: Option<String>,
    pub tag: Vec<Tag>,
    pub page_number: Option<u32>,
    /// At most 50; 10 when absent.
    pub page_size: Option<u32>,
}
action!(Ecs DescribeSecurityGroups -> DescribeSecurityGroupsResponse, Always, Call);
pages!(DescribeSecurityGroups.security_groups: SecurityGroup, 50);

/// One page of security groups.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeSecurityGroupsResponse {
    #[serde(deserialize_with = "number")]
    pub total_count: u32,
    #[serde(deserialize_with = "list")]
    pub security_groups: Vec<SecurityGroup>,
}

/// A security group.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SecurityGroup {
    pub security_group_id: String,
    pub security_group_name: String,
    pub vpc_id: String,
    pub creation_time: String,
    #[serde(deserialize_with = "list")]
    pub tags: Vec<Tag>,
}

/// Deletes a security group that nothing uses any more.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteSecurityGroup {
    pub security_group_id: String,
}
action!(Ecs DeleteSecurityGroup -> Done, Always, Call);
