//! The SFTP subsystem: version 3 over a guest's file system, in this process.
//!
//! Facts: draft-ietf-secsh-filexfer-02 and OpenSSH's `posix-rename` and
//! `hardlink` extensions. Requests are answered in order, as OpenSSH does.

use std::{
    collections::HashMap,
    fs::{File, Metadata, Permissions},
    io,
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
    sync::Arc,
};

use russh::{
    Channel,
    server::{Handle as SshHandle, Msg},
};
use russh_sftp::{
    protocol::{
        Attrs, Data, File as Entry, FileAttributes, Handle, Name, OpenFlags, Packet, Status,
        StatusCode, Version,
    },
    server::StatusReply,
};
use rustix::fs::{AtFlags, OFlags, Timespec, Timestamps};
use tokio::{io::AsyncWriteExt, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::{
    exec,
    rootfs::{RootView, absolute},
};

/// The most data one answer carries, as OpenSSH's server limits it.
const LONGEST_READ: u32 = 256 * 1024;

/// Entries per answer to a directory read.
const ENTRIES: usize = 100;

/// Serves a channel until its client closes it or `stop` is cancelled.
pub(crate) async fn serve(
    view: RootView,
    channel: Channel<Msg>,
    handle: SshHandle,
    stop: CancellationToken,
) {
    let id = channel.id();
    let (near, far) = tokio::io::duplex(512 * 1024);
    let files = Files {
        view: Arc::new(view),
        open: HashMap::new(),
        next: 0,
    };
    // The server owns its stream and tells nobody when it ends; a pipe in
    // between does.
    russh_sftp::server::run(far, files).await;
    let (mut from_client, mut to_client) = tokio::io::split(channel.into_stream());
    let (mut answers, mut requests) = tokio::io::split(near);
    let upstream = async {
        let _ = tokio::io::copy(&mut from_client, &mut requests).await;
        let _ = requests.shutdown().await;
    };
    let both = async {
        // Either side failing means that the client is gone.
        let _ = tokio::join!(upstream, tokio::io::copy(&mut answers, &mut to_client));
    };
    tokio::select! {
        () = both => {}
        () = stop.cancelled() => return,
    }
    exec::finish(&handle, id, std::process::ExitStatus::default()).await;
}

enum Open {
    File(Arc<File>),
    Directory(Vec<Entry>),
}

/// The files of a guest with the handles a client has open.
struct Files {
    view: Arc<RootView>,
    open: HashMap<String, Open>,
    next: u64,
}

impl Files {
    /// Runs file operations where they may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&RootView) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StatusReply> {
        let view = Arc::clone(&self.view);
        let done = spawn_blocking(move || work(&view)).await;
        done.map_err(io::Error::other)
            .flatten()
            .map_err(|error| refusal(&error))
    }

    async fn change(
        &self,
        id: u32,
        work: impl FnOnce(&RootView) -> io::Result<()> + Send + 'static,
    ) -> Result<Status, StatusReply> {
        self.blocking(work).await?;
        Ok(done(id))
    }

    fn keep(&mut self, id: u32, open: Open) -> Handle {
        self.next += 1;
        let handle = self.next.to_string();
        self.open.insert(handle.clone(), open);
        Handle { id, handle }
    }

    fn file(&self, handle: &str) -> Result<Arc<File>, StatusReply> {
        match self.open.get(handle) {
            Some(Open::File(file)) => Ok(Arc::clone(file)),
            _ => Err(StatusCode::Failure.with_message("not a file handle")),
        }
    }
}

fn refusal(error: &io::Error) -> StatusReply {
    let code = match error.kind() {
        io::ErrorKind::NotFound => StatusCode::NoSuchFile,
        io::ErrorKind::PermissionDenied => StatusCode::PermissionDenied,
        io::ErrorKind::UnexpectedEof => StatusCode::Eof,
        _ => StatusCode::Failure,
    };
    code.with_message(error.to_string())
}

fn done(id: u32) -> Status {
    Status {
        id,
        status_code: StatusCode::Ok,
        error_message: "Ok".into(),
        language_tag: "en-US".into(),
    }
}

fn one_name(id: u32, name: impl Into<String>) -> Name {
    Name {
        id,
        files: vec![Entry::dummy(name)],
    }
}

/// The protocol's times are unsigned 32-bit seconds.
fn attributes(metadata: &Metadata) -> FileAttributes {
    let seconds = |time: i64| Some(u32::try_from(time).unwrap_or_default());
    FileAttributes {
        size: Some(metadata.len()),
        uid: Some(metadata.uid()),
        gid: Some(metadata.gid()),
        permissions: Some(metadata.mode()),
        atime: seconds(metadata.atime()),
        mtime: seconds(metadata.mtime()),
        ..FileAttributes::default()
    }
}

fn open_flags(flags: OpenFlags) -> OFlags {
    let mut result = match (
        flags.contains(OpenFlags::READ),
        flags.contains(OpenFlags::WRITE),
    ) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        _ => OFlags::RDONLY,
    };
    for (from, to) in [
        (OpenFlags::APPEND, OFlags::APPEND),
        (OpenFlags::CREATE, OFlags::CREATE),
        (OpenFlags::TRUNCATE, OFlags::TRUNC),
        (OpenFlags::EXCLUDE, OFlags::EXCL),
    ] {
        result.set(to, flags.contains(from));
    }
    result
}

fn timestamps(attrs: &FileAttributes) -> Option<Timestamps> {
    let time = |seconds: u32| Timespec {
        tv_sec: seconds.into(),
        tv_nsec: 0,
    };
    Some(Timestamps {
        last_access: time(attrs.atime?),
        last_modification: time(attrs.mtime?),
    })
}

fn set_attributes(view: &RootView, path: &Path, attrs: &FileAttributes) -> io::Result<()> {
    if let Some(size) = attrs.size {
        view.open_file(path, OFlags::WRONLY, 0)?.set_len(size)?;
    }
    if attrs.uid.is_some() || attrs.gid.is_some() {
        view.set_owner(path, attrs.uid, attrs.gid)?;
    }
    if let Some(mode) = attrs.permissions {
        view.set_mode(path, mode)?;
    }
    match timestamps(attrs) {
        Some(times) => view.set_times(path, &times),
        None => Ok(()),
    }
}

fn set_file_attributes(file: &File, attrs: &FileAttributes) -> io::Result<()> {
    if let Some(size) = attrs.size {
        file.set_len(size)?;
    }
    if attrs.uid.is_some() || attrs.gid.is_some() {
        fchown(file, attrs.uid, attrs.gid)?;
    }
    if let Some(mode) = attrs.permissions {
        file.set_permissions(Permissions::from_mode(mode & 0o7777))?;
    }
    match timestamps(attrs) {
        Some(times) => Ok(rustix::fs::futimens(file, &times)?),
        None => Ok(()),
    }
}

fn read_at(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut data = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut data[filled..], offset + filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    data.truncate(filled);
    match filled {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(data),
    }
}

/// Two length-prefixed strings, as the rename-like extensions carry them.
fn two_paths(data: &[u8]) -> Option<(PathBuf, PathBuf)> {
    let (first, rest) = one_path(data)?;
    let (second, _) = one_path(rest)?;
    Some((first, second))
}

fn one_path(data: &[u8]) -> Option<(PathBuf, &[u8])> {
    let (length, rest) = data.split_first_chunk::<4>()?;
    let (path, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some((absolute(std::str::from_utf8(path).ok()?), rest))
}

impl russh_sftp::server::Handler for Files {
    type Error = StatusReply;

    fn unimplemented(&self) -> StatusReply {
        StatusReply::new(StatusCode::OpUnsupported)
    }

    async fn init(
        &mut self,
        _version: u32,
        _extensions: HashMap<String, String>,
    ) -> Result<Version, StatusReply> {
        let mut version = Version::new();
        for name in ["posix-rename@openssh.com", "hardlink@openssh.com"] {
            version.extensions.insert(name.into(), "1".into());
        }
        Ok(version)
    }

    async fn open(
        &mut self,
        id: u32,
        filename: String,
        pflags: OpenFlags,
        attrs: FileAttributes,
    ) -> Result<Handle, StatusReply> {
        let mode = attrs.permissions.unwrap_or(0o644);
        let open =
            move |view: &RootView| view.open_file(&absolute(&filename), open_flags(pflags), mode);
        let file = self.blocking(open).await?;
        Ok(self.keep(id, Open::File(Arc::new(file))))
    }

    async fn close(&mut self, id: u32, handle: String) -> Result<Status, StatusReply> {
        match self.open.remove(&handle) {
            Some(_) => Ok(done(id)),
            None => Err(StatusCode::Failure.with_message("no such handle")),
        }
    }

    async fn read(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        len: u32,
    ) -> Result<Data, StatusReply> {
        let file = self.file(&handle)?;
        let length = len.min(LONGEST_READ) as usize;
        let data = self
            .blocking(move |_| read_at(&file, offset, length))
            .await?;
        Ok(Data { id, data })
    }

    async fn write(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        data: Vec<u8>,
    ) -> Result<Status, StatusReply> {
        let file = self.file(&handle)?;
        self.change(id, move |_| file.write_all_at(&data, offset))
            .await
    }

    async fn lstat(&mut self, id: u32, path: String) -> Result<Attrs, StatusReply> {
        let stat = move |view: &RootView| view.symlink_metadata(&absolute(&path));
        let attrs = attributes(&self.blocking(stat).await?);
        Ok(Attrs { id, attrs })
    }

    async fn fstat(&mut self, id: u32, handle: String) -> Result<Attrs, StatusReply> {
        let file = self.file(&handle)?;
        let attrs = attributes(&self.blocking(move |_| file.metadata()).await?);
        Ok(Attrs { id, attrs })
    }

    async fn setstat(
        &mut self,
        id: u32,
        path: String,
        attrs: FileAttributes,
    ) -> Result<Status, StatusReply> {
        self.change(id, move |view| {
            set_attributes(view, &absolute(&path), &attrs)
        })
        .await
    }

    async fn fsetstat(
        &mut self,
        id: u32,
        handle: String,
        attrs: FileAttributes,
    ) -> Result<Status, StatusReply> {
        let file = self.file(&handle)?;
        self.change(id, move |_| set_file_attributes(&file, &attrs))
            .await
    }

    async fn opendir(&mut self, id: u32, path: String) -> Result<Handle, StatusReply> {
        let read = move |view: &RootView| {
            let path = absolute(&path);
            let mut entries = view.read_dir(&path)?;
            for name in [".", ".."] {
                entries.push((name.to_owned(), view.metadata(&path.join(name))?));
            }
            Ok(entries)
        };
        let entries = self.blocking(read).await?;
        let entry = |(name, metadata): (String, Metadata)| Entry::new(name, attributes(&metadata));
        Ok(self.keep(
            id,
            Open::Directory(entries.into_iter().map(entry).collect()),
        ))
    }

    async fn readdir(&mut self, id: u32, handle: String) -> Result<Name, StatusReply> {
        match self.open.get_mut(&handle) {
            Some(Open::Directory(entries)) if entries.is_empty() => Err(StatusCode::Eof.into()),
            Some(Open::Directory(entries)) => {
                let rest = entries.len().saturating_sub(ENTRIES);
                let files = entries.split_off(rest);
                Ok(Name { id, files })
            }
            _ => Err(StatusCode::Failure.with_message("not a directory handle")),
        }
    }

    async fn remove(&mut self, id: u32, filename: String) -> Result<Status, StatusReply> {
        self.change(id, move |view| {
            view.remove(&absolute(&filename), AtFlags::empty())
        })
        .await
    }

    async fn mkdir(
        &mut self,
        id: u32,
        path: String,
        attrs: FileAttributes,
    ) -> Result<Status, StatusReply> {
        let mode = attrs.permissions.unwrap_or(0o755);
        self.change(id, move |view| view.create_dir(&absolute(&path), mode))
            .await
    }

    async fn rmdir(&mut self, id: u32, path: String) -> Result<Status, StatusReply> {
        self.change(id, move |view| {
            view.remove(&absolute(&path), AtFlags::REMOVEDIR)
        })
        .await
    }

    async fn realpath(&mut self, id: u32, path: String) -> Result<Name, StatusReply> {
        Ok(one_name(id, absolute(&path).to_string_lossy()))
    }

    async fn stat(&mut self, id: u32, path: String) -> Result<Attrs, StatusReply> {
        let stat = move |view: &RootView| view.metadata(&absolute(&path));
        let attrs = attributes(&self.blocking(stat).await?);
        Ok(Attrs { id, attrs })
    }

    async fn rename(&mut self, id: u32, from: String, to: String) -> Result<Status, StatusReply> {
        self.change(id, move |view| {
            let to = absolute(&to);
            // Version 3 does not replace; the extension does.
            if view.symlink_metadata(&to).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            view.rename(&absolute(&from), &to)
        })
        .await
    }

    async fn readlink(&mut self, id: u32, path: String) -> Result<Name, StatusReply> {
        let read = move |view: &RootView| view.read_link(&absolute(&path));
        Ok(one_name(id, self.blocking(read).await?))
    }

    /// OpenSSH's order of arguments: the target comes first on the wire.
    async fn symlink(
        &mut self,
        id: u32,
        linkpath: String,
        targetpath: String,
    ) -> Result<Status, StatusReply> {
        let (target, link) = (linkpath, targetpath);
        self.change(id, move |view| view.symlink(&target, &absolute(&link)))
            .await
    }

    async fn extended(
        &mut self,
        id: u32,
        request: String,
        data: Vec<u8>,
    ) -> Result<Packet, StatusReply> {
        let Some((from, to)) = two_paths(&data) else {
            return Err(StatusCode::OpUnsupported.into());
        };
        let status = match request.as_str() {
            "posix-rename@openssh.com" => {
                self.change(id, move |view| view.rename(&from, &to)).await
            }
            "hardlink@openssh.com" => {
                self.change(id, move |view| view.hard_link(&from, &to))
                    .await
            }
            _ => Err(StatusCode::OpUnsupported.into()),
        };
        Ok(Packet::Status(status?))
    }
}
