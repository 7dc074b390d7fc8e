//! Elastic IP addresses, for both products that have these actions.

use serde_json::{Value, json};

use super::{Answer, Context, equals, listed};
use crate::error::ApiError;
use crate::state::instance::InstanceStatus;
use crate::state::network::{Eip, EipStatus};

pub(super) fn allocate(context: &mut Context<'_>) -> Answer {
    let region = context.region.clone();
    let count = context.cloud.eips.values();
    if count.filter(|eip| eip.common.region == region).count() >= context.cloud.quotas.eips {
        return Err(ApiError::gateway("QuotaExceeded.Eip"));
    }
    let name = context.text("Name");
    let common = context.common("eip", name);
    let id = common.id.clone();
    let address = context.cloud.new_address(1);
    let transition = context.begin("eip_allocate", &id, context.cloud.delays.eip_allocate);
    let eip = Eip {
        common,
        address,
        bandwidth: context.get("Bandwidth").unwrap_or("5").to_owned(),
        charge_type: context
            .get("InternetChargeType")
            .unwrap_or("PayByBandwidth")
            .to_owned(),
        instance: None,
        status: EipStatus::Pending,
        transition: Some(transition),
    };
    let group = eip.common.resource_group.clone();
    context.cloud.eips.insert(id.clone(), eip);
    Ok(json!({
        "AllocationId": id,
        "EipAddress": address.to_string(),
        "ResourceGroupId": group,
    }))
}

pub(super) fn describe(context: &mut Context<'_>) -> Answer {
    let matches = |eip: &&Eip| {
        eip.common.region == context.region
            && listed(context.get("AllocationId"), &eip.common.id)
            && listed(context.get("EipAddress"), &eip.address.to_string())
            && equals(context.get("Status"), &format!("{:?}", eip.status))
            && associated(context, eip)
            && context.has_tags(&eip.common)
    };
    let eips = context.cloud.eips.values().filter(matches);
    let eips: Vec<Value> = eips.map(Eip::to_json).collect();
    Ok(context.page("EipAddresses", "EipAddress", eips))
}

fn associated(context: &Context<'_>, eip: &Eip) -> bool {
    let wanted = context.get("AssociatedInstanceId");
    wanted.is_none_or(|wanted| eip.instance.as_deref() == Some(wanted))
}

pub(super) fn associate(context: &mut Context<'_>) -> Answer {
    let id = context.require("AllocationId")?;
    let instance_id = context.require("InstanceId")?;
    let eip = find(context, &id)?;
    if eip.instance.as_deref() == Some(&instance_id) {
        return Err(context.error("InvalidAssociation.Duplicated"));
    }
    if eip.status != EipStatus::Available {
        return Err(context.error("IncorrectEipStatus"));
    }
    check_instance(context, &instance_id)?;
    let delay = context.cloud.delays.eip_associate;
    let transition = context.begin("eip_associate", &id, delay);
    if let Some(eip) = context.cloud.eips.get_mut(&id) {
        eip.instance = Some(instance_id);
        eip.status = EipStatus::Associating;
        eip.transition = Some(transition);
    }
    Ok(json!({}))
}

fn check_instance(context: &Context<'_>, id: &str) -> Result<(), ApiError> {
    let Some(instance) = context.cloud.instances.get(id) else {
        return Err(context.error("InvalidInstanceId.NotFound"));
    };
    let ready = matches!(
        instance.status,
        InstanceStatus::Running | InstanceStatus::Stopped
    );
    if !ready || instance.deleting {
        return Err(context.error("IncorrectInstanceStatus"));
    }
    if instance.public_address.is_some() {
        return Err(context.error("EIP_CAN_NOT_ASSOCIATE_WITH_PUBLIC_IP"));
    }
    let mut eips = context.cloud.eips.values();
    if eips.any(|eip| eip.instance.as_deref() == Some(id)) {
        return Err(context.error("InvalidBindingStatus"));
    }
    Ok(())
}

pub(super) fn unassociate(context: &mut Context<'_>) -> Answer {
    let id = context.require("AllocationId")?;
    let eip = find(context, &id)?;
    if eip.status != EipStatus::InUse {
        return Err(context.error("IncorrectEipStatus"));
    }
    if context
        .get("InstanceId")
        .is_some_and(|i| eip.instance.as_deref() != Some(i))
    {
        return Err(context.error("InvalidBindingStatus"));
    }
    let delay = context.cloud.delays.eip_unassociate;
    change(
        context,
        &id,
        EipStatus::Unassociating,
        "eip_unassociate",
        delay,
    );
    Ok(json!({}))
}

pub(super) fn release(context: &mut Context<'_>) -> Answer {
    let id = context.require("AllocationId")?;
    let eip = find(context, &id)?;
    if eip.status != EipStatus::Available {
        return Err(context.error("IncorrectEipStatus"));
    }
    let delay = context.cloud.delays.eip_release;
    change(context, &id, EipStatus::Releasing, "eip_release", delay);
    Ok(json!({}))
}

fn find<'a>(context: &'a Context<'_>, id: &str) -> Result<&'a Eip, ApiError> {
    let found = context.cloud.eips.get(id);
    found.ok_or_else(|| context.error("InvalidAllocationId.NotFound"))
}

fn change(
    context: &mut Context<'_>,
    id: &str,
    status: EipStatus,
    what: &'static str,
    delay: std::time::Duration,
) {
    let transition = context.begin(what, id, delay);
    if let Some(eip) = context.cloud.eips.get_mut(id) {
        eip.status = status;
        eip.transition = Some(transition);
    }
}
