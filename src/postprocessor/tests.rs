//! Post-processors on real files.

mod archives;
mod checksum_files;
mod import;
mod manifest_files;
mod sequences;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::*;
use crate::plan::post_processor::{
    Artifice, Checksum, ChecksumType, Codec, Compress, Format, Manifest,
};
use crate::plan::provisioner::ShellLocal;
use crate::provisioner::fake::{Fake, World};
use crate::template::source::{Span, Spanned};

fn step(kind: plan::Kind) -> plan::PostProcessor {
    plan::PostProcessor {
        span: Span::default(),
        name: kind.type_name().to_owned(),
        keep_input_artifact: None,
        kind,
    }
}

fn manifest_at(output: &Path) -> Manifest {
    Manifest {
        output: output.to_str().unwrap().to_owned(),
        strip_path: false,
        strip_time: true,
        custom_data: None,
    }
}

fn manifest(output: &Path) -> plan::PostProcessor {
    step(plan::Kind::Manifest(manifest_at(output)))
}

fn local(command: &str) -> plan::PostProcessor {
    step(plan::Kind::ShellLocal(Box::new(ShellLocal {
        inline: vec![command.to_owned()],
        scripts: vec![],
        environment: vec![],
        env_var_format: "%s='%s' ".into(),
        execute_command: ["/bin/sh", "-c", "{{.Vars}} {{.Script}}"]
            .map(str::to_owned)
            .to_vec(),
        inline_shebang: "/bin/sh -e".into(),
        inline_shebang_is_set: false,
        tempfile_extension: String::new(),
        only_on: vec![],
        valid_exit_codes: vec![0],
    })))
}

fn checksum(output: &str, checksum_types: &[ChecksumType]) -> plan::PostProcessor {
    step(plan::Kind::Checksum(Checksum {
        checksum_types: checksum_types.to_vec(),
        output: output.to_owned(),
    }))
}

fn cloud_image() -> Artifact {
    Artifact {
        builder_id: "alibaba.alicloud".into(),
        id: "cn-beijing:m-1".into(),
        description: "Alicloud images were created:\n\ncn-beijing: m-1".into(),
        files: vec![],
        images: vec![],
    }
}

fn with_files(files: Vec<PathBuf>) -> Artifact {
    Artifact {
        files,
        ..cloud_image()
    }
}
