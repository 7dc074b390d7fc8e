//! Contents of objects: files in a directory of the sandbox, never in memory.
//! An object made of parts stays the list of its parts' files.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest as Crc, checksum_combine};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use md5::{Digest, Md5};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;

/// CRC-64/XZ, which OSS calls ECMA.
const CRC: CrcAlgorithm = CrcAlgorithm::Crc64Xz;

/// Body frames that may wait for the disk.
const BACKLOG: usize = 32;

/// How much is read from a file at once.
const READ_SIZE: usize = 256 << 10;

/// Where contents are.
pub(crate) struct Store {
    directory: TempDir,
    next: AtomicU64,
}

/// A file that goes when nobody points to it any more.
#[derive(Debug)]
struct Blob {
    path: PathBuf,
    size: u64,
}

impl Drop for Blob {
    fn drop(&mut self) {
        // It is gone already when the directory went first.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The bytes of an object or part. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    segments: Vec<Arc<Blob>>,
    pub(crate) size: u64,
    pub(crate) crc64: u64,
}

/// A received body.
pub(crate) struct Received {
    pub(crate) content: Content,
    pub(crate) md5: [u8; 16],
}

impl Store {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            directory: tempfile::Builder::new()
                .prefix("sandbox-objects-")
                .tempdir()?,
            next: AtomicU64::new(0),
        })
    }

    fn new_path(&self) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.directory.path().join(number.to_string())
    }

    /// Receives a body. `corrupt` spoils its first byte, as a faulty link does.
    pub(crate) async fn receive(&self, body: Body, corrupt: bool) -> io::Result<Received> {
        let path = self.new_path();
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let writer = tokio::task::spawn_blocking(move || write_all(path, receiver, corrupt));
        let mut frames = body.into_data_stream();
        while let Some(frame) = frames.next().await {
            let frame = frame.map_err(io::Error::other);
            let broken = frame.is_err();
            // A writer that is gone tells why below.
            if sender.send(frame).await.is_err() || broken {
                break;
            }
        }
        drop(sender);
        writer.await.map_err(io::Error::other)?
    }

    /// Stores bytes at once.
    pub(crate) fn put(&self, bytes: &[u8]) -> io::Result<Received> {
        let mut writing = Writing::create(self.new_path())?;
        writing.write(bytes)?;
        Ok(writing.finish())
    }
}

fn write_all(
    path: PathBuf,
    mut frames: mpsc::Receiver<io::Result<Bytes>>,
    corrupt: bool,
) -> io::Result<Received> {
    let mut writing = Writing::create(path)?;
    while let Some(frame) = frames.blocking_recv() {
        let frame = frame?;
        if corrupt && writing.blob.size == 0 {
            let mut spoiled = frame.to_vec();
            spoiled.iter_mut().take(1).for_each(|byte| *byte ^= 0xff);
            writing.write(&spoiled)?;
        } else {
            writing.write(&frame)?;
        }
    }
    Ok(writing.finish())
}

struct Writing {
    file: File,
    blob: Blob,
    md5: Md5,
    crc: Crc,
}

impl Writing {
    fn create(path: PathBuf) -> io::Result<Self> {
        Ok(Self {
            file: File::create_new(&path)?,
            blob: Blob { path, size: 0 },
            md5: Md5::new(),
            crc: Crc::new(CRC),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.md5.update(bytes);
        self.crc.update(bytes);
        self.blob.size += bytes.len() as u64;
        Ok(())
    }

    fn finish(self) -> Received {
        Received {
            md5: self.md5.finalize().into(),
            content: Content {
                size: self.blob.size,
                crc64: self.crc.finalize(),
                segments: vec![Arc::new(self.blob)],
            },
        }
    }
}

impl Content {
    /// Contents one after the other, in the time it takes to combine sums.
    pub(crate) fn concatenate<'a>(contents: impl Iterator<Item = &'a Self>) -> Self {
        let mut whole = Self::default();
        for content in contents {
            whole.crc64 = checksum_combine(CRC, whole.crc64, content.crc64, content.size);
            whole.size += content.size;
            whole.segments.extend(content.segments.iter().cloned());
        }
        whole
    }

    /// Streams `length` bytes from `offset`.
    pub(crate) fn stream(
        &self,
        offset: u64,
        length: u64,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let slices = stream::iter(self.slices(offset, length));
        slices
            .then(|slice| async move {
                let mut file = tokio::fs::File::open(&slice.blob.path).await?;
                file.seek(SeekFrom::Start(slice.offset)).await?;
                // An open file can be read although its blob goes now.
                let slice = file.take(slice.length);
                Ok::<_, io::Error>(ReaderStream::with_capacity(slice, READ_SIZE))
            })
            .try_flatten()
    }

    fn slices(&self, offset: u64, length: u64) -> Vec<Slice> {
        let mut slices = Vec::new();
        let (mut skip, mut left) = (offset, length);
        for blob in &self.segments {
            if skip >= blob.size {
                skip -= blob.size;
                continue;
            }
            let length = left.min(blob.size - skip);
            if length == 0 {
                break;
            }
            slices.push(Slice {
                blob: Arc::clone(blob),
                offset: skip,
                length,
            });
            left -= length;
            skip = 0;
        }
        slices
    }

    /// Reads up to `length` bytes from `offset`. Blocks.
    pub(crate) fn read(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for slice in self.slices(offset, length) {
            let mut file = File::open(&slice.blob.path)?;
            file.seek(SeekFrom::Start(slice.offset))?;
            file.take(slice.length).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    }

    /// Writes everything to a file. Blocks.
    pub(crate) fn copy_to(&self, out: &mut File) -> io::Result<()> {
        for blob in &self.segments {
            io::copy(&mut File::open(&blob.path)?, out)?;
        }
        Ok(())
    }
}

struct Slice {
    blob: Arc<Blob>,
    offset: u64,
    length: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_slices_of_parts_are_those_of_the_whole() {
        let store = Store::new().unwrap();
        let parts: Vec<Content> = [
            &b"This is a test"[..],
            b"",
            b" of the emergency broadcast system.",
        ]
        .iter()
        .map(|bytes| store.put(bytes).unwrap().content)
        .collect();
        let whole = Content::concatenate(parts.iter());
        assert_eq!(whole.crc64, 2_871_916_124_362_751_090);
        assert_eq!(whole.size, 49);
        assert_eq!(whole.read(10, 7).unwrap(), b"test of");
        assert_eq!(whole.read(48, 10).unwrap(), b".");
        assert_eq!(whole.read(49, 1).unwrap(), b"");
    }

    #[tokio::test]
    async fn files_go_with_their_last_user() {
        let store = Store::new().unwrap();
        let received = store.receive(Body::from("123456789"), false).await.unwrap();
        assert_eq!(received.content.crc64, 11_051_210_869_376_104_954);
        let count = || store.directory.path().read_dir().unwrap().count();
        assert_eq!(count(), 1);
        let stream = received.content.stream(2, 3);
        drop(received);
        let bytes: Vec<Bytes> = stream.try_collect().await.unwrap();
        assert_eq!(bytes.concat(), b"345");
        assert_eq!(count(), 0);
    }
}
