//! Templates for tests: the least a build needs, and what a test adds to it.

use serde_json::{Value, json};

/// One build, `web`, in cn-beijing.
pub(crate) fn web(options: Value) -> Value {
    template(&[builder("web", options)])
}

/// One build without a machine to connect to.
pub(crate) fn silent(options: Value) -> Value {
    let mut template = web(options);
    template["builders"][0]["communicator"] = json!("none");
    template
}

pub(crate) fn template(builders: &[Value]) -> Value {
    json!({"builders": builders})
}

/// A builder; `options` are added to it.
pub(crate) fn builder(name: &str, options: Value) -> Value {
    let mut builder = json!({
        "type": "alicloud-ecs",
        "name": name,
        "region": "cn-beijing",
        "image_name": name,
        "source_image": "aliyun_3_x64_20G_alibase_20240819.vhd",
        "instance_type": "ecs.g6.large",
        "ssh_username": "root"
    });
    let Value::Object(options) = options else {
        panic!("options are an object");
    };
    builder.as_object_mut().unwrap().extend(options);
    builder
}

/// The template with provisioners.
pub(crate) fn provisioned(mut template: Value, provisioners: Value) -> Value {
    template["provisioners"] = provisioners;
    template
}
