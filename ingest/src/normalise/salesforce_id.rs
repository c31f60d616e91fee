//! Ids of Salesforce records: 15 case-sensitive characters, or 18, of which the last three encode the case of the others. Both name one
//! record: <https://developer.salesforce.com/docs/platform/object-reference/guide/field-types.html>.
//!
//! The long form is kept: change events have it. A short id only gets its checksum, so no two records become one. Ids of other systems are
//! changed only if they begin like a Salesforce record of the kind.

use std::borrow::Cow;

/// Prefixes of the ids of these objects.
pub(crate) const ACCOUNT: &str = "001";
pub(crate) const CONTACT: &str = "003";
pub(crate) const LEAD: &str = "00Q";
pub(crate) const CAMPAIGN: &str = "701";
pub(crate) const OPPORTUNITY: &str = "006";
/// Of an opportunity's contact role.
pub(crate) const ROLE: &str = "00K";

/// The characters of a checksum: each encodes which of five characters are capitals.
const CHECKSUM: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// The id in the long form, if it is that of a record with this prefix; any other text unchanged.
pub(crate) fn long_form<'a>(id: &'a str, prefix: &str) -> Cow<'a, str> {
    let begins = id.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
    if !begins || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Cow::Borrowed(id);
    }
    match (id.len(), id.split_at_checked(15)) {
        (15, _) if id.starts_with(prefix) => Cow::Owned(format!("{id}{}", checksum(id))),
        (18, Some((short, given))) if checksum(short) != given => {
            // People who do not know the checksum append this.
            let made_up = given == "AAA" && short.starts_with(prefix);
            let long = if made_up { Some(format!("{short}{}", checksum(short))) } else { repaired(short, given) };
            long.filter(|long| long.starts_with(prefix)).map_or(Cow::Borrowed(id), Cow::Owned)
        }
        _ => Cow::Borrowed(id),
    }
}

/// For five characters each; the first is the lowest bit.
fn checksum(short: &str) -> String {
    let of = |five: &[u8]| {
        let bits = five.iter().rev().fold(0, |bits, byte| bits << 1 | usize::from(byte.is_ascii_uppercase()));
        CHECKSUM.get(bits).map_or('?', |byte| char::from(*byte))
    };
    short.as_bytes().chunks(5).map(of).collect()
}

/// A long id that has lost its case, with the case restored from its checksum; `None` if that is impossible.
fn repaired(short: &str, given: &str) -> Option<String> {
    let given = given.to_ascii_uppercase();
    let mut id = String::with_capacity(18);
    for (five, check) in short.as_bytes().chunks(5).zip(given.bytes()) {
        let bits = CHECKSUM.iter().position(|known| *known == check)?;
        for (at, byte) in five.iter().enumerate() {
            let capital = bits >> at & 1 == 1;
            id.push(char::from(if capital { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() }));
        }
    }
    (checksum(&id) == given).then(|| id + &given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_and_shouted_ids_are_one() {
        for (given, prefix, long) in [
            ("001800000000001", ACCOUNT, "001800000000001AAA"),
            ("001800000000001AAA", ACCOUNT, "001800000000001AAA"),
            ("0015f00002JUZPD", ACCOUNT, "0015f00002JUZPDAA5"),
            ("0015f00002JUZPDAA5", ACCOUNT, "0015f00002JUZPDAA5"),
            ("0015F00002JUZPDAA5", ACCOUNT, "0015f00002JUZPDAA5"),
            ("0015f00002juzpdaa5", ACCOUNT, "0015f00002JUZPDAA5"),
            ("00QD000000IqHVc", LEAD, "00QD000000IqHVcMAN"),
            ("00qd000000iqhvcman", LEAD, "00QD000000IqHVcMAN"),
            ("00Q000000000001", LEAD, "00Q000000000001EAA"),
            ("00Q000000000001AAA", LEAD, "00Q000000000001EAA"),
        ] {
            assert_eq!(long_form(given, prefix), long);
        }
    }

    #[test]
    fn the_ids_of_others_stay_as_they_are() {
        for id in [
            "001A",
            "62515",
            "901800000000001",
            "00180000000-001",
            "张18000000000001",
            "001800000000001AAB",
            "003800000000001",
            "001000000000012345",
        ] {
            assert_eq!(long_form(id, ACCOUNT), id);
        }
    }
}
