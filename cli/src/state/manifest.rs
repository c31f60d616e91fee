//! `backup.json`: the identity of a backup, and every file in it with its size and checksum.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::swap::sync_folder;

/// The file that describes a backup.
pub const MANIFEST: &str = "backup.json";
/// Version of the manifest. The first one had no checksums; it can still be read.
pub const VERSION: u32 = 2;
const WITHOUT_CHECKSUMS: u32 = 1;
/// Largest manifest, bytes.
const BYTES_MAX: u64 = 256 << 20;
/// Bytes per read.
const CHUNK: usize = 1 << 20;
/// RocksDB's lock file, which is not copied.
const LOCK_OF_STORE: &str = "LOCK";

/// The manifest: what a backup contains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Version of this file.
    pub version: u32,
    /// When it was made, milliseconds since 1970-01-01 UTC.
    pub made_ms: i64,
    /// Whether it is that of an embedded log.
    pub embedded: bool,
    /// Partitions of every topic.
    pub partitions: u32,
    /// Prefix of the consumer groups.
    pub group_prefix: String,
    /// Names of the topics that the state belongs to, by role.
    pub topics: BTreeMap<String, String>,
    /// The stores.
    pub stores: Vec<BackedUp>,
    /// The files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<BackedUpFile>,
    /// SHA-256 of everything above, as one line of JSON with this field empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
}

/// A store in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedUp {
    /// Its stage.
    pub stage: String,
    /// Its partition.
    pub partition: u32,
    /// The offset of the next record in the changelog.
    pub changelog_next: u64,
    /// When the record before that was written, milliseconds since 1970-01-01 UTC.
    pub as_of_ms: u64,
    /// The input offsets that it includes, by topic.
    pub inputs: BTreeMap<String, u64>,
}

/// A file in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedUpFile {
    /// Its path, relative to the backup's folder.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// Why a backup is damaged.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The manifest is missing or cannot be read.
    #[error("{} is no backup, or not a whole one: {why}", .path.display())]
    Manifest {
        /// Its path.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// A file is missing or has changed.
    #[error("the backup is damaged: {}: {why}; nothing was changed", .path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// The reason.
        why: String,
    },
}

impl Backup {
    /// Lists the files below the backup's folder, and writes the manifest. The manifest comes last: without it a backup is incomplete.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn seal(&mut self, folder: &Path) -> io::Result<()> {
        self.files = list(folder, Path::new(""))?;
        self.sha256 = self.checksum()?;
        let mut file = File::create_new(folder.join(MANIFEST))?;
        file.write_all(&self.text()?)?;
        file.sync_all()?;
        sync_folder(folder)
    }

    /// Reads the manifest of a backup.
    ///
    /// # Errors
    /// When there is none, or it has changed.
    pub fn read(folder: &Path) -> Result<Self, Damage> {
        let path = folder.join(MANIFEST);
        let damaged = |why: String| Damage::Manifest { path: path.clone(), why };
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(|error| damaged(error.to_string()))?;
        file.take(BYTES_MAX).read_to_end(&mut bytes).map_err(|error| damaged(error.to_string()))?;
        let backup: Self = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if backup.version == WITHOUT_CHECKSUMS && backup.files.is_empty() {
            return Ok(backup);
        }
        let as_written = backup.text().is_ok_and(|text| text == bytes);
        let sound = backup.checksum().is_ok_and(|checksum| checksum == backup.sha256);
        if as_written && sound { Ok(backup) } else { Err(damaged("it was changed after it was written".to_owned())) }
    }

    /// Whether files have checksums.
    pub fn has_checksums(&self) -> bool {
        self.version > WITHOUT_CHECKSUMS
    }

    /// The version that this program writes, if it can read the backup's version.
    pub fn readable_version(&self) -> u32 {
        if self.version == WITHOUT_CHECKSUMS { VERSION } else { self.version }
    }

    fn text(&self) -> io::Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }

    fn checksum(&self) -> io::Result<String> {
        let bare = Self { sha256: String::new(), ..self.clone() };
        Ok(hex(&Sha256::digest(serde_json::to_vec(&bare)?)))
    }

    /// Copies the files of one part of a backup into an existing folder, checking each.
    ///
    /// # Errors
    /// [`Damage`] when one is missing or has changed; else when the file system fails.
    pub fn copy(&self, folder: &Path, part: &Path, to: &Path, read: &mut dyn FnMut(u64)) -> anyhow::Result<()> {
        let listed = if self.has_checksums() { self.files.clone() } else { list(folder, part)? };
        let mut copied = 0;
        for file in &listed {
            let Ok(inner) = Path::new(&file.path).strip_prefix(part) else { continue };
            let from = folder.join(&file.path);
            let damaged = |why: &str| Damage::File { path: from.clone(), why: why.to_owned() };
            if !inner.components().all(|component| matches!(component, Component::Normal(_))) {
                return Err(damaged("its name leads out of the backup").into());
            }
            match from.symlink_metadata() {
                Err(error) => return Err(damaged(&error.to_string()).into()),
                Ok(found) if !found.is_file() => return Err(damaged("it is no regular file").into()),
                Ok(found) if found.len() != file.bytes => return Err(damaged("its size has changed").into()),
                Ok(_) => {}
            }
            let target = to.join(inner);
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent)?;
            }
            let copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&target)?;
            let (bytes, checksum) = digest(&mut File::open(&from)?, Some(copy), read)?;
            if (bytes, &checksum) != (file.bytes, &file.sha256) {
                return Err(damaged("its content has changed (SHA-256)").into());
            }
            copied += 1;
        }
        if copied == 0 {
            let why = "the backup has no file of it".to_owned();
            return Err(Damage::File { path: folder.join(part), why }.into());
        }
        Ok(())
    }
}

/// The regular files below a folder, sorted.
fn list(root: &Path, part: &Path) -> io::Result<Vec<BackedUpFile>> {
    let mut found = Vec::new();
    let mut folders = vec![part.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let (kind, name) = (entry.file_type()?, entry.file_name());
            let path = folder.join(&name);
            if kind.is_dir() {
                folders.push(path);
            } else if name != LOCK_OF_STORE && name != MANIFEST {
                if !kind.is_file() {
                    return Err(io::Error::other(format!("{} is no regular file", root.join(&path).display())));
                }
                let file = File::open(root.join(&path))?;
                file.sync_all()?;
                let (bytes, sha256) = digest(&mut &file, None, &mut |_| {})?;
                let path = path.to_str().ok_or_else(|| io::Error::other("a file's name is no text"))?.to_owned();
                found.push(BackedUpFile { path, bytes, sha256 });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Reads a file, optionally copies it, and returns its size and checksum.
fn digest(from: &mut impl Read, mut copy: Option<File>, read: &mut dyn FnMut(u64)) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut total = 0;
    loop {
        let length = match from.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            length => length?,
        };
        let bytes = chunk.get(..length).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        hash.update(bytes);
        total += bytes.len() as u64;
        read(bytes.len() as u64);
        if let Some(copy) = &mut copy {
            copy.write_all(bytes)?;
        }
    }
    if let Some(copy) = copy {
        copy.sync_all()?;
    }
    Ok((total, hex(&hash.finalize())))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
