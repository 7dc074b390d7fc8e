//! `manifest`.

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
