//! qcow2, version 2 and 3, as QEMU's `docs/interop/qcow2.txt` defines it.
//!
//! Not read: encrypted images, and the contents of internal snapshots.

use std::sync::{Arc, Mutex, PoisonError};

use byteorder::{BigEndian, ByteOrder};

use super::chain::{self, Chain};
use super::failure::{damaged, unsupported};
use super::host_file::HostFile;
use super::{Check, Disk, Extent, ExtentKind, Format, Info, inside};
use crate::error::Result;

mod check;
mod header;
mod table;

use header::Header;
use table::{Place, Run, TableCache};

/// The bits of a table entry that are an offset; the rest are flags or reserved.
const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;

/// A qcow2 image.
#[derive(Debug)]
pub(super) struct Qcow2 {
    file: HostFile,
    header: Header,
    l1: Vec<u64>,
    tables: TableCache,
    inflated: LastCluster,
    backing: Option<Box<dyn Disk>>,
    data_file: Option<HostFile>,
    info: Info,
}

/// The compressed cluster that was read last, so that reading it in small
/// pieces does not inflate it each time.
type LastCluster = Mutex<Option<(u64, Arc<Vec<u8>>)>>;

impl Qcow2 {
    pub(super) fn open(file: HostFile, chain: &mut Chain) -> Result<Self> {
        let header = Header::read(&file)?;
        let l1 = read_l1(&file, &header)?;
        let data_file = open_data_file(&file, &header, chain)?;
        let backing = open_backing(&file, &header, chain)?;
        let info = info(&file, &header, backing.as_deref(), data_file.as_ref());
        Ok(Self {
            tables: TableCache::new(&header),
            inflated: Mutex::default(),
            file,
            header,
            l1,
            backing,
            data_file,
            info,
        })
    }

    fn data(&self) -> &HostFile {
        self.data_file.as_ref().unwrap_or(&self.file)
    }

    /// Where the bytes at `offset` are, and for how many of them that holds.
    fn locate(&self, offset: u64) -> Result<Run> {
        let header = &self.header;
        let index = offset >> header.bits_per_table();
        let entry = usize::try_from(index)
            .ok()
            .and_then(|index| self.l1.get(index));
        let table = entry.copied().unwrap_or(0) & OFFSET_MASK;
        let left_in_table = ((index + 1) << header.bits_per_table()) - offset;
        if table == 0 {
            return Ok(Run {
                place: Place::Unallocated,
                length: left_in_table,
            });
        }
        let entries = self.tables.get(&self.file, table)?;
        entries.locate(header, self.file.path(), offset)
    }

    fn read_run(&self, run: &Run, offset: u64, buffer: &mut [u8]) -> Result<()> {
        match run.place {
            Place::Unallocated => match &self.backing {
                Some(backing) => backing.read_at(offset, buffer)?,
                None => buffer.fill(0),
            },
            Place::Zero => buffer.fill(0),
            Place::Host(host) => {
                self.expect_stored(host)?;
                self.data().read_padded(host, buffer)?;
            }
            Place::Compressed {
                offset: host,
                length,
            } => self.read_compressed(host, length, offset, buffer)?,
        }
        Ok(())
    }

    /// The file may end inside its last cluster, but not before a cluster that
    /// has data: that would be a truncated file, not zeros.
    fn expect_stored(&self, host: u64) -> Result<()> {
        let end = self.data().length();
        if host < end.next_multiple_of(self.header.cluster_size()) {
            return Ok(());
        }
        let what = format!("the file ends at {end:#x}, before this cluster; it is truncated");
        Err(damaged(self.data().path(), host, what))
    }

    fn read_compressed(
        &self,
        host: u64,
        length: u64,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<()> {
        let cluster = self.header.cluster_size();
        if buffer.len() as u64 == cluster {
            return self.inflate(host, length, buffer);
        }
        let cached = {
            let last = self.inflated.lock().unwrap_or_else(PoisonError::into_inner);
            last.as_ref()
                .filter(|(at, _)| *at == host)
                .map(|(_, bytes)| Arc::clone(bytes))
        };
        let bytes = match cached {
            Some(bytes) => bytes,
            None => {
                let mut bytes = vec![0; cluster as usize];
                self.inflate(host, length, &mut bytes)?;
                let bytes = Arc::new(bytes);
                *self.inflated.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some((host, Arc::clone(&bytes)));
                bytes
            }
        };
        let start = (offset % cluster) as usize;
        buffer.copy_from_slice(&bytes[start..start + buffer.len()]);
        Ok(())
    }

    fn inflate(&self, host: u64, length: u64, cluster: &mut [u8]) -> Result<()> {
        // The length counts whole sectors; the file may end before the last.
        let stored = length.min(self.file.length().saturating_sub(host));
        let input = self.file.read_vec(host, stored, "a compressed cluster")?;
        self.header
            .codec()
            .inflate(&input, cluster)
            .map_err(|reason| {
                let what = format!("a compressed cluster cannot be decompressed: {reason}");
                damaged(self.file.path(), host, what)
            })
    }
}

impl Disk for Qcow2 {
    fn info(&self) -> &Info {
        &self.info
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        let run = self.locate(offset)?;
        let left = self.virtual_size().saturating_sub(offset);
        let length = run.length.min(left).max(1);
        let kind = match run.place {
            Place::Host(_) | Place::Compressed { .. } => ExtentKind::Data,
            Place::Zero => ExtentKind::Zero,
            Place::Unallocated => return behind(self.backing.as_deref(), offset, length),
        };
        Ok(Extent {
            start: offset,
            length,
            kind,
        })
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let mut rest = inside(buffer, offset, self.virtual_size());
        let mut position = offset;
        while !rest.is_empty() {
            let run = self.locate(position)?;
            let length = run.length.min(rest.len() as u64);
            let (now, later) = rest.split_at_mut(length as usize);
            self.read_run(&run, position, now)?;
            position += length;
            rest = later;
        }
        Ok(())
    }

    fn check(&self) -> Result<Check> {
        check::check(self)
    }
}

/// What is behind a hole: the backing file, which may be shorter.
fn behind(backing: Option<&dyn Disk>, offset: u64, length: u64) -> Result<Extent> {
    match backing.filter(|backing| offset < backing.virtual_size()) {
        Some(backing) => {
            let extent = backing.extent_at(offset)?;
            Ok(Extent {
                length: extent.length.min(length),
                ..extent
            })
        }
        None => Ok(Extent {
            start: offset,
            length,
            kind: ExtentKind::Hole,
        }),
    }
}

fn read_l1(file: &HostFile, header: &Header) -> Result<Vec<u64>> {
    let length = u64::from(header.l1_entries) * 8;
    let bytes = file.read_vec(header.l1_offset, length, "the L1 table")?;
    let mut entries = vec![0; bytes.len() / 8];
    BigEndian::read_u64_into(&bytes, &mut entries);
    Ok(entries)
}

fn open_data_file(file: &HostFile, header: &Header, chain: &mut Chain) -> Result<Option<HostFile>> {
    if !header.features.external_data {
        return Ok(None);
    }
    let Some(name) = &header.data_file else {
        let what = "its data is in another file whose name it does not have";
        return Err(unsupported(file.path(), what));
    };
    let data = HostFile::open(&chain::resolve(file.path(), name)?)?;
    chain.enter(&data)?;
    Ok(Some(data))
}

fn open_backing(
    file: &HostFile,
    header: &Header,
    chain: &mut Chain,
) -> Result<Option<Box<dyn Disk>>> {
    let Some(name) = &header.backing else {
        return Ok(None);
    };
    let path = chain::resolve(file.path(), name)?;
    let format = match header.backing_format.as_deref() {
        None => None,
        Some("qcow2") => Some(Format::Qcow2),
        // A guest can write any magic to a raw disk, so raw is believed.
        Some("raw" | "file" | "host_device") => Some(Format::Raw),
        Some("vpc") => Some(Format::Vhd),
        Some("vmdk") => Some(Format::Vmdk),
        Some(other) => {
            let what = format!("its backing file has the format `{other}`");
            return Err(unsupported(file.path(), what));
        }
    };
    let backing = chain.open(&path, format);
    let backing = backing.map_err(|error| {
        let image = file.path().display();
        error.context(format!("Cannot open the backing file of `{image}`"))
    })?;
    Ok(Some(backing))
}

fn info(
    file: &HostFile,
    header: &Header,
    backing: Option<&dyn Disk>,
    data_file: Option<&HostFile>,
) -> Info {
    let mut warnings = header.warnings();
    let mut chain = Vec::new();
    if let Some(backing) = backing {
        let below = backing.info();
        chain.push(below.path.clone());
        chain.extend(below.backing.iter().cloned());
        warnings.extend(below.warnings.iter().cloned());
    }
    Info {
        variant: format!("version {}", header.version),
        cluster_size: Some(header.cluster_size()),
        compression: Some(header.compression_name()),
        features: header.features.names(),
        snapshots: header.snapshots,
        backing: chain,
        data_file: data_file.map(|file| file.path().to_owned()),
        warnings,
        ..Info::of(file, Format::Qcow2, header.size)
    }
}
