//! Workflows: their steps, and the expressions in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A workflow with one job.
#[derive(Debug, Deserialize)]
pub(crate) struct Workflow {
    #[serde(default)]
    pub(crate) permissions: BTreeMap<String, String>,
    pub(crate) jobs: BTreeMap<String, JobOf>,
}

/// Its job.
#[derive(Debug, Deserialize)]
pub(crate) struct JobOf {
    #[serde(default)]
    pub(crate) permissions: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "texts")]
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) steps: Vec<Step>,
}

/// A step.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Step {
    #[serde(default)]
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) uses: String,
    #[serde(default)]
    pub(crate) run: String,
    #[serde(default, deserialize_with = "texts")]
    pub(crate) with: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "texts")]
    pub(crate) env: BTreeMap<String, String>,
}

/// Every scalar is text for a step.
fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values = BTreeMap::<String, Value>::deserialize(from)?;
    let text = |value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(values
        .into_iter()
        .map(|(name, value)| (name, text(value)))
        .collect())
}

impl Step {
    /// A step with inputs.
    pub(crate) fn with(inputs: &[(&str, &str)]) -> Self {
        Self {
            with: owned(inputs),
            ..Self::default()
        }
    }

    /// The same with variables.
    pub(crate) fn env(mut self, variables: &[(&str, &str)]) -> Self {
        self.env.extend(owned(variables));
        self
    }

    /// The same with its expressions replaced by what they mean.
    pub(crate) fn evaluated(&self, contexts: &Value) -> Self {
        let each = |map: &BTreeMap<String, String>| {
            let pairs = map.iter();
            let pairs = pairs.map(|(name, text)| (name.clone(), evaluate(text, contexts)));
            pairs.collect()
        };
        Self {
            run: evaluate(&self.run, contexts),
            with: each(&self.with),
            env: each(&self.env),
            ..self.clone()
        }
    }
}

fn owned(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// A text with `${{ a.b.c }}` replaced. What is not there is empty.
pub(crate) fn evaluate(text: &str, contexts: &Value) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        let (expression, after) = after.split_once("}}").expect("an expression ends");
        result.push_str(before);
        let names = expression.trim().split('.');
        let value = names.fold(contexts, |value, name| &value[name]);
        match value {
            Value::Null => {}
            Value::String(text) => result.push_str(text),
            other => panic!("`{expression}` is {other}"),
        }
        rest = after;
    }
    result + rest
}

#[test]
fn expressions_are_replaced() {
    let contexts = serde_json::json!({"steps": {"a": {"outputs": {"image-id": "m-1"}}}});
    let text = "x ${{ steps.a.outputs.image-id }} ${{steps.b.outputs.c}}.";
    assert_eq!(evaluate(text, &contexts), "x m-1 .");
}
