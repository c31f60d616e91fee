//! Identity's reasons for links and accounts, in the answer's form and in words.

use tributary_identity::Rules;
use tributary_identity::cluster::LinkRefusal;
use tributary_identity::group::seen_first_ms;
use tributary_identity::read::{AccountNamed, Link, Person, Refused, Shared};
use tributary_identity::stamp::stamp_key;
use tributary_proto::Identifier;

use super::answer::{AccountWhy, LinkUsed, RefusedLink};
use crate::time::minute;

/// A link in the answer's form.
pub(super) fn link(of: &Link, rules: &Rules) -> LinkUsed {
    LinkUsed {
        a: of.a.display(),
        b: of.b.display(),
        class: of.class,
        class_name: class_name(of, rules),
        earliest_ms: of.earliest_ms,
        stated_ms: of.explicit.map(|(_, at_ms)| at_ms),
        public: of.public,
        joins: of.joins,
    }
}

/// `explicit`, or the weaker of the two kinds.
fn class_name(of: &Link, rules: &Rules) -> String {
    let weaker = [&of.a.kind, &of.b.kind].into_iter().find(|kind| rules.class(kind, kind) == of.class);
    weaker.map_or("explicit", |kind| kind.as_str()).to_owned()
}

/// A refused link in the answer's form.
pub(super) fn refused(of: &Refused, rules: &Rules) -> RefusedLink {
    let (rule, why) = match of.rule {
        LinkRefusal::Shared => ("shared", of.shared.as_ref().map_or_else(String::new, |shared| shared_why(shared, rules))),
        LinkRefusal::Quarantined => {
            let (most, public, anonymous) = (rules.max_cluster, rules.public_cluster, rules.anonymous_cluster);
            let why = format!(
                "the cluster has more than identity.max_cluster = {most} identifiers; or of identifiers that only public events know more than identity.public_cluster = {public} are connected, or cookies and devices among them more than identity.anonymous_cluster = {anonymous}"
            );
            ("quarantined", why)
        }
        LinkRefusal::Limit => ("limit", limit_why(of.limit.as_ref())),
        LinkRefusal::NeverJoin => ("never_join", never_join_why(of.link.explicit)),
        LinkRefusal::Crowded => (
            "crowded",
            format!(
                "it is named by public events only, and the profile has identity.public_leaves = {} such identifiers already",
                rules.public_leaves
            ),
        ),
        LinkRefusal::Public => (
            "public",
            "a public event may only join a cookie or a device with one other identifier (identity.public_joins)".into(),
        ),
    };
    RefusedLink { link: link(&of.link, rules), rule, why }
}

fn shared_why(shared: &Shared, rules: &Rules) -> String {
    let name = shared.identifier.display();
    if shared.strong_links > rules.shared_after {
        let (count, after) = (shared.strong_links, rules.shared_after);
        format!(
            "{name} is shared: linked to {count} identifiers of kinds whose limit is 1, more than identity.shared_after = {after}"
        )
    } else {
        format!(
            "{name} is shared: linked to {} identifiers, more than identity.shared_any = {}",
            shared.links, rules.shared_any
        )
    }
}

fn limit_why(limit: Option<&(String, u32)>) -> String {
    match limit {
        Some((kind, count)) => format!("the profile would have more than {count} of {kind} (identity.limits)"),
        None => "the profile would have more of a kind than its limit (identity.limits)".to_owned(),
    }
}

fn never_join_why(word: Option<(bool, i64)>) -> String {
    match word {
        Some((false, at_ms)) => format!("stated not to be one on {}", minute(at_ms)),
        _ => "would unite two that were stated not to be one".to_owned(),
    }
}

/// The links from an identifier of a person to the one that names it, each with the nearer end first.
pub(super) fn path(person: &Person, from: &Identifier, rules: &Rules) -> Vec<LinkUsed> {
    let mut at = from.display();
    let turned = person.path(from).into_iter().map(|of| {
        let mut used = link(of, rules);
        if used.a != at {
            std::mem::swap(&mut used.a, &mut used.b);
        }
        at.clone_from(&used.b);
        used
    });
    turned.collect()
}

/// Why a profile belongs to its account. `account` is that of the account identifier it states.
pub(super) fn account(named: &AccountNamed, person: &Person, account: Option<&Person>, rules: &Rules) -> AccountWhy {
    let seen =
        || person.members.iter().find(|(identifier, _)| *identifier == named.by).and_then(|(_, member)| seen_first_ms(member));
    AccountWhy {
        how: if named.asserted.is_some() { "asserted" } else { "email_domain" },
        by: named.by.display(),
        names: named.account.display(),
        time_ms: named.asserted.as_ref().map(|at| stamp_key(Some(at)).0).or_else(seen),
        path: account.map(|account| path(account, &named.account, rules)).unwrap_or_default(),
    }
}
