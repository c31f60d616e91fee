//! Files of raw records: the list of files, and an iterator over their records.

use std::path::{Path, PathBuf};

use clap::Args;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use tributary_ingest::{Decoder, limits};
use tributary_pipeline::replay::Replay;
use tributary_pipeline::settings::Settings;
use tributary_runtime::topic::Topic;

use crate::lines::{Line, Lines};
use crate::outcome::Usage;
use crate::progress::Progress;
use crate::rows::{Rows, is_table};

/// Files of raw records, by source.
#[derive(Debug, Clone, Default, Args)]
pub struct RawFiles {
    /// NDJSON of Segment-spec messages
    #[arg(long, value_name = "FILE")]
    pub sdk: Vec<PathBuf>,
    /// NDJSON of landing hits
    #[arg(long, value_name = "FILE")]
    pub utm: Vec<PathBuf>,
    /// NDJSON of provider pushes
    #[arg(long, value_name = "FILE")]
    pub webhook: Vec<PathBuf>,
    /// NDJSON of native records, or a table of them (CSV, XLSX)
    #[arg(long, value_name = "FILE")]
    pub offline: Vec<PathBuf>,
}

impl RawFiles {
    /// Every file with its topic.
    ///
    /// # Errors
    /// When there is none.
    pub fn list(&self) -> Result<Vec<(Topic, PathBuf)>, Usage> {
        let sources = [&self.sdk, &self.utm, &self.webhook, &self.offline];
        let all: Vec<(Topic, PathBuf)> = Topic::RAW
            .into_iter()
            .zip(sources)
            .flat_map(|(topic, files)| files.iter().map(move |file| (topic, readable(file))))
            .collect();
        if all.is_empty() {
            return Err(Usage("no input: give --sdk, --utm, --webhook or --offline".into()));
        }
        Ok(all)
    }
}

/// The path to open: `-` is standard input.
fn readable(file: &Path) -> PathBuf {
    if file == Path::new("-") { PathBuf::from("/dev/stdin") } else { file.to_owned() }
}

/// Reads the records of a file: NDJSON, or a table for the offline topic. Invalid rows are passed as `None` and logged.
///
/// # Errors
/// When the file cannot be read, or `take` fails.
pub fn each_record(
    topic: Topic,
    file: &Path,
    settings: &Settings,
    take: &mut dyn FnMut(Option<&[u8]>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if topic == Topic::Offline && is_table(file) {
        let rows = Rows::open(file, &Decoder::new(&settings.ingest, &settings.kinds.kinds())?)?;
        rows.unread().iter().for_each(|unread| tracing::warn!(file = %file.display(), "{unread}"));
        return rows.each(&mut |row| match row {
            Ok((_, record)) => take(Some(record.as_bytes())),
            Err(problem) => {
                tracing::warn!(file = %file.display(), line = problem.line, column = problem.column, "{}", problem.reason);
                take(None)
            }
        });
    }
    let mut lines = Lines::open(file, settings.topics.record_bytes_max as usize)?;
    let mut cut = Vec::new();
    loop {
        let bytes = match lines.next_line()? {
            None => return Ok(()),
            Some(Line::Whole(line)) => {
                take(Some(line))?;
                continue;
            }
            Some(Line::TooLong { beginning, bytes }) => {
                stand_in(beginning, &mut cut);
                bytes
            }
        };
        let line = lines.line();
        tracing::warn!(file = %file.display(), line, bytes, "the line is too long for a record: its beginning goes to the dead letters");
        take(Some(&cut))?;
    }
}

/// The record for a line that is too long: as much of it as is needed to be refused for its size.
fn stand_in(beginning: &[u8], record: &mut Vec<u8>) {
    record.clear();
    record.extend(beginning.iter().take(limits::RECORD_BYTES_MAX + 1));
    // If the limit is smaller, the beginning may look like a complete record: so it ends with an invalid byte.
    if let (true, Some(last)) = (record.len() <= limits::RECORD_BYTES_MAX, record.last_mut()) {
        *last = 0xff;
    }
}

/// Reads the records of files into a replay, in random order if a seed is given, and runs it.
///
/// # Errors
/// When a file cannot be read, or a stage fails.
pub fn feed(
    replay: &mut Replay,
    files: &[(Topic, PathBuf)],
    shuffle: Option<u64>,
    received_ms: i64,
    settings: &Settings,
) -> anyhow::Result<()> {
    let mut progress = Progress::new("replay", None);
    let mut held = Vec::new();
    for (topic, file) in files {
        each_record(*topic, file, settings, &mut |record| {
            let Some(record) = record else { return Ok(()) };
            progress.add(1);
            if shuffle.is_some() {
                held.push((*topic, record.to_vec()));
                return Ok(());
            }
            replay.append(*topic, received_ms, record);
            Ok(replay.advance()?)
        })?;
    }
    if let Some(seed) = shuffle {
        shuffle_records(&mut held, seed);
        for (topic, record) in held {
            replay.append(topic, received_ms, &record);
            replay.advance()?;
        }
    }
    progress.finish();
    Ok(())
}

/// Fisher and Yates, with a generator that is the same on every platform.
pub fn shuffle_records<T>(records: &mut [T], seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for at in (1..records.len()).rev() {
        let other = random.next_u64() % (at as u64 + 1);
        records.swap(at, usize::try_from(other).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use tributary_ingest::Decoded;
    use tributary_proto::Source;
    use tributary_proto::kind::Kinds;

    use super::*;

    #[test]
    fn a_line_replaced_by_a_marker_is_refused_whatever_it_begins_with() {
        let decoder = Decoder::new(&tributary_ingest::Settings::default(), &Kinds::default()).unwrap();
        let mut record = Vec::new();
        let good = br#"{"timestamp":"2022-04-13","user_id":"u"}"#;
        for (length, reason) in [
            (4 << 20, "record_too_large"),
            ((1 << 20) + 1, "record_too_large"),
            (1 << 20, "record_too_large"),
            (2_000, "json_malformed"),
        ] {
            let mut line = good.to_vec();
            line.resize(length, b' ');
            stand_in(&line, &mut record);
            for source in [Source::Sdk, Source::Utm, Source::Webhook, Source::Offline] {
                let refused = decoder.decode(source, &record, Some(0), &mut Decoded::default()).unwrap_err();
                assert!(refused.reason.to_string().starts_with(reason), "{length} {source:?} {}", refused.reason);
            }
        }
    }
}
