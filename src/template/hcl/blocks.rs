//! The top level of a template: which blocks there are, in whichever file.
//!
//! Not here: what is inside of them (`variables`, `locals`, `build`). Source of
//! facts: Packer's documentation of HCL2 blocks.

use hcl_edit::expr::Expression;
use hcl_edit::structure::{Attribute, Block, Body, Structure};

use super::evaluate::Text;
use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::nearest::did_you_mean;
use crate::template::source::{SourceId, Sources, Span, Spanned};

/// One file of the template.
pub(super) struct File {
    pub(super) source: SourceId,
    pub(super) body: Body,
}

/// A block with the text it stands in.
#[derive(Clone, Copy)]
pub(super) struct Placed<'f> {
    pub(super) text: Text<'f>,
    pub(super) block: &'f Block,
}

impl<'f> Placed<'f> {
    /// From the keyword to the last label: what stands for the block.
    pub(super) fn header(&self) -> Span {
        let keyword = self.text.span(&self.block.ident);
        let last = self.block.labels.last();
        Span {
            end: last.map_or(keyword.end, |label| self.text.span(label).end),
            ..keyword
        }
    }

    /// A label.
    pub(super) fn label(&self, index: usize) -> Option<Spanned<String>> {
        let label = self.block.labels.get(index)?;
        Some(Spanned::new(
            label.as_str().to_owned(),
            self.text.span(label),
        ))
    }

    /// A block inside of this one.
    pub(super) fn inner(&self, block: &'f Block) -> Self {
        Self {
            text: self.text,
            block,
        }
    }

    /// The attribute of a name.
    pub(super) fn attribute(&self, name: &str) -> Option<&'f Expression> {
        let attribute: &'f Attribute = self.block.body.get_attribute(name)?;
        Some(&attribute.value)
    }

    /// The blocks inside with this keyword.
    pub(super) fn blocks(&self, keyword: &'static str) -> impl Iterator<Item = Placed<'f>> {
        let (text, block) = (self.text, self.block);
        let inner = block
            .body
            .blocks()
            .filter(move |inner| inner.has_ident(keyword));
        inner.map(move |block| Placed { text, block })
    }

    /// Reports labels that are too many or too few; `names` is what they are.
    pub(super) fn check_labels(&self, names: &[&str], diagnostics: &mut Diagnostics) -> bool {
        let count = self.block.labels.len();
        if count == names.len() {
            return true;
        }
        let keyword = self.block.ident.as_str();
        let example: Vec<_> = names.iter().map(|name| format!(" \"{name}\"")).collect();
        let message = format!(
            "A block `{keyword}` has {}, but this one has {}",
            labels(names.len()),
            labels(count)
        );
        let help = format!("Write `{keyword}{} {{ … }}`", example.concat());
        diagnostics.push(Diagnostic::error(message, self.header()).help(help));
        false
    }

    /// Reports attributes and blocks that do not belong here.
    pub(super) fn check_contents(
        &self,
        attributes: &[&str],
        blocks: &[&str],
        diagnostics: &mut Diagnostics,
    ) {
        for structure in &self.block.body {
            let (name, known, span) = match structure {
                Structure::Attribute(attribute) => (
                    attribute.key.as_str(),
                    attributes,
                    self.text.span(&attribute.key),
                ),
                Structure::Block(block) => {
                    (block.ident.as_str(), blocks, self.text.span(&block.ident))
                }
            };
            if !known.contains(&name) {
                let keyword = self.block.ident.as_str();
                diagnostics.push(unexpected(
                    name, keyword, attributes, blocks, structure, span,
                ));
            }
        }
    }
}

fn labels(count: usize) -> String {
    match count {
        0 => "no label".to_owned(),
        1 => "one label".to_owned(),
        count => format!("{count} labels"),
    }
}

fn unexpected(
    name: &str,
    keyword: &str,
    attributes: &[&str],
    blocks: &[&str],
    structure: &Structure,
    span: Span,
) -> Diagnostic {
    let (what, other) = match structure {
        Structure::Attribute(_) => ("attribute", blocks),
        Structure::Block(_) => ("block", attributes),
    };
    let help = if other.contains(&name) {
        match structure {
            Structure::Attribute(_) => format!("Write it as a block: `{name} {{ … }}`"),
            Structure::Block(_) => format!("Write it as an attribute: `{name} = …`"),
        }
    } else {
        let known = attributes.iter().chain(blocks).copied();
        did_you_mean(name, known.clone()).unwrap_or_else(|| {
            let known: Vec<_> = known.map(|name| format!("`{name}`")).collect();
            match known.is_empty() {
                true => "Nothing but comments may stand here".to_owned(),
                false => format!("Known are {}", known.join(", ")),
            }
        })
    };
    let message = format!("The {what} `{name}` is not expected in `{keyword}`");
    Diagnostic::error(message, span).help(help)
}

/// A named expression: a local, or a variable in short form.
#[derive(Clone, Copy)]
pub(super) struct Definition<'f> {
    pub(super) text: Text<'f>,
    pub(super) attribute: &'f Attribute,
}

impl Definition<'_> {
    pub(super) fn name(&self) -> Spanned<String> {
        let key = &self.attribute.key;
        Spanned::new(key.as_str().to_owned(), self.text.span(key))
    }
}

/// All blocks, in the order of the files.
#[derive(Default)]
pub(super) struct Root<'f> {
    /// `variable`
    pub(super) variables: Vec<Placed<'f>>,
    /// The attributes of `variables`.
    pub(super) short_variables: Vec<Definition<'f>>,
    /// The attributes of `locals`.
    pub(super) locals: Vec<Definition<'f>>,
    /// `local`
    pub(super) long_locals: Vec<Placed<'f>>,
    /// `source`
    pub(super) sources: Vec<Placed<'f>>,
    /// `build`
    pub(super) builds: Vec<Placed<'f>>,
    /// `packer`
    pub(super) packer: Vec<Placed<'f>>,
}

const KEYWORDS: &[&str] = &[
    "packer",
    "variable",
    "variables",
    "locals",
    "local",
    "data",
    "source",
    "build",
];

impl<'f> Root<'f> {
    /// Sorts the blocks of all files.
    pub(super) fn new(
        files: &'f [File],
        sources: &'f Sources,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut root = Self::default();
        for file in files {
            let text = Text {
                source: file.source,
                text: sources.file(file.source).map_or("", |file| &file.text),
            };
            for structure in &file.body {
                match structure {
                    Structure::Block(block) => root.add(Placed { text, block }, diagnostics),
                    Structure::Attribute(attribute) => {
                        let name = attribute.key.as_str();
                        let message = format!("The attribute `{name}` stands in no block");
                        let help =
                            "A value with a name goes in `locals { … }` or `variables { … }`";
                        let span = text.span(&attribute.key);
                        diagnostics.push(Diagnostic::error(message, span).help(help));
                    }
                }
            }
        }
        root
    }

    fn add(&mut self, placed: Placed<'f>, diagnostics: &mut Diagnostics) {
        let definitions = || {
            let attributes = placed.block.body.attributes();
            attributes.map(|attribute| Definition {
                text: placed.text,
                attribute,
            })
        };
        match placed.block.ident.as_str() {
            "variable" if placed.check_labels(&["NAME"], diagnostics) => {
                self.variables.push(placed);
            }
            "variables" if placed.check_labels(&[], diagnostics) => {
                self.short_variables.extend(definitions());
            }
            "locals" if placed.check_labels(&[], diagnostics) => self.locals.extend(definitions()),
            "local" if placed.check_labels(&["NAME"], diagnostics) => {
                self.long_locals.push(placed);
            }
            "source" if placed.check_labels(&["TYPE", "NAME"], diagnostics) => {
                self.sources.push(placed);
            }
            "build" if placed.check_labels(&[], diagnostics) => self.builds.push(placed),
            "packer" if placed.check_labels(&[], diagnostics) => self.packer.push(placed),
            "variable" | "variables" | "locals" | "local" | "source" | "build" | "packer" => {}
            "data" => {
                let message = "Data sources are not supported";
                let help = "Look the value up before the build, and pass it as a variable";
                diagnostics.push(Diagnostic::error(message, placed.header()).help(help));
            }
            keyword @ ("communicator" | "hcp_packer_registry") => {
                let message = format!("The block `{keyword}` has no effect");
                diagnostics.push(Diagnostic::warning(message, placed.header()));
            }
            other => {
                let message = format!("There is no block `{other}` at the top of a template");
                let known: Vec<_> = KEYWORDS.iter().map(|name| format!("`{name}`")).collect();
                let help = did_you_mean(other, KEYWORDS.iter().copied())
                    .unwrap_or_else(|| format!("Blocks are {}", known.join(", ")));
                let span = placed.text.span(&placed.block.ident);
                diagnostics.push(Diagnostic::error(message, span).help(help));
            }
        }
    }
}

/// Reports that something was declared before.
pub(super) fn duplicate(
    what: &str,
    name: &Spanned<String>,
    first: Option<Span>,
    sources: &Sources,
) -> Diagnostic {
    let message = format!("The {what} `{name}` is declared twice");
    let place = first.and_then(|span| sources.locate(span));
    let help = match place {
        Some(place) => format!("The first is at {place}; keep one of them"),
        None => "Keep one of them".to_owned(),
    };
    Diagnostic::error(message, name.span).help(help)
}
