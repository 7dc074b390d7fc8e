//! The actions. Each is a function from a checked call and the state to the
//! answer's members; everything around it (signature, parameters, policy,
//! faults, idempotency) is the server's business.

mod disk;
mod eip;
mod image;
mod image_copy;
mod import;
mod instance;
mod key_pair;
mod ram;
mod region;
mod run;
mod security_group;
mod snapshot;
mod sts;
mod tag;
mod task;
mod vpc;

pub(crate) use key_pair::fingerprint;
pub(crate) use tag::all as all_resources;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::auth::{Authority, Caller};
use crate::clock::{Clock, Moment};
use crate::error::ApiError;
use crate::faults::{Faults, StateFault};
use crate::key_stock::KeyStock;
use crate::machine::Machine;
use crate::parameters::{ActionRule, Params};
use crate::policy::glob;
use crate::state::{Cloud, Common, Transition};

/// What an action answers: the members besides RequestId.
pub(crate) type Answer = Result<Value, ApiError>;

type Handler = fn(&mut Context<'_>) -> Answer;

/// A call being executed.
pub(crate) struct Context<'a> {
    pub(crate) cloud: &'a mut Cloud,
    pub(crate) faults: &'a mut Faults,
    pub(crate) authority: &'a mut Authority,
    pub(crate) clock: &'a Clock,
    pub(crate) keys: &'a KeyStock,
    pub(crate) caller: &'a Caller,
    pub(crate) rule: &'static ActionRule,
    pub(crate) product: &'static str,
    pub(crate) region: String,
    pub(crate) params: Params,
    pub(crate) now: Moment,
    /// Work to do before answering that may take a while.
    pub(crate) captures: Vec<Capture>,
}

/// The disk of a running instance, to be captured into an image or snapshot.
pub(crate) struct Capture {
    pub(crate) machine: Arc<dyn Machine>,
    pub(crate) image: Option<(String, String)>,
    pub(crate) snapshot: Option<String>,
}

/// Runs an action on the state.
pub(crate) fn execute(context: &mut Context<'_>, action: &str) -> Answer {
    let handler = handler(context.product, action)
        .ok_or_else(|| ApiError::gateway("InvalidAction.NotFound"))?;
    handler(context)
}

fn handler(product: &str, action: &str) -> Option<Handler> {
    match product {
        "Ecs" => ecs_handler(action).or_else(|| network_handler(action)),
        "Vpc" => match action {
            "TagResources" => Some(tag::tag_resources),
            "UnTagResources" => Some(tag::untag_resources),
            "ListTagResources" => Some(tag::list_tag_resources),
            _ => network_handler(action),
        },
        "Ram" => ram_handler(action),
        "Sts" => match action {
            "GetCallerIdentity" => Some(sts::get_caller_identity),
            "AssumeRole" => Some(sts::assume_role),
            "AssumeRoleWithOIDC" => Some(sts::assume_role_with_oidc),
            _ => None,
        },
        _ => None,
    }
}

fn ram_handler(action: &str) -> Option<Handler> {
    Some(match action {
        "GetRole" => ram::get_role,
        "CreateRole" => ram::create_role,
        "UpdateRole" => ram::update_role,
        "DeleteRole" => ram::delete_role,
        "ListRoles" => ram::list_roles,
        "AttachPolicyToRole" => ram::attach_policy,
        "DetachPolicyFromRole" => ram::detach_policy,
        "ListPoliciesForRole" => ram::list_policies,
        "GetPolicy" => ram::get_policy,
        _ => return None,
    })
}

/// Actions that VPC and, for old clients, ECS have.
fn network_handler(action: &str) -> Option<Handler> {
    Some(match action {
        "CreateVpc" => vpc::create_vpc,
        "DescribeVpcs" => vpc::describe_vpcs,
        "DeleteVpc" => vpc::delete_vpc,
        "CreateVSwitch" => vpc::create_vswitch,
        "DescribeVSwitches" => vpc::describe_vswitches,
        "DeleteVSwitch" => vpc::delete_vswitch,
        "AllocateEipAddress" => eip::allocate,
        "AssociateEipAddress" => eip::associate,
        "UnassociateEipAddress" => eip::unassociate,
        "ReleaseEipAddress" => eip::release,
        "DescribeEipAddresses" => eip::describe,
        _ => return None,
    })
}

fn ecs_handler(action: &str) -> Option<Handler> {
    Some(match action {
        "DescribeRegions" => region::describe_regions,
        "DescribeZones" => region::describe_zones,
        "DescribeAvailableResource" => region::describe_available_resource,
        "DescribeInstanceTypes" => region::describe_instance_types,
        "DescribeImages" => image::describe_images,
        "DescribeImageFromFamily" => image::describe_image_from_family,
        "CreateImage" => image::create_image,
        "DeleteImage" => image::delete_image,
        "ModifyImageAttribute" => image::modify_image_attribute,
        "CopyImage" => image_copy::copy_image,
        "CancelCopyImage" => image_copy::cancel_copy_image,
        "ModifyImageSharePermission" => image_copy::modify_image_share_permission,
        "DescribeImageSharePermission" => image_copy::describe_image_share_permission,
        "CreateSnapshot" => snapshot::create_snapshot,
        "DescribeSnapshots" => snapshot::describe_snapshots,
        "DeleteSnapshot" => snapshot::delete_snapshot,
        "ImportKeyPair" => key_pair::import_key_pair,
        "CreateKeyPair" => key_pair::create_key_pair,
        "DescribeKeyPairs" => key_pair::describe_key_pairs,
        "AttachKeyPair" => key_pair::attach_key_pair,
        "DetachKeyPair" => key_pair::detach_key_pair,
        "DeleteKeyPairs" => key_pair::delete_key_pairs,
        "CreateSecurityGroup" => security_group::create,
        "AuthorizeSecurityGroup" => security_group::authorize,
        "AuthorizeSecurityGroupEgress" => security_group::authorize_egress,
        "DescribeSecurityGroups" => security_group::describe,
        "DescribeSecurityGroupAttribute" => security_group::describe_attribute,
        "DeleteSecurityGroup" => security_group::delete,
        "RunInstances" => run::run_instances,
        "CreateInstance" => run::create_instance,
        "DescribeInstances" => instance::describe_instances,
        "DescribeInstanceStatus" => instance::describe_instance_status,
        "DescribeUserData" => instance::describe_user_data,
        "StartInstance" => instance::start_instance,
        "StopInstance" => instance::stop_instance,
        "RebootInstance" => instance::reboot_instance,
        "DeleteInstance" => instance::delete_instance,
        "ModifyInstanceAttribute" => instance::modify_instance_attribute,
        "AllocatePublicIpAddress" => instance::allocate_public_ip_address,
        "DescribeDisks" => disk::describe_disks,
        "DeleteDisk" => disk::delete_disk,
        "TagResources" => tag::tag_resources,
        "UntagResources" => tag::untag_resources,
        "ListTagResources" => tag::list_tag_resources,
        "DescribeTags" => tag::describe_tags,
        "AddTags" => tag::add_tags,
        "ImportImage" => import::import_image,
        "DescribeTaskAttribute" => task::describe_task_attribute,
        "DescribeTasks" => task::describe_tasks,
        "CancelTask" => task::cancel_task,
        _ => return None,
    })
}

impl Context<'_> {
    /// The documented error of this action with a code.
    pub(crate) fn error(&self, code: &str) -> ApiError {
        let documented = self.rule.errors.iter().find(|error| error.1 == code);
        match documented {
            Some((http, code, message)) if !message.contains("%s") => {
                ApiError::new(*http, code, message)
            }
            Some((http, code, _)) => ApiError::new(*http, code, ApiError::gateway(code).message),
            None => ApiError::gateway(code),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.params.get(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    pub(crate) fn require(&self, name: &str) -> Result<String, ApiError> {
        self.params.require(name).map(str::to_owned)
    }

    /// Values of all parameters: whatever resources the call names.
    pub(crate) fn causes(&self) -> Vec<String> {
        let values = self.params.as_map().values();
        values
            .flat_map(|value| value.split([',', '"', '[', ']']))
            .filter(|word| word.contains('-'))
            .map(str::to_owned)
            .collect()
    }

    pub(crate) fn begin(&mut self, what: &'static str, id: &str, delay: Duration) -> Transition {
        let causes = self.causes();
        self.cloud.begin(what, id, delay, self.now, &causes)
    }

    pub(crate) fn wall(&self) -> Timestamp {
        self.clock.wall(self.now)
    }

    /// The common part of a new resource. `name` is the parameter's value.
    pub(crate) fn common(&mut self, prefix: &str, name: String) -> Common {
        let region = self.region.clone();
        let id = self.cloud.new_id(prefix, &region);
        Common {
            id,
            region,
            name,
            description: self.text("Description"),
            resource_group: self.text("ResourceGroupId"),
            tags: self.params.tags(),
            created: self.wall(),
            seeded: false,
        }
    }

    pub(crate) fn takes_fault(&mut self, fault: StateFault) -> bool {
        self.faults.take_state(fault)
    }

    /// Whether a resource has the tags the call filters for.
    pub(crate) fn has_tags(&self, common: &Common) -> bool {
        let wanted = self.params.objects("Tag");
        wanted.iter().all(|tag| {
            let Some(key) = tag.get("Key") else {
                return true;
            };
            let have = common.tags.get(key);
            have.is_some_and(|value| tag.get("Value").is_none_or(|wanted| wanted == value))
        })
    }

    /// One page of items in the usual wrapper:
    /// `{"<plural>": {"<singular>": […]}, "TotalCount": …}`.
    pub(crate) fn page(&self, plural: &str, singular: &str, items: Vec<Value>) -> Value {
        let size = self.params.number("PageSize").unwrap_or(10).clamp(1, 100) as usize;
        let size = self
            .params
            .number("MaxResults")
            .map_or(size, |max| max.clamp(1, 100) as usize);
        let number = self.params.number("PageNumber").unwrap_or(1).max(1) as usize;
        let skip = self
            .get("NextToken")
            .and_then(|token| token.strip_prefix("skip"))
            .and_then(|count| count.parse().ok())
            .unwrap_or((number - 1) * size);
        let total = items.len();
        let more = skip + size < total;
        let page: Vec<Value> = items.into_iter().skip(skip).take(size).collect();
        let mut answer = Map::new();
        answer.insert(plural.to_owned(), json!({singular: page}));
        answer.insert("TotalCount".to_owned(), json!(total));
        answer.insert("PageNumber".to_owned(), json!(number));
        answer.insert("PageSize".to_owned(), json!(size));
        let token = if more && self.get("MaxResults").is_some() {
            format!("skip{}", skip + size)
        } else {
            String::new()
        };
        answer.insert("NextToken".to_owned(), json!(token));
        answer.insert("RegionId".to_owned(), json!(self.region));
        Value::Object(answer)
    }
}

/// Whether a comma list, if given at all, contains a value.
pub(crate) fn listed(list: Option<&str>, value: &str) -> bool {
    list.is_none_or(|list| list.split(',').any(|item| item.trim() == value))
}

/// Whether a JSON list, if given at all, contains a value.
pub(crate) fn among(list: Option<&Vec<String>>, value: &str) -> bool {
    list.is_none_or(|list| list.iter().any(|item| item == value))
}

/// Whether a filter, if given at all, matches the value. `*` stands for
/// anything.
pub(crate) fn equals(filter: Option<&str>, value: &str) -> bool {
    filter.is_none_or(|filter| glob(filter.as_bytes(), value.as_bytes()))
}

/// Tags must have keys, each once, and stay within the limit.
pub(crate) fn check_tags(context: &Context<'_>) -> Result<(), ApiError> {
    let mut seen = BTreeMap::new();
    for tag in context.params.objects("Tag") {
        let key = tag.get("Key").cloned().unwrap_or_default();
        let reserved = ["aliyun", "acs:"].iter().any(|p| key.starts_with(p));
        if key.is_empty() || key.chars().count() > 128 || reserved || has_url(&key) {
            return Err(context.error("InvalidTagKey.Malformed"));
        }
        let value = tag.get("Value").cloned().unwrap_or_default();
        if value.chars().count() > 128 || has_url(&value) {
            return Err(context.error("InvalidTagValue.Malformed"));
        }
        if seen.insert(key, value).is_some() {
            return Err(context.error("Duplicate.TagKey"));
        }
    }
    if seen.len() > 20 {
        return Err(context.error("QuotaExceed.Tags"));
    }
    Ok(())
}

fn has_url(text: &str) -> bool {
    text.contains("http://") || text.contains("https://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_of_the_table_is_implemented() {
        for name in crate::parameters::actions() {
            let (product, action) = name.split_once('.').unwrap();
            assert!(handler(product, action).is_some(), "{name}");
        }
    }
}
