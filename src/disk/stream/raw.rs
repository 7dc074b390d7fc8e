//! Raw output: every byte of the disk.

use super::Layout;
use super::parts::Parts;
use super::qcow2::CLUSTER;
use super::unit::Piece;
use crate::error::Result;

pub(super) struct Raw {
    size: u64,
}

impl Raw {
    pub(super) fn new(size: u64) -> Self {
        Self { size }
    }
}

impl Layout for Raw {
    fn put(&mut self, piece: &Piece, bytes: &[u8], parts: &mut Parts<'_>) -> Result<()> {
        let start = piece.index * CLUSTER;
        parts.zeros(start - parts.position())?;
        // The last cluster may be longer than the disk.
        let inside = (self.size - start).min(bytes.len() as u64);
        parts.write(&bytes[..inside as usize])
    }

    fn finish(&mut self, parts: &mut Parts<'_>) -> Result<Vec<u8>> {
        parts.zeros(self.size - parts.position())?;
        Ok(Vec::new())
    }
}
