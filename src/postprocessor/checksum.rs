//! Checksum files of an artifact's files: Packer's `checksum`.
//!
//! Each line is `digest TAB base name`, appended to what the file has, as
//! Packer writes it.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::digest::DynDigest;

use crate::artifact::Artifact;
use crate::error::{Error, Kind, Result};
use crate::owner;
use crate::plan::post_processor::{Checksum, ChecksumType};
use crate::provisioner::{Context, late};

/// Packer's id for artifacts made here.
const BUILDER_ID: &str = "packer.post-processor.checksum";

/// Makes the checksum files; the new artifact has them after its input's
/// files.
pub(super) async fn run(
    checksum: &Checksum,
    input: &Artifact,
    cx: &Context<'_>,
) -> Result<Artifact> {
    if input.files.is_empty() {
        cx.events
            .message("The artifact has no files on this machine; there is nothing to checksum");
    }
    let mut files = input.files.clone();
    for kind in &checksum.checksum_types {
        let output = output_path(checksum, *kind, cx)?;
        for file in &input.files {
            append(*kind, file.clone(), output.clone(), cx).await?;
            if !files.contains(&output) {
                files.push(output.clone());
            }
        }
    }
    Ok(Artifact {
        builder_id: BUILDER_ID.to_owned(),
        id: String::new(),
        description: describe(&files),
        files,
        images: Vec::new(),
    })
}

fn describe(files: &[PathBuf]) -> String {
    let names: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
    format!("Created artifact from files: {}", names.join(", "))
}

fn output_path(checksum: &Checksum, kind: ChecksumType, cx: &Context<'_>) -> Result<PathBuf> {
    let fields = late::fields([
        ("BuildName", &cx.data.build_name),
        ("BuilderType", &cx.data.builder_type),
        ("ChecksumType", name(kind)),
    ]);
    late::render(&checksum.output, &fields, cx.data)
        .map(PathBuf::from)
        .map_err(|error| error.context("Could not render `output`"))
}

/// Digesting is long work for a processor, so it has a thread of its own.
async fn append(
    kind: ChecksumType,
    file: PathBuf,
    output: PathBuf,
    cx: &Context<'_>,
) -> Result<()> {
    let stop = cx.stop.clone();
    let work = move || {
        let digest = digest_file(hasher(kind), &file, &|| stop.is_stopped())?;
        append_line(&output, &digest, &file)
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::new(Kind::Internal, "A checksum panicked").with_source(error))?
}

/// The digest in hexadecimal; the file is read piece by piece.
fn digest_file(
    mut hasher: Box<dyn DynDigest>,
    path: &Path,
    stopped: &dyn Fn() -> bool,
) -> Result<String> {
    let unreadable = |error| io_error("read", path, error);
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        if stopped() {
            return Err(Error::cancelled());
        }
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
    let digest = hasher.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn append_line(output: &Path, digest: &str, file: &Path) -> Result<()> {
    let unwritable = |error| io_error("write", output, error);
    owner::make_directories_above(output).map_err(unwritable)?;
    let mut target = std::fs::File::options()
        .append(true)
        .create(true)
        .open(output)
        .map_err(unwritable)?;
    owner::hand_over(output);
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    // One write, so that lines of builds side by side stay whole.
    target
        .write_all(format!("{digest}\t{name}\n").as_bytes())
        .map_err(unwritable)
}

fn io_error(verb: &str, path: &Path, error: std::io::Error) -> Error {
    Error::new(Kind::Io, format!("Could not {verb} {}", path.display())).with_source(error)
}

fn hasher(kind: ChecksumType) -> Box<dyn DynDigest> {
    match kind {
        ChecksumType::Md5 => Box::<md5::Md5>::default(),
        ChecksumType::Sha1 => Box::<sha1::Sha1>::default(),
        ChecksumType::Sha224 => Box::<sha2::Sha224>::default(),
        ChecksumType::Sha256 => Box::<sha2::Sha256>::default(),
        ChecksumType::Sha384 => Box::<sha2::Sha384>::default(),
        ChecksumType::Sha512 => Box::<sha2::Sha512>::default(),
    }
}

fn name(kind: ChecksumType) -> &'static str {
    match kind {
        ChecksumType::Md5 => "md5",
        ChecksumType::Sha1 => "sha1",
        ChecksumType::Sha224 => "sha224",
        ChecksumType::Sha256 => "sha256",
        ChecksumType::Sha384 => "sha384",
        ChecksumType::Sha512 => "sha512",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_published_ones_of_abc() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        for (kind, start) in [
            (ChecksumType::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (
                ChecksumType::Sha1,
                "a9993e364706816aba3e25717850c26c9cd0d89d",
            ),
            (ChecksumType::Sha224, "23097d223405d8228642a477bda255b3"),
            (ChecksumType::Sha256, "ba7816bf8f01cfea414140de5dae2223"),
            (ChecksumType::Sha384, "cb00753f45a35e8bb5a03d699ac65007"),
            (ChecksumType::Sha512, "ddaf35a193617abacc417349ae204131"),
        ] {
            let digest = digest_file(hasher(kind), &path, &|| false).unwrap();
            assert!(digest.starts_with(start), "{kind:?}: {digest}");
        }
    }

    #[test]
    fn a_stop_ends_a_digest() {
        let hasher = hasher(ChecksumType::Md5);
        let error = digest_file(hasher, Path::new("/dev/zero"), &|| true).unwrap_err();
        assert_eq!(error.kind(), Kind::Cancelled);
    }
}
