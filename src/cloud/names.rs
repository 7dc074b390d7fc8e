//! Checks every typed request against the API's published parameter names.
//!
//! `names.txt` has a line for each action: its name and its parameters, list
//! indices left out, required ones marked with `!`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::parameters::Parameters;
use super::{Action, ecs, ram, sts, vpc};

/// The API's parameters of each action; true when required.
fn published() -> BTreeMap<&'static str, BTreeMap<&'static str, bool>> {
    include_str!("names.txt")
        .lines()
        .map(|line| {
            let mut words = line.split(' ');
            let action = words.next().unwrap();
            let names = words.map(|name| (name.trim_end_matches('!'), name.ends_with('!')));
            (action, names.collect())
        })
        .collect()
}

/// All names a request can send; absent options serialize as `null`.
fn sent(request: &impl Serialize) -> Vec<String> {
    let mut names = Vec::new();
    collect("", &serde_json::to_value(request).unwrap(), &mut names);
    names
}

fn collect(prefix: &str, value: &Value, names: &mut Vec<String>) {
    let Value::Object(members) = value else {
        names.push(prefix.to_owned());
        return;
    };
    for (name, value) in members {
        let dot = if prefix.is_empty() { "" } else { "." };
        collect(&format!("{prefix}{dot}{name}"), value, names);
    }
}

fn check<R: Action + Default>(seen: &mut Vec<&'static str>) {
    let published = published();
    let known = &published[R::NAME];
    let sent = sent(&R::default());
    for name in &sent {
        assert!(known.contains_key(name.as_str()), "{}: {name}", R::NAME);
    }
    for (name, required) in known {
        let added = *name == "RegionId";
        let present = added || sent.iter().any(|sent| sent == name);
        assert!(!required || present, "{}: {name} is required", R::NAME);
    }
    let takes_token = known.contains_key("ClientToken");
    let sends_token = R::REPEAT == super::Repeat::WithClientToken;
    assert!(!sends_token || takes_token, "{}: no ClientToken", R::NAME);
    seen.push(R::NAME);
}

macro_rules! check_all {
    ($seen:ident: $($request:ty),+ $(,)?) => { $(check::<$request>(&mut $seen);)+ };
}

#[test]
fn every_request_uses_published_names() {
    let mut seen = Vec::new();
    check_all!(seen:
        ecs::AuthorizeSecurityGroup,
        ecs::CancelCopyImage,
        ecs::CancelTask,
        ecs::CopyImage,
        ecs::CreateImage,
        ecs::CreateSecurityGroup,
        ecs::CreateSnapshot,
        ecs::DeleteDisk,
        ecs::DeleteImage,
        ecs::DeleteInstance,
        ecs::DeleteKeyPairs,
        ecs::DeleteSecurityGroup,
        ecs::DeleteSnapshot,
        ecs::DescribeAvailableResource,
        ecs::DescribeDisks,
        ecs::DescribeImageFromFamily,
        ecs::DescribeImages,
        ecs::DescribeImageSharePermission,
        ecs::DescribeInstances,
        ecs::DescribeKeyPairs,
        ecs::DescribeRegions,
        ecs::DescribeSecurityGroups,
        ecs::DescribeSnapshots,
        ecs::DescribeTasks,
        ecs::DescribeZones,
        ecs::DetachKeyPair,
        ecs::ImportImage,
        ecs::ImportKeyPair,
        ecs::ListTagResources,
        ecs::ModifyImageAttribute,
        ecs::ModifyImageSharePermission,
        ecs::RebootInstance,
        ecs::RunInstances,
        ecs::StartInstance,
        ecs::StopInstance,
        ecs::TagResources,
        ram::AttachPolicyToRole,
        ram::CreateRole,
        ram::GetPolicy,
        ram::GetRole,
        ram::ListPoliciesForRole,
        sts::AssumeRole,
        sts::AssumeRoleWithOidc,
        sts::GetCallerIdentity,
        vpc::AllocateEipAddress,
        vpc::AssociateEipAddress,
        vpc::CreateVSwitch,
        vpc::CreateVpc,
        vpc::DeleteVSwitch,
        vpc::DeleteVpc,
        vpc::DescribeEipAddresses,
        vpc::DescribeVSwitches,
        vpc::DescribeVpcs,
        vpc::ReleaseEipAddress,
        vpc::UnassociateEipAddress,
    );
    seen.sort_unstable();
    assert_eq!(seen, published().into_keys().collect::<Vec<_>>());
}

#[test]
fn every_list_element_uses_published_names() {
    let table = [
        ("RunInstances", "DataDisk", sent(&ecs::DataDisk::default())),
        (
            "CreateImage",
            "DiskDeviceMapping",
            sent(&ecs::NewDiskDeviceMapping::default()),
        ),
        (
            "AuthorizeSecurityGroup",
            "Permissions",
            sent(&ecs::Permission::default()),
        ),
        (
            "ImportImage",
            "DiskDeviceMapping",
            sent(&ecs::ImportedDisk::default()),
        ),
        ("RunInstances", "Tag", sent(&super::Tag::default())),
    ];
    let published = published();
    for (action, list, names) in table {
        for name in names {
            let full = format!("{list}.{name}");
            assert!(
                published[action].contains_key(full.as_str()),
                "{action}: {full}"
            );
        }
    }
}

#[test]
fn a_dry_run_is_the_request_plus_one_parameter() {
    let request = ecs::RunInstances {
        instance_type: "ecs.g7.large".into(),
        password: Some(crate::secret::Secret::new("hunter2!")),
        tag: vec![super::Tag::new("a", "b")],
        ..Default::default()
    };
    let mut expected = Parameters::of(&request).unwrap();
    expected.add("DryRun", "true");
    let sent = Parameters::of(&ecs::TryRunInstances::new(request)).unwrap();
    assert!(sent.iter().eq(expected.iter()), "{sent}");
    assert!(!sent.to_string().contains("hunter2!"));
}
