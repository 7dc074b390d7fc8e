//! The template that the tests of trouble vary.

use serde_json::{Value, json};

use crate::template;

/// One build, `web`, with some options of its builder changed. The time-out is
/// generous, because an hour here is seconds.
pub(crate) fn web(options: Value) -> String {
    with_provisioners(
        options,
        &json!([{"type": "shell", "inline": ["echo hello"]}]),
    )
}

/// The same with other provisioners.
pub(crate) fn with_provisioners(options: Value, provisioners: &Value) -> String {
    let mut all = json!({"ssh_timeout": "1h"});
    let Value::Object(options) = options else {
        panic!("options are an object");
    };
    all.as_object_mut().unwrap().extend(options);
    let template = template::provisioned(template::web(all), provisioners.clone());
    serde_json::to_string_pretty(&template).unwrap()
}

/// A build that uses every call there is for an image: it replaces an older
/// one, leaves out data disks, is copied, shared and tagged.
pub(crate) fn everything() -> String {
    web(json!({
        "image_force_delete": true,
        "image_force_delete_snapshots": true,
        "image_ignore_data_disks": true,
        "image_copy_regions": ["cn-hangzhou"],
        "image_share_account": ["1234567890123456"],
        "tags": {"app": "web"},
    }))
}
