//! The results that other programs read: step outputs and `--output-file`.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::Renderer;
use super::entry::{BuildEnd, Entry, EntryKind, RunEnd, Start, Status};
use super::file::File;
use crate::artifact::Image;
use crate::engine::event::Leftover;
use crate::fanout::results::{self, Results};

/// The names of the action's outputs, in the order of `action.yml`.
pub const OUTPUTS: &[&str] = &[
    "image-id",
    "image-ids",
    "images",
    "image-name",
    "region",
    "snapshot-ids",
    "oss-object",
    "manifest-path",
    "plan",
    "status",
    "build-run-id",
    "leftovers",
    "duration-seconds",
    "screenshots",
    "matrix",
];

/// What a dotenv report of GitLab may hold unless its administrator allows
/// more: variables.
const MOST_VARIABLES: usize = 20;

/// The facts of a run, as far as they are known.
#[derive(Debug, Default, Clone)]
pub(super) struct Outputs {
    run_id: String,
    builds: Vec<results::BuildEnd>,
    images: Vec<Image>,
    leftovers: Vec<Leftover>,
    status: Option<Status>,
    error: Option<String>,
    duration_seconds: u64,
    screenshots: Vec<String>,
    answers: Vec<(&'static str, String)>,
    manifest: Option<PathBuf>,
    /// Whether this run wrote it: another one may have left one there.
    has_manifest: bool,
    workspace: Option<PathBuf>,
}

impl Outputs {
    /// Outputs whose paths are relative to a directory, if they are in it:
    /// other steps may see it at another place.
    pub(super) fn relative_to(workspace: Option<PathBuf>) -> Self {
        Self {
            workspace,
            ..Self::default()
        }
    }

    /// With the file that the manifest is written to.
    pub(super) fn with_manifest(mut self, manifest: Option<PathBuf>) -> Self {
        self.manifest = manifest;
        self
    }

    /// Takes note of an entry. Says whether it changed an output.
    pub(super) fn take(&mut self, entry: &Entry) -> bool {
        match &entry.kind {
            EntryKind::RunStarted(start) => self.start(start),
            EntryKind::ImageReady { image } => self.add(image),
            EntryKind::Screenshot { path } => self.screenshots.push(self.relative(path)),
            EntryKind::BuildFinished(_) => {
                self.has_manifest = true;
                return self.manifest.is_some();
            }
            EntryKind::Leftover(leftover) => self.leftovers.push(leftover.clone()),
            EntryKind::Answer { name, text } => self.answers.push((name, text.clone())),
            EntryKind::RunFinished(end) => self.finish(end),
            _ => return false,
        }
        true
    }

    fn start(&mut self, start: &Start) {
        self.run_id.clone_from(&start.run_id);
        // It is that of the first build.
        let region = start.region.iter().filter(|_| start.builds.len() == 1);
        let region: String = region.cloned().collect();
        let builds = start.builds.iter().map(|build| results::BuildEnd {
            name: build.name.clone(),
            builder_type: build.builder_type.clone(),
            region: region.clone(),
            status: String::new(),
            error: None,
            image_ids: Vec::new(),
        });
        self.builds = builds.collect();
    }

    /// In template order; of one build in the order they became ready.
    fn add(&mut self, image: &Image) {
        let is_known =
            |other: &Image| (&other.region, &other.image_id) == (&image.region, &image.image_id);
        if self.images.iter().any(is_known) {
            return;
        }
        self.images.push(image.clone());
        let builds = &self.builds;
        self.images
            .sort_by_key(|image| builds.iter().position(|build| build.name == image.build));
    }

    /// What remains in the end counts: a post-processor may have deleted an
    /// image that was ready.
    fn finish(&mut self, end: &RunEnd) {
        self.images.clear();
        for image in end.builds.iter().flat_map(BuildEnd::images) {
            self.add(image);
        }
        let ends = end.builds.iter().map(|build| self.end_of(build));
        let ends: Vec<_> = ends.collect();
        if !ends.is_empty() {
            self.has_manifest = true;
            self.builds = ends;
        }
        self.error = end.error.as_ref().map(|error| error.chain.clone());
        self.leftovers.clone_from(&end.leftovers);
        self.status = Some(end.status);
        self.duration_seconds = end.elapsed.as_secs();
    }

    fn end_of(&self, end: &BuildEnd) -> results::BuildEnd {
        let image = end.images().next().map(|image| image.region.clone());
        let known = self.builds.iter().find(|build| build.name == end.name);
        let region = image.or_else(|| known.map(|build| build.region.clone()));
        let status = match end.error {
            None => Status::Success,
            Some(_) => Status::Failure,
        };
        results::BuildEnd {
            name: end.name.clone(),
            builder_type: end.builder_type.to_owned(),
            region: region.unwrap_or_default(),
            status: status.word().to_owned(),
            error: end.error.as_ref().map(|error| error.chain.clone()),
            image_ids: end.images().map(|image| image.image_id.clone()).collect(),
        }
    }

    /// The values in the order of [`OUTPUTS`]; empty when there is none yet.
    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        let first = self.images.first();
        let of_first = |field: fn(&Image) -> &str| {
            first.map_or_else(String::new, |image| field(image).to_owned())
        };
        let value = |name: &str| match name {
            "image-id" => of_first(|image| &image.image_id),
            "image-ids" => serde_json::Value::from(self.ids_of_first_build()).to_string(),
            "images" => json!(self.images).to_string(),
            "image-name" => of_first(|image| &image.image_name),
            "region" => of_first(|image| &image.region),
            "snapshot-ids" => json!(self.snapshot_ids()).to_string(),
            "oss-object" => first
                .and_then(|image| image.oss_object.clone())
                .unwrap_or_default(),
            "manifest-path" => self.manifest_path(),
            "status" => self.status_word(),
            "build-run-id" => self.run_id.clone(),
            "leftovers" => self.leftovers(),
            "duration-seconds" => self
                .status
                .map_or_else(String::new, |_| self.duration_seconds.to_string()),
            // What `actions/upload-artifact` takes as its `path`.
            "screenshots" => self.screenshots.join("\n"),
            other => self.answer(other),
        };
        OUTPUTS.iter().map(|name| (*name, value(name))).collect()
    }

    /// Empty while something may yet be left: `[]` says that all is clean.
    fn leftovers(&self) -> String {
        let is_known = self.status.is_some() || !self.leftovers.is_empty();
        match is_known {
            true => json!(self.leftovers).to_string(),
            false => String::new(),
        }
    }

    /// Empty until there is a manifest, which begins with a build's end.
    fn manifest_path(&self) -> String {
        let manifest = self.manifest.as_deref();
        let manifest = manifest.filter(|path| self.has_manifest && path.exists());
        manifest.map_or_else(String::new, |path| self.relative(&path.to_string_lossy()))
    }

    fn relative(&self, path: &str) -> String {
        let workspace = self.workspace.as_deref();
        let inside = workspace.and_then(|directory| Path::new(path).strip_prefix(directory).ok());
        inside.map_or_else(|| path.to_owned(), |inside| inside.display().to_string())
    }

    fn status_word(&self) -> String {
        self.status
            .map_or_else(String::new, |status| status.word().to_owned())
    }

    fn answer(&self, name: &str) -> String {
        let answer = self.answers.iter().find(|(known, _)| *known == name);
        answer.map_or_else(String::new, |(_, text)| text.clone())
    }

    fn ids_of_first_build(&self) -> serde_json::Map<String, serde_json::Value> {
        let build = self.images.first().map(|image| &image.build);
        let of_build = self
            .images
            .iter()
            .filter(|image| Some(&image.build) == build);
        of_build
            .map(|image| (image.region.clone(), json!(image.image_id)))
            .collect()
    }

    fn snapshot_ids(&self) -> Vec<String> {
        let ids = self.images.iter().flat_map(|image| &image.snapshot_ids);
        ids.cloned().collect()
    }

    /// Everything, for programs.
    fn results(&self) -> Results {
        let first = self.images.first();
        let of_first = |field: fn(&Image) -> &String| first.map(|image| field(image).clone());
        Results {
            status: self.status_word(),
            build_run_id: self.run_id.clone(),
            duration_seconds: self.status.map(|_| self.duration_seconds),
            error: self.error.clone(),
            builds: self.builds.clone(),
            images: self.images.clone(),
            image_id: of_first(|image| &image.image_id),
            image_ids: self.ids_of_first_build(),
            image_name: of_first(|image| &image.image_name),
            region: of_first(|image| &image.region),
            snapshot_ids: self.snapshot_ids(),
            leftovers: self.leftovers.clone(),
            screenshots: self.screenshots.clone(),
        }
    }

    /// As one JSON object, whose fields are documented in [`results`].
    fn json(&self) -> String {
        // Maps have text keys and numbers are finite: it cannot fail.
        let text = serde_json::to_string_pretty(&self.results()).unwrap_or_default();
        format!("{text}\n")
    }

    /// `KEY=VALUE` lines that a shell, GitLab's dotenv reports and Jenkins'
    /// `readProperties` all understand: no quotes, no blank or long values, and
    /// no more lines than the report may have.
    fn dotenv(&self) -> String {
        let mut lines = vec![
            ("BUILD_RUN_ID".to_owned(), self.run_id.clone()),
            ("IMAGE_COUNT".to_owned(), self.images.len().to_string()),
            (
                "LEFTOVER_COUNT".to_owned(),
                self.leftovers.len().to_string(),
            ),
        ];
        if let Some(status) = self.status {
            lines.push(("STATUS".to_owned(), status.word().to_owned()));
        }
        lines.push(("MANIFEST".to_owned(), self.manifest_path()));
        if let Some(first) = self.images.first() {
            lines.push(("IMAGE_ID".to_owned(), first.image_id.clone()));
            lines.push(("IMAGE_NAME".to_owned(), first.image_name.clone()));
            lines.push(("IMAGE_REGION".to_owned(), first.region.clone()));
            let of_build = self
                .images
                .iter()
                .filter(|image| image.build == first.build);
            lines.extend(of_build.map(|image| {
                let region = image.region.to_uppercase().replace('-', "_");
                (format!("IMAGE_ID_{region}"), image.image_id.clone())
            }));
        }
        lines
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .take(MOST_VARIABLES)
            .map(|(key, value)| format!("{key}={value}\n"))
            .collect()
    }
}

/// Keeps `--output-file` up to date, so that it is right whenever the run
/// ends.
pub(super) struct OutputFile {
    file: File,
    outputs: Outputs,
}

impl OutputFile {
    pub(super) fn new(path: &Path, manifest: Option<PathBuf>) -> Self {
        Self {
            // The working directory may change before it is written.
            file: File::new(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned())),
            outputs: Outputs::default().with_manifest(manifest),
        }
    }
}

impl Renderer for OutputFile {
    fn render(&mut self, entry: &Entry) {
        if self.outputs.take(entry) {
            let is_json = self.file.path.extension().is_some_and(|end| end == "json");
            let text = match is_json {
                true => self.outputs.json(),
                false => self.outputs.dotenv(),
            };
            self.file.write(&text);
        }
    }

    fn trouble(&mut self) -> Option<String> {
        self.file.trouble()
    }
}

/// Adds text to a file of the CI system, if there is one.
pub(super) fn append(path: Option<&Path>, text: &str) {
    let Some(path) = path else { return };
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    // A report that cannot be written does not fail the build.
    let _ = file.and_then(|mut file| file.write_all(text.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::super::tests::{build, finish, image, result, shown, start};
    use super::*;

    /// A run with an image of `web` in each region, and its files.
    fn files(regions: &[String]) -> (String, String) {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let settings = Settings {
            output_files: vec![path("out.env"), path("out.json")],
            manifest: Some(path("manifest.json")),
            ..Settings::default()
        };
        shown(&settings, |events| {
            start(events, &["web"]);
            let images = regions.iter().map(|region| image("web", region, "m-1"));
            let web = build("web", images.collect(), None);
            finish(events, result(vec![web], vec![]));
        });
        let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
        (read("out.env"), read("out.json"))
    }

    #[test]
    fn a_dotenv_file_has_no_more_lines_than_gitlab_takes() {
        let regions: Vec<_> = (0..30).map(|number| format!("cn-{number}")).collect();
        let (dotenv, json) = files(&regions);
        let mut lines: Vec<_> = dotenv.lines().collect();
        assert_eq!(lines.len(), MOST_VARIABLES);
        let manifest = lines.remove(4);
        assert!(manifest.starts_with("MANIFEST=/") && manifest.ends_with("/manifest.json"));
        let known = "IMAGE_COUNT=30\nLEFTOVER_COUNT=0\nSTATUS=success\nIMAGE_ID=m-1";
        assert_eq!(lines[1..5].join("\n"), known);
        let results: Results = serde_json::from_str(&json).unwrap();
        assert_eq!(results.images.len(), 30);
    }

    #[test]
    fn json_has_the_results_with_their_types() {
        let (_, json) = files(&["cn-beijing".to_owned()]);
        let results: serde_json::Value = serde_json::from_str(&json).unwrap();
        insta::assert_snapshot!(format!("{results:#}"), @r#"
        {
          "status": "success",
          "build_run_id": "0c9d",
          "duration_seconds": 62,
          "error": null,
          "builds": [
            {
              "name": "web",
              "type": "alicloud-ecs",
              "region": "cn-beijing",
              "status": "success",
              "error": null,
              "image_ids": [
                "m-1"
              ]
            }
          ],
          "images": [
            {
              "build": "web",
              "type": "alicloud-ecs",
              "region": "cn-beijing",
              "image_id": "m-1",
              "image_name": "web-1",
              "source_image": "aliyun_3.vhd",
              "snapshot_ids": [
                "s-m-1"
              ],
              "size_gib": 40,
              "created": "2027-01-15T08:00:00Z"
            }
          ],
          "image_id": "m-1",
          "image_ids": {
            "cn-beijing": "m-1"
          },
          "image_name": "web-1",
          "region": "cn-beijing",
          "snapshot_ids": [
            "s-m-1"
          ],
          "leftovers": [],
          "screenshots": []
        }
        "#);
    }
}
