//! What expressions may refer to, depending on where they stand.
//!
//! Source of facts: Packer's documentation of HCL2 templates, "Contextual
//! Variables" and the pages on each block. Not here: evaluating (`evaluate`).

use std::collections::BTreeMap;

use super::value::{Deferred, Value};
use super::world::World;
use crate::template::PACKER_VERSION;
use crate::template::interpolate::BUILD_FIELDS;
use crate::template::nearest::{did_you_mean, nearest};

/// Values by name; nothing for one that is wrong, which was reported.
pub(super) type Names = BTreeMap<String, Option<Value>>;

/// What an expression may refer to.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    /// Where it stands.
    pub(super) place: Place<'a>,
    /// `var`
    pub(super) variables: &'a Names,
    /// `local`
    pub(super) locals: &'a Names,
    /// Directories, files, time and environment.
    pub(super) world: &'a World<'a>,
}

/// Where an expression stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// In the `default` of a variable.
    Default,
    /// In a variable file, or in a value of `-var` or `PKR_VAR_…`.
    Given,
    /// In the `validation` of this variable.
    Validation(&'a str),
    /// In a local, a source, or what a build says of itself.
    Template,
    /// In a file that `templatefile` reads.
    File,
    /// In a provisioner or post-processor.
    Build(Running<'a>),
}

/// The build that a provisioner or post-processor is evaluated for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Running<'a> {
    /// `source.name`
    pub(super) source_name: &'a str,
    /// `source.type`
    pub(super) source_type: &'a str,
    /// `build.name`
    pub(super) build_name: &'a str,
}

/// Why a name means nothing here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unknown {
    /// What is wrong, without final dot.
    pub(super) message: String,
    /// What to do about it.
    pub(super) help: Option<String>,
}

/// A name, found or not; nothing in it when that was reported before.
pub(super) type Found = Result<Option<Value>, Unknown>;

const ROOTS: &[&str] = &["var", "local", "path", "packer", "source", "build"];

impl Scope<'_> {
    /// Whether a name stands for an object of Packer's.
    pub(super) fn is_root(name: &str) -> bool {
        ROOTS.contains(&name) || name == "data"
    }

    /// One attribute of an object, for example `var.region`.
    pub(super) fn attribute(&self, root: &str, name: &str) -> Found {
        self.check_place(root, Some(name))?;
        match root {
            "var" => self.variables.get(name).cloned().ok_or_else(|| Unknown {
                message: format!("There is no variable `{name}`"),
                help: similar("var", name, self.variables)
                    .or_else(|| Some(format!("Declare it: `variable \"{name}\" {{}}`"))),
            }),
            "local" => self.locals.get(name).cloned().ok_or_else(|| Unknown {
                message: format!("There is no local `{name}`"),
                help: similar("local", name, self.locals)
                    .or_else(|| Some(format!("Define it in a `locals` block: `{name} = …`"))),
            }),
            "build" if name == "name" => self.running(|running| running.build_name.into()),
            "build" => build_field(name),
            _ => {
                let entries = self.entries(root);
                let known = entries.iter().map(|(known, _)| *known);
                let found = entries.iter().find(|(known, _)| *known == name);
                match found {
                    Some((_, value)) => Ok(Some(value.clone())),
                    None => Err(no_attribute(root, name, &known.collect::<Vec<_>>())),
                }
            }
        }
    }

    /// A whole object, for example `var`.
    pub(super) fn object(&self, root: &str) -> Found {
        self.check_place(root, None)?;
        let of_names = |names: &Names| {
            let known = names
                .iter()
                .map(|(name, value)| Some((name.clone(), value.clone()?)));
            known.collect::<Option<_>>().map(Value::Object)
        };
        Ok(match root {
            "var" => of_names(self.variables),
            "local" => of_names(self.locals),
            "build" => {
                let fields = BUILD_FIELDS.iter();
                let fields = fields.map(|name| ((*name).to_owned(), deferred(name)));
                Some(Value::Object(fields.collect()))
            }
            _ => {
                let entries = self.entries(root).into_iter();
                let entries = entries.map(|(name, value)| (name.to_owned(), value));
                Some(Value::Object(entries.collect()))
            }
        })
    }

    fn entries(&self, root: &str) -> Vec<(&'static str, Value)> {
        match (root, self.place) {
            ("path", _) => vec![
                ("root", self.world.root.as_str().into()),
                ("cwd", self.world.pwd.as_str().into()),
            ],
            ("packer", _) => vec![("version", PACKER_VERSION.into())],
            ("source", Place::Build(running)) => vec![
                ("name", running.source_name.into()),
                ("type", running.source_type.into()),
            ],
            _ => Vec::new(),
        }
    }

    fn running(&self, get: impl FnOnce(Running<'_>) -> Value) -> Found {
        match self.place {
            Place::Build(running) => Ok(Some(get(running))),
            _ => Ok(None),
        }
    }

    /// Refuses what is not known at a place.
    fn check_place(&self, root: &str, name: Option<&str>) -> Result<(), Unknown> {
        let refuse = |message: &str, help: &str| {
            Err(Unknown {
                message: message.to_owned(),
                help: Some(help.to_owned()),
            })
        };
        match (self.place, root) {
            (_, "data") => refuse(
                "Data sources are not supported",
                "Look the value up before the build, and pass it as a variable",
            ),
            (Place::Default, _) => refuse(
                "The default of a variable refers to nothing else",
                "Write the value, `env(\"NAME\")`, or make it a local",
            ),
            (Place::Given, _) => refuse(
                "The value of a variable refers to nothing else",
                "Write the value; text goes in double quotes",
            ),
            (Place::Validation(own), _) if root != "var" || name != Some(own) => refuse(
                &format!("The validation of variable `{own}` refers to something else"),
                &format!("Only `var.{own}` may be used here"),
            ),
            (Place::File, _) => refuse(
                "A template file refers to its own variables only",
                "Pass the value in the second argument of `templatefile`",
            ),
            (Place::Template, "source" | "build") => refuse(
                &format!("`{root}` is only known in provisioners and post-processors"),
                "Move it there",
            ),
            _ => Ok(()),
        }
    }
}

fn similar(root: &str, name: &str, names: &Names) -> Option<String> {
    let known = nearest(name, names.keys().map(String::as_str))?;
    Some(format!("Did you mean `{root}.{known}`?"))
}

fn build_field(name: &str) -> Found {
    if BUILD_FIELDS.contains(&name) {
        return Ok(Some(deferred(name)));
    }
    let mut known = BUILD_FIELDS.to_vec();
    known.push("name");
    Err(no_attribute("build", name, &known))
}

fn deferred(name: &str) -> Value {
    Value::Unknown(Deferred {
        template: format!("{{{{ build `{name}` }}}}"),
    })
}

fn no_attribute(root: &str, name: &str, known: &[&str]) -> Unknown {
    let help = did_you_mean(name, known.iter().copied()).or_else(|| {
        let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
        (!known.is_empty()).then(|| format!("It has {}", known.join(", ")))
    });
    Unknown {
        message: format!("`{root}` has no attribute `{name}`"),
        help,
    }
}

/// The help for a name that stands for nothing.
pub(super) fn suggest(name: &str, scope: &Scope<'_>) -> String {
    if scope.variables.contains_key(name) {
        return format!("Did you mean `var.{name}`?");
    }
    if scope.locals.contains_key(name) {
        return format!("Did you mean `local.{name}`?");
    }
    did_you_mean(name, ROOTS.iter().copied())
        .unwrap_or_else(|| "Text goes in double quotes; a variable is `var.NAME`".to_owned())
}
