//! Post-processors on real files.

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

mod sequences {
    use super::*;

    #[tokio::test]
    async fn without_sequences_the_artifact_remains() {
        let world = World::new(Fake::default());
        let outcome = run_sequences(&[], cloud_image(), &world.context(), None).await;
        assert_eq!(outcome.artifacts, [cloud_image()]);
        assert!(outcome.discarded.is_empty() && outcome.errors.is_empty());
    }

    #[tokio::test]
    async fn a_failure_ends_its_sequence_only_and_destroys_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("m.json");
        let mut never = manifest(&directory.path().join("never.json"));
        never.keep_input_artifact = Some(false);
        let mut named = manifest(&path);
        named.name = "list".into();
        let sequences = [vec![local("exit 3"), never], vec![named]];
        let world = World::new(Fake::default());
        let outcome = run_sequences(&sequences, cloud_image(), &world.context(), None).await;
        assert_eq!(outcome.artifacts, [cloud_image()]);
        assert!(outcome.discarded.is_empty());
        assert_eq!(outcome.errors.len(), 1);
        assert_eq!(outcome.errors[0].kind(), Kind::PostProcess);
        assert_eq!(outcome.errors[0].span(), Some(Span::default()));
        assert_eq!(
            crate::error::one_line(&outcome.errors[0]),
            "Post-processor `shell-local` failed: Script exited with non-zero exit status: 3. \
             Allowed exit codes are: [0]"
        );
        assert!(path.exists() && !directory.path().join("never.json").exists());
        let events = world.events();
        assert_eq!(events[0], "say Running post-processor: shell-local");
        let last = events.last().unwrap();
        assert_eq!(last, "say Running post-processor: list (type manifest)");
    }

    #[tokio::test]
    async fn a_new_artifact_follows_the_kept_one() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("disk");
        std::fs::write(&file, "abc").unwrap();
        let sums = directory.path().join("sums");
        let mut first = checksum(sums.to_str().unwrap(), &[ChecksumType::Md5]);
        first.keep_input_artifact = Some(false);
        let input = with_files(vec![file.clone()]);
        let world = World::new(Fake::default());
        let sequences = [vec![first, local("true")]];
        let outcome = run_sequences(&sequences, input.clone(), &world.context(), None).await;
        assert_eq!(outcome.artifacts.len(), 2, "keeping is forced");
        assert_eq!(outcome.artifacts[0], input);
        assert_eq!(outcome.artifacts[1].files, [file, sums]);
        assert!(outcome.discarded.is_empty());
    }

    #[tokio::test]
    async fn a_stopped_run_keeps_everything() {
        let world = World::new(Fake::default());
        world.stop.stop();
        let sequences = [vec![local("true")], vec![local("true")]];
        let outcome = run_sequences(&sequences, cloud_image(), &world.context(), None).await;
        assert_eq!(outcome.artifacts, [cloud_image()]);
        assert_eq!(outcome.errors.len(), 1);
        assert_eq!(outcome.errors[0].kind(), Kind::Cancelled);
        assert!(world.events().is_empty());
    }
}

mod checksum_files {
    use super::*;

    #[tokio::test]
    async fn lines_are_appended_to_a_rendered_path() {
        let directory = tempfile::tempdir().unwrap();
        let files = ["a", "b"].map(|name| directory.path().join(name)).to_vec();
        for file in &files {
            std::fs::write(file, "abc").unwrap();
        }
        let root = directory.path().display();
        let output =
            format!("{root}/new/{{{{.BuildName}}}}_{{{{.BuilderType}}}}_{{{{.ChecksumType}}}}");
        let step = checksum(&output, &[ChecksumType::Md5, ChecksumType::Sha1]);
        let world = World::new(Fake::default());
        let outcome = run_sequences(&[vec![step]], with_files(files), &world.context(), None).await;
        assert!(outcome.errors.is_empty(), "{:?}", outcome.errors);
        let made = &outcome.artifacts[1];
        assert_eq!(made.builder_id, "packer.post-processor.checksum");
        assert_eq!(made.id, "");
        assert_eq!(
            made.description,
            format!(
                "Created artifact from files: {root}/a, {root}/b, \
                 {root}/new/web_alicloud-ecs_md5, {root}/new/web_alicloud-ecs_sha1"
            )
        );
        assert_eq!(
            std::fs::read_to_string(&made.files[2]).unwrap(),
            "900150983cd24fb0d6963f7d28e17f72\ta\n900150983cd24fb0d6963f7d28e17f72\tb\n"
        );
    }

    #[tokio::test]
    async fn a_missing_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("sums");
        let step = checksum(output.to_str().unwrap(), &[ChecksumType::Md5]);
        let input = with_files(vec!["/nonexistent".into()]);
        let world = World::new(Fake::default());
        let outcome = run_sequences(&[vec![step]], input, &world.context(), None).await;
        let text = crate::error::one_line(&outcome.errors[0]);
        assert!(text.contains("Could not read /nonexistent"), "{text}");
        assert_eq!(outcome.artifacts.len(), 1);
    }
}

mod manifest_files {
    use super::*;

    async fn add(manifest: Manifest, input: Artifact, world: &World) -> Vec<Error> {
        let sequences = [vec![step(plan::Kind::Manifest(manifest))]];
        run_sequences(&sequences, input, &world.context(), None)
            .await
            .errors
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    #[tokio::test]
    async fn the_form_is_that_of_packer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/m.json");
        let world = World::new(Fake::default());
        assert!(
            add(manifest_at(&path), cloud_image(), &world)
                .await
                .is_empty()
        );
        assert_eq!(
            read(&path),
            r#"{
  "builds": [
    {
      "name": "web",
      "builder_type": "alicloud-ecs",
      "files": null,
      "artifact_id": "cn-beijing:m-1",
      "packer_run_uuid": "run-1",
      "custom_data": null
    }
  ],
  "last_run_uuid": "run-1"
}"#
        );
        assert!(!directory.path().join("new/m.json.lock").exists());
    }

    #[tokio::test]
    async fn files_and_custom_data_are_listed() {
        let directory = tempfile::tempdir().unwrap();
        let disk = directory.path().join("disk");
        std::fs::write(&disk, "abc").unwrap();
        let path = directory.path().join("m.json");
        let mut manifest = manifest_at(&path);
        manifest.strip_path = true;
        manifest.custom_data = Some(vec![
            ("z".into(), "<{{build `ID`}}> & more".into()),
            ("a".into(), "1".into()),
        ]);
        let input = with_files(vec![disk, "/nonexistent/gone".into()]);
        let world = World::new(Fake::default());
        assert!(add(manifest, input, &world).await.is_empty());
        let text = read(&path);
        let expected = r#"      "files": [
        {
          "name": "disk",
          "size": 3
        },
        {
          "name": "gone",
          "size": 0
        }
      ],
      "artifact_id": "cn-beijing:m-1",
      "packer_run_uuid": "run-1",
      "custom_data": {
        "a": "1",
        "z": "\u003ci-1\u003e \u0026 more"
      }
"#;
        assert!(text.contains(expected), "{text}");
    }

    #[tokio::test]
    async fn the_time_is_there_unless_it_is_stripped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("m.json");
        let mut manifest = manifest_at(&path);
        manifest.strip_time = false;
        manifest.custom_data = Some(vec![]);
        let before = jiff::Timestamp::now().as_second();
        let world = World::new(Fake::default());
        assert!(add(manifest, cloud_image(), &world).await.is_empty());
        let text = read(&path);
        assert!(text.contains("\"custom_data\": {}\n"), "{text}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(value["builds"][0]["build_time"].as_i64().unwrap() >= before);
    }

    #[tokio::test]
    async fn entries_are_kept_unless_another_run_forces() {
        for (force, run_id, expected) in [
            (false, "run-1", ["old", "web"].as_slice()),
            (true, "old-run", &["old", "web"]),
            (true, "run-1", &["web"]),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("m.json");
            let old = r#"{"builds":[{"name":"old","other":1}],"last_run_uuid":"old-run"}"#;
            std::fs::write(&path, old).unwrap();
            let mut world = World::new(Fake::default());
            world.data.force = force;
            world.data.run_id = run_id.to_owned();
            assert!(
                add(manifest_at(&path), cloud_image(), &world)
                    .await
                    .is_empty()
            );
            let text = read(&path);
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            let builds = value["builds"].as_array().unwrap();
            let names: Vec<_> = builds
                .iter()
                .map(|build| build["name"].as_str().unwrap())
                .collect();
            assert_eq!(names, expected);
            assert_eq!(text.contains("\"other\": 1"), expected.len() == 2);
            assert_eq!(value["last_run_uuid"], run_id);
        }
    }

    #[tokio::test]
    async fn an_empty_file_is_like_none_and_null_like_no_builds() {
        for content in ["", "{\"builds\":null,\"last_run_uuid\":\"\"}", "{}"] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("m.json");
            std::fs::write(&path, content).unwrap();
            let world = World::new(Fake::default());
            assert!(
                add(manifest_at(&path), cloud_image(), &world)
                    .await
                    .is_empty()
            );
            assert_eq!(read(&path).matches("\"name\"").count(), 1);
        }
    }

    #[tokio::test]
    async fn something_else_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("m.json");
        std::fs::write(&path, "no json").unwrap();
        let world = World::new(Fake::default());
        let errors = add(manifest_at(&path), cloud_image(), &world).await;
        let text = crate::error::one_line(&errors[0]);
        let parse = format!("Unable to parse content from {}: ", path.display());
        assert!(text.contains(&parse), "{text}");
        assert_eq!(errors[0].hints().len(), 1);
        assert_eq!(read(&path), "no json");
    }

    #[tokio::test]
    async fn links_and_modes_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("m.json");
        let link = directory.path().join("link.json");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let world = World::new(Fake::default());
        assert!(
            add(manifest_at(&link), cloud_image(), &world)
                .await
                .is_empty()
        );
        assert!(link.is_symlink());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert!(read(&path).contains("cn-beijing:m-1"));
    }

    #[test]
    fn builds_side_by_side_lose_no_entry() {
        const BUILDS: usize = 8;
        const EACH: usize = 10;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("m.json");
        let one_build = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let world = World::new(Fake::default());
            for _ in 0..EACH {
                let errors = runtime.block_on(add(manifest_at(&path), cloud_image(), &world));
                assert!(errors.is_empty(), "{errors:?}");
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..BUILDS {
                scope.spawn(one_build);
            }
        });
        assert_eq!(read(&path).matches("\"name\"").count(), BUILDS * EACH);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

mod import {
    use std::sync::Arc;

    use alicloud_image_sandbox::{Delays, Sandbox, SandboxOptions, SeedBucket};
    use jiff::Timestamp;

    use super::*;
    use crate::clock::Clock;
    use crate::cloud::SignatureAlgorithm;
    use crate::cloud::credential::{Hiding, Keys, Network};
    use crate::cloud::endpoint::Endpoints;
    use crate::cloud::http::HttpTransport;
    use crate::plan::alicloud_ecs::Defaults;
    use crate::plan::import;
    use crate::plan::testing::read_in;
    use crate::secret::Secret;

    async fn sandbox() -> Sandbox {
        let options = SandboxOptions {
            delays: Delays::none(),
            latency: std::time::Duration::ZERO,
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options).await.unwrap();
        sandbox.seed().import_role().bucket(&SeedBucket {
            region: "cn-beijing".into(),
            name: "images".into(),
            ..SeedBucket::default()
        });
        sandbox
    }

    fn connections(sandbox: &Sandbox, signature: SignatureAlgorithm) -> Connections {
        let keys = Keys {
            access_key: sandbox.access_key_id().to_owned(),
            secret_key: Secret::new(sandbox.access_key_secret()),
            security_token: None,
        };
        let network = Network {
            transport: Arc::new(HttpTransport::new().unwrap()),
            endpoints: Endpoints::everything_to(&sandbox.url()).unwrap(),
            signature,
            clock: Clock::default(),
            sts_region: None,
            hiding: Hiding::default(),
        };
        Connections::new(keys.into(), network, true)
    }

    fn import_of(more: &str) -> plan::PostProcessor {
        let text = format!(
            r#"{{"region":"cn-beijing","image_name":"web","oss_bucket_name":"images"{more}}}"#
        );
        let outcome = read_in(".", &text, import::OPTIONS, |reader| {
            import::read(reader, Defaults::default())
        });
        assert_eq!(outcome.findings, [""; 0]);
        step(plan::Kind::AlicloudImport(Box::new(outcome.read)))
    }

    async fn run(sandbox: &Sandbox, signature: SignatureAlgorithm, files: Vec<PathBuf>) -> Outcome {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::start(directory.path(), "run").unwrap();
        let tags = RunTags::new("run", Timestamp::now(), std::time::Duration::ZERO, vec![]);
        let connections = connections(sandbox, signature);
        let services = Services {
            connections: &connections,
            journal: &journal,
            tags: &tags,
        };
        let world = World::new(Fake::default());
        let sequence = [vec![import_of(r#","oss_key_name":"{{.BuildName}}.raw""#)]];
        let cx = world.context();
        run_sequences(&sequence, with_files(files), &cx, Some(&services)).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_artifacts_disk_becomes_an_image_with_both_signatures() {
        let directory = tempfile::tempdir().unwrap();
        let disk = directory.path().join("packer-web.raw");
        let mut content = vec![7; 1 << 20];
        content[510..512].copy_from_slice(&[0x55, 0xaa]);
        std::fs::write(&disk, content).unwrap();
        for signature in [
            SignatureAlgorithm::Acs3HmacSha256,
            SignatureAlgorithm::RpcHmacSha1,
        ] {
            let sandbox = sandbox().await;
            let outcome = run(&sandbox, signature, vec![disk.clone()]).await;
            let errors: Vec<_> = outcome
                .errors
                .iter()
                .map(|error| crate::error::one_line(error))
                .collect();
            assert_eq!(errors, [""; 0]);
            let image = sandbox.images()[0]["ImageId"].as_str().unwrap().to_owned();
            assert_eq!(outcome.artifacts[0].id, format!("cn-beijing:{image}"));
            assert_eq!(
                outcome.artifacts[0].builder_id,
                "packer.post-processor.alicloud-import"
            );
            // Packer's rule: what was imported is not kept unless asked for.
            assert_eq!(outcome.discarded.len(), 1);
            assert!(sandbox.alive().iter().all(|one| one.kind != "object"));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_artifact_without_disk_is_kept_and_the_failure_said() {
        let sandbox = sandbox().await;
        let outcome = run(&sandbox, SignatureAlgorithm::default(), vec![]).await;
        assert_eq!(outcome.artifacts, [cloud_image()]);
        let error = crate::error::one_line(&outcome.errors[0]);
        assert!(error.contains("there is no disk to import"), "{error}");
    }
}

mod archives {
    use std::io::Read as _;
    use std::process::Command;

    use super::*;

    fn compress(output: &Path, format: Format) -> plan::PostProcessor {
        step(plan::Kind::Compress(Compress {
            output: output.to_str().unwrap().to_owned(),
            format,
            level: None,
        }))
    }

    fn artifice(directory: &Path, patterns: &[&str]) -> plan::PostProcessor {
        let file = |pattern: &&str| {
            let path = directory.join(pattern);
            Spanned::default_value(path.to_str().unwrap().to_owned())
        };
        let files = patterns.iter().map(file).collect();
        step(plan::Kind::Artifice(Artifice { files }))
    }

    async fn run(step: plan::PostProcessor, files: Vec<PathBuf>, world: &World) -> Outcome {
        run_sequences(&[vec![step]], with_files(files), &world.context(), None).await
    }

    /// What a program of this machine prints.
    fn output_of(program: &str, arguments: &[&str], path: &Path) -> String {
        let output = Command::new(program)
            .args(arguments)
            .arg(path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{program}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[tokio::test]
    async fn other_programs_read_the_archives() {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = (directory.path().join("one"), directory.path().join("two"));
        std::fs::write(&one, "first\n").unwrap();
        std::fs::write(&two, "second\n").unwrap();
        let world = World::new(Fake::default());
        for (name, format, program, arguments) in [
            ("a.tar", Format::Tar(None), "tar", &["-xOf"][..]),
            ("a.tgz", Format::Tar(Some(Codec::Gzip)), "tar", &["-xzOf"]),
        ] {
            let path = directory.path().join("made").join(name);
            let files = vec![one.clone(), two.clone()];
            let outcome = run(compress(&path, format), files.clone(), &world).await;
            assert_eq!(outcome.artifacts[0].files, std::slice::from_ref(&path));
            assert_eq!(outcome.discarded, [with_files(files)]);
            assert_eq!(output_of(program, arguments, &path), "first\nsecond\n");
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o444, mode & 0o111 | 0o444, "others may read it");
        }
        let path = directory.path().join("one.gz");
        let single = Format::Single(Codec::Gzip);
        run(compress(&path, single), vec![one.clone()], &world).await;
        assert_eq!(output_of("gzip", &["-dc"], &path), "first\n");
        let path = directory.path().join("a.zip");
        run(compress(&path, Format::Zip), vec![one, two], &world).await;
        let listing = output_of("python3", &["-m", "zipfile", "-l"], &path);
        assert!(
            listing.contains("/one ") && listing.contains("/two "),
            "{listing}"
        );
        output_of("python3", &["-m", "zipfile", "-t"], &path);
    }

    #[tokio::test]
    async fn lz4_can_be_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let (disk, path) = (directory.path().join("d"), directory.path().join("d.lz4"));
        let content = "0123456789".repeat(100_000);
        std::fs::write(&disk, &content).unwrap();
        let world = World::new(Fake::default());
        let single = Format::Single(Codec::Lz4);
        run(compress(&path, single), vec![disk], &world).await;
        let compressed = std::fs::read(&path).unwrap();
        assert_eq!(
            compressed[..4],
            [0x04, 0x22, 0x4d, 0x18],
            "the frame's magic"
        );
        let mut read = String::new();
        lz4_flex::frame::FrameDecoder::new(compressed.as_slice())
            .read_to_string(&mut read)
            .unwrap();
        assert!(read == content && compressed.len() < content.len() / 10);
    }

    #[tokio::test]
    async fn what_cannot_be_compressed_is_said_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        std::fs::write(&path, "x").unwrap();
        let absent = directory.path().join("absent");
        let world = World::new(Fake::default());
        for (files, expected) in [
            (
                vec![],
                "The artifact has no files on this machine that could be compressed",
            ),
            (
                vec![path.clone(), path.clone()],
                "The artifact has 2 files, and this format takes only one",
            ),
            (vec![absent], "absent into"),
        ] {
            let target = directory.path().join("made.gz");
            let step = compress(&target, Format::Single(Codec::Gzip));
            let outcome = run(step, files.clone(), &world).await;
            let text = crate::error::one_line(&outcome.errors[0]);
            assert!(text.contains(expected), "{text}");
            assert_eq!(outcome.artifacts, [with_files(files)]);
        }
        let names = std::fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(names, 1, "nothing half done is left");
    }

    #[tokio::test]
    async fn a_stop_ends_the_compression() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        std::fs::write(&path, "x").unwrap();
        let world = World::new(Fake::default());
        world.stop.stop();
        let target = directory.path().join("a.tar");
        let compress = Compress {
            output: target.to_str().unwrap().to_owned(),
            format: Format::Tar(None),
            level: None,
        };
        let input = with_files(vec![path]);
        let outcome = compress::run(&compress, &input, &world.context()).await;
        assert_eq!(outcome.unwrap_err().kind(), Kind::Cancelled);
        assert!(!target.exists());
    }

    #[tokio::test]
    async fn artifice_takes_what_fits() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["a.img", "b.img", "c.txt"] {
            std::fs::write(path(name), "x").unwrap();
        }
        let world = World::new(Fake::default());
        let step = artifice(directory.path(), &["*.img", "a.img", "absent", "*.iso"]);
        let outcome = run(step, vec![path("c.txt")], &world).await;
        assert_eq!(outcome.artifacts.len(), 2, "the input is kept by default");
        assert_eq!(outcome.artifacts[1].files, [path("a.img"), path("b.img")]);
        let warned = world.events();
        let warnings = warned
            .iter()
            .filter(|line| line.starts_with("warn There is no file"));
        assert_eq!(warnings.count(), 2, "{warned:?}");
        let outcome = run(artifice(directory.path(), &["*.iso"]), vec![], &world).await;
        let text = crate::error::one_line(&outcome.errors[0]);
        assert!(
            text.ends_with("None of the files for the artifact is there"),
            "{text}"
        );
    }
}
