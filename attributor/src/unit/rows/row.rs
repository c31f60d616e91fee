//! The row of a touch, and its key.

use tributary_proto::{Hash128, Message, StoredTouch, TouchpointRow};
use tributary_runtime::stage::Outbox;

use crate::classifier::renamed;
use crate::plan::Plan;
use crate::unit::keys::IdentifierHash;
use crate::view::{Malformed, OriginView, Split, TouchView, Whose, split_origin};

/// Buffers for encoding rows; they keep their memory.
#[derive(Debug, Default)]
pub struct Scratch {
    row: TouchpointRow,
    sent: Vec<u8>,
}

impl Scratch {
    /// The next rows are for touches of this person, with this revision.
    pub(in crate::unit) fn of(&mut self, whose: &Whose<'_>, revision: u64) {
        let row = &mut self.row;
        whose.profile_id.clone_into(&mut row.profile_id);
        whose.account_id.clone_into(&mut row.account_id);
        whose.role.clone_into(&mut row.role);
        row.consented = !whose.revoked;
        row.revision = revision;
    }

    /// Publishes the row of a touch.
    pub(in crate::unit) fn say(
        &mut self,
        outbox: &mut Outbox,
        plan: &Plan,
        by: &IdentifierHash,
        raw: &[u8],
        sent: &TouchView<'_>,
    ) -> Result<(), Malformed> {
        let split = split_origin(raw)?;
        let origin = OriginView::parse(split.origin)?;
        let id = id(&mut self.sent, by, &split, sent, &origin);
        write_id(&mut self.row.touchpoint_id, id);
        let other = plan.classifier.as_deref().filter(|known| split.rules.is_some_and(|rules| rules != known.rules()));
        match other {
            None => self.show(sent, &origin, by),
            Some(classifier) => {
                let named = StoredTouch { origin: None, ..renamed(raw, classifier)? };
                let named = named.encode_to_vec();
                self.show(&TouchView::parse(&named)?, &origin, by);
            }
        }
        outbox.publish(&self.row);
        Ok(())
    }

    fn show(&mut self, touch: &TouchView<'_>, origin: &OriginView<'_>, by: &IdentifierHash) {
        let row = &mut self.row;
        for (field, text) in [
            (&mut row.touch_id, touch.event_id),
            (&mut row.channel, touch.channel),
            (&mut row.source, touch.source),
            (&mut row.medium, touch.medium),
            (&mut row.campaign, touch.campaign),
            (&mut row.content, touch.content),
            (&mut row.term, touch.term),
            (&mut row.touch_type, touch.touch_type),
            (&mut row.url, origin.url),
            (&mut row.referrer, origin.referrer),
        ] {
            text.clone_into(field);
        }
        touch.write_dimensions(&mut row.dimensions);
        row.touch_time = touch.time_ms;
        row.input = origin.input;
        row.public = touch.public;
        row.identified = touch.identified;
        row.digital = touch.digital;
        row.names_source = touch.names_source;
        row.device_named = touch.device != 0;
        let device = if touch.device == 0 { Hash128(u128::from_be_bytes(*by)).head() } else { touch.device };
        row.device.clear();
        push_hex(&mut row.device, &device.to_be_bytes());
    }
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    let digit = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
}

pub(super) fn write_id(field: &mut String, id: Hash128) {
    "t_".clone_into(field);
    push_hex(field, &id.to_bytes());
}

/// The hash that is the key of a touch's row: of the identifier and everything that was sent, without what channel rules have found.
fn id(sent: &mut Vec<u8>, by: &IdentifierHash, split: &Split<'_>, touch: &TouchView<'_>, origin: &OriginView<'_>) -> Hash128 {
    sent.clear();
    sent.extend(by);
    sent.extend(touch.time_ms.to_be_bytes());
    sent.extend(touch.identifier_set.to_be_bytes());
    sent.extend(touch.device.to_be_bytes());
    // If its origin is known, the rules say whether it names a source, so the field is left out.
    let names_source = split.rules.is_none() && touch.names_source;
    sent.extend([u8::from(touch.public), u8::from(touch.identified), u8::from(touch.digital) | u8::from(names_source) << 1]);
    sent.extend(origin.found.to_be_bytes());
    sent.extend(origin.input.to_be_bytes());
    let named = [touch.channel, touch.source, touch.medium, touch.campaign, touch.content, touch.term];
    let named = named.into_iter().enumerate().map(|(at, text)| if origin.found >> at & 1 == 1 { "" } else { text });
    for text in named.chain([touch.event_id, touch.touch_type, origin.url, origin.referrer]) {
        sent.extend((text.len() as u64).to_be_bytes());
        sent.extend(text.as_bytes());
    }
    // Touches without dimensions keep the keys that they had before there were dimensions.
    sent.extend(touch.dimensions);
    Hash128::of(sent)
}

/// The same for an encoded `StoredTouch`.
pub(in crate::unit) fn id_of(by: &IdentifierHash, raw: &[u8]) -> Result<Hash128, Malformed> {
    let split = split_origin(raw)?;
    let origin = OriginView::parse(split.origin)?;
    Ok(id(&mut Vec::new(), by, &split, &TouchView::parse(raw)?, &origin))
}

/// The key of the row of an encoded `StoredTouch` that this identifier brought.
///
/// # Errors
/// When the bytes are not one.
pub fn touchpoint_id(by: &IdentifierHash, raw: &[u8]) -> Result<String, Malformed> {
    let mut key = String::new();
    write_id(&mut key, id_of(by, raw)?);
    Ok(key)
}

#[cfg(test)]
mod tests {
    use tributary_proto::{Dimensions, Origin, Touch};

    use super::*;

    fn touch(source: &str, found: u32, rules: u32) -> Vec<u8> {
        in_team("", source, found, rules)
    }

    fn in_team(team: &str, source: &str, found: u32, rules: u32) -> Vec<u8> {
        let values = [("team".to_owned(), team.to_owned())].into();
        let touch = Touch {
            channel: "email".into(),
            source: source.into(),
            names_source: rules == 1,
            dimensions: (!team.is_empty()).then_some(Dimensions { values }),
            ..Touch::default()
        };
        let origin = Origin { rules, found, url: "https://a.example/".into(), ..Origin::default() };
        let stored =
            StoredTouch { event_id: "e".into(), time_ms: 5, touch: Some(touch), origin: Some(origin), identifier_set: 7 };
        stored.encode_to_vec()
    }

    #[test]
    fn the_key_is_the_same_by_whatever_rules_and_another_for_whatever_else_was_sent() {
        let id = |by: u8, raw: &[u8]| touchpoint_id(&[by; 16], raw).unwrap();
        assert_eq!(id(1, &touch("a", 2, 1)), id(1, &touch("b", 2, 9)));
        let all = [
            id(1, &touch("a", 0, 1)),
            id(1, &touch("b", 0, 1)),
            id(1, &touch("a", 2, 1)),
            id(2, &touch("a", 2, 1)),
            id(1, &in_team("x", "a", 0, 1)),
            id(1, &in_team("y", "a", 0, 1)),
        ];
        assert!(all.iter().enumerate().all(|(at, one)| !all[..at].contains(one)), "{all:?}");
        assert_eq!((all[0].len(), &all[0][..2]), (34, "t_"));
        // For a touch without a known origin, all fields count as sent.
        let old = |names_source| {
            let touch = Touch { names_source, ..Touch::default() };
            StoredTouch { event_id: "e".into(), time_ms: 5, touch: Some(touch), origin: None, identifier_set: 7 }
                .encode_to_vec()
        };
        assert_ne!(id(1, &old(true)), id(1, &old(false)));
        assert!(touchpoint_id(&[1; 16], b"\x0a").is_err());
    }
}
