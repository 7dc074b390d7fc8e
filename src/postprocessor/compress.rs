//! One file of an artifact's files: Packer's `compress`.
//!
//! Differences from Packer: the file appears under its name only when it is
//! whole, and an artifact without files is an error. Not here: which format a
//! name means (`plan::post_processor::compress`).

use std::fs::{File, Metadata};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use lz4_flex::frame::FrameEncoder;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use self::gzip::{Framing, Gzip};
use crate::artifact::Artifact;
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result};
use crate::owner;
use crate::plan::post_processor::{Codec, Compress, Format};
use crate::provisioner::{Context, late};

mod gzip;

/// Packer's id for artifacts made here.
const BUILDER_ID: &str = "packer.post-processor.compress";

/// Larger files need the long form of a ZIP entry.
const LARGE: u64 = u32::MAX as u64;

/// Writes the file; it is the new artifact.
pub(super) async fn run(
    compress: &Compress,
    input: &Artifact,
    cx: &Context<'_>,
) -> Result<Artifact> {
    let target = target(compress, cx)?;
    check(compress.format, &input.files)?;
    announce(compress.format, &input.files, &target, cx);
    let job = Job {
        format: compress.format,
        level: compress.level,
        files: input.files.clone(),
        target: target.clone(),
        stop: cx.stop.clone(),
    };
    // Long work for a processor has a thread of its own.
    tokio::task::spawn_blocking(move || job.run())
        .await
        .map_err(|error| Error::new(Kind::Internal, "Compressing panicked").with_source(error))??;
    let name = target.display();
    cx.events.say(format!("Archive {name} completed"));
    Ok(Artifact {
        builder_id: BUILDER_ID.to_owned(),
        id: String::new(),
        description: format!("compressed artifacts in: {name}"),
        files: vec![target],
        images: Vec::new(),
    })
}

fn target(compress: &Compress, cx: &Context<'_>) -> Result<PathBuf> {
    let fields = late::fields([
        ("BuildName", cx.data.build_name.as_str()),
        ("BuilderType", &cx.data.builder_type),
    ]);
    late::render(&compress.output, &fields, cx.data)
        .map(PathBuf::from)
        .map_err(|error| error.context("Could not render `output`"))
}

fn check(format: Format, files: &[PathBuf]) -> Result<()> {
    match (format, files.len()) {
        (_, 0) => Err(Error::new(
            Kind::Io,
            "The artifact has no files on this machine that could be compressed",
        )
        .with_hint("Put `artifice` before it to name files")),
        (Format::Single(_), count) if count > 1 => Err(Error::new(
            Kind::Io,
            format!("The artifact has {count} files, and this format takes only one"),
        )
        .with_hint("End `output` with `.tar.gz` or `.zip`")),
        _ => Ok(()),
    }
}

fn announce(format: Format, files: &[PathBuf], target: &Path, cx: &Context<'_>) {
    let target = target.display();
    cx.events.say(match (format, files) {
        (Format::Zip, _) => format!("Zipping {target}"),
        (Format::Tar(codec), _) => format!("Tarring {target} with {}", name_of(codec)),
        (Format::Single(codec), [file, ..]) => {
            format!("Archiving {} with {}", file.display(), name_of(Some(codec)))
        }
        (Format::Single(_), []) => return,
    });
}

fn name_of(codec: Option<Codec>) -> &'static str {
    match codec {
        None => "no compression",
        Some(Codec::Gzip) => "gzip",
        Some(Codec::Bgzf) => "bgzf",
        Some(Codec::Lz4) => "lz4",
    }
}

/// What a thread needs to write the file.
struct Job {
    format: Format,
    level: Option<u8>,
    files: Vec<PathBuf>,
    target: PathBuf,
    stop: Stop,
}

impl Job {
    fn run(&self) -> Result<()> {
        let unwritable = |error| self.unwritable(error);
        owner::make_directories_above(&self.target).map_err(unwritable)?;
        let file = tempfile::Builder::new()
            .prefix(".compress")
            .permissions(std::fs::Permissions::from_mode(0o666))
            .tempfile_in(owner::directory_of(&self.target))
            .map_err(unwritable)?;
        self.write(file.as_file())?;
        owner::hand_over(file.path());
        file.persist(&self.target)
            .map_err(|error| self.unwritable(error.error))?;
        Ok(())
    }

    fn write(&self, file: &File) -> Result<()> {
        match self.format {
            Format::Zip => self.zip(file),
            Format::Tar(None) => {
                let mut output = BufWriter::new(file);
                self.tar(&mut output)?;
                output.flush().map_err(|error| self.unwritable(error))
            }
            Format::Tar(Some(codec)) => self.through(codec, file, |output| self.tar(output)),
            Format::Single(codec) => self.through(codec, file, |output| self.single(output)),
        }
    }

    /// Has the body's bytes compressed on their way to the file.
    fn through(
        &self,
        codec: Codec,
        file: &File,
        body: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        let finished = match codec {
            Codec::Gzip | Codec::Bgzf => {
                let framing = match codec {
                    Codec::Bgzf => Framing::Blocks,
                    _ => Framing::Members,
                };
                let mut output = Gzip::new(file, self.level, framing);
                body(&mut output)?;
                output.finish()
            }
            Codec::Lz4 => {
                let mut output = FrameEncoder::new(BufWriter::new(file));
                body(&mut output)?;
                let finished = output.finish().map_err(io::Error::from);
                finished.and_then(|mut file| file.flush())
            }
        };
        finished.map_err(|error| self.unwritable(error))
    }

    fn single(&self, output: &mut dyn Write) -> Result<()> {
        for path in &self.files {
            let (mut input, _) = self.open(path)?;
            let copied = io::copy(&mut input, output);
            copied.map_err(|error| self.failed(path, error))?;
        }
        Ok(())
    }

    fn tar(&self, output: &mut dyn Write) -> Result<()> {
        let mut archive = tar::Builder::new(output);
        for path in &self.files {
            let (input, metadata) = self.open(path)?;
            let mut header = tar::Header::new_gnu();
            header.set_metadata(&metadata);
            let name = path.file_name().unwrap_or_default();
            // A file that grows must not spill into the next entry.
            let input = input.take(metadata.len());
            let added = archive.append_data(&mut header, name, input);
            added.map_err(|error| self.failed(path, error))?;
        }
        archive.finish().map_err(|error| self.unwritable(error))
    }

    fn zip(&self, file: &File) -> Result<()> {
        let mut archive = ZipWriter::new(BufWriter::new(file));
        for path in &self.files {
            let (mut input, metadata) = self.open(path)?;
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Deflated)
                .compression_level(self.level.map(i64::from))
                .unix_permissions(metadata.permissions().mode())
                .large_file(metadata.len() >= LARGE);
            let begun = archive.start_file(relative(path), options);
            let added = begun.map_err(io::Error::from).and_then(|()| {
                io::copy(&mut input, &mut archive)?;
                Ok(())
            });
            added.map_err(|error| self.failed(path, error))?;
        }
        let finished = archive.finish().map_err(io::Error::from);
        let flushed = finished.and_then(|mut file| file.flush());
        flushed.map_err(|error| self.unwritable(error))
    }

    fn open(&self, path: &Path) -> Result<(Stoppable<'_>, Metadata)> {
        let open = || {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            Ok((file, metadata))
        };
        let (file, metadata) = open().map_err(|error| self.failed(path, error))?;
        let stop = &self.stop;
        Ok((Stoppable { file, stop }, metadata))
    }

    fn failed(&self, path: &Path, error: io::Error) -> Error {
        if self.stop.is_stopped() {
            return Error::cancelled();
        }
        let (path, target) = (path.display(), self.target.display());
        let message = format!("Could not put {path} into {target}");
        Error::new(Kind::Io, message).with_source(error)
    }

    fn unwritable(&self, error: io::Error) -> Error {
        let message = format!("Could not write {}", self.target.display());
        Error::new(Kind::Io, message).with_source(error)
    }
}

/// The path below the root, which is what an archive may hold.
fn relative(path: &Path) -> String {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(part) => Some(part.to_string_lossy()),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("/")
}

/// A file that cannot be read any more when the run is stopped.
struct Stoppable<'a> {
    file: File,
    stop: &'a Stop,
}

impl Read for Stoppable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.is_stopped() {
            return Err(io::Error::other("stopped"));
        }
        self.file.read(buffer)
    }
}
