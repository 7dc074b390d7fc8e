//! The CD with the user's files, written by xorriso or mkisofs.
//!
//! Files go to the root by their names, a directory goes in with its own name,
//! one that ends with `/` with what is in it; `cd_content` comes last.

use std::path::{Path, PathBuf};

use super::BuildContext;
use super::files;
use super::program::Program;
use crate::error::{Error, Kind, Result};
use crate::plan::qemu::Cd;

/// Programs that write images, with what makes them do it.
const WRITERS: &[(&str, &[&str])] = &[
    ("xorriso", &["-as", "genisoimage", "-rock", "-joliet"]),
    ("genisoimage", &["-rock", "-joliet"]),
    ("mkisofs", &["-rock", "-joliet"]),
];

/// Writes the CD into a directory and gives its path.
///
/// # Errors
/// [`Kind::Io`] when a file is missing or there is no program.
pub(super) async fn write(cx: &BuildContext<'_>, cd: &Cd, directory: &Path) -> Result<PathBuf> {
    cx.events.say("Creating CD disk...");
    let (tree, image) = (directory.join("cd"), directory.join("cd.iso"));
    collect(cd, &tree)?;
    let (program, switches) = writer(cx)?;
    let mut arguments: Vec<String> = switches.iter().map(|&text| text.to_owned()).collect();
    arguments.extend(["-volid".to_owned(), cd.label.clone(), "-output".to_owned()]);
    arguments.extend([image.display().to_string(), tree.display().to_string()]);
    program.run(cx, arguments).await?;
    Ok(image)
}

fn writer(cx: &BuildContext<'_>) -> Result<(Program, &'static [&'static str])> {
    let mut found = WRITERS.iter().filter_map(|(name, switches)| {
        let program = Program::find(name, cx.environment).ok()?;
        Some((program, *switches))
    });
    found.next().ok_or_else(|| {
        let message = "There is no program that writes CDs (xorriso, genisoimage or mkisofs)";
        Error::new(Kind::Io, message)
            .with_hint("Install one, on Debian and Ubuntu by `apt-get install xorriso`")
    })
}

/// Puts everything together as it will be on the CD.
fn collect(cd: &Cd, tree: &Path) -> Result<()> {
    std::fs::create_dir_all(tree).map_err(|error| failed("create", tree, error))?;
    for pattern in &cd.files {
        let takes_contents = pattern.value.ends_with('/');
        for path in files::expand(pattern)? {
            let name = match (takes_contents, path.file_name()) {
                (false, Some(name)) => tree.join(name),
                _ => tree.to_owned(),
            };
            copy(&path, &name)?;
        }
    }
    for (name, content) in &cd.content {
        let path = tree.join(inside(name)?);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| failed("create", parent, error))?;
        }
        std::fs::write(&path, content).map_err(|error| failed("write", &path, error))?;
    }
    Ok(())
}

/// A path that leads nowhere but down.
pub(super) fn inside(name: &str) -> Result<PathBuf> {
    use std::path::Component;
    let path = Path::new(name.trim_start_matches('/'));
    let is_plain = |component| matches!(component, Component::Normal(_) | Component::CurDir);
    if path.as_os_str().is_empty() || !path.components().all(is_plain) {
        let message = format!("`{name}` is not a path in an image");
        return Err(Error::new(Kind::Io, message));
    }
    Ok(path.to_owned())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        return copy_file(from, to);
    }
    std::fs::create_dir_all(to).map_err(|error| failed("create", to, error))?;
    for (path, inner) in files::below(from)? {
        copy_file(&path, &to.join(inner))?;
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent).map_err(|error| failed("create", parent, error))?;
    }
    std::fs::copy(from, to)
        .map(drop)
        .map_err(|error| failed("copy", from, error))
}

fn failed(verb: &str, path: &Path, error: std::io::Error) -> Error {
    Error::new(Kind::Io, format!("Cannot {verb} `{}`", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::source::Spanned;

    #[test]
    fn files_directories_and_contents_are_put_together() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::create_dir_all(path("with/name")).unwrap();
        std::fs::create_dir_all(path("without")).unwrap();
        for name in ["a.cfg", "b.cfg", "with/name/c", "without/d"] {
            std::fs::write(path(name), name).unwrap();
        }
        let pattern = |text: &str| {
            let text = format!("{}/{text}", directory.path().display());
            Spanned::default_value(text)
        };
        let content = [("/meta-data", ""), ("sub/e", "content"), ("a.cfg", "new")];
        let cd = Cd {
            interface: None,
            files: vec![pattern("*.cfg"), pattern("with"), pattern("without/")],
            content: content.map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
            label: "cidata".to_owned(),
        };
        let tree = path("tree");
        collect(&cd, &tree).unwrap();
        let found = files::below(&tree).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|(path, inner)| {
                let content = std::fs::read_to_string(path).unwrap();
                (inner.to_str().unwrap(), content)
            })
            .collect();
        let expected = [
            ("a.cfg", "new"),
            ("b.cfg", "b.cfg"),
            ("d", "without/d"),
            ("meta-data", ""),
            ("sub/e", "content"),
            ("with/name/c", "with/name/c"),
        ];
        assert_eq!(found, expected.map(|(a, b)| (a, b.to_owned())));
    }

    #[test]
    fn nothing_is_written_beside_the_image() {
        for name in ["../x", "", "/", "a/../../b"] {
            assert!(inside(name).is_err(), "{name}");
        }
        assert_eq!(inside("/a/b").unwrap(), Path::new("a/b"));
    }
}
