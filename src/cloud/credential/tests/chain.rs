//! The default chain, and the files of the SDKs.

use std::path::Path;

use super::*;
use crate::cloud::transport::Method;

fn section_of(text: &str, section: &str) -> Result<String, String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("credentials");
    std::fs::write(&file, text).unwrap();
    let scrub = |text: &str| text.replace(&directory.path().display().to_string(), "DIR");
    match ini::read(Path::new(&file), section) {
        Ok(source) => Ok(source.describe()),
        Err(error) => Err(scrub(&one_line(&error))),
    }
}

#[test]
fn files_of_the_sdks_are_understood() {
    let text = "# mine\n[default]\ntype = access_key # permanent\naccess_key_id = i\n\
        access_key_secret=s\n\n[web]\ntype=ecs_ram_role\nrole_name=w\n[role]\n\
        type=ram_role_arn\naccess_key_id=i\naccess_key_secret=s\nrole_arn=a\n[bad]\n\
        type=bearer\n[empty]\n[rsa]\ntype=rsa_key_pair\npublic_key_id=k\nprivate_key_file=/nowhere/key\n";
    assert_eq!(section_of(text, "default").unwrap(), "keys");
    assert_eq!(
        section_of(text, "web").unwrap(),
        "RAM role `w` of this instance"
    );
    assert_eq!(
        section_of(text, "role").unwrap(),
        "role `a`, assumed with keys"
    );
    let table = [
        (
            "bad",
            "Section `bad` in `DIR/credentials` has the unknown type `bearer`",
        ),
        (
            "rsa",
            "Section `rsa` in `DIR/credentials` has no usable `private_key_file`: \
             Cannot read `/nowhere/key`: No such file or directory (os error 2)",
        ),
        (
            "empty",
            "Section `empty` in `DIR/credentials` has no `type`",
        ),
        ("none", "There is no section `none` in `DIR/credentials`"),
    ];
    for (section, expected) in table {
        assert_eq!(section_of(text, section).unwrap_err(), expected);
    }
}

#[tokio::test]
async fn the_chain_goes_on_until_something_serves_and_stays_with_it() {
    let script = Script::new([(400, ""), (200, "t"), (200, "web"), (200, KEYS)]);
    let Source::Oidc(role) = oidc(IdToken::Value(Secret::new("jwt"))) else {
        panic!("no role");
    };
    let ambient = Ambient {
        oidc: OidcSetting::Role(role),
        profiles_disabled: true,
        ..Ambient::default()
    };
    let credentials = credentials(&script, ambient);
    let provider = credentials.of(&Source::Ambient);
    assert_eq!(provider.get().await.unwrap().access_key_id, "STS.a");
    assert_eq!(provider.get().await.unwrap().access_key_id, "STS.a");
    let found = credentials.found().await.unwrap();
    assert_eq!(
        found.provider,
        "instance metadata: RAM role of this instance"
    );
    let passed: Vec<_> = found
        .passed_over
        .iter()
        .map(|passed| &*passed.provider)
        .collect();
    assert_eq!(
        passed,
        ["environment", "OIDC", "profile", "credentials file"]
    );
    assert_eq!(script.sent.lock().unwrap()[1].method, Method::Put);
}

/// Everything in the environment, of which the first `from` places have
/// nothing.
fn surroundings(home: &Home, from: usize) -> Ambient {
    let Source::Oidc(role) = oidc(IdToken::Value(Secret::new("jwt"))) else {
        panic!("no role");
    };
    let ini = home.0.path().join("credentials");
    let section = "[default]\ntype=access_key\naccess_key_id=of-ini\naccess_key_secret=s\n";
    std::fs::write(&ini, section).unwrap();
    let is_there = |place: usize| place >= from;
    let mut ambient = Ambient {
        keys: is_there(0).then(|| keys("of-environment")),
        profiles: home.profiles(),
        profiles_disabled: !is_there(2),
        ini_files: is_there(3).then_some(ini).into_iter().collect(),
        uri: Some(Secret::new("http://127.0.0.1:8/")),
        ..Ambient::default()
    };
    if is_there(1) {
        ambient.oidc = OidcSetting::Role(role);
    }
    ambient.instance.disabled = !is_there(4);
    ambient
}

/// The official SDKs look at variables, OIDC, the CLI's profile, their own
/// file, the instance, and a URI, in this order.
#[tokio::test]
async fn the_chain_has_the_order_of_the_sdks_and_tells_why_it_passed_on() {
    let home = Home::new(&json!([
        {"name": "current", "mode": "AK", "access_key_id": "of-profile", "access_key_secret": "s"},
    ]));
    let instance: &[&str] = &["t", "web", KEYS];
    let table: [(&str, &[&str], &str, &str); 6] = [
        ("of-environment", &[], "environment: keys", ""),
        (
            "STS.r",
            &[SESSION],
            "OIDC: role `acs:ram::1:role/web`, assumed with the token in ALIBABA_CLOUD_OIDC_TOKEN",
            "environment: ALICLOUD_ACCESS_KEY and ALICLOUD_SECRET_KEY are not set",
        ),
        (
            "of-profile",
            &[],
            "profile: `current` (mode AK) of DIR/config.json",
            "OIDC: no role is named",
        ),
        (
            "of-ini",
            &[],
            "credentials file: section `default` of DIR/credentials",
            "profile: ALIBABA_CLOUD_CLI_PROFILE_DISABLED is set",
        ),
        (
            "STS.a",
            instance,
            "instance metadata: RAM role of this instance",
            "credentials file: HOME is not set",
        ),
        (
            "STS.a",
            &[KEYS],
            "credentials URI: ALIBABA_CLOUD_CREDENTIALS_URI",
            "instance metadata: ALIBABA_CLOUD_ECS_METADATA_DISABLED is set",
        ),
    ];
    for (place, (id, answers, provider, last)) in table.into_iter().enumerate() {
        let script = Script::default();
        let answers = answers.iter().map(|body| (200, (*body).to_owned()));
        script.answers.lock().unwrap().extend(answers);
        let credentials = credentials(&Arc::new(script), surroundings(&home, place));
        let fetched = credentials.of(&Source::Ambient).get().await.unwrap();
        assert_eq!(fetched.access_key_id, id);
        let found = credentials.found().await.unwrap();
        assert_eq!(home.scrub(&found.provider), provider);
        assert_eq!(found.passed_over.len(), place);
        let told = found.passed_over.last();
        let told = told.map(|passed| format!("{}: {}", passed.provider, passed.reason));
        assert_eq!(told.unwrap_or_default(), last);
    }
}

#[tokio::test]
async fn a_role_of_the_environment_is_assumed_with_what_the_chain_finds() {
    let script = Script::new([(200, SESSION)]);
    let ambient = Ambient {
        keys: Some(keys("base")),
        assumed_role: Some(("acs:ram::1:role/web".into(), RoleSession::default())),
        ..Ambient::default()
    };
    let credentials = credentials(&script, ambient);
    let fetched = credentials.of(&Source::Ambient).get().await.unwrap();
    assert_eq!(fetched.access_key_id, "STS.r");
    let found = credentials.found().await.unwrap();
    assert_eq!(
        found.provider,
        "role `acs:ram::1:role/web`, assumed with environment: keys"
    );
}

#[tokio::test]
async fn a_chosen_profile_is_not_replaced_by_other_keys() {
    let home = Home::new(&json!([]));
    let ambient = Ambient {
        keys: Some(keys("other")),
        profiles: Profiles {
            chosen: Some("p".into()),
            ..home.profiles()
        },
        ..Ambient::default()
    };
    let credentials = credentials(&Script::new([]), ambient);
    let error = credentials.of(&Source::Ambient).get().await.unwrap_err();
    assert!(error.message().starts_with("There is no profile `p`"));
}
