//! `--format json`: one object per event and line.
//!
//! The schema is stable: fields and types are added, never renamed or removed.
//! Every object has `time` (RFC 3339, UTC), `type`, and `build` when it is
//! about one build. Secrets are replaced by `<sensitive>`; durations are
//! seconds with fractions; a field that has no value is `null` or missing.
//!
//! | `type` | further fields |
//! |---|---|
//! | `run_started` | `run_id`, `command`, `builds[]{name, builder_type}`, `journal`, `region`, `template_sha256` |
//! | `diagnostic` | `severity` (`error`, `warning`), `message`, `place`, `label`, `help` |
//! | `say`, `message`, `warning` | `text` |
//! | `output` | `stream` (`stdout`, `stderr`), `line` as the machine sent it |
//! | `step_started` | `step` |
//! | `step_finished` | `step`, `elapsed_seconds`, `resources[]`, `succeeded` |
//! | `resource_created`, `resource_deleted` | `kind`, `id`, `region` |
//! | `leftover` | `kind`, `id`, `region`, `reason` |
//! | `image_ready` | `image` |
//! | `screenshot` | `path` |
//! | `answer` | `name` of the step output, `text` |
//! | `template_fetched` | `address`, `commit` |
//! | `check_run` | `id` of the check run that is open on GitHub, or null |
//! | `build_finished` | `name`, `builder_type`, `elapsed_seconds`, `artifacts[]`, `error` |
//! | `run_finished` | `status`, `elapsed_seconds`, `cancelled`, `builds[]`, `leftovers[]`, `error` |
//!
//! A `place` is `{file, line, column, end_column}`, counted from 1 in
//! characters. An `error` is `{kind, message, chain, hints[], place, api}`
//! with `api` = `{action, region, http_status, code, message, request_id}`. An
//! artifact is `{builder_id, id, description, files[], images[]}`, an image
//! `{build, type, region, image_id, image_name, source_image, snapshot_ids[],
//! size_gib, created}`. A `status` is `success`, `failure`, `partial`,
//! `cancelled` or `nothing`.

use super::Renderer;
use super::entry::Entry;
use super::sanitize;
use super::sink::Sink;

/// Writes JSON lines.
pub(super) struct Json(pub(super) Sink);

impl Renderer for Json {
    fn render(&mut self, entry: &Entry) {
        // Maps have text keys and numbers are finite: it cannot fail.
        if let Ok(line) = serde_json::to_string(entry) {
            self.0.line(&sanitize::json(&line));
        }
    }
}
