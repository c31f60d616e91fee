//! Leftovers of an interrupted restore: the next user of the state finds them, and finishes the restore if possible, otherwise reports it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::KEEPERS;
use super::hold::{Hold, HoldError};
use super::swap::{Left, Swap};

/// Why a state cannot be used as it is.
#[derive(Debug, thiserror::Error)]
pub enum Interrupted {
    /// There is no log at its place.
    #[error(
        "there is no log in {}, but {} beside it: a restore was interrupted, or the log was moved away. An empty log is not begun there: run \
         `tributary state restore` again, or rename that folder to {}, or remove it",
        .place.display(), .beside.display(), .place.display()
    )]
    Hole {
        /// The place of the log.
        place: PathBuf,
        /// What is beside it.
        beside: PathBuf,
    },
    /// The interrupted restore could not be finished.
    #[error("what an interrupted restore has left in {} cannot be cleaned up: {source}", .path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// It is in use.
    #[error(transparent)]
    Hold(#[from] HoldError),
}

/// Finishes an interrupted restore in a state folder. Does nothing if there is none.
///
/// # Errors
/// When a restore is running, the embedded log is missing, or the file system fails.
pub fn settle(state: &Path) -> Result<(), Interrupted> {
    let unsettled = |place: PathBuf| {
        let swap = Swap::of(&place).map_err(|source| Interrupted::Io { path: place, source })?;
        Ok::<_, Interrupted>(swap.is_unsettled().then_some(swap))
    };
    let mut swaps = Vec::new();
    for place in places(state) {
        swaps.extend(unsettled(place)?);
    }
    if swaps.is_empty() {
        return Ok(());
    }
    let _hold = Hold::take(state)?;
    for swap in swaps {
        let left = swap.settle().map_err(|source| Interrupted::Io { path: swap.place.clone(), source })?;
        let place = swap.place.display();
        match left {
            Left::Nothing => {}
            Left::New => {
                let former = if swap.former.exists() { swap.former.display().to_string() } else { "nothing".to_owned() };
                tracing::warn!(folder = %place, former, "an interrupted restore was finished: the restored state is in place");
            }
            Left::Copy => {
                let copy = swap.coming.display();
                tracing::warn!(folder = %place, %copy, "an interrupted restore has changed nothing here; its copy may be removed");
            }
            Left::Hole if swap.place == state.join("log") || swap.place.ends_with("log") => {
                let beside = if swap.coming.exists() { swap.coming } else { swap.former };
                return Err(Interrupted::Hole { place: swap.place, beside });
            }
            // Nothing to do: the state is restored from the changelog.
            Left::Hole => {
                tracing::warn!(folder = %place, "an interrupted restore has left nothing here: it is restored from the changelog")
            }
        }
    }
    Ok(())
}

/// The places that a restore may have touched: that of the log, and those of stores with leftovers beside or inside them.
fn places(state: &Path) -> Vec<PathBuf> {
    let mut found = vec![state.join("log")];
    for stage in KEEPERS.map(|stage| stage.log().stage) {
        let entries = fs::read_dir(state.join(stage)).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.split('.').next()?.parse::<u32>().ok());
            found.extend(number.map(|number| state.join(stage).join(number.to_string())));
        }
    }
    found.sort();
    found.dedup();
    found
}
