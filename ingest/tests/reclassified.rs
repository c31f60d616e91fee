//! Changed channel rules: a touch that one set of rules has named, named anew by another, is what the other makes of the record.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tributary_ingest::channel::{Rule, Site};
use tributary_ingest::{Decoded, Decoder, Settings};
use tributary_proto::event::Body;
use tributary_proto::kind::Kinds;
use tributary_proto::{Source, Touch};

const VISITS: &str = include_str!("channels.tsv");

/// The default rules, and others that differ in every way: rules, sites, own sites.
fn all_rules() -> Vec<Decoder> {
    let patterns = |text: &str| Some(vec![text.to_owned()]);
    let rule = |channel: &str| Rule { channel: channel.into(), ..Rule::default() };
    let site = |name: &str, category: &str, domain: &str| Site {
        name: name.into(),
        category: category.into(),
        domains: vec![domain.into()],
        ..Site::default()
    };
    let settings = [
        Settings::default(),
        Settings { channel_rules: vec![Rule { source: patterns("*google*"), ..rule("own_search") }], ..Settings::default() },
        Settings {
            channel_rules: vec![
                Rule { touch_type: patterns("form"), ..rule("forms") },
                Rule { input: patterns("offline"), ..rule("files") },
            ],
            ..Settings::default()
        },
        Settings { sites: vec![site("partner", "search", "partner.example")], ..Settings::default() },
        Settings { sites: vec![site("sign-in", "no_referrer", "facebook.com")], ..Settings::default() },
        Settings { own_sites: vec!["google.com".into()], ..Settings::default() },
    ];
    settings.iter().map(|settings| Decoder::new(settings, &Kinds::default()).unwrap()).collect()
}

fn touch(rules: &Decoder, source: Source, record: &Value) -> Option<Touch> {
    let mut decoded = Decoded::default();
    rules.decode(source, record.to_string().as_bytes(), Some(1_700_000_000_000), &mut decoded).unwrap();
    decoded.events.into_iter().find_map(|event| match event.body {
        Some(Body::Touch(touch)) => Some(touch),
        _ => None,
    })
}

/// What a sender may give of a touch beside its URL and referrer.
fn given() -> impl Strategy<Value = Map<String, Value>> {
    let field = |name: &'static str, values: &'static [&'static str]| {
        prop::option::weighted(0.3, prop::sample::select(values)).prop_map(move |value| value.map(|value| (name, value)))
    };
    let fields = vec![
        field("channel", &["email", "paid_search"]).boxed(),
        field("source", &["google", "partner", "undefined", "facebook"]).boxed(),
        field("medium", &["cpc", "organic", "null", "referral"]).boxed(),
        field("campaign", &["spring", "{{campaign}}"]).boxed(),
        field("content", &["a"]).boxed(),
        field("term", &["b"]).boxed(),
        field("touch_type", &["form", "call"]).boxed(),
    ];
    fields.prop_map(|fields| fields.into_iter().flatten().map(|(name, value)| (name.to_owned(), json!(value))).collect())
}

proptest! {
    #[test]
    fn a_reclassified_touch_is_as_if_decoded_with_the_new_rules(
        visit in prop::sample::select(VISITS.lines().skip(1).collect::<Vec<_>>()),
        (with_url, with_referrer) in any::<(bool, bool)>(),
        given in given(),
        source in prop::sample::select(vec![Source::Utm, Source::Offline]),
    ) {
        thread_local!(static RULES: Vec<Decoder> = all_rules());
        let mut record = given;
        record.extend([("timestamp".to_owned(), json!("2023-01-02T03:04:05Z")), ("anonymous_id".to_owned(), json!("cookie-1"))]);
        let mut cells = visit.split('\t');
        for (name, with) in [("url", with_url), ("referrer", with_referrer)] {
            let cell = cells.next().unwrap();
            if with && !cell.is_empty() {
                record.insert(name.to_owned(), json!(cell));
            }
        }
        let record = Value::Object(record);
        RULES.with(|rules| {
            let named: Vec<Touch> = rules.iter().map(|rules| touch(rules, source, &record).unwrap()).collect();
            for former in &named {
                for (rules, now) in rules.iter().zip(&named) {
                    let found = rules.reclassified(former, former.origin.as_ref().unwrap());
                    prop_assert_eq!(Touch { origin: None, ..found }, Touch { origin: None, ..now.clone() });
                }
            }
            Ok(())
        })?;
    }
}

#[test]
fn rules_that_differ_have_other_names_and_equal_ones_the_same() {
    let names: std::collections::BTreeSet<u32> = all_rules().iter().map(Decoder::channel_rules).collect();
    assert_eq!(names.len(), all_rules().len());
    assert_eq!(all_rules()[3].channel_rules(), all_rules()[3].channel_rules());
}
