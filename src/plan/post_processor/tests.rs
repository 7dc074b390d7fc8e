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

#[test]
fn compress_knows_its_formats_and_levels() {
    let Kind::Compress(compress) = with("compress", "{}").read else {
        panic!("not compress")
    };
    assert_eq!(compress.output, "packer_{{.BuildName}}_{{.BuilderType}}");
    assert_eq!(compress.format, Format::Tar(Some(Codec::Gzip)));
    assert_eq!(compress.level, None);
    for (text, expected) in [
        (
            r#"{"output":"a.tar.xz"}"#,
            "error: Option `output` of `it` asks for the format `xz`, which cannot be written",
        ),
        (
            r#"{"output":"a.zip","format":"bzip2"}"#,
            "error: Option `format` of `it` asks for the format `bzip2`, which cannot be written",
        ),
        (
            r#"{"compression_level":10}"#,
            "error: Option `compression_level` of `it` is 10",
        ),
        (
            r#"{"output":"a.lz4","compression_level":9}"#,
            "warning: Option `compression_level` of `it` has no effect on this format",
        ),
        (
            r#"{"output":"{{.Name}}"}"#,
            "error: Option `output` of `it` cannot be rendered: There is no field `.Name` here",
        ),
    ] {
        assert_eq!(with("compress", text).findings, [expected], "{text}");
    }
}

#[test]
fn artifice_wants_files() {
    for text in ["{}", r#"{"files":[]}"#] {
        let findings = with("artifice", text).findings;
        assert_eq!(findings, ["error: Option `files` of `it` is missing"]);
    }
    let Kind::Artifice(artifice) = with("artifice", r#"{"files":"a,b*"}"#).read else {
        panic!("not artifice")
    };
    let files: Vec<_> = artifice.files.iter().map(|file| &file.value).collect();
    assert_eq!(files, ["a", "b*"]);
}
