//! Replaces one folder by another. If the process is killed at any time, the place has one of the two, complete.
//!
//! | beside `log` | what it is |
//! |---|---|
//! | `log.coming` with the file `RESTORING` in it | a copy; `RESTORING` says `whole` once it was verified |
//! | `log.coming` without | what was replaced a moment ago |
//! | `log.replaced` | what was replaced last |
//! | `log.discarded` | what was replaced before that, on its way out |
//!
//! The two are exchanged in one step if the file system can do that, otherwise in two. The next user of the state [completes](Swap::settle)
//! an interrupted exchange.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// Name of the file that marks a folder as coming from a backup.
const MARK: &str = "RESTORING";
const COPYING: &str = "copying";
const WHOLE: &str = "whole";

/// A folder to be replaced, and the folders beside it.
#[derive(Debug, Clone)]
pub struct Swap {
    /// The folder itself.
    pub place: PathBuf,
    /// The new content.
    pub coming: PathBuf,
    /// The former content.
    pub former: PathBuf,
    discarded: PathBuf,
}

/// What an interrupted restore has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing, or only the former content.
    Nothing,
    /// An incomplete copy; the folder has its former content.
    Copy,
    /// It was finished: the folder has the restored content.
    New,
    /// The folder is missing; beside it is an incomplete copy, or the former content.
    Hole,
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn mark_of(folder: &Path) -> Option<String> {
    fs::read_to_string(folder.join(MARK)).ok()
}

fn write_mark(folder: &Path, text: &str) -> io::Result<()> {
    let path = folder.join(MARK);
    fs::write(&path, text)?;
    File::open(path)?.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

impl Swap {
    /// For a folder. If it is a symbolic link, its target is the folder.
    ///
    /// # Errors
    /// When the link is broken.
    pub fn of(place: &Path) -> io::Result<Self> {
        let place = if is_there(place) { place.canonicalize()? } else { place.to_owned() };
        let beside = |end: &str| {
            let mut name = place.clone().into_os_string();
            name.push(end);
            PathBuf::from(name)
        };
        Ok(Self { coming: beside(".coming"), former: beside(".replaced"), discarded: beside(".discarded"), place })
    }

    /// Whether an interrupted restore has left something to be finished.
    pub fn is_unsettled(&self) -> bool {
        let hole = !is_there(&self.place) && is_there(&self.former);
        is_there(&self.coming) || is_there(&self.discarded) || hole || mark_of(&self.place).is_some()
    }

    /// Finishes an interrupted restore, as far as possible.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn settle(&self) -> io::Result<Left> {
        remove(&self.discarded)?;
        let coming = is_there(&self.coming).then(|| mark_of(&self.coming));
        let left = match (is_there(&self.place), coming.as_ref().map(|mark| mark.as_deref())) {
            // They were exchanged.
            (true, Some(None)) => {
                self.finish()?;
                Left::New
            }
            (true, Some(Some(_))) => Left::Copy,
            (true, None) if mark_of(&self.place).is_some() => {
                self.finish()?;
                Left::New
            }
            (true, None) => Left::Nothing,
            // Interrupted between the two steps, where exchanging takes two.
            (false, Some(Some(WHOLE))) => {
                fs::rename(&self.coming, &self.place)?;
                self.finish()?;
                Left::New
            }
            (false, Some(_)) => Left::Hole,
            (false, None) if is_there(&self.former) => Left::Hole,
            (false, None) => Left::Nothing,
        };
        Ok(left)
    }

    /// Creates the empty folder for the copy; a leftover one is removed.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn begin(&self) -> io::Result<()> {
        remove(&self.coming)?;
        fs::create_dir_all(&self.coming)?;
        write_mark(&self.coming, COPYING)
    }

    /// Removes the copy.
    pub fn give_up(&self) {
        if let Err(error) = remove(&self.coming) {
            tracing::warn!(folder = %self.coming.display(), "cannot be removed: {error}");
        }
    }

    /// Marks the copy as verified.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn is_whole(&self) -> io::Result<()> {
        write_mark(&self.coming, WHOLE)?;
        sync_folder(&self.coming)
    }

    /// Exchanges the copy and the folder. The former content is then at [`Self::coming`], or at [`Self::former`] if exchanging takes two
    /// steps.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn exchange(&self) -> io::Result<()> {
        self.exchange_by(|| renameat_with(CWD, &self.coming, CWD, &self.place, RenameFlags::EXCHANGE))
    }

    fn exchange_by(&self, in_one_step: impl FnOnce() -> rustix::io::Result<()>) -> io::Result<()> {
        if is_there(&self.place) {
            match in_one_step() {
                Ok(()) => return self.sync(),
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
                Err(error) => return Err(error.into()),
            }
            self.discard_former()?;
            fs::rename(&self.place, &self.former)?;
        }
        fs::rename(&self.coming, &self.place)?;
        self.sync()
    }

    /// Reverses the exchange.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn take_back(&self) -> io::Result<()> {
        if is_there(&self.coming) {
            renameat_with(CWD, &self.coming, CWD, &self.place, RenameFlags::EXCHANGE)?;
        } else {
            fs::rename(&self.place, &self.coming)?;
            if is_there(&self.former) {
                fs::rename(&self.former, &self.place)?;
            }
        }
        self.sync()
    }

    /// The restored content was opened: moves the former content aside, and removes an older one there. Returns its path, if there was any.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn finish(&self) -> io::Result<Option<PathBuf>> {
        if is_there(&self.coming) {
            self.discard_former()?;
            fs::rename(&self.coming, &self.former)?;
        }
        match fs::remove_file(self.place.join(MARK)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        remove(&self.discarded)?;
        self.sync()?;
        Ok(is_there(&self.former).then(|| self.former.clone()))
    }

    fn discard_former(&self) -> io::Result<()> {
        remove(&self.discarded)?;
        if is_there(&self.former) { fs::rename(&self.former, &self.discarded) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        self.place.parent().map_or(Ok(()), sync_folder)
    }
}

/// Flushes the names in a folder to disk.
///
/// # Errors
/// When the file system fails.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Case {
        _folder: tempfile::TempDir,
        swap: Swap,
    }

    impl Case {
        /// A folder with `old` in it (or missing), and a copy of `new` beside it.
        fn new(old: bool) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let swap = Swap::of(&folder.path().canonicalize().unwrap().join("log")).unwrap();
            if old {
                fs::create_dir(&swap.place).unwrap();
                fs::write(swap.place.join("data"), "old").unwrap();
            }
            swap.begin().unwrap();
            fs::write(swap.coming.join("data"), "new").unwrap();
            Self { _folder: folder, swap }
        }

        fn at(&self, path: &Path) -> String {
            fs::read_to_string(path.join("data")).unwrap_or_default()
        }

        /// The content of the folder, what was moved aside, and whether anything is left over.
        fn found(&self) -> (String, String, bool) {
            let Swap { place, coming, former, discarded } = &self.swap;
            let over = is_there(coming) || is_there(discarded) || mark_of(place).is_some();
            (self.at(place), self.at(former), over)
        }
    }

    fn found(place: &str, former: &str, over: bool) -> (String, String, bool) {
        (place.to_owned(), former.to_owned(), over)
    }

    fn no_step() -> rustix::io::Result<()> {
        Err(Errno::INVAL)
    }

    #[test]
    fn wherever_it_is_cut_off_the_place_has_one_of_the_two() {
        for old in [true, false] {
            // Interrupted while copying, and after it.
            let case = Case::new(old);
            assert!(case.swap.is_unsettled());
            assert_eq!(case.swap.settle().unwrap(), if old { Left::Copy } else { Left::Hole });
            assert_eq!(case.at(&case.swap.place), if old { "old" } else { "" });
            case.swap.is_whole().unwrap();
            assert_eq!(case.swap.settle().unwrap(), if old { Left::Copy } else { Left::New });
            // Exchanged.
            let case = Case::new(old);
            case.swap.is_whole().unwrap();
            case.swap.exchange().unwrap();
            assert_eq!(case.at(&case.swap.place), "new");
            assert_eq!(case.swap.settle().unwrap(), Left::New);
            assert_eq!(case.found(), found("new", if old { "old" } else { "" }, false));
            assert_eq!(case.swap.settle().unwrap(), Left::Nothing);
            assert!(!case.swap.is_unsettled());
        }
    }

    #[test]
    fn an_interrupted_swap_of_two_steps_is_completed() {
        let case = Case::new(true);
        case.swap.is_whole().unwrap();
        fs::rename(&case.swap.place, &case.swap.former).unwrap();
        assert_eq!(case.swap.settle().unwrap(), Left::New);
        assert_eq!(case.found(), found("new", "old", false));

        let case = Case::new(true);
        case.swap.is_whole().unwrap();
        case.swap.exchange_by(no_step).unwrap();
        assert_eq!(case.at(&case.swap.place), "new");
        assert_eq!(case.swap.finish().unwrap(), Some(case.swap.former.clone()));
        assert_eq!(case.found(), found("new", "old", false));
    }

    #[test]
    fn a_state_that_does_not_open_is_rolled_back() {
        for one_step in [true, false] {
            for old in [true, false] {
                let case = Case::new(old);
                case.swap.is_whole().unwrap();
                if one_step { case.swap.exchange() } else { case.swap.exchange_by(no_step) }.unwrap();
                case.swap.take_back().unwrap();
                case.swap.give_up();
                assert_eq!(case.found(), found(if old { "old" } else { "" }, "", false));
            }
        }
    }

    #[test]
    fn only_what_was_replaced_last_is_kept() {
        let case = Case::new(true);
        for round in 0..3 {
            case.swap.begin().unwrap();
            fs::write(case.swap.coming.join("data"), format!("new{round}")).unwrap();
            case.swap.is_whole().unwrap();
            if round == 1 { case.swap.exchange_by(no_step) } else { case.swap.exchange() }.unwrap();
            case.swap.finish().unwrap();
        }
        assert_eq!(case.found(), found("new2", "new1", false));
    }

    #[test]
    fn a_missing_folder_with_one_beside_it_is_reported() {
        let case = Case::new(true);
        case.swap.give_up();
        fs::rename(&case.swap.place, &case.swap.former).unwrap();
        assert!(case.swap.is_unsettled());
        assert_eq!(case.swap.settle().unwrap(), Left::Hole);
        assert_eq!(case.at(&case.swap.former), "old");
    }

    #[test]
    fn a_place_that_is_a_link_is_what_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("disk/log")).unwrap();
        std::os::unix::fs::symlink(root.join("disk/log"), root.join("log")).unwrap();
        assert_eq!(Swap::of(&root.join("log")).unwrap().coming, root.join("disk/log.coming"));
        std::os::unix::fs::symlink(root.join("nowhere"), root.join("gone")).unwrap();
        assert!(Swap::of(&root.join("gone")).is_err());
    }
}
