//! `guard`: the post hook for programs in `run:` steps.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::workflow::Step;
use crate::world::{World, template};

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_deletes_what_a_killed_run_step_left() {
    let world = World::new().await;
    let mut job = world.job();
    let guard = world.step(&[("command", "guard")]);
    let outcome = job.run(&world.action, &guard).await.success();
    assert_eq!(outcome.outputs.get("image-id"), None);
    let provisioners = json!([
        {"type": "shell-local", "inline": ["touch provisioning", "sleep 1000"]},
    ]);
    job.write("web.json", &template(&provisioners));
    let url = world.sandbox.url();
    let step = Step::default().env(&[
        ("ALICLOUD_ACCESS_KEY", world.sandbox.access_key_id()),
        ("ALICLOUD_SECRET_KEY", world.sandbox.access_key_secret()),
        ("ALIBABA_CLOUD_ENDPOINT_ECS", &url),
        ("ALIBABA_CLOUD_ENDPOINT_VPC", &url),
        ("ALIBABA_CLOUD_ENDPOINT_STS", &url),
        ("PROGRAM", env!("CARGO_BIN_EXE_alicloud-image")),
    ]);
    let mut shell = job.shell("exec \"$PROGRAM\" build web.json >log 2>&1", &step);
    let mut child = shell.spawn().unwrap();
    let mark = job.workspace().join("provisioning");
    world.wait_until(|| mark.exists()).await;
    assert_ne!(world.temporary(), vec![]);
    let id = i32::try_from(child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), Signal::KILL).unwrap();
    child.wait().await.unwrap();
    let post = job.post_steps().await.remove(0).success();
    assert!(post.log.contains("Found 1 journal"), "{}", post.log);
    world.assert_clean("after the guard's post step");
    // A job in which nothing went wrong has nothing to do.
    drop(job.run(&world.action, &guard).await.success());
    let post = job.post_steps().await.remove(0).success();
    assert!(post.log.contains("Found 0 journals"), "{}", post.log);
}
