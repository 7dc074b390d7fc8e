//! A build's name as part of resource names.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Key pair names, the strictest, have at most 128 characters.
const LONGEST: usize = 40;

/// Letters, digits and hyphens that stand for a build and no other one of its
/// run: builds run at the same time, and key pairs go by their names.
pub(super) fn part_of(build: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !build.is_empty() && build.len() <= LONGEST && build.chars().all(plain) {
        return build.to_owned();
    }
    let mut hasher = DefaultHasher::new();
    build.hash(&mut hasher);
    let readable: String = build
        .chars()
        .filter(|c| plain(*c))
        .take(LONGEST - 9)
        .collect();
    format!("{readable}-{:08x}", hasher.finish() & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_have_parts_of_their_own() {
        assert_eq!(part_of("web-1"), "web-1");
        let odd = [
            "web 1",
            "web.1",
            "web1!",
            &"x".repeat(41),
            &"x".repeat(42),
            "网站",
            "",
        ];
        let parts: std::collections::BTreeSet<_> = odd.iter().map(|name| part_of(name)).collect();
        assert_eq!(parts.len(), odd.len(), "{parts:?}");
        for part in parts {
            assert!(
                part.len() <= LONGEST
                    && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            );
        }
    }
}
