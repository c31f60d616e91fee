//! How many people there are: names that are nobody's, fields that cannot be read, bots, times in every notation, merges.

use tributary_proto::Source;

use crate::answer::{decoded, replay, text};

#[test]
fn there_are_as_many_people_as_there_are() {
    let cases = [
        // Numbers that are masked, shortened or without area code are nobody's: strangers stay strangers.
        ("01_phones/masked.csv", 2),
        ("01_phones/no_area_code.csv", 2),
        ("01_phones/phones.csv", 12),
        // An optional field that cannot be read takes nothing else of its message with it.
        ("03_optional_fields/messages.sdk.ndjson", 12),
        // The loser of a merge of contacts has gone over to the winner.
        ("10_merges/contact.webhook.ndjson", 1),
        ("16_bots/agents.sdk.ndjson", 0),
        ("17_times/times.sdk.ndjson", 5),
    ];
    for (name, people) in cases {
        let found = replay(&[name]);
        assert_eq!((found.people(), found.dead_letters()), (people, 0), "{name}");
    }
}

#[test]
fn of_each_message_the_one_field_that_cannot_be_read_is_left_out_and_counted() {
    let left_out = [
        ("context.traits.phone", "identifier_invalid"),
        ("context.traits.phone", "identifier_invalid"),
        ("context.traits.email", "identifier_invalid"),
        ("context.traits.email", "identifier_invalid"),
        ("context.traits.email", "identifier_invalid"),
        ("context.campaign", "value_invalid"),
        ("context.campaign.source", "value_invalid"),
        ("context.externalIds", "value_invalid"),
        ("context.userAgent", "value_invalid"),
        ("sentAt", "timestamp_invalid"),
        ("userId", "identifier_too_long"),
        ("traits", "value_invalid"),
    ];
    let messages = decoded(Source::Sdk, &text("03_optional_fields/messages.sdk.ndjson"));
    assert_eq!(messages.len(), left_out.len());
    for (at, (message, (field, reason))) in messages.iter().zip(left_out).enumerate() {
        let found: Vec<_> =
            message.ignored.iter().map(|found| (&*found.why.field, found.why.reason.to_string(), found.count)).collect();
        assert_eq!(found, [(field, reason.to_owned(), 1)], "message {at}");
        assert_eq!(message.events.len(), 1, "message {at}");
    }
}

#[test]
fn agents_that_are_no_browsers_are_counted_as_bots() {
    let messages = decoded(Source::Sdk, &text("16_bots/agents.sdk.ndjson"));
    let found: Vec<_> = messages.iter().map(|message| (message.bots, message.events.len())).collect();
    assert_eq!(found, [(1, 0); 9]);
}

#[test]
fn a_time_is_one_instant_in_every_notation() {
    // 2022-03-03T10:00:00Z, and eight hours before it.
    const TEN_MS: i64 = 1_646_301_600_000;
    const IN_THE_EAST_MS: i64 = TEN_MS - 8 * 3_600_000;
    let messages = decoded(Source::Sdk, &text("17_times/times.sdk.ndjson"));
    let found: Vec<i64> = messages.iter().flat_map(|message| &message.events).map(|event| event.time_ms).collect();
    assert_eq!(found, [1_675_692_865_495, TEN_MS, IN_THE_EAST_MS, TEN_MS, IN_THE_EAST_MS]);
}
