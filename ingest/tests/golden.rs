//! One buyer's real journey: its four raw files decode to the same events as the same journey written as native records.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a failing test panics")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use tributary_ingest::{CsvRows, Decoded, Decoder, Settings};
use tributary_proto::event::Body;
use tributary_proto::kind::Kinds;
use tributary_proto::{Event, Source};

fn file(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../cli/tests/golden/zhang").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn decode(decoder: &Decoder, source: Source, lines: impl Iterator<Item = String>) -> Vec<Event> {
    let mut decoded = Decoded::default();
    for line in lines {
        decoder.decode(source, line.as_bytes(), None, &mut decoded).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    assert_eq!(decoded.rejections, []);
    decoded.events
}

fn lines(name: &str) -> impl Iterator<Item = String> {
    file(name).lines().map(str::to_owned).collect::<Vec<_>>().into_iter()
}

fn raw(decoder: &Decoder) -> Vec<Event> {
    let mut events = decode(decoder, Source::Sdk, lines("sdk.ndjson"));
    events.extend(decode(decoder, Source::Utm, lines("utm.ndjson")));
    events.extend(decode(decoder, Source::Webhook, lines("webhook.ndjson")));
    let mut reader = csv::Reader::from_reader(file("offline.csv").into_bytes().leak() as &[u8]);
    let rows = CsvRows::new(decoder, reader.headers().unwrap()).unwrap();
    let records: Vec<String> = reader.records().map(|row| rows.record(&row.unwrap()).unwrap()).collect();
    events.extend(decode(decoder, Source::Offline, records.into_iter()));
    events
}

#[test]
fn raw_files_decode_to_the_native_records() {
    let decoder = Decoder::new(&Settings::default(), &Kinds::default()).unwrap();
    let wanted = decode(&decoder, Source::Offline, lines("decoded.ndjson"));
    let mut found: BTreeMap<String, Event> = BTreeMap::new();
    let mut repeated = 0;
    for event in raw(&decoder) {
        match found.get(&event.event_id) {
            None => drop(found.insert(event.event_id.clone(), event)),
            // WeChat sent its push twice: the very same event.
            Some(known) => {
                assert_eq!(*known, event);
                repeated += 1;
            }
        }
    }
    assert_eq!(repeated, 1);

    // An internal page view is no touch, and has no native record: it only reports who was seen.
    let page = found.remove("P1").unwrap();
    assert!(matches!(page.body, Some(Body::Identify(_))));
    assert_eq!(page.identifiers, wanted[0].identifiers);

    assert_eq!(found.len(), wanted.len());
    for native in wanted {
        let event = &found[&native.event_id];
        let id = &native.event_id;
        assert_eq!(event.time_ms, native.time_ms, "{id}");
        assert_eq!(event.identifiers, native.identifiers, "{id}");
        assert_eq!(event.account_identifiers, native.account_identifiers, "{id}");
        match (event.body.clone().unwrap(), native.body.unwrap()) {
            (Body::Touch(mut event), Body::Touch(mut native)) => {
                // Where it was found is each record's own.
                (event.origin, native.origin) = Default::default();
                // What the raw files have in addition to the native records: that it was on a site, the scene of the code, and what the
                // visitor did.
                assert_eq!(std::mem::take(&mut event.digital), ["A", "E", "G"].contains(&id.as_str()), "{id}");
                if id.starts_with("wechat:") {
                    assert_eq!(std::mem::take(&mut event.campaign), "aid_cookie-7f3a");
                }
                if id == "E" || id == "G" {
                    assert!(["Trial Requested", "Content Downloaded"].contains(&event.touch_type.as_str()));
                    (event.touch_type, native.touch_type) = Default::default();
                }
                assert_eq!(event, native, "{id}");
            }
            (event, native) => assert_eq!(event, native, "{id}"),
        }
    }
    assert_eq!(found["E"].traits.iter().map(|t| (t.name.as_str(), t.value.as_str())).collect::<Vec<_>>(), [("name", "张先生")]);
    assert_eq!(found["D"].traits, found["E"].traits);
}

#[test]
fn the_journey_spelt_out() {
    let decoder = Decoder::new(&Settings::default(), &Kinds::default()).unwrap();
    let events: BTreeMap<String, Event> = raw(&decoder).into_iter().map(|event| (event.event_id.clone(), event)).collect();
    let touch = |id: &str| match &events[id].body {
        Some(Body::Touch(touch)) => (touch.channel.as_str(), touch.source.as_str(), touch.medium.as_str(), touch.identified),
        other => panic!("{id}: {other:?}"),
    };
    assert_eq!(touch("A"), ("paid_search", "baidu", "cpc", false));
    assert_eq!(touch("wechat:gh_acorp:oZhang:1646013960:subscribe"), ("wechat", "official_account", "qr_subscribe", true));
    assert_eq!(touch("E"), ("direct", "", "", true));
    assert_eq!(touch("G"), ("wechat", "official_account", "article", true));
    let names: Vec<String> = events["E"].identifiers.iter().map(|identifier| identifier.display()).collect();
    assert_eq!(names, ["email||zhang@b-corp.example", "phone||+8613800001111", "anonymous_id||cookie-7f3a"]);
    // receivedAt - (sentAt - originalTimestamp): the visitor's clock was a minute fast.
    assert_eq!(events["E"].time_ms, 1_649_853_000_000);
    let Some(Body::Milestone(won)) = &events["M3"].body else { panic!("not a milestone") };
    assert_eq!(
        (won.milestone_id.as_str(), won.value.map(|value| value.to_string()).as_deref(), won.currency.as_str()),
        ("closed_won:006X", Some("300000"), "CNY")
    );
    let Some(Body::Milestone(mql)) = &events["M1"].body else { panic!("not a milestone") };
    assert_eq!((mql.value, mql.currency.as_str()), (None, ""));
}
