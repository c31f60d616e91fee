//! Additional events, in the form that ingest would have decoded. They go directly into the inbox of identity.
//!
//! They use the names in the records, at the same times or nearly, so that everything interacts.

mod accounts;
mod back;
mod contacts;
mod hierarchy;
mod moves;
mod public;
mod records;

use tributary_proto::event::Body;
use tributary_proto::kind::Kinds;
use tributary_proto::{Event, Identifier, Source, Touch};

use super::Features;
use crate::draw::Draw;
use crate::oracle::facts::received_ms;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;
/// 2023-01-02T00:00:00Z.
const START_MS: i64 = 1_672_617_600_000;

/// All events of these features, in random order, with or without hostile ones.
pub(super) fn draw(draw: &mut Draw, features: Features, hostile: bool, kinds: &Kinds, records: &[Event]) -> Vec<Event> {
    let mut pool = Pool::of(kinds, records);
    if features.time {
        let moving = draw.below(4);
        (0..moving).for_each(|_| moves::draw(draw, &mut pool));
    }
    if features.roles {
        contacts::draw(draw, &mut pool);
    }
    if features.trust {
        public::visits(draw, &mut pool);
        if hostile && draw.percent(60) {
            public::attacks(draw, &mut pool);
        }
    }
    if features.time {
        back::draw(draw, &mut pool);
    }
    if features.hierarchy {
        hierarchy::draw(draw, &mut pool);
        accounts::draw(draw, &mut pool);
    }
    if features.time {
        records::draw(draw, &mut pool);
    }
    pool.said
}

/// Events that a hostile sender writes through a public write key to harm those whom the given events name.
pub(super) fn draw_hostile(draw: &mut Draw, kinds: &Kinds, events: &[Event]) -> Vec<Event> {
    let mut pool = Pool { prefix: "evil-", ..Pool::of(kinds, events) };
    public::attacks(draw, &mut pool);
    // Whatever times they state, they are received after all other events.
    let last_ms = events.iter().map(received_ms).max().unwrap_or_default();
    for (event, behind_ms) in pool.said.iter_mut().zip(1..) {
        event.received_ms = last_ms + behind_ms;
    }
    pool.said
}

/// The identifiers and events so far.
struct Pool<'a> {
    kinds: &'a Kinds,
    /// Events decoded from records.
    records: &'a [Event],
    /// Events made beside them so far.
    said: Vec<Event>,
    /// The prefix of their event ids.
    prefix: &'static str,
    people: Vec<Identifier>,
    accounts: Vec<Identifier>,
    times: Vec<i64>,
}

impl<'a> Pool<'a> {
    fn of(kinds: &'a Kinds, records: &'a [Event]) -> Self {
        let mut people: Vec<Identifier> = records.iter().flat_map(|event| event.identifiers.clone()).collect();
        people.extend([Identifier::new("email", "", "person0@a-corp.example"), Identifier::new("user_id", "", "u-0")]);
        let mut accounts: Vec<Identifier> = records.iter().flat_map(|event| event.account_identifiers.clone()).collect();
        accounts.extend([Identifier::new("crm_account", "", "000"), Identifier::new("domain", "", "b-corp.example")]);
        let mut times: Vec<i64> = records.iter().map(|event| event.time_ms).collect();
        times.push(START_MS);
        Self { kinds, records, said: Vec::new(), prefix: "m", people, accounts, times }
    }

    /// A time at or close to that of another event.
    fn time(&self, draw: &mut Draw) -> i64 {
        let near = [0, 0, 0, 0, 1, -1, MINUTE_MS, 20 * MINUTE_MS, -20 * MINUTE_MS, HOUR_MS, DAY_MS, -DAY_MS, 5 * DAY_MS];
        draw.pick(&self.times) + draw.pick(&near)
    }

    /// A person, by one identifier.
    fn person(&self, draw: &mut Draw) -> Identifier {
        draw.pick(&self.people)
    }

    /// The identifiers of a person, as in an event of a record.
    fn mention(&self, draw: &mut Draw) -> Vec<Identifier> {
        let named = draw.pick(self.records).identifiers;
        if named.is_empty() || draw.percent(40) { vec![self.person(draw)] } else { named }
    }

    /// An event with a new id, or sometimes one that was used before.
    fn event(&self, draw: &mut Draw, time_ms: i64, identifiers: Vec<Identifier>, body: Body) -> Event {
        let used = if draw.percent(6) { draw.pick(self.records).event_id } else { String::new() };
        let event_id = if used.is_empty() { format!("{}{}", self.prefix, self.said.len()) } else { used };
        let identifiers = self.sorted(identifiers);
        Event { event_id, time_ms, source: Source::Sdk.into(), identifiers, body: Some(body), ..Event::default() }
    }

    /// Strongest first.
    fn sorted(&self, mut identifiers: Vec<Identifier>) -> Vec<Identifier> {
        let rank = |identifier: &Identifier| self.kinds.rank(&identifier.kind);
        identifiers.sort_by(|a, b| (rank(a), &a.value, &a.scope).cmp(&(rank(b), &b.value, &b.scope)));
        identifiers.dedup();
        identifiers
    }

    /// CRM ids before domains before company names.
    fn sorted_accounts(&self, mut accounts: Vec<Identifier>) -> Vec<Identifier> {
        let rank = |account: &Identifier| self.kinds.rank(&account.kind);
        accounts.sort_by(|a, b| (rank(a), &a.value).cmp(&(rank(b), &b.value)));
        accounts.dedup();
        accounts
    }

    fn say(&mut self, event: Event) {
        self.times.push(event.time_ms);
        self.said.push(event);
    }

    /// Any event so far; `None` if there is none.
    fn any(&self, draw: &mut Draw) -> Option<Event> {
        let at = draw.below(self.records.len() + self.said.len());
        self.records.iter().chain(&self.said).nth(at).cloned()
    }
}

/// A touch on a site, or elsewhere.
fn touch(draw: &mut Draw, public: bool) -> Touch {
    let word = |draw: &mut Draw, percent: usize| if draw.percent(percent) { draw.pick(&["a", "b"]) } else { "" }.to_owned();
    Touch {
        channel: draw.pick(&["direct", "email", "paid_search", "events"]).to_owned(),
        source: word(draw, 40),
        campaign: word(draw, 30),
        touch_type: draw.pick(&["", "page", "form", "call"]).to_owned(),
        identified: draw.percent(50),
        digital: public || draw.percent(40),
        names_source: draw.percent(30),
        public,
        ..Touch::default()
    }
}
