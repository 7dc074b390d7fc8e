//! The options of every block: name, kind, default, meaning, status.
//!
//! One table each; `decode` reads templates by them and `docs` prints them.
//! Not here: what an option does. Names, kinds and defaults are Packer's.

use crate::template::decode::{OptionKind as K, OptionSpec, Status};

pub mod access;
pub mod ansible;
pub mod ansible_local;
pub mod artifice;
pub mod breakpoint;
pub mod checksum;
pub mod communicator;
pub mod compress;
pub mod disk;
pub mod file;
pub mod image;
pub mod import;
pub mod manifest;
pub mod meta;
pub mod powershell;
pub mod qemu;
pub mod run;
pub mod shell;
pub mod shell_local;
pub mod sleep;
pub mod windows_restart;
pub mod windows_shell;

const fn spec(
    name: &'static str,
    kind: K,
    default: &'static str,
    doc: &'static str,
    status: Status,
) -> OptionSpec {
    OptionSpec {
        name,
        kind,
        default,
        doc,
        status,
    }
}

/// An option without a default.
const fn option(name: &'static str, kind: K, doc: &'static str) -> OptionSpec {
    spec(name, kind, "", doc, Status::Supported)
}

/// An option that must be set.
const fn required(name: &'static str, kind: K, doc: &'static str) -> OptionSpec {
    spec(name, kind, REQUIRED, doc, Status::Supported)
}

/// What stands in place of a default when there must be a value.
pub const REQUIRED: &str = "required";

/// An option with a default.
const fn defaulted(
    name: &'static str,
    kind: K,
    default: &'static str,
    doc: &'static str,
) -> OptionSpec {
    spec(name, kind, default, doc, Status::Supported)
}

/// An old spelling.
const fn renamed(name: &'static str, kind: K, successor: &'static str) -> OptionSpec {
    spec(
        name,
        kind,
        "",
        "Old spelling",
        Status::Deprecated { successor },
    )
}

/// An option Packer accepts without using it.
const fn ignored(name: &'static str, kind: K, why: &'static str) -> OptionSpec {
    spec(name, kind, "", "No effect", Status::Ignored { why })
}

/// An option of Packer this version cannot serve.
const fn unsupported(
    name: &'static str,
    kind: K,
    instead: &'static str,
    doc: &'static str,
) -> OptionSpec {
    spec(name, kind, "", doc, Status::Unsupported { instead })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::reader::Reader;
    use crate::plan::testing::read_in;
    use crate::plan::{alicloud_ecs, communicator, post_processor, provisioner, qemu as qemu_plan};

    /// A value that no conversion to the kind accepts.
    fn wrong_value(kind: K) -> &'static str {
        match kind {
            K::StringMap | K::Object | K::ObjectList => "5",
            _ => "{}",
        }
    }

    /// The options whose wrong value goes unnoticed, because nothing reads
    /// them. Each is read with one of `bases`, what must be set for it to matter.
    fn unread<T>(
        tables: &'static [&'static [OptionSpec]],
        bases: &[&str],
        read: impl Fn(&mut Reader<'_, '_>) -> T,
    ) -> Vec<&'static str> {
        let is_read_with = |base: &&str, spec: &OptionSpec| {
            let name = spec.name;
            let base = base.replace(&format!(r#""{name}":"#), r#""packer_x":"#);
            let text = format!(r#"{{"{name}":{}{base}}}"#, wrong_value(spec.kind));
            let expected = format!("error: Option `{name}` of `it` must be");
            let findings = read_in(".", &text, tables, &read).findings;
            findings.iter().any(|line| line.starts_with(&expected))
        };
        let is_read = |spec: &&OptionSpec| bases.iter().any(|base| is_read_with(base, spec));
        let specs = tables.iter().flat_map(|table| table.iter());
        specs
            .filter(|spec| matches!(spec.status, Status::Supported | Status::Deprecated { .. }))
            .filter(|spec| !is_read(spec))
            .map(|spec| spec.name)
            .collect()
    }

    #[test]
    fn every_supported_option_is_read() {
        let none: &[&str] = &[];
        let machine = r#","ssh_bastion_host":"b","ssh_proxy_host":"p""#;
        let machines = [machine, r#","communicator":"winrm""#];
        let unread_by_builder = unread(alicloud_ecs::OPTIONS, &machines, |reader| {
            let defaults = alicloud_ecs::Defaults::default();
            (
                alicloud_ecs::read(reader, defaults),
                communicator::read(reader),
            )
        });
        assert_eq!(unread_by_builder, none);
        let image = r#","iso_url":"https://example.com/x.img","disk_image":true,
            "ssh_bastion_host":"b","ssh_proxy_host":"p""#;
        let windows = image.replace("ssh_proxy_host", "winrm_host") + r#","communicator":"winrm""#;
        let unread_by_qemu = unread(qemu_plan::OPTIONS, &[image, &windows], |reader| {
            let defaults = qemu_plan::Defaults::default();
            let read = qemu_plan::read(reader, defaults);
            (read, communicator::read(reader))
        });
        assert_eq!(unread_by_qemu, none);
        for kind in provisioner::TYPES {
            assert_eq!(
                unread(kind.options, &[""], kind.read),
                none,
                "{}",
                kind.name
            );
        }
        for kind in post_processor::TYPES {
            let read = |reader: &mut Reader<'_, '_>| {
                (kind.read)(reader, alicloud_ecs::Defaults::default())
            };
            assert_eq!(unread(kind.options, &[""], read), none, "{}", kind.name);
        }
    }

    #[test]
    fn every_option_of_a_nested_block_is_read() {
        for (table, place) in [
            (disk::OPTIONS, "image_disk_mappings"),
            (image::TAG, "tag"),
            (run::SOURCE_FILTER, "source_image_filter"),
        ] {
            for spec in table {
                let other = if spec.name == "key" {
                    ""
                } else {
                    r#","key":"k""#
                };
                let other = if place == "tag" { other } else { "" };
                let wrong = wrong_value(spec.kind);
                let text = format!(r#"{{"{place}":{{"{}":{wrong}{other}}}}}"#, spec.name);
                let findings = read_in(".", &text, alicloud_ecs::OPTIONS, |reader| {
                    alicloud_ecs::read(reader, alicloud_ecs::Defaults::default())
                })
                .findings;
                let expected = format!("error: Option `{}` of `{place}", spec.name);
                let found = findings.iter().any(|line| line.starts_with(&expected));
                assert!(found, "{} of {place}: {findings:?}", spec.name);
            }
        }
    }
}
