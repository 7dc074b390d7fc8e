//! Builds that are cancelled at any moment end clean.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use crate::container::Exit;
use crate::world::{World, template};

/// A whole build makes about so many calls.
const CALLS: usize = 34;

/// A moment: after so many calls and so many milliseconds more.
#[derive(Debug, Clone, Copy)]
struct Moment {
    calls: usize,
    more: Duration,
}

/// Ten moments. `ALICLOUD_IMAGE_TEST_SEED` repeats those of an earlier run.
#[expect(
    clippy::print_stderr,
    reason = "whoever repeats a failure needs the seed"
)]
fn moments() -> [Moment; 10] {
    let named = std::env::var("ALICLOUD_IMAGE_TEST_SEED").ok();
    let seed = named.map_or_else(rand::random, |seed| seed.parse().unwrap());
    eprintln!("ALICLOUD_IMAGE_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    std::array::from_fn(|_| Moment {
        calls: random.random_range(0..CALLS),
        more: Duration::from_millis(random.random_range(0..40)),
    })
}

/// Cancels a build at a moment. With `kill`, the client is killed there and
/// then, and whatever the program does after that it does on its own.
async fn cancelled_at(moment: Moment, kill: bool) {
    let world = World::new().await;
    let mut job = world.job();
    let provisioners = json!([{"type": "shell", "inline": ["true"]}]);
    job.write("web.json", &template(&provisioners));
    let step = world.step(&[("template", "web.json")]);
    let running = job.start(&world.action, &step).await;
    let container = running.client.container();
    // A build that needs fewer calls ends before.
    tokio::select! {
        () = world.wait_for_calls(moment.calls) => tokio::time::sleep(moment.more).await,
        _ = container.ended() => {}
    }
    let outcome = match kill {
        true => job.kill(running),
        false => job.cancel(running).await,
    };
    // GitHub reads the files when the client has ended, in any state.
    assert_eq!(outcome.problems, Vec::<String>::new(), "{moment:?}");
    let posts = job.post_steps().await;
    // The container outlives a client that was killed. It may have created
    // something after the post step looked: that is its own to delete.
    let code = container.ended().await;
    let context = format!(
        "at {moment:?}, {:?}, then {code}: {}",
        outcome.exit, outcome.log
    );
    world.assert_clean(&context);
    // An image that stays is one that GitHub was told of.
    let images = world.sandbox.images();
    let images: Vec<_> = images
        .iter()
        .filter_map(|it| it["ImageId"].as_str())
        .collect();
    if outcome.exit != Exit::Killed {
        let mut posts = posts.into_iter();
        drop(posts.next().expect("the post step ran").success());
        assert!([0, 130, 143].contains(&code), "{context}");
        // None when it was cancelled before it began.
        let status = outcome.outputs.get("status").map(String::as_str);
        let expected = if code == 0 { "success" } else { "cancelled" };
        assert!(status.is_none_or(|status| status == expected), "{context}");
        let told = outcome.outputs.get("image-id").filter(|id| !id.is_empty());
        assert_eq!(images, Vec::from_iter(told), "{context}");
    }
    assert!(images.len() <= 1, "{context}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_cancelled_at_any_moment_leaves_nothing() {
    // Two at a time, as there are processors.
    let gate = Arc::new(tokio::sync::Semaphore::new(2));
    let each = moments().into_iter().enumerate().map(|(number, moment)| {
        let gate = Arc::clone(&gate);
        tokio::spawn(async move {
            let _turn = gate.acquire().await.unwrap();
            cancelled_at(moment, number % 5 == 4).await;
        })
    });
    for cancelled in each.collect::<Vec<_>>() {
        cancelled.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_post_step_waits_for_a_process_that_cleans_up_itself() {
    let world = World::new().await;
    // It waits for a minute, which must be a long time here, too.
    let mut job = world.slow_job();
    job.write("web.json", &template(&json!([])));
    let step = world.step(&[("template", "web.json")]);
    let running = job.start(&world.action, &step).await;
    let container = running.client.container();
    world.wait_for_calls(CALLS / 2).await;
    running.client.signal(rustix::process::Signal::INT);
    let outcome = job.kill(running);
    assert_eq!(outcome.exit, Exit::Killed);
    let post = job.post_steps().await.remove(0).success();
    world.assert_clean(&format!("after {}", post.log));
    assert_eq!(container.ended().await, 130);
}
