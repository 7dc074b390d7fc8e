//! PowerShell's command line, and the XML it writes instead of errors.
//!
//! Source of facts: `powershell.exe -?`, MS-PSRP 2.2.5 (escapes in strings).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::xml::Element;
use crate::communicator::Output;
use crate::communicator::lines::Piece;
use crate::engine::event::Stream;

/// A command line that runs a script as it stands, whatever is in it.
pub(crate) fn encoded(script: &str) -> String {
    let utf16: Vec<u8> = script.encode_utf16().flat_map(u16::to_le_bytes).collect();
    format!(
        "powershell -NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand {}",
        STANDARD.encode(utf16)
    )
}

/// Turns the XML of `powershell -EncodedCommand` on standard error into text.
#[derive(Debug, Default)]
pub(super) struct ErrorText {
    is_xml: bool,
}

impl ErrorText {
    /// Shows what came on standard error.
    pub(super) fn show(&mut self, piece: Piece<'_>, output: &mut dyn Output) {
        match piece {
            Piece::Line(line) => self.readable(line, |line| output.line(Stream::Stderr, line)),
            Piece::Rest(_) => piece.show(Stream::Stderr, output),
        }
    }

    /// Hands a line over as text: the errors in it, if it is such XML.
    pub(super) fn readable(&mut self, line: &[u8], mut show: impl FnMut(&[u8])) {
        if line == b"#< CLIXML" {
            self.is_xml = true;
            return;
        }
        let parsed = match self.is_xml {
            true => std::str::from_utf8(line).ok().and_then(Element::parse),
            false => None,
        };
        let Some(objects) = parsed else {
            return show(line);
        };
        let errors = objects.find_all("S").into_iter();
        let errors = errors.filter(|it| it.attribute("S") == Some("Error"));
        let text: String = errors.map(|it| unescaped(it.whole_text())).collect();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            show(line.as_bytes());
        }
    }
}

/// `_x000A_` is a line end.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("_x") {
        out.push_str(before);
        let code = after.get(..5).and_then(|code| code.strip_suffix('_'));
        let code = code.and_then(|code| u32::from_str_radix(code, 16).ok());
        match code.and_then(char::from_u32) {
            Some(letter) => {
                out.push(letter);
                rest = &after[5..];
            }
            None => {
                out.push_str("_x");
                rest = after;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_encoded_as_windows_wants_it() {
        let line = encoded("exit 1");
        assert!(line.ends_with(" ZQB4AGkAdAAgADEA"), "{line}");
    }

    #[test]
    fn xml_becomes_the_errors_in_it() {
        let mut shown = Vec::new();
        let mut errors = ErrorText::default();
        for line in [
            "plain",
            "<Objs>not announced</Objs>",
            "#< CLIXML",
            "<Objs Version=\"1.1\"><Obj S=\"progress\"><S>Preparing</S></Obj>\
             <S S=\"Error\">Boom &amp; co_x000D__x000A_</S>\
             <S S=\"Error\">    + here_x000D__x000A_</S></Objs>",
            "after <it>",
        ] {
            errors.readable(line.as_bytes(), |line| {
                shown.push(String::from_utf8_lossy(line).into_owned());
            });
        }
        let expected = [
            "plain",
            "<Objs>not announced</Objs>",
            "Boom & co",
            "    + here",
            "after <it>",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn escapes_are_undone() {
        for (text, expected) in [
            ("a_x000A_b", "a\nb"),
            ("_x_", "_x_"),
            ("_x00", "_x00"),
            ("_xD800_", "_xD800_"),
            ("a_xäöü", "a_xäöü"),
        ] {
            assert_eq!(unescaped(text), expected);
        }
    }
}
