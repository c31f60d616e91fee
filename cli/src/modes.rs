//! File modes: only the user of a process may read the files it leaves. State, backups, results and drafts hold personal data.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

/// The permissions of everybody but the owner.
const OTHERS: u32 = 0o077;
/// Prefixes of the names in a state folder that belong to this program.
const OURS: [&str; 6] = ["log", "identity", "attributor", "lock", "unfinished-", ".tributary-"];

/// From now on, files are created with mode 600 and folders with mode 700. Call before any thread starts.
pub fn keep_private() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// The folders of a state that others can read. The state folder itself counts only if it contains nothing else: a shared folder may be
/// meant to be readable.
pub fn open_to_others(state: &Path) -> Vec<PathBuf> {
    let of_state = ["log", "identity", "attributor"].map(|name| state.join(name));
    let own = is_ours(state).then(|| state.to_owned());
    own.into_iter().chain(of_state).filter(|folder| mode(folder).is_some_and(|mode| mode & OTHERS != 0)).collect()
}

/// Removes the permissions of everybody but the owner from the folders of a state; creates the state folder if it is missing.
///
/// # Errors
/// When the folder cannot be created. A folder of another user is left unchanged and logged.
pub fn tighten(state: &Path) -> io::Result<()> {
    fs::create_dir_all(state)?;
    for folder in open_to_others(state) {
        let mode = mode(&folder).unwrap_or_default();
        match fs::set_permissions(&folder, Permissions::from_mode(mode & 0o7777 & !OTHERS)) {
            Ok(()) => tracing::info!(folder = %folder.display(), "was accessible to other users; permissions were restricted"),
            Err(error) => tracing::warn!(folder = %folder.display(), "is accessible to other users: {error}; run `chmod 700`"),
        }
    }
    Ok(())
}

fn is_ours(state: &Path) -> bool {
    let Ok(mut entries) = fs::read_dir(state) else { return false };
    let shared = mode(state).is_some_and(|mode| mode & 0o1000 != 0);
    let ours = |name: &str| OURS.iter().any(|known| name.starts_with(known)) || name == "lost+found";
    !shared && entries.all(|entry| entry.is_ok_and(|entry| entry.file_name().to_str().is_some_and(ours)))
}

fn mode(folder: &Path) -> Option<u32> {
    fs::metadata(folder).ok().filter(fs::Metadata::is_dir).map(|found| found.permissions().mode())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(path: &Path, mode: u32) {
        fs::create_dir_all(path).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn modes(state: &Path) -> Vec<u32> {
        ["", "log", "identity"].map(|name| mode(&state.join(name)).unwrap() & 0o7777).into()
    }

    #[test]
    fn a_state_that_was_open_is_closed_and_what_is_shared_is_left() {
        let temporary = tempfile::tempdir().unwrap();
        let state = temporary.path().join("state");
        for (mode, expected) in [(0o755, 0o700), (0o777, 0o700), (0o750, 0o700), (0o700, 0o700), (0o2770, 0o2700)] {
            ["", "log", "identity"].iter().for_each(|name| folder(&state.join(name), mode));
            tighten(&state).unwrap();
            assert_eq!(modes(&state), [expected; 3]);
            assert_eq!(open_to_others(&state), Vec::<PathBuf>::new());
        }
        // The folder has somebody else's file: only the state's own folders are changed.
        fs::write(state.join("notes"), "").unwrap();
        ["", "log", "identity"].iter().for_each(|name| folder(&state.join(name), 0o755));
        tighten(&state).unwrap();
        assert_eq!(modes(&state), [0o755, 0o700, 0o700]);
        fs::remove_file(state.join("notes")).unwrap();
        folder(&state, 0o1777);
        tighten(&state).unwrap();
        assert_eq!(modes(&state), [0o1777, 0o700, 0o700]);
    }

    #[test]
    fn a_state_that_is_not_there_is_made() {
        let temporary = tempfile::tempdir().unwrap();
        let state = temporary.path().join("a/b");
        tighten(&state).unwrap();
        assert_eq!(mode(&state).unwrap() & 0o077, 0);
        assert!(open_to_others(&temporary.path().join("none")).is_empty());
    }
}
