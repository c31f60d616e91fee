//! The decoders, each with its corpus, and what must hold of whatever they give.

use std::fs;
use std::path::Path;

use serde::de::IgnoredAny;
use serde_json::Value;
use tributary_ingest::{CsvRows, Decoded, Decoder, PROVIDERS, as_native, limits, reason};
use tributary_proto::event::Body;
use tributary_proto::kind::Kinds;
use tributary_proto::{Event, Identifier, Source};
use tributary_runtime::stage::Rejection;

/// 2022-05-01T00:00:00Z.
const RECEIVED_MS: i64 = 1_651_363_200_000;
/// Milliseconds of the year 9999.
const TIME_MS_MAX: i64 = 253_402_300_799_999;
/// A text that no message about a refusal may repeat.
const SECRET: &str = "S3CRET";

/// How an input becomes a raw record.
#[derive(Clone, Copy)]
enum Form {
    /// It is one.
    Record(Source),
    /// It is the body of an envelope of this provider: JSON, and anything else as text.
    Body(&'static str),
    /// It is a row of a CSV file.
    Row,
    /// It is the URL of a landing hit.
    Url,
}

/// A decoder.
pub struct Target {
    pub name: &'static str,
    pub corpus: Vec<Vec<u8>>,
    pub words: &'static [&'static str],
    form: Form,
    decoder: Decoder,
}

const NATIVE_WORDS: &[&str] = &[
    "\"kind\"",
    "\"milestone\"",
    "\"link\"",
    "\"erase\"",
    "\"consent\"",
    "\"traits\"",
    "\"email\"",
    "\"phone\"",
    "\"crm_contact\"",
    "\"wechat_openid\"",
    "\"account\"",
    "\"domain\"",
    "\"value\"",
    "\"currency\"",
    "\"occurred_at\"",
    "\"withdrawn\"",
    "\"amends\"",
    "\"url\"",
    "\"event_id\"",
    "\"closed_won\"",
    "\"S3CRET\"",
];
const SDK_WORDS: &[&str] = &[
    "\"type\"",
    "\"track\"",
    "\"group\"",
    "\"alias\"",
    "\"userId\"",
    "\"previousId\"",
    "\"groupId\"",
    "\"context\"",
    "\"traits\"",
    "\"externalIds\"",
    "\"timestamp\"",
    "\"sentAt\"",
    "\"properties\"",
    "\"campaign\"",
    "\"S3CRET\"",
];
const XML_WORDS: &[&str] = &[
    "<![CDATA[",
    "]]>",
    "</xml>",
    "<xml>",
    "<!DOCTYPE x>",
    "<!ENTITY a \"b\">",
    "&a;",
    "&amp;",
    "&#x0;",
    "&#xfffe;",
    "<!--",
    "-->",
    "<?x?>",
    "<Event>",
    "</Event>",
    "<EventKey/>",
    "<Encrypt>",
    "qrscene_",
    "aid_",
    "S3CRET",
];
const CRM_WORDS: &[&str] = &[
    "\"deal.propertyChange\"",
    "\"dealstage\"",
    "\"closedwon\"",
    "\"amount\"",
    "\"closedate\"",
    "\"contact.merge\"",
    "\"mergedObjectIds\"",
    "\"objectTypeId\"",
    "\"0-3\"",
    "\"ChangeEventHeader\"",
    "\"GAP_UPDATE\"",
    "\"recordIds\"",
    "\"StageName\"",
    "\"Closed Won\"",
    "\"Amount\"",
    "\"CloseDate\"",
    "\"payload\"",
    "\"data\"",
    "\"S3CRET\"",
];
const URL_WORDS: &[&str] = &[
    "utm_source=",
    "utm_medium[]=",
    "?",
    "#utm_",
    "#/",
    ";",
    "gclid=",
    "%E5%93%81",
    "%C6%B7",
    "%2525",
    "xn--",
    "://",
    "@",
    "[::1]",
    ":99999",
];

/// All decoders: of sources, of every provider that is built in, and of one that is described in the settings.
pub fn targets() -> Vec<Target> {
    let of_sources = [
        ("sdk", Form::Record(Source::Sdk), SDK_WORDS),
        ("utm", Form::Record(Source::Utm), NATIVE_WORDS),
        ("offline", Form::Record(Source::Offline), NATIVE_WORDS),
        ("csv", Form::Row, NATIVE_WORDS),
        ("url", Form::Url, URL_WORDS),
    ];
    let of_providers = PROVIDERS.iter().map(|provider| {
        let is_xml = provider.examples.iter().any(|example| example.starts_with('<'));
        (provider.name, Form::Body(provider.name), if is_xml { XML_WORDS } else { CRM_WORDS })
    });
    let all = of_sources.into_iter().chain(of_providers).chain([("fxiaoke", Form::Body("fxiaoke"), CRM_WORDS)]);
    all.map(|(name, form, words)| Target { name, corpus: corpus(name), words, form, decoder: decoder() }).collect()
}

#[allow(clippy::expect_used, reason = "without its settings and corpus there is nothing to do")]
fn read(path: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)).expect("a file of the corpus")
}

#[allow(clippy::expect_used, reason = "without its settings and corpus there is nothing to do")]
fn decoder() -> Decoder {
    let text = String::from_utf8(read("payloads/settings.toml")).expect("UTF-8");
    let kinds = Kinds::new(vec!["badge".into()], Vec::new());
    Decoder::new(&toml::from_str(&text).expect("TOML"), &kinds).expect("settings that can be used")
}

/// The payloads of a source, and the lines of its file in `tests/corpus`, if there is one: what once was trouble.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut files: Vec<_> = fs::read_dir(tests.join("payloads").join(name)).into_iter().flatten().flatten().collect();
    files.sort_by_key(fs::DirEntry::path);
    let payloads = files.iter().map(fs::DirEntry::path).filter(|path| !path.to_string_lossy().ends_with(".decoded.json"));
    let mut corpus: Vec<Vec<u8>> = payloads.filter_map(|path| fs::read(path).ok()).collect();
    let more = fs::read(tests.join("corpus").join(format!("{name}.txt"))).unwrap_or_default();
    corpus.extend(more.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec));
    assert!(!corpus.is_empty(), "{name} has no corpus");
    corpus
}

impl Target {
    /// Decodes an input; returns how many events it gave.
    ///
    /// # Errors
    /// What of it must not be.
    pub fn decode(&self, input: &[u8]) -> Result<u64, String> {
        let Some((source, record)) = self.record(input) else { return Ok(0) };
        let mut out = Decoded::default();
        let result = self.decoder.decode(source, &record, Some(RECEIVED_MS), &mut out);
        if let Err(rejection) = &result {
            check_rejection(rejection)?;
            let nothing = out.events.is_empty() && out.rejections.is_empty();
            return if nothing { Ok(0) } else { Err("a refused record has added something".into()) };
        }
        out.rejections.iter().try_for_each(check_rejection)?;
        out.events.iter().try_for_each(check_event)?;
        let mut again = Decoded::default();
        let second = self.decoder.decode(source, &record, Some(RECEIVED_MS), &mut again);
        if second != result || again.events != out.events || again.rejections != out.rejections {
            return Err("the second time gives something else".into());
        }
        u64::try_from(out.events.len()).map_err(|_| "too many events".into())
    }

    fn record(&self, input: &[u8]) -> Option<(Source, Vec<u8>)> {
        let text = || String::from_utf8_lossy(input);
        Some(match self.form {
            Form::Record(source) => (source, input.to_vec()),
            Form::Body(provider) => {
                let is_json = serde_json::from_slice::<IgnoredAny>(input).is_ok();
                let body = if is_json { input.to_vec() } else { Value::from(text().into_owned()).to_string().into_bytes() };
                let head = format!(r#"{{"provider":"{provider}","headers":{{}},"body":"#);
                (Source::Webhook, [head.as_bytes(), &body, b"}"].concat())
            }
            Form::Row => (Source::Offline, self.row(&text())?.into_bytes()),
            Form::Url => {
                let url = Value::from(text().into_owned());
                let record = format!(r#"{{"timestamp":"2022-02-28","anonymous_id":"c","url":{url},"referrer":{url}}}"#);
                (Source::Utm, record.into_bytes())
            }
        })
    }

    /// The first line is the header.
    fn row(&self, text: &str) -> Option<String> {
        let (header, row) = text.split_once('|')?;
        let rows = CsvRows::new(&self.decoder, header.split(',')).ok()?;
        rows.record(row.split(',')).ok()
    }
}

fn check_rejection(rejection: &Rejection) -> Result<(), String> {
    if !reason::OF_RAW_RECORDS.contains(&rejection.reason) {
        return Err(format!("the reason {} is not one of raw records", rejection.reason));
    }
    if rejection.detail.contains(SECRET) || rejection.field.contains(SECRET) {
        return Err("a refusal repeats what it refuses".into());
    }
    Ok(())
}

fn check_event(event: &Event) -> Result<(), String> {
    let times = [Some(event.time_ms), occurred(event)];
    if times.into_iter().flatten().any(|time_ms| !(0..=TIME_MS_MAX).contains(&time_ms)) {
        return Err("a time is out of range".into());
    }
    // Of several events of one message the id has a suffix.
    if event.event_id.is_empty() || event.event_id.len() > limits::ID_BYTES_MAX + 16 {
        return Err("an event id is blank or too long".into());
    }
    let names = || event.identifiers.iter().chain(&event.account_identifiers);
    if names().count() > limits::IDENTIFIERS_MAX {
        return Err("too many identifiers".into());
    }
    for name in names() {
        let parts = [&name.scope, &name.value];
        if name.value.is_empty() || parts.into_iter().any(|part| part.len() > limits::ID_BYTES_MAX + 16) {
            return Err(format!("an identifier of kind {} is blank or too long", name.kind));
        }
        if parts.into_iter().any(|part| part.chars().any(is_hidden)) {
            return Err(format!("an identifier of kind {} has characters that nobody sees", name.kind));
        }
    }
    let contacts = event.contacts.iter().map(|contact| contact.identifier.as_ref().map(Identifier::key));
    if contacts.clone().any(|name| name.is_none()) || !contacts.is_sorted() || event.contacts.len() > limits::CONTACTS_MAX {
        return Err("contacts are nobody, not sorted, or too many".into());
    }
    if !event.traits.is_sorted_by(|a, b| a.name < b.name) || event.traits.len() > limits::TRAITS_MAX {
        return Err("traits are not sorted, or too many".into());
    }
    let of_object = match &event.body {
        Some(Body::Milestone(_)) => true,
        Some(Body::ObjectContacts(of)) => !of.object_id.is_empty() && !event.contacts.is_empty(),
        Some(Body::Retract(of)) => [&of.milestone_id, &of.object_id, &of.record].into_iter().any(|key| !key.is_empty()),
        _ => false,
    };
    if !of_object && names().next().is_none() {
        return Err("an event names nobody".into());
    }
    if let Some(Body::Milestone(version)) = &event.body
        && (version.value.is_some_and(|value| value.scale > tributary_proto::decimal::SCALE_MAX)
            || version.object_id.is_empty())
    {
        return Err("a milestone has no object, or a value with too many places".into());
    }
    if as_native(event).is_object() { Ok(()) } else { Err("an event cannot be shown".into()) }
}

fn occurred(event: &Event) -> Option<i64> {
    match &event.body {
        Some(Body::Milestone(version)) => version.occurred_at_ms,
        _ => None,
    }
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{3164}')
}
