//! Checksum files as distributions publish them: which line is about our
//! file.
//!
//! GNU lines (`HASH  NAME`), BSD lines (`SHA256 (NAME) = HASH`) and a hash
//! alone. As Packer, except that a last line without line end counts too.

use super::checksum::{Algorithm, Digest};

/// The digest of the file at `url` (or path) in a checksum file.
pub fn find(text: &str, url: &str) -> Option<Digest> {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    text.lines().find_map(|line| digest_of(line, path))
}

fn digest_of(line: &str, path: &str) -> Option<Digest> {
    if line.starts_with(['#', '/', '-']) {
        return None;
    }
    let words: Vec<_> = line.split_whitespace().collect();
    match words.as_slice() {
        [hash] => Digest::by_length(hash),
        [hash, name] if is_about(name, path) => Digest::by_length(hash),
        [algorithm, name, "=", hash] => {
            let name = name.strip_prefix('(')?.strip_suffix(')')?;
            let algorithm = Algorithm::by_name(algorithm)?;
            is_about(name, path).then(|| Digest::new(algorithm, hash))?
        }
        _ => None,
    }
}

/// Whether the name in a line means the file: its base name, perhaps marked
/// as binary, or the end of its path.
fn is_about(name: &str, path: &str) -> bool {
    let base = path.rsplit('/').next().unwrap_or(path);
    let unmarked = name.strip_prefix(['*', '?']).unwrap_or(name);
    let relative = name.trim_start_matches(['.', '/', '*']);
    unmarked == base
        || name == path
        || (!relative.is_empty() && format!("/{path}").ends_with(&format!("/{relative}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_as_distributions_write_them() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let url = "https://h/dir/x.iso?raw=1";
        let table: Vec<(String, Option<&str>)> = vec![
            (format!("{b}  y.iso\n{a}  x.iso\n"), Some(&a)),
            (format!("{a} *x.iso"), Some(&a)),
            (format!("{a}  ./dir/x.iso\n"), Some(&a)),
            (format!("{a}  dir/x.iso\n"), Some(&a)),
            (format!("{a}  other/x.iso\n"), None),
            (format!("{a}  xx.iso\n"), None),
            (format!("SHA256 (x.iso) = {a}\n"), Some(&a)),
            (format!("SHA256 (y.iso) = {a}\n"), None),
            (format!("SHA512 (x.iso) = {a}\n"), None),
            (format!("{a}\n"), Some(&a)),
            (
                format!(
                    "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# x.iso: 5 bytes\n\
                     SHA256 (x.iso) = {a}\n-----BEGIN PGP SIGNATURE-----\niQ\n"
                ),
                Some(&a),
            ),
            (String::new(), None),
            ("<html>not found</html>".to_owned(), None),
        ];
        for (text, expected) in table {
            let found = find(&text, url).map(|digest| digest.hex);
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
