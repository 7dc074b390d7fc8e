//! `checksum`.

use super::*;

#[tokio::test]
async fn lines_are_appended_to_a_rendered_path() {
    let directory = tempfile::tempdir().unwrap();
    let files = ["a", "b"].map(|name| directory.path().join(name)).to_vec();
    for file in &files {
        std::fs::write(file, "abc").unwrap();
    }
    let root = directory.path().display();
    let output =
        format!("{root}/new/{{{{.BuildName}}}}_{{{{.BuilderType}}}}_{{{{.ChecksumType}}}}");
    let step = checksum(&output, &[ChecksumType::Md5, ChecksumType::Sha1]);
    let world = World::new(Fake::default());
    let outcome = run_sequences(&[vec![step]], with_files(files), &world.context(), None).await;
    assert!(outcome.errors.is_empty(), "{:?}", outcome.errors);
    let made = &outcome.artifacts[1];
    assert_eq!(made.builder_id, "packer.post-processor.checksum");
    assert_eq!(made.id, "");
    assert_eq!(
        made.description,
        format!(
            "Created artifact from files: {root}/a, {root}/b, \
                 {root}/new/web_alicloud-ecs_md5, {root}/new/web_alicloud-ecs_sha1"
        )
    );
    assert_eq!(
        std::fs::read_to_string(&made.files[2]).unwrap(),
        "900150983cd24fb0d6963f7d28e17f72\ta\n900150983cd24fb0d6963f7d28e17f72\tb\n"
    );
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("sums");
    let step = checksum(output.to_str().unwrap(), &[ChecksumType::Md5]);
    let input = with_files(vec!["/nonexistent".into()]);
    let world = World::new(Fake::default());
    let outcome = run_sequences(&[vec![step]], input, &world.context(), None).await;
    let text = crate::error::one_line(&outcome.errors[0]);
    assert!(text.contains("Could not read /nonexistent"), "{text}");
    assert_eq!(outcome.artifacts.len(), 1);
}
