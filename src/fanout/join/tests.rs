use super::*;

fn image(build: &str, region: &str, id: &str) -> Image {
    Image {
        build: build.into(),
        builder_type: "alicloud-ecs".into(),
        region: region.into(),
        image_id: id.into(),
        image_name: build.into(),
        source_image: "s".into(),
        snapshot_ids: vec![format!("s-{id}")],
        size_gib: 40,
        oss_object: None,
        created: "2026-11-22T08:00:00Z".into(),
    }
}

fn build(name: &str, region: &str, error: Option<&str>) -> BuildEnd {
    BuildEnd {
        name: name.into(),
        builder_type: "alicloud-ecs".into(),
        region: region.into(),
        status: if error.is_none() {
            "success"
        } else {
            "failure"
        }
        .into(),
        error: error.map(str::to_owned),
        image_ids: Vec::new(),
    }
}

/// Every image is of the first build.
fn made(path: &str, mut builds: Vec<BuildEnd>, images: Vec<Image>) -> Source {
    builds[0].image_ids = images.iter().map(|image| image.image_id.clone()).collect();
    let results = Results {
        status: "success".into(),
        build_run_id: format!("run-{path}"),
        duration_seconds: Some(60),
        builds,
        images,
        ..Results::default()
    };
    Source {
        path: path.into(),
        content: Content::Results(Box::new(results)),
    }
}

fn web(region: &str, id: &str) -> Source {
    let build = build("web", region, None);
    made(region, vec![build], vec![image("web", region, id)])
}

fn leg(build: &str, region: &str) -> Leg {
    Leg {
        build: build.into(),
        builder_type: "alicloud-ecs".into(),
        region: region.into(),
        id: format!("{build}-{region}"),
    }
}

/// Name, image ids, error.
fn shown(joined: &Joined) -> Vec<String> {
    let builds = joined.result.builds.iter().map(|build| {
        let ids = build.artifacts.iter().map(|artifact| artifact.id.clone());
        let error = build.error.iter().map(|error| error.message().to_owned());
        let parts: Vec<_> = ids.chain(error).collect();
        format!("{}: {}", build.name, parts.join(" "))
    });
    builds.collect()
}

#[test]
fn the_order_is_that_of_the_matrix_whatever_that_of_the_files() {
    let expected = [leg("web", "cn-b"), leg("web", "cn-a"), leg("db", "cn-a")];
    let db = || {
        made(
            "db",
            vec![build("db", "cn-a", None)],
            vec![image("db", "cn-a", "m-3")],
        )
    };
    let one = [web("cn-a", "m-1"), web("cn-b", "m-2"), db()];
    let other = [db(), web("cn-b", "m-2"), web("cn-a", "m-1")];
    for sources in [one, other] {
        let joined = join(&sources, &expected).unwrap();
        assert_eq!(
            shown(&joined),
            ["web: cn-b:m-2", "web: cn-a:m-1", "db: cn-a:m-3"]
        );
        let names: Vec<_> = joined
            .builds
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["web", "db"]);
        let ids: Vec<_> = joined
            .manifest
            .iter()
            .map(|entry| entry["artifact_id"].clone())
            .collect();
        assert_eq!(ids, ["cn-b:m-2", "cn-a:m-1", "cn-a:m-3"]);
        assert_eq!(joined.result.elapsed, Duration::from_secs(60));
    }
}

#[test]
fn what_is_missing_killed_or_failed_is_said() {
    let expected = [leg("web", "cn-a"), leg("web", "cn-b"), leg("web", "cn-c")];
    let failed = made("b", vec![build("web", "cn-b", Some("No stock"))], vec![]);
    let killed = Results {
        builds: vec![BuildEnd {
            status: String::new(),
            ..build("web", "cn-c", None)
        }],
        ..Results::default()
    };
    let killed = Source {
        path: "c".into(),
        content: Content::Results(Box::new(killed)),
    };
    let joined = join(&[failed, killed], &expected).unwrap();
    assert_eq!(
        shown(&joined),
        [
            "web: In cn-a: There is no result: its job was cancelled, or failed early",
            "web: In cn-b: No stock",
            "web: In cn-c: Its run was killed before it ended",
        ]
    );
}

#[test]
fn two_images_of_one_build_in_one_region_are_refused() {
    let mut other = web("cn-a", "m-2");
    other.path = "again".into();
    let error = join(&[web("cn-a", "m-1"), other], &[]).unwrap_err();
    assert_eq!(
        error.message(),
        "Build `web` has two images in cn-a: m-1 in `cn-a` and m-2 in `again`"
    );
}

#[test]
fn a_leg_that_ran_again_counts_once() {
    let failed = || {
        made(
            "first",
            vec![build("web", "cn-a", Some("No stock"))],
            vec![],
        )
    };
    let twice = [
        [failed(), web("cn-a", "m-1")],
        [web("cn-a", "m-1"), failed()],
        [web("cn-a", "m-1"), web("cn-a", "m-1")],
    ];
    for sources in twice {
        let joined = join(&sources, &[]).unwrap();
        assert_eq!(shown(&joined), ["web: cn-a:m-1"]);
    }
}

#[test]
fn a_run_that_never_got_to_its_builds_is_named_by_its_file() {
    let results = Results {
        status: "failure".into(),
        error: Some("The template has 1 error".into()),
        ..Results::default()
    };
    let source = Source {
        path: "legs/db.json".into(),
        content: Content::Results(Box::new(results)),
    };
    let joined = join(&[source], &[]).unwrap();
    assert_eq!(shown(&joined), ["legs/db.json: The template has 1 error"]);
}

#[test]
fn entries_of_manifests_are_kept_and_images_without_one_get_theirs() {
    let entry = json!({
        "name": "web", "builder_type": "alicloud-ecs", "build_time": 1, "files": null,
        "artifact_id": "cn-a:m-1", "packer_run_uuid": "run-cn-a", "custom_data": {"my": "own"},
    });
    let written = Source {
        path: "manifest".into(),
        content: Content::Manifest(vec![entry.clone(), entry.clone()]),
    };
    let sources = [web("cn-b", "m-2"), written, web("cn-a", "m-1")];
    let joined = join(&sources, &[]).unwrap();
    assert_eq!(joined.manifest.len(), 2);
    assert_eq!(joined.manifest[0]["packer_run_uuid"], "run-cn-b");
    assert_eq!(joined.manifest[0]["build_time"], 1_795_334_400);
    assert_eq!(joined.manifest[1], entry);
}

#[test]
fn a_leftover_names_its_run() {
    let mut results = Results {
        build_run_id: "0c9d".into(),
        ..Results::default()
    };
    results.leftovers.push(Leftover {
        resource: crate::engine::event::Resource {
            kind: "vpc".into(),
            id: "vpc-1".into(),
            region: "cn-a".into(),
        },
        reason: "in use".into(),
    });
    let source = Source {
        path: "web".into(),
        content: Content::Results(Box::new(results)),
    };
    let joined = join(&[source], &[]).unwrap();
    assert_eq!(joined.result.leftovers[0].reason, "in use (run 0c9d)");
}

#[test]
fn what_was_joined_can_be_joined_again() {
    let copy = image("web", "cn-c", "m-3");
    let of_leg = |region: &str, ids: &[&str]| BuildEnd {
        image_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        ..build("web", region, None)
    };
    let results = Results {
        builds: vec![of_leg("cn-a", &["m-1", "m-3"]), of_leg("cn-b", &["m-2"])],
        images: vec![
            image("web", "cn-a", "m-1"),
            copy,
            image("web", "cn-b", "m-2"),
        ],
        ..Results::default()
    };
    let source = Source {
        path: "all.json".into(),
        content: Content::Results(Box::new(results)),
    };
    let joined = join(&[source], &[]).unwrap();
    assert_eq!(shown(&joined), ["web: cn-a:m-1,cn-c:m-3", "web: cn-b:m-2"]);
}
