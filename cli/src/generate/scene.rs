//! The input of a renderer, and the format of ids and times.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::Offset;
use serde::{Serialize, Serializer};

use super::company::{Company, Person};
use super::journey::Journey;
use super::step::Step;

/// The input of a renderer.
pub(super) struct Scene<'a> {
    pub(super) journey: &'a Journey,
    pub(super) company: &'a Company,
    pub(super) person: &'a Person,
    pub(super) step: &'a Step,
    pub(super) messy: bool,
}

impl Scene<'_> {
    /// A number below `limit` from the step's random bits, different for every `salt`.
    pub(super) fn choose(&self, salt: u32, limit: u32) -> u32 {
        let mixed = (self.step.detail ^ salt.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b);
        (mixed ^ (mixed >> 15)).checked_rem(limit).unwrap_or(0)
    }

    /// The event's id.
    pub(super) fn event_id(&self) -> EventId {
        EventId { company: self.company.index, serial: self.step.serial }
    }

    /// The cookie of a browser, 0 or 1.
    pub(super) fn cookie(&self, browser: u8) -> &str {
        let [first, second] = &self.person.cookies;
        if browser == 0 { first } else { second }
    }

    /// The email address as people type it.
    pub(super) fn typed_email(&self) -> String {
        let email = &self.person.email;
        match (self.messy, self.choose(1, 10)) {
            (true, 0) => format!(" {} ", email.to_uppercase()),
            (true, 1) => email.replace(".example", ".Example"),
            _ => email.clone(),
        }
    }

    /// The phone number as people type it; in messy data sometimes that of the front desk.
    pub(super) fn typed_phone(&self) -> String {
        let phone = &self.person.phone;
        if self.messy && self.choose(2, 25) == 0 {
            return self.company.front_desk.clone();
        }
        let part = |from: usize, to: usize| phone.get(from..to).unwrap_or_default();
        match self.choose(3, 4) {
            0 => format!("+86 {}-{}-{}", part(0, 3), part(3, 7), part(7, 11)),
            1 => format!("{} {} {}", part(0, 3), part(3, 7), part(7, 11)),
            2 => format!("+86{phone}"),
            _ => phone.clone(),
        }
    }
}

/// `e{company}-{serial}`.
#[derive(Clone, Copy)]
pub(super) struct EventId {
    company: u64,
    serial: u32,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}-{}", self.company, self.serial)
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

/// A time as text in the senders' time zone, +08:00.
#[derive(Clone, Copy)]
pub(super) enum Moment {
    /// RFC 3339 with the offset.
    Rfc3339(i64),
    /// As in a spreadsheet: without an offset, to the second.
    Local(i64),
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Rfc3339(ms) | Self::Local(ms)) = *self;
        let moment = Timestamp::from_millisecond(ms).map_err(|_| fmt::Error)?;
        let local = Offset::constant(8).to_datetime(moment);
        match self {
            Self::Rfc3339(_) => write!(f, "{local}+08:00"),
            Self::Local(_) => write!(f, "{} {:02}:{:02}:{:02}", local.date(), local.hour(), local.minute(), local.second()),
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_in_the_senders_zone() {
        assert_eq!(Moment::Rfc3339(1_646_013_960_000).to_string(), "2022-02-28T10:06:00+08:00");
        assert_eq!(Moment::Local(1_646_013_960_999).to_string(), "2022-02-28 10:06:00");
    }
}
