//! `-only` and `-except`: which builds and post-processors run.
//!
//! Names are compared exactly, as Packer does for JSON templates. Not here:
//! what happens when nothing is left.

use super::diagnostic::{Diagnostic, Diagnostics};
use super::model::{BuilderBlock, PostProcessorBlock, Template};
use super::nearest::did_you_mean;

/// What was selected.
#[derive(Debug, Clone)]
pub struct Selection<'t> {
    /// The builders, in template order; empty when nothing matched.
    pub builders: Vec<&'t BuilderBlock>,
    /// The sequences; each ends before its first excluded post-processor.
    pub post_processors: Vec<Vec<&'t PostProcessorBlock>>,
}

impl Template {
    /// Selects builds by their names. `except` also names post-processors, by
    /// name or type: that one and all behind it in its sequence are left out.
    /// A name that matches nothing is warned of.
    pub fn select(
        &self,
        only: &[String],
        except: &[String],
        diagnostics: &mut Diagnostics,
    ) -> Selection<'_> {
        self.warn_of_unmatched("-only", only, false, diagnostics);
        self.warn_of_unmatched("-except", except, true, diagnostics);
        let listed = |list: &[String], name: &str| list.iter().any(|item| item == name);
        let selected = |builder: &&BuilderBlock| {
            let name = &builder.build_name;
            (only.is_empty() || listed(only, name)) && !listed(except, name)
        };
        let runs = |block: &&PostProcessorBlock| {
            !listed(except, &block.name) && !listed(except, &block.type_name.value)
        };
        let sequences = self.post_processors.iter();
        Selection {
            builders: self.builders.iter().filter(selected).collect(),
            post_processors: sequences
                .map(|sequence| sequence.iter().take_while(runs).collect::<Vec<_>>())
                .filter(|sequence| !sequence.is_empty())
                .collect(),
        }
    }

    fn warn_of_unmatched(
        &self,
        option: &str,
        names: &[String],
        post_processors: bool,
        diagnostics: &mut Diagnostics,
    ) {
        let mut known: Vec<&str> = self
            .builders
            .iter()
            .map(|b| b.build_name.as_str())
            .collect();
        if post_processors {
            for block in self.post_processors.iter().flatten() {
                known.extend([block.name.as_str(), block.type_name.value.as_str()]);
            }
        }
        for name in names.iter().filter(|name| !known.contains(&name.as_str())) {
            let message = format!("`{option}` names `{name}`, which is not in the template");
            let help = did_you_mean(name, known.iter().copied())
                .unwrap_or_else(|| format!("The template has: {}", quoted(&known)));
            diagnostics.push(Diagnostic::warning(message, None).help(help));
        }
    }
}

fn quoted(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
