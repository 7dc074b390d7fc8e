//! The command by which a person deletes what a run could not.

use crate::engine::event::Leftover;
use crate::journal::resource::Kind;

/// For a later day and another machine, where there is no journal: what is in a
/// bucket is then found only if the bucket is named. Without a run these are
/// leftovers of several.
pub(super) fn cleanup_command(run: &str, leftovers: &[Leftover]) -> String {
    let mut command = match run {
        "" => "alicloud-image cleanup --expired".to_owned(),
        run => format!("alicloud-image cleanup --run {run}"),
    };
    let stored = [Kind::OssUpload, Kind::OssObject, Kind::OssMarker].map(Kind::name);
    let resources = leftovers.iter().map(|leftover| &leftover.resource);
    let mut buckets: Vec<_> = resources
        .filter(|resource| stored.contains(&resource.kind.as_str()))
        .filter_map(|resource| Some(resource.id.split_once('/')?.0))
        .collect();
    buckets.sort_unstable();
    buckets.dedup();
    if !buckets.is_empty() {
        command += " --oss-bucket-name=";
        command += &buckets.join(",");
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Resource;

    #[test]
    fn buckets_are_named_once() {
        let left = |kind: Kind, id: &str| Leftover {
            resource: Resource {
                kind: kind.name().to_owned(),
                id: id.to_owned(),
                region: "cn-beijing".to_owned(),
            },
            reason: String::new(),
        };
        let vpc = left(Kind::Vpc, "vpc-1");
        let object = left(Kind::OssObject, "b/k");
        let upload = left(Kind::OssUpload, "a/d/k?uploadId=U");
        let marker = left(Kind::OssMarker, "b/m");
        assert_eq!(
            cleanup_command("r", std::slice::from_ref(&vpc)),
            "alicloud-image cleanup --run r"
        );
        assert_eq!(
            cleanup_command("", &[vpc, object, upload, marker]),
            "alicloud-image cleanup --expired --oss-bucket-name=a,b"
        );
    }
}
