//! The CRM's pushes: leads, conversions, accounts and milestones, as native records.

use std::fmt;

use serde::{Serialize, Serializer};

use super::scene::{EventId, Moment, Scene};
use super::webhook::Push;

#[derive(Serialize)]
struct Lead<'a> {
    kind: &'static str,
    event_id: EventId,
    timestamp: Moment,
    crm_lead: &'a str,
    email: &'a str,
    phone: String,
    traits: Traits<'a>,
}

#[derive(Serialize)]
struct Traits<'a> {
    name: &'a str,
    company: &'a str,
    title: &'a str,
}

/// A lead created from a form.
pub(super) fn lead_created(scene: &Scene<'_>, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let person = scene.person;
    let body = Lead {
        kind: "identify",
        event_id: scene.event_id(),
        timestamp: Moment::Rfc3339(scene.step.at_ms),
        crm_lead: &person.lead,
        email: &person.email,
        phone: format!("+86{}", person.phone),
        traits: Traits { name: &person.name, company: &scene.company.name, title: person.title },
    };
    serde_json::to_writer(out, &Push::new(scene, "native", body))
}

#[derive(Serialize)]
struct Conversion<'a> {
    kind: &'static str,
    event_id: EventId,
    timestamp: Moment,
    crm_lead: &'a str,
    crm_contact: &'a str,
    email: &'a str,
    account: &'a str,
}

/// A lead that became a contact of an account.
pub(super) fn converted(scene: &Scene<'_>, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let body = Conversion {
        kind: "link",
        event_id: scene.event_id(),
        timestamp: Moment::Rfc3339(scene.step.at_ms),
        crm_lead: &scene.person.lead,
        crm_contact: &scene.person.contact,
        email: &scene.person.email,
        account: &scene.company.account,
    };
    serde_json::to_writer(out, &Push::new(scene, "native", body))
}

#[derive(Serialize)]
struct Account<'a> {
    kind: &'static str,
    event_id: EventId,
    timestamp: Moment,
    account: &'a str,
    domain: &'a str,
    traits: AccountTraits<'a>,
}

#[derive(Serialize)]
struct AccountTraits<'a> {
    company: &'a str,
}

/// The company's record.
pub(super) fn account(scene: &Scene<'_>, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let body = Account {
        kind: "account",
        event_id: scene.event_id(),
        timestamp: Moment::Rfc3339(scene.step.at_ms),
        account: &scene.company.account,
        domain: &scene.company.domain,
        traits: AccountTraits { company: &scene.company.name },
    };
    serde_json::to_writer(out, &Push::new(scene, "native", body))
}

#[derive(Serialize)]
struct Milestone<'a> {
    kind: &'static str,
    event_id: EventId,
    milestone: &'static str,
    object_id: &'a str,
    timestamp: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crm_lead: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crm_contact: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    withdrawn: bool,
}

/// A version of a milestone, alone or in a list of one.
pub(super) fn milestone(scene: &Scene<'_>, version: u16, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let Some(version) = scene.journey.versions.get(usize::from(version)) else { return Ok(()) };
    let person = scene.person;
    let of_deal = !version.of_lead;
    let body = Milestone {
        kind: "milestone",
        event_id: scene.event_id(),
        milestone: version.kind,
        object_id: &version.object,
        timestamp: Moment::Rfc3339(scene.step.at_ms),
        occurred_at: version.occurred_ms.map(Moment::Rfc3339),
        crm_lead: version.of_lead.then_some(&person.lead),
        email: version.of_lead.then_some(&person.email),
        account: of_deal.then_some(&scene.company.account),
        crm_contact: of_deal.then_some(&person.contact),
        value: version.value.map(|(minor, _, decimals)| Decimal { minor, decimals }),
        currency: version.value.map(|(_, currency, _)| currency),
        withdrawn: version.withdrawn,
    };
    if scene.choose(40, 4) == 0 {
        return serde_json::to_writer(out, &Push::new(scene, "native", [body]));
    }
    serde_json::to_writer(out, &Push::new(scene, "native", body))
}

/// An amount in major units, as decimal text.
struct Decimal {
    minor: u64,
    decimals: u32,
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10_u64.pow(self.decimals);
        match self.decimals {
            0 => write!(f, "{}", self.minor),
            decimals => {
                let width = usize::try_from(decimals).unwrap_or(0);
                write!(f, "{}.{:0width$}", self.minor / unit, self.minor % unit)
            }
        }
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_their_currencys_decimals() {
        assert_eq!(Decimal { minor: 30_000_005, decimals: 2 }.to_string(), "300000.05");
        assert_eq!(Decimal { minor: 5_000_000, decimals: 0 }.to_string(), "5000000");
    }
}
