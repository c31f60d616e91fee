//! Of each key the latest row, in bounded memory: what does not fit goes into unnamed files, by the hash of the key, and is taken a part at a
//! time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

/// The number of temporary files.
const FILES: u64 = 64;
/// Memory for an entry beside its bytes.
const ENTRY_OVERHEAD: usize = 128;

/// The last row of each key; `None` for a tombstone.
#[derive(Default)]
struct Rows {
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
}

impl Rows {
    fn take(&mut self, key: Vec<u8>, row: Option<Vec<u8>>) {
        let size = |row: &Option<Vec<u8>>| row.as_ref().map_or(0, Vec::len);
        let (length, added) = (key.len(), size(&row));
        self.bytes += match self.rows.insert(key, row) {
            Some(last) => {
                self.bytes = self.bytes.saturating_sub(size(&last));
                added
            }
            None => length + added + ENTRY_OVERHEAD,
        };
    }
}

/// See the module.
pub struct Fold {
    folder: PathBuf,
    bytes_max: usize,
    rows: Rows,
    files: Vec<BufWriter<File>>,
}

impl Fold {
    /// Keeps about `bytes_max` in memory, and the rest in unnamed temporary files in `folder`.
    pub fn new(folder: PathBuf, bytes_max: usize) -> Self {
        Self { folder, bytes_max, rows: Rows::default(), files: Vec::new() }
    }

    /// The folder of the temporary files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds a row or a tombstone; the last one of a key counts.
    ///
    /// # Errors
    /// When a temporary file cannot be written.
    pub fn take(&mut self, key: Vec<u8>, row: Option<Vec<u8>>) -> io::Result<()> {
        self.rows.take(key, row);
        if self.rows.bytes > self.bytes_max { self.put_aside() } else { Ok(()) }
    }

    fn put_aside(&mut self) -> io::Result<()> {
        while (self.files.len() as u64) < FILES {
            self.files.push(BufWriter::new(tempfile::tempfile_in(&self.folder)?));
        }
        for (key, row) in std::mem::take(&mut self.rows).rows {
            let at = usize::try_from(xxh3_64(&key) % FILES).unwrap_or(0);
            if let Some(file) = self.files.get_mut(at) {
                write_entry(file, &key, row.as_deref())?;
            }
        }
        Ok(())
    }

    /// Calls `hear` with all remaining rows: in the order of their keys if they fit into memory, else part by part.
    ///
    /// # Errors
    /// When a temporary file cannot be read; errors of `hear`.
    pub fn each<E: From<io::Error>>(mut self, hear: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if self.files.is_empty() {
            return tell(self.rows, hear);
        }
        self.put_aside()?;
        for file in self.files {
            let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            // Rows take more memory than their bytes in the file. For small rows this makes a few passes too many.
            let passes = file.stream_position()?.saturating_mul(4) / (self.bytes_max as u64).max(1) + 1;
            for pass in 0..passes {
                file.rewind()?;
                let (mut entries, mut rows) = (BufReader::new(&file), Rows::default());
                while let Some((key, row)) = read_entry(&mut entries)? {
                    if xxh3_64(&key) / FILES % passes == pass {
                        rows.take(key, row);
                    }
                }
                tell(rows, hear)?;
            }
        }
        Ok(())
    }
}

fn tell<E>(rows: Rows, hear: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    rows.rows.into_values().flatten().try_for_each(|row| hear(&row))
}

/// A key and its row; `None` for a tombstone.
type Entry = (Vec<u8>, Option<Vec<u8>>);

/// The length of a row is written plus one; 0 stands for a tombstone.
fn write_entry(out: &mut impl Write, key: &[u8], row: Option<&[u8]>) -> io::Result<()> {
    out.write_all(&(key.len() as u64).to_le_bytes())?;
    out.write_all(key)?;
    out.write_all(&row.map_or(0, |row| row.len() as u64 + 1).to_le_bytes())?;
    out.write_all(row.unwrap_or_default())
}

fn read_entry(from: &mut impl BufRead) -> io::Result<Option<Entry>> {
    if from.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let length = read_u64(from)?;
    let key = read_bytes(from, length)?;
    let row = match read_u64(from)? {
        0 => None,
        length => Some(read_bytes(from, length - 1)?),
    };
    Ok(Some((key, row)))
}

fn read_u64(from: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn read_bytes(from: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(said: &[(u8, Option<u16>)], bytes_max: usize) -> Vec<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let mut fold = Fold::new(folder.path().to_owned(), bytes_max);
        for (key, row) in said {
            fold.take(vec![*key], row.map(|row| [vec![*key], row.to_be_bytes().to_vec()].concat())).unwrap();
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "what is put aside has no name");
        let mut rows = Vec::new();
        fold.each::<io::Error>(&mut |row| {
            rows.push(row.to_vec());
            Ok(())
        })
        .unwrap();
        rows.sort();
        rows
    }

    #[test]
    fn the_latest_row_counts() {
        for bytes_max in [1, 1 << 20] {
            let said = [(1, Some(7)), (2, Some(5)), (3, Some(4)), (1, Some(6)), (2, None), (3, None), (3, Some(9))];
            assert_eq!(folded(&said, bytes_max), [[1, 0, 6], [3, 0, 9]]);
        }
    }

    proptest! {
        #[test]
        fn spilling_to_disk_changes_nothing(
            said in proptest::collection::vec((0_u8..40, proptest::option::of(0_u16..9)), 0..200),
            bytes_max in 1_usize..3_000,
        ) {
            prop_assert_eq!(folded(&said, bytes_max), folded(&said, 1 << 30));
        }
    }
}
