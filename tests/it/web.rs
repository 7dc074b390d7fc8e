//! The template that the tests of trouble vary.

use serde_json::{Value, json};

/// One build, `web`, with some options of its builder changed; `null` takes an
/// option out. The time-out is generous, because an hour here is seconds.
pub(crate) fn web(options: Value) -> String {
    with_provisioners(
        options,
        &json!([{"type": "shell", "inline": ["echo hello"]}]),
    )
}

/// The same with other provisioners.
pub(crate) fn with_provisioners(options: Value, provisioners: &Value) -> String {
    let mut builder = json!({
        "type": "alicloud-ecs",
        "name": "web",
        "region": "cn-beijing",
        "image_name": "web",
        "source_image": "aliyun_3_x64_20G_alibase_20240819.vhd",
        "instance_type": "ecs.g6.large",
        "ssh_username": "root",
        "ssh_timeout": "1h",
    });
    let Value::Object(options) = options else {
        panic!("options are an object");
    };
    for (name, value) in options {
        builder[name] = value;
    }
    let builder = builder.as_object_mut().unwrap();
    builder.retain(|_, value| !value.is_null());
    let template = json!({"builders": [builder], "provisioners": provisioners});
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
