//! Instances after their creation.

use serde_json::{Value, json};

use super::{Answer, Context, among, equals};
use crate::error::ApiError;
use crate::state::instance::{Instance, InstanceStatus};

pub(super) fn describe_instances(context: &mut Context<'_>) -> Answer {
    let ids = context.params.json_list("InstanceIds")?;
    let cloud = &*context.cloud;
    let matches = |instance: &&Instance| {
        instance.common.region == context.region
            && among(ids.as_ref(), &instance.common.id)
            && equals(context.get("VpcId"), &instance.vpc)
            && equals(context.get("VSwitchId"), &instance.vswitch)
            && equals(context.get("ZoneId"), &instance.zone)
            && equals(context.get("ImageId"), &instance.image)
            && equals(context.get("InstanceName"), &instance.common.name)
            && equals(context.get("InstanceType"), &instance.instance_type)
            && equals(context.get("Status"), &format!("{:?}", instance.status))
            && equals(
                context.get("KeyPairName"),
                instance.key_pair.as_deref().unwrap_or_default(),
            )
            && in_group(context, instance)
            && context.has_tags(&instance.common)
    };
    let instances = cloud.instances.values().filter(matches);
    let instances: Vec<Value> = instances.map(|i| i.to_json(cloud)).collect();
    Ok(context.page("Instances", "Instance", instances))
}

fn in_group(context: &Context<'_>, instance: &Instance) -> bool {
    let group = context.get("SecurityGroupId");
    group.is_none_or(|group| instance.security_groups.iter().any(|id| id == group))
}

pub(super) fn describe_instance_status(context: &mut Context<'_>) -> Answer {
    let ids = context.params.list("InstanceId");
    let instances = context.cloud.instances.values().filter(|instance| {
        instance.common.region == context.region
            && (ids.is_empty() || ids.contains(&instance.common.id))
            && equals(context.get("ZoneId"), &instance.zone)
    });
    let status =
        |i: &Instance| json!({"InstanceId": i.common.id, "Status": format!("{:?}", i.status)});
    let statuses: Vec<Value> = instances.map(status).collect();
    Ok(context.page("InstanceStatuses", "InstanceStatus", statuses))
}

pub(super) fn describe_user_data(context: &mut Context<'_>) -> Answer {
    let instance = find(context)?;
    Ok(json!({
        "InstanceId": instance.common.id,
        "RegionId": instance.common.region,
        "UserData": instance.user_data.clone().unwrap_or_default(),
    }))
}

fn find<'a>(context: &'a Context<'_>) -> Result<&'a Instance, ApiError> {
    let id = context.require("InstanceId")?;
    let found = context.cloud.instances.get(&id);
    found.ok_or_else(|| context.error("InvalidInstanceId.NotFound"))
}

/// The instance's id, if it is in one of the states and not on its way out.
fn find_in(context: &Context<'_>, states: &[InstanceStatus]) -> Result<String, ApiError> {
    let instance = find(context)?;
    if instance.deleting || !states.contains(&instance.status) {
        return Err(context.error("IncorrectInstanceStatus"));
    }
    Ok(instance.common.id.clone())
}

pub(super) fn start_instance(context: &mut Context<'_>) -> Answer {
    let id = find_in(context, &[InstanceStatus::Stopped])?;
    let instance = &context.cloud.instances[&id];
    let stock = (instance.zone.clone(), instance.instance_type.clone());
    if context.cloud.out_of_stock.contains(&stock) {
        return Err(context.error("OperationDenied.NoStock"));
    }
    let (now, causes) = (context.now, context.causes());
    context.cloud.boot_instance(&id, "start", now, &causes);
    let started = context.wall();
    if let Some(instance) = context.cloud.instances.get_mut(&id) {
        instance.started = Some(started);
    }
    Ok(json!({}))
}

pub(super) fn stop_instance(context: &mut Context<'_>) -> Answer {
    // Stopping what is stopped already is accepted.
    if find(context)?.status == InstanceStatus::Stopped {
        return Ok(json!({}));
    }
    let id = find_in(context, &[InstanceStatus::Running])?;
    let (now, causes) = (context.now, context.causes());
    context.cloud.stop_instance(&id, now, &causes);
    Ok(json!({}))
}

pub(super) fn reboot_instance(context: &mut Context<'_>) -> Answer {
    let id = find_in(context, &[InstanceStatus::Running])?;
    let (now, causes) = (context.now, context.causes());
    context.cloud.boot_instance(&id, "reboot", now, &causes);
    Ok(json!({}))
}

pub(super) fn delete_instance(context: &mut Context<'_>) -> Answer {
    let instance = find(context)?;
    let id = instance.common.id.clone();
    if instance.deleting {
        return Err(context.error("IncorrectInstanceStatus"));
    }
    match instance.status {
        InstanceStatus::Stopped => {}
        InstanceStatus::Pending if instance.transition.is_some() => {
            return Err(context.error("IncorrectInstanceStatus.Initializing"));
        }
        _ if context.params.flag("Force") => {}
        _ => return Err(context.error("IncorrectInstanceStatus")),
    }
    let (now, causes) = (context.now, context.causes());
    context.cloud.delete_instance(&id, now, &causes);
    Ok(json!({}))
}

pub(super) fn modify_instance_attribute(context: &mut Context<'_>) -> Answer {
    let id = find(context)?.common.id.clone();
    let set = |name: &str| context.get(name).map(str::to_owned);
    let (name, description) = (set("InstanceName"), set("Description"));
    let (password, user_data) = (set("Password"), set("UserData"));
    let host_name = set("HostName");
    let Some(instance) = context.cloud.instances.get_mut(&id) else {
        return Ok(json!({}));
    };
    replace(&mut instance.common.name, name);
    replace(&mut instance.common.description, description);
    replace(&mut instance.host_name, host_name);
    instance.password = password.or(instance.password.take());
    instance.user_data = user_data.or(instance.user_data.take());
    Ok(json!({}))
}

/// Sets a field to a value that was given.
pub(super) fn replace(field: &mut String, value: Option<String>) {
    if let Some(value) = value {
        *field = value;
    }
}

pub(super) fn allocate_public_ip_address(context: &mut Context<'_>) -> Answer {
    let id = find_in(context, &[InstanceStatus::Running, InstanceStatus::Stopped])?;
    if context.cloud.instances[&id].public_address.is_some() {
        return Err(context.error("AllocatedAlready"));
    }
    if context.cloud.instances[&id].bandwidth_out == 0 {
        return Err(context.error("AllocateIpInvalidInstanceBandwidth"));
    }
    let address = context.cloud.new_address(1);
    if let Some(instance) = context.cloud.instances.get_mut(&id) {
        instance.public_address = Some(address);
    }
    Ok(json!({"IpAddress": address.to_string()}))
}
