//! Click ids of landing URLs as identifiers.
//!
//! Offline conversions often have nothing but the id of the click that led to them (Google Ads' `gclid`, Baidu's `bd_vid`). If a kind of
//! identifier has the name of a click id's parameter, a visitor who lands with one has it as an identifier, so the conversion finds the
//! visit. It does not make a visitor *identified*. A click id that cannot be an identifier is left out, and the touch still counts.

use crate::channel::Channels;
use crate::identifiers::Sorted;
use crate::landing::Seen;
use crate::normalise::{IdentifierRules, Normalised};

/// Whether click ids are among the declared kinds of identifiers.
pub(crate) fn are_identifiers(channels: &Channels, rules: &IdentifierRules) -> bool {
    channels.click_ids().iter().any(|id| rules.find(&id.parameter).is_some())
}

/// Adds the click ids in the parameters of a landing URL to the identifiers in `named`.
pub(crate) fn name(seen: &[Seen], kinds: &IdentifierRules, named: &mut Sorted) {
    for seen in seen.iter().filter(|seen| seen.known.click_id.is_some()) {
        let Some(rule) = kinds.find(&seen.name) else { continue };
        if let Ok(Normalised::Identifier(identifier)) = kinds.normalise(rule, &seen.value) {
            named.add_person(identifier, kinds);
        }
    }
}

#[cfg(test)]
mod tests {
    use tributary_proto::kind::Kinds;
    use tributary_proto::{Event, Source};

    use crate::settings::Settings;
    use crate::{Decoded, Decoder};

    fn event(source: Source, record: &str) -> Event {
        let kinds = ["gclid", "bd_vid"].map(str::to_owned).to_vec();
        let decoder = Decoder::new(&Settings::default(), &Kinds::new(kinds, Vec::new())).unwrap();
        let mut out = Decoded::default();
        decoder.decode(source, record.as_bytes(), None, &mut out).unwrap();
        out.events.remove(0)
    }

    fn names(event: &Event) -> Vec<String> {
        event.identifiers.iter().map(|identifier| format!("{}:{}", identifier.kind, identifier.value)).collect()
    }

    #[test]
    fn a_landing_hit_with_a_click_id_has_it_as_identifier() {
        let hit = r#"{"timestamp":"2026-03-01T08:00:00Z","anonymous_id":"c1","url":"https://a.example/?bd_vid=8&msclkid=m&gclid=Cj0"}"#;
        let event = event(Source::Utm, hit);
        assert_eq!(names(&event), ["gclid:Cj0", "bd_vid:8", "anonymous_id:c1"]);
        let Some(tributary_proto::event::Body::Touch(touch)) = event.body else { panic!("a touch") };
        assert!(!touch.identified);
    }

    #[test]
    fn a_page_view_of_an_sdk_too() {
        let page = r#"{"type":"page","timestamp":"2026-03-01T08:00:00Z","messageId":"1","anonymousId":"c1",
            "context":{"page":{"url":"https://a.example/?gclid=Cj0"}}}"#;
        assert_eq!(names(&event(Source::Sdk, page)), ["gclid:Cj0", "anonymous_id:c1"]);
    }

    #[test]
    fn a_click_id_is_enough_to_name_somebody() {
        let hit = r#"{"timestamp":"2026-03-01T08:00:00Z","url":"https://a.example/?gclid=Cj0"}"#;
        assert_eq!(names(&event(Source::Utm, hit)), ["gclid:Cj0"]);
    }

    #[test]
    fn a_click_id_that_is_none_is_left_out() {
        let url = format!("https://a.example/?gclid={}&bd_vid=null", "x".repeat(300));
        let hit = format!(r#"{{"timestamp":"2026-03-01T08:00:00Z","anonymous_id":"c1","url":"{url}"}}"#);
        assert_eq!(names(&event(Source::Utm, &hit)), ["anonymous_id:c1"]);
    }
}
