//! Whatever stands in a cell for phone numbers, and whatever the region of numbers without country code: what a decoder makes an identifier
//! of is a number that the library calls valid, and the same again when it is sent once more.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a failing test panics")]

use proptest::prelude::*;
use tributary_ingest::{Decoded, Decoder, Settings};
use tributary_proto::Source;
use tributary_proto::kind::Kinds;

const REGIONS: [&str; 4] = ["US", "DE", "CN", "HK"];

fn decoder(region: &str) -> Decoder {
    Decoder::new(&Settings { phone_region: region.into(), ..Settings::default() }, &Kinds::default()).unwrap()
}

thread_local! {
    static DECODERS: Vec<Decoder> = REGIONS.map(decoder).into();
}

/// The phone numbers that a record names.
fn numbers(decoder: &Decoder, cell: &str) -> Vec<String> {
    let record =
        serde_json::json!({"timestamp": "2026-03-01T08:00:00Z", "anonymous_id": "c1", "touch_type": "form", "phone": cell});
    let mut out = Decoded::default();
    decoder.decode(Source::Offline, record.to_string().as_bytes(), None, &mut out).unwrap();
    let identifiers = out.events.iter().flat_map(|event| &event.identifiers);
    identifiers.filter(|identifier| identifier.kind == "phone").map(|identifier| identifier.value.to_string()).collect()
}

/// Cells of the characters in numbers of several regions, and others.
fn cell() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(
        "+1,+49,+86,+852,+,00,011,0,1,5,8,(415),415,555,2671,030,9123,4567,151,2345,6789,138,0000,1111,13800001111,4155552671,\
         91234567, ,-,.,/,x,ext. ,*,#,;,、,.0,E10,１,转,Tel: "
            .split(',')
            .collect::<Vec<_>>(),
    );
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn a_number_without_country_code_is_of_the_region() {
    for (region, cell, expected) in [
        ("US", "(415) 555-2671", "+14155552671"),
        ("US", "+86 138 0000 1111", "+8613800001111"),
        ("DE", "0151 23456789", "+4915123456789"),
        ("HK", "9123 4567", "+85291234567"),
        ("CN", "138 0000 1111", "+8613800001111"),
    ] {
        assert_eq!(numbers(&decoder(region), cell), [expected], "{cell} in {region}");
    }
    for (region, cell) in
        [("US", "9123 4567"), ("US", "138 0000 1111"), ("DE", "****2671"), ("HK", "415 555 267"), ("US", "911")]
    {
        assert!(numbers(&decoder(region), cell).is_empty(), "{cell} in {region}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn only_valid_numbers_come_out_of_a_decoder(cell in cell()) {
        DECODERS.with(|decoders| {
            for (decoder, region) in decoders.iter().zip(REGIONS) {
                for number in numbers(decoder, &cell) {
                    let library = phonenumber::parse(None, &number).unwrap();
                    prop_assert!(library.is_valid() && library.extension().is_none(), "{} of {} in {}", number, cell, region);
                    prop_assert_eq!(numbers(decoder, &number), [number], "{} in {}", cell, region);
                }
            }
            Ok(())
        })?;
    }
}
