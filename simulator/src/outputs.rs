//! The output topics of a run.

use std::collections::BTreeMap;

use tributary_proto::{Account, CreditUpdate, Message, MilestoneRow, Profile, TouchpointRow};
use tributary_runtime::topic::Topic;

/// What was committed to the output topics, each in the order of its partitions.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    /// Of the `profiles` topic.
    pub profiles: Vec<Profile>,
    /// Of the `accounts` topic.
    pub accounts: Vec<Account>,
    /// Of the `credits` topic.
    pub credits: Vec<CreditUpdate>,
    /// Of the `touchpoints` topic.
    pub touchpoints: Vec<TouchpointRow>,
    /// Of the `milestones` topic.
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
            // A tombstone says that all of it was erased.
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

/// What was found is what is expected.
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
