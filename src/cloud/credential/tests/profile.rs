//! Profiles of the Alibaba Cloud CLI: what is understood, and what is said of
//! the rest.

use super::*;

#[test]
fn every_mode_that_has_keys_is_understood() {
    let pair = json!({"access_key_id": "id", "access_key_secret": "s"});
    let role = json!({"ram_role_arn": "acs:ram::1:role/web", "ram_session_name": "ci"});
    let table = [
        ("AK", json!({}), "keys"),
        ("stsToken", json!({"sts_token": "t"}), "temporary keys"),
        (
            "RamRoleArn",
            json!({}),
            "role `acs:ram::1:role/web`, assumed with keys",
        ),
        (
            "RamRoleArn",
            json!({"sts_token": "t"}),
            "role `acs:ram::1:role/web`, assumed with temporary keys",
        ),
        ("EcsRamRole", json!({}), "RAM role of this instance"),
        (
            "EcsRamRole",
            json!({"ram_role_name": "w"}),
            "RAM role `w` of this instance",
        ),
        (
            "RamRoleArnWithRoleName",
            json!({"ram_role_name": "w"}),
            "role `acs:ram::1:role/web`, assumed with RAM role `w` of this instance",
        ),
        (
            "External",
            json!({"process_command": "broker"}),
            "external process",
        ),
        (
            "CredentialsURI",
            json!({"credentials_uri": "http://x"}),
            "credentials URI",
        ),
        (
            "OIDC",
            json!({"oidc_provider_arn": "p", "oidc_token_file": "/token"}),
            "role `acs:ram::1:role/web`, assumed with the token in /token",
        ),
        (
            "CloudSSO",
            json!({"cloud_sso_sign_in_url": "https://x", "cloud_sso_account_id": "1",
                "cloud_sso_access_config": "c"}),
            "CloudSSO login",
        ),
        ("OAuth", json!({"oauth_site_type": "CN"}), "OAuth login"),
        (
            "RsaKeyPair",
            json!({"key_pair_name": "pair-1", "private_key": RSA_KEY}),
            "RSA key pair `pair-1`",
        ),
        (
            "RsaKeyPair",
            json!({"key_pair_name": "pair-1",
                "private_key": concat!(env!("CARGO_MANIFEST_DIR"), "/src/cloud/sign/test-key.pem")}),
            "RSA key pair `pair-1`",
        ),
        (
            "ChainableRamRoleArn",
            json!({"source_profile": "source"}),
            "role `acs:ram::1:role/web`, assumed with keys",
        ),
    ];
    for (mode, more, expected) in table {
        let mut profile = json!({"mode": mode, "unknown": [1]});
        for part in [&pair, &role, &more] {
            let members = part.as_object().unwrap().clone();
            profile.as_object_mut().unwrap().extend(members);
        }
        assert_eq!(one(profile).unwrap().source.describe(), expected, "{mode}");
    }
}

#[test]
fn a_mode_that_is_not_written_is_inferred() {
    let table = [
        (
            json!({"access_key_id": "i", "access_key_secret": "s"}),
            "AK",
        ),
        (
            json!({"access_key_id": "i", "access_key_secret": "s", "sts_token": "t"}),
            "StsToken",
        ),
        (
            json!({"access_key_id": "i", "access_key_secret": "s", "ram_role_arn": "a"}),
            "RamRoleArn",
        ),
        (
            json!({"access_key_id": "i", "access_key_secret": "s", "ram_role_arn": "a",
                "sts_token": "t"}),
            "StsToken",
        ),
        (
            json!({"access_key_id": "i", "ram_role_name": "w"}),
            "EcsRamRole",
        ),
        (
            json!({"key_pair_name": "p", "private_key": RSA_KEY}),
            "RsaKeyPair",
        ),
        (json!({"ram_role_name": "w"}), "EcsRamRole"),
        (json!({"process_command": "x"}), "External"),
        (
            json!({"oidc_provider_arn": "p", "oidc_token_file": "/t", "ram_role_arn": "a"}),
            "OIDC",
        ),
        (
            json!({"cloud_sso_sign_in_url": "https://x", "cloud_sso_account_id": "1",
                "cloud_sso_access_config": "c"}),
            "CloudSSO",
        ),
    ];
    for (profile, mode) in table {
        assert_eq!(one(profile).unwrap().mode.to_string(), mode);
    }
}

#[test]
fn what_a_session_is_like_is_read() {
    let profile = json!({"mode": "RamRoleArn", "access_key_id": "i", "access_key_secret": "s",
        "ram_role_arn": "a", "ram_session_name": "ci", "expired_seconds": 900, "policy": "{}",
        "external_id": "x", "sts_region": "cn-beijing", "region_id": "eu-central-1"});
    let profile = one(profile).unwrap();
    assert_eq!(profile.region.as_deref(), Some("eu-central-1"));
    let Source::AssumedRole(role) = profile.source else {
        panic!("no role");
    };
    assert_eq!(
        role.session,
        RoleSession {
            name: Some("ci".into()),
            duration: Some(900),
            policy: Some("{}".into()),
            external_id: Some("x".into()),
            sts_region: Some("cn-beijing".into()),
            sts_endpoint: None,
        }
    );
}

#[test]
fn a_useless_profile_is_named_with_file_and_mode() {
    let table = [
        (
            json!({"mode": "AK", "access_key_id": "i", "access_key_secret": " "}),
            "Profile `p` (mode AK) in `DIR/config.json` has no `access_key_secret`",
        ),
        (
            json!({"mode": "Ak47"}),
            "Profile `p` in `DIR/config.json` has the unknown mode `Ak47`",
        ),
        (
            json!({"mode": "BearerToken", "bearer_token": "t"}),
            "Profile `p` (mode BearerToken) in `DIR/config.json` has no keys, and ECS takes nothing else",
        ),
        (
            json!({"mode": "anonymous"}),
            "Profile `p` (mode Anonymous) in `DIR/config.json` has no keys, and ECS takes nothing else",
        ),
        (
            json!({"bearer_token": "t"}),
            "Profile `p` (mode BearerToken) in `DIR/config.json` has no keys, and ECS takes nothing else",
        ),
        (
            json!({"mode": "StsToken", "access_key_id": "i", "access_key_secret": "s"}),
            "Profile `p` (mode StsToken) in `DIR/config.json` has no `sts_token`",
        ),
        (
            json!({"mode": "RamRoleArn", "access_key_id": "i", "access_key_secret": "s"}),
            "Profile `p` (mode RamRoleArn) in `DIR/config.json` has no `ram_role_arn`",
        ),
        (
            json!({"mode": "External"}),
            "Profile `p` (mode External) in `DIR/config.json` has no `process_command`",
        ),
        (
            json!({"mode": "OIDC", "ram_role_arn": "a", "oidc_provider_arn": "p"}),
            "Profile `p` (mode OIDC) in `DIR/config.json` has no `oidc_token_file`",
        ),
        (
            json!({"mode": "CloudSSO", "cloud_sso_account_id": "1"}),
            "Profile `p` (mode CloudSSO) in `DIR/config.json` has no `cloud_sso_sign_in_url`",
        ),
        (
            json!({"mode": "OAuth", "oauth_site_type": "EU"}),
            "Profile `p` (mode OAuth) in `DIR/config.json` has the unknown `oauth_site_type` `EU`",
        ),
        (
            json!({"mode": "RsaKeyPair", "private_key": RSA_KEY}),
            "Profile `p` (mode RsaKeyPair) in `DIR/config.json` has no `key_pair_name`",
        ),
        (
            json!({"mode": "RsaKeyPair", "key_pair_name": "k", "private_key": "/nowhere/key"}),
            "Profile `p` (mode RsaKeyPair) in `DIR/config.json` has no usable `private_key`: \
             Cannot read `/nowhere/key`: No such file or directory (os error 2)",
        ),
        (
            json!({"mode": "RsaKeyPair", "key_pair_name": "k",
                "private_key": "-----BEGIN PRIVATE KEY-----\nhunter2"}),
            "Profile `p` (mode RsaKeyPair) in `DIR/config.json` has no usable `private_key`: \
             The private key is no RSA key in PEM format",
        ),
        (
            json!({}),
            "Profile `p` (mode AK) in `DIR/config.json` has no `access_key_id`",
        ),
        (
            json!({"mode": "ChainableRamRoleArn", "ram_role_arn": "a", "source_profile": "p"}),
            "Profile `p` in `DIR/config.json` is its own `source_profile`",
        ),
        (
            json!({"mode": "ChainableRamRoleArn", "ram_role_arn": "a", "source_profile": "q"}),
            "There is no profile `q` in `DIR/config.json`",
        ),
        (
            json!({"mode": "CredentialsURI"}),
            "Profile `p` (mode CredentialsURI) in `DIR/config.json` has no `credentials_uri`",
        ),
    ];
    for (profile, expected) in table {
        assert_eq!(one(profile).unwrap_err(), expected);
    }
}

#[test]
fn a_file_that_is_no_profile_file_is_told_with_its_line() {
    let home = Home::new(&json!([]));
    let table = [
        (
            "{\n  \"profiles\": [\n    {\"name\": }\n",
            "`DIR/config.json` is not JSON: expected value at line 3 column 14",
        ),
        ("{}", "`DIR/config.json` has no list `profiles`"),
    ];
    for (text, expected) in table {
        std::fs::write(home.file(), text).unwrap();
        let error = home.profiles().current().unwrap_err();
        assert_eq!(home.scrub(&one_line(&error)), expected);
    }
    std::fs::remove_file(home.file()).unwrap();
    let error = home.profiles().current().unwrap_err();
    assert!(home.scrub(error.message()) == "Cannot read `DIR/config.json`");
}

#[test]
fn programs_of_profiles_can_be_forbidden() {
    let home = Home::new(&json!([
        {"name": "p", "mode": "External", "process_command": "x"},
    ]));
    let profiles = Profiles {
        external_disabled: true,
        ..home.profiles()
    };
    assert!(profiles.named("p").is_err());
}
