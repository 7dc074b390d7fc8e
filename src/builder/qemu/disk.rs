//! The disks: made by qemu-img before, put in order by it afterwards.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::BuildContext;
use super::program::Program;
use crate::error::{Error, Kind, Result, one_line};
use crate::plan::qemu::{Disks, Format, Source};

/// Bytes copied between two looks at whether to stop.
const COPY_STEP: u64 = 64 << 20;

/// What qemu-img says while QEMU still has the disk.
const LOCKED: &str = "Failed to get shared \"write\" lock";
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_secs(1);

/// Where the disks are, the main one first.
pub(super) fn paths(disks: &Disks, directory: &Path) -> Vec<PathBuf> {
    let names = (0..=disks.additional_sizes.len()).map(|index| match index {
        0 => disks.vm_name.clone(),
        index => format!("{}-{index}", disks.vm_name),
    });
    names.map(|name| directory.join(name)).collect()
}

/// Makes the disks.
pub(super) async fn make(
    cx: &BuildContext<'_>,
    qemu_img: &Program,
    disks: &Disks,
    source: &Source,
    place: &str,
    paths: &[PathBuf],
) -> Result<()> {
    let sizes = std::iter::once(&disks.size).chain(&disks.additional_sizes);
    let mut created = paths.iter().zip(sizes);
    if source.disk_image && !disks.use_backing_file {
        let Some((main, _)) = created.next() else {
            return Ok(());
        };
        copy(cx, qemu_img, disks, Path::new(place), main).await?;
    }
    for (index, (path, size)) in created.enumerate() {
        let backing = (index == 0 && disks.use_backing_file).then_some(place);
        let arguments = create_arguments(cx, qemu_img, disks, backing, path, size).await?;
        run(cx, qemu_img, arguments, "create").await?;
    }
    Ok(())
}

async fn create_arguments(
    cx: &BuildContext<'_>,
    qemu_img: &Program,
    disks: &Disks,
    backing: Option<&str>,
    path: &Path,
    size: &str,
) -> Result<Vec<String>> {
    let mut arguments = words(["create", "-f", disks.format.name()]);
    if let Some(backing) = backing {
        let found = inspect(cx, qemu_img, Path::new(backing)).await?;
        arguments.extend(words(["-b", backing, "-F", &found.format]));
    }
    arguments.extend(disks.image_arguments.create.iter().cloned());
    arguments.push(path.display().to_string());
    // A disk that is to keep its size takes it from its backing file.
    if backing.is_none() || !disks.skip_resize {
        arguments.push(size.to_owned());
    }
    Ok(arguments)
}

/// Makes the main disk from one that is there.
async fn copy(
    cx: &BuildContext<'_>,
    qemu_img: &Program,
    disks: &Disks,
    from: &Path,
    to: &Path,
) -> Result<()> {
    let found = inspect(cx, qemu_img, from).await?;
    let (name, shown) = (disks.format.name(), to.display().to_string());
    // Its bytes alone would miss what it takes from its backing file, and
    // those of a raw disk would fill its holes.
    if found.format == name && disks.format == Format::Qcow2 && !found.is_backed {
        cx.events.say("Copying the disk...");
        copy_bytes(cx, from, to).await?;
    } else {
        cx.events.say("Converting the disk to boot...");
        let mut arguments = words(["convert", "-f", &found.format, "-O", name]);
        arguments.extend([from.display().to_string(), shown.clone()]);
        run(cx, qemu_img, arguments, "copy").await?;
    }
    if disks.skip_resize {
        return Ok(());
    }
    cx.events.say("Resizing hard drive...");
    let mut arguments = words(["resize", "-f", name]);
    arguments.extend(disks.image_arguments.resize.iter().cloned());
    arguments.extend([shown, disks.size.clone()]);
    run(cx, qemu_img, arguments, "resize")
        .await
        .map_err(|error| {
            error.with_hint(
                "`disk_size` (40960M by default) must not be less than the size of the disk; set \
             `skip_resize_disk` to keep it",
            )
        })
}

async fn copy_bytes(cx: &BuildContext<'_>, from: &Path, to: &Path) -> Result<()> {
    let (source, target, stop) = (from.to_owned(), to.to_owned(), cx.stop.clone());
    let copying = move || {
        let (mut source, mut target) = (File::open(source)?, File::create(target)?);
        while !stop.is_stopped() && io::copy(&mut (&mut source).take(COPY_STEP), &mut target)? > 0 {
        }
        Ok(())
    };
    let copied = tokio::task::spawn_blocking(copying).await;
    let copied = copied.unwrap_or_else(|error| Err(io::Error::other(error)));
    if cx.stop.is_stopped() {
        return Err(Error::cancelled());
    }
    copied.map_err(|error| {
        let (from, to) = (from.display(), to.display());
        Error::new(Kind::Io, format!("Cannot copy `{from}` to `{to}`")).with_source(error)
    })
}

/// What qemu-img finds in a file: names lie.
struct Found {
    format: String,
    is_backed: bool,
}

async fn inspect(cx: &BuildContext<'_>, qemu_img: &Program, path: &Path) -> Result<Found> {
    let mut arguments = words(["info", "--output=json"]);
    arguments.push(path.display().to_string());
    let output = qemu_img.run(cx, arguments).await?;
    let found: serde_json::Value = serde_json::from_slice(&output).unwrap_or_default();
    let format = found["format"].as_str().ok_or_else(|| {
        let message = format!("qemu-img does not know the format of `{}`", path.display());
        Error::new(Kind::Io, message)
    })?;
    Ok(Found {
        format: format.to_owned(),
        is_backed: found.get("backing-filename").is_some(),
    })
}

/// Rewrites the main disk without what the guest deleted, and compressed if
/// that is wanted.
pub(super) async fn compact(
    cx: &BuildContext<'_>,
    qemu_img: &Program,
    disks: &Disks,
    path: &Path,
) -> Result<()> {
    if disks.skip_compaction && !disks.compression {
        return Ok(());
    }
    cx.events.say("Converting hard drive...");
    let target = PathBuf::from(format!("{}.convert", path.display()));
    let mut arguments = words(["convert"]);
    if disks.compression && disks.format == Format::Qcow2 {
        arguments.push("-c".to_owned());
    }
    arguments.extend(disks.image_arguments.convert.iter().cloned());
    arguments.extend(words(["-O", disks.format.name()]));
    arguments.extend([path.display().to_string(), target.display().to_string()]);
    convert(cx, qemu_img, &arguments).await?;
    std::fs::rename(&target, path).map_err(|error| {
        Error::new(Kind::Io, format!("Cannot replace `{}`", path.display())).with_source(error)
    })
}

/// QEMU may keep its lock for a moment longer than it lives.
async fn convert(cx: &BuildContext<'_>, qemu_img: &Program, arguments: &[String]) -> Result<()> {
    for _ in 1..LOCK_TRIES {
        match run(cx, qemu_img, arguments.to_vec(), "convert").await {
            Err(error) if one_line(&error).contains(LOCKED) => {
                cx.events
                    .message("Error getting file lock for conversion; retrying...");
                cx.stop.sleep(LOCK_PAUSE).await?;
            }
            outcome => return outcome,
        }
    }
    run(cx, qemu_img, arguments.to_vec(), "convert").await
}

async fn run(
    cx: &BuildContext<'_>,
    qemu_img: &Program,
    arguments: Vec<String>,
    verb: &str,
) -> Result<()> {
    let outcome = qemu_img.run(cx, arguments).await;
    outcome
        .map(drop)
        .map_err(|error| error.context(format!("Cannot {verb} the disk")))
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::qemu::tests_support::{Bench, options};

    #[test]
    fn names_of_disks() {
        let names = |more: &str| {
            let options = options(more);
            let paths = paths(&options.disks, Path::new("o"));
            let names = paths.iter().map(|path| path.display().to_string());
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(""), "o/vm");
        assert_eq!(
            names(r#""disk_additional_size":["1g","2g"]"#),
            "o/vm o/vm-1 o/vm-2"
        );
    }

    /// The virtual size and format of a disk, and the file behind it.
    async fn info(bench: &Bench, qemu_img: &Program, path: &Path) -> (u64, String, bool) {
        let arguments = ["info", "--output=json", path.to_str().unwrap()];
        let output = qemu_img.run(&bench.context(), arguments).await.unwrap();
        let info: serde_json::Value = serde_json::from_slice(&output).unwrap();
        let format = info["format"].as_str().unwrap().to_owned();
        let is_backed = info.get("backing-filename").is_some();
        (info["virtual-size"].as_u64().unwrap(), format, is_backed)
    }

    #[tokio::test]
    async fn disks_are_made_copied_and_compacted() {
        let bench = Bench::new();
        let cx = bench.context();
        let qemu_img = Program::find("qemu-img", cx.environment).expect("the tests need qemu-img");
        let out = bench.path("out");
        std::fs::create_dir(&out).unwrap();
        let made = async |more: &str, place: &Path, name: &str| {
            let mut options = options(more);
            options.disks.vm_name = name.to_owned();
            let paths = paths(&options.disks, &out);
            let place = place.to_str().unwrap();
            make(
                &cx,
                &qemu_img,
                &options.disks,
                &options.source,
                place,
                &paths,
            )
            .await?;
            compact(&cx, &qemu_img, &options.disks, &paths[0]).await?;
            Ok::<_, Error>(paths)
        };
        let mib = |count: u64| count << 20;
        let more = r#""disk_size":"10M","disk_additional_size":["1m"],"disk_compression":true"#;
        let paths = made(more, Path::new(""), "a").await.unwrap();
        let qcow2 = |size, backed| (mib(size), "qcow2".to_owned(), backed);
        assert_eq!(info(&bench, &qemu_img, &paths[0]).await, qcow2(10, false));
        assert_eq!(info(&bench, &qemu_img, &paths[1]).await, qcow2(1, false));
        let base = paths[0].clone();
        let more = r#""disk_size":"20M","disk_image":true,"disk_additional_size":["1m"]"#;
        let paths = made(more, &base, "b").await.unwrap();
        assert_eq!(info(&bench, &qemu_img, &paths[0]).await, qcow2(20, false));
        assert_eq!(info(&bench, &qemu_img, &paths[1]).await, qcow2(1, false));
        let more = r#""disk_image":true,"skip_resize_disk":true,"format":"raw""#;
        let paths = made(more, &base, "c").await.unwrap();
        let raw = (mib(10), "raw".to_owned(), false);
        assert_eq!(info(&bench, &qemu_img, &paths[0]).await, raw);
        let more = r#""disk_image":true,"use_backing_file":true,"disk_size":"30M""#;
        let paths = made(more, &base, "d").await.unwrap();
        assert_eq!(info(&bench, &qemu_img, &paths[0]).await, qcow2(30, true));
        let more = r#""disk_image":true,"skip_resize_disk":true,"skip_compaction":true"#;
        let backed = paths[0].clone();
        let paths = made(more, &backed, "f").await.unwrap();
        assert_eq!(info(&bench, &qemu_img, &paths[0]).await, qcow2(30, false));
        let more = r#""disk_size":"1M","disk_image":true"#;
        let error = made(more, &base, "e").await.unwrap_err();
        assert_eq!(error.message(), "Cannot resize the disk");
        assert!(!out.join("e.convert").exists());
        let shrink = format!(r#"{more},"qemu_img_args":{{"resize":["--shrink"]}}"#);
        let paths = made(&shrink, &base, "g").await.unwrap();
        assert_eq!(info(&bench, &qemu_img, &paths[0]).await, qcow2(1, false));
        for verb in ["create", "convert"] {
            let more = format!(r#""disk_size":"1M","qemu_img_args":{{"{verb}":["--absent"]}}"#);
            let error = made(&more, Path::new(""), verb).await.unwrap_err();
            assert_eq!(error.message(), format!("Cannot {verb} the disk"));
        }
    }
}
