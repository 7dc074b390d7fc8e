//! Copying images between regions and sharing them.

use serde_json::{Value, json};

use super::image::{blank_image, check_name, check_unused};
use super::{Answer, Context, check_tags};
use crate::catalogue::regions;
use crate::state::Common;
use crate::state::image::{Image, ImageStatus, Snapshot, SnapshotStatus};

pub(super) fn copy_image(context: &mut Context<'_>) -> Answer {
    check_tags(context)?;
    let source_id = context.require("ImageId")?;
    let source_key = (context.region.clone(), source_id);
    let Some(source) = context.cloud.images.get(&source_key).cloned() else {
        return Err(context.error("InvalidImageId.NotFound"));
    };
    if source.status != ImageStatus::Available {
        return Err(context.error("IncorrectImageStatus"));
    }
    let destination = context.get("DestinationRegionId");
    let destination = destination.unwrap_or(&context.region).to_owned();
    if !regions().contains_key(&destination) {
        return Err(context.error("DestinationRegion.NotFound"));
    }
    let encrypted = context.params.flag("Encrypted");
    if destination == context.region && !encrypted {
        return Err(context.error("IncorrectDestinationRegion"));
    }
    let name = context.get("DestinationImageName").map(str::to_owned);
    if let Some(name) = &name {
        check_name(context, name)?;
        check_unused(context, &destination, name)?;
    }
    let image = begin_copy(context, &source, source_key, &destination, name);
    let id = image.common.id.clone();
    context
        .cloud
        .images
        .insert((destination, id.clone()), image);
    Ok(json!({"ImageId": id}))
}

fn begin_copy(
    context: &mut Context<'_>,
    source: &Image,
    source_key: (String, String),
    destination: &str,
    name: Option<String>,
) -> Image {
    let id = context.cloud.new_id("m", destination);
    let common = Common {
        id: id.clone(),
        region: destination.to_owned(),
        name: name.unwrap_or_else(|| format!("copied_from_{}", source.common.id)),
        description: context.text("DestinationDescription"),
        resource_group: context.text("ResourceGroupId"),
        tags: context.params.tags(),
        created: context.wall(),
        seeded: false,
    };
    let transition = context.begin("copy", &id, context.cloud.delays.copy);
    let mut image = blank_image(context, common, source);
    image.transition = Some(transition);
    image.is_copy = true;
    image.encrypted = context.params.flag("Encrypted");
    image.disk = source.disk.clone();
    image.copied_from = Some(source_key);
    for mapping in &source.mappings {
        let snapshot = context.cloud.new_id("s", destination);
        let copy = Snapshot {
            common: Common {
                id: snapshot.clone(),
                name: format!("SnapshotForImage-{id}"),
                tags: Default::default(),
                ..image.common.clone()
            },
            disk: String::new(),
            disk_kind: mapping.kind,
            size: mapping.size,
            status: SnapshotStatus::Progressing,
            transition: Some(transition),
            fails: false,
            content: source.disk.clone().filter(|_| mapping.kind == "system"),
            platform: source.platform.clone(),
        };
        context.cloud.snapshots.insert(snapshot.clone(), copy);
        let mut mapping = mapping.clone();
        mapping.snapshot = snapshot;
        image.mappings.push(mapping);
    }
    image
}

pub(super) fn cancel_copy_image(context: &mut Context<'_>) -> Answer {
    let key = (context.region.clone(), context.require("ImageId")?);
    let Some(image) = context.cloud.images.get(&key) else {
        return Err(context.error("InvalidImageId.NotFound"));
    };
    if !image.is_copy {
        return Err(context.error("ImageCreatedNotFromCopy"));
    }
    if image.status != ImageStatus::Creating {
        return Err(context.error("IncorrectImageStatus"));
    }
    let image = context.cloud.images.remove(&key);
    for mapping in image.into_iter().flat_map(|image| image.mappings) {
        context.cloud.snapshots.remove(&mapping.snapshot);
    }
    Ok(json!({}))
}

/// How many accounts one call handles; the rest is ignored without a word.
const ACCOUNTS_PER_CALL: usize = 10;

pub(super) fn modify_image_share_permission(context: &mut Context<'_>) -> Answer {
    let key = (context.region.clone(), context.require("ImageId")?);
    let add = context.params.list("AddAccount");
    let remove = context.params.list("RemoveAccount");
    let Some(image) = context.cloud.images.get_mut(&key) else {
        return Err(context.error("InvalidImageId.NotFound"));
    };
    // An image that is still being created or copied can be shared.
    if image.status == ImageStatus::Deprecated && !add.is_empty() {
        return Err(context.error("OperationDenied.InvalidImageStatus"));
    }
    let is_account = |id: &String| id.len() == 16 && id.chars().all(|c| c.is_ascii_digit());
    if !add.iter().all(is_account) {
        return Err(context.error("InvalidAccount.NotFound"));
    }
    image
        .shared_with
        .extend(add.into_iter().take(ACCOUNTS_PER_CALL));
    for account in remove.iter().take(ACCOUNTS_PER_CALL) {
        image.shared_with.remove(account);
    }
    Ok(json!({}))
}

pub(super) fn describe_image_share_permission(context: &mut Context<'_>) -> Answer {
    let key = (context.region.clone(), context.require("ImageId")?);
    let image = context.cloud.images.get(&key);
    let image = image.ok_or_else(|| context.error("InvalidImageId.NotFound"))?;
    let accounts = image.shared_with.iter();
    let accounts: Vec<Value> = accounts.map(|id| json!({"AliyunId": id})).collect();
    let mut answer = context.page("Accounts", "Account", accounts);
    answer["ImageId"] = json!(key.1);
    answer["ShareGroups"] = json!({"ShareGroup": []});
    Ok(answer)
}
