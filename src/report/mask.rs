//! Hides secrets: every form in which a registered value could show up is
//! replaced before any renderer sees the text.
//!
//! It replaces what is written out plainly. A program that prints a secret
//! reversed or one letter per line is beyond it.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

/// What stands in the place of a secret.
pub(super) const PLACEHOLDER: &str = "<sensitive>";

/// Shorter values are found in ordinary words; hiding them would destroy the
/// output without protecting anything.
const SHORTEST: usize = 4;

/// A mask that several writers share: what one learns, all hide.
#[derive(Debug, Default, Clone)]
pub(super) struct SharedMask(Arc<RwLock<Mask>>);

impl SharedMask {
    /// As [`Mask::add`].
    pub(super) fn add(&self, secret: &str) -> Vec<String> {
        let mut mask = self.0.write().unwrap_or_else(PoisonError::into_inner);
        mask.add(secret)
    }

    /// As [`Mask::apply`].
    pub(super) fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mask = self.0.read().unwrap_or_else(PoisonError::into_inner);
        mask.apply(text)
    }
}

/// All values to hide, the longest first, so that a secret that contains
/// another one is replaced as a whole.
#[derive(Debug, Default)]
struct Mask {
    forms: Vec<String>,
}

impl Mask {
    /// Hides a value from now on. Gives back the forms that are new.
    fn add(&mut self, secret: &str) -> Vec<String> {
        let mut added = forms_of(secret);
        added.retain(|form| !self.forms.contains(form));
        self.forms.extend(added.iter().cloned());
        self.forms
            .sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        added
    }

    /// The text without secrets.
    fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Some(mut next) = self.find(text, 0) else {
            return Cow::Borrowed(text);
        };
        let mut masked = String::with_capacity(text.len());
        let mut rest = 0;
        loop {
            masked.push_str(&text[rest..next.0]);
            masked.push_str(PLACEHOLDER);
            rest = next.1;
            match self.find(text, rest) {
                Some(found) => next = found,
                None => break,
            }
        }
        masked.push_str(&text[rest..]);
        Cow::Owned(masked)
    }

    /// Start and end of the first secret from a place on.
    fn find(&self, text: &str, from: usize) -> Option<(usize, usize)> {
        let places = self.forms.iter().filter_map(|form| {
            let start = from + text[from..].find(form)?;
            Some((start, start + form.len()))
        });
        // Of those that start first the longest: forms are sorted that way.
        places.min_by_key(|(start, _)| *start)
    }
}

/// A line of a longer secret that is shorter than this is as likely a word of
/// a script (`done`, `exit 0`) as anything worth hiding.
const SHORTEST_LINE: usize = 8;

/// The value or its lines, and the encodings that tools print.
fn forms_of(secret: &str) -> Vec<String> {
    let mut forms = Vec::new();
    let trimmed = secret.trim();
    if trimmed.contains('\n') {
        let lines = trimmed.lines().map(str::trim);
        let telling = lines.filter(|line| line.len() >= SHORTEST_LINE && !is_common(line));
        telling.for_each(|line| forms.extend(written_out(line)));
    } else if trimmed.len() >= SHORTEST {
        for value in [secret, trimmed] {
            forms.extend(written_out(value));
        }
    }
    if trimmed.len() >= SHORTEST {
        forms.extend(base64_forms(secret));
        // What `echo` and here-documents give to base64(1).
        forms.extend(base64_forms(&format!("{trimmed}\n")));
        forms.extend(embedded(trimmed));
    }
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// What base64 makes of a value in the midst of another text, as in
/// `user:password`: three bytes are four letters, so it depends on where in a
/// group of three the value begins. Letters that stand for a neighbour's bits,
/// too, are left out.
fn embedded(value: &str) -> impl Iterator<Item = String> {
    let forms = (0..3).flat_map(move |before| {
        let text = [&[0; 2][..before], value.as_bytes()].concat();
        let letters = (before * 8).div_ceil(6)..text.len() * 8 / 6;
        let engines = [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD];
        engines.map(|engine| engine.encode(&text)[letters.clone()].to_owned())
    });
    forms.filter(|form| form.len() >= SHORTEST_LINE)
}

/// The encodings of a value; base64(1) breaks them into lines.
fn base64_forms(value: &str) -> impl Iterator<Item = String> {
    let engines = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
    let whole = engines.map(|engine| engine.encode(value));
    let broken = STANDARD.encode(value).into_bytes();
    let lines = broken.chunks(BASE64_LINE).map(<[u8]>::to_vec);
    let lines = lines.filter(|line| line.len() >= SHORTEST_LINE && line.len() < broken.len());
    let lines = lines.filter_map(|line| String::from_utf8(line).ok());
    whole.into_iter().chain(lines.collect::<Vec<_>>())
}

/// The length of the lines that base64(1) writes.
const BASE64_LINE: usize = 76;

/// Lines that many files have: the armour of keys, the first line of scripts.
fn is_common(line: &str) -> bool {
    line.starts_with("-----") || line.starts_with("#!")
}

/// As it is, in a URL, in a form, and in a JSON string.
fn written_out(value: &str) -> [String; 4] {
    let form = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let quoted = serde_json::Value::from(value).to_string();
    let in_json = quoted[1..quoted.len() - 1].to_owned();
    [value.to_owned(), url_encoded(value), form, in_json]
}

/// RFC 3986, which signatures use: a space is `%20`.
fn url_encoded(value: &str) -> String {
    let form: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    form.replace('+', "%20")
        .replace('*', "%2A")
        .replace("%7E", "~")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(secrets: &[&str], text: &str) -> String {
        let mut mask = Mask::default();
        for secret in secrets {
            mask.add(secret);
        }
        mask.apply(text).into_owned()
    }

    #[test]
    fn every_form_is_hidden() {
        let secret = "p@ss word/1";
        let table = [
            "p@ss word/1",
            "p%40ss%20word%2F1",
            "p%40ss+word%2F1",
            "cEBzcyB3b3JkLzE=",
            "cEBzcyB3b3JkLzE",
        ];
        for form in table {
            assert_eq!(
                masked(&[secret], &format!("<{form}>")),
                "<<sensitive>>",
                "{form}"
            );
        }
    }

    #[test]
    fn what_json_escapes_and_what_base64_writes_of_it_is_hidden() {
        let secret = "p\"ss\\word";
        let in_json = serde_json::json!({ "password": secret }).to_string();
        let hidden = format!(r#"{{"password":"{PLACEHOLDER}"}}"#);
        assert_eq!(masked(&[secret], &in_json), hidden);
        let echoed = STANDARD.encode(format!("{secret}\n"));
        assert_eq!(masked(&[secret], &echoed), PLACEHOLDER);
        let long = "0123456789abcdef".repeat(9);
        let broken = STANDARD.encode(&long);
        for line in [&broken[..76], &broken[76..152], &broken[152..]] {
            assert_eq!(masked(&[&long], line), PLACEHOLDER, "{line}");
        }
    }

    #[test]
    fn base64_of_a_text_around_it_is_hidden() {
        let secret = "p>ssw?rd~secret";
        for before in ["", "u", "us", "user:"] {
            for after in ["", "!", "!!", "!!!"] {
                for engine in [&STANDARD, &URL_SAFE_NO_PAD] {
                    let whole = engine.encode(format!("{before}{secret}{after}"));
                    let shown = masked(&[secret], &whole);
                    let (start, end) = shown.split_once(PLACEHOLDER).expect("it is hidden");
                    // What is left are letters that neighbours have a part in.
                    let letters = |text: &str| (text.len() * 8).div_ceil(6);
                    let is_outside =
                        start.len() <= letters(before) && end.len() <= letters(after) + 3;
                    assert!(is_outside, "{whole}: {shown}");
                }
            }
        }
    }

    #[test]
    fn each_line_of_a_long_secret_is_hidden() {
        let key = "-----BEGIN KEY-----\nAAAABBBB\nBBBBCCCC\ndone\n";
        assert_eq!(masked(&[key], "x AAAABBBB y"), "x <sensitive> y");
        assert_eq!(masked(&[key], "BBBBCCCC"), "<sensitive>");
        for common in ["-----BEGIN KEY-----", "done"] {
            assert_eq!(masked(&[key], common), common);
        }
    }

    #[test]
    fn short_values_are_left_alone_and_the_placeholder_is_not_touched() {
        assert_eq!(masked(&["abc", ""], "abcabc"), "abcabc");
        assert_eq!(masked(&["hunter2", "sens"], "hunter2"), "<sensitive>");
    }

    #[test]
    fn the_longest_secret_wins() {
        assert_eq!(
            masked(&["abcd", "abcdefgh"], "abcdefgh abcd"),
            "<sensitive> <sensitive>"
        );
    }
}
