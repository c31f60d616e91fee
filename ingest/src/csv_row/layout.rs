//! Tables of other programs with known columns: GA4's offline events (<https://support.google.com/analytics/answer/10325025>) and Google
//! Ads' click conversions (<https://support.google.com/google-ads/answer/7014069>).

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use tributary_proto::kind::Kinds;
use tributary_runtime::stage::Rejection;

use crate::decoder::Decoder;
use crate::reason;
use crate::rules::Meaning;

/// The program whose table it is.
#[derive(Debug, Clone, Default)]
pub(super) enum Layout {
    /// Columns are fields of the native record.
    #[default]
    Native,
    Ga4 {
        meanings: BTreeMap<String, Meaning>,
    },
    GoogleAds(Ads),
}

/// What is needed to read Google Ads' cells.
#[derive(Debug, Clone)]
pub(super) struct Ads {
    meanings: BTreeMap<String, Meaning>,
    kinds: Kinds,
    zone: TimeZone,
    has_order_id: bool,
}

/// The form of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Plain,
    /// Microseconds since 1970-01-01 UTC.
    Micros,
    /// The name of a GA4 event: of a milestone if the settings say so, else of a touch.
    EventName,
    /// A click id with this name.
    ClickId(&'static str),
    ConversionName,
    ConversionTime,
    /// An email address, or its hash.
    Email,
}

/// Fields and values in a cell.
type Pairs<'a> = Vec<(&'static str, Cow<'a, str>)>;

impl Layout {
    /// Recognises the program by the header; names are in lower case.
    pub(super) fn of(names: &[String], decoder: &Decoder) -> Self {
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        let meanings = || decoder.rules.meanings.clone();
        if has("timestamp_micros") && has("event_name") {
            return Self::Ga4 { meanings: meanings() };
        }
        if has("conversion name") && has("conversion time") {
            return Self::GoogleAds(Ads {
                meanings: meanings(),
                kinds: decoder.rules.kinds.clone(),
                zone: decoder.rules.times.zone.clone(),
                has_order_id: has("order id"),
            });
        }
        Self::Native
    }

    pub(super) fn set_zone(&mut self, zone: &str) -> Result<(), Rejection> {
        if let Self::GoogleAds(ads) = self {
            let unknown = || {
                let detail = "TimeZone is neither an IANA zone (Asia/Shanghai) nor an offset (+0800)";
                Rejection::new(reason::CSV_MALFORMED, "Parameters", detail)
            };
            let zone = TimeZone::get(zone).ok().or_else(|| offset(zone).map(TimeZone::fixed));
            ads.zone = zone.ok_or_else(unknown)?;
        }
        Ok(())
    }

    /// The field of the native record for a column, and the form of its cells.
    pub(super) fn column(&self, name: &str) -> (String, Form) {
        let (field, form) = match self {
            Self::Native => (name, Form::Plain),
            Self::Ga4 { .. } => ga4_column(name),
            Self::GoogleAds(_) => match name {
                "google click id" => ("gclid", Form::ClickId("gclid")),
                "gbraid" => ("gbraid", Form::ClickId("gbraid")),
                "wbraid" => ("wbraid", Form::ClickId("wbraid")),
                "conversion name" => ("milestone", Form::ConversionName),
                "conversion time" => ("timestamp", Form::ConversionTime),
                "conversion value" => ("value", Form::Plain),
                "conversion currency" => ("currency", Form::Plain),
                "order id" => ("object_id", Form::Plain),
                "email" => ("email", Form::Email),
                "phone number" => ("phone", Form::Plain),
                other => (other, Form::Plain),
            },
        };
        match (self, name.strip_prefix("user_property.")) {
            (Self::Ga4 { .. }, Some(name)) => (format!("traits.{name}"), Form::Plain),
            _ => (field.to_owned(), form),
        }
    }

    /// Reads a cell that is not plain.
    pub(super) fn read<'a>(&self, form: Form, cell: &'a str, header: &str) -> Result<Pairs<'a>, Rejection> {
        let refuse = |reason, detail: &str| Err(Rejection::new(reason, header, detail));
        match (self, form) {
            (Self::Ga4 { .. }, Form::Micros) => {
                match cell.parse().ok().and_then(|micros| Timestamp::from_microsecond(micros).ok()) {
                    Some(time) => Ok(vec![("timestamp", Cow::Owned(time.to_string()))]),
                    None => refuse(reason::TIMESTAMP_INVALID, "expected microseconds since 1970-01-01 UTC"),
                }
            }
            (Self::Ga4 { meanings }, Form::EventName) => Ok(match meanings.get(cell) {
                Some(Meaning::Milestone(kind)) => milestone(kind.clone()),
                None if OUTCOMES.contains(&cell) => vec![("kind", Cow::Borrowed("identify"))],
                _ => vec![("touch_type", Cow::Borrowed(cell))],
            }),
            (Self::GoogleAds(ads), Form::ClickId(name)) if ads.has_order_id => Ok(vec![(name, Cow::Borrowed(cell))]),
            // A click has one conversion of each name. So without an order id, the click id is the object's id.
            (_, Form::ClickId(name)) => Ok(vec![(name, Cow::Borrowed(cell)), (OBJECT_ID, Cow::Borrowed(cell))]),
            (Self::GoogleAds(ads), Form::ConversionName) => match ads.kind(cell) {
                Some(kind) => Ok(milestone(kind)),
                None => {
                    refuse(reason::MILESTONE_UNKNOWN, "no kind of milestone: name the conversion in ingest.milestone_events")
                }
            },
            (Self::GoogleAds(ads), Form::ConversionTime) => match ads.time(cell) {
                Some(time) => Ok(vec![("timestamp", Cow::Owned(time.to_string()))]),
                None => refuse(reason::TIMESTAMP_INVALID, "expected a time as Google Ads writes it: 2022-04-13 14:00:00+08:00"),
            },
            (_, Form::Email) if cell.len() == 64 && cell.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                Ok(vec![("email_sha256", Cow::Borrowed(cell))])
            }
            (_, Form::Email) => Ok(vec![("email", Cow::Borrowed(cell))]),
            _ => Ok(Vec::new()),
        }
    }
}

/// Several columns of click ids can give this field; the first one counts.
pub(super) const OBJECT_ID: &str = "object_id";

/// Outcomes that GA4 recommends as events. Unless the settings map them to milestones, they only identify the person.
const OUTCOMES: [&str; 9] = [
    "purchase",
    "in_app_purchase",
    "refund",
    "qualify_lead",
    "disqualify_lead",
    "working_lead",
    "close_convert_lead",
    "close_unconvert_lead",
    "ecommerce_purchase",
];

/// An offset as Google Ads writes it: `+0800`, `-05:00`.
fn offset(text: &str) -> Option<Offset> {
    let plain = text.trim().replace(':', "");
    let sign = match plain.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = plain.get(1..).filter(|digits| digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    let (hours, minutes): (i32, i32) = (digits.get(..2)?.parse().ok()?, digits.get(2..)?.parse().ok()?);
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

fn milestone(kind: String) -> Pairs<'static> {
    vec![("kind", Cow::Borrowed("milestone")), ("milestone", Cow::Owned(kind))]
}

fn ga4_column(name: &str) -> (&str, Form) {
    match name {
        "client_id" => ("anonymous_id", Form::Plain),
        "app_instance_id" => ("device_id", Form::Plain),
        "timestamp_micros" => ("timestamp", Form::Micros),
        "event_name" => ("touch_type", Form::EventName),
        "event_param.page_location" => ("url", Form::Plain),
        "event_param.page_referrer" => ("referrer", Form::Plain),
        "event_param.transaction_id" => ("object_id", Form::Plain),
        _ => match name.strip_prefix("event_param.") {
            Some(field @ ("source" | "medium" | "campaign" | "content" | "term" | "value" | "currency")) => {
                (field, Form::Plain)
            }
            _ => (name, Form::Plain),
        },
    }
}

impl Ads {
    /// The kind of milestone of a conversion: from the settings, or from its name (`Closed Won`).
    fn kind(&self, name: &str) -> Option<String> {
        if let Some(Meaning::Milestone(kind)) = self.meanings.get(name) {
            return Some(kind.clone());
        }
        self.kinds.milestone(&name.replace([' ', '-'], "_")).map(str::to_owned)
    }

    /// The forms that Google Ads accepts: with an offset, with a zone's name, or local.
    fn time(&self, text: &str) -> Option<Timestamp> {
        if let Ok(time) = text.parse::<Timestamp>() {
            return Some(time);
        }
        let (local, zone) = match text.rsplit_once(' ').map(|(local, name)| (local, TimeZone::get(name))) {
            Some((local, Ok(zone))) => (local, zone),
            _ => (text, self.zone.clone()),
        };
        let formats =
            ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%b %d, %Y %I:%M:%S %p"];
        let local = formats.iter().find_map(|format| DateTime::strptime(format, local).ok())?;
        zone.to_ambiguous_timestamp(local).compatible().ok()
    }
}
