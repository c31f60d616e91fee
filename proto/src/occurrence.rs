//! The ids of milestones that an object reaches more than once: `mql:00Q1`, then `mql:00Q1#2`.
//!
//! An object whose own id ends like that (`closed_won:PO#7`) has its number from the first time on: `closed_won:PO#7#1`.

/// The id of an occurrence of a milestone, by its number from 1. `base` is `kind:object_id`.
pub fn id_of(base: &str, number: u32) -> String {
    if number == 1 && suffix(base).is_none() { base.to_owned() } else { format!("{base}#{number}") }
}

/// The parts of [`id_of`].
pub fn parts(id: &str) -> (&str, u32) {
    suffix(id).unwrap_or((id, 1))
}

/// The key of the actor of an object, which stores its contacts.
pub fn object_key(object_id: &str) -> String {
    format!("object:{object_id}")
}

/// Whether a key is that of an object's actor.
pub fn is_object_key(key: &str) -> bool {
    key.starts_with("object:")
}

/// The key of the actor of a CRM record, which stores where the record's events went.
pub fn record_key(record: &str) -> String {
    format!("record:{record}")
}

/// Names that cannot be kinds of milestones, because other keys begin with them.
pub const RESERVED_KINDS: [&str; 2] = ["object", "record"];

fn suffix(id: &str) -> Option<(&str, u32)> {
    let (base, number) = id.rsplit_once('#')?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
    Some((base, number.parse().ok().filter(|_| is_number)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_has_one_meaning() {
        for base in ["mql:00Q1", "closed_won:PO#7", "closed_won:PO#", "lead:#0", "lead:a#-1", "lead:#99999999999"] {
            for number in [1, 2, 7, 4_000_000_000] {
                assert_eq!(parts(&id_of(base, number)), (base, number));
            }
        }
        assert_eq!((id_of("mql:00Q1", 1), id_of("mql:00Q1", 2)), ("mql:00Q1".to_owned(), "mql:00Q1#2".to_owned()));
        assert_eq!(id_of("closed_won:PO#7", 1), "closed_won:PO#7#1");
    }
}
