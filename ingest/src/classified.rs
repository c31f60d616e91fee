//! Explains the channel of a visit for `tributary classify`, with the same code that classifies touches.

use serde::Serialize;
use tributary_proto::{Origin, Source, Touch};
use tributary_runtime::stage::Rejection;

use crate::channel::{Channels, Listing};
use crate::decoder::Decoder;
use crate::landing::Seen;
use crate::touch::{SourceFrom, TouchFields, evidence};

/// The classification of a URL and a referrer. Unknown fields are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "named like the fields of a touch")]
pub struct Classified {
    /// The known parameters that have a value, in the order of the URL.
    pub parameters: Vec<Parameter>,
    pub source: String,
    pub medium: String,
    pub campaign: String,
    pub content: String,
    pub term: String,
    /// How the source was found: `parameters`, `click id`, `referrer`.
    pub source_from: &'static str,
    pub channel: String,
    /// Where the rule is defined: `built-in channels.toml:12`; empty if none matched.
    pub rule: String,
    /// The rule's conditions.
    pub conditions: String,
}

/// A known parameter of a URL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// Its name, in lower case.
    pub name: String,
    /// Its value, decoded.
    pub value: String,
    /// Its meaning: `source`, `click id of google`, both; or empty if it fills no field of a touch.
    pub tells: String,
}

impl Decoder {
    /// All channel rules and data: built-in, of the operator's file, and of the configuration.
    pub fn channels(&self) -> Listing {
        self.rules.touches.channels.list()
    }

    /// The version of the channel rules: the first 4 bytes of a hash of everything that decides a channel.
    pub fn channel_rules(&self) -> u32 {
        self.rules.touches.digest
    }

    /// A touch that other rules classified, classified by these.
    pub fn reclassified(&self, touch: &Touch, origin: &Origin) -> Touch {
        self.rules.touches.reclassified(touch, origin)
    }

    /// Classifies a visit as a landing hit would be.
    ///
    /// # Errors
    /// When the URL breaks a limit.
    pub fn classify(&self, url: &str, referrer: &str) -> Result<Classified, Rejection> {
        let mut fields = TouchFields { url: url.trim().into(), referrer: referrer.trim().into(), ..TouchFields::default() };
        let mut seen = Vec::new();
        let from = self.rules.touches.fill(&mut fields, Some(&mut seen))?.from;
        let channels = &self.rules.touches.channels;
        let verdict = channels.explain(evidence(&fields, Source::Utm));
        let (channel, rule) = (verdict.channel.to_owned(), verdict.place.to_owned());
        let conditions = verdict.conditions.to_owned();
        Ok(Classified {
            parameters: seen.into_iter().map(|seen| parameter(seen, channels)).collect(),
            source: fields.source.into_owned(),
            medium: fields.medium.into_owned(),
            campaign: fields.campaign.into_owned(),
            content: fields.content.into_owned(),
            term: fields.term.into_owned(),
            source_from: match from {
                SourceFrom::Nothing | SourceFrom::Sender => "",
                SourceFrom::Parameters => "parameters",
                SourceFrom::ClickId => "click id",
                SourceFrom::Referrer => "referrer",
            },
            channel,
            rule,
            conditions,
        })
    }
}

fn parameter(seen: Seen, channels: &Channels) -> Parameter {
    let field = seen.known.field.map(|(field, _)| field.name().to_owned());
    let id = seen.known.click_id.and_then(|at| channels.click_id(at));
    let network = id.map(|id| {
        let of_value = id.by_value.iter().find(|kind| kind.regex.is_found(&seen.value)).map_or(&id.source, |kind| &kind.source);
        let networks: Vec<_> = [of_value].into_iter().chain(&id.or_sources).map(String::as_str).collect();
        if of_value.is_empty() {
            "click id of any network".to_owned()
        } else {
            format!("click id of {}", networks.join(" or "))
        }
    });
    let tells = field.into_iter().chain(network).collect::<Vec<_>>().join(", ");
    Parameter { name: seen.name, value: seen.value, tells }
}
