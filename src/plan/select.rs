//! Which builds run: `-only` and `-except`.
//!
//! Packer compares JSON build names exactly; here `*` and `?` work too, as
//! they do for HCL2 templates.

/// What the command line says about builds; no pattern at all selects all.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Names or patterns of `-only`.
    pub only: Vec<String>,
    /// Names or patterns of `-except`; they also name post-processors.
    pub except: Vec<String>,
}

impl Selection {
    /// Whether a build of this name runs.
    pub fn takes(&self, build: &str) -> bool {
        let wanted = self.only.is_empty() || any_matches(&self.only, build);
        wanted && !self.excludes(build)
    }

    /// Whether `-except` names this build or post-processor.
    pub fn excludes(&self, name: &str) -> bool {
        any_matches(&self.except, name)
    }

    /// The patterns that fit none of the names, with the option they belong to.
    pub fn unused<'a>(
        &'a self,
        builds: &'a [&str],
        post_processors: &'a [&str],
    ) -> impl Iterator<Item = (&'static str, &'a str)> {
        let fits = |pattern: &str, names: &[&str]| names.iter().any(|name| matches(pattern, name));
        let only = self
            .only
            .iter()
            .filter(move |pattern| !fits(pattern, builds));
        let except = self
            .except
            .iter()
            .filter(move |pattern| !fits(pattern, builds) && !fits(pattern, post_processors));
        let only = only.map(|pattern| ("-only", pattern.as_str()));
        only.chain(except.map(|pattern| ("-except", pattern.as_str())))
    }
}

fn any_matches(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, name))
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
        ];
        for (pattern, name, fits) in table {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn except_wins_over_only() {
        let selection = Selection {
            only: vec!["a*".into()],
            except: vec!["ab".into(), "nothing".into(), "manifest".into()],
        };
        assert!(selection.takes("aa"));
        assert!(!selection.takes("ab"));
        assert!(!selection.takes("b"));
        let unused: Vec<_> = selection.unused(&["aa", "ab"], &["manifest"]).collect();
        assert_eq!(unused, [("-except", "nothing")]);
    }
}
