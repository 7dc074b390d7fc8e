//! The templates that are rendered while a build runs: `{{.Vars}}`,
//! `{{.Path}}`, ``{{build `ID`}}``.
//!
//! A seam: everything that provisioners and post-processors render goes
//! through [`render`]. Not here: what is rendered when the template is read.

use std::collections::BTreeMap;

use crate::error::{Error, Kind, Result};
use crate::provisioner::BuildData;

/// Fields of a template, without the leading dot.
pub(crate) type Fields = BTreeMap<String, String>;

/// Renders a text once: values that look like templates stay as they are.
///
/// # Errors
/// [`Kind::Provision`] (the build has begun, so it is no [`Kind::Template`])
/// when the text is no template, or names a field or a fact there is not.
pub(crate) fn render(text: &str, fields: &Fields, data: &BuildData) -> Result<String> {
    let mut rendered = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (action, after) = after
            .split_once("}}")
            .ok_or_else(|| Error::new(Kind::Provision, "A `{{` has no `}}`"))?;
        rendered.push_str(before);
        rendered.push_str(evaluate(action.trim(), fields, data)?);
        rest = after;
    }
    rendered.push_str(rest);
    Ok(rendered)
}

/// Renders a text that may never have been meant as a template, for example
/// the value of an environment variable; such a text stays as it is.
pub(crate) fn render_or_keep(text: &str, data: &BuildData) -> String {
    render(text, &Fields::new(), data).unwrap_or_else(|_| text.to_owned())
}

/// Fields from a list.
pub(crate) fn fields<const N: usize>(pairs: [(&str, &str); N]) -> Fields {
    let owned = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Fields::from(owned)
}

fn evaluate<'a>(action: &str, fields: &'a Fields, data: &'a BuildData) -> Result<&'a str> {
    let unknown = || {
        Error::new(
            Kind::Provision,
            format!("`{{{{{action}}}}}` is not known here"),
        )
    };
    let value = match action.strip_prefix('.') {
        Some(name) => fields.get(name),
        None => build_key(action).and_then(|key| data.values.get(key)),
    };
    value.map(String::as_str).ok_or_else(unknown)
}

/// `ID` of ``build `ID` `` and `build "ID"`.
fn build_key(action: &str) -> Option<&str> {
    let argument = action.strip_prefix("build")?.trim_start();
    ['`', '"'].into_iter().find_map(|quote| {
        argument
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_facts_are_filled_in_once() {
        let mut data = BuildData::default();
        data.values.insert("ID".into(), "i-1".into());
        let fields = fields([("Vars", "A='{{.Path}}' "), ("Path", "/tmp/s.sh")]);
        for (text, expected) in [
            ("plain", Some("plain")),
            ("{{.Vars}}{{ .Path }}", Some("A='{{.Path}}' /tmp/s.sh")),
            ("{{build `ID`}} {{ build \"ID\" }}", Some("i-1 i-1")),
            ("{{.Nothing}}", None),
            ("{{build `Nothing`}}", None),
            ("{{.Path", None),
        ] {
            assert_eq!(
                render(text, &fields, &data).ok().as_deref(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_text_that_is_no_template_is_kept() {
        let text = "{{.Names}}\t{{.Status}}";
        assert_eq!(render_or_keep(text, &BuildData::default()), text);
    }
}
