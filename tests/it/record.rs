//! What a run called and left in the cloud, for assertions on parameters,
//! order, and absence.

use alicloud_image_sandbox::Call;
use serde_json::Value;

use crate::harness::{Lab, Outcome};

#[track_caller]
pub(crate) fn assert_params(call: &Call, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        let actual = call.params.get(*name).map(String::as_str);
        assert_eq!(actual, Some(*value), "{name} of {call:#?}");
    }
}

#[track_caller]
pub(crate) fn assert_absent(call: &Call, names: &[&str]) {
    for name in names {
        assert!(!call.params.contains_key(*name), "{name} in {call:#?}");
    }
}

#[track_caller]
pub(crate) fn assert_never_called(lab: &Lab, actions: &[&str]) {
    for action in actions {
        assert_eq!(lab.calls(action).len(), 0, "calls of {action}");
    }
}

/// When the first call of an action was answered, as a place in the record.
#[track_caller]
fn place_of(lab: &Lab, action: &str) -> usize {
    let calls = lab.sandbox.calls();
    let place = calls.iter().position(|call| call.action == action);
    place.unwrap_or_else(|| panic!("{action} was not called"))
}

#[track_caller]
pub(crate) fn assert_order(lab: &Lab, actions: &[&str]) {
    let places: Vec<_> = actions.iter().map(|action| place_of(lab, action)).collect();
    assert!(places.is_sorted(), "{actions:?} came as {places:?}");
}

/// The one image, which is available and the one that the outputs name.
#[track_caller]
pub(crate) fn the_image(lab: &Lab, outcome: &Outcome) -> Value {
    let images = lab.sandbox.images();
    assert_eq!(images.len(), 1, "{images:#?}");
    assert_eq!(images[0]["Status"], "Available");
    assert_eq!(images[0]["ImageId"], outcome.outputs["image-id"].as_str());
    images[0].clone()
}

pub(crate) fn mappings(image: &Value) -> &Vec<Value> {
    let mappings = &image["DiskDeviceMappings"]["DiskDeviceMapping"];
    mappings.as_array().unwrap()
}

/// The user's tags of a call, without those that trace a run.
pub(crate) fn tags(call: &Call) -> Vec<(String, String)> {
    let numbered = (1..=20).map_while(|number| {
        let part = |part| call.params.get(&format!("Tag.{number}.{part}")).cloned();
        Some((part("Key")?, part("Value")?))
    });
    let mut tags: Vec<_> = numbered
        .filter(|(key, _)| !key.starts_with("alicloud-image:"))
        .collect();
    tags.sort();
    tags
}
