//! What machines say is shown, and obeyed by nobody.

use serde_json::json;

use super::{assert_said, provision};
use crate::harness::Lab;

#[tokio::test(flavor = "multi_thread")]
async fn commands_to_the_ci_in_output_have_no_effect() {
    let lab = Lab::new().await;
    let provisioners = json!([{
        "type": "shell",
        "inline": [
            "echo '::error file=x::pwned by output'",
            "echo '  ::warning::pwned by spaces'",
            "echo '##[error]pwned by hashes'",
            "echo '##vso[task.setvariable variable=x]pwned by azure'",
            "printf 'hidden\\r::error::pwned by return\\n'",
            "printf '\\033[31mred\\033[0m \\033]0;title\\007bell\\n'",
            "printf '\\377\\376 not UTF-8\\n'",
            "echo '::stop-commands::token'"
        ]
    }, {
        "type": "shell-local",
        "inline": ["echo '::error::pwned by a local script' >&2"]
    }]);
    let outcome = provision(&lab, provisioners).await.success();
    for line in outcome.text().lines() {
        let obeyed = line.trim_start().starts_with("::") && line.contains("pwned");
        assert!(!obeyed, "{line}");
        assert!(!line.contains("##["), "{line}");
        assert!(!line.contains("##vso["), "{line}");
        assert!(
            !line.contains('\u{1b}') && !line.contains('\u{7}'),
            "{line:?}"
        );
    }
    assert_said(&outcome, &["red bell", "\u{fffd}\u{fffd} not UTF-8"]);
    for trick in [
        "output",
        "spaces",
        "hashes",
        "azure",
        "return",
        "a local script",
    ] {
        let shown = format!("pwned by {trick}");
        assert!(
            outcome.text().contains(&shown),
            "{shown}: {}",
            outcome.text()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_lines_are_all_shown_in_order() {
    let lab = Lab::new().await;
    let provisioners = json!([{"type": "shell", "inline": ["seq 100000"]}]);
    let outcome = provision(&lab, provisioners).await.success();
    let numbers = outcome.stdout.lines().filter_map(|line| {
        let number = line.strip_prefix("    web: ")?;
        number.parse::<u32>().ok()
    });
    assert!(numbers.eq(1..=100_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_line_is_cut() {
    let lab = Lab::new().await;
    let provisioners = json!([{
        "type": "shell",
        "inline": ["head -c 3000000 /dev/zero | tr '\\0' 'x'", "echo", "echo after"]
    }]);
    let outcome = provision(&lab, provisioners).await.success();
    assert_said(&outcome, &["after"]);
    let shown = outcome.stdout.lines().filter(|line| line.contains("xxx"));
    let lengths: Vec<_> = shown.map(str::len).collect();
    assert!(lengths.len() == 1 && lengths[0] < 9_000, "{lengths:?}");
    let rest = 3_000_000 - 64 * 1024;
    let said = format!("… ({rest} more bytes without a newline are not shown)");
    assert_said(&outcome, &[&said]);
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_of_other_systems_have_no_effect_there() {
    for (variable, value) in [
        ("GITLAB_CI", "true"),
        ("TF_BUILD", "True"),
        ("JENKINS_URL", "http://jenkins"),
    ] {
        let mut lab = Lab::quick().await;
        lab.unset("GITHUB_ACTIONS").set(variable, value);
        lab.write_template(&crate::template::provisioned(
            crate::template::silent(json!({})),
            json!([{"type": "shell-local", "inline": [
                "printf '\\033[0Ksection_start:1:pwned[collapsed=true]\\r\\033[0KTitle\\n'",
                "printf '##vso[task.setvariable variable=pwned]x\\n' >&2",
                "printf '##[section]pwned\\n'",
            ]}]),
        ));
        let outcome = lab.run(&["build", "template.json"]).await.success();
        let of_guest = outcome.stdout.lines().filter(|line| line.contains("pwned"));
        let of_guest: Vec<_> = of_guest.collect();
        assert_eq!(of_guest.len(), 3, "{}", outcome.stdout);
        for line in of_guest {
            assert!(line.starts_with("    web: "), "{line:?}");
            for mark in ["\u{1b}", "\r", "##vso[", "##["] {
                assert!(!line.contains(mark), "{line:?}");
            }
        }
    }
}

/// A template may come from a stranger's pull request, and be looked at there.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_template_says_is_obeyed_by_nobody() {
    let lab = Lab::quick().await;
    let hostile = "x\n::error::pwned ##[set-output name=image-id;]pwned ##vso[task.debug]pwned";
    let mut template = crate::template::silent(json!({"tags": {"k": hostile}}));
    template["description"] = hostile.into();
    template["variables"] = json!({"name": hostile});
    template["builders"][0]["name"] = "##[error]pwned".into();
    template["provisioners"] =
        json!([{"type": "shell-local", "inline": ["echo '##[error]pwned'"]}]);
    lab.write_template(&template);
    let mut said = 0;
    for command in [
        &["inspect"][..],
        &["plan"],
        &["policy"],
        &["matrix"],
        &["build", "-vvv", "--format=json"],
    ] {
        let outcome = lab.run(&[command, &["template.json"]].concat()).await;
        let text = outcome.success().text();
        for line in text.lines() {
            assert!(
                !line.trim_start().starts_with("::error"),
                "{command:?}: {line}"
            );
            assert!(!line.contains("##["), "{command:?}: {line}");
            assert!(!line.contains("##vso["), "{command:?}: {line}");
        }
        said += usize::from(text.contains("pwned"));
    }
    assert_eq!(said, 4, "all but `policy` say it");
}
