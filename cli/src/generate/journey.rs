//! The journey of a company: visits, forms, scans, trade shows, and the deal with its milestones, as steps in time.

use super::company::{Company, base36, names};
use super::draw::{Draw, pick};
use super::step::{Kind, Step, Version};
use super::words::CURRENCIES;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;
/// In a messy history, one record in this many must be refused.
const BROKEN_ONE_IN: u32 = 400;

/// A company's journey: its steps, in the order of their arrival.
pub(super) struct Journey {
    pub(super) company: Company,
    pub(super) versions: Vec<Version>,
    pub(super) steps: Vec<Step>,
}

/// How many stages a deal reaches; more entries make a number more likely.
const DEPTHS: [usize; 12] = [0, 0, 0, 1, 2, 2, 3, 4, 6, 7, 8, 8];
/// The stages of a deal with the days that each takes.
const STAGES: [(&str, u32, u32); 8] = [
    ("lead", 0, 2),
    ("mql", 0, 4),
    ("sal", 1, 4),
    ("meeting", 2, 9),
    ("opportunity", 2, 14),
    ("proposal", 4, 14),
    ("negotiation", 3, 12),
    ("closed_won", 3, 21),
];

/// Plans one company's journey.
pub(super) struct Planner<'a> {
    draw: &'a mut Draw,
    journey: Journey,
    start_ms: i64,
    active_ms: i64,
    messy: bool,
    serial: u32,
}

impl<'a> Planner<'a> {
    /// The journey of `company` in the `active_ms` from `start_ms`, with about `events` records.
    pub(super) fn plan(
        draw: &'a mut Draw,
        company: Company,
        start_ms: i64,
        active_ms: i64,
        events: u64,
        messy: bool,
    ) -> Journey {
        let journey = Journey { company, versions: Vec::new(), steps: Vec::new() };
        let mut planner = Self { draw, journey, start_ms, active_ms, messy, serial: 0 };
        let people = u16::try_from(planner.journey.company.people.len()).unwrap_or(u16::MAX);
        let known: Vec<(u16, i64)> = (0..people).filter_map(|person| planner.person(person)).collect();
        if let Some((champion, since_ms)) = known.first().copied() {
            planner.deal(champion, since_ms);
        }
        planner.browse(people, events);
        // Stable: copies with the same arrival keep their order.
        planner.journey.steps.sort_by_key(|step| step.arrives_ms);
        planner.journey
    }

    /// Whether a step at this time is inside the company's period.
    fn inside(&self, at_ms: i64) -> bool {
        at_ms <= self.start_ms + self.active_ms
    }

    fn step(&mut self, person: u16, at_ms: i64, kind: Kind, used: u16) {
        if !self.inside(at_ms) {
            return;
        }
        if let Some(person) = self.journey.company.people.get_mut(usize::from(person)) {
            person.used |= used;
        }
        let delay_ms = match kind {
            // Spreadsheets arrive days later.
            Kind::Booth => self.draw.days(1, 4),
            // Phones that were offline, CRMs that synchronise at night.
            _ if self.draw.percent(4) => self.draw.minutes(60, 3 * 1_440),
            _ => i64::from(self.draw.below(60)) * 1_000,
        };
        let received_ms = at_ms + delay_ms;
        let step =
            Step { at_ms, received_ms, arrives_ms: received_ms, person, kind, detail: self.draw.bits(), serial: self.serial };
        self.serial += 1;
        self.journey.steps.push(step);
        // WeChat sends again after five seconds without an answer; other senders sometimes.
        let copies = match kind {
            Kind::Scan if self.draw.percent(15) => 1 + self.draw.below(3),
            _ if self.draw.percent(2) => 1,
            _ => 0,
        };
        for copy in 1..=i64::from(copies) {
            self.journey.steps.push(Step { arrives_ms: received_ms + copy * 5_000, ..step });
        }
    }

    /// A person's own journey. Returns the person, and when the person gave their name, if ever.
    fn person(&mut self, person: u16) -> Option<(u16, i64)> {
        let third = self.active_ms / 3;
        let first_ms =
            self.start_ms + i64::from(self.draw.below(u32::try_from(third / MINUTE_MS).unwrap_or(u32::MAX))) * MINUTE_MS;
        let device = if self.draw.percent(12) { names::DEVICE } else { 0 };
        self.step(person, first_ms, Kind::Landing { cookie: 0 }, names::COOKIE | device);
        self.pages(person, first_ms, 0);
        let on_wechat = self.draw.percent(60);
        if on_wechat {
            self.wechat(person, first_ms);
        }
        let known = self.draw.percent(70);
        let form_ms = first_ms + self.draw.days(0, 10);
        if known {
            self.step(person, form_ms, Kind::Form { cookie: 0 }, names::COOKIE | names::EMAIL | names::PHONE);
            self.pages(person, form_ms, 0);
            self.second_browser(person, form_ms);
            if self.draw.percent(18) {
                let at_ms = form_ms + self.draw.days(0, 5);
                self.step(person, at_ms, Kind::Login, names::USER | names::COOKIE | names::EMAIL);
            }
        }
        if self.draw.percent(15) {
            let at_ms = first_ms + self.draw.days(1, 30);
            self.step(person, at_ms, Kind::Booth, names::PHONE);
        }
        if on_wechat && known && self.draw.percent(25) {
            let at_ms = form_ms + self.draw.days(1, 40);
            self.step(person, at_ms, Kind::Webinar, names::OPENID | names::PHONE);
        }
        (known && self.inside(form_ms)).then_some((person, form_ms))
    }

    fn wechat(&mut self, person: u16, first_ms: i64) {
        let scan_ms = first_ms + self.draw.minutes(2, 2_000);
        self.step(person, scan_ms, Kind::Scan, names::OPENID | names::COOKIE);
        if self.draw.percent(30) {
            let at_ms = scan_ms + self.draw.days(0, 20);
            self.step(person, at_ms, Kind::UnionId, names::OPENID | names::UNIONID);
        }
        for _ in 0..self.draw.below(4) {
            let at_ms = scan_ms + self.draw.days(1, 60);
            self.step(person, at_ms, Kind::Article, names::OPENID);
        }
    }

    /// The same person returns with another browser and logs in.
    fn second_browser(&mut self, person: u16, form_ms: i64) {
        if self.draw.percent(40) {
            let at_ms = form_ms + self.draw.days(1, 45);
            self.step(person, at_ms, Kind::Landing { cookie: 1 }, names::COOKIE_2);
            self.pages(person, at_ms, 1);
            if self.draw.percent(70) {
                let at_ms = at_ms + self.draw.minutes(3, 20);
                self.step(person, at_ms, Kind::Form { cookie: 1 }, names::COOKIE_2 | names::EMAIL | names::PHONE);
            }
        }
    }

    fn pages(&mut self, person: u16, from_ms: i64, cookie: u8) {
        let used = if cookie == 0 { names::COOKIE } else { names::COOKIE_2 };
        let mut at_ms = from_ms;
        for _ in 0..self.draw.below(4) {
            at_ms += self.draw.minutes(0, 6);
            self.step(person, at_ms, Kind::Page { cookie }, used);
        }
    }

    /// The deal that starts when its champion is known.
    fn deal(&mut self, champion: u16, since_ms: i64) {
        let depth = pick(&DEPTHS, self.draw.bits());
        if depth == 0 {
            return;
        }
        self.step(champion, since_ms + 30 * MINUTE_MS, Kind::LeadCreated, names::LEAD | names::EMAIL | names::PHONE);
        let object = format!("006{}", base36(self.journey.company.index));
        let value = self.value();
        let mut at_ms = since_ms + 40 * MINUTE_MS;
        for (stage, (kind, from, to)) in STAGES.into_iter().take(depth).enumerate() {
            at_ms += self.draw.days(from, to) + MINUTE_MS;
            if !self.inside(at_ms + MINUTE_MS) {
                return;
            }
            match stage {
                0..=2 => self.lead_stage(champion, kind, at_ms),
                _ => self.deal_stage(champion, kind, at_ms, stage, &object, value),
            }
        }
        if depth == STAGES.len() && self.draw.percent(8) {
            let again = format!("006{}", base36(self.journey.company.index + (1 << 40)));
            let at_ms = at_ms + self.draw.days(5, 40);
            let value = self.value();
            self.milestone(champion, "expansion", at_ms, again, Some(value), false, None);
        }
    }

    fn lead_stage(&mut self, champion: u16, kind: &'static str, at_ms: i64) {
        let lead = self.journey.company.people.get(usize::from(champion)).map(|person| person.lead.clone()).unwrap_or_default();
        self.milestone(champion, kind, at_ms, lead.clone(), None, true, None);
        if kind == "mql" && self.draw.percent(5) {
            let later_ms = at_ms + self.draw.days(1, 10);
            self.withdraw(champion, kind, later_ms, lead, true);
        }
    }

    fn deal_stage(
        &mut self,
        champion: u16,
        kind: &'static str,
        at_ms: i64,
        stage: usize,
        object: &str,
        value: (u64, &'static str, u32),
    ) {
        if stage == 3 {
            self.step(champion, at_ms - 2 * MINUTE_MS, Kind::Converted, names::LEAD | names::CONTACT | names::EMAIL);
            self.step(champion, at_ms - MINUTE_MS, Kind::Account, 0);
        }
        if self.draw.percent(60) {
            let call_ms = at_ms - self.draw.minutes(30, 1_440);
            self.step(champion, call_ms.max(self.start_ms), Kind::Call, names::CONTACT | names::EMAIL);
        }
        let lost = kind == "closed_won" && self.draw.percent(35);
        if lost {
            self.milestone(champion, "closed_lost", at_ms, object.to_owned(), Some(value), false, None);
            if self.draw.percent(10) {
                let reopened_ms = at_ms + self.draw.days(1, 7);
                self.withdraw(champion, "closed_lost", reopened_ms, object.to_owned(), false);
            }
            return;
        }
        self.milestone(champion, kind, at_ms, object.to_owned(), Some(value), false, None);
        if kind == "opportunity" && self.draw.percent(20) {
            // The first estimate was wrong; the opportunity's date does not change.
            let amended = (value.0 / 4 * u64::from(2 + self.draw.below(6)), value.1, value.2);
            let later_ms = at_ms + self.draw.days(1, 10);
            self.milestone(champion, kind, later_ms, object.to_owned(), Some(amended), false, Some(at_ms));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one for each column of the record")]
    fn milestone(
        &mut self,
        person: u16,
        kind: &'static str,
        at_ms: i64,
        object: String,
        value: Option<(u64, &'static str, u32)>,
        of_lead: bool,
        occurred_ms: Option<i64>,
    ) {
        let used = if of_lead { names::LEAD | names::EMAIL } else { names::CONTACT };
        self.version(person, at_ms, Version { kind, object, occurred_ms, value, withdrawn: false, of_lead }, used);
    }

    fn withdraw(&mut self, person: u16, kind: &'static str, at_ms: i64, object: String, of_lead: bool) {
        let used = if of_lead { names::LEAD | names::EMAIL } else { names::CONTACT };
        self.version(person, at_ms, Version { kind, object, occurred_ms: None, value: None, withdrawn: true, of_lead }, used);
    }

    fn version(&mut self, person: u16, at_ms: i64, version: Version, used: u16) {
        if let Ok(index) = u16::try_from(self.journey.versions.len()) {
            self.journey.versions.push(version);
            self.step(person, at_ms, Kind::Milestone(index), used);
        }
    }

    /// The value of a deal: 20,000 to two million yuan, more often little, in minor units of its currency.
    fn value(&mut self) -> (u64, &'static str, u32) {
        let (currency, decimals, thousandths) = pick(&CURRENCIES, self.draw.bits());
        let yuan = 20_000 << self.draw.below(6);
        let yuan = u64::from(yuan + self.draw.below(yuan));
        (
            yuan * thousandths / 1_000 * 10_u64.pow(decimals) + u64::from(self.draw.below(10_u32.pow(decimals))),
            currency,
            decimals,
        )
    }

    /// Adds visits until there are as many records as wanted.
    fn browse(&mut self, people: u16, events: u64) {
        let wanted = usize::try_from(events).unwrap_or(usize::MAX);
        let minutes = u32::try_from((self.active_ms - DAY_MS).max(DAY_MS) / MINUTE_MS).unwrap_or(u32::MAX);
        while self.journey.steps.len() < wanted {
            let person = u16::try_from(self.draw.below(u32::from(people))).unwrap_or(0);
            let at_ms = (self.start_ms + i64::from(self.draw.below(minutes)) * MINUTE_MS).min(self.start_ms + self.active_ms);
            if self.messy && self.draw.below(BROKEN_ONE_IN) == 0 {
                self.step(person, at_ms, Kind::Broken, 0);
            } else if self.draw.percent(40) {
                self.step(person, at_ms, Kind::Landing { cookie: 0 }, names::COOKIE);
            } else {
                self.pages(person, at_ms, 0);
            }
        }
        self.journey.steps.truncate(wanted.max(usize::try_from(self.essential()).unwrap_or(0)));
    }

    /// The number of records up to the last one that is not a visit: these must not be cut off.
    fn essential(&self) -> u64 {
        let visit = |kind| matches!(kind, Kind::Landing { .. } | Kind::Page { .. } | Kind::Broken);
        self.journey.steps.iter().rposition(|step| !visit(step.kind)).map_or(0, |at| u64::try_from(at).unwrap_or(0) + 1)
    }
}
