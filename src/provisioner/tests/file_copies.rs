//! `file`.

use super::*;

#[tokio::test]
async fn uploads_keep_the_mode_and_follow_the_slash() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tool");
    std::fs::write(&path, "x").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o750)).unwrap();
    let path = path.to_str().unwrap();
    let directory = directory.path().to_str().unwrap();
    let contents = format!("{directory}/");
    for (from, to, expected) in [
        (path, "/opt/t", "upload /opt/t 750 \"x\"".to_owned()),
        (path, "/opt/", "upload /opt/tool 750 \"x\"".to_owned()),
        (directory, "/opt", format!("upload_dir {directory} /opt")),
        (&contents, "/opt", format!("upload_dir {directory}/ /opt")),
    ] {
        let world = World::new(Fake::default());
        run_file(&world, paths(&[from]), to, Direction::Upload)
            .await
            .unwrap();
        assert_eq!(world.calls(), [expected]);
        assert_eq!(world.events(), [format!("say Uploading {from} => {to}")]);
    }
}

#[tokio::test]
async fn content_is_private_and_needs_a_name() {
    let world = World::new(Fake::default());
    let content = || FileSource::Content("{{ jinja }}".into());
    run_file(&world, content(), "/etc/{{build `ID`}}", Direction::Upload)
        .await
        .unwrap();
    assert_eq!(world.calls(), ["upload /etc/i-1 600 \"{{ jinja }}\""]);
    let error = run_file(&world, content(), "/etc/", Direction::Upload).await;
    assert!(
        error
            .unwrap_err()
            .message()
            .ends_with("a file name is missing")
    );
}

#[tokio::test]
async fn a_missing_source_is_named() {
    let world = World::new(Fake::default());
    let error = run_file(&world, paths(&["/nonexistent"]), "/x", Direction::Upload).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "Could not read /nonexistent"
    );
}

#[tokio::test]
async fn downloads_make_directories_and_go_on_after_one() {
    let directory = tempfile::tempdir().unwrap();
    let to = format!("{}/new/sub/", directory.path().display());
    let world = World::new(Fake::default());
    let from = paths(&["/var/log/", "/var/*.txt", "/etc/issue"]);
    run_file(&world, from, &to, Direction::Download)
        .await
        .unwrap();
    assert_eq!(
        world.calls(),
        [
            format!("download_dir /var/log/ {to}"),
            format!("download_dir /var/*.txt {to}"),
            "download /etc/issue".to_owned(),
        ]
    );
    let file = std::fs::read_to_string(format!("{to}issue")).unwrap();
    assert_eq!(file, "/etc/issue");
    let said = world.events().pop().unwrap();
    assert_eq!(said, format!("say Downloading /etc/issue => {to}issue"));
}

#[tokio::test]
async fn a_download_to_a_file_makes_its_parent() {
    let directory = tempfile::tempdir().unwrap();
    let to = format!("{}/new/name", directory.path().display());
    let world = World::new(Fake::default());
    run_file(&world, paths(&["/etc/issue"]), &to, Direction::Download)
        .await
        .unwrap();
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "/etc/issue");
}
