//! Copies the state together with its identity (topics, partitions, groups), and restores it where it fits.
//!
//! On Kafka the changelogs are the authoritative copy: a state is restored from them without any backup, and a backup only saves time. On
//! the embedded log the state is the only copy.

use std::fs;
use std::path::{Path, PathBuf};

use tributary_pipeline::settings::Settings;
use tributary_pipeline::time::now_ms;
use tributary_runtime::embedded::EmbeddedLog;
use tributary_runtime::exactly_once::{Inputs, Position};
use tributary_runtime::state::{RocksStore, StoreBudget, store_folder};
use tributary_runtime::topic::Topic;

use super::embedded::open_embedded;
use super::hold::{self, Hold};
use super::manifest::{BackedUp, Backup, VERSION};
use super::swap::{Left, Swap};
use super::{KEEPERS, READ_CACHE_BYTES, StorePlace, stores};
use crate::progress::Progress;
use crate::source;

/// The accepted refusals in the embedded log's folder, which are not part of the store.
const ACCEPTED: &str = "accepted";

/// Why a backup is not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreRefused {
    /// It belongs to something else.
    #[error("the backup does not fit: {what} is {found} there and {wanted} here")]
    Differs {
        /// What differs.
        what: String,
        /// The value in the backup.
        found: String,
        /// The value in the settings.
        wanted: String,
    },
    /// There is already a state.
    #[error("{} exists; --replace moves it aside", .0.display())]
    Exists(PathBuf),
    /// One folder is inside the other.
    #[error("the backup {} and the state {} must not be inside one another", .backup.display(), .state.display())]
    Within {
        /// The backup.
        backup: PathBuf,
        /// The folder of the state, or of a store in it.
        state: PathBuf,
    },
    /// The restored files cannot be read.
    #[error("{}: what was copied cannot be read: {why}; the state is as it was before", .path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// The error.
        why: String,
    },
    /// It is too old.
    #[error(
        "{stage}, partition {partition}: the backup is older than the tombstones that the changelog keeps \
         (topics.tombstone_retention_days), so it would be discarded; start without it: the state is restored from the changelog"
    )]
    TooOld {
        /// The stage.
        stage: String,
        /// The partition.
        partition: u32,
    },
    /// It is ahead of the committed offsets.
    #[error(
        "{stage}, partition {partition}: the backup has read up to {found}, and the consumer group has committed {committed}: it is of \
         another cluster, or topics or offsets were reset"
    )]
    Ahead {
        /// The stage.
        stage: String,
        /// The partition.
        partition: u32,
        /// Offsets in the backup.
        found: String,
        /// Offsets of the group.
        committed: String,
    },
}

/// A manifest for the state of these settings.
fn describe(settings: &Settings, stores: Vec<BackedUp>) -> Backup {
    let kept = [Topic::IdentityInbox, Topic::AttributorInbox, Topic::IdentityChangelog, Topic::AttributorChangelog];
    Backup {
        version: VERSION,
        made_ms: now_ms(),
        embedded: settings.kafka.is_embedded(),
        partitions: settings.topics.partitions,
        group_prefix: settings.kafka.group_prefix.clone(),
        topics: kept.map(|topic| (topic.name().to_owned(), settings.topics.name(topic))).into(),
        stores,
        files: Vec::new(),
        sha256: String::new(),
    }
}

/// Copies the state on this machine to the folder `to`, which must not exist. The service must be stopped.
///
/// # Errors
/// When the service is running, there is no state, or the file system fails.
pub fn back_up(settings: &Settings, to: &Path) -> anyhow::Result<Backup> {
    if to.symlink_metadata().is_ok() {
        return Err(RestoreRefused::Exists(to.to_owned()).into());
    }
    let state = settings.state.folder_of_process();
    anyhow::ensure!(state.is_dir(), "there is no state in {}", state.display());
    hold::share(&state)?;
    let outside = std::path::absolute(to)?;
    let existing = outside.ancestors().find_map(|folder| folder.canonicalize().ok()).unwrap_or_default();
    if existing.starts_with(state.canonicalize()?) {
        return Err(RestoreRefused::Within { backup: to.to_owned(), state }.into());
    }
    let sealed = copy_stores(settings, to).and_then(|stores| {
        let mut backup = describe(settings, stores);
        backup.seal(to)?;
        Ok(backup)
    });
    if sealed.is_err() && to.is_dir() {
        // The folder is new, so everything in it is an incomplete backup.
        let _ = fs::remove_dir_all(to);
    }
    sealed
}

fn copy_stores(settings: &Settings, to: &Path) -> anyhow::Result<Vec<BackedUp>> {
    if settings.kafka.is_embedded() {
        let from = settings.state.folder_of_log();
        anyhow::ensure!(from.is_dir(), "there is no state in {}", from.display());
        fs::create_dir_all(to)?;
        open_embedded(settings)?.checkpoint(&to.join("log"))?;
        copy_accepted(&from.join(ACCEPTED), &to.join("log").join(ACCEPTED))?;
        return Ok(Vec::new());
    }
    let places = stores(settings);
    anyhow::ensure!(!places.is_empty(), "there is no state in {}", settings.state.folder_of_process().display());
    let budget = StoreBudget::new(READ_CACHE_BYTES);
    // All stores are locked until all are copied, so that no service can start in between.
    let opened: Result<Vec<_>, _> =
        places.iter().map(|place| RocksStore::open(&place.path, &budget).map(|store| (place, store))).collect();
    let mut copied = Vec::new();
    for (StorePlace { stage, partition, .. }, store) in &opened? {
        let (Some(position), Some(inputs)) = (store.position()?, store.inputs()?) else { continue };
        let stage_folder = to.join(stage);
        fs::create_dir_all(&stage_folder)?;
        store.checkpoint(&stage_folder.join(partition.to_string()))?;
        let Position { changelog_next, as_of_ms } = position;
        let inputs = inputs.next.into_iter().map(|(topic, next)| (topic.name().to_owned(), next)).collect();
        copied.push(BackedUp { stage: (*stage).to_owned(), partition: *partition, changelog_next, as_of_ms, inputs });
    }
    anyhow::ensure!(!copied.is_empty(), "the stores in {} are empty", settings.state.folder_of_process().display());
    Ok(copied)
}

fn copy_accepted(from: &Path, to: &Path) -> std::io::Result<()> {
    if !from.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// A restored backup.
#[derive(Debug)]
pub struct PutBack {
    /// The backup.
    pub backup: Backup,
    /// For each store that had a state, where its former state is now.
    pub kept: Vec<PathBuf>,
}

/// Restores a backup. The service must be stopped, and cannot start meanwhile. Nothing is replaced before all of the backup is read and
/// verified. Whenever this is interrupted, each folder has either its former or its new content, complete.
///
/// # Errors
/// [`RestoreRefused`] if it does not fit; [`Damage`](super::manifest::Damage) if it has changed since it was made; and when the state is in
/// use, or the file system or the brokers fail.
pub fn put_back(settings: &Settings, from: &Path, replace: bool) -> anyhow::Result<PutBack> {
    let backup = Backup::read(from)?;
    check_fit(&backup, &describe(settings, Vec::new()))?;
    if !backup.embedded {
        check_offsets(&backup, settings)?;
    }
    let state = settings.state.folder_of_process();
    crate::modes::tighten(&state)?;
    let mut hold = Hold::take(&state)?;
    let places = places(&backup, &state)?;
    for Place { swap, .. } in &places {
        if swap.settle()? == Left::New {
            tracing::warn!(folder = %swap.place.display(), "an interrupted restore into it was finished first");
        }
        if swap.place.exists() && !replace {
            return Err(RestoreRefused::Exists(swap.place.clone()).into());
        }
    }
    check_apart(from, &state, &places)?;
    let there = stores(settings).into_iter().map(|store| store.path).chain(places.iter().map(|place| place.swap.place.clone()));
    let mut there: Vec<PathBuf> = there.filter(|store| store.is_dir()).collect();
    there.sort();
    there.dedup();
    there.iter().try_for_each(|store| hold.add(store))?;
    let copied = copy_all(&backup, from, &places, &mut hold);
    if copied.is_err() {
        places.iter().for_each(|place| place.swap.give_up());
    }
    copied?;
    put_all(&backup, &places)?;
    let mut kept = Vec::new();
    for Place { swap, .. } in &places {
        kept.extend(swap.finish()?);
    }
    Ok(PutBack { backup, kept })
}

/// A part of a backup and its target.
struct Place<'a> {
    part: PathBuf,
    store: Option<&'a BackedUp>,
    swap: Swap,
}

fn places<'a>(backup: &'a Backup, state: &Path) -> anyhow::Result<Vec<Place<'a>>> {
    if backup.embedded {
        let swap = Swap::of(&state.join("log"))?;
        return Ok(vec![Place { part: "log".into(), store: None, swap }]);
    }
    let mut places = Vec::new();
    for store in &backup.stores {
        let stage = KEEPERS.map(|stage| stage.log().stage).into_iter().find(|stage| *stage == store.stage);
        let stage = stage.ok_or_else(|| anyhow::anyhow!("the backup has a store of an unknown stage"))?;
        fs::create_dir_all(state.join(stage))?;
        let swap = Swap::of(&store_folder(state, stage, store.partition))?;
        places.push(Place { part: Path::new(stage).join(store.partition.to_string()), store: Some(store), swap });
    }
    Ok(places)
}

/// Refuses a backup that would replace itself, and one whose folder contains the state.
fn check_apart(from: &Path, state: &Path, places: &[Place<'_>]) -> anyhow::Result<()> {
    let (from, state) = (from.canonicalize()?, state.canonicalize()?);
    let inside = places.iter().find(|place| from.starts_with(&place.swap.place));
    let other = inside.map(|place| place.swap.place.clone()).or(state.starts_with(&from).then_some(state));
    other.map_or(Ok(()), |state| Err(RestoreRefused::Within { backup: from, state }.into()))
}

/// Copies every part beside its target, and verifies it there.
fn copy_all(backup: &Backup, from: &Path, places: &[Place<'_>], hold: &mut Hold) -> anyhow::Result<()> {
    let mut progress = Progress::new("bytes", None);
    for Place { part, swap, .. } in places {
        swap.begin()?;
        backup.copy(from, part, &swap.coming, &mut |bytes| progress.add(bytes))?;
        hold.add(&swap.coming)?;
    }
    for place in places {
        verify(place, &place.swap.coming, true)?;
        place.swap.is_whole()?;
    }
    progress.finish();
    Ok(())
}

/// Moves every part to its target, and opens it; if one fails, all are moved back.
fn put_all(backup: &Backup, places: &[Place<'_>]) -> anyhow::Result<()> {
    let mut put = Vec::new();
    let done = places.iter().try_for_each(|place| {
        place.swap.exchange()?;
        put.push(place);
        verify(place, &place.swap.place, backup.embedded)
    });
    if done.is_err() {
        for place in put {
            place.swap.take_back()?;
        }
        places.iter().for_each(|place| place.swap.give_up());
    }
    done
}

/// Whether the store in a folder opens and is what was copied; with `whole`, by reading all of it.
fn verify(place: &Place<'_>, folder: &Path, whole: bool) -> anyhow::Result<()> {
    let unreadable = |why: String| RestoreRefused::Unreadable { path: folder.to_owned(), why };
    let Some(expected) = place.store else {
        let log = EmbeddedLog::open_read_only(folder).map_err(|error| unreadable(error.to_string()))?;
        if whole {
            log.verify(&mut |_| {}).map_err(|error| unreadable(error.to_string()))?;
        }
        return Ok(());
    };
    let store = RocksStore::open_read_only(folder, &StoreBudget::new(READ_CACHE_BYTES));
    let store = store.map_err(|error| unreadable(error.to_string()))?;
    if whole {
        store.verify(&mut |_| {}).map_err(|error| unreadable(error.to_string()))?;
    }
    let next = store.position().map_err(|error| unreadable(error.to_string()))?.map(|position| position.changelog_next);
    if next != Some(expected.changelog_next) {
        return Err(unreadable("its offsets are lower than the backup says".to_owned()).into());
    }
    Ok(())
}

fn check_fit(backup: &Backup, here: &Backup) -> Result<(), RestoreRefused> {
    let differs = |what: &str, found: &dyn ToString, wanted: &dyn ToString| RestoreRefused::Differs {
        what: what.to_owned(),
        found: found.to_string(),
        wanted: wanted.to_string(),
    };
    if backup.readable_version() != here.version {
        return Err(differs("the version of backup.json", &backup.version, &here.version));
    }
    if backup.embedded != here.embedded {
        let kind = |embedded| if embedded { "embedded" } else { "Kafka" };
        return Err(differs("the log", &kind(backup.embedded), &kind(here.embedded)));
    }
    if backup.partitions != here.partitions {
        return Err(differs("topics.partitions", &backup.partitions, &here.partitions));
    }
    if here.embedded {
        return Ok(());
    }
    if backup.group_prefix != here.group_prefix {
        return Err(differs("kafka.group_prefix", &backup.group_prefix, &here.group_prefix));
    }
    match here.topics.iter().find(|(role, name)| backup.topics.get(*role) != Some(name)) {
        Some((role, name)) => Err(differs(&format!("topic {role}"), &backup.topics.get(role).map_or("", String::as_str), name)),
        None => Ok(()),
    }
}

/// Refuses stores that the changelog cannot bring up to date.
fn check_offsets(backup: &Backup, settings: &Settings) -> anyhow::Result<()> {
    let now_ms = u64::try_from(now_ms()).unwrap_or(0);
    let retention_ms = u64::from(settings.topics.tombstone_retention_days) * 86_400_000;
    for stage in KEEPERS {
        let committed = source::committed(settings, stage.log())?;
        for store in backup.stores.iter().filter(|store| store.stage == stage.log().stage) {
            let (stage, partition) = (store.stage.clone(), store.partition);
            if now_ms.saturating_sub(store.as_of_ms) > retention_ms {
                return Err(RestoreRefused::TooOld { stage, partition }.into());
            }
            let of_partition = committed.iter().filter(|((_, at), _)| *at == partition);
            let committed = Inputs::of(of_partition.map(|((topic, _), next)| (*topic, *next)).collect());
            let found = inputs_of(store);
            if found.is_ahead_of(&committed) {
                let (found, committed) = (found.to_string(), committed.to_string());
                return Err(RestoreRefused::Ahead { stage, partition, found, committed }.into());
            }
        }
    }
    Ok(())
}

fn inputs_of(store: &BackedUp) -> Inputs {
    Inputs::of(store.inputs.iter().filter_map(|(name, next)| Some((Topic::find(name)?, *next))).collect())
}
