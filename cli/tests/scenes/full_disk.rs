//! The disk of the state is full, and then has room again.

use std::fs;
use std::path::PathBuf;

use crate::outage::wait_drained;
use crate::support::audit::differences;
use crate::support::broker::Broker;
use crate::support::disk::{DISK_MB, fill, namespace};
use crate::support::watched::{Look, Recording, Watched, table};
use crate::support::{history, pipeline, send, settings, tributary};

#[test]
fn a_full_disk_is_reported_and_loses_nothing() {
    let Some(broker) = Broker::start("full-disk") else { return };
    let Some(mut command) = namespace() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sets = pipeline(&broker.address, "full", folder.path(), &[]);
    let state = folder.path().join("state");
    fs::create_dir_all(&state).unwrap();
    let run = tributary(&sets);
    let script = format!("mount -t tmpfs -o size={DISK_MB}m tmpfs '{}'; exec \"$@\" run", state.display());
    command.args(["sh", "-c", &script, "sh"]).arg(run.get_program()).args(run.get_args()).env_remove("TRIBUTARY_CONFIG");
    let records = history(2_000, 3, true);
    let mut watched = Watched::start(command, folder.path().join("log"));
    watched.wait("ready", |look| look.ready == Some(true));
    let seen = PathBuf::from(format!("/proc/{}/root{}", watched.id(), state.display()));
    let free = |look: &Look| look.sum("tributary_disk_free_bytes").unwrap();
    assert!(free(&watched.view.look()) <= f64::from(DISK_MB << 20), "it is the room of the small disk");

    let recording = Recording::begin(watched.view.clone());
    recording.note("the load begins");
    send(&sets, &records);
    recording.note("the disk is filled");
    fill(&seen.join("filler"));
    let look = watched.wait("unready, and says why", |look| {
        look.ready == Some(false) && look.reasons.to_lowercase().contains("no space left")
    });
    assert!(look.live == Some(true) && free(&look) < f64::from(1 << 20), "{}: {}", free(&look), look.reasons);
    recording.note("there is room again");
    fs::remove_file(seen.join("filler")).unwrap();
    wait_drained(&mut watched);
    watched.terminate();
    println!("{}", table(&recording.end()));

    let mut settings = settings();
    settings.kafka.brokers = broker.address.clone();
    settings.topics.prefix = "full".to_owned();
    let found = differences(&settings, &records);
    assert!(found.is_empty(), "{found:#?}");
}
