//! A plan in a few words, as JSON: for `alicloud-image plan`, for reviews of
//! pull requests, and for whatever decides before a build.
//!
//! It holds what identifies the builds and what comes out of them, not every
//! option. Sensitive values are not in it.

use serde_json::{Value, json};

use super::alicloud_ecs::{AlicloudEcs, ImageOptions, Source, SourceFilter};
use super::communicator::Communicator;
use super::import::Import;
use super::post_processor::{Kind, PostProcessor};
use super::provisioner::Provisioner;
use super::qemu::Qemu;
use super::{Build, Builder, Plan};
use crate::secret::Secret;

/// The plan, for people and programs.
pub fn outline(plan: &Plan) -> Value {
    let builds: Vec<_> = plan.builds.iter().map(of_build).collect();
    let mut outline = json!({
        "template": plan.template_path.display().to_string(),
        "builds": builds,
    });
    hide(&mut outline, &plan.secrets);
    outline
}

fn of_build(build: &Build) -> Value {
    let mut outline = json!({
        "name": build.name,
        "type": build.builder.type_name(),
    });
    let of_builder = match &build.builder {
        Builder::AlicloudEcs(options) => of_ecs(options),
        Builder::Qemu(options) => of_qemu(options),
    };
    let provisioners: Vec<_> = build.provisioners.iter().map(of_provisioner).collect();
    let sequences = build.post_processors.iter();
    let sequences: Vec<Vec<_>> = sequences
        .map(|sequence| sequence.iter().map(of_post_processor).collect())
        .collect();
    let of_all = json!({
        "communicator": of_communicator(&build.communicator),
        "provisioners": provisioners,
        "post_processors": sequences,
    });
    extend(&mut outline, of_builder);
    extend(&mut outline, of_all);
    outline
}

fn of_ecs(options: &AlicloudEcs) -> Value {
    let run = &options.run;
    let types: Vec<_> = run.instance_types.iter().map(|it| &it.value).collect();
    let mut outline = json!({
        "region": options.access.region.value,
        "source": of_source(&run.source),
        "instance_types": types,
        "makes_image": !options.image.skip_create,
    });
    extend(&mut outline, of_image(&options.image));
    outline
}

fn of_source(source: &Source) -> Value {
    match source {
        Source::Image(image) => json!({"image": image.value}),
        Source::Family(family) => json!({"family": family.value}),
        Source::Filter(filter) => json!({"filter": of_filter(filter)}),
    }
}

fn of_filter(filter: &SourceFilter) -> Value {
    json!({
        "name": filter.name,
        "family": filter.family,
        "architecture": filter.architecture,
        "tags": filter.tags,
        "most_recent": filter.most_recent,
    })
}

fn of_image(image: &ImageOptions) -> Value {
    let copies: Vec<_> = image.copies.iter().map(|copy| &copy.region.value).collect();
    json!({
        "image_name": image.name.value,
        "image_copy_regions": copies,
        "image_share_account": image.share_accounts,
        "image_force_delete": image.force_delete,
        "tags": image.tags,
    })
}

fn of_qemu(options: &Qemu) -> Value {
    let urls: Vec<_> = options.source.urls.iter().map(|url| &url.value).collect();
    json!({
        "iso_urls": urls,
        "output_directory": options.disks.output_directory.value.display().to_string(),
        "vm_name": options.disks.vm_name,
    })
}

fn of_communicator(communicator: &Communicator) -> &'static str {
    match communicator {
        Communicator::None => "none",
        Communicator::Ssh(_) => "ssh",
        Communicator::Winrm(_) => "winrm",
    }
}

fn of_provisioner(provisioner: &Provisioner) -> Value {
    json!({"type": provisioner.kind.type_name()})
}

fn of_post_processor(post_processor: &PostProcessor) -> Value {
    let mut outline = json!({
        "name": post_processor.name,
        "type": post_processor.kind.type_name(),
    });
    if let Kind::AlicloudImport(import) = &post_processor.kind {
        extend(&mut outline, of_import(import));
    }
    outline
}

fn of_import(import: &Import) -> Value {
    let mut outline = json!({
        "region": import.access.region.value,
        "oss_bucket_name": import.bucket.value,
    });
    extend(&mut outline, of_image(&import.image));
    outline
}

fn extend(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}

fn hide(value: &mut Value, secrets: &[Secret]) {
    match value {
        Value::String(text) => {
            for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
                *text = text.replace(secret.expose(), "<sensitive>");
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| hide(value, secrets)),
        Value::Object(object) => object.values_mut().for_each(|value| hide(value, secrets)),
        _ => {}
    }
}
