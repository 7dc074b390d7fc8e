use super::*;
use crate::plan::testing::{Outcome, read_in};

fn with(name: &str, text: &str) -> Outcome<Kind> {
    let kind = TYPES.iter().find(|kind| kind.name == name).unwrap();
    read_in(".", text, kind.options, |reader| {
        (kind.read)(reader, crate::plan::alicloud_ecs::Defaults::default())
    })
}

#[test]
fn manifest_has_packers_defaults() {
    let Kind::Manifest(manifest) = with("manifest", "{}").read else {
        panic!("not manifest")
    };
    assert_eq!(manifest.output, "packer-manifest.json");
    assert_eq!(manifest.custom_data, None);
    let text = r#"{"filename":"old.json","custom_data":{"b":1,"a":"{{.ID}}"}}"#;
    let outcome = with("manifest", text);
    assert_eq!(
        outcome.findings,
        ["warning: Option `filename` of `it` is deprecated"]
    );
    let Kind::Manifest(manifest) = outcome.read else {
        panic!("not manifest")
    };
    assert_eq!(manifest.output, "old.json");
    let data = manifest.custom_data.unwrap();
    assert_eq!(
        data,
        [("a".into(), "{{.ID}}".into()), ("b".into(), "1".into())]
    );
}

#[test]
fn checksum_knows_its_digests() {
    let Kind::Checksum(checksum) = with("checksum", "{}").read else {
        panic!("not checksum")
    };
    assert_eq!(checksum.checksum_types, [ChecksumType::Md5]);
    assert_eq!(
        checksum.output,
        "packer_{{.BuildName}}_{{.BuilderType}}_{{.ChecksumType}}.checksum"
    );
    let outcome = with("checksum", r#"{"checksum_types":["sha256","crc32"]}"#);
    assert_eq!(
        outcome.findings,
        ["error: Option `checksum_types` of `it` contains `crc32`, which is not a digest"]
    );
}
