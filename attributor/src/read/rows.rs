//! Rebuilds units from the rows of the topics `touchpoints`, `milestones` and `accounts`, for readers that have the topics and no state.
//!
//! Of each key the row with the highest revision counts, and none after a tombstone. So the order in which the topics are read does not
//! matter. A row of a touch has everything that a journey uses, so the stored touch is rebuilt from it. Only the other identifiers of its
//! event are missing, which decide nothing here. [`of_history`] decides which paths follow, as it does for a state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tributary_proto::{Account, Dimensions, Hash128, Message, Milestone, MilestoneRow, StoredTouch, Touch, TouchpointRow};

use super::paths::{History, UnitPaths, Wanted, of_history};
use crate::journey::{Cast, Touchpoint};
use crate::plan::Plan;
use crate::view::Malformed;

/// A touch, from its row.
#[derive(Debug)]
struct Told {
    revision: u64,
    /// An encoded `StoredTouch`.
    raw: Box<[u8]>,
    time_ms: i64,
    account_id: Arc<str>,
    profile_id: Arc<str>,
    role: Arc<str>,
    device: u64,
    consented: bool,
}

/// A milestone, from its row.
#[derive(Debug)]
struct Reached {
    revision: u64,
    milestone: Milestone,
    account_id: Arc<str>,
    profile_id: Arc<str>,
    named: Vec<Arc<str>>,
}

/// The rows of a unit.
#[derive(Debug, Default)]
struct Held<'a> {
    touches: Vec<&'a Told>,
    milestones: Vec<&'a Reached>,
}

/// The unit of a row: its account, else its person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum UnitOf<'a> {
    Account(&'a str),
    Person(&'a str),
}

/// The rows of both topics that count. See the module.
#[derive(Debug, Default)]
pub struct Rows {
    /// By the hash of the key.
    touches: BTreeMap<Hash128, Told>,
    milestones: BTreeMap<String, Reached>,
    /// By account, its top account.
    roots: BTreeMap<String, String>,
    /// Texts, each stored once.
    texts: BTreeSet<Arc<str>>,
}

impl Rows {
    /// Adds a row of `touchpoints`.
    pub fn touch(&mut self, row: TouchpointRow) {
        let key = Hash128::of(row.touchpoint_id.as_bytes());
        if row.erased {
            self.touches.remove(&key);
            return;
        }
        if self.touches.get(&key).is_some_and(|known| known.revision > row.revision) {
            return;
        }
        let [account_id, profile_id, role] = [&row.account_id, &row.profile_id, &row.role].map(|text| self.text(text));
        let (revision, time_ms, consented) = (row.revision, row.touch_time, row.consented);
        let device = u64::from_str_radix(&row.device, 16).unwrap_or_default();
        let raw = stored(row, device).encode_to_vec().into_boxed_slice();
        self.touches.insert(key, Told { revision, raw, time_ms, account_id, profile_id, role, device, consented });
    }

    /// Applies a tombstone of `touchpoints`.
    pub fn no_touch(&mut self, key: &[u8]) {
        self.touches.remove(&Hash128::of(key));
    }

    /// Adds a row of `milestones`.
    pub fn milestone(&mut self, row: MilestoneRow) {
        if row.erased {
            self.milestones.remove(&row.milestone_id);
            return;
        }
        if self.milestones.get(&row.milestone_id).is_some_and(|known| known.revision > row.revision) {
            return;
        }
        let reached = Reached {
            revision: row.revision,
            account_id: self.text(&row.account_id),
            profile_id: self.text(&row.profile_id),
            named: row.named_profiles.iter().map(|profile_id| self.text(profile_id)).collect(),
            milestone: Milestone {
                milestone_id: row.milestone_id.clone(),
                kind: row.milestone_kind,
                object_id: row.object_id,
                time_ms: row.milestone_time,
                value_minor: row.value_minor,
                currency: row.currency,
                withdrawn: row.withdrawn,
                public: row.public,
                gone: false,
                dimensions: row.dimensions,
                versions: row.versions,
            },
        };
        self.milestones.insert(row.milestone_id, reached);
    }

    /// Applies a tombstone of `milestones`.
    pub fn no_milestone(&mut self, key: &[u8]) {
        if let Ok(milestone_id) = str::from_utf8(key) {
            self.milestones.remove(milestone_id);
        }
    }

    /// Adds a row of `accounts`. Needed where touches of subsidiaries count for the top account (`identity.account_level = "root"`); must
    /// be left out otherwise.
    pub fn account(&mut self, row: Account) {
        if row.root_id.is_empty() || row.erased || !row.merged_into.is_empty() {
            self.roots.remove(&row.account_id);
        } else {
            self.roots.insert(row.account_id, row.root_id);
        }
    }

    /// Applies a tombstone of `accounts`.
    pub fn no_account(&mut self, key: &[u8]) {
        if let Ok(account_id) = str::from_utf8(key) {
            self.roots.remove(account_id);
        }
    }

    /// The newest touch, milliseconds since 1970-01-01 UTC.
    pub fn newest_ms(&self) -> Option<i64> {
        self.touches.values().map(|touch| touch.time_ms).max()
    }

    /// The number of units.
    pub fn units(&self) -> usize {
        self.by_unit().len()
    }

    /// Calls `hear` with the paths of each unit.
    ///
    /// # Errors
    /// [`Malformed`] for a touch that cannot be read (rows made here always can); errors of `hear`.
    pub fn each_unit<E: From<Malformed>>(
        &self,
        wanted: &Wanted,
        plan: &Plan,
        hear: &mut dyn FnMut(UnitPaths) -> Result<(), E>,
    ) -> Result<(), E> {
        for Held { touches, milestones } in self.by_unit().into_values() {
            let touches = touches.iter().filter(|told| told.consented).map(|told| {
                let by = u128::from(told.device) << 64;
                Touchpoint::read(&told.raw, &told.profile_id, &told.role, &by.to_be_bytes())
            });
            let touches = touches.collect::<Result<_, _>>()?;
            let live = milestones.iter().map(|of| &of.milestone).filter(|of| !of.withdrawn).collect();
            let cast = |of: &Milestone| {
                let named = self.milestones.get(&of.milestone_id).map(|of| of.named.as_slice()).unwrap_or_default();
                Cast::of_profiles(named.iter().map(AsRef::as_ref))
            };
            hear(of_history(History { touches, live, cast: &cast }, wanted, plan))?;
        }
        Ok(())
    }

    fn by_unit(&self) -> BTreeMap<UnitOf<'_>, Held<'_>> {
        let mut units: BTreeMap<UnitOf<'_>, Held<'_>> = BTreeMap::new();
        for touch in self.touches.values() {
            units.entry(self.unit(&touch.account_id, &touch.profile_id)).or_default().touches.push(touch);
        }
        for of in self.milestones.values() {
            units.entry(self.unit(&of.account_id, &of.profile_id)).or_default().milestones.push(of);
        }
        units
    }

    fn unit<'a>(&'a self, account_id: &'a str, profile_id: &'a str) -> UnitOf<'a> {
        if account_id.is_empty() {
            return UnitOf::Person(profile_id);
        }
        UnitOf::Account(self.roots.get(account_id).map_or(account_id, String::as_str))
    }

    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&text));
        text
    }
}

/// The touch of a row as a unit stores it, byte for byte: the bytes decide the order of versions of one event.
fn stored(row: TouchpointRow, device: u64) -> StoredTouch {
    let touch = Touch {
        channel: row.channel,
        source: row.source,
        medium: row.medium,
        campaign: row.campaign,
        content: row.content,
        term: row.term,
        touch_type: row.touch_type,
        identified: row.identified,
        digital: row.digital,
        names_source: row.names_source,
        device: if row.device_named { device } else { 0 },
        public: row.public,
        origin: None,
        dimensions: (!row.dimensions.is_empty()).then_some(Dimensions { values: row.dimensions }),
    };
    StoredTouch { event_id: row.touch_id, time_ms: row.touch_time, touch: Some(touch), identifier_set: 0, origin: None }
}
