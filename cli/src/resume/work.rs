//! The files to be sent, identified by their content; and the file that marks a run as unfinished.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tributary_proto::Hash128;
use tributary_runtime::topic::Topic;

use crate::stdout;

/// Bytes per read.
const CHUNK: usize = 1 << 20;

/// Files that a command sends to a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// A hash of everything that decides which records are sent: the bytes of the files, how they are read, and the target.
    pub id: String,
    /// The file that marks it as unfinished: `list.csv.imported`, `events.ndjson.sent`.
    beside: PathBuf,
}

impl Work {
    /// The work of sending these files to `target`. `how` identifies the options of reading, `ending` is appended to the first file's name.
    /// `None` if a file can be read only once, such as a pipe.
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

/// Where unfinished work is noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotedIn {
    /// Beside the first file, because on Kafka there is no state folder. The note is deleted at the end.
    Beside,
    /// In the state folder. At the end the note is overwritten, which is fast; the next run deletes it.
    State(PathBuf),
}

/// The beginning of an unfinished note in the state folder; the run's data follows.
const UNFINISHED: &[u8; 11] = b"unfinished\n";
const TOLD: &[u8; 11] = b"told      \n";
/// Prefix of the names of such notes.
const NAME: &str = "unfinished-";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    work: String,
    run: String,
}

/// An unfinished run with its note.
#[derive(Debug)]
pub struct Unfinished {
    /// The run's name, contained in its checkpoints.
    pub run: String,
    /// The note, open; `None` if it could not be created.
    noted: Option<(PathBuf, File)>,
    kept: bool,
}

impl Unfinished {
    /// The unfinished run of this work, or a new one.
    pub fn find_or_make(work: &Work, place: &NotedIn) -> Self {
        let (path, kept) = match place {
            NotedIn::Beside => (work.beside.clone(), false),
            NotedIn::State(folder) => {
                remove_told(folder);
                (folder.join(format!("{NAME}{}", work.id)), true)
            }
        };
        let found = fs::read(&path).ok();
        let note = found.as_deref().and_then(|bytes| bytes.strip_prefix(UNFINISHED));
        if let Some(note) = note.and_then(|note| serde_json::from_slice::<Note>(note).ok()).filter(|note| note.work == work.id)
            && let Ok(file) = File::options().write(true).open(&path)
        {
            return Self { run: note.run, noted: Some((path, file)), kept };
        }
        let now = jiff::Timestamp::now().as_nanosecond();
        let run = Hash128::of(format!("{now} {} {}", std::process::id(), work.id).as_bytes()).to_string();
        match write(&path, &Note { work: work.id.clone(), run: run.clone() }) {
            Ok(file) => Self { run, noted: Some((path, file)), kept },
            Err(error) => {
                tracing::warn!(file = %path.display(), "cannot be written: {error}; an interrupted run will start from the beginning");
                Self { run, noted: None, kept }
            }
        }
    }

    /// Call when the result was printed: from now on, the same command is a new run.
    pub fn confirm(self) {
        let Some((path, file)) = self.noted else { return };
        // If another process has deleted the file already, that is fine.
        let _ = if self.kept { file.write_all_at(TOLD, 0) } else { fs::remove_file(path) };
    }

    /// Call when the result was printed: it is [confirmed](Self::confirm) as the last action of the process.
    pub fn confirm_at_exit(self) {
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(self);
    }
}

/// Deletes the notes of runs whose result was printed.
fn remove_told(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_note = entry.file_name().to_str().is_some_and(|name| name.starts_with(NAME));
        if is_note && fs::read(entry.path()).is_ok_and(|bytes| bytes.starts_with(TOLD)) {
            // If it fails, the next run tries again.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// What is to be confirmed when the process ends.
static LAST: Mutex<Option<Unfinished>> = Mutex::new(None);

/// Ends the process if something is to be confirmed. Nothing slow may come between confirming and the end: a process killed there would
/// look like an interrupted run.
pub fn exit_confirmed(exit_code: u8) {
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(unfinished) = last {
        let _ = stdout::out().flush();
        unfinished.confirm();
        // The exit handlers of libraries take milliseconds; the log is already closed.
        signal_hook::low_level::exit(exit_code.into());
    }
}

/// Written atomically: readers see all of it, or nothing.
fn write(path: &Path, note: &Note) -> io::Result<File> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let mut file = File::create(&draft)?;
    file.write_all(&[UNFINISHED.as_slice(), &serde_json::to_vec(note)?].concat())?;
    file.sync_all()?;
    fs::rename(draft, path)?;
    Ok(file)
}

/// A hash of a file's bytes and of the options of reading.
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
        let state = folder.path().join("state");
        fs::create_dir(&state).unwrap();
        let work = |how: &str| Work::of(&[(Topic::Offline, &file)], how, "log", ".imported").unwrap().unwrap();
        for place in [NotedIn::Beside, NotedIn::State(state.clone())] {
            let first = Unfinished::find_or_make(&work(""), &place).run;
            assert_eq!(folder.path().join("list.csv.imported").exists(), place == NotedIn::Beside);
            assert_eq!(Unfinished::find_or_make(&work(""), &place).run, first);
            assert_ne!(Unfinished::find_or_make(&work("other"), &place).run, first, "other work");
            let again = Unfinished::find_or_make(&work(""), &place);
            assert_eq!(again.run == first, place != NotedIn::Beside, "beside the file there is room for one");
            let run = again.run.clone();
            again.confirm();
            let next = Unfinished::find_or_make(&work(""), &place);
            assert_ne!(next.run, run);
            next.confirm();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside the file");
        for how in ["", "other", "third"] {
            Unfinished::find_or_make(&work(how), &NotedIn::State(state.clone())).confirm();
        }
        assert_eq!(fs::read_dir(&state).unwrap().count(), 1, "the last one, which says that it was told");
    }

    #[test]
    fn where_nothing_can_be_written_or_what_is_there_is_no_note_a_run_begins() {
        let folder = tempfile::tempdir().unwrap();
        let of = |beside: &str| Work { id: "w".into(), beside: folder.path().join(beside) };
        let run = Unfinished::find_or_make(&of("none/list.sent"), &NotedIn::Beside);
        assert_ne!(Unfinished::find_or_make(&of("none/list.sent"), &NotedIn::Beside).run, run.run);
        run.confirm();
        for text in
            ["", "unfinished\n", "unfinished\n{\"work\":\"v\",\"run\":\"r\"}", "{\"work\":\"w\",\"run\":\"r\"}", "\u{0}"]
        {
            fs::write(folder.path().join("list.sent"), text).unwrap();
            assert_ne!(Unfinished::find_or_make(&of("list.sent"), &NotedIn::Beside).run, "r", "{text}");
        }
    }
}
