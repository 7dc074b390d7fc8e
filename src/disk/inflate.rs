//! Decompression of single clusters, into buffers of known size.
//!
//! Pure Rust on purpose: compressed clusters come from untrusted files.

use std::cell::RefCell;
use std::io::Read as _;

use flate2::{Decompress, FlushDecompress};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Windows above this are refused; QEMU's encoder stays at 2 MiB.
const MAX_ZSTD_WINDOW: u64 = 8 << 20;

/// How a cluster is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    /// Deflate without a header: qcow2.
    Deflate,
    /// Deflate with zlib's header: VMDK.
    Zlib,
    /// Zstandard frames: qcow2.
    Zstd,
}

impl Codec {
    /// Fills `output` from `input`, which may have bytes left over: formats
    /// round lengths up.
    pub(super) fn inflate(self, input: &[u8], output: &mut [u8]) -> Result<(), String> {
        match self {
            Self::Deflate => DEFLATE.with_borrow_mut(|state| {
                state.reset(false);
                deflate(state, input, output)
            }),
            Self::Zlib => deflate(&mut Decompress::new(true), input, output),
            Self::Zstd => ZSTD.with_borrow_mut(|decoder| zstd(decoder, input, output)),
        }
    }
}

thread_local! {
    // The window is larger than qcow2's 4 KiB, as QEMU also reads such data.
    static DEFLATE: RefCell<Decompress> = RefCell::new(Decompress::new(false));
    static ZSTD: RefCell<FrameDecoder> = RefCell::new(FrameDecoder::new());
}

fn deflate(state: &mut Decompress, input: &[u8], output: &mut [u8]) -> Result<(), String> {
    state
        .decompress(input, output, FlushDecompress::Finish)
        .map_err(|error| error.to_string())?;
    complete(state.total_out(), output.len())
}

/// One frame, block by block: a frame of a few bytes can claim gigabytes, so
/// never more than the window is decoded ahead of the output.
fn zstd(decoder: &mut FrameDecoder, input: &[u8], output: &mut [u8]) -> Result<(), String> {
    let (mut rest, mut filled) = (input, 0);
    decoder.set_max_window_size(MAX_ZSTD_WINDOW);
    decoder
        .reset(&mut rest)
        .map_err(|error| error.to_string())?;
    while filled < output.len() && !decoder.is_finished() {
        decoder
            .decode_blocks(&mut rest, BlockDecodingStrategy::UptoBlocks(1))
            .map_err(|error| error.to_string())?;
        filled += decoder
            .read(&mut output[filled..])
            .map_err(|error| error.to_string())?;
    }
    complete(filled as u64, output.len())
}

fn complete(written: u64, expected: usize) -> Result<(), String> {
    if written == expected as u64 {
        return Ok(());
    }
    Err(format!("{written} bytes instead of {expected}"))
}
