//! Reading a template's text: from a file, the files of a directory, or
//! standard input.
//!
//! Not here: what the texts mean (`json`, `hcl`).

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::source::{SourceId, Sources};
use super::variables::Fence;
use crate::error::{Error, Kind, Result};

/// The texts of a template, which are in the sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// One of Packer's legacy templates.
    Json(SourceId),
    /// An HCL2 template.
    Hcl(HclFiles),
}

/// The files of an HCL2 template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HclFiles {
    /// Their texts, by name.
    pub sources: Vec<SourceId>,
    /// Where they are, as the user gave it.
    pub directory: PathBuf,
    /// Variable files that are read without being named, weak to strong.
    pub variable_files: Vec<PathBuf>,
}

impl From<SourceId> for Text {
    fn from(source: SourceId) -> Self {
        Self::Json(source)
    }
}

/// How to open a template.
#[derive(Clone, Copy)]
pub struct Opening<'a> {
    /// The file or directory; `-` is standard input.
    pub path: &'a Path,
    /// What standard input is.
    pub is_stdin_hcl: bool,
    /// What a stranger's template may not read.
    pub fence: Fence<'a>,
}

/// Adds the texts of a template to the sources.
///
/// # Errors
///
/// [`Kind::Template`] when a directory holds no HCL2 template, a file leads
/// out of where it may, or a text is not UTF-8; [`Kind::Usage`] when there is
/// no such file; [`Kind::Io`] when it cannot be read.
pub fn open(opening: Opening<'_>, stdin: &mut dyn Read, sources: &mut Sources) -> Result<Text> {
    let path = opening.path;
    if path == Path::new("-") {
        let source = sources.add(path, read_stdin(stdin)?);
        return Ok(match opening.is_stdin_hcl {
            true => Text::Hcl(HclFiles {
                sources: vec![source],
                directory: ".".into(),
                variable_files: Vec::new(),
            }),
            false => Text::Json(source),
        });
    }
    if path.is_dir() {
        return open_directory(opening, sources);
    }
    if has_suffix(path, ".pkr.json") {
        return Err(json_syntax(path));
    }
    if !has_suffix(path, ".pkr.hcl") {
        return Ok(Text::Json(sources.add(path, read(path)?)));
    }
    let source = sources.add(path, read_inside(path, opening.fence)?);
    let directory = path.parent().filter(|parent| *parent != Path::new(""));
    Ok(Text::Hcl(HclFiles {
        sources: vec![source],
        directory: directory.unwrap_or(Path::new(".")).to_owned(),
        variable_files: Vec::new(),
    }))
}

fn open_directory(opening: Opening<'_>, sources: &mut Sources) -> Result<Text> {
    let names = names(opening.path)?;
    let with = |suffix: &str| {
        let found = names.iter().filter(|path| has_suffix(path, suffix));
        found.cloned().collect::<Vec<_>>()
    };
    if let Some(path) = with(".pkr.json").first() {
        return Err(json_syntax(path));
    }
    let templates = with(".pkr.hcl");
    if templates.is_empty() {
        let message = format!("There is no template in {}", opening.path.display());
        return Err(Error::new(Kind::Template, message).with_hint(
            "Files of an HCL2 template end in `.pkr.hcl`; name a JSON template by its file",
        ));
    }
    let mut ids = Vec::with_capacity(templates.len());
    for path in &templates {
        ids.push(sources.add(path, read_inside(path, opening.fence)?));
    }
    let mut variable_files = with(".auto.pkrvars.hcl");
    variable_files.extend(with(".auto.pkrvars.json"));
    for path in &variable_files {
        check_inside(path, opening.fence)?;
    }
    Ok(Text::Hcl(HclFiles {
        sources: ids,
        directory: opening.path.to_owned(),
        variable_files,
    }))
}

/// The files of a directory, sorted.
fn names(directory: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error| unreadable(directory, error);
    let entries = fs::read_dir(directory).map_err(unreadable)?;
    let here = directory == Path::new(".");
    let place = |name: &Path| match here {
        true => name.to_owned(),
        false => directory.join(name),
    };
    let paths = entries.map(|entry| entry.map(|entry| place(entry.file_name().as_ref())));
    let mut paths: Vec<_> = paths.collect::<std::io::Result<_>>().map_err(unreadable)?;
    paths.sort();
    Ok(paths)
}

fn has_suffix(path: &Path, suffix: &str) -> bool {
    path.to_string_lossy().ends_with(suffix)
}

fn json_syntax(path: &Path) -> Error {
    let message = format!(
        "{} is an HCL2 template in JSON syntax, which is not supported",
        path.display()
    );
    Error::new(Kind::Template, message).with_hint(
        "Write it in HCL's own syntax, as `.pkr.hcl`; a legacy JSON template has a name that does \
         not end in `.pkr.json`",
    )
}

fn read_inside(path: &Path, fence: Fence<'_>) -> Result<String> {
    check_inside(path, fence)?;
    read(path)
}

fn check_inside(path: &Path, fence: Fence<'_>) -> Result<()> {
    match fence(path) {
        None => Ok(()),
        Some(problem) => {
            let message = format!("Cannot read {}, which {problem}", path.display());
            Err(Error::new(Kind::Template, message))
        }
    }
}

fn read(path: &Path) -> Result<String> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, error))?;
    text(path, bytes)
}

fn read_stdin(stdin: &mut dyn Read) -> Result<String> {
    let mut bytes = Vec::new();
    stdin.read_to_end(&mut bytes).map_err(|error| {
        Error::new(Kind::Io, "Cannot read the template from standard input").with_source(error)
    })?;
    text(Path::new("-"), bytes)
}

fn text(path: &Path, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let message = format!("Template {} is not UTF-8 text", path.display());
        Error::new(Kind::Template, message)
            .with_source(error)
            .with_hint("Save it in the encoding UTF-8")
    })
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

    fn opened(path: &Path, stdin: &str) -> Result<(Text, Sources)> {
        let mut sources = Sources::default();
        let opening = Opening {
            path,
            is_stdin_hcl: false,
            fence: &|path| {
                path.ends_with("fenced.pkr.hcl")
                    .then(|| "leads out".to_owned())
            },
        };
        let text = open(opening, &mut stdin.as_bytes(), &mut sources)?;
        Ok((text, sources))
    }

    #[test]
    fn reads_files_and_standard_input() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.json");
        fs::write(&path, "{}").unwrap();
        for (path, stdin, expected) in [(&*path, "", "{}"), (Path::new("-"), "[]", "[]")] {
            let (text, sources) = opened(path, stdin).unwrap();
            let Text::Json(source) = text else {
                panic!("JSON was written");
            };
            assert_eq!(sources.file(source).unwrap().text, expected);
        }
    }

    #[test]
    fn a_directory_is_all_its_files_by_name() {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "b.pkr.hcl",
            "a.pkr.hcl",
            "other.hcl",
            "z.auto.pkrvars.hcl",
            "a.auto.pkrvars.json",
            "not.pkrvars.hcl",
        ] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let (text, sources) = opened(directory.path(), "").unwrap();
        let Text::Hcl(files) = text else {
            panic!("HCL was written");
        };
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let read = files
            .sources
            .iter()
            .map(|id| &sources.file(*id).unwrap().path);
        let read: Vec<_> = read.map(|path| name(path)).collect();
        assert_eq!(read, ["a.pkr.hcl", "b.pkr.hcl"]);
        let variables: Vec<_> = files.variable_files.iter().map(|path| name(path)).collect();
        assert_eq!(variables, ["z.auto.pkrvars.hcl", "a.auto.pkrvars.json"]);
        let (text, _) = opened(&directory.path().join("b.pkr.hcl"), "").unwrap();
        assert!(matches!(text, Text::Hcl(files) if files.variable_files.is_empty()));
    }

    #[test]
    fn refuses_what_is_no_template() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("latin.json"), b"{\"a\": \"\xe4\"}").unwrap();
        fs::write(at("x.pkr.json"), "{}").unwrap();
        fs::write(at("fenced.pkr.hcl"), "").unwrap();
        fs::create_dir(at("empty")).unwrap();
        let table = [
            (directory.path().to_owned(), Kind::Template),
            (at("empty"), Kind::Template),
            (at("x.pkr.json"), Kind::Template),
            (at("fenced.pkr.hcl"), Kind::Template),
            (at("latin.json"), Kind::Template),
            (at("absent.json"), Kind::Usage),
        ];
        for (path, kind) in table {
            let error = opened(&path, "").unwrap_err();
            assert_eq!(error.kind(), kind, "{}", path.display());
        }
    }
}
