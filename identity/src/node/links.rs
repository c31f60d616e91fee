//! An identifier's links, and their number, which decides whether it is shared.

use tributary_proto::{Identifier, IdentifierState, LinkFact};
use tributary_runtime::state::{State, StateError, get_message, put_message, scan_messages};

use super::Node;
use crate::facts::{is_public, merge_link};
use crate::keys;
use crate::settings::Rules;

impl Node {
    /// Merges a link to another identifier; returns whether that changed anything.
    pub fn add_link(&mut self, state: &mut dyn State, said: &LinkFact, rules: &Rules) -> Result<bool, StateError> {
        let Some(other) = self.other_end(said) else { return Ok(false) };
        let sub = keys::one(keys::LINK, other.hash());
        let known: Option<LinkFact> = get_message(state, &self.actor, &sub)?;
        let new = known.is_none();
        let was_public = known.as_ref().is_some_and(is_public);
        let mut link = known.unwrap_or_else(|| LinkFact { a: said.a.clone(), b: said.b.clone(), ..LinkFact::default() });
        let news = merge_link(&mut link, said) || new;
        if news {
            put_message(state, &self.actor, &sub, &link);
        }
        let strong = u32::from(rules.is_strong(&self.identifier, other));
        let public = is_public(&link);
        if new || was_public != public {
            let record = self.edit();
            if public {
                record.public_links += 1;
                record.public_strong_links += strong;
            } else {
                record.links += 1;
                record.strong_links += strong;
            }
            if was_public && !public {
                record.public_links = record.public_links.saturating_sub(1);
                record.public_strong_links = record.public_strong_links.saturating_sub(strong);
            }
        }
        Ok(news)
    }

    /// Counts its links again, by these rules; returns how many there are.
    pub fn count_links(&mut self, state: &mut dyn State, rules: &Rules) -> Result<u64, StateError> {
        let links = self.links(state)?;
        let (mut strong, mut public_strong) = (0, 0);
        for link in &links {
            if self.other_end(link).is_some_and(|other| rules.is_strong(&self.identifier, other)) {
                *(if is_public(link) { &mut public_strong } else { &mut strong }) += 1;
            }
        }
        if (strong, public_strong) != (self.state.strong_links, self.state.public_strong_links) {
            let record = self.edit();
            (record.strong_links, record.public_strong_links) = (strong, public_strong);
        }
        Ok(links.len() as u64)
    }

    /// The number of identifiers linked to it, and how many of them are of a kind with limit 1. If a trusted event names it, only trusted
    /// links count.
    pub fn claimed_by(&self) -> (u32, u32) {
        let IdentifierState { links, strong_links, public_links, public_strong_links, .. } = self.state;
        if self.is_trusted() { (links, strong_links) } else { (links + public_links, strong_links + public_strong_links) }
    }

    /// The links to other identifiers, from all claims.
    pub fn links(&self, state: &mut dyn State) -> Result<Vec<LinkFact>, StateError> {
        Ok(scan_messages(state, &self.actor, &[keys::LINK])?.into_iter().map(|(_, link)| link).collect())
    }

    /// The other end of a link of this identifier.
    pub fn other_end<'a>(&self, link: &'a LinkFact) -> Option<&'a Identifier> {
        match (&link.a, &link.b) {
            (Some(a), Some(b)) if *a == self.identifier => Some(b),
            (Some(a), Some(_)) => Some(a),
            _ => None,
        }
    }

    /// Whether this end reports the link to its root: the end with the smaller hash does.
    pub fn speaks_for(&self, link: &LinkFact) -> bool {
        link.a.as_ref() == Some(&self.identifier)
    }
}
