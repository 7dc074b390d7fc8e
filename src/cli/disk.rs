//! The command `disk`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Output;

/// `disk`.
#[derive(Debug, Args)]
pub struct Disk {
    /// What to do.
    #[command(subcommand)]
    pub command: DiskCommand,
}

/// The commands of `disk`.
#[derive(Debug, Subcommand)]
pub enum DiskCommand {
    /// Show format, sizes, features and backing files
    Info(DiskFile),
    /// Check the image's tables; exits with 1 when something is wrong
    Check(DiskFile),
    /// Write the image in another format, without its backing files
    Convert(DiskConvert),
}

/// The image that a command of `disk` reads.
#[derive(Debug, Args)]
pub struct DiskFile {
    /// The image: qcow2, raw, VHD or VMDK
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The image's format, when its content is not to tell
    #[arg(short = 'f', long, value_name = "FORMAT")]
    pub source_format: Option<DiskFormat>,
    /// How the answer is shown.
    #[command(flatten)]
    pub output: Output,
}

/// `disk convert`.
#[derive(Debug, Args)]
pub struct DiskConvert {
    /// The image and how the answer is shown.
    #[command(flatten)]
    pub source: DiskFile,
    /// The file to write; it is replaced when the new one is complete
    #[arg(value_name = "TARGET")]
    pub target: PathBuf,
    /// The format to write
    #[arg(short = 'O', long, value_name = "FORMAT", default_value = "qcow2")]
    pub target_format: TargetFormat,
    /// How hard to compress: 1 is fast, 12 is small
    #[arg(long, value_name = "N", default_value_t = crate::disk::stream::DEFAULT_LEVEL,
          value_parser = clap::value_parser!(u8).range(1..=12))]
    pub level: u8,
    /// Compress with the window of 4 KiB that qcow2's description asks for
    #[arg(long)]
    pub strict_window: bool,
    /// Leave out what a clean ext2, ext3, ext4 or XFS file system says is free
    #[arg(long)]
    pub drop_free_blocks: bool,
}

/// The formats that `disk` reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiskFormat {
    /// QEMU's format
    Qcow2,
    /// The bytes of the disk
    Raw,
    /// Microsoft's format
    #[value(alias = "vpc")]
    Vhd,
    /// VMware's format
    Vmdk,
}

/// The formats that `disk convert` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TargetFormat {
    /// QEMU's format, compressed
    Qcow2,
    /// The bytes of the disk
    Raw,
    /// Microsoft's format, without empty blocks
    #[value(alias = "vpc")]
    Vhd,
    /// Microsoft's format, with every byte of the disk
    VhdFixed,
}
