//! A seeded B2B history in the four raw formats: what senders of an invented market would have sent, in the order of arrival.
//!
//! ```
//! use tributary_cli::generate::{History, Item, Spec};
//!
//! let history = History::new(Spec { people: 20, seed: 7, days: 90, events: 500, messy: false, dimensions: false });
//! let records = history.filter(|item| matches!(item, Item::Record(_))).count();
//! assert_eq!(records, 500);
//! ```
//!
//! The same [`Spec`] gives the same bytes on every machine and day. Memory is proportional to the number of companies that are active at
//! one time, not to the length of the history.

mod broken;
mod company;
mod crm;
mod draw;
pub mod effects;
mod journey;
mod offline;
mod own_dimensions;
mod render;
mod scene;
mod sdk;
mod sheet;
mod step;
mod utm;
mod webhook;
mod words;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use tributary_runtime::topic::Topic;

use company::{Company, PEOPLE_MAX};
use draw::Draw;
use journey::{Journey, Planner};
use scene::Scene;

pub use company::Truth;
pub use sheet::{header, row};

/// The beginning of every history: 2023-01-02T00:00:00+08:00, a Monday.
pub const START_MS: i64 = 1_672_588_800_000;
/// The configuration for a history: the own site, and that its private mailboxes imply no account.
pub const CONFIGURATION: &str =
    "[ingest]\nown_sites = [\"a-corp.example\"]\n\n[identity]\nfree_mail = [\"freemail.example\"]\n";
/// The same for a history with dimensions: declares them.
pub const CONFIGURATION_WITH_DIMENSIONS: &str = "[ingest]\nown_sites = [\"a-corp.example\"]\ndimensions = [\"region\", \"product\", \"team\"]\n\n\
     [identity]\nfree_mail = [\"freemail.example\"]\n";
/// Default number of records per person.
pub const EVENTS_PER_PERSON: u64 = 20;
/// The shortest history, days: one company's journey must fit.
pub const DAYS_MIN: u32 = 30;

const DAY_MS: i64 = 86_400_000;
/// Longest activity of a company, days; in a short history half of its length.
const ACTIVE_DAYS_MAX: u32 = 150;

/// The parameters of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// People, in companies of one to eight.
    pub people: u64,
    /// The seed of everything random.
    pub seed: u64,
    /// Days from the first to the last event; at least [`DAYS_MIN`].
    pub days: u32,
    /// Records in all, including copies. People and their deals may need more.
    pub events: u64,
    /// Whether senders make mistakes: odd URLs, misspelt and shared identifiers, records that must be refused.
    pub messy: bool,
    /// Whether senders give own dimensions.
    pub dimensions: bool,
}

/// A record of a raw topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// The raw topic.
    pub topic: Topic,
    /// When it arrives, milliseconds since 1970-01-01 UTC; histories are sorted by it.
    pub arrives_ms: i64,
    /// The record's value: JSON.
    pub value: Vec<u8>,
    /// Whether it is a row of a spreadsheet: see [`row`].
    pub sheet: bool,
}

/// An item of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A record, in the order of arrival.
    Record(RawRecord),
    /// The truth about a person; comes before the person's first record.
    Person(Truth),
}

/// A history, generated while it is read.
pub struct History {
    spec: Spec,
    active_ms: i64,
    next_company: u64,
    next_person: u64,
    planned_events: u64,
    /// Companies with further steps, by number, each with the number of steps taken.
    active: BTreeMap<u64, (Journey, usize)>,
    /// The next arrival of every active company.
    queue: BinaryHeap<Reverse<(i64, u64)>>,
    truths: VecDeque<Truth>,
}

impl History {
    /// The history of `spec`.
    pub fn new(spec: Spec) -> Self {
        let days = spec.days.max(DAYS_MIN);
        let spec = Spec { days, ..spec };
        Self {
            spec,
            active_ms: i64::from(ACTIVE_DAYS_MAX.min(days / 2)) * DAY_MS,
            next_company: 0,
            next_person: 0,
            planned_events: 0,
            active: BTreeMap::new(),
            queue: BinaryHeap::new(),
            truths: VecDeque::new(),
        }
    }

    /// When the next company begins, if there is one: beginnings are spread evenly over the history.
    fn next_start_ms(&self) -> Option<i64> {
        if self.next_person >= self.spec.people {
            return None;
        }
        let span_ms = i128::from(i64::from(self.spec.days) * DAY_MS - self.active_ms);
        let offset = span_ms * i128::from(self.next_person) / i128::from(self.spec.people);
        Some(START_MS + i64::try_from(offset).unwrap_or(0) / 1_000 * 1_000)
    }

    fn open_company(&mut self, start_ms: i64) {
        let mut draw = Draw::new(self.spec.seed, self.next_company);
        let size = u64::from(1 + draw.below(PEOPLE_MAX)).min(self.spec.people - self.next_person);
        let company = Company::new(&mut draw, self.next_company, self.next_person, size);
        self.next_person += size;
        let due = u128::from(self.spec.events) * u128::from(self.next_person) / u128::from(self.spec.people);
        let events = u64::try_from(due).unwrap_or(u64::MAX).saturating_sub(self.planned_events);
        let journey = Planner::plan(&mut draw, company, start_ms, self.active_ms, events, self.spec.messy);
        self.planned_events += u64::try_from(journey.steps.len()).unwrap_or(0);
        self.truths.extend(journey.company.truth());
        if let Some(first) = journey.steps.first() {
            self.queue.push(Reverse((first.arrives_ms, self.next_company)));
            self.active.insert(self.next_company, (journey, 0));
        }
        self.next_company += 1;
    }

    /// Takes the earliest step of all active companies.
    fn take(&mut self) -> Option<RawRecord> {
        let Reverse((arrives_ms, number)) = self.queue.pop()?;
        let (journey, at) = self.active.get_mut(&number)?;
        let step = journey.steps.get(*at)?;
        let person = journey.company.people.get(usize::from(step.person))?;
        let scene = Scene { journey, company: &journey.company, person, step, messy: self.spec.messy };
        let mut value = Vec::with_capacity(512);
        // Writing to memory cannot fail, and all values can be written as JSON.
        let (topic, sheet) = render::render(&scene, &mut value).ok()?;
        if self.spec.dimensions {
            own_dimensions::give(&scene, &mut value);
        }
        *at += 1;
        match journey.steps.get(*at) {
            Some(next) => self.queue.push(Reverse((next.arrives_ms, number))),
            None => drop(self.active.remove(&number)),
        }
        Some(RawRecord { topic, arrives_ms, value, sheet })
    }
}

impl Iterator for History {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(truth) = self.truths.pop_front() {
                return Some(Item::Person(truth));
            }
            let earliest = self.queue.peek().map(|Reverse((at_ms, _))| *at_ms);
            match self.next_start_ms() {
                Some(start_ms) if earliest.is_none_or(|earliest| earliest >= start_ms) => self.open_company(start_ms),
                _ => return self.take().map(Item::Record),
            }
        }
    }
}

#[cfg(test)]
mod tests;
