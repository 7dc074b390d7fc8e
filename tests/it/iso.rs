//! From an installation ISO to an image on top of the imported one: the
//! installer, the installed system and the instance all really run, emulated.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use alicloud_image_sandbox::guest::{Confinement, namespaces_available};
use alicloud_image_sandbox::host::Guests;
use alicloud_image_sandbox::qemu::Qemu;
use alicloud_image_sandbox::{Delays, SandboxOptions, SeedBucket};

use crate::harness::{Lab, options};

/// The instance's SSH has half an hour in the template, and three minutes here.
const TIME_SCALE: f64 = 0.1;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The ISO that `script/iso` makes, once.
fn iso() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_alicloud-image"));
    let target = binary.parent().and_then(Path::parent).unwrap();
    let made = Command::new(repository().join("script/iso"))
        .arg(target.join("iso/test.iso"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "script/iso: {said}");
    PathBuf::from(String::from_utf8(made.stdout).unwrap().trim())
}

/// Where instances of imported images are virtual machines.
async fn lab() -> Lab {
    namespaces_available().expect("the tests need user namespaces");
    let guests = Guests {
        confinement: Confinement::Namespaces,
        time_scale: TIME_SCALE,
        powershell: None,
    };
    let lab = Lab::with(SandboxOptions {
        machines: Arc::new(Qemu::new(Arc::new(guests))),
        delays: Delays::none(),
        time_scale: TIME_SCALE,
        ..options()
    })
    .await;
    lab.sandbox.seed().bucket(&SeedBucket {
        region: "cn-beijing".to_owned(),
        name: "golden-images".to_owned(),
        ..SeedBucket::default()
    });
    lab
}

/// A template of the examples that the documentation is about.
fn example(name: &str) -> String {
    repository()
        .join("examples/iso")
        .join(name)
        .display()
        .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_iso_becomes_an_image_and_an_instance_of_it_another_one() {
    let lab = lab().await;
    let iso = iso();
    let variables = [
        format!("-var=iso_url={}", iso.display()),
        format!("-var=iso_checksum=file:{}.sha256", iso.display()),
        "-var=accelerator=tcg".to_owned(),
    ];
    let mut arguments = vec!["build"];
    arguments.extend(variables.iter().map(String::as_str));
    let template = example("golden.json");
    arguments.push(&template);
    let outcome = lab.run(&arguments).await.success();
    assert!(
        outcome.stdout.contains("==> 0 resources left\n"),
        "{}",
        outcome.text()
    );
    let golden = outcome.outputs["image-id"].clone();
    let disk = &lab.call("ImportImage").params;
    assert_eq!(disk["DiskDeviceMapping.1.Format"], "QCOW2");

    std::fs::remove_file(lab.path("outputs")).unwrap();
    let source = format!("source_image={golden}");
    let outcome = lab
        .run(&["build", "-var", &source, &example("web.json")])
        .await
        .success();
    let text = outcome.text();
    assert!(text.contains("web: provisioned\n"), "{text}");
    assert!(text.contains("==> 0 resources left\n"), "{text}");
    assert_ne!(outcome.outputs["image-id"], golden);
    assert_eq!(lab.sandbox.images().len(), 2);
}

#[test]
fn the_documentation_shows_the_templates_that_are_tested() {
    let read = |path: &str| std::fs::read_to_string(repository().join(path)).unwrap();
    let page = read("docs/iso-to-ecs.md");
    for template in ["examples/iso/golden.json", "examples/iso/web.json"] {
        assert!(page.contains(&read(template)), "{template}");
    }
}
