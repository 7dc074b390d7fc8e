//! `min_packer_version` and `required_version`: whether a template takes us
//! for new enough.

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

/// What a version is to a list of constraints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Constraint {
    /// It fits all of them.
    Met,
    /// It does not fit one of them.
    Unmet,
    /// One of them is none.
    Malformed,
}

/// Compares a version with constraints such as `>= 1.7.0, < 2.0.0`.
pub(super) fn satisfies(version: &str, constraints: &str) -> Constraint {
    let Some(version) = segments(version) else {
        return Constraint::Malformed;
    };
    let fits: Option<Vec<bool>> = constraints
        .split(',')
        .map(|constraint| fits(&version, constraint.trim()))
        .collect();
    match fits {
        None => Constraint::Malformed,
        Some(fits) if fits.iter().all(|fits| *fits) => Constraint::Met,
        Some(_) => Constraint::Unmet,
    }
}

fn fits(version: &[u64], constraint: &str) -> Option<bool> {
    let number = constraint.trim_start_matches(['=', '!', '<', '>', '~']);
    let operator = &constraint[..constraint.len() - number.len()];
    let number = number.trim();
    let wanted = segments(number)?;
    let wanted = wanted.as_slice();
    match operator {
        "" | "=" => Some(version == wanted),
        "!=" => Some(version != wanted),
        ">" => Some(version > wanted),
        ">=" => Some(version >= wanted),
        "<" => Some(version < wanted),
        "<=" => Some(version <= wanted),
        // All segments but the last one written stay as they are.
        "~>" => {
            let fixed = number.split('.').count() - 1;
            let at = |segments: &[u64], index: usize| segments.get(index).copied().unwrap_or(0);
            let same = (0..fixed).all(|index| at(version, index) == at(wanted, index));
            Some(version >= wanted && same)
        }
        _ => None,
    }
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
    fn constraints_compare_as_go_version_does() {
        use Constraint::{Malformed, Met, Unmet};
        let table = [
            ("1.15.0", Met),
            ("= 1.15", Met),
            (">= 1.7.0, < 2.0.0", Met),
            (">= 1.7.0, < 1.15", Unmet),
            ("~> 1.7", Met),
            ("~> 1.14.2", Unmet),
            ("~> 1", Met),
            ("~> 1.16", Unmet),
            ("!= 1.15.0", Unmet),
            ("> 1.15.0", Unmet),
            ("<= 1.15.0", Met),
            ("", Malformed),
            (">= x", Malformed),
            ("=> 1.2", Malformed),
        ];
        for (constraints, expected) in table {
            assert_eq!(
                satisfies(PACKER_VERSION, constraints),
                expected,
                "{constraints}"
            );
        }
    }

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
