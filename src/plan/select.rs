//! Patterns in `-only` and `-except`.
//!
//! Packer compares the names of JSON builds exactly; here `*` and `?` work
//! too, as they do for HCL2 templates. Not here: what a name selects
//! (`template::selection`).

/// The list with every pattern replaced by the names it fits. One that fits
/// none stays, to be reported as any other unknown name.
pub fn expand(patterns: &[String], names: &[&str]) -> Vec<String> {
    let mut expanded = Vec::new();
    for pattern in patterns {
        let fitting = names.iter().filter(|name| matches(pattern, name));
        let before = expanded.len();
        expanded.extend(fitting.map(|name| (*name).to_owned()));
        if expanded.len() == before {
            expanded.push(pattern.clone());
        }
    }
    expanded
}

/// Whether a pattern with `*` (any text) and `?` (one character) fits.
fn matches(pattern: &str, name: &str) -> bool {
    let mut rest = name.chars();
    let mut pattern = pattern.chars();
    match pattern.next() {
        None => name.is_empty(),
        Some('*') => {
            let tail = pattern.as_str();
            let starts = name.char_indices().map(|(at, _)| at);
            let mut starts = starts.chain([name.len()]);
            starts.any(|at| matches(tail, &name[at..]))
        }
        Some('?') => rest.next().is_some() && matches(pattern.as_str(), rest.as_str()),
        Some(c) => rest.next() == Some(c) && matches(pattern.as_str(), rest.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        let table = [
            ("web", "web", true),
            ("web", "web2", false),
            ("web?", "web2", true),
            ("web?", "web", false),
            ("*", "", true),
            ("w*b", "wb", true),
            ("w*b", "wheb", true),
            ("w*b", "wbx", false),
            ("*.web", "alicloud-ecs.web", true),
            ("a**c", "abc", true),
            ("镜*", "镜像", true),
        ];
        for (pattern, name, fits) in table {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_becomes_names_and_an_unknown_one_stays() {
        let patterns = ["a*", "x*"].map(str::to_owned);
        assert_eq!(expand(&patterns, &["ab", "b", "ac"]), ["ab", "ac", "x*"]);
    }
}
