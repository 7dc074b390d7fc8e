//! `action.yml` as the runner reads it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What an action declares.
#[derive(Debug, Deserialize)]
pub(crate) struct Action {
    #[serde(default)]
    pub(crate) inputs: BTreeMap<String, Input>,
    #[serde(default)]
    pub(crate) outputs: BTreeMap<String, serde_json::Value>,
    pub(crate) runs: Runs,
}

/// An input and its default.
#[derive(Debug, Deserialize)]
pub(crate) struct Input {
    default: Option<String>,
}

/// How it runs.
#[derive(Debug, Deserialize)]
pub(crate) struct Runs {
    pub(crate) using: String,
    pub(crate) entrypoint: Option<String>,
    #[serde(rename = "post-entrypoint")]
    pub(crate) post_entrypoint: Option<String>,
    /// The steps of a composite action.
    #[serde(default)]
    pub(crate) steps: Vec<crate::workflow::Step>,
}

impl Action {
    /// The action of this repository, or one in a directory of it.
    pub(crate) fn of_repository(directory: &str) -> Self {
        let root = env!("CARGO_MANIFEST_DIR");
        let path = format!("{root}/{directory}/action.yml");
        let text = std::fs::read_to_string(&path).unwrap();
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Every declared input with its value, and those that are not declared.
    pub(crate) fn inputs(
        &self,
        with: &BTreeMap<String, String>,
    ) -> (BTreeMap<String, String>, Vec<String>) {
        let declared = self.inputs.iter().map(|(name, input)| {
            let given = with.get(name).or(input.default.as_ref());
            (name.clone(), given.cloned().unwrap_or_default())
        });
        let is_unknown = |name: &&String| !self.inputs.contains_key(*name);
        let unknown = with.keys().filter(is_unknown).cloned();
        (declared.collect(), unknown.collect())
    }
}

/// The variable of an input: only blanks are replaced, hyphens stay.
pub(crate) fn variable(input: &str) -> String {
    format!("INPUT_{}", input.replace(' ', "_").to_uppercase())
}
