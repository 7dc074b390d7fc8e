//! Builds that succeed.

use crate::harness::Lab;

/// A template with one builder; `{…}` in `extra` adds options to it.
const WEB: &str = r#"{
  "builders": [{
    "type": "alicloud-ecs",
    "name": "web",
    "region": "cn-beijing",
    "image_name": "web",
    "source_image": "aliyun_3_x64_20G_alibase_20240819.vhd",
    "instance_type": "ecs.g6.large",
    "ssh_username": "root"
  }],
  "provisioners": [{"type": "shell", "inline": ["echo hello", "echo built > /etc/built"]}]
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_template_becomes_an_image_and_nothing_is_left() {
    let lab = Lab::new().await;
    let outcome = lab
        .write("web.json", WEB)
        .run(&["build", "web.json"])
        .await
        .success();
    assert!(
        outcome.stdout.contains("    web: hello\n"),
        "{}",
        outcome.stdout
    );
    assert!(
        outcome.stdout.contains("==> 0 resources left\n"),
        "{}",
        outcome.stdout
    );
    let image = &lab.sandbox.images()[0];
    assert_eq!(
        outcome.outputs["image-id"],
        image["ImageId"].as_str().unwrap()
    );
    assert_eq!(outcome.outputs["status"], "success");
    assert_eq!(lab.temporary(), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_of_one_template_do_not_get_in_each_others_way() {
    let mut template = serde_json::from_str::<serde_json::Value>(WEB).unwrap();
    let web = template["builders"][0].clone();
    for name in ["db", "db 2"] {
        let mut other = web.clone();
        other["name"] = name.into();
        other["image_name"] = name.replace(' ', "-").into();
        template["builders"].as_array_mut().unwrap().push(other);
    }
    let lab = Lab::new().await;
    let outcome = lab
        .write("all.json", &template.to_string())
        .run(&["build", "all.json"])
        .await
        .success();
    let images: Vec<serde_json::Value> = serde_json::from_str(&outcome.outputs["images"]).unwrap();
    assert_eq!(images.len(), 3);
}
