//! A finding with the piece of template it is about, as compilers show it.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::template::diagnostic::{Diagnostic, Severity};
use crate::template::source::{SourceFile, Sources, Span};

/// Width of the text; longer source lines are trimmed around the finding.
const WIDTH: usize = 120;

/// A finding as text, without colours and with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rendered {
    /// Without colours.
    pub plain: String,
    /// With colours.
    pub styled: String,
}

/// The whole finding: title, snippet, help.
pub(super) fn render(diagnostic: &Diagnostic, sources: &Sources) -> Rendered {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(&*diagnostic.message));
    if let Some((file, span)) = located(diagnostic.span, sources) {
        group = group.element(snippet(file, span, diagnostic.label.as_deref()));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(&**help));
    }
    both(&group)
}

/// Only the piece of template, for an error whose text is shown elsewhere.
pub(super) fn render_place(span: Span, sources: &Sources) -> Option<Rendered> {
    let (file, span) = located(Some(span), sources)?;
    let group = Group::with_level(Level::ERROR);
    Some(both(&group.element(snippet(file, span, None))))
}

fn both(group: &Group<'_>) -> Rendered {
    let report = std::slice::from_ref(group);
    Rendered {
        plain: Renderer::plain().term_width(WIDTH).render(report),
        styled: Renderer::styled().term_width(WIDTH).render(report),
    }
}

/// The text a span is in, if the span fits it.
fn located(span: Option<Span>, sources: &Sources) -> Option<(&SourceFile, Span)> {
    let span = span?;
    let file = sources.file(span.source)?;
    file.text.get(span.start..span.end)?;
    Some((file, span))
}

fn snippet<'a>(
    file: &'a SourceFile,
    span: Span,
    label: Option<&'a str>,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let primary = AnnotationKind::Primary
        .span(first_line(file, span))
        .label(label);
    Snippet::source(&*file.text)
        .path(file.path.to_string_lossy().into_owned())
        .annotation(primary)
}

/// A span over many lines (a whole block) is shown by its first line.
fn first_line(file: &SourceFile, span: Span) -> std::ops::Range<usize> {
    let covered = &file.text[span.start..span.end];
    let length = covered.find('\n').unwrap_or(covered.len());
    span.start..span.start + length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Sources {
        let mut sources = Sources::default();
        sources.add(
            "web.json",
            "{\n  \"builders\": [{\n    \"type\": \"alicloud-ecs\",\n    \"regoin\": \"cn-beijing\"\n  }]\n}\n",
        );
        sources
    }

    fn span_of(text: &str) -> Span {
        let sources = sources();
        let source = crate::template::source::SourceId(0);
        let start = sources.file(source).unwrap().text.find(text).unwrap();
        Span {
            source,
            start,
            end: start + text.len(),
        }
    }

    #[test]
    fn a_finding_shows_the_place_label_and_help() {
        let diagnostic = Diagnostic::error("Unknown option `regoin`", span_of("\"regoin\""))
            .label("not an option of `alicloud-ecs`")
            .help("a similar option exists: `region`");
        let rendered = render(&diagnostic, &sources());
        insta::assert_snapshot!(rendered.plain, @r#"
    error: Unknown option `regoin`
     --> web.json:4:5
      |
    4 |     "regoin": "cn-beijing"
      |     ^^^^^^^^ not an option of `alicloud-ecs`
      |
      = help: a similar option exists: `region`
    "#);
        assert!(rendered.styled.contains("\u{1b}["));
        assert!(!rendered.plain.contains('\u{1b}'));
    }

    #[test]
    fn a_block_is_shown_by_its_first_line() {
        let diagnostic =
            Diagnostic::warning("No name", span_of("{\n    \"type\": \"alicloud-ecs\",\n"));
        insta::assert_snapshot!(render(&diagnostic, &sources()).plain, @r#"
    warning: No name
     --> web.json:2:16
      |
    2 |   "builders": [{
      |                ^
    "#);
    }

    #[test]
    fn a_finding_without_place_is_its_text() {
        let diagnostic = Diagnostic::error("No template", None).help("give a path");
        insta::assert_snapshot!(render(&diagnostic, &sources()).plain, @r#"
    error: No template
     |
     = help: give a path
    "#);
    }

    #[test]
    fn a_span_that_does_not_fit_is_no_panic() {
        let span = Span {
            source: crate::template::source::SourceId(0),
            start: 5000,
            end: 5001,
        };
        let diagnostic = Diagnostic::error("Odd", span);
        assert_eq!(render(&diagnostic, &sources()).plain, "error: Odd");
        assert_eq!(render_place(span, &sources()), None);
    }
}
