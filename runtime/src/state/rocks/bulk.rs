//! Bulk loading, when a state is restored from its changelog.

use rocksdb::{IngestExternalFileOptions, SstFileWriter};

use super::options::{LOADED_FILES, OVERLAPPING_FILES, bulk_options};
use super::{POSITION_KEY, RocksStore, StoreError, Writer};
use crate::exactly_once::Position;
use crate::state::load::Load;

impl RocksStore {
    /// Takes in what was collected, as one sorted file: a tenth of the work of writing it. All or nothing, and durable.
    ///
    /// # Errors
    /// When the partition was opened again since, or the file system fails.
    pub fn ingest(&self, load: &mut Load, position: Position) -> Result<(), StoreError> {
        // Where nothing is there, nothing is to be removed.
        let removes = self.position()?.is_some();
        let encoded = position.encode();
        load.push(POSITION_KEY, Some(&encoded));
        load.sort();
        let failed = |error| self.inner.failed("restoring", error);
        let file = self.inner.path.join("restore.sst");
        let mut writer = self.writer()?;
        self.set_loaded(&mut writer, true)?;
        let options = bulk_options();
        let mut sst = SstFileWriter::create(&options);
        sst.open(&file).map_err(failed)?;
        for (key, value) in load.latest() {
            match value {
                Some(value) => sst.put(key, value).map_err(failed)?,
                None if removes => sst.delete(key).map_err(failed)?,
                None => {}
            }
        }
        sst.finish().map_err(failed)?;
        drop(sst);
        let mut ingest = IngestExternalFileOptions::default();
        ingest.set_move_files(true);
        self.inner.db.ingest_external_file_opts(&ingest, vec![file]).map_err(failed)
    }

    /// What was taken in may lie over one another for a while: compacting it at once makes the restore of the other partitions wait, and
    /// takes longer than to compact all of it later.
    pub(super) fn set_loaded(&self, writer: &mut Writer, loaded: bool) -> Result<(), StoreError> {
        if writer.loaded != loaded {
            let files = if loaded { LOADED_FILES } else { OVERLAPPING_FILES };
            let changed = self.inner.db.set_options(&[("level0_file_num_compaction_trigger", &files.to_string())]);
            changed.map_err(|error| self.inner.failed("restoring", error))?;
            writer.loaded = loaded;
        }
        Ok(())
    }
}
