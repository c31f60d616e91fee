//! Rows of completely erased profiles, accounts, touches and milestones: a row with the id and `erased`, directly followed by a tombstone.
//!
//! Readers that skip tombstones and readers that use them must get the same result.

use std::collections::BTreeSet;

use tributary_proto::{Account, Message, MilestoneRow, Profile, TouchpointRow};
use tributary_runtime::topic::Topic;

use crate::check::check_people;
use crate::cluster::Said;
use crate::oracle::Verdict;
use crate::outputs::Outputs;
use crate::rows;

/// Checks the rows and tombstones of transactions, in the order of commits.
///
/// # Errors
/// The first rule that does not hold.
pub fn check(transactions: &[Vec<Said>], verdict: &Verdict) -> Result<(), String> {
    let mut without_tombstones = Outputs::default();
    for transaction in transactions {
        // Keys whose row `erased` has been seen, but not yet the tombstone.
        let mut erased: BTreeSet<(Topic, &[u8])> = BTreeSet::new();
        for Said { topic, key, value } in transaction.iter().filter(|said| said.topic != Topic::Credits) {
            let at = (*topic, key.as_slice());
            let name = || format!("{} {}", topic.name(), String::from_utf8_lossy(key));
            match value {
                None if !erased.remove(&at) => {
                    return Err(format!("{}: a tombstone without a row with `erased` before it", name()));
                }
                None => {}
                Some(_) if erased.contains(&at) => return Err(format!("{}: no tombstone follows `erased`", name())),
                Some(value) => {
                    if is_erased(*topic, key, value)? {
                        erased.insert(at);
                    }
                    without_tombstones.add(*topic, key, Some(value))?;
                }
            }
        }
        if let Some((topic, key)) = erased.first() {
            return Err(format!("{} {}: no tombstone follows `erased`", topic.name(), String::from_utf8_lossy(key)));
        }
    }
    let checked = check_people(&without_tombstones, verdict).and_then(|()| rows::check(&without_tombstones, verdict));
    checked.map_err(|why| format!("for a reader who skips tombstones {why}"))
}

/// Whether a row is marked `erased`; such a row must have no other fields.
fn is_erased(topic: Topic, key: &[u8], value: &[u8]) -> Result<bool, String> {
    let id = String::from_utf8_lossy(key).into_owned();
    let failed = |error| format!("a record of {} cannot be read: {error}", topic.name());
    let (id_of, erased) = (id.clone(), true);
    let (erased, bare) = match topic {
        Topic::Accounts => {
            let row = Account::decode(value).map_err(failed)?;
            let revision = row.revision;
            (row.erased, row == Account { account_id: id_of, erased, revision, ..Account::default() })
        }
        Topic::Touchpoints => {
            let row = TouchpointRow::decode(value).map_err(failed)?;
            let revision = row.revision;
            (row.erased, row == TouchpointRow { touchpoint_id: id_of, erased, revision, ..TouchpointRow::default() })
        }
        Topic::Milestones => {
            let row = MilestoneRow::decode(value).map_err(failed)?;
            let revision = row.revision;
            (row.erased, row == MilestoneRow { milestone_id: id_of, erased, revision, ..MilestoneRow::default() })
        }
        _ => {
            let row = Profile::decode(value).map_err(failed)?;
            let revision = row.revision;
            (row.erased, row == Profile { profile_id: id_of, erased, revision, ..Profile::default() })
        }
    };
    if erased && !bare {
        return Err(format!("{} {id}: a row with `erased` says more than that", topic.name()));
    }
    Ok(erased)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(value: Option<Profile>) -> Said {
        Said { topic: Topic::Profiles, key: b"p_1".to_vec(), value: value.map(|profile| profile.encode_to_vec()) }
    }

    #[test]
    fn an_erasure_without_row_or_tombstone_is_reported() {
        let id = || Profile { profile_id: "p_1".into(), ..Profile::default() };
        let row = || said(Some(Profile { erased: true, ..id() }));
        let verdict = Verdict::default();
        assert_eq!(check(&[vec![said(Some(id()))], vec![row(), said(None)]], &verdict), Ok(()));
        let talkative = said(Some(Profile { erased: true, account_id: "A".into(), ..id() }));
        for wrong in [vec![said(None)], vec![row()], vec![talkative, said(None)], vec![row(), said(Some(id())), said(None)]] {
            assert!(check(std::slice::from_ref(&wrong), &verdict).is_err(), "{wrong:?}");
        }
        assert!(check(&[vec![row()], vec![said(None)]], &verdict).is_err(), "in two transactions");
        assert!(check(&[vec![said(Some(id()))]], &verdict).is_err(), "a profile that is not there any more");
    }
}
