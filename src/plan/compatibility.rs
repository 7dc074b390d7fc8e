//! The page `docs/compatibility.md`: every option that Packer's `alicloud-ecs`
//! builder and `alicloud-import` post-processor ever had, and what becomes of
//! it here.
//!
//! The options of Packer are data (`compatibility/upstream.txt`), with the
//! generations that have them, from the published documentation of Packer and
//! its plugin. What this program does follows from the tables that read
//! templates; where that is more than Packer does, `BETTER` says how.

use std::fmt::Write as _;

use super::options;
use crate::template::decode::{OptionSpec, Status};

const UPSTREAM: &str = include_str!("compatibility/upstream.txt");

/// What is done better than by Packer, by block and option.
const BETTER: &str = include_str!("compatibility/better.txt");

const INTRODUCTION: &str = "\
# Compatibility with Packer

Every option of Packer's `alicloud-ecs` builder and `alicloud-import` post-processor, in all their
generations, and what this program does with it. This page is made by
`alicloud-image docs compatibility`; do not edit it. What an option means is in
[options.md](options.md).

| generation | versions |
| --- | --- |
| A | Packer up to 1.6.6, plugin 0.0.1 to 1.0.3 |
| B | plugin 1.0.4 to 1.1.2 |
| C | plugin 1.1.3, never released |
| D | plugin 1.2.0 |

A letter says that some version of the generation has the option, as far as its published
source and documentation tell. Where generations differ in what they do, this program makes a
public address as A does it, and the instance as D does it.
";

/// A block: its name in the data, its heading, its tables. Additions of the
/// first table are listed; the others belong to another block too.
struct Block {
    name: &'static str,
    heading: &'static str,
    tables: &'static [&'static [OptionSpec]],
    /// A sentence behind the table, or nothing.
    remark: &'static str,
}

const BLOCKS: &[Block] = &[
    Block {
        name: "access",
        heading: "Access",
        tables: &[options::access::OPTIONS],
        remark: "",
    },
    Block {
        name: "image",
        heading: "Image",
        tables: &[options::image::OPTIONS],
        remark: "",
    },
    Block {
        name: "tag",
        heading: "`tag` blocks",
        tables: &[options::image::TAG],
        remark: "",
    },
    Block {
        name: "disk",
        heading: "`system_disk_mapping` and `image_disk_mappings`",
        tables: &[options::disk::OPTIONS],
        remark: "",
    },
    Block {
        name: "run",
        heading: "Temporary instance",
        tables: &[options::run::OPTIONS],
        remark: "",
    },
    Block {
        name: "filter",
        heading: "`source_image_filter`",
        tables: &[options::run::SOURCE_FILTER],
        remark: "",
    },
    Block {
        name: "communicator",
        heading: "Communicator",
        tables: &[options::communicator::OPTIONS],
        remark: "",
    },
    Block {
        name: "import",
        heading: "Post-processor `alicloud-import`",
        tables: &[options::import::OPTIONS, options::image::OPTIONS],
        remark: "Packer takes the options of the temporary instance and of the communicator here too, and so does\n\
                 this program; they have no effect, and give a warning.",
    },
];

/// The page.
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for block in BLOCKS {
        write_block(&mut page, block);
    }
    page
}

/// An option that Packer has or had.
struct Upstream {
    block: &'static str,
    name: &'static str,
    /// The letters of the generations.
    generations: &'static str,
}

/// The data, line by line: block, option, generations.
fn upstream() -> impl Iterator<Item = Upstream> {
    UPSTREAM.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some(Upstream {
            block: words.next().filter(|word| !word.starts_with('#'))?,
            name: words.next()?,
            generations: words.next()?,
        })
    })
}

/// The note on an option: the rest of the line behind block and option.
fn better(block: &str, name: &str) -> Option<&'static str> {
    let begin = format!("{block} {name} ");
    BETTER.lines().find_map(|line| line.strip_prefix(&begin))
}

fn write_block(page: &mut String, block: &Block) {
    let heading = block.heading;
    let _ = write!(page, "\n## {heading}\n\n");
    page.push_str("| option | generations | here |\n| --- | --- | --- |\n");
    let theirs: Vec<_> = upstream().filter(|one| one.block == block.name).collect();
    let specs = || block.tables.iter().flat_map(|table| table.iter());
    for one in &theirs {
        let spec = specs().find(|spec| spec.name == one.name);
        let here = spec.map_or_else(String::new, |spec| treatment(block.name, spec));
        let _ = writeln!(page, "| `{}` | {} | {here} |", one.name, one.generations);
    }
    let remark = block.remark;
    let is_own = |spec: &&OptionSpec| theirs.iter().all(|one| one.name != spec.name);
    for spec in block.tables[0].iter().filter(is_own) {
        let _ = writeln!(page, "| `{}` | | addition |", spec.name);
    }
    if !remark.is_empty() {
        let _ = write!(page, "\n{remark}\n");
    }
}

/// What becomes of an option.
fn treatment(block: &str, spec: &OptionSpec) -> String {
    match spec.status {
        Status::Supported => match better(block, spec.name) {
            Some(how) => format!("better: {how}"),
            None => "same".to_owned(),
        },
        Status::Deprecated { successor } => format!("same, with a warning: see `{successor}`"),
        Status::Ignored { why } => format!("ignored with a warning: {why}"),
        Status::Unsupported { instead } => format!("refused for now: {instead}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knows(block: &str, name: &str) -> bool {
        let mut tables = BLOCKS
            .iter()
            .filter(|known| known.name == block)
            .flat_map(|known| known.tables.iter().flat_map(|table| table.iter()));
        tables.any(|spec| spec.name == name)
    }

    #[test]
    fn the_committed_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compatibility.md");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == page(),
            "docs/compatibility.md is out of date; run: \
             alicloud-image docs compatibility > docs/compatibility.md"
        );
    }

    #[test]
    fn every_option_of_packer_is_known() {
        let mut seen = std::collections::BTreeSet::new();
        for one in upstream() {
            assert!(knows(one.block, one.name), "{} {}", one.block, one.name);
            assert!(seen.insert((one.block, one.name)), "{} twice", one.name);
            let letters = one.generations.chars();
            assert!(letters.clone().all(|letter| "ABCD".contains(letter)));
            assert!(letters.is_sorted(), "{}: {}", one.name, one.generations);
        }
        // An empty or unreadable list would pass all of the above.
        assert!(seen.len() > 120, "{}", seen.len());
    }

    #[test]
    fn every_note_is_about_an_option_of_packer() {
        for line in BETTER.lines() {
            let mut words = line.splitn(3, ' ');
            let (block, name) = (words.next().unwrap(), words.next().unwrap());
            let is_theirs = upstream().any(|one| one.block == block && one.name == name);
            assert!(is_theirs, "{line}");
            assert!(!line.ends_with('.') && !line.contains('|'), "{line}");
        }
    }
}
