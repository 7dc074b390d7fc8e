//! A matrix as CI systems take it: GitHub's `strategy.matrix`, and a child
//! pipeline for GitLab.
//!
//! GitLab cannot take a `parallel:matrix` from a job, but it runs a pipeline
//! that a job has written, so that is what is printed. Facts: GitHub's page on
//! running variations of jobs; GitLab's on downstream pipelines and on
//! `parallel:matrix`.

use serde_json::{Value, json};

use crate::error::{Error, Kind, Result};
use crate::fanout::legs::{Leg, Matrix};

/// GitHub's limit of jobs in a matrix.
const MOST_ON_GITHUB: usize = 256;
/// GitLab's limit of jobs in a `parallel:matrix`.
const MOST_ON_GITLAB: usize = 200;

/// The value of `strategy.matrix`, in one line.
///
/// # Errors
/// [`Kind::Usage`] when there are too many legs.
pub fn github(legs: &[Leg]) -> Result<String> {
    at_most(MOST_ON_GITHUB, "GitHub", legs)?;
    let include = legs.to_vec();
    Ok(json!(Matrix { include }).to_string())
}

/// What the jobs of a child pipeline need.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pipeline {
    /// The container image of the jobs, if they run in one.
    pub image: Option<String>,
    /// The directory to work in, as seen from the project's; empty for that.
    pub directory: String,
    /// The template, and options that say how it is read.
    pub template: Vec<String>,
    /// The regions asked for.
    pub regions: Vec<String>,
    /// The variable that takes a leg's region.
    pub region_variable: Option<String>,
    /// Selection of builds, for the job that merges.
    pub selection: Vec<String>,
    /// Whom the jobs' OIDC tokens are for.
    pub audience: String,
}

/// A whole child pipeline: a job per leg, and one that joins their results.
///
/// # Errors
/// [`Kind::Usage`] when there are too many legs.
pub fn gitlab(legs: &[Leg], pipeline: &Pipeline) -> Result<String> {
    at_most(MOST_ON_GITLAB, "GitLab", legs)?;
    let build = pipeline.build();
    let joining = pipeline.joining();
    let legs: String = legs.iter().map(variables).collect();
    let default = pipeline.of_all_jobs();
    let audience = json!(pipeline.audience);
    Ok(format!(
        r#"# A child pipeline: a job for each build and region of a template, and one
# that joins their results. Generated; write it anew when the template changes.
stages: [build, merge]

{default}build:
  stage: build
  parallel:
    matrix:
{legs}  id_tokens:
    ALIBABA_CLOUD_OIDC_TOKEN:
      aud: {audience}
  variables:
    ALICLOUD_IMAGE_JOURNAL_DIR: $CI_PROJECT_DIR/.alicloud-image
    ALICLOUD_IMAGE_LINKS: $CI_PROJECT_DIR/alicloud-image-links.json
  script:
    - {build}
  after_script:
    - alicloud-image cleanup --journal "$ALICLOUD_IMAGE_JOURNAL_DIR"
  artifacts:
    when: always
    paths:
      - alicloud-image-results/
    reports:
      annotations: alicloud-image-links.json

merge:
  stage: merge
  when: always
  script:
{joining}  artifacts:
    when: always
    paths:
      - alicloud-image.json
      - alicloud-image-manifest.json
    reports:
      dotenv: alicloud-image.env
"#
    ))
}

impl Pipeline {
    fn of_all_jobs(&self) -> String {
        let image = self.image.as_ref().map(|image| {
            let image = json!(image);
            format!("  image:\n    name: {image}\n    entrypoint: [\"\"]\n")
        });
        match image {
            Some(image) => format!("default:\n{image}\n"),
            None => String::new(),
        }
    }

    /// One line of script: a signal then reaches the program, not a shell
    /// between two lines.
    fn build(&self) -> Value {
        let region = self.region_variable.iter();
        let region =
            region.map(|name| format!("{}\"$ALICLOUD_REGION\"", quoted(&format!("--var={name}="))));
        let words = ["alicloud-image build --only=\"$ALICLOUD_IMAGE_BUILD\"".to_owned()]
            .into_iter()
            .chain([
                "--output-file=\"$CI_PROJECT_DIR/alicloud-image-results/$ALICLOUD_IMAGE_LEG.json\""
                    .to_owned(),
            ])
            .chain(region)
            .chain(self.template.iter().map(|word| quoted(word)));
        let build = words.collect::<Vec<_>>().join(" ");
        let directory = "mkdir -p alicloud-image-results";
        json!(match self.directory.as_str() {
            "" => format!("{directory} && {build}"),
            below => format!("{directory} && cd {} && {build}", quoted(below)),
        })
    }

    /// The matrix is made again: it depends on nothing but the template.
    fn joining(&self) -> String {
        let regions =
            (!self.regions.is_empty()).then(|| format!("--regions={}", self.regions.join(",")));
        let variable = self
            .region_variable
            .iter()
            .map(|name| format!("--region-variable={name}"));
        let words = self
            .selection
            .iter()
            .cloned()
            .chain(regions)
            .chain(variable);
        let words = words.chain(self.template.iter().cloned());
        let words: Vec<_> = words.map(|word| quoted(&word)).collect();
        let matrix = format!("alicloud-image matrix {}", words.join(" "));
        let matrix = match self.directory.as_str() {
            "" => matrix,
            below => format!("(cd {} && {matrix})", quoted(below)),
        };
        let lines = [
            format!("{matrix} > alicloud-image-matrix.json"),
            "mkdir -p alicloud-image-results && alicloud-image merge --expect=alicloud-image-matrix.json --manifest=alicloud-image-manifest.json --output-file=alicloud-image.json --output-file=alicloud-image.env alicloud-image-results".to_owned(),
        ];
        lines
            .map(|line| format!("    - {}\n", json!(line)))
            .concat()
    }
}

fn variables(leg: &Leg) -> String {
    let mut text = format!("      - ALICLOUD_IMAGE_BUILD: {}\n", json!([leg.build]));
    let region = ("ALICLOUD_REGION", &leg.region);
    for (name, value) in [region, ("ALICLOUD_IMAGE_LEG", &leg.id)] {
        if !value.is_empty() {
            text.push_str(&format!("        {name}: {}\n", json!([value])));
        }
    }
    text
}

fn at_most(most: usize, system: &str, legs: &[Leg]) -> Result<()> {
    if legs.len() <= most {
        return Ok(());
    }
    let message = format!(
        "The matrix has {} legs; {system} runs at most {most}",
        legs.len()
    );
    Err(Error::new(Kind::Usage, message)
        .with_hint("Print several matrices, each for some builds (`-only`) or some regions"))
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=./,:@%+".contains(&byte);
    match !word.is_empty() && word.bytes().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn legs(count: usize) -> Vec<Leg> {
        let leg = |number| Leg {
            build: format!("b{number}"),
            builder_type: "qemu".into(),
            region: String::new(),
            id: format!("b{number}"),
        };
        (0..count).map(leg).collect()
    }

    #[test]
    fn a_matrix_has_a_limit() {
        assert!(github(&legs(256)).is_ok() && gitlab(&legs(200), &Pipeline::default()).is_ok());
        assert_eq!(
            github(&legs(257)).unwrap_err().message(),
            "The matrix has 257 legs; GitHub runs at most 256"
        );
        assert!(gitlab(&legs(201), &Pipeline::default()).is_err());
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        let table = [
            ("web.json", "web.json"),
            ("", "''"),
            ("--var=a=b c", "'--var=a=b c'"),
            ("it's $HOME", r"'it'\''s $HOME'"),
        ];
        for (word, expected) in table {
            assert_eq!(quoted(word), expected);
        }
    }
}
