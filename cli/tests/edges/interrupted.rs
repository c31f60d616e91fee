//! `send` and `import`, killed at any moment and given again: each record once, in its order.

use std::fs;
use std::path::Path;
use std::process::Command;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;
use tributary_runtime::embedded::EmbeddedLog;
use tributary_runtime::topic::Topic;

use super::support::kill::{kill_until_done, random};
use super::support::service::Service;

/// Whether there is a note of an unfinished run.
pub fn is_unfinished(folder: &Path) -> bool {
    let state = fs::read_dir(folder.join("state")).into_iter().flatten().flatten();
    // A draft has no effect before it is renamed; the next kill may cut it short.
    let mut notes = state.map(|entry| entry.path()).filter(|path| path.extension().is_none_or(|extension| extension != "new"));
    notes.any(|path| {
        path.to_string_lossy().contains("unfinished-") && fs::read(path).is_ok_and(|note| note.starts_with(b"unfinished"))
    })
}

/// The records of a topic with one partition.
pub fn records(folder: &Path, topic: Topic) -> Vec<Vec<u8>> {
    let log = EmbeddedLog::open_read_only(&folder.join("state/log")).unwrap();
    let found = log.read(topic, 0, 0, usize::MAX).unwrap();
    found.into_iter().map(|(_, _, output)| output.value.unwrap()).collect()
}

/// Says how many there are, and where the first is that differs: the records themselves are too many to be read.
fn assert_same(found: &[Vec<u8>], expected: &[Vec<u8>], what: &str) {
    let differs = found.iter().zip(expected).position(|(found, expected)| found != expected);
    assert!(
        found == expected,
        "{what}: {} of {} records, and the first that differs is {differs:?}",
        found.len(),
        expected.len()
    );
}

/// Lines of every kind, and those of them that are records.
fn lines(count: usize, random: &mut ChaCha8Rng) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (mut text, mut records) = (Vec::new(), Vec::new());
    for number in 0..count {
        let line: Vec<u8> = match random.next_u64() % 40 {
            0 => b"\xff\xfe broken".to_vec(),
            1 => b"\0".to_vec(),
            2 => b"a\rb".to_vec(),
            3 => b" \t".to_vec(),
            4 => Vec::new(),
            5 => vec![b'x'; 3_000],
            _ => format!("{{\"messageId\":\"m{number}\",\"type\":\"page\",\"anonymousId\":\"a\"}}").into_bytes(),
        };
        text.extend_from_slice(&line);
        text.extend_from_slice(if random.next_u64().is_multiple_of(3) { b"\r\n" } else { b"\n" });
        if !line.trim_ascii().is_empty() {
            records.push(line);
        }
    }
    (text, records)
}

fn command(service: &Service, args: &[&str]) -> Command {
    let mut command = super::support::tributary(&service.sets);
    command.args(args);
    command
}

#[test]
fn a_send_that_is_killed_at_any_moment_sends_each_line_once() {
    let mut random = random("send");
    let mut kills = 0;
    for round in 0..8 {
        let folder = tempfile::tempdir().unwrap();
        let service = Service::in_folder(folder.path(), 1);
        let (sdk, utm) = (folder.path().join("sdk.ndjson"), folder.path().join("utm.ndjson"));
        let (text, expected) = lines(20_000, &mut random);
        fs::write(&sdk, text).unwrap();
        let (text, more) = lines(3_000, &mut random);
        fs::write(&utm, text).unwrap();
        let args = ["send", "--sdk", sdk.to_str().unwrap(), "--utm", utm.to_str().unwrap()];
        let again = || command(&service, &args);
        kills += kill_until_done(
            &again,
            &|| is_unfinished(folder.path()),
            &mut random,
            if round % 2 == 0 { 120_000 } else { 40_000 },
        );
        assert_same(&records(folder.path(), Topic::Sdk), &expected, &format!("round {round}: the lines of the first file"));
        assert_same(&records(folder.path(), Topic::Utm), &more, &format!("round {round}: those of the second"));
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 3, "{left:?}");
        assert!(!is_unfinished(folder.path()));
        // It has reported its end: started again, it sends everything again.
        service.ok(&args);
        assert_eq!(records(folder.path(), Topic::Utm).len(), 2 * more.len());
    }
    eprintln!("{kills} kills of send");
    assert!(kills > 4, "{kills}");
}

#[test]
fn an_import_that_is_killed_at_any_moment_sends_each_row_once() {
    let mut random = random("import");
    let mut kills = 0;
    for round in 0..6 {
        let folder = tempfile::tempdir().unwrap();
        let service = Service::in_folder(folder.path(), 1);
        let as_lines = round % 3 == 2;
        let file = folder.path().join(if as_lines { "list.ndjson" } else { "list.csv" });
        let mut text = if as_lines { String::new() } else { "timestamp,user_id\n".to_owned() };
        let mut good = 0;
        for row in 0..15_000 {
            let time = if random.next_u64().is_multiple_of(50) { "never" } else { "2022-04-13" };
            good += usize::from(time != "never");
            text += &match as_lines {
                true => format!("{{\"timestamp\":\"{time}\",\"user_id\":\"u{row}\"}}\n"),
                false => format!("{time},u{row}\n"),
            };
        }
        fs::write(&file, &text).unwrap();
        let args = ["import", file.to_str().unwrap()];
        let again = || command(&service, &args);
        kills += kill_until_done(
            &again,
            &|| is_unfinished(folder.path()),
            &mut random,
            if round % 2 == 0 { 150_000 } else { 50_000 },
        );
        let interrupted = records(folder.path(), Topic::Offline);

        let other = tempfile::tempdir().unwrap();
        assert_eq!(Service::in_folder(other.path(), 1).command(&args).status.code(), Some(1), "rows were refused");
        assert!(interrupted == records(other.path(), Topic::Offline), "round {round}: as if it had not been killed");
        assert_eq!(interrupted.len(), good);
        assert!(!is_unfinished(folder.path()));
    }
    eprintln!("{kills} kills of import");
    assert!(kills > 3, "{kills}");
}

#[test]
fn an_input_with_an_unreadable_file_is_stored_up_to_it_and_continued() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 1);
    let (one, two) = (folder.path().join("1.ndjson"), folder.path().join("2.csv"));
    fs::write(&one, "{\"a\":1}\n{\"a\":2}\n").unwrap();
    // Its header cannot be used, which shows only when its turn comes.
    fs::write(&two, "timestamp,timestamp\n2022-04-13,x\n").unwrap();
    let args = ["send", "--sdk", one.to_str().unwrap(), "--offline", two.to_str().unwrap()];
    assert_eq!(service.command(&args).status.code(), Some(1));
    assert_eq!(records(folder.path(), Topic::Sdk).len(), 2);
    assert_eq!(service.command(&args).status.code(), Some(1));
    assert_eq!(records(folder.path(), Topic::Sdk).len(), 2, "gone on with, not begun anew");
    // Repaired it is other work: all of it is sent.
    fs::write(&two, "timestamp,user_id\n2022-04-13,x\n").unwrap();
    service.ok(&args);
    assert_eq!((records(folder.path(), Topic::Sdk).len(), records(folder.path(), Topic::Offline).len()), (4, 1));
}
