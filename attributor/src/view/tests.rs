use tributary_proto::{
    AttributorMessage, Extent, Item, Message, Origin, Placement, ResidentState, Span, attributor_message, item,
};

use super::*;

fn team() -> BTreeMap<String, String> {
    [("team".to_owned(), "h".to_owned()), ("region".to_owned(), "i".to_owned())].into()
}

fn touch() -> StoredTouch {
    StoredTouch {
        event_id: "e1".into(),
        time_ms: -5,
        touch: Some(Touch {
            channel: "a".into(),
            source: "b".into(),
            medium: "c".into(),
            campaign: "d".into(),
            content: "e".into(),
            term: "f".into(),
            touch_type: "g".into(),
            identified: true,
            digital: true,
            names_source: true,
            device: 9,
            public: true,
            origin: None,
            dimensions: Some(Dimensions { values: team() }),
        }),
        identifier_set: 7,
        origin: None,
    }
}

#[test]
fn an_origin_is_the_last_field_and_has_the_digest_of_its_rules() {
    let plain = touch().encode_to_vec();
    assert_eq!(split_origin(&plain), Ok(Split { face: &plain, rules: None, origin: &[] }));
    for rules in [0, 7, u32::MAX] {
        let (found, url, referrer) = (63, "https://a.example/", "b.example");
        let origin = Origin { rules, found, input: 2, url: url.into(), referrer: referrer.into() };
        let encoded = origin.encode_to_vec();
        let raw = StoredTouch { origin: Some(origin), ..touch() }.encode_to_vec();
        assert_eq!(split_origin(&raw), Ok(Split { face: &plain, rules: Some(rules), origin: &encoded }));
        assert_eq!(OriginView::parse(&encoded), Ok(OriginView { found, input: 2, url, referrer }));
        assert_eq!(TouchView::parse(&raw), TouchView::parse(&plain));
        assert!((plain.len() + 1..raw.len()).all(|cut| split_origin(&raw[..cut]).is_err()));
    }
}

#[test]
fn agrees_with_the_generated_types() {
    let encoded = touch().encode_to_vec();
    let view = TouchView::parse(&encoded).unwrap();
    let expected = TouchView {
        event_id: "e1",
        time_ms: -5,
        channel: "a",
        source: "b",
        medium: "c",
        campaign: "d",
        content: "e",
        term: "f",
        touch_type: "g",
        identified: true,
        digital: true,
        names_source: true,
        device: 9,
        public: true,
        dimensions: b"\x0a\x0b\x0a\x06region\x12\x01i\x0a\x09\x0a\x04team\x12\x01h",
        identifier_set: 7,
    };
    assert_eq!(view, expected);
    let mut written = BTreeMap::from([("product".to_owned(), "of the row before".to_owned())]);
    view.write_dimensions(&mut written);
    assert_eq!(written, team());
    TouchView::default().write_dimensions(&mut written);
    assert!(written.is_empty());
    assert!(TouchView::parse(b"\x1a\x05\x72\x03\x0a\x01\x01").is_err(), "an entry is a message");
    assert_eq!(view.to_stored(), touch());

    let what = Some(item::What::Touch(touch()));
    let item = Item { identifier_hash: vec![7; 16], epoch: 9, what };
    let message = AttributorMessage { body: Some(attributor_message::Body::Item(item)) }.encode_to_vec();
    let view = ItemView::parse(&message).unwrap().unwrap();
    assert_eq!(view, ItemView { identifier: [7; 16], epoch: 9, body: ItemBody::Touch(&encoded) });
}

#[test]
fn agrees_with_the_generated_types_of_residents() {
    let account = |unit: &str| unit.to_uppercase();
    let span = |from_ms, unit: &str| Span { from_ms, unit: unit.into(), account_id: account(unit), ..Span::default() };
    let later = vec![span(-8, "b"), span(70, "a")];
    let placement = Placement {
        profile_id: "p".into(),
        unit: "a".into(),
        account_id: account("a"),
        role: "r".into(),
        revoked: true,
        epoch: 3,
        later,
        ..Placement::default()
    };
    let erasures = vec![
        Erasure { identifier_set: 1, until_ms: 100, event: 0 },
        Erasure { identifier_set: 7, until_ms: -5, event: 0 },
        Erasure { event: Hash128::of(b"back").head(), ..Erasure::default() },
    ];
    let state = ResidentState {
        placement: Some(placement.clone()),
        erasures,
        extent: Some(Extent { oldest_ms: -9, newest_ms: 4 }),
        rows: 6,
        ..ResidentState::default()
    };
    let encoded = state.encode_to_vec();
    let view = ResidentView::parse(&encoded).unwrap();
    assert_eq!((view.extent, view.rows), (state.extent, 6));
    for key in ["a", "b", "c"].map(str::as_bytes) {
        assert_eq!(view.is_in(key).unwrap(), placement.is_in(key));
        for time_ms in [i64::MIN, -9, -8, 69, 70] {
            let belongs = placement.at(time_ms).0.as_bytes();
            let elsewhere = Some((belongs, 3)).filter(|(unit, _)| *unit != key);
            let of_epoch = [2, 3, 4].map(|epoch| view.forwards(key, epoch, time_ms).unwrap());
            assert_eq!(of_epoch, [elsewhere, elsewhere, None], "{time_ms}");
            let (unit, account_id) = placement.at(time_ms);
            let whose = Whose { profile_id: "p", account_id, role: "r", revoked: true };
            assert_eq!(view.whose(key, time_ms), Ok(Some(whose).filter(|_| unit.as_bytes() == key)), "{time_ms}");
        }
    }
    let at = |identifier_set, time_ms| view.voids(&TouchView { identifier_set, time_ms, ..TouchView::default() }).unwrap();
    assert_eq!((at(7, -5), at(7, -4), at(1, 100), at(0, -9)), (true, false, true, false));
    assert!(view.voids(&TouchView { event_id: "back", time_ms: i64::MAX, ..TouchView::default() }).unwrap());
}

#[test]
fn a_mark_of_an_earlier_version_is_a_placement_elsewhere() {
    let mark = ResidentState { moved_to: "u".into(), moved_epoch: 3, ..ResidentState::default() }.encode_to_vec();
    let view = ResidentView::parse(&mark).unwrap();
    let forwards = [2, 3, 4].map(|epoch| view.forwards(b"here", epoch, 0).unwrap());
    assert_eq!(forwards, [Some((&b"u"[..], 3)), Some((&b"u"[..], 3)), None]);
    assert!(!view.is_in(b"here").unwrap());
    assert_eq!(ResidentView::default().forwards(b"here", 0, 0), Ok(None));
}

#[test]
fn every_cut_of_an_item_is_refused_or_misses_nothing() {
    let item = Item { identifier_hash: vec![7; 16], epoch: 9, what: Some(item::What::Touch(touch())) };
    let message = AttributorMessage { body: Some(attributor_message::Body::Item(item)) }.encode_to_vec();
    for cut in 1..message.len() {
        assert_eq!(ItemView::parse(&message[..cut]), Err(Malformed), "cut at {cut}");
    }
}

#[test]
fn replacing_the_extent_of_a_resident_keeps_the_rest() {
    let erasures = vec![Erasure { until_ms: 4, ..Erasure::default() }];
    let placement = Placement { unit: "u".into(), epoch: 3, ..Placement::default() };
    for extent in [None, Some(Extent { oldest_ms: -7, newest_ms: 1 << 40 })] {
        let (placement, erasures) = (Some(placement.clone()), erasures.clone());
        let state = ResidentState { placement, erasures, extent, rows: 9, ..ResidentState::default() };
        let now = Extent { oldest_ms: 5, newest_ms: 6 };
        let changed = with_extent(&state.encode_to_vec(), &now).unwrap().unwrap();
        assert_eq!(ResidentState::decode(&*changed), Ok(ResidentState { extent: Some(now), ..state.clone() }));
        let view = ResidentView::parse(&changed).unwrap();
        assert_eq!((view.extent, view.rows), (Some(now), 9));
        assert_eq!(view.voids(&TouchView { time_ms: 4, ..TouchView::default() }), Ok(true));
    }
    let earlier = ResidentState { moved_to: "u".into(), moved_epoch: 3, ..ResidentState::default() };
    assert_eq!(with_extent(&earlier.encode_to_vec(), &Extent::default()), Ok(None));
    assert_eq!(with_extent(b"\x0a", &Extent::default()), Err(Malformed));
}
