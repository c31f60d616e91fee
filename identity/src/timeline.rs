//! Which account a person belongs to, by time. People change companies; deals do not follow them.
//!
//! Every account that is named for one of a person's identifiers begins a span. Before the first of these, corporate email addresses begin
//! spans, each from the time it was first seen. A touch belongs to the account of its own time, so a change of company affects only later
//! touches.

use std::collections::BTreeMap;

use tributary_proto::{Hash128, Identifier, Placement, Span, Stamp, kind};
use tributary_runtime::config::AccountLevel;
use tributary_runtime::state::StateError;

use crate::cluster::is_trusted;
use crate::days::standing;
use crate::group::{Answers, Assertions, Group, seen_first_ms};
use crate::hierarchy;
use crate::names::account_of;
use crate::settings::{Membership, Rules};
use crate::stamp::stamp_key;

/// The start of a span.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// From when on, milliseconds since 1970-01-01 UTC.
    pub from_ms: i64,
    /// The account named.
    pub account: Identifier,
    /// The member that names it.
    pub by: &'a Identifier,
    /// When it was asserted; `None` for the domain of a corporate address.
    pub asserted: Option<Stamp>,
}

/// The starts of a profile's spans, in order: the domains of its addresses seen before the first asserted account, then the asserted
/// accounts. Company names count only if there is neither.
pub fn entries<'a>(group: &Group<'a>, assertions: &Assertions, rules: &Rules) -> Vec<Entry<'a>> {
    let (by_name, mut named): (Vec<_>, Vec<_>) =
        named(group, assertions).into_iter().partition(|entry| entry.account.kind == kind::COMPANY_NAME);
    let domains = domains(group, rules);
    if named.is_empty() && domains.is_empty() {
        // There is no other evidence of the account.
        named = by_name;
    }
    match rules.membership {
        Membership::Latest => named.into_iter().next_back().or(domains.into_iter().next_back()).into_iter().collect(),
        Membership::AsOf => {
            let first_ms = named.first().map_or(i64::MAX, |entry| entry.from_ms);
            let before = domains.into_iter().filter(|entry| named.is_empty() || entry.from_ms < first_ms);
            let mut all: Vec<Entry<'a>> = before.collect();
            all.extend(named);
            all
        }
    }
}

/// The asserted accounts, latest last.
fn named<'a>(group: &Group<'a>, assertions: &Assertions) -> Vec<Entry<'a>> {
    let mut all: Vec<(Vec<u8>, Entry<'a>)> = Vec::new();
    for (hash, member) in group {
        let Some(by) = &member.identifier else { continue };
        for assertion in assertions.get(hash).into_iter().flatten() {
            let (Some(account), Some(day)) = (&assertion.account, &assertion.day) else { continue };
            for at in standing(day) {
                let entry = Entry { from_ms: at.time_ms, account: account.clone(), by, asserted: Some(at.clone()) };
                all.push((account.key(), entry));
            }
        }
    }
    all.sort_by(|(a_key, a), (b_key, b)| (stamp_key(a.asserted.as_ref()), a_key).cmp(&(stamp_key(b.asserted.as_ref()), b_key)));
    all.into_iter().map(|(_, entry)| entry).collect()
}

/// The domains of corporate addresses, that of the newest address last. In a profile with trusted identifiers, only trusted addresses
/// count.
fn domains<'a>(group: &Group<'a>, rules: &Rules) -> Vec<Entry<'a>> {
    let trusted = group.iter().any(|(_, member)| is_trusted(member));
    // Links of an erased address may still be there; the address itself does not count.
    let addresses = group.iter().filter(|(_, member)| member.present && (!trusted || is_trusted(member)));
    let mut all: Vec<(i64, Hash128, Entry<'a>)> = addresses
        .filter_map(|(hash, member)| {
            let by = member.identifier.as_ref()?;
            let account = rules.corporate_domain(by)?;
            // An address that only an unlink names was never seen.
            let from_ms = seen_first_ms(member).unwrap_or(i64::MIN);
            Some((from_ms, *hash, Entry { from_ms, account, by, asserted: None }))
        })
        .collect();
    all.sort_by_key(|(from_ms, hash, _)| (*from_ms, *hash));
    all.into_iter().map(|(.., entry)| entry).collect()
}

/// Whether two accounts were asserted at the same time. One hides the other, which reappears if the first is retracted.
pub fn is_tied(entries: &[Entry<'_>]) -> bool {
    let same_time = |a: &Entry<'_>, b: &Entry<'_>| a.from_ms == b.from_ms && a.account != b.account;
    let named = |entry: &Entry<'_>| entry.asserted.is_some();
    entries.iter().zip(entries.iter().skip(1)).any(|(a, b)| named(a) && named(b) && same_time(a, b))
}

/// The spans that the entries give, as a placement's units and accounts; `None` if there is no entry.
///
/// # Errors
/// When `answers` fails.
pub fn spans(entries: &[Entry<'_>], answers: &mut Answers<'_>, rules: &Rules) -> Result<Option<Placement>, StateError> {
    let (mut domains, mut named): (Vec<Span>, Vec<Span>) = (Vec::new(), Vec::new());
    let mut roots: BTreeMap<String, String> = BTreeMap::new();
    for entry in entries {
        let told = answers(entry.account.hash())?;
        let above = told.as_ref().filter(|_| rules.account_level == AccountLevel::Root).map(|told| told.above.clone());
        let (unit, account_id) = account_of(&entry.account, told);
        if let Some(above) = above.filter(|above| !above.is_empty()) {
            roots.insert(unit.clone(), hierarchy::root(&unit, &above).to_owned());
        }
        let spans = if entry.asserted.is_some() { &mut named } else { &mut domains };
        // Of several at one time, the last counts.
        spans.pop_if(|before| before.from_ms == entry.from_ms);
        spans.push(Span { from_ms: entry.from_ms, unit, account_id, account_unit: String::new() });
    }
    if let Some(first) = named.first_mut() {
        reach_back(&mut domains, first);
    }
    let mut made = domains;
    made.append(&mut named);
    made.dedup_by(|later, before| later.unit == before.unit);
    for span in &mut made {
        if let Some(root) = roots.get(&span.unit).filter(|root| **root != span.unit) {
            span.account_unit = std::mem::replace(&mut span.unit, root.clone());
        }
    }
    let mut made = made.into_iter();
    let Some(Span { unit, account_id, account_unit, .. }) = made.next() else { return Ok(None) };
    Ok(Some(Placement { unit, account_id, account_unit, later: made.collect(), ..Placement::default() }))
}

/// The first asserted account replaces earlier domain spans of the same account, and of accounts without a CRM id: the CRM learnt the
/// person's company later than the address showed it.
fn reach_back(domains: &mut Vec<Span>, first: &mut Span) {
    while let Some(domain) = domains.pop_if(|domain| domain.unit == first.unit || is_domain_unit(&domain.unit)) {
        first.from_ms = domain.from_ms;
    }
}

/// Whether the account of a unit has no CRM id: it is named after a domain.
fn is_domain_unit(unit: &str) -> bool {
    unit.strip_prefix("a:").and_then(|rest| rest.split_once(':')).is_some_and(|(of, _)| of == kind::DOMAIN)
}

#[cfg(test)]
mod tests {
    use tributary_proto::kind::Kinds;
    use tributary_runtime::config::Section;

    use super::*;

    fn made(entries: &[(i64, &str, bool)]) -> Vec<(i64, String)> {
        let by = Identifier::new("email", "", "li@b.example");
        let entries: Vec<Entry<'_>> = entries
            .iter()
            .map(|(from_ms, account, named)| {
                let kind = if account.chars().all(|letter| letter.is_ascii_digit()) { kind::CRM_ACCOUNT } else { kind::DOMAIN };
                let asserted = named.then(|| Stamp { time_ms: *from_ms, event_hash: Vec::new() });
                Entry { from_ms: *from_ms, account: Identifier::new(kind, "", *account), by: &by, asserted }
            })
            .collect();
        let rules = crate::Settings::default().compiled(&Kinds::default()).unwrap();
        let placement = spans(&entries, &mut |_| Ok(None), &rules).unwrap().unwrap();
        placement.stays().map(|stay| (stay.from_ms, stay.account_id.to_owned())).collect()
    }

    #[test]
    fn every_account_named_begins_a_span() {
        let begin = i64::MIN;
        assert_eq!(made(&[(5, "1", true), (9, "2", true)]), [(begin, "1".into()), (9, "2".into())]);
        assert_eq!(made(&[(5, "1", true), (6, "1", true), (9, "2", true), (9, "1", true)]), [(begin, "1".into())]);
        assert_eq!(made(&[(5, "1", true), (9, "2", true), (12, "1", true)]).len(), 3);
    }

    #[test]
    fn the_first_account_named_holds_from_the_first_address_that_does_not_contradict_it() {
        let begin = i64::MIN;
        assert_eq!(made(&[(1, "b.example", false), (5, "1", true)]), [(begin, "1".into())]);
        assert_eq!(
            made(&[(1, "b.example", false), (3, "c.example", false)]),
            [(begin, "b.example".into()), (3, "c.example".into())]
        );
        assert_eq!(made(&[(1, "9", false), (5, "1", true)]), [(begin, "9".into()), (5, "1".into())]);
        assert_eq!(
            made(&[(1, "b.example", false), (2, "9", false), (3, "c.example", false), (5, "1", true)]),
            [(begin, "b.example".into()), (2, "9".into()), (3, "1".into())]
        );
    }
}
