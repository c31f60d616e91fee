//! The population: companies and their buyers, with every name the senders know them by.

use serde::Serialize;

use super::draw::{Draw, pick, scramble};
use super::words::{COMPANIES, FAMILIES, FREE_MAIL, OFFICIAL_ACCOUNT, OPEN_PLATFORM, TITLES};

/// Most people of a company.
pub(super) const PEOPLE_MAX: u32 = 8;
/// Probability, in percent, that a mailbox is private.
const FREE_MAIL_PERCENT: u32 = 22;
/// Mobile prefixes that libphonenumber accepts with any eight digits after them.
const MOBILE_PREFIXES: [&str; 8] = ["130", "135", "136", "138", "139", "180", "186", "189"];

/// Kinds of identifiers of a person, as bits of a set.
pub(super) mod names {
    pub(crate) const EMAIL: u16 = 1;
    pub(crate) const PHONE: u16 = 2;
    pub(crate) const OPENID: u16 = 4;
    pub(crate) const UNIONID: u16 = 8;
    pub(crate) const COOKIE: u16 = 16;
    pub(crate) const COOKIE_2: u16 = 32;
    pub(crate) const DEVICE: u16 = 64;
    pub(crate) const LEAD: u16 = 128;
    pub(crate) const CONTACT: u16 = 256;
    pub(crate) const USER: u16 = 512;
}

/// A person.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) index: u64,
    pub(super) email: String,
    /// Eleven digits, without the country code.
    pub(super) phone: String,
    pub(super) openid: String,
    pub(super) unionid: String,
    pub(super) cookies: [String; 2],
    pub(super) device: String,
    pub(super) lead: String,
    pub(super) contact: String,
    pub(super) user: String,
    pub(super) name: String,
    pub(super) title: &'static str,
    /// The identifiers that appear in at least one record.
    pub(super) used: u16,
}

/// A company.
#[derive(Debug, Clone)]
pub(super) struct Company {
    pub(super) index: u64,
    pub(super) name: String,
    pub(super) domain: String,
    pub(super) account: String,
    pub(super) front_desk: String,
    pub(super) people: Vec<Person>,
}

/// A line of `truth.ndjson`: the truth, which the pipeline never reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// The person, by number.
    pub person: String,
    /// The company's id in the CRM.
    pub account: String,
    /// The company's domain.
    pub domain: String,
    /// Every identifier in the records, normalised, as `kind|scope|value`.
    pub identifiers: Vec<String>,
}

impl Company {
    /// Company number `index`, with people numbered from `first_person`.
    pub(super) fn new(draw: &mut Draw, index: u64, first_person: u64, people: u64) -> Self {
        let stem = pick(&COMPANIES, draw.bits());
        let name = format!("{stem}-{index}");
        let domain = format!("{name}.example");
        let people = (first_person..first_person + people).map(|index| Person::new(draw, index, &domain)).collect();
        let account = format!("001{}", base36(index));
        let front_desk = format!("0215{:07}", scramble(index) % 10_000_000);
        Self { index, name, domain, account, front_desk, people }
    }

    /// The truth about the company's people.
    pub(super) fn truth(&self) -> impl Iterator<Item = Truth> {
        self.people.iter().map(|person| Truth {
            person: format!("person-{}", person.index),
            account: self.account.clone(),
            domain: self.domain.clone(),
            identifiers: person.identifiers(),
        })
    }
}

impl Person {
    fn new(draw: &mut Draw, index: u64, domain: &str) -> Self {
        let (family, character) = pick(&FAMILIES, draw.bits());
        let mail_domain = if draw.percent(FREE_MAIL_PERCENT) { FREE_MAIL } else { domain };
        let prefix = pick(&MOBILE_PREFIXES, u32::try_from(index % 8).unwrap_or(0));
        // Multiplying by an odd number that is not a multiple of five permutes the eight digits. Not from 0 on, because eight zeros count
        // as a placeholder.
        let digits = (index / 8 + 1).wrapping_mul(61_803_399) % 100_000_000;
        Self {
            index,
            email: format!("{family}{index}@{mail_domain}"),
            phone: format!("{prefix}{digits:08}"),
            openid: format!("o{:016x}{:08x}", scramble(index * 8), index),
            unionid: format!("u{:016x}", scramble(index * 8 + 1)),
            cookies: [format!("c{:016x}", scramble(index * 8 + 2)), format!("c{:016x}", scramble(index * 8 + 3))],
            device: format!("d{:016x}", scramble(index * 8 + 4)),
            lead: format!("00Q{}", base36(index)),
            contact: format!("003{}", base36(index)),
            user: format!("u-{index}"),
            name: format!("{character}{}", if draw.percent(50) { "先生" } else { "女士" }),
            title: pick(&TITLES, draw.bits()),
            used: 0,
        }
    }

    fn identifiers(&self) -> Vec<String> {
        let all = [
            (names::EMAIL, "email", "", &self.email),
            (names::OPENID, "wechat_openid", OFFICIAL_ACCOUNT, &self.openid),
            (names::UNIONID, "wechat_unionid", OPEN_PLATFORM, &self.unionid),
            (names::COOKIE, "anonymous_id", "", &self.cookies[0]),
            (names::COOKIE_2, "anonymous_id", "", &self.cookies[1]),
            (names::DEVICE, "device_id", "", &self.device),
            (names::LEAD, "crm_lead", "", &self.lead),
            (names::CONTACT, "crm_contact", "", &self.contact),
            (names::USER, "user_id", "", &self.user),
        ];
        let named = all.iter().filter(|(bit, ..)| self.used & bit != 0);
        let mut found: Vec<String> = named.map(|(_, kind, scope, value)| format!("{kind}|{scope}|{value}")).collect();
        if self.used & names::PHONE != 0 {
            found.push(format!("phone||+86{}", self.phone));
        }
        found.sort_unstable();
        found
    }
}

/// Twelve characters of base 36, as CRM ids have after their three-letter prefix.
pub(super) fn base36(mut number: u64) -> String {
    let mut digits = [b'0'; 12];
    for digit in digits.iter_mut().rev() {
        let value = u8::try_from(number % 36).unwrap_or(0);
        *digit = if value < 10 { b'0' + value } else { b'A' + value - 10 };
        number /= 36;
    }
    digits.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nobody_shares_a_name() {
        let mut draw = Draw::new(1, 0);
        let mut people = Company::new(&mut draw, 0, 0, 5_000).people;
        people.iter_mut().for_each(|person| person.used = u16::MAX);
        let names: Vec<String> = people.iter().flat_map(Person::identifiers).collect();
        assert_eq!(names.len(), 5_000 * 10);
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }

    #[test]
    fn base36_is_padded() {
        assert_eq!(base36(0), "000000000000");
        assert_eq!(base36(36 * 36 - 1), "0000000000ZZ");
    }
}
