//! A row in one line for people: it names identifiers by kind, never by value.

use serde::Serialize;
use tributary_ingest::Decoded;
use tributary_pipeline::time::minute;
use tributary_proto::event::Body;
use tributary_proto::{Event, Spend};

/// A row that would be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Its line in the file.
    pub line: u64,
    /// The kind of record.
    pub kind: &'static str,
    /// The time to the minute, in UTC; for spend the day.
    pub time: String,
    /// The kinds of its identifiers.
    pub who: String,
    /// The channel.
    pub channel: String,
    /// The other content.
    pub what: String,
}

impl Shown {
    /// From the decoded events of a row.
    pub fn of(line: u64, decoded: &Decoded) -> impl Iterator<Item = Self> {
        let events = decoded.events.iter().map(move |event| of_event(line, event));
        events.chain(decoded.spends.iter().map(move |spend| of_spend(line, spend)))
    }
}

fn of_event(line: u64, event: &Event) -> Shown {
    let who: Vec<&str> = event.identifiers.iter().chain(&event.account_identifiers).map(|id| id.kind.as_str()).collect();
    let (kind, channel, what) = match &event.body {
        Some(Body::Touch(touch)) => ("touch", touch.channel.clone(), said(&touch.source, &touch.medium, &touch.campaign)),
        Some(Body::Milestone(version)) => {
            let amounts = [("value", &version.value), ("refund", &version.refund)];
            let amounts = amounts.into_iter().filter_map(|(what, amount)| Some(format!(" {what} {}", amount.as_ref()?)));
            let what = format!("{}{} {}", version.milestone_id, amounts.collect::<String>(), version.currency);
            ("milestone", String::new(), what.trim_end().to_owned())
        }
        Some(Body::Identify(_)) => ("identify", String::new(), String::new()),
        Some(Body::Account(_)) => ("account", String::new(), String::new()),
        Some(Body::Link(_)) => ("link", String::new(), String::new()),
        Some(Body::Unlink(_)) => ("unlink", String::new(), String::new()),
        Some(Body::Consent(consent)) => ("consent", String::new(), if consent.granted { "granted" } else { "revoked" }.into()),
        Some(Body::Erase(_)) => ("erase", String::new(), String::new()),
        Some(Body::Retract(of)) => ("retract", String::new(), [&*of.milestone_id, &*of.object_id, &*of.record].concat()),
        Some(Body::ObjectContacts(of)) => ("contacts", String::new(), format!("{} ({})", of.object_id, event.contacts.len())),
        None => ("", String::new(), String::new()),
    };
    Shown { line, kind, time: minute(event.time_ms), who: who.join(", "), channel, what }
}

fn of_spend(line: u64, spend: &Spend) -> Shown {
    let said = said(&spend.source, &spend.medium, &spend.campaign);
    let what = format!("{} {} (minor units) {said}", spend.value_minor, spend.currency);
    Shown { line, kind: "spend", time: spend.day.clone(), who: String::new(), channel: spend.channel.clone(), what }
}

fn said(source: &str, medium: &str, campaign: &str) -> String {
    if source.is_empty() && medium.is_empty() && campaign.is_empty() {
        return String::new();
    }
    format!("{source} / {medium} / {campaign}")
}
