//! The image whose root file system the containers get.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde::Deserialize;

const BINARY: &str = env!("CARGO_BIN_EXE_alicloud-image");

/// An unpacked image.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) rootfs: PathBuf,
    pub(crate) config: Config,
}

/// What its configuration says.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Config {
    env: Option<Vec<String>>,
}

impl Image {
    /// The image under test.
    pub(crate) fn under_test() -> &'static Self {
        static IMAGE: LazyLock<Image> = LazyLock::new(|| {
            let named = std::env::var_os("ALICLOUD_IMAGE_TEST_ROOTFS");
            named.map_or_else(assembled, |rootfs| built(Path::new(&rootfs)))
        });
        &IMAGE
    }

    /// The variables that Docker sets for every container of it.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let own = self.config.env.iter().flatten();
        let own = own.filter_map(|pair| pair.split_once('='));
        [("PATH", path), ("HOSTNAME", "c0ffee")]
            .into_iter()
            .chain(own)
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

/// What `script/image` left.
fn built(rootfs: &Path) -> Image {
    let text = fs::read_to_string(rootfs.with_file_name("config.json")).unwrap();
    Image {
        rootfs: rootfs.to_owned(),
        config: serde_json::from_str(&text).unwrap(),
    }
}

/// The least that runs the test binary: its libraries, a shell, nothing else.
fn assembled() -> Image {
    let rootfs = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("runner-rootfs");
    let _ = fs::remove_dir_all(&rootfs);
    let programs = rootfs.join("usr/local/bin");
    fs::create_dir_all(&programs).unwrap();
    for name in [
        "alicloud-image",
        "alicloud-image-action",
        "alicloud-image-post",
    ] {
        fs::hard_link(BINARY, programs.join(name)).unwrap();
    }
    for library in libraries() {
        copy(&library, &rootfs);
    }
    fs::create_dir_all(rootfs.join("bin")).unwrap();
    let shell = "the tests need the package busybox-static";
    for applet in ["bin/sh", "bin/env"] {
        fs::copy(crate::container::BUSYBOX, rootfs.join(applet)).expect(shell);
    }
    fs::create_dir_all(rootfs.join("etc")).unwrap();
    fs::write(rootfs.join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
    Image {
        rootfs,
        config: Config::default(),
    }
}

/// What the loader would load; the dynamic linker itself is among it.
fn libraries() -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(BINARY).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let words = text.split_whitespace().filter(|word| word.starts_with('/'));
    words.map(PathBuf::from).collect()
}

fn copy(library: &Path, rootfs: &Path) {
    let target = rootfs.join(library.strip_prefix("/").unwrap());
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    fs::copy(library, target).unwrap();
}
