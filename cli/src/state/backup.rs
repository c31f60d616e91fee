//! A copy of the state with what it belongs to, and putting it back where it fits.
//!
//! On Kafka the changelogs are the true copy: without any backup a state is restored from them. A backup saves that time. On the embedded
//! log it is the only copy there is.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tributary_runtime::embedded::EmbeddedLog;
use tributary_runtime::exactly_once::{Inputs, Position};
use tributary_runtime::state::{RocksStore, StoreBudget};
use tributary_runtime::topic::Topic;

use super::{KEEPERS, READ_CACHE_BYTES, StorePlace, stores};
use crate::clock::now_ms;
use crate::engine;
use crate::settings::Settings;
use crate::source;

/// The file that says what a backup is.
const MANIFEST: &str = "backup.json";
/// Version of the manifest.
const VERSION: u32 = 1;

/// What a backup is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Version of this file.
    pub version: u32,
    /// When it was made, milliseconds since 1970-01-01 UTC.
    pub made_ms: i64,
    /// Whether it is of an embedded log.
    pub embedded: bool,
    /// Partitions of every topic.
    pub partitions: u32,
    /// Prefix of the consumer groups.
    pub group_prefix: String,
    /// Names of the topics that the state belongs to, by role.
    pub topics: BTreeMap<String, String>,
    /// The stores.
    pub stores: Vec<BackedUp>,
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
    /// The input offsets that it stands for, by topic.
    pub inputs: BTreeMap<String, u64>,
}

/// Why a backup is not put back.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is of something else.
    #[error("the backup does not fit: {what} is {found} there and {wanted} here")]
    Differs {
        /// What differs.
        what: String,
        /// In the backup.
        found: String,
        /// In the settings.
        wanted: String,
    },
    /// There is a state already.
    #[error("{} exists; --replace moves it aside", .0.display())]
    Exists(PathBuf),
    /// It is of no use.
    #[error(
        "{stage}, partition {partition}: the backup is older than the tombstones that the changelog keeps \
         (topics.tombstone_retention_days), so it would be thrown away; start without it: the state is restored from the changelog"
    )]
    TooOld {
        /// The stage.
        stage: String,
        /// The partition.
        partition: u32,
    },
    /// It has seen more than the group has committed.
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

/// What the state of these settings belongs to.
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
    }
}

/// Copies the state of this machine into the folder `to`, which must not exist. The service must be stopped.
///
/// # Errors
/// When the service is running, there is no state, or the file system fails.
pub fn back_up(settings: &Settings, to: &Path) -> anyhow::Result<Backup> {
    if to.exists() {
        return Err(Refusal::Exists(to.to_owned()).into());
    }
    let mut copied = Vec::new();
    if settings.kafka.is_embedded() {
        let from = settings.state.folder_of_log();
        anyhow::ensure!(from.is_dir(), "there is no state in {}", from.display());
        fs::create_dir_all(to)?;
        engine::open_embedded(settings)?.checkpoint(&to.join("log"))?;
    } else {
        let places = stores(settings);
        anyhow::ensure!(!places.is_empty(), "there is no state in {}", settings.state.folder_of_process().display());
        let budget = StoreBudget::new(READ_CACHE_BYTES);
        for StorePlace { stage, partition, path } in places {
            let store = RocksStore::open(&path, &budget)?;
            let (Some(position), Some(inputs)) = (store.position()?, store.inputs()?) else { continue };
            let stage_folder = to.join(stage);
            fs::create_dir_all(&stage_folder)?;
            store.checkpoint(&stage_folder.join(partition.to_string()))?;
            let Position { changelog_next, as_of_ms } = position;
            let inputs = inputs.0.into_iter().map(|(topic, next)| (topic.name().to_owned(), next)).collect();
            copied.push(BackedUp { stage: stage.to_owned(), partition, changelog_next, as_of_ms, inputs });
        }
    }
    let backup = describe(settings, copied);
    // Last: a backup without it is not whole.
    fs::write(to.join(MANIFEST), serde_json::to_vec_pretty(&backup)?)?;
    Ok(backup)
}

/// Puts a backup back. The service must be stopped.
///
/// # Errors
/// A [`Refusal`] where it does not fit, and when the file system or the brokers fail.
pub fn put_back(settings: &Settings, from: &Path, replace: bool) -> anyhow::Result<Backup> {
    let manifest = from.join(MANIFEST);
    let text = fs::read(&manifest).with_context(|| format!("{} is no backup, or not a whole one", manifest.display()))?;
    let backup: Backup = serde_json::from_slice(&text).with_context(|| manifest.display().to_string())?;
    check_fit(&backup, &describe(settings, Vec::new()))?;
    if !backup.embedded {
        check_offsets(&backup, settings)?;
    }
    let folder = settings.state.folder_of_process();
    let parts: Vec<PathBuf> = if backup.embedded {
        vec!["log".into()]
    } else {
        backup.stores.iter().map(|store| Path::new(&store.stage).join(store.partition.to_string())).collect()
    };
    for part in &parts {
        let target = folder.join(part);
        if target.exists() && !replace {
            return Err(Refusal::Exists(target).into());
        }
    }
    for part in &parts {
        put_in_place(&from.join(part), &folder.join(part))?;
    }
    check_copy(&backup, settings)?;
    Ok(backup)
}

fn check_fit(backup: &Backup, here: &Backup) -> Result<(), Refusal> {
    let differs = |what: &str, found: &dyn ToString, wanted: &dyn ToString| Refusal::Differs {
        what: what.to_owned(),
        found: found.to_string(),
        wanted: wanted.to_string(),
    };
    if backup.version != here.version {
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
                return Err(Refusal::TooOld { stage, partition }.into());
            }
            let of_partition = committed.iter().filter(|((_, at), _)| *at == partition);
            let committed = Inputs(of_partition.map(|((topic, _), next)| (*topic, *next)).collect());
            let found = inputs_of(store);
            if found.is_ahead_of(&committed) {
                let (found, committed) = (found.to_string(), committed.to_string());
                return Err(Refusal::Ahead { stage, partition, found, committed }.into());
            }
        }
    }
    Ok(())
}

fn inputs_of(store: &BackedUp) -> Inputs {
    let role = |name: &String| Topic::ALL.into_iter().find(|topic| topic.name() == name);
    Inputs(store.inputs.iter().filter_map(|(name, next)| Some((role(name)?, *next))).collect())
}

/// Copies a folder next to its place, and then moves it there; what was there is moved aside.
fn put_in_place(from: &Path, target: &Path) -> anyhow::Result<()> {
    let beside = |end: &str| {
        let mut name = target.to_owned().into_os_string();
        name.push(end);
        PathBuf::from(name)
    };
    let (coming, former) = (beside(".coming"), beside(".replaced"));
    for left_over in [&coming, &former] {
        if left_over.exists() && (*left_over == coming || target.exists()) {
            fs::remove_dir_all(left_over)?;
        }
    }
    copy_folder(from, &coming).with_context(|| format!("copying {} to {}", from.display(), coming.display()))?;
    if target.exists() {
        fs::rename(target, &former)?;
    }
    Ok(fs::rename(&coming, target)?)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Whether what was put back is what was copied.
fn check_copy(backup: &Backup, settings: &Settings) -> anyhow::Result<()> {
    if backup.embedded {
        EmbeddedLog::open_read_only(&settings.state.folder_of_log())?.verify(&mut |_| {})?;
        return Ok(());
    }
    let budget = StoreBudget::new(READ_CACHE_BYTES);
    for StorePlace { stage, partition, path } in stores(settings) {
        let Some(expected) = backup.stores.iter().find(|store| (store.stage.as_str(), store.partition) == (stage, partition))
        else {
            continue;
        };
        let store = RocksStore::open_read_only(&path, &budget)?;
        store.verify(&mut |_| {})?;
        let next = store.position()?.map(|position| position.changelog_next);
        anyhow::ensure!(next == Some(expected.changelog_next), "{stage}, partition {partition}: the copy is not whole");
    }
    Ok(())
}
