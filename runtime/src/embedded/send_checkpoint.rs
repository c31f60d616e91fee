//! Checkpoints of `send` and `import`: changed in one write batch with the records.

use super::{EmbeddedError, EmbeddedLog, META};
use crate::stage::Output;

/// Prefix of the key of a checkpoint; the name follows. Part of the stored format: do not change.
const PREFIX: &str = "mark/";

fn key(name: &str) -> Vec<u8> {
    format!("{PREFIX}{name}").into_bytes()
}

impl EmbeddedLog {
    /// Appends records as [`Self::append`] does, and sets the checkpoint with this name, atomically.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn append_with_checkpoint(
        &self,
        records: impl IntoIterator<Item = (Output, i64)>,
        keyless: u32,
        (name, checkpoint): (&str, &[u8]),
    ) -> Result<(), EmbeddedError> {
        let meta = self.inner.family(META)?;
        self.append_with(records, keyless, |batch| batch.put_cf(meta, key(name), checkpoint))
    }

    /// The checkpoint with this name.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn send_checkpoint(&self, name: &str) -> Result<Option<Vec<u8>>, EmbeddedError> {
        let meta = self.inner.family(META)?;
        self.inner.db.get_cf(meta, key(name)).map_err(|error| self.inner.error("reading", &error))
    }
}

#[cfg(test)]
mod tests {
    use super::super::EmbeddedOptions;
    use super::*;
    use crate::topic::Topic;

    /// The first sender creates the log, and may be killed while doing so.
    #[test]
    fn a_log_whose_creation_was_interrupted_is_completed() {
        for families in 0..=4 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log");
            let mut options = rocksdb::Options::default();
            options.create_if_missing(true);
            let mut db = rocksdb::DB::open(&options, &path).unwrap();
            for name in super::super::FAMILIES.into_iter().take(families) {
                db.create_cf(name, &rocksdb::Options::default()).unwrap();
            }
            drop(db);
            let options = EmbeddedOptions { path, partitions: 1, memory_bytes: 8 << 20, sync: false, json_dead_letters: false };
            let log = EmbeddedLog::open(&options).unwrap();
            log.append_with_checkpoint([], 0, ("a", b"1")).unwrap();
            drop(log);
            assert_eq!(EmbeddedLog::open(&options).unwrap().send_checkpoint("a").unwrap().as_deref(), Some(&b"1"[..]));
        }
    }

    #[test]
    fn a_checkpoint_is_there_with_its_records() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let options =
            EmbeddedOptions { path: path.clone(), partitions: 1, memory_bytes: 8 << 20, sync: false, json_dead_letters: false };
        let log = EmbeddedLog::open(&options).unwrap();
        let record = || (Output { topic: Topic::Sdk, key: Vec::new(), value: Some(b"x".to_vec()) }, 1);
        assert_eq!(log.send_checkpoint("a").unwrap(), None);
        log.append_with_checkpoint([record(), record()], 0, ("a", b"2")).unwrap();
        log.append_with_checkpoint([], 0, ("b", b"0")).unwrap();
        drop(log);
        let log = EmbeddedLog::open(&options).unwrap();
        assert_eq!((log.send_checkpoint("a").unwrap().as_deref(), log.end(Topic::Sdk, 0)), (Some(&b"2"[..]), 2));
        assert_eq!((log.send_checkpoint("b").unwrap().as_deref(), log.partitions()), (Some(&b"0"[..]), 1));
    }
}
