use super::*;

/// The result of versions at times 1, 2, 3, ...: time, value in minor units, currency, whether withdrawn.
fn decided(said: &[MilestoneVersion]) -> (i64, i64, String, bool) {
    let versions: Vec<Event> = (1..)
        .zip(said)
        .map(|(time_ms, version)| Event {
            event_id: format!("e{time_ms}"),
            time_ms,
            body: Some(Body::Milestone(version.clone())),
            ..Event::default()
        })
        .collect();
    let milestone = Standing::of(&sorted(&versions), Currency::CNY).milestone("closed_won:1", Currency::CNY);
    (milestone.time_ms, milestone.value_minor, milestone.currency, milestone.withdrawn)
}

fn amount(text: &str) -> Option<Decimal> {
    Some(Decimal::parse(text).unwrap())
}

fn won() -> MilestoneVersion {
    MilestoneVersion::default()
}

fn amends() -> MilestoneVersion {
    MilestoneVersion { amends: true, ..won() }
}

fn lost() -> MilestoneVersion {
    MilestoneVersion { withdrawn: true, amends: true, ..won() }
}

#[test]
fn an_account_that_was_removed_does_not_count_and_the_one_before_it_does() {
    let account = |value: &str| Identifier::new("crm_account", "", value);
    let names = |value: &str| (Some(account(value)), None);
    let leaves = |value: &str| (None, Some(account(value)));
    let anchor = |said: &[(Option<Identifier>, Option<Identifier>)]| {
        let events: Vec<Event> = (1..)
            .zip(said)
            .map(|(time_ms, (named, former_account))| Event {
                event_id: format!("e{time_ms}"),
                time_ms,
                identifiers: vec![Identifier::new("email", "", "li@b-corp.example")],
                account_identifiers: named.iter().cloned().collect(),
                body: Some(Body::Milestone(MilestoneVersion { former_account: former_account.clone(), ..Default::default() })),
                ..Event::default()
            })
            .collect();
        let versions = sorted(&events);
        Standing::of(&versions, Currency::CNY).anchor().map(|anchor| anchor.value.clone())
    };
    assert_eq!(anchor(&[names("A"), names("B"), leaves("B")]).as_deref(), Some("A"));
    assert_eq!(anchor(&[names("A"), leaves("A")]).as_deref(), Some("li@b-corp.example"));
    assert_eq!(anchor(&[leaves("A"), names("A")]).as_deref(), Some("A"));
    assert_eq!(anchor(&[names("A"), names("B"), leaves("A")]).as_deref(), Some("B"));
    assert_eq!(anchor(&[(Some(account("A")), Some(account("A")))]).as_deref(), Some("li@b-corp.example"));
}

#[test]
fn each_field_is_that_of_the_latest_version_that_has_it() {
    let usd = MilestoneVersion { value: amount("1000"), currency: "USD".into(), ..won() };
    let more = MilestoneVersion { value: amount("2000"), ..amends() };
    assert_eq!(decided(&[usd.clone(), more.clone()]), (1, 200_000, "USD".into(), false));
    let yen = MilestoneVersion { currency: "JPY".into(), ..amends() };
    assert_eq!(decided(&[usd.clone(), more.clone(), yen]), (1, 2_000, "JPY".into(), false));
    let none = MilestoneVersion { value_cleared: true, ..amends() };
    assert_eq!(decided(&[usd.clone(), more, none]), (1, 0, "USD".into(), false));
    let home = MilestoneVersion { currency_cleared: true, ..amends() };
    assert_eq!(decided(&[usd, home]), (1, 100_000, "CNY".into(), false));
}

#[test]
fn each_dimension_is_that_of_the_latest_version_that_has_it() {
    let event = |time_ms: i64, public: bool, dimensions: &[(&str, &str)]| Event {
        event_id: format!("e{time_ms}"),
        time_ms,
        public,
        body: Some(Body::Milestone(MilestoneVersion {
            amends: time_ms != 1,
            dimensions: dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..MilestoneVersion::default()
        })),
        ..Event::default()
    };
    let decided = |events: &[Event]| {
        let milestone = Standing::of(&sorted(events), Currency::CNY).milestone("mql:1", Currency::CNY);
        milestone.dimensions.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    let (team, region) = (event(1, false, &[("team", "a")]), event(2, false, &[("region", "n"), ("team", "")]));
    assert_eq!(decided(std::slice::from_ref(&team)), ["team=a"]);
    assert_eq!(decided(&[region.clone(), team.clone()]), ["region=n"], "an empty value clears");
    let again = event(3, false, &[("team", "b")]);
    assert_eq!(decided(&[team, region, again]), ["region=n", "team=b"]);
    let (anybody, trusted) = (event(1, true, &[("team", "evil"), ("region", "e")]), event(0, false, &[("team", "a")]));
    assert_eq!(decided(&[anybody, trusted]), ["region=e", "team=a"], "what trusted events say is the last word");
}

#[test]
fn a_negative_amount_is_zero_and_a_refund_lowers_the_amount_before_it() {
    let paid = |text: &str| MilestoneVersion { value: amount(text), ..won() };
    let back = |text: &str, currency: &str| MilestoneVersion { refund: amount(text), currency: currency.into(), ..amends() };
    assert_eq!(decided(&[paid("100"), paid("-5")]).1, 0);
    assert_eq!(decided(&[paid("100"), back("30", ""), back("30", "CNY")]).1, 4_000);
    assert_eq!(decided(&[paid("100"), back("300", "")]).1, 0);
    assert_eq!(decided(&[back("30", ""), paid("100")]).1, 10_000, "what came before it");
    assert_eq!(decided(&[paid("100"), back("30", "USD")]).1, 10_000, "of another currency");
    assert_eq!(decided(&[paid("100"), back("-30", "")]).1, 10_000);
}

#[test]
fn amounts_are_rounded_when_they_are_decided() {
    for (text, minor) in [("29.990000000000002", 2_999), ("0.005", 1), ("0.0049", 0), ("1.2e7", 1_200_000_000)] {
        assert_eq!(decided(&[MilestoneVersion { value: amount(text), ..won() }]).1, minor, "{text}");
    }
}

#[test]
fn state_of_earlier_versions_of_this_program_is_read() {
    // kind = "mql", value_minor = 30000, currency = "CNY"
    let stored = b"\x12\x03mql\x28\xb0\xea\x01\x32\x03CNY";
    let version = MilestoneVersion::decode(stored.as_slice()).unwrap();
    assert_eq!(decided(std::slice::from_ref(&version)).1, 30_000);
    let yen = MilestoneVersion { currency: "JPY".into(), ..version };
    assert_eq!(decided(&[yen]), (1, 30_000, "JPY".into(), false));
}

#[test]
fn a_stage_that_is_reached_again_has_the_later_time() {
    let at = |time_ms| MilestoneVersion { occurred_at_ms: Some(time_ms), ..won() };
    assert_eq!(decided(&[won(), won()]).0, 1);
    assert_eq!(decided(&[won(), lost()]), (1, 0, "CNY".into(), true));
    assert_eq!(decided(&[won(), lost(), won(), won()]), (3, 0, "CNY".into(), false));
    assert_eq!(decided(&[at(-5), lost(), won()]).0, 3, "a time before the withdrawal is not heeded");
    assert_eq!(decided(&[won(), lost(), at(2), at(1)]).0, 2);
    assert_eq!(decided(&[at(7), at(5)]).0, 5);
    let cleared = MilestoneVersion { occurred_at_cleared: true, ..amends() };
    assert_eq!(decided(&[at(7), cleared]).0, 1);
}

#[test]
fn a_withdrawal_that_is_withdrawn_has_no_effect() {
    let back = || MilestoneVersion { restored: true, ..amends() };
    let at = |time_ms, version| MilestoneVersion { occurred_at_ms: Some(time_ms), ..version };
    let stands = |time_ms: i64| (time_ms, 0, "CNY".to_owned(), false);
    assert_eq!(decided(&[won(), lost(), back()]), stands(1));
    assert!(decided(&[won(), lost(), amends()]).3, "an amendment that says nothing of it");
    assert_eq!(decided(&[won(), lost(), lost(), back()]), stands(1));
    assert_eq!(decided(&[won(), lost(), won(), lost(), back()]), stands(3), "it stands as it did before the last withdrawals");
    assert_eq!(decided(&[won(), lost(), won(), back()]), stands(3), "there was nothing to call off");
    assert!(decided(&[won(), back(), lost()]).3);
    assert!(decided(&[won(), lost(), back(), lost()]).3);
    assert_eq!(decided(&[won(), lost(), back(), won()]), stands(1));
    assert_eq!(decided(&[lost(), back(), won()]), stands(3));
    assert_eq!(decided(&[at(-5, won()), lost(), back()]), stands(-5), "its time is heeded again");
    assert_eq!(decided(&[won(), lost(), at(-7, back())]), stands(-7));
}

#[test]
fn a_stage_that_is_reached_again_after_days_is_another_milestone() {
    let said = |times: &[(i64, u32, bool)]| -> Vec<Event> {
        let event = |(at, (time_ms, occurrence, amends)): (usize, &(i64, u32, bool))| Event {
            event_id: format!("e{at}"),
            time_ms: *time_ms,
            body: Some(Body::Milestone(MilestoneVersion { occurrence: *occurrence, amends: *amends, ..won() })),
            ..Event::default()
        };
        times.iter().enumerate().map(event).collect()
    };
    let times = |versions: &[Event], again_ms: Option<i64>| -> Vec<(u32, Vec<i64>)> {
        let all = occurrences(versions, again_ms).into_iter();
        all.map(|(number, own)| (number, own.iter().map(|(event, _)| event.time_ms).collect())).collect()
    };
    let silent = said(&[(0, 0, true), (1, 0, false), (5, 0, false), (14, 0, true), (15, 0, false), (25, 0, false)]);
    assert_eq!(times(&silent, None), [(1, vec![0, 1, 5, 14, 15, 25])]);
    assert_eq!(times(&silent, Some(10)), [(1, vec![0, 1, 5, 14]), (2, vec![15]), (3, vec![25])]);
    assert_eq!(times(&silent, Some(11)), [(1, vec![0, 1, 5, 14, 15, 25])], "each is soon after the one before");
    let explicit = said(&[(1, 0, false), (5, 2, false), (6, 0, true), (20, 0, false), (30, 2, true)]);
    assert_eq!(times(&explicit, None), [(1, vec![1]), (2, vec![5, 6, 20, 30])]);
    assert_eq!(times(&explicit, Some(10)), [(1, vec![1]), (2, vec![5, 6, 30]), (3, vec![20])]);
    assert_eq!(times(&said(&[(1, 1, false), (2, 0, false)]), Some(1)), [(1, vec![1, 2])]);
}
