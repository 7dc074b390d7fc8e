//! The meta keys, and what needs a connection.

use super::*;

#[tokio::test]
async fn retries_are_counted_and_the_last_failure_is_given() {
    let fake = Fake::default()
        .reply("exec chmod", Reply::Exit(1))
        .reply("exec chmod", Reply::Exit(2));
    let world = World::new(fake);
    let mut provisioner = step(plan::Kind::Shell(Box::new(shell(&["false"]))));
    provisioner.meta.max_retries = 1;
    let error = run(&provisioner, &world.context()).await.unwrap_err();
    assert!(error.message().contains("status: 2."));
    assert_eq!(error.span(), Some(Span::default()));
    let said: Vec<_> = world.events();
    let retried = "say Provisioner failed with \"Script exited with non-zero exit status: 1. \
             Allowed exit codes are: [0]\", retrying with 1 trie(s) left";
    assert!(said.contains(&retried.to_owned()), "{said:?}");
    assert_eq!(said.last().unwrap(), "say retry limit reached.");
}

#[tokio::test]
async fn continue_on_error_is_a_warning() {
    let world = World::new(Fake::default().reply("exec chmod", Reply::Exit(1)));
    let mut provisioner = step(plan::Kind::Shell(Box::new(shell(&["false"]))));
    provisioner.meta.continue_on_error = true;
    run(&provisioner, &world.context()).await.unwrap();
    let last = world.events().pop().unwrap();
    assert!(last.starts_with("warn Provisioner failed with \"Script exited"));
    assert!(last.ends_with("but continue_on_error is set; continuing the build."));
}

#[tokio::test]
async fn without_a_connection_only_local_provisioners_run() {
    let mut world = World::new(Fake::default());
    world.fake = None;
    for (kind, fails) in [
        (plan::Kind::Shell(Box::new(shell(&["true"]))), true),
        (
            plan::Kind::File(File {
                source: FileSource::Content(String::new()),
                destination: "/x".into(),
                direction: Direction::Upload,
            }),
            true,
        ),
        (plan::Kind::ShellLocal(Box::new(local(&["true"]))), false),
        (plan::Kind::Sleep(Duration::from_secs(1)), false),
    ] {
        let result = run(&step(kind), &world.context()).await;
        assert_eq!(result.is_err(), fails);
        if let Err(error) = result {
            assert!(error.message().contains("`communicator` is \"none\""));
            assert_eq!(error.hints().len(), 1);
        }
    }
}

#[tokio::test]
async fn a_sleep_is_stopped_and_timed() {
    let world = World::new(Fake::default());
    let mut sleep = step(plan::Kind::Sleep(Duration::from_secs(1_000_000)));
    sleep.meta.timeout = Duration::from_secs(1);
    let error = run(&sleep, &world.context()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
    world.stop.stop();
    sleep.meta.timeout = Duration::ZERO;
    let error = run(&sleep, &world.context()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
}
