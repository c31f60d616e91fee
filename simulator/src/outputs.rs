//! The output topics of a run.

use std::collections::BTreeMap;

use tributary_proto::{Account, CreditUpdate, Message, MilestoneRow, Profile, TouchpointRow};
use tributary_runtime::topic::Topic;

/// The committed records of the output topics, each in the order of its partitions.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    /// From `profiles`.
    pub profiles: Vec<Profile>,
    /// From `accounts`.
    pub accounts: Vec<Account>,
    /// From `credits`.
    pub credits: Vec<CreditUpdate>,
    /// From `touchpoints`.
    pub touchpoints: Vec<TouchpointRow>,
    /// From `milestones`.
    pub milestones: Vec<MilestoneRow>,
}

impl Outputs {
    /// The topics.
    pub const TOPICS: [Topic; 5] = [Topic::Profiles, Topic::Accounts, Topic::Credits, Topic::Touchpoints, Topic::Milestones];

    /// Adds a record of one of them.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn add(&mut self, topic: Topic, key: &[u8], value: Option<&[u8]>) -> Result<(), String> {
        let failed = |error| format!("a record of {} cannot be read: {error}", topic.name());
        let Some(value) = value else {
            // A tombstone removes all rows of its key.
            self.profiles.retain(|profile| topic != Topic::Profiles || profile.profile_id.as_bytes() != key);
            self.accounts.retain(|account| topic != Topic::Accounts || account.account_id.as_bytes() != key);
            self.touchpoints.retain(|row| topic != Topic::Touchpoints || row.touchpoint_id.as_bytes() != key);
            self.milestones.retain(|row| topic != Topic::Milestones || row.milestone_id.as_bytes() != key);
            return Ok(());
        };
        match topic {
            Topic::Profiles => self.profiles.push(Profile::decode(value).map_err(failed)?),
            Topic::Accounts => self.accounts.push(Account::decode(value).map_err(failed)?),
            Topic::Credits => self.credits.push(CreditUpdate::decode(value).map_err(failed)?),
            Topic::Touchpoints => self.touchpoints.push(TouchpointRow::decode(value).map_err(failed)?),
            Topic::Milestones => self.milestones.push(MilestoneRow::decode(value).map_err(failed)?),
            _ => {}
        }
        Ok(())
    }
}

/// Compares what was found with what is expected.
///
/// # Errors
/// How many differ, and the first of them.
pub(crate) fn compare<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &BTreeMap<K, V>,
    expected: &BTreeMap<K, V>,
) -> Result<(), String> {
    let mut keys: Vec<&K> = found.keys().chain(expected.keys()).filter(|key| found.get(key) != expected.get(key)).collect();
    keys.sort();
    keys.dedup();
    match keys.first() {
        None => Ok(()),
        Some(first) => Err(format!(
            "{} {what}s differ, the first is {first:?}\n  found    {:?}\n  expected {:?}",
            keys.len(),
            found.get(first),
            expected.get(first)
        )),
    }
}
