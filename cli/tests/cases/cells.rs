//! What people write into the cells of a table: which rows are taken, as what, and which lines are refused.

use crate::tables::{refused, taken};

const LI: &str = "+8613800001111";
const LI_AND_WANG: &str = "+8613800001111 +8613900002222";
const OFFICE: &str = "+861088886666";

/// Lines that give the same.
type Taken<'a> = &'a [(&'a [u64], &'a str)];
/// Lines that are refused: line, column (any where it is empty), beginning of the reason.
type Refused<'a> = &'a [(u64, &'a str, &'a str)];

fn check(name: &str, names: &dyn Fn(&tributary_proto::Event) -> String, rows: Taken<'_>, refusals: Refused<'_>) {
    let found = taken(name);
    let mut lines: Vec<u64> = Vec::new();
    for (of, expected) in rows {
        for line in *of {
            let event = found.get(line).unwrap_or_else(|| panic!("{name}:{line} is refused"));
            assert_eq!(names(event), *expected, "{name}:{line}");
            lines.push(*line);
        }
    }
    lines.sort_unstable();
    assert_eq!(lines, found.keys().copied().collect::<Vec<_>>(), "{name}");
    let report = refused(name);
    assert_eq!(report.len(), refusals.len(), "{name}: {report:?}");
    for ((line, column, why), (at, of, reason)) in report.iter().zip(refusals) {
        assert!(line == at && (of.is_empty() || column == of) && why.starts_with(reason), "{name}:{line} {column}: {why}");
    }
}

fn names(event: &tributary_proto::Event) -> String {
    event.identifiers.iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn phones() {
    let rows: Taken<'_> = &[
        (&[2, 3, 4, 5, 6, 24, 25, 26, 27, 30, 31, 40, 41, 42, 43], LI),
        (&[13, 14, 15, 16, 17, 18], LI_AND_WANG),
        (&[10, 23, 28], OFFICE),
        (&[20, 21], "+85291234567"),
        (&[22], "+14155552671"),
        (&[37], "+8619912345678"),
        (&[38], "+8617012345678"),
    ];
    // Numbers with extensions, masked numbers, service numbers, numbers without area code or of no valid length; and cells for "no number".
    let refusals: Refused<'_> = &[
        (7, "phone", "identifier_invalid: a phone number with an extension"),
        (8, "phone", "identifier_invalid"),
        (9, "phone", "identifier_invalid: a phone number with an extension"),
        (11, "phone", "identifier_invalid: a service's phone number"),
        (12, "phone", "identifier_invalid: a service's phone number"),
        (19, "phone", "identifier_invalid"),
        (29, "phone", "identifier_invalid: not a valid phone number of the default region, nor one with + and country code"),
        (32, "", "identifier_missing"),
        (33, "", "identifier_missing"),
        (34, "", "identifier_missing"),
        (35, "", "identifier_"),
        (36, "", "identifier_missing"),
        (39, "phone", "identifier_invalid"),
        (44, "phone", "identifier_invalid: a phone number with an extension"),
    ];
    check("12_cells/phones.csv", &names, rows, refusals);
}

#[test]
fn emails() {
    let rows: Taken<'_> = &[
        (&[2, 4, 5, 6, 10, 11, 14, 15, 16, 17, 22, 23, 24], "li@b.example"),
        (&[3], "li+x@b.example"),
        (&[7, 8, 9, 20, 21], "li@b.example wang@b.example"),
        (&[12], "李@xn--fsqu00a.xn--fiqs8s"),
        (&[25], "li.lei@b.co.uk"),
        (&[26], "o'neil@b.example"),
        (&[29], "li@qq.com"),
        (&[30], "123456@qq.com"),
        (&[31], "info@b.example"),
    ];
    const NO_ADDRESS: &str = "identifier_invalid: not an e-mail address: expected name@domain";
    let refusals: Refused<'_> = &[
        (13, "email", NO_ADDRESS),
        (18, "email", NO_ADDRESS),
        (19, "", "identifier_missing"),
        (27, "email", NO_ADDRESS),
        (28, "email", NO_ADDRESS),
    ];
    check("12_cells/emails.csv", &names, rows, refusals);
}

/// In Shanghai, where nothing else is written; a day alone is its noon.
#[test]
fn dates() {
    let rows: Taken<'_> = &[
        (&[2, 4, 5, 11, 20], "2026-03-01T04:00:00Z"),
        (&[3], "2026-03-01T01:05:00Z"),
        (&[6, 7, 10, 15, 16], "2026-03-01T06:05:00Z"),
        (&[8, 12, 13, 14], "2026-03-01T14:00:00Z"),
        (&[9, 21], "2026-03-01T06:00:00Z"),
        (&[18], "2026-03-01T16:00:00Z"),
        (&[19], "2026-03-01T06:05:09Z"),
    ];
    let time = |event: &tributary_proto::Event| tributary_ingest::as_native(event)["timestamp"].as_str().unwrap().to_owned();
    // A month is no day.
    check(
        "12_cells/dates.csv",
        &time,
        rows,
        &[(17, "timestamp", "timestamp_invalid: not RFC 3339 (2022-02-28T10:00:00+08:00)")],
    );
}
