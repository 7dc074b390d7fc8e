//! What the guest's text screen and serial console say.
//!
//! The text screen of a PC is 32 KiB of memory: characters of code page 437
//! and colours, in turns. QEMU copies it to a file on request, so no picture
//! needs to be recognised. Source of facts: the VGA's documentation.

/// Where a PC keeps its text screen.
pub(super) const ADDRESS: u64 = 0xb8000;
/// All of its pages: a console that scrolls moves through them.
pub(super) const SIZE: u64 = 0x8000;

/// Cells of a line.
const COLUMNS: usize = 80;

/// The lines of a text screen, with the blanks at their ends removed.
pub(super) fn lines(memory: &[u8]) -> Vec<String> {
    let cells: Vec<u8> = memory.iter().copied().step_by(2).collect();
    let line = |cells: &[u8]| {
        let text: String = cells.iter().map(|cell| character(*cell)).collect();
        text.trim_end().to_owned()
    };
    cells.chunks(COLUMNS).map(line).collect()
}

fn character(cell: u8) -> char {
    match cell {
        0x20..=0x7e => char::from(cell),
        _ => ' ',
    }
}

/// Whether a text stands in a line, or goes over the end of one.
pub(super) fn shows(lines: &[String], text: &str) -> bool {
    let joined = |lines: &[String]| {
        lines
            .iter()
            .map(|line| format!("{line:<COLUMNS$}"))
            .collect()
    };
    let whole: String = joined(lines);
    whole.contains(text)
}

/// Whether a text came over the serial line. Escape sequences that move the
/// cursor or colour it stand between letters and are passed over.
pub(super) fn was_sent(serial: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(&without_escapes(serial)).contains(text)
}

/// The last lines that came over the serial line, for people.
pub(super) fn tail(serial: &[u8], count: usize) -> Vec<String> {
    let plain = without_escapes(serial);
    let text = String::from_utf8_lossy(&plain).into_owned();
    let mut lines: Vec<_> = text
        .split(['\n', '\r'])
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    lines.split_off(lines.len().saturating_sub(count))
}

fn without_escapes(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        rest = match (first, after.first()) {
            (0x1b, Some(b'[')) => after_sequence(&after[1..]),
            (0x1b, Some(_)) => &after[1..],
            _ => {
                plain.push(first);
                after
            }
        };
    }
    plain
}

/// What follows a control sequence, which ends with a letter or `@` to `~`.
fn after_sequence(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| (0x40..=0x7e).contains(byte));
    end.map_or(&[], |end| &bytes[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(lines: &[&str]) -> Vec<u8> {
        let cells = lines.iter().flat_map(|line| {
            let padded = format!("{line:<COLUMNS$}");
            padded.into_bytes()
        });
        cells.flat_map(|cell| [cell, 0x07]).collect()
    }

    #[test]
    fn the_text_screen_is_read() {
        let long = format!("{}bo", "x".repeat(78));
        let memory = memory(&["SYSLINUX 4.05", &long, "ot: "]);
        let read = lines(&memory);
        assert_eq!(read, ["SYSLINUX 4.05", &long, "ot:"]);
        assert!(shows(&read, "LINUX 4"));
        assert!(shows(&read, "boot: "));
        assert!(!shows(&read, "login:"));
        assert_eq!(lines(&[]), Vec::<String>::new());
    }

    #[test]
    fn the_serial_console_is_read_without_escapes() {
        let serial = b"GRUB\r\n\x1b[1;1Hlo\x1b[0mgin\x1b(: \xff";
        assert!(was_sent(serial, "login"));
        assert!(!was_sent(serial, "boot"));
        assert_eq!(tail(b"a\r\nb\n\nc\x1b[", 2), ["b", "c"]);
    }
}
