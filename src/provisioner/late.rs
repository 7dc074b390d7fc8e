//! The templates that are rendered while a build runs: `{{.Vars}}`,
//! `{{.Path}}`, ``{{build `ID`}}``.
//!
//! A seam: everything that provisioners and post-processors render goes
//! through [`render`]. Not here: what is rendered when the template is read.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::error::{Error, Kind, Result};
use crate::provisioner::BuildData;
use crate::template::interpolate::{self, BuildAccess};

/// Fields of a template, without the leading dot.
pub(crate) type Fields = BTreeMap<String, String>;

/// Renders a text once: values that look like templates stay as they are.
///
/// # Errors
/// [`Kind::Provision`] (the build has begun, so it is no [`Kind::Template`])
/// when the text is no template, or names a field or a fact there is not.
pub(crate) fn render(text: &str, fields: &Fields, data: &BuildData) -> Result<String> {
    // What names variables or the time was rendered with the template.
    let no_variables = BTreeMap::new();
    let context = interpolate::Context {
        fields,
        build: BuildAccess::Known(&data.values),
        ..interpolate::Context::new(&no_variables, "", "", Timestamp::now())
    };
    let context = context.for_build(&data.build_name, &data.builder_type);
    interpolate::render(text, &context).map_err(|error| {
        let wrapped = Error::new(Kind::Provision, format!("Cannot render `{text}`"));
        let wrapped = error.hint.iter().fold(wrapped, Error::with_hint);
        wrapped.with_source(error)
    })
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
