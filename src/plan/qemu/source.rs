//! Reads what the machine boots.

use super::Source;
use std::path::PathBuf;

use super::checksum::{self, Checksum};
use super::checksum_file;
use crate::plan::reader::Reader;
use crate::template::source::Spanned;

/// The path of a `file://` URL or of anything that is no URL.
pub fn local_path(url: &str) -> Option<PathBuf> {
    match url.split_once("://") {
        Some(("file", path)) => Some(PathBuf::from(path)),
        Some(_) => None,
        None => Some(PathBuf::from(url)),
    }
}

/// Reads the options.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Source {
    let disk_image = reader.flag("disk_image");
    let skip_cache = reader.flag("iso_skip_cache");
    let urls = urls(reader);
    Source {
        checksum: read_checksum(reader, &urls),
        urls,
        target_path: reader.plain("iso_target_path").map(Into::into),
        target_extension: reader.text_or("iso_target_extension", "iso"),
        skip_cache,
        disk_image,
    }
}

fn urls(reader: &mut Reader<'_, '_>) -> Vec<Spanned<String>> {
    let one = reader.text("iso_url");
    let several = reader.texts("iso_urls");
    if one.is_some() && !several.is_empty() {
        reader.conflict("iso_url", "iso_urls", "Keep one of them");
    }
    if one.is_none() && several.is_empty() {
        let help = "Set it to the URL or path of the ISO to install from";
        reader.missing_all(&["iso_url", "iso_urls"], help);
    }
    let name = if one.is_some() { "iso_url" } else { "iso_urls" };
    let urls: Vec<_> = one.into_iter().chain(several).collect();
    for url in &urls {
        check_url(reader, name, url);
    }
    urls
}

fn check_url(reader: &mut Reader<'_, '_>, name: &str, url: &Spanned<String>) {
    let scheme = url.value.split_once("://").map(|(scheme, _)| scheme);
    if matches!(scheme, Some("http" | "https" | "file") | None) && !url.value.contains("::") {
        return;
    }
    let what = format!("is `{}`, which cannot be downloaded", url.value);
    let help = "Write an `https://`, `http://` or `file://` URL or a path";
    reader.error_at(url.span, name, &what, help);
}

fn read_checksum(reader: &mut Reader<'_, '_>, urls: &[Spanned<String>]) -> Checksum {
    let Some(text) = reader.text("iso_checksum") else {
        let help = "Set it to the digest the publisher names, for example `sha256:…`, or to \
                    `file:` and the URL of the checksum file; `none` verifies nothing";
        reader.missing("iso_checksum", help);
        return Checksum::None;
    };
    match checksum::parse(&text.value) {
        Ok(Checksum::None) => {
            let help = "ISO files are big, and a cut-off one fails in odd ways: give its digest";
            reader.warning("iso_checksum", "is `none`: nothing is verified", help);
            Checksum::None
        }
        Ok(Checksum::File(place)) => resolved(reader, urls, place),
        Ok(checksum) => checksum,
        Err(what) => {
            let help = "Write `sha256:` and the digits, or `file:` and a URL or path";
            reader.error("iso_checksum", &what, help);
            Checksum::None
        }
    }
}

/// A checksum file on this machine is read now, any other when the build runs.
fn resolved(reader: &mut Reader<'_, '_>, urls: &[Spanned<String>], place: String) -> Checksum {
    const NAME: &str = "iso_checksum";
    let Some(path) = local_path(&place) else {
        return Checksum::File(place);
    };
    let text = match reader.places().read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(problem) => {
            reader.bad_path(NAME, Some(reader.span(NAME)), &place, &problem);
            return Checksum::None;
        }
    };
    let mut digests = urls
        .iter()
        .filter_map(|url| checksum_file::find(&text, &url.value));
    if let Some(digest) = digests.next() {
        return Checksum::Digest(digest);
    }
    if let Some(url) = urls.first() {
        let what = format!("names `{place}`, which has no checksum of `{url}`");
        reader.error(NAME, &what, "Write `sha256:` and the digits");
    }
    Checksum::None
}
