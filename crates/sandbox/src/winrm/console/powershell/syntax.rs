//! Where statements, words and blocks of a script begin and end.

/// Cuts a script at line ends and `;` that are outside of everything.
pub(super) fn statements(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for part in cut(text, &[';', '\n']) {
        let part = part.trim();
        if part.is_empty() || part.starts_with('#') {
            continue;
        }
        let lower = part.to_lowercase();
        let goes_on = ["else", "elseif", "catch", "finally"].iter().any(|word| {
            let rest = lower.strip_prefix(word);
            rest.is_some_and(|rest| rest.trim_start().starts_with(['{', '(']))
        });
        match found.last_mut().filter(|_| goes_on) {
            Some(last) => *last += &format!(" {part}"),
            None => found.push(part.to_owned()),
        }
    }
    found
}

/// Cuts a text at letters that are outside of quotes and brackets.
pub(super) fn cut<'a>(text: &'a str, at: &[char]) -> Vec<&'a str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let mut depth = 0_i32;
    let mut quote: Option<char> = None;
    let mut escaped = false;
    for (index, letter) in text.char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        match (quote, letter) {
            (Some('\''), '`') => {}
            (_, '`') => escaped = true,
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '{' | '(') => depth += 1,
            (None, '}' | ')') => depth -= 1,
            (None, letter) if depth == 0 && at.contains(&letter) => {
                parts.push(&text[start..index]);
                start = index + letter.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// What is between the first bracket and the one that closes it, and the rest.
pub(super) fn bracketed(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let inner_and_rest = text.get(1..).filter(|_| text.starts_with(['{', '(']))?;
    // One bracket too many at the end of what is inside.
    let mut depth = 1_i32;
    let mut quote: Option<char> = None;
    for (index, letter) in inner_and_rest.char_indices() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '{' | '(') => depth += 1,
            (None, '}' | ')') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((
                &inner_and_rest[..index],
                inner_and_rest[index + 1..].trim_start(),
            ));
        }
    }
    None
}

/// `$name = expression`, `${env:name} = expression`; the name in lower case,
/// unless it is one of the environment.
pub(super) fn assignment(statement: &str) -> Option<(String, &str)> {
    let (left, right) = statement.strip_prefix('$')?.split_once('=')?;
    let name = left.trim().trim_matches(['{', '}']);
    let is_name = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | ':');
    (!name.is_empty() && name.chars().all(is_name)).then_some(())?;
    let lower = name.to_lowercase();
    let name = match lower.strip_prefix("env:") {
        Some(_) => format!("env:{}", &name[4..]),
        None => lower
            .trim_start_matches("global:")
            .trim_start_matches("script:")
            .to_owned(),
    };
    Some((name, right.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_cut_into_statements() {
        let script = "# comment\nif (a;b) { c; d }\nelse { e }\necho 'x;y'; echo \"`\";\"\n";
        let expected = [
            "if (a;b) { c; d } else { e }",
            "echo 'x;y'",
            "echo \"`\";\"",
        ];
        assert_eq!(statements(script), expected);
    }

    #[test]
    fn assignments_are_no_comparisons() {
        assert_eq!(assignment("$a = 'b'"), Some(("a".to_owned(), "'b'")));
        let environment = Some(("env:Path".to_owned(), "\"x\""));
        assert_eq!(assignment("$env:Path=\"x\""), environment);
        assert_eq!(assignment("$a.b = 1"), None);
        assert_eq!(assignment("echo a=b"), None);
    }

    #[test]
    fn brackets_match() {
        assert_eq!(bracketed("{ a { b } } c"), Some((" a { b } ", "c")));
        assert_eq!(bracketed("(')')"), Some(("')'", "")));
        assert_eq!(bracketed("{ a"), None);
        assert_eq!(bracketed("a"), None);
    }
}
