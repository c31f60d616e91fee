//! Mail providers where anyone may sign up: their domains name no account. Our own list, and third-party lists that `scripts/refresh_lists`
//! writes.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use tributary_proto::Hash128;

const OWN: &str = include_str!("../data/free_mail.txt");
const LISTED: &str = include_str!("../data/free_mail_listed.txt");

static KNOWN: LazyLock<BTreeSet<&str>> = LazyLock::new(|| lines(OWN).collect());
static OF_OTHERS: LazyLock<BTreeSet<&str>> = LazyLock::new(|| lines(LISTED).collect());

fn lines(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Whether our own list contains the domain.
pub(crate) fn is_known(domain: &str) -> bool {
    KNOWN.contains(domain)
}

/// Whether the third-party list contains it.
pub(crate) fn is_listed(domain: &str) -> bool {
    OF_OTHERS.contains(domain)
}

/// A hash of both lists: with other lists, other addresses imply accounts, so the settings have changed.
pub(crate) fn digest() -> Hash128 {
    Hash128::of([OWN, LISTED].concat().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_name_their_origin_and_hold_each_domain_once() {
        for list in [OWN, LISTED] {
            let head: String = list.lines().take_while(|line| line.starts_with('#')).collect();
            assert!(head.contains("Source: ") && head.contains("20"), "{head}");
            let domains: Vec<&str> = lines(list).collect();
            assert!(domains.is_sorted_by(|a, b| a < b));
            let of_domain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
            let bad: Vec<_> = domains.iter().filter(|of| !of.contains('.') || !of.chars().all(of_domain)).collect();
            assert!(bad.is_empty(), "{bad:?}");
        }
        assert!(
            LISTED.contains("Written by scripts/refresh_lists")
                && LISTED.contains(", version ")
                && LISTED.contains("MIT licence")
        );
        assert_eq!(KNOWN.intersection(&OF_OTHERS).count(), 0, "what is ours is left out of the list of others");
        // Domains of companies' own are in neither list.
        assert!(["apple.com", "huawei.com", "siemens.com", "b-corp.example"].iter().all(|of| !is_known(of) && !is_listed(of)));
    }
}
