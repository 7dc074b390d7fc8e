//! The environment that Packer gives to scripts, as text in front of a
//! command or as lines of a file.
//!
//! Behaviour: Packer's `shell` and `shell-local` (environment_vars, env,
//! env_var_format). Not here: the environment of processes on this machine
//! (see `process`).

use std::collections::BTreeMap;

use crate::provisioner::{BuildData, late};

/// Facts of the build that become variables when they are known.
const HTTP_FACTS: &[(&str, &str)] = &[
    ("PACKER_HTTP_ADDR", "PackerHTTPAddr"),
    ("PACKER_HTTP_IP", "PackerHTTPIP"),
    ("PACKER_HTTP_PORT", "PackerHTTPPort"),
];

/// What every script gets: the build's name and type, and the address of the
/// builder's web server if there is one.
pub(super) fn of_packer(data: &BuildData) -> Vec<(String, String)> {
    let mut variables = vec![
        ("PACKER_BUILDER_TYPE".to_owned(), data.builder_type.clone()),
        ("PACKER_BUILD_NAME".to_owned(), data.build_name.clone()),
    ];
    variables.extend(HTTP_FACTS.iter().filter_map(|(variable, fact)| {
        let value = data.values.get(*fact)?;
        Some(((*variable).to_owned(), value.clone()))
    }));
    variables
}

/// Packer's variables and the user's, sorted by name, each in the given
/// format. Single quotes in values are written so that the shell reads them
/// back inside single quotes. Later variables of the user win.
pub(super) fn flatten(user: &[(String, String)], format: &str, data: &BuildData) -> String {
    flatten_quoted(user, format, data, quoted)
}

/// The same for another shell, which needs its own quotes.
pub(super) fn flatten_quoted(
    user: &[(String, String)],
    format: &str,
    data: &BuildData,
    quoted: impl Fn(&str) -> String,
) -> String {
    let mut all: BTreeMap<String, String> = of_packer(data).into_iter().collect();
    let rendered = user
        .iter()
        .map(|(name, value)| (name.clone(), late::render_or_keep(value, data)));
    all.extend(rendered);
    all.iter()
        .map(|(name, value)| format_variable(format, name, &quoted(value)))
        .collect()
}

/// A text as one word of a POSIX shell.
pub(super) fn shell_word(text: &str) -> String {
    format!("'{}'", quoted(text))
}

/// Leaves and opens the single quotes around each single quote.
fn quoted(value: &str) -> String {
    value.replace('\'', r#"'"'"'"#)
}

/// Go's `Sprintf` with the verbs that make sense for two strings: `%s`, `%v`,
/// with or without a number (`%[2]s`), and `%%`.
fn format_variable(format: &str, name: &str, value: &str) -> String {
    let arguments = [name, value];
    let mut text = String::new();
    let mut next = 0;
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        let (index, after) = explicit_index(after).unwrap_or((next, after));
        match after.chars().next() {
            Some('s' | 'v') => {
                text.push_str(arguments.get(index).unwrap_or(&""));
                next = index + 1;
                rest = &after[1..];
            }
            Some('%') => {
                text.push('%');
                rest = &after[1..];
            }
            _ => {
                text.push('%');
                rest = after;
            }
        }
    }
    text + rest
}

/// The index and what follows of `[2]s`.
fn explicit_index(text: &str) -> Option<(usize, &str)> {
    let (number, rest) = text.strip_prefix('[')?.split_once(']')?;
    let number: usize = number.parse().ok()?;
    Some((number.checked_sub(1)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> BuildData {
        BuildData {
            build_name: "web".into(),
            builder_type: "alicloud-ecs".into(),
            ..BuildData::default()
        }
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn variables_are_sorted_quoted_and_formatted() {
        let packer = "PACKER_BUILDER_TYPE='alicloud-ecs' PACKER_BUILD_NAME='web' ";
        for (user, expected) in [
            (vec![], packer.to_owned()),
            (
                vec![("Z", "1"), ("A", "2")],
                format!("A='2' {packer}Z='1' "),
            ),
            (vec![("Z", "it's")], format!("{packer}Z='it'\"'\"'s' ")),
            (vec![("Z", "1"), ("Z", "2")], format!("{packer}Z='2' ")),
            (
                vec![("Z", "100%s {{.X}}")],
                format!("{packer}Z='100%s {{{{.X}}}}' "),
            ),
        ] {
            assert_eq!(flatten(&pairs(&user), "%s='%s' ", &data()), expected);
        }
    }

    #[test]
    fn the_web_server_is_named_when_there_is_one() {
        let mut data = data();
        data.values
            .insert("PackerHTTPAddr".into(), "10.0.2.2:8001".into());
        assert_eq!(
            flatten(&[], "%s=%s;", &data),
            "PACKER_BUILDER_TYPE=alicloud-ecs;PACKER_BUILD_NAME=web;PACKER_HTTP_ADDR=10.0.2.2:8001;"
        );
    }

    #[test]
    fn facts_are_filled_in() {
        let mut data = data();
        data.values.insert("ID".into(), "i-1".into());
        let text = flatten(&pairs(&[("A", "{{build `ID`}}")]), "%s=%s ", &data);
        assert!(text.starts_with("A=i-1 "), "{text}");
    }

    #[test]
    fn formats_are_those_of_go() {
        for (format, expected) in [
            ("%s='%s' ", "K='V' "),
            ("export %s='%s'\n", "export K='V'\n"),
            ("%[2]s=%[1]s", "V=K"),
            ("%s=%s 100%%", "K=V 100%"),
            ("%v:%v", "K:V"),
            ("%s", "K"),
            ("%", "%"),
            ("%é%s", "%éK"),
        ] {
            assert_eq!(format_variable(format, "K", "V"), expected);
        }
    }
}
