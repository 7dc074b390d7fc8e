//! CRC-64/XZ, which OSS calls `crc64ecma`: of parts, and of the whole from
//! its parts.

use crc_fast::{CrcAlgorithm, checksum, checksum_combine};

/// The CRC-64 of some bytes and how many they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Crc64 {
    /// The checksum; 0 for no bytes.
    pub value: u64,
    /// The number of bytes.
    pub length: u64,
}

impl Crc64 {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            value: checksum(CrcAlgorithm::Crc64Xz, bytes),
            length: bytes.len() as u64,
        }
    }

    /// Of these bytes and then those.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        let value = checksum_combine(CrcAlgorithm::Crc64Xz, self.value, next.value, next.length);
        Self {
            value,
            length: self.length + next.length,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_oss() {
        let cycle: Vec<u8> = (0..1024_u32).map(|n| (n % 256) as u8).collect();
        let table: [(&[u8], u64); 6] = [
            (b"", 0),
            (b"123456789", 0x995D_C9BB_DF19_39FA),
            (
                b"This is a test of the emergency broadcast system.",
                2_871_916_124_362_751_090,
            ),
            (b"hello", 11_177_612_005_948_864_433),
            (b"0123456789", 2_838_902_930_144_391_966),
            (&cycle, 15_357_192_874_899_391_488),
        ];
        for (bytes, expected) in table {
            assert_eq!(Crc64::of(bytes).value, expected);
        }
    }

    #[test]
    fn parts_make_the_whole() {
        let (first, second): (&[u8], &[u8]) = (
            b"123456789",
            b"This is a test of the emergency broadcast system.",
        );
        let whole = Crc64::of(first).then(Crc64::of(second));
        assert_eq!(whole.value, 7_672_622_622_872_733_320);
        assert_eq!(whole.length, 58);
        assert_eq!(Crc64::default().then(Crc64::of(first)), Crc64::of(first));
        assert_eq!(Crc64::of(first).then(Crc64::default()), Crc64::of(first));
    }
}
