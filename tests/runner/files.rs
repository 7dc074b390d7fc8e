//! File commands: how the runner reads `GITHUB_OUTPUT` and its like.

use std::collections::BTreeMap;

/// Outputs of a job, in UTF-16, that GitHub takes.
pub(crate) const MOST_OUTPUT: usize = 1024 * 1024;

/// A job summary that GitHub takes.
pub(crate) const MOST_SUMMARY: usize = 1024 * 1024;

/// The assignments in a file; the later of two wins.
pub(crate) fn assignments(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut found = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let (name, value) = match (line.find('='), line.find("<<")) {
            (Some(equals), heredoc) if heredoc.is_none_or(|heredoc| equals < heredoc) => {
                (&line[..equals], line[equals + 1..].to_owned())
            }
            (_, Some(heredoc)) => {
                let (name, delimiter) = (&line[..heredoc], &line[heredoc + 2..]);
                (name, heredoc_value(&mut lines, name, delimiter)?)
            }
            _ => return Err(format!("Invalid format '{line}'")),
        };
        if name.is_empty() {
            return Err(format!("Invalid format '{line}'. Name must not be empty"));
        }
        found.insert(name.to_owned(), value);
    }
    Ok(found)
}

fn heredoc_value<'a>(
    lines: &mut impl Iterator<Item = &'a str>,
    name: &str,
    delimiter: &str,
) -> Result<String, String> {
    if delimiter.is_empty() {
        return Err(format!(
            "Invalid format '{name}<<'. Delimiter must not be empty"
        ));
    }
    let mut value = Vec::new();
    for line in lines {
        if line == delimiter {
            return Ok(value.join("\n"));
        }
        value.push(line);
    }
    Err(format!(
        "Invalid value. Matching delimiter not found '{delimiter}'"
    ))
}

#[test]
fn both_forms_are_read() {
    let text = "a=1\nb<<EOF\n2<<x\n=\nEOF\n\nc==x<<y\na=3\n";
    let found = assignments(text).unwrap();
    let expected = [("a", "3"), ("b", "2<<x\n="), ("c", "=x<<y")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(found, BTreeMap::from(expected));
}

#[test]
fn a_missing_delimiter_is_an_error() {
    for bad in ["a<<EOF\nvalue\n", "a<<\n", "nothing\n", "=v\n"] {
        assert!(assignments(bad).is_err(), "{bad}");
    }
}
