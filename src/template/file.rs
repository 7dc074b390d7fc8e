//! Reading a template's text from a file or from standard input.

use std::fs;
use std::io::Read;
use std::path::Path;

use super::source::{SourceId, Sources};
use crate::error::{Error, Kind, Result};

/// Adds the text at a path to the sources; `-` is standard input.
///
/// # Errors
///
/// [`Kind::Template`] when the path is a directory or an HCL2 template, or
/// the text is not UTF-8; [`Kind::Usage`] when there is no such file;
/// [`Kind::Io`] when it cannot be read.
pub fn open(path: &Path, stdin: &mut dyn Read, sources: &mut Sources) -> Result<SourceId> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        let read = stdin.read_to_end(&mut bytes);
        read.map_err(|error| {
            Error::new(Kind::Io, "Cannot read the template from standard input").with_source(error)
        })?;
        bytes
    } else {
        refuse_hcl(path)?;
        fs::read(path).map_err(|error| unreadable(path, error))?
    };
    let text = String::from_utf8(bytes).map_err(|error| {
        let message = format!("Template {} is not UTF-8 text", path.display());
        Error::new(Kind::Template, message)
            .with_source(error)
            .with_hint("Save it in the encoding UTF-8")
    })?;
    Ok(sources.add(path, text))
}

fn refuse_hcl(path: &Path) -> Result<()> {
    let name = path.to_string_lossy();
    let (message, hint) = if path.is_dir() {
        (
            format!("{name} is a directory, as only HCL2 templates are, which are not supported"),
            "Name the JSON template in it",
        )
    } else if name.ends_with(".pkr.hcl") || name.ends_with(".pkr.json") {
        (
            format!("{name} is an HCL2 template, which is not supported"),
            "Give a JSON template whose name does not end in `.pkr.json`",
        )
    } else {
        return Ok(());
    };
    Err(Error::new(Kind::Template, message).with_hint(hint))
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => Kind::Usage,
        _ => Kind::Io,
    };
    Error::new(kind, format!("Cannot read template {}", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_files_and_standard_input() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.json");
        fs::write(&path, "{}").unwrap();
        let mut sources = Sources::default();
        let file = open(&path, &mut std::io::empty(), &mut sources).unwrap();
        let stdin = open(Path::new("-"), &mut "[]".as_bytes(), &mut sources).unwrap();
        assert_eq!(sources.file(file).unwrap().text, "{}");
        assert_eq!(sources.file(stdin).unwrap().text, "[]");
    }

    #[test]
    fn refuses_what_is_no_json_template() {
        let directory = tempfile::tempdir().unwrap();
        let latin = directory.path().join("latin.json");
        fs::write(&latin, b"\xe4").unwrap();
        let table = [
            (directory.path().to_owned(), Kind::Template),
            (directory.path().join("x.pkr.hcl"), Kind::Template),
            (directory.path().join("missing.json"), Kind::Usage),
            (latin, Kind::Template),
        ];
        for (path, kind) in table {
            let result = open(&path, &mut std::io::empty(), &mut Sources::default());
            assert_eq!(result.unwrap_err().kind(), kind, "{}", path.display());
        }
    }
}
