//! `min_packer_version`: whether a template takes us for new enough.

use super::PACKER_VERSION;
use super::diagnostic::Diagnostic;
use super::source::Spanned;

/// The finding when a template wants a newer Packer than we answer as, or
/// writes a version that is none.
pub(super) fn check_min_version(wanted: &Spanned<String>) -> Option<Diagnostic> {
    let ours = segments(PACKER_VERSION).unwrap_or_default();
    let Some(theirs) = segments(&wanted.value) else {
        let message = format!("`min_packer_version` is malformed: `{}`", wanted.value);
        return Some(Diagnostic::error(message, wanted.span).label("expected for example `1.7.0`"));
    };
    (theirs > ours).then(|| {
        let message = format!(
            "This template requires Packer version {} or higher; this program answers as {PACKER_VERSION}",
            wanted.value
        );
        Diagnostic::error(message, wanted.span)
            .help("Lower `min_packer_version` if the template uses nothing newer")
    })
}

/// Major, minor, patch and so on without trailing zeros; pre-release and
/// metadata are checked and left out.
fn segments(version: &str) -> Option<Vec<u64>> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let (numbers, rest) = match version.find(['-', '+']) {
        Some(at) => (&version[..at], &version[at + 1..]),
        None => (version, "0"),
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '~');
    if rest.is_empty() || !rest.chars().all(allowed) {
        return None;
    }
    let parse = |part: &str| {
        let digits = part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse().ok()).flatten()
    };
    let mut segments: Vec<u64> = numbers.split('.').map(parse).collect::<Option<_>>()?;
    while segments.last() == Some(&0) {
        segments.pop();
    }
    Some(segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_as_packer_1_15_0() {
        let ok = [
            "1.15.0",
            "1.15",
            "v1.7.2",
            "0.12.0",
            "1.15.0-beta1",
            "1.14.3+ent",
        ];
        let too_new = ["1.15.1", "9.0.0", "2", "1.16.0-dev"];
        let malformed = ["", "x", "1.x", "1..2", "1.2-", "1.2 3", "-1", ">= 1.2"];
        let finding = |text: &str| {
            let wanted = Spanned::default_value(text.to_owned());
            check_min_version(&wanted).map(|finding| finding.message)
        };
        for text in ok {
            assert_eq!(finding(text), None, "{text}");
        }
        for text in too_new {
            assert!(
                finding(text).unwrap().contains("requires Packer version"),
                "{text}"
            );
        }
        for text in malformed {
            assert!(finding(text).unwrap().contains("malformed"), "{text}");
        }
    }
}
