//! A picture of the guest's screen as a PNG file.
//!
//! Source of facts: the PNG specification (ISO/IEC 15948).

use std::io::Write as _;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

use super::vnc::Picture;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Eight bits each of red, green and blue.
const TRUE_COLOUR: [u8; 5] = [8, 2, 0, 0, 0];

/// The picture as a PNG file.
pub(super) fn png(picture: &Picture) -> Vec<u8> {
    let size = [picture.width, picture.height].map(|side| u32::from(side).to_be_bytes());
    let header = [size.as_flattened(), &TRUE_COLOUR].concat();
    let mut file = SIGNATURE.to_vec();
    chunk(&mut file, b"IHDR", &header);
    chunk(&mut file, b"IDAT", &compressed(picture));
    chunk(&mut file, b"IEND", &[]);
    file
}

/// The lines, each after the number of its filter: none.
fn compressed(picture: &Picture) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    let width = usize::from(picture.width).max(1) * 3;
    for line in picture.rgb.chunks_exact(width) {
        let written = encoder
            .write_all(&[0])
            .and_then(|()| encoder.write_all(line));
        written.expect("writing to memory does not fail");
    }
    encoder.finish().expect("writing to memory does not fail")
}

fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    let length = u32::try_from(data.len()).expect("a screen fits into memory");
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(data);
    file.extend(length.to_be_bytes());
    file.extend(kind);
    file.extend(data);
    file.extend(crc.sum().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_picture_survives() {
        let picture = Picture {
            width: 2,
            height: 2,
            rgb: (1..=12).collect(),
        };
        let file = png(&picture);
        let header = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x02\0\0\0\x02\x08\x02\0\0\0";
        assert!(file.starts_with(header), "{file:?}");
        // The checksum of an empty IEND is known to everybody.
        assert!(file.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"));
        let data = &file[33..];
        let length = u32::from_be_bytes(data[..4].try_into().unwrap()) as usize;
        let mut lines = Vec::new();
        flate2::read::ZlibDecoder::new(&data[8..8 + length])
            .read_to_end(&mut lines)
            .unwrap();
        assert_eq!(lines, [0, 1, 2, 3, 4, 5, 6, 0, 7, 8, 9, 10, 11, 12]);
    }
}
