//! `tributary tail`: prints the records of a topic as JSON lines.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};
use tributary_runtime::topic::{Content, Topic};

use crate::global::Global;
use crate::source::{self, Found, Next};
use crate::{logging, outcome, stdout};

/// How long one read waits.
const WAIT: Duration = Duration::from_millis(200);

const AFTER_HELP: &str = "\
Reads only committed records, and changes no consumer group's offsets. A tombstone is printed as its key and null.
Credits and the other outputs contain personal data: mind where you write them.

Example: all credit updates so far:
  tributary tail credits --from-beginning --until-end > credits.ndjson";

/// The arguments of `tail`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct TailArgs {
    /// An output such as credits or dead-letters, a raw topic, or an inbox
    #[arg(value_name = "TOPIC", value_parser = topic)]
    topic: Topic,
    /// Begin with the first record, not with the next new one
    #[arg(long)]
    from_beginning: bool,
    /// Stop after this many records
    #[arg(long, value_name = "N")]
    max: Option<u64>,
    /// Stop after the last record that exists now
    #[arg(long)]
    until_end: bool,
}

fn topic(name: &str) -> Result<Topic, String> {
    let known = Topic::ALL.into_iter().filter(|topic| !matches!(topic.spec().content, Content::State));
    known.clone().find(|topic| topic.name() == name).ok_or_else(|| {
        let names: Vec<&str> = known.map(Topic::name).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// Runs `tail`.
///
/// # Errors
/// When the topic cannot be read or a record is malformed.
pub fn run(args: &TailArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    if args.max == Some(0) {
        return Err(outcome::Usage("--max: 1 or more".into()).into());
    }
    let mut reader = source::open(&settings, args.topic, args.from_beginning)?;
    let mut out = io::BufWriter::new(stdout::records());
    let mut printed = 0;
    loop {
        match reader.next(WAIT)? {
            Next::Record(found) => {
                write_line(&mut out, args.topic, &found)
                    .with_context(|| format!("partition {}, offset {}", found.partition, found.offset))?;
                printed += 1;
                if args.max == Some(printed) {
                    break;
                }
            }
            Next::End if args.until_end => break,
            Next::Idle | Next::End => out.flush()?,
        }
    }
    Ok(out.flush()?)
}

/// Writes one record as a line.
///
/// # Errors
/// When the record is malformed, or the line cannot be written.
pub fn write_line(out: &mut impl Write, topic: Topic, found: &Found) -> anyhow::Result<()> {
    let Some(value) = &found.value else {
        writeln!(out, "{}", json!({"key": String::from_utf8_lossy(&found.key), "value": null}))?;
        return Ok(());
    };
    let bytes = value.as_slice();
    match topic.spec().content {
        Content::Rows(rows) => out.write_all(&rows.to_json(bytes)?)?,
        Content::Messages(shown) => serde_json::to_writer(&mut *out, &internal(found, &shown(bytes)?))?,
        Content::Texts | Content::State => out.write_all(bytes)?,
    }
    out.write_all(b"\n")?;
    Ok(())
}

/// A record of an inbox, for debugging: its message is printed in Rust's debug format.
fn internal(found: &Found, message: &str) -> Value {
    json!({
        "partition": found.partition,
        "offset": found.offset,
        "timestamp_ms": found.timestamp_ms,
        "key": String::from_utf8_lossy(&found.key).replace('\u{1f}', "|"),
        "message": message,
    })
}

#[cfg(test)]
mod tests {
    use tributary_proto::{CreditUpdate, Message};

    use super::*;

    fn line(topic: Topic, key: &[u8], value: Option<Vec<u8>>) -> anyhow::Result<String> {
        let found = Found { partition: 1, offset: 2, timestamp_ms: 3, key: key.to_vec(), value };
        let mut out = Vec::new();
        write_line(&mut out, topic, &found)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn outputs_are_decoded() {
        let update = CreditUpdate { milestone_id: "mql:1".into(), weight_nano: 5, ..Default::default() };
        let credit = line(Topic::Credits, b"mql:1", Some(update.encode_to_vec())).unwrap();
        assert!(
            credit.starts_with("{\"milestone_id\":\"mql:1\"")
                && credit.contains("\"weight_nano\":5")
                && credit.ends_with("}\n")
        );
        assert_eq!(line(Topic::Credits, b"", Some(b"{}".to_vec())).unwrap(), "{}\n");
        assert_eq!(line(Topic::Profiles, b"p_1", None).unwrap(), "{\"key\":\"p_1\",\"value\":null}\n");
        assert!(line(Topic::Profiles, b"p_1", Some(vec![0xff])).is_err());
    }

    #[test]
    fn inboxes_are_shown_with_their_place() {
        let inbox = line(Topic::IdentityInbox, b"email\x1f\x1fx", Some(Vec::new())).unwrap();
        let inbox: Value = serde_json::from_str(&inbox).unwrap();
        assert_eq!((&inbox["key"], &inbox["offset"]), (&json!("email||x"), &json!(2)));
    }

    #[test]
    fn topics_are_named_by_role() {
        assert_eq!(topic("dead-letters"), Ok(Topic::DeadLetters));
        assert!(topic("identity-changelog").is_err());
        assert!(topic("credit").unwrap_err().contains("credits"));
    }
}
