//! `compress` and `artifice`.

use std::io::Read as _;
use std::process::Command;

use super::*;

fn compress(output: &Path, format: Format) -> plan::PostProcessor {
    step(plan::Kind::Compress(Compress {
        output: output.to_str().unwrap().to_owned(),
        format,
        level: None,
    }))
}

fn artifice(directory: &Path, patterns: &[&str]) -> plan::PostProcessor {
    let file = |pattern: &&str| {
        let path = directory.join(pattern);
        Spanned::default_value(path.to_str().unwrap().to_owned())
    };
    let files = patterns.iter().map(file).collect();
    step(plan::Kind::Artifice(Artifice { files }))
}

async fn run(step: plan::PostProcessor, files: Vec<PathBuf>, world: &World) -> Outcome {
    run_sequences(&[vec![step]], with_files(files), &world.context(), None).await
}

/// What a program of this machine prints.
fn output_of(program: &str, arguments: &[&str], path: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .arg(path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{program}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn other_programs_read_the_archives() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (directory.path().join("one"), directory.path().join("two"));
    std::fs::write(&one, "first\n").unwrap();
    std::fs::write(&two, "second\n").unwrap();
    let world = World::new(Fake::default());
    for (name, format, program, arguments) in [
        ("a.tar", Format::Tar(None), "tar", &["-xOf"][..]),
        ("a.tgz", Format::Tar(Some(Codec::Gzip)), "tar", &["-xzOf"]),
    ] {
        let path = directory.path().join("made").join(name);
        let files = vec![one.clone(), two.clone()];
        let outcome = run(compress(&path, format), files.clone(), &world).await;
        assert_eq!(outcome.artifacts[0].files, std::slice::from_ref(&path));
        assert_eq!(outcome.discarded, [with_files(files)]);
        assert_eq!(output_of(program, arguments, &path), "first\nsecond\n");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o444, mode & 0o111 | 0o444, "others may read it");
    }
    let path = directory.path().join("one.gz");
    let single = Format::Single(Codec::Gzip);
    run(compress(&path, single), vec![one.clone()], &world).await;
    assert_eq!(output_of("gzip", &["-dc"], &path), "first\n");
    let path = directory.path().join("a.zip");
    run(compress(&path, Format::Zip), vec![one, two], &world).await;
    let listing = output_of("python3", &["-m", "zipfile", "-l"], &path);
    assert!(
        listing.contains("/one ") && listing.contains("/two "),
        "{listing}"
    );
    output_of("python3", &["-m", "zipfile", "-t"], &path);
}

#[tokio::test]
async fn lz4_can_be_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let (disk, path) = (directory.path().join("d"), directory.path().join("d.lz4"));
    let content = "0123456789".repeat(100_000);
    std::fs::write(&disk, &content).unwrap();
    let world = World::new(Fake::default());
    let single = Format::Single(Codec::Lz4);
    run(compress(&path, single), vec![disk], &world).await;
    let compressed = std::fs::read(&path).unwrap();
    assert_eq!(
        compressed[..4],
        [0x04, 0x22, 0x4d, 0x18],
        "the frame's magic"
    );
    let mut read = String::new();
    lz4_flex::frame::FrameDecoder::new(compressed.as_slice())
        .read_to_string(&mut read)
        .unwrap();
    assert!(read == content && compressed.len() < content.len() / 10);
}

#[tokio::test]
async fn what_cannot_be_compressed_is_said_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk");
    std::fs::write(&path, "x").unwrap();
    let absent = directory.path().join("absent");
    let world = World::new(Fake::default());
    for (files, expected) in [
        (
            vec![],
            "The artifact has no files on this machine that could be compressed",
        ),
        (
            vec![path.clone(), path.clone()],
            "The artifact has 2 files, and this format takes only one",
        ),
        (vec![absent], "absent into"),
    ] {
        let target = directory.path().join("made.gz");
        let step = compress(&target, Format::Single(Codec::Gzip));
        let outcome = run(step, files.clone(), &world).await;
        let text = crate::error::one_line(&outcome.errors[0]);
        assert!(text.contains(expected), "{text}");
        assert_eq!(outcome.artifacts, [with_files(files)]);
    }
    let names = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(names, 1, "nothing half done is left");
}

#[tokio::test]
async fn a_stop_ends_the_compression() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk");
    std::fs::write(&path, "x").unwrap();
    let world = World::new(Fake::default());
    world.stop.stop();
    let target = directory.path().join("a.tar");
    let compress = Compress {
        output: target.to_str().unwrap().to_owned(),
        format: Format::Tar(None),
        level: None,
    };
    let input = with_files(vec![path]);
    let outcome = compress::run(&compress, &input, &world.context()).await;
    assert_eq!(outcome.unwrap_err().kind(), Kind::Cancelled);
    assert!(!target.exists());
}

#[tokio::test]
async fn artifice_takes_what_fits() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for name in ["a.img", "b.img", "c.txt"] {
        std::fs::write(path(name), "x").unwrap();
    }
    let world = World::new(Fake::default());
    let step = artifice(directory.path(), &["*.img", "a.img", "absent", "*.iso"]);
    let outcome = run(step, vec![path("c.txt")], &world).await;
    assert_eq!(outcome.artifacts.len(), 2, "the input is kept by default");
    assert_eq!(outcome.artifacts[1].files, [path("a.img"), path("b.img")]);
    let warned = world.events();
    let warnings = warned
        .iter()
        .filter(|line| line.starts_with("warn There is no file"));
    assert_eq!(warnings.count(), 2, "{warned:?}");
    let outcome = run(artifice(directory.path(), &["*.iso"]), vec![], &world).await;
    let text = crate::error::one_line(&outcome.errors[0]);
    assert!(
        text.ends_with("None of the files for the artifact is there"),
        "{text}"
    );
}
