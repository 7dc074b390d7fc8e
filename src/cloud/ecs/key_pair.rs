//! SSH key pairs. Keys are made here, never by the API, so that a lost answer
//! cannot lose a private key.

use serde::{Deserialize, Serialize};

use crate::cloud::answer::{list, number};
use crate::cloud::parameters::JsonList;
use crate::cloud::{Done, Tag};

/// Registers a public key. It takes no ClientToken: after a lost answer look
/// for the name.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImportKeyPair {
    pub key_pair_name: String,
    /// OpenSSH's one-line form. The API takes RSA and ED25519 keys.
    pub public_key_body: String,
    pub resource_group_id: Option<String>,
    pub tag: Vec<Tag>,
}
action!(Ecs ImportKeyPair -> ImportKeyPairResponse, Never, Create);

/// The registered key.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImportKeyPairResponse {
    pub key_pair_name: String,
    pub key_pair_finger_print: String,
}

/// Finds key pairs.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeKeyPairs {
    /// `*` stands for anything at either end.
    pub key_pair_name: Option<String>,
    pub resource_group_id: Option<String>,
    pub tag: Vec<Tag>,
    pub page_number: Option<u32>,
    /// At most 50; 10 when absent.
    pub page_size: Option<u32>,
}
action!(Ecs DescribeKeyPairs -> DescribeKeyPairsResponse, Always, Call);
pages!(DescribeKeyPairs.key_pairs: KeyPair, 50);

/// One page of key pairs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeKeyPairsResponse {
    #[serde(deserialize_with = "number")]
    pub total_count: u32,
    #[serde(deserialize_with = "list")]
    pub key_pairs: Vec<KeyPair>,
}

/// A key pair.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct KeyPair {
    pub key_pair_name: String,
    pub key_pair_finger_print: String,
    pub creation_time: String,
    #[serde(deserialize_with = "list")]
    pub tags: Vec<Tag>,
}

/// Takes a key pair off instances; it works after their next start.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DetachKeyPair {
    pub key_pair_name: String,
    pub instance_ids: JsonList,
}
action!(Ecs DetachKeyPair -> Done, Always, Call);

/// Deletes key pairs.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteKeyPairs {
    pub key_pair_names: JsonList,
}
action!(Ecs DeleteKeyPairs -> Done, Always, Call);
