//! How far an import has come: a small file beside the imported one, so that it goes where the file goes and anybody can see it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tributary_proto::Hash128;

/// How much is read at a time, bytes.
const CHUNK: usize = 1 << 20;

/// What a mark says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    /// The hash of the file's bytes and of how they were read: of another file the mark says nothing.
    pub file: String,
    /// Where the records were sent.
    pub target: String,
    /// Rows that are done with: those sent, all of them stored, and those refused.
    pub rows: u64,
    /// Rows sent.
    pub sent: u64,
    /// Rows refused.
    pub refused: u64,
}

/// The mark of a file.
#[derive(Debug)]
pub struct Mark {
    path: PathBuf,
    writable: bool,
}

impl Mark {
    /// The mark beside a file: `list.csv.imported`.
    pub fn beside(file: &Path) -> Self {
        let mut path = file.as_os_str().to_owned();
        path.push(".imported");
        Self { path: path.into(), writable: true }
    }

    /// What is done of this file for this target; nothing, where there is no mark, or one of something else.
    pub fn read(&self, file: &str, target: &str) -> Done {
        let fresh = Done { file: file.to_owned(), target: target.to_owned(), ..Done::default() };
        let found = fs::read(&self.path).ok().and_then(|bytes| serde_json::from_slice::<Done>(&bytes).ok());
        found.filter(|found| found.file == fresh.file && found.target == fresh.target).unwrap_or(fresh)
    }

    /// Writes down what is done. Where that is not possible, an interrupted import begins anew, which does no harm.
    pub fn write(&mut self, done: &Done) {
        if !self.writable {
            return;
        }
        let draft = self.path.with_extension("imported.new");
        let written = serde_json::to_vec(done).map_err(io::Error::from).and_then(|bytes| fs::write(&draft, bytes));
        if let Err(error) = written.and_then(|()| fs::rename(&draft, &self.path)) {
            tracing::warn!(file = %self.path.display(), "cannot be written: {error}; an interrupted import will begin anew");
            self.writable = false;
        }
    }

    /// Takes the mark away: all is done.
    pub fn remove(&self) {
        // There may be none.
        let _ = fs::remove_file(&self.path);
    }
}

/// The hash of a file's bytes and of how they are read.
///
/// # Errors
/// When it cannot be read.
pub fn fingerprint(file: &Path, how: &str) -> io::Result<String> {
    let mut reader = File::open(file)?;
    let mut hash = Hash128::of(how.as_bytes());
    let mut chunk = Vec::with_capacity(CHUNK);
    loop {
        chunk.clear();
        if (&mut reader).take(CHUNK as u64).read_to_end(&mut chunk)? == 0 {
            return Ok(hash.to_string());
        }
        chunk.extend_from_slice(&hash.to_bytes());
        hash = Hash128::of(&chunk);
    }
}
