//! Security groups. Rules are kept and shown, not applied to traffic.

use serde_json::{Value, json};

use super::{Answer, Context, among, check_tags, equals};
use crate::error::ApiError;
use crate::state::instance::tags_json;
use crate::state::network::{Rule, SecurityGroup};

pub(super) fn create(context: &mut Context<'_>) -> Answer {
    check_tags(context)?;
    let vpc = context.text("VpcId");
    if !vpc.is_empty() {
        let found = context.cloud.vpcs.get(&vpc);
        let found = found.ok_or_else(|| context.error("InvalidVpcId.NotFound"))?;
        if found.pending.is_some() {
            return Err(context.error("IncorrectVpcStatus"));
        }
    }
    let groups = context.cloud.security_groups.values();
    let count = groups.filter(|g| g.common.region == context.region).count();
    if count >= context.cloud.quotas.security_groups {
        return Err(context.error("QuotaExceed.SecurityGroup"));
    }
    let name = context.text("SecurityGroupName");
    let common = context.common("sg", name);
    let id = common.id.clone();
    let group = SecurityGroup {
        common,
        vpc,
        rules: Vec::new(),
    };
    context.cloud.security_groups.insert(id.clone(), group);
    Ok(json!({"SecurityGroupId": id}))
}

pub(super) fn authorize(context: &mut Context<'_>) -> Answer {
    add_rules(context, "ingress", "SourceCidrIp")
}

pub(super) fn authorize_egress(context: &mut Context<'_>) -> Answer {
    add_rules(context, "egress", "DestCidrIp")
}

fn add_rules(context: &mut Context<'_>, direction: &'static str, cidr: &str) -> Answer {
    let id = context.require("SecurityGroupId")?;
    let mut rules = context.params.objects("Permissions");
    if rules.is_empty() {
        rules.push(context.params.as_map().clone());
    }
    let field = |rule: &std::collections::BTreeMap<String, String>, name: &str, default: &str| {
        rule.get(name)
            .cloned()
            .unwrap_or_else(|| default.to_owned())
    };
    let mut parsed = Vec::new();
    for rule in &rules {
        let protocol = rule.get("IpProtocol");
        let protocol = protocol.ok_or_else(|| ApiError::missing_parameter("IpProtocol"))?;
        let ports = rule.get("PortRange");
        let ports = ports.ok_or_else(|| ApiError::missing_parameter("PortRange"))?;
        check_ports(protocol, ports).ok_or_else(|| context.error("InvalidPortRange.Malformed"))?;
        parsed.push(Rule {
            direction,
            protocol: protocol.clone(),
            port_range: ports.clone(),
            cidr: field(rule, cidr, ""),
            policy: field(rule, "Policy", "accept"),
            priority: field(rule, "Priority", "1"),
        });
    }
    let group = context.cloud.security_groups.get_mut(&id);
    let Some(group) = group else {
        return Err(ApiError::gateway("InvalidSecurityGroupId.NotFound"));
    };
    for rule in parsed {
        if !group.rules.contains(&rule) {
            group.rules.push(rule);
        }
    }
    Ok(json!({}))
}

/// `22/22` for TCP and UDP, `-1/-1` for the others.
fn check_ports(protocol: &str, range: &str) -> Option<()> {
    let (from, to) = range.split_once('/')?;
    let (from, to): (i32, i32) = (from.parse().ok()?, to.parse().ok()?);
    let has_ports = ["tcp", "udp"].contains(&protocol.to_ascii_lowercase().as_str());
    let valid = if has_ports {
        (1..=65535).contains(&from) && (from..=65535).contains(&to)
    } else {
        (from, to) == (-1, -1)
    };
    valid.then_some(())
}

pub(super) fn describe(context: &mut Context<'_>) -> Answer {
    let ids = context.params.json_list("SecurityGroupIds")?;
    let matches = |group: &&SecurityGroup| {
        group.common.region == context.region
            && among(ids.as_ref(), &group.common.id)
            && equals(context.get("SecurityGroupId"), &group.common.id)
            && equals(context.get("SecurityGroupName"), &group.common.name)
            && equals(context.get("VpcId"), &group.vpc)
            && context.has_tags(&group.common)
    };
    let groups = context.cloud.security_groups.values().filter(matches);
    let groups: Vec<Value> = groups.map(SecurityGroup::to_json).collect();
    Ok(context.page("SecurityGroups", "SecurityGroup", groups))
}

pub(super) fn describe_attribute(context: &mut Context<'_>) -> Answer {
    let id = context.require("SecurityGroupId")?;
    let group = context.cloud.security_groups.get(&id);
    let group = group.ok_or_else(|| ApiError::gateway("InvalidSecurityGroupId.NotFound"))?;
    let wanted = context.get("Direction").unwrap_or("all");
    let rules = group.rules.iter();
    let rules = rules.filter(|rule| wanted == "all" || rule.direction == wanted);
    Ok(json!({
        "SecurityGroupId": id,
        "SecurityGroupName": group.common.name,
        "Description": group.common.description,
        "VpcId": group.vpc,
        "RegionId": group.common.region,
        "InnerAccessPolicy": "Accept",
        "Permissions": {"Permission": rules.map(Rule::to_json).collect::<Vec<_>>()},
        "Tags": {"Tag": tags_json(&group.common.tags)},
    }))
}

pub(super) fn delete(context: &mut Context<'_>) -> Answer {
    let id = context.require("SecurityGroupId")?;
    if !context.cloud.security_groups.contains_key(&id) {
        return Err(ApiError::gateway("InvalidSecurityGroupId.NotFound"));
    }
    if context.cloud.security_group_in_use(&id) {
        return Err(context.error("DependencyViolation"));
    }
    context.cloud.security_groups.remove(&id);
    Ok(json!({}))
}
