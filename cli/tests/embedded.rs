//! The pipeline on the embedded log, as a process that is killed.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::thread::sleep;
use std::time::Duration;

use support::{Running, golden, history, succeed, table_of, table_text, tailed_table, tributary, write_files};

#[test]
fn killed_and_restarted_it_gives_the_answer_of_replay() {
    let folder = tempfile::tempdir().unwrap();
    let sets = [format!("state.path={}", folder.path().join("state").display()), "worker.batch_records=50".to_owned()];
    let mut records = golden();
    records.extend(history(60, 3, false));
    let files = write_files(folder.path(), &records);
    let mut send = tributary(&sets);
    succeed({
        send.arg("send").args(&files);
        send
    });
    // Killed at moments that differ, in mid-stream, then left to finish.
    for round in 0..6u64 {
        let mut run = tributary(&sets);
        run.arg("run");
        let running = Running::start(run);
        sleep(Duration::from_millis(40 + 60 * round));
        running.kill();
    }
    let mut run = tributary(&sets);
    run.args(["run", "--until-idle", "1"]);
    succeed(run);
    let table = tailed_table(&sets);
    assert_eq!(table.imbalances(), []);
    assert!(table_text(&table) == table_of(&records));
}
