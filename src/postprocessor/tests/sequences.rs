//! The rules of sequences: what goes on, what is kept.

use super::*;

#[tokio::test]
async fn without_sequences_the_artifact_remains() {
    let world = World::new(Fake::default());
    let outcome = run_sequences(&[], cloud_image(), &world.context(), None).await;
    assert_eq!(outcome.artifacts, [cloud_image()]);
    assert!(outcome.discarded.is_empty() && outcome.errors.is_empty());
}

#[tokio::test]
async fn a_failure_ends_its_sequence_only_and_destroys_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.json");
    let mut never = manifest(&directory.path().join("never.json"));
    never.keep_input_artifact = Some(false);
    let mut named = manifest(&path);
    named.name = "list".into();
    let sequences = [vec![local("exit 3"), never], vec![named]];
    let world = World::new(Fake::default());
    let outcome = run_sequences(&sequences, cloud_image(), &world.context(), None).await;
    assert_eq!(outcome.artifacts, [cloud_image()]);
    assert!(outcome.discarded.is_empty());
    assert_eq!(outcome.errors.len(), 1);
    assert_eq!(outcome.errors[0].kind(), Kind::PostProcess);
    assert_eq!(outcome.errors[0].span(), Some(Span::default()));
    assert_eq!(
        crate::error::one_line(&outcome.errors[0]),
        "Post-processor `shell-local` failed: Script exited with non-zero exit status: 3. \
             Allowed exit codes are: [0]"
    );
    assert!(path.exists() && !directory.path().join("never.json").exists());
    let events = world.events();
    assert_eq!(events[0], "say Running post-processor: shell-local");
    let last = events.last().unwrap();
    assert_eq!(last, "say Running post-processor: list (type manifest)");
}

#[tokio::test]
async fn a_new_artifact_follows_the_kept_one() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("disk");
    std::fs::write(&file, "abc").unwrap();
    let sums = directory.path().join("sums");
    let mut first = checksum(sums.to_str().unwrap(), &[ChecksumType::Md5]);
    first.keep_input_artifact = Some(false);
    let input = with_files(vec![file.clone()]);
    let world = World::new(Fake::default());
    let sequences = [vec![first, local("true")]];
    let outcome = run_sequences(&sequences, input.clone(), &world.context(), None).await;
    assert_eq!(outcome.artifacts.len(), 2, "keeping is forced");
    assert_eq!(outcome.artifacts[0], input);
    assert_eq!(outcome.artifacts[1].files, [file, sums]);
    assert!(outcome.discarded.is_empty());
}

#[tokio::test]
async fn a_stopped_run_keeps_everything() {
    let world = World::new(Fake::default());
    world.stop.stop();
    let sequences = [vec![local("true")], vec![local("true")]];
    let outcome = run_sequences(&sequences, cloud_image(), &world.context(), None).await;
    assert_eq!(outcome.artifacts, [cloud_image()]);
    assert_eq!(outcome.errors.len(), 1);
    assert_eq!(outcome.errors[0].kind(), Kind::Cancelled);
    assert!(world.events().is_empty());
}
