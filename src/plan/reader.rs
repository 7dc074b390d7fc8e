//! Reading one block's options the way plans need them.
//!
//! A [`Reader`] is a `Decoder` with Packer's habits on top: an empty text is
//! an unset option, a zero is an unset limit, and every rule that is broken
//! becomes a diagnostic at the option's place. A value that was refused is
//! replaced by a harmless one, so that reading goes on and finds the next
//! error; the plan is thrown away in the end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::plan::check::Check;
use crate::plan::files::{Places, TRUST};
use crate::secret::Secret;
use crate::template::decode::{Decoder, OptionSpec};
use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::go_duration::GoDuration;
use crate::template::interpolate::{BUILD_FIELDS, BuildAccess, Context, render};
use crate::template::nearest::did_you_mean;
use crate::template::source::{Span, Spanned};
use crate::template::value::{Value, ValueKind};

/// What reading any block needs and fills.
pub struct Desk<'a> {
    /// Where the findings go.
    pub diagnostics: &'a mut Diagnostics,
    /// The secrets that were read.
    pub secrets: &'a mut Vec<Secret>,
    /// Where paths lead.
    pub places: &'a Places,
}

/// Reads the options of one block.
pub struct Reader<'v, 'd> {
    decoder: Decoder<'v, 'd>,
    secrets: &'d mut Vec<Secret>,
    places: &'d Places,
}

impl<'v, 'd> Reader<'v, 'd> {
    /// Starts reading; `block` names it in messages.
    pub fn new(
        object: &'v Value,
        specs: &'static [&'static [OptionSpec]],
        block: &str,
        desk: &'d mut Desk<'_>,
    ) -> Self {
        Self {
            decoder: Decoder::new(object, specs, block, desk.diagnostics),
            secrets: desk.secrets,
            places: desk.places,
        }
    }

    /// Starts reading an object inside the block.
    pub fn nested(
        &mut self,
        object: &'v Value,
        specs: &'static [&'static [OptionSpec]],
        place: &str,
    ) -> Reader<'v, '_> {
        let block = format!("{place} of {}", self.decoder.block());
        Reader {
            decoder: Decoder::new(object, specs, &block, self.decoder.diagnostics()),
            secrets: self.secrets,
            places: self.places,
        }
    }

    /// Reports unknown, unsupported, deprecated and ignored options.
    pub fn finish(self) {
        self.decoder.finish();
    }

    /// Where paths lead.
    pub fn places(&self) -> &'d Places {
        self.places
    }

    /// The value as it stands.
    pub fn value(&self, name: &str) -> Option<&'v Value> {
        self.decoder.value(name)
    }

    /// Text that is not empty.
    pub fn text(&mut self, name: &str) -> Option<Spanned<String>> {
        let text = self.decoder.string(name)?;
        (!text.value.is_empty()).then_some(text)
    }

    /// Text that is not empty, for options whose place never matters.
    pub fn plain(&mut self, name: &str) -> Option<String> {
        self.text(name).map(|text| text.value)
    }

    /// Text, or the default when it is not set.
    pub fn text_or(&mut self, name: &str, default: &str) -> String {
        self.plain(name).unwrap_or_else(|| default.to_owned())
    }

    /// Text that passes the check.
    pub fn checked(&mut self, name: &str, check: Check) -> Option<Spanned<String>> {
        let text = self.text(name)?;
        self.check(name, &text, check);
        Some(text)
    }

    /// Text that must be set and pass the check.
    pub fn required(&mut self, name: &str, check: Check, help: &str) -> Spanned<String> {
        self.checked(name, check).unwrap_or_else(|| {
            self.missing(name, help);
            Spanned::default_value(String::new())
        })
    }

    /// Reports a text of an option that does not pass the check.
    pub fn check(&mut self, name: &str, text: &Spanned<String>, check: Check) {
        if let Err(complaint) = check(&text.value) {
            self.error_at(text.span, name, &complaint.what, complaint.help);
        }
    }

    /// One of a closed set of words.
    pub fn one_of<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let found = words.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let what = format!("is `{}`, which is not one of its values", text.value);
            self.error(name, &what, format!("Write {}", alternatives(&known)));
        }
        found.map(|(_, value)| *value)
    }

    /// Warns about a word outside a set that may grow.
    pub fn expect_one_of(&mut self, name: &str, words: &[&str]) -> Option<String> {
        let text = self.text(name)?;
        if !words.contains(&text.value.as_str()) {
            let what = format!("is `{}`, which is not known", text.value);
            let help = did_you_mean(&text.value, words.iter().copied())
                .unwrap_or_else(|| format!("Known are {}", alternatives(words)));
            self.warning(name, &what, help);
        }
        Some(text.value)
    }

    /// A switch that is off unless it is on.
    pub fn flag(&mut self, name: &str) -> bool {
        self.decoder.bool(name).is_some_and(|flag| flag.value)
    }

    /// A switch that may be unset.
    pub fn tri(&mut self, name: &str) -> Option<bool> {
        self.decoder.bool(name).map(|flag| flag.value)
    }

    /// Text that must not be shown; it joins the plan's secrets.
    pub fn secret(&mut self, name: &str) -> Option<Secret> {
        let secret = Secret::new(self.plain(name)?);
        self.keep_secret(&secret);
        Some(secret)
    }

    /// Adds a secret to the plan's.
    pub fn keep_secret(&mut self, secret: &Secret) {
        self.secrets.push(secret.clone());
    }

    /// A number between 1 and `most`; 0 is the same as unset.
    pub fn positive(&mut self, name: &str, most: u32) -> Option<u32> {
        let number = self.decoder.int(name)?.value;
        match u32::try_from(number) {
            Ok(0) => None,
            Ok(number) if number <= most => Some(number),
            _ => {
                let what = format!("is {number}");
                self.error(name, &what, format!("Write a number between 1 and {most}"));
                None
            }
        }
    }

    /// A number from `least` to `most`.
    pub fn between(&mut self, name: &str, least: i64, most: i64) -> Option<i64> {
        let number = self.decoder.int(name)?.value;
        if (least..=most).contains(&number) {
            return Some(number);
        }
        let help = format!("Write a number between {least} and {most}");
        self.error(name, &format!("is {number}"), help);
        None
    }

    /// A TCP port.
    pub fn port(&mut self, name: &str, default: u16) -> u16 {
        let port = self.positive(name, u32::from(u16::MAX));
        port.and_then(|port| u16::try_from(port).ok())
            .unwrap_or(default)
    }

    /// A number of seconds; 0 is the same as unset.
    pub fn seconds(&mut self, name: &str, default: u32) -> Duration {
        let seconds = self.positive(name, u32::MAX).unwrap_or(default);
        Duration::from_secs(seconds.into())
    }

    /// A duration that is not negative.
    pub fn duration(&mut self, name: &str) -> Option<Duration> {
        self.decoder.duration(name).map(|duration| duration.value)
    }

    /// A duration of either sign.
    pub fn signed_duration(&mut self, name: &str) -> Option<GoDuration> {
        let duration = self.decoder.signed_duration(name)?;
        Some(duration.value)
    }

    /// A list of texts as it stands, empty elements too.
    pub fn list(&mut self, name: &str) -> Vec<Spanned<String>> {
        let list = self.decoder.string_list(name);
        list.map_or_else(Vec::new, |list| list.value)
    }

    /// A list of texts in which a single text is one element. Packer splits
    /// it on commas, which breaks commands.
    pub fn list_or_one(&mut self, name: &str) -> Vec<Spanned<String>> {
        match self.value(name).map(|value| &value.kind) {
            Some(ValueKind::String(_)) => self.text(name).into_iter().collect(),
            _ => self.list(name),
        }
    }

    /// The texts of a list, without empty ones.
    pub fn texts(&mut self, name: &str) -> Vec<Spanned<String>> {
        let mut list = self.list(name);
        list.retain(|text| !text.value.is_empty());
        list
    }

    /// The texts of a list without their places.
    pub fn plain_list(&mut self, name: &str) -> Vec<String> {
        let texts = self.texts(name).into_iter();
        texts.map(|text| text.value).collect()
    }

    /// A list of lists of texts as it stands.
    pub fn string_lists(&mut self, name: &str) -> Vec<Vec<Spanned<String>>> {
        let lists = self.decoder.string_lists(name);
        lists.map_or_else(Vec::new, |lists| lists.value)
    }

    /// A number that is not negative; 0 when unset.
    pub fn count(&mut self, name: &str) -> u32 {
        let Some(number) = self.decoder.int(name) else {
            return 0;
        };
        u32::try_from(number.value).unwrap_or_else(|_| {
            let what = format!("is {}", number.value);
            self.error(name, &what, "Write a number that is not negative");
            0
        })
    }

    /// A map of texts.
    pub fn map(&mut self, name: &str) -> BTreeMap<String, String> {
        let map = self.decoder.string_map(name);
        map.map_or_else(BTreeMap::new, |map| map.value)
    }

    /// An object inside the block.
    pub fn object(&mut self, name: &str) -> Option<&'v Value> {
        self.decoder.object(name)
    }

    /// Objects inside the block.
    pub fn object_list(&mut self, name: &str) -> Vec<&'v Value> {
        self.decoder.object_list(name)
    }

    /// A file that must be there; `~/` is the home directory.
    pub fn existing_file(&mut self, name: &str) -> Option<Spanned<PathBuf>> {
        let text = self.text(name)?;
        let path = self.places.expand_home(&text.value);
        if let Some(problem) = self.places.file_problem(&path) {
            self.bad_path(name, text.span, &text.value, &problem);
        }
        Some(Spanned {
            value: path,
            span: text.span,
        })
    }

    /// Reports a path that cannot be used.
    pub fn bad_path(&mut self, name: &str, span: Option<Span>, path: &str, problem: &str) {
        let what = format!("names `{path}`, which {problem}");
        let directory = self.places.working_directory.display();
        let help = match &self.places.confined_to {
            Some(_) => TRUST.to_owned(),
            None => format!("Relative paths start at the working directory, `{directory}`"),
        };
        self.error_at(span, name, &what, help);
    }

    /// Reports a path, to read or to write, that a stranger's template may not
    /// name.
    pub fn confine(&mut self, name: &str) {
        let Some(value) = self.value(name) else {
            return;
        };
        let ValueKind::String(path) = &value.kind else {
            return;
        };
        let problem = match path.contains("{{") {
            true => self.places.unknown(),
            false => self.places.outside(path.as_ref()),
        };
        if let Some(problem) = problem {
            self.bad_path(name, Some(value.span), path, &problem);
        }
    }

    /// Reports a text that could not be rendered when the machine runs. Beside
    /// the named fields it may use those of every build.
    pub fn check_late(&mut self, name: &str, text: &Spanned<String>, fields: &[&str]) {
        let empty = |name: &&str| ((*name).to_owned(), String::new());
        let fields: BTreeMap<_, _> = fields.iter().map(empty).collect();
        let build: BTreeMap<_, _> = BUILD_FIELDS.iter().map(empty).collect();
        let user = BTreeMap::new();
        let context = Context {
            fields: &fields,
            build: BuildAccess::Known(&build),
            ..Context::new(&user, "", "", Timestamp::UNIX_EPOCH)
        };
        if let Err(error) = render(&text.value, &context) {
            let what = format!("cannot be rendered: {error}");
            let help = error.hint.unwrap_or_else(|| {
                "A text between `{{` and `}}` is a template; script files are not".to_owned()
            });
            self.error_at(text.span, name, &what, help);
        }
    }

    /// Text rendered when the machine runs, or the default.
    pub fn late_or(&mut self, name: &str, default: &str, fields: &[&str]) -> String {
        let Some(text) = self.text(name) else {
            return default.to_owned();
        };
        self.check_late(name, &text, fields);
        text.value
    }

    /// Whether the option says something.
    pub fn is_set(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| match &value.kind {
            ValueKind::String(text) => !text.is_empty(),
            ValueKind::List(elements) => !elements.is_empty(),
            _ => true,
        })
    }

    /// Where the option's value stands, or else the block.
    pub fn span(&self, name: &str) -> Span {
        let span = self.decoder.span(name);
        span.unwrap_or_else(|| self.decoder.block_span())
    }

    /// Reports that an option must be set, unless it is: with a value of the
    /// wrong type, which was reported.
    pub fn missing(&mut self, name: &str, help: impl Into<String>) {
        self.missing_all(&[name], help);
    }

    /// Reports that one of several options must be set, by the first one's name.
    pub fn missing_all(&mut self, names: &[&str], help: impl Into<String>) {
        let is_written = |name: &&str| self.value(name).is_some_and(|value| !value.is_unset());
        let Some(name) = names.first().filter(|_| !names.iter().any(is_written)) else {
            return;
        };
        let span = self.decoder.block_span();
        self.error_at(Some(span), name, "is missing", help);
    }

    /// Reports a broken rule at the option.
    pub fn error(&mut self, name: &str, what: &str, help: impl Into<String>) {
        let span = self.span(name);
        self.error_at(Some(span), name, what, help);
    }

    /// Reports a broken rule at a place.
    pub fn error_at(
        &mut self,
        span: Option<Span>,
        name: &str,
        what: &str,
        help: impl Into<String>,
    ) {
        let message = format!("Option `{name}` of {} {what}", self.decoder.block());
        self.push(Diagnostic::error(message, span).help(help));
    }

    /// Warns about an option.
    pub fn warning(&mut self, name: &str, what: &str, help: impl Into<String>) {
        let message = format!("Option `{name}` of {} {what}", self.decoder.block());
        let span = self.span(name);
        self.push(Diagnostic::warning(message, span).help(help));
    }

    /// Reports that exactly one of two options is wanted.
    pub fn conflict(&mut self, name: &str, other: &str, help: impl Into<String>) {
        self.error(name, &format!("cannot be used with `{other}`"), help);
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        self.decoder.diagnostics().push(diagnostic);
    }
}

/// `` `a`, `b` or `c` ``
pub fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
