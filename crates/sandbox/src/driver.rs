//! Drives the machine behind one instance: powers it, moves its addresses,
//! keeps its disk, and tells the cloud when it powers itself off.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::clock::Moment;
use crate::machine::{DiskImage, Machine};
use crate::state::instance::{Desired, InstanceStatus};
use crate::world::Shared;

/// Starts drivers for instances that have none.
pub(crate) fn drive_new_instances(shared: &Arc<Shared>) {
    let new: Vec<String> = {
        let (mut world, _) = shared.world();
        let ids: Vec<String> = world.cloud.instances.keys().cloned().collect();
        let driven = &mut world.driven;
        ids.into_iter()
            .filter(|id| driven.insert(id.clone()))
            .collect()
    };
    for id in new {
        tokio::spawn(drive(Arc::clone(shared), id));
    }
}

struct Running {
    boot: u32,
    machine: Arc<dyn Machine>,
    listening: BTreeSet<IpAddr>,
    seen: bool,
}

async fn drive(shared: Arc<Shared>, id: String) {
    let mut changes = shared.changes.subscribe();
    let mut running: Option<Running> = None;
    loop {
        changes.borrow_and_update();
        let desired = {
            let (world, now) = shared.world();
            world.cloud.desired(&id, now)
        };
        let Some(desired) = desired else {
            break;
        };
        let boot = running.as_ref().map(|running| running.boot);
        if boot.is_some() && boot != desired.boot {
            if let Some(running) = running.take() {
                power_off(&shared, &id, running).await;
            }
            continue;
        }
        if running.is_none() && desired.boot.is_some() {
            running = boot_machine(&shared, &id, &desired).await;
        }
        if let Some(running) = &mut running {
            move_addresses(shared.guest_port, running, &desired.addresses).await;
        }
        let gone_off = tokio::select! {
            changed = changes.changed() => match changed {
                Ok(()) => false,
                Err(_) => break,
            },
            () = sleep_until(&shared, desired.next) => false,
            off = wait_for_machine(&shared, &id, &mut running) => off,
        };
        if gone_off && let Some(running) = running.take() {
            keep_disk(&shared, &id, running.machine).await;
            note_self_shutdown(&shared, &id);
        }
    }
    if let Some(running) = running {
        running.machine.power_off().await;
    }
    shared.world().0.driven.remove(&id);
    shared.notify();
}

async fn sleep_until(shared: &Shared, next: Option<Moment>) {
    match next {
        Some(moment) => shared.clock.sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Resolves with true when the machine powered itself off, with false after
/// its first connection.
async fn wait_for_machine(shared: &Shared, id: &str, running: &mut Option<Running>) -> bool {
    let Some(running) = running else {
        return std::future::pending().await;
    };
    if running.seen {
        running.machine.powered_off().await;
        return true;
    }
    tokio::select! {
        () = running.machine.powered_off() => true,
        () = running.machine.connected() => {
            running.seen = true;
            let (mut world, now) = shared.world();
            world.cloud.note_connection(id, now);
            false
        }
    }
}

async fn boot_machine(shared: &Shared, id: &str, desired: &Desired) -> Option<Running> {
    let machine = match shared.host.boot(desired.spec.clone()).await {
        Ok(machine) => machine,
        Err(error) => {
            tracing::error!(instance = id, %error, "machine did not boot");
            return wait_for_change().await;
        }
    };
    let (mut world, _) = shared.world();
    if let Some(instance) = world.cloud.instances.get_mut(id) {
        instance.machine_on = true;
        instance.machine = Some(Arc::clone(&machine));
    }
    Some(Running {
        boot: desired.boot?,
        machine,
        listening: BTreeSet::new(),
        seen: false,
    })
}

/// A machine that does not boot is not tried again until something changes.
async fn wait_for_change() -> Option<Running> {
    tokio::task::yield_now().await;
    None
}

async fn move_addresses(port: u16, running: &mut Running, wanted: &BTreeSet<IpAddr>) {
    let old: Vec<IpAddr> = running.listening.difference(wanted).copied().collect();
    for address in old {
        running.machine.unlisten(address).await;
        running.listening.remove(&address);
    }
    let new: Vec<IpAddr> = wanted.difference(&running.listening).copied().collect();
    for address in new {
        let result = running.machine.listen(SocketAddr::new(address, port)).await;
        if let Err(error) = result {
            tracing::error!(%address, port, %error, "guest cannot listen");
        }
        running.listening.insert(address);
    }
}

async fn power_off(shared: &Shared, id: &str, running: Running) {
    running.machine.power_off().await;
    keep_disk(shared, id, running.machine).await;
}

/// Keeps what is on the disk for images and the next boot, and notes that the
/// machine is off. The disk of an instance that is being released goes with it.
async fn keep_disk(shared: &Shared, id: &str, machine: Arc<dyn Machine>) {
    let released = shared
        .world()
        .0
        .cloud
        .instances
        .get(id)
        .is_none_or(|i| i.deleting);
    let disk = if released {
        None
    } else {
        capture(machine).await.map_or_else(
            |error| {
                tracing::error!(instance = id, %error, "disk cannot be captured");
                None
            },
            Some,
        )
    };
    {
        let (mut world, _) = shared.world();
        if let Some(instance) = world.cloud.instances.get_mut(id) {
            instance.machine_on = false;
            instance.machine = None;
            instance.disk = disk.or(instance.disk.take());
        }
    }
    shared.notify();
}

/// Captures a disk off the async threads.
pub(crate) async fn capture(machine: Arc<dyn Machine>) -> io::Result<DiskImage> {
    let captured = tokio::task::spawn_blocking(move || machine.capture()).await;
    captured.map_err(io::Error::other)?
}

fn note_self_shutdown(shared: &Shared, id: &str) {
    {
        let (mut world, now) = shared.world();
        let instance = world.cloud.instances.get(id);
        let on = |status| matches!(status, InstanceStatus::Running | InstanceStatus::Starting);
        if instance.is_some_and(|i| !i.deleting && on(i.status)) {
            world.cloud.stop_instance(id, now, &[]);
        }
    }
    shared.notify();
}
