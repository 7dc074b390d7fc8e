//! Serves a sandbox until it is interrupted. `SANDBOX_PORT` (default: any) and
//! `SANDBOX_TIME_SCALE` (default: 1) configure it.
#![allow(clippy::print_stdout)]

use alicloud_image_sandbox::{Sandbox, SandboxOptions};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let variable = |name: &str| std::env::var(name).ok();
    let number = |name: &str| variable(name).and_then(|text| text.parse::<f64>().ok());
    let sandbox = Sandbox::start(SandboxOptions {
        port: number("SANDBOX_PORT").map_or(0, |port| port as u16),
        time_scale: number("SANDBOX_TIME_SCALE").unwrap_or(1.0),
        ..SandboxOptions::default()
    })
    .await?;
    println!("export HTTP_PROXY={}", sandbox.url());
    println!("export ALICLOUD_ACCESS_KEY={}", sandbox.access_key_id());
    println!("export ALICLOUD_SECRET_KEY={}", sandbox.access_key_secret());
    tokio::signal::ctrl_c().await?;
    sandbox.shutdown().await;
    Ok(())
}
