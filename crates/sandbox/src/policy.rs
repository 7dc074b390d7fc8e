//! RAM policy documents, as far as they choose between allowing and refusing
//! an action: `Statement[].{Effect,Action}` with `*` and `?` in actions.
//! Resources and conditions are not evaluated.

use serde_json::Value;

/// What a policy says about an action.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// A statement allows it and none denies it.
    Allow,
    /// A statement denies it.
    Deny,
    /// No statement speaks of it.
    Silent,
}

/// Evaluates a policy document for an action such as `ecs:RunInstances`.
pub(crate) fn evaluate(document: &Value, action: &str) -> Verdict {
    let mut verdict = Verdict::Silent;
    for statement in one_or_many(&document["Statement"]) {
        let patterns = one_or_many(&statement["Action"]);
        let mut patterns = patterns.into_iter().filter_map(Value::as_str);
        if !patterns.any(|pattern| matches(pattern, action)) {
            continue;
        }
        if statement["Effect"] == "Deny" {
            return Verdict::Deny;
        }
        verdict = Verdict::Allow;
    }
    verdict
}

fn one_or_many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        single => vec![single],
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    glob(pattern.as_bytes(), text.to_ascii_lowercase().as_bytes())
}

/// Whether a pattern with `*` and `?` matches all of a text.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) if glob(rest, text) => true,
        (Some((b'*', _)), Some((_, tail))) => glob(pattern, tail),
        (Some((b'?', rest)), Some((_, tail))) => glob(rest, tail),
        (Some((a, rest)), Some((b, tail))) if a == b => glob(rest, tail),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn deny_wins_and_silence_is_no_permission() {
        let policy = json!({"Version": "1", "Statement": [
            {"Effect": "Allow", "Action": ["ecs:Describe*", "ecs:RunInstance?"], "Resource": "*"},
            {"Effect": "Allow", "Action": "vpc:*", "Resource": "*"},
            {"Effect": "Deny", "Action": "vpc:DeleteVpc", "Resource": "*"},
        ]});
        let table = [
            ("ecs:DescribeImages", Verdict::Allow),
            ("ecs:runinstances", Verdict::Allow),
            ("ecs:DeleteInstance", Verdict::Silent),
            ("vpc:CreateVpc", Verdict::Allow),
            ("vpc:DeleteVpc", Verdict::Deny),
        ];
        for (action, verdict) in table {
            assert_eq!(evaluate(&policy, action), verdict, "{action}");
        }
    }
}
