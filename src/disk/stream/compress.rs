//! Compression of clusters: which codec, and when not to try.
//!
//! The default refers back 32 KiB, where qcow2's description has 4 KiB: QEMU
//! inflates a cluster in one call and does not mind. No codec with a true
//! window of 4 KiB is as small as fast. 687 MB of `/usr` in clusters of
//! 64 KiB, against `qemu-img convert -c` (22.0 CPU seconds, 245.5 MB):
//!
//! | codec | window | CPU | size |
//! |---|---|---|---|
//! | libdeflate 1 | 32 KiB | 0.14 | 0.975 |
//! | libdeflate 2 (default) | 32 KiB | 0.19 | 0.952 |
//! | libdeflate 6 | 32 KiB | 0.27 | 0.924 |
//! | ISA-L 1 | 4 KiB | 0.06 | 1.049 |
//! | ISA-L 3 | 4 KiB | 0.09 | 1.033 |
//! | zlib 6 | 4 KiB | 0.63 | 0.989 |
//! | libdeflate 4, its window changed | 4 KiB | 0.20 | 0.993 |
//! | libdeflate 6, its window changed | 4 KiB | 0.25 | 0.981 |
//!
//! ISA-L also needs nasm, autoconf and libtool on every machine that builds
//! us, and libdeflate's window is a constant of its source. So the window of
//! 4 KiB is a choice for importers that insist, made by zlib-rs.

use flate2::{Compress, Compression, FlushCompress, Status};
use libdeflater::CompressionLvl;

use super::{Options, Output, Window};

/// zlib-rs below this level is larger than the format's peers.
const STRICT_LEAST_LEVEL: u32 = 6;

/// qcow2 says that compressed clusters refer back 4 KiB at most.
const STRICT_WINDOW: u8 = 12;

/// The probe looks at this many places of a cluster,
const PROBES: usize = 16;

/// of so many bytes each.
const PROBE: usize = 256;

/// The sum of squares of byte counts for random bytes is about
/// `n² / 256 + n`, give or take 1/200; what is not above it by 1/64 hardly
/// shrinks.
const RANDOM_SQUARES: u64 = {
    let n = (PROBES * PROBE) as u64;
    let random = n * n / 256 + n;
    random + random / 64
};

/// What all threads agree on.
pub(super) struct Plan {
    codec: Codec,
}

#[derive(Clone, Copy)]
enum Codec {
    None,
    Full,
    Strict,
}

impl Plan {
    pub(super) fn new(options: &Options) -> Self {
        let codec = match (options.output, options.window) {
            (Output::Raw | Output::VhdFixed | Output::VhdDynamic, _) => Codec::None,
            (Output::Qcow2, Window::Full) => Codec::Full,
            (Output::Qcow2, Window::Strict) => Codec::Strict,
        };
        Self { codec }
    }

    pub(super) fn compressor(&self) -> Compressor {
        Compressor {
            codec: self.codec,
            engine: None,
            output: Vec::new(),
        }
    }
}

/// One thread's compressor.
pub(super) struct Compressor {
    codec: Codec,
    engine: Option<(u8, Engine)>,
    output: Vec<u8>,
}

enum Engine {
    Full(libdeflater::Compressor),
    Strict(Compress),
}

impl Compressor {
    /// Prepares for a level; the engine is kept while it does not change.
    pub(super) fn set_level(&mut self, level: u8) {
        let is_same = |(current, _): &(u8, Engine)| *current == level;
        if self.engine.as_ref().is_some_and(is_same) {
            return;
        }
        let engine = match self.codec {
            Codec::None => return,
            Codec::Full => {
                let level = CompressionLvl::new(i32::from(level.clamp(1, 12)));
                Engine::Full(libdeflater::Compressor::new(level.unwrap_or_default()))
            }
            Codec::Strict => {
                let level = Compression::new(u32::from(level).clamp(STRICT_LEAST_LEVEL, 9));
                Engine::Strict(Compress::new_with_window_bits(level, false, STRICT_WINDOW))
            }
        };
        self.engine = Some((level, engine));
    }

    /// Appends the cluster, and says whether it could be compressed.
    pub(super) fn append(&mut self, cluster: &[u8], to: &mut Vec<u8>) -> bool {
        let compressed = match &mut self.engine {
            Some((_, engine)) if !is_random(cluster) => {
                // zlib-rs needs room for the worst case even if the result is
                // then thrown away.
                self.output
                    .resize(cluster.len() + cluster.len() / 8 + 64, 0);
                engine.compress(cluster, &mut self.output)
            }
            _ => None,
        };
        match compressed.filter(|length| *length < cluster.len()) {
            Some(length) => {
                to.extend_from_slice(&self.output[..length]);
                true
            }
            None => {
                to.extend_from_slice(cluster);
                false
            }
        }
    }
}

impl Engine {
    /// The length of the compressed cluster, if it fits the output.
    fn compress(&mut self, cluster: &[u8], output: &mut [u8]) -> Option<usize> {
        match self {
            Self::Full(engine) => engine.deflate_compress(cluster, output).ok(),
            Self::Strict(engine) => {
                engine.reset();
                let status = engine.compress(cluster, output, FlushCompress::Finish);
                let is_done = matches!(status, Ok(Status::StreamEnd));
                is_done.then_some(engine.total_out() as usize)
            }
        }
    }
}

/// Whether a sample has byte counts as even as random bytes have. Compressed
/// and encrypted data has; trying to compress it would cost more than
/// anything else.
fn is_random(cluster: &[u8]) -> bool {
    if cluster.len() < PROBES * PROBE {
        return false;
    }
    let mut counts = [0_u32; 256];
    for place in cluster.chunks_exact(cluster.len() / PROBES) {
        for byte in &place[..PROBE] {
            counts[usize::from(*byte)] += 1;
        }
    }
    let squares: u64 = counts.iter().map(|count| u64::from(count * count)).sum();
    squares <= RANDOM_SQUARES
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A linear congruential generator's upper bits: even, and always the same.
    fn random(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            (state >> 56) as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    #[test]
    fn the_probe_knows_random_from_text() {
        assert!(is_random(&random(65536)));
        let text = b"The quick brown fox jumps over the lazy dog. ".repeat(1500);
        assert!(!is_random(&text[..65536]));
        // Base64 of random bytes shrinks by a quarter.
        let base64: Vec<_> = random(65536).iter().map(|byte| b'0' + byte % 64).collect();
        assert!(!is_random(&base64));
    }

    #[test]
    fn strict_data_inflates_with_a_window_of_4_kib() {
        // Repetitions 8 KiB apart: a wider window would use them.
        let block = random(8192);
        let mut cluster: Vec<_> = block.repeat(8);
        cluster.iter_mut().for_each(|byte| *byte &= 0x3f);
        for (window, shrinks_much) in [(Window::Full, true), (Window::Strict, false)] {
            let mut options = Options::new(Output::Qcow2);
            options.window = window;
            let mut compressor = Plan::new(&options).compressor();
            compressor.set_level(6);
            let mut compressed = Vec::new();
            assert!(compressor.append(&cluster, &mut compressed));
            assert_eq!(compressed.len() < 20_000, shrinks_much);
        }
    }
}
