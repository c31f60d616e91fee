//! What is to be sent, known by its content; and the file that says that it is unfinished.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tributary_proto::Hash128;
use tributary_runtime::topic::Topic;

use crate::stdout;

/// How much is read at a time, bytes.
const CHUNK: usize = 1 << 20;

/// Files that a command sends to a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The hash of all that decides of its records: the bytes of the files, how they are read, and where they go.
    pub id: String,
    /// The file that says that it is unfinished: `list.csv.imported`, `events.ndjson.sent`.
    beside: PathBuf,
}

impl Work {
    /// The work of sending these files to `target`. `how` is what decides of their reading, `ending` what is put behind the first file's name.
    /// `None` where a file can be read only once, such as a pipe.
    ///
    /// # Errors
    /// The file that cannot be read.
    pub fn of(files: &[(Topic, &Path)], how: &str, target: &str, ending: &str) -> Result<Option<Self>, (PathBuf, io::Error)> {
        let mut id = format!("{how}\u{1f}{target}");
        for (topic, file) in files {
            let failed = |error| (file.to_path_buf(), error);
            let kind = fs::metadata(file).map_err(failed)?;
            if kind.is_dir() {
                return Err(failed(io::ErrorKind::IsADirectory.into()));
            }
            if !kind.is_file() {
                return Ok(None);
            }
            id = fingerprint(file, &format!("{id}\u{1f}{}", topic.name())).map_err(failed)?;
        }
        let Some((_, first)) = files.first() else { return Ok(None) };
        let mut beside = first.as_os_str().to_owned();
        beside.push(ending);
        Ok(Some(Self { id, beside: beside.into() }))
    }
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    work: String,
    run: String,
}

/// A run that is not finished: there is a file that says so.
#[derive(Debug)]
pub struct Unfinished {
    /// The run's name. The marks that are its own have it.
    pub run: String,
    /// The file; `None` where none could be made.
    path: Option<PathBuf>,
}

impl Unfinished {
    /// The unfinished run of this work, or a new one. The file is beside the first one that is sent, or else in the folder `elsewhere`.
    pub fn find_or_make(work: &Work, elsewhere: Option<&Path>) -> Self {
        let other = elsewhere.map(|folder| folder.join(format!("unfinished-{}", work.id)));
        let places: Vec<PathBuf> = std::iter::once(work.beside.clone()).chain(other).collect();
        for place in &places {
            let note = fs::read(place).ok().and_then(|bytes| serde_json::from_slice::<Note>(&bytes).ok());
            if let Some(note) = note.filter(|note| note.work == work.id) {
                return Self { run: note.run, path: Some(place.clone()) };
            }
        }
        let now = jiff::Timestamp::now().as_nanosecond();
        let run = Hash128::of(format!("{now} {} {}", std::process::id(), work.id).as_bytes()).to_string();
        let note = Note { work: work.id.clone(), run: run.clone() };
        let mut why = None;
        for place in places {
            match write(&place, &note) {
                Ok(()) => return Self { run, path: Some(place) },
                Err(error) => drop(why.get_or_insert((place, error))),
            }
        }
        if let Some((place, error)) = why {
            tracing::warn!(file = %place.display(), "cannot be written: {error}; if this is interrupted, it will begin anew");
        }
        Self { run, path: None }
    }

    /// The result was told: from now on the same command is a new run.
    pub fn confirm(self) {
        if let Some(path) = self.path {
            // Whoever has taken it away already wanted the same.
            let _ = fs::remove_file(path);
        }
    }

    /// The result was told: it is [confirmed](Self::confirm) as the last thing that the process does.
    pub fn confirm_at_exit(self) {
        let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
        *told = Some(self);
    }
}

/// What is to be confirmed when the process ends.
static TOLD: Mutex<Option<Unfinished>> = Mutex::new(None);

/// Ends the process, where something is to be confirmed: between that and the end there is nothing that takes time, for whoever kills the
/// process there would take the run for one that was interrupted.
pub fn exit_confirmed(exit_code: u8) {
    let told = TOLD.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(unfinished) = told {
        let _ = stdout::out().flush();
        unfinished.confirm();
        // What libraries do at an exit takes milliseconds; the log was closed before.
        signal_hook::low_level::exit(exit_code.into());
    }
}

/// Whoever reads it finds the whole of it, or nothing.
fn write(path: &Path, note: &Note) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let mut file = File::create(&draft)?;
    file.write_all(&serde_json::to_vec(note)?)?;
    file.sync_all()?;
    fs::rename(draft, path)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_what_is_read_and_how_and_where_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&a, "1\n").unwrap();
        fs::write(&b, "2\n").unwrap();
        let id = |files: &[(Topic, &Path)], how, target| Work::of(files, how, target, ".sent").unwrap().unwrap().id;
        let one = id(&[(Topic::Sdk, &a)], "", "log");
        assert_eq!(one, id(&[(Topic::Sdk, &a)], "", "log"));
        let mut all = vec![
            one,
            id(&[(Topic::Utm, &a)], "", "log"),
            id(&[(Topic::Sdk, &a)], "gbk", "log"),
            id(&[(Topic::Sdk, &a)], "", "other"),
            id(&[(Topic::Sdk, &a), (Topic::Sdk, &b)], "", "log"),
            id(&[(Topic::Sdk, &b), (Topic::Sdk, &a)], "", "log"),
        ];
        fs::write(&a, "1\n\n").unwrap();
        all.push(id(&[(Topic::Sdk, &a)], "", "log"));
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 7);
        assert!(Work::of(&[(Topic::Sdk, folder.path())], "", "", "").is_err());
        assert!(Work::of(&[(Topic::Sdk, &folder.path().join("none"))], "", "", "").is_err());
        assert_eq!(Work::of(&[(Topic::Sdk, Path::new("/dev/null"))], "", "", "").unwrap(), None);
    }

    #[test]
    fn a_run_is_unfinished_until_it_is_confirmed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list.csv");
        fs::write(&file, "x").unwrap();
        let work = |how: &str| Work::of(&[(Topic::Offline, &file)], how, "log", ".imported").unwrap().unwrap();
        let first = Unfinished::find_or_make(&work(""), None);
        assert!(folder.path().join("list.csv.imported").exists());
        assert_eq!(Unfinished::find_or_make(&work(""), None).run, first.run);
        assert_ne!(Unfinished::find_or_make(&work("other"), None).run, first.run, "other work takes its place");
        let again = Unfinished::find_or_make(&work(""), None);
        assert_ne!(again.run, first.run);
        again.confirm();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn where_nothing_can_be_written_beside_it_is_elsewhere_or_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let work = Work { id: "w".into(), beside: folder.path().join("none/list.sent") };
        let run = Unfinished::find_or_make(&work, Some(folder.path())).run;
        assert_eq!(Unfinished::find_or_make(&work, Some(folder.path())).run, run);
        Unfinished::find_or_make(&work, Some(folder.path())).confirm();
        assert_ne!(Unfinished::find_or_make(&work, None).run, run);
    }
}
