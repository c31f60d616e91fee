//! Opens a folder for writing. An unusable one is set aside, and a new one is created.

use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use rocksdb::DB;

use super::broken::{is_marked, open_failed, set_aside};
use super::options::database_options;
use super::{Inner, POSITION_KEY, StoreBudget, StoreError, Writer};
use crate::exactly_once::Position;
use crate::rocks_failure::is_damage;

impl Inner {
    pub(super) fn open(path: &Path, budget: &StoreBudget) -> Result<Self, StoreError> {
        std::fs::create_dir_all(path).map_err(|error| StoreError::Failed {
            path: path.to_owned(),
            operation: "making it",
            why: error.to_string(),
        })?;
        if is_marked(path) {
            set_aside(path, "it was found corrupt before")?;
        }
        let options = database_options(budget);
        let db = match DB::open(&options, path) {
            Ok(db) if has_unknown_format(&db) => {
                drop(db);
                set_aside(path, "it has a format that this version does not know")?;
                DB::open(&options, path)
            }
            Err(error) if is_damage(&error) => {
                set_aside(path, error.as_ref())?;
                DB::open(&options, path)
            }
            result => result,
        };
        let db = db.map_err(|error| open_failed(path, "opening", &error))?;
        Ok(Self { db, path: path.to_owned(), writer: Mutex::new(Writer { claim: 0, flushed: Instant::now(), loaded: false }) })
    }
}

/// A position that cannot be read is reported by the next reader.
fn has_unknown_format(db: &DB) -> bool {
    matches!(db.get(POSITION_KEY), Ok(Some(bytes)) if Position::decode(&bytes).is_none())
}
