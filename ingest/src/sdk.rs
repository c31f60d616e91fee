//! SDK messages of the Segment specification (<https://segment.com/docs/connections/spec/>).

mod kind;
mod message;
mod time;
mod touched;
mod who;

use std::borrow::Cow;

use tributary_proto::event::Body;
use tributary_proto::{AccountRecord, Event, Identify, Link, Trait};
use tributary_runtime::stage::Rejection;

use kind::Kind;
use message::{Context, Message, Properties};
use who::{Found, Opened};

use crate::decoded::Decoded;
use crate::dimensions::{Dimensions, RawDimensions};
use crate::identifiers::Sorted;
use crate::ignored::Ignored;
use crate::milestone::{Given, MilestoneFields, amount_in};
use crate::receipt::{Receipt, TRUST_FIELD};
use crate::rules::{Meaning, Rules};
use crate::scalar::{Scalar, json_rejection};
use crate::time::OfDay;
use crate::touch::TouchFields;
use crate::traits::RawTraits;
use crate::{native, public, reason, tolerant};

/// Fields that are not part of a message's content: its id, and those that change when it is sent again.
const NOT_CONTENT: [&str; 4] = ["messageId", "sentAt", "receivedAt", TRUST_FIELD];

/// Decodes one message; a record without `type` is a native one.
///
/// # Errors
/// When it is refused; nothing was added to `out` then.
pub(crate) fn decode(rules: &Rules, text: &str, receipt: Receipt, out: &mut Decoded) -> Result<(), Rejection> {
    let mut message: Message<'_> = serde_json::from_str(text).map_err(|error| json_rejection(&error))?;
    let Some(kind) = std::mem::take(&mut message.kind).text("type")? else {
        return native::decode(rules, text, receipt, out);
    };
    let receipt = receipt.marked(&message.trust);
    out.public = receipt.is_public();
    let kind = Kind::read(&kind)?;
    let mut ignored = Ignored::default();
    let meaning = meaning(rules, kind, &message);
    let of_day = if matches!(meaning, Some(Meaning::Milestone(_))) { OfDay::End } else { OfDay::Noon };
    let (time_ms, receipt) = time::time(rules, &message, of_day, receipt, &mut ignored)?;
    let event_id = tolerant::event_id(std::mem::take(&mut message.message_id), "messageId", text, &NOT_CONTENT, &mut ignored)?;
    let mut parts = Parts::open(&mut message, &mut ignored);
    let is_touch = matches!(kind, Kind::Page | Kind::Screen) || meaning == Some(&Meaning::Touch);
    let agent = std::mem::take(&mut parts.context.user_agent);
    if is_touch && tolerant::is_bot(rules, agent, "context.userAgent", &mut ignored) {
        out.bots += 1;
        return Ok(());
    }
    let Found { mut named, blocked, undeclared } = parts.who(rules, kind, meaning.is_some(), &message, &mut ignored);
    rules.public.restrict(&receipt, &mut named, &mut ignored);
    let mut said = Said { rules, head: Head { receipt, event_id, time_ms, named }, parts, ignored };
    let event = match kind {
        Kind::Track => said.track(meaning, message.event)?,
        Kind::Page => said.page("page")?,
        Kind::Screen => said.page("screen")?,
        Kind::Identify => Some(said.about_person(Body::Identify(Identify {}))?),
        Kind::Group => Some(said.group(out)?),
        Kind::Alias => Some(said.alias()?),
    };
    out.ignored.merge(said.ignored);
    out.blocked += blocked;
    out.undeclared += undeclared;
    out.without_event += u64::from(event.is_none());
    out.events.extend(event);
    Ok(())
}

/// The configured meaning of a track message's event.
fn meaning<'r>(rules: &'r Rules, kind: Kind, message: &Message<'_>) -> Option<&'r Meaning> {
    match (kind, &message.event) {
        (Kind::Track, Scalar::Text(name)) => {
            let name = name.trim();
            let in_other_case = || rules.meanings.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            rules.meanings.get(name).or_else(|| in_other_case().map(|(_, meaning)| meaning))
        }
        _ => None,
    }
}

/// The objects in a message; empty if absent or not objects.
struct Parts<'a> {
    traits: RawTraits<'a>,
    context: Context<'a>,
    context_traits: RawTraits<'a>,
    properties: Properties<'a>,
}

impl<'a> Parts<'a> {
    fn open(message: &mut Message<'a>, ignored: &mut Ignored) -> Self {
        let mut context = message.context.take("context", ignored).unwrap_or_default();
        Self {
            traits: message.traits.take("traits", ignored).unwrap_or_default(),
            context_traits: context.traits.take("context.traits", ignored).unwrap_or_default(),
            context,
            properties: message.properties.take("properties", ignored).unwrap_or_default(),
        }
    }

    /// The identifiers in the message. `known` says whether the event is configured: only then the address in its properties is the
    /// sender's own.
    fn who(&mut self, rules: &Rules, kind: Kind, known: bool, message: &Message<'a>, ignored: &mut Ignored) -> Found {
        let form = if known {
            [std::mem::take(&mut self.properties.email), std::mem::take(&mut self.properties.phone)]
        } else {
            Default::default()
        };
        let opened = Opened {
            traits: &mut self.traits,
            context_traits: &mut self.context_traits,
            context_group_id: std::mem::take(&mut self.context.group_id),
            external_ids: ignored.read(self.context.external_ids.get("context.externalIds")).flatten(),
            form,
        };
        who::named(rules, kind, message, opened, ignored)
    }
}

/// What all events of a message share.
struct Head {
    receipt: Receipt,
    event_id: String,
    time_ms: i64,
    named: Sorted,
}

impl Head {
    fn event(self, traits: Vec<Trait>, body: Body) -> Event {
        Event {
            identifiers: self.named.people,
            account_identifiers: self.named.accounts,
            traits,
            body: Some(body),
            ..self.receipt.event(self.event_id, self.time_ms)
        }
    }
}

/// A message while it is turned into an event.
struct Said<'r, 'a> {
    rules: &'r Rules,
    head: Head,
    parts: Parts<'a>,
    ignored: Ignored,
}

impl<'a> Said<'_, 'a> {
    /// Takes what all events of the message share.
    fn head(&mut self) -> Head {
        let named = std::mem::take(&mut self.head.named);
        Head { event_id: self.head.event_id.clone(), named, ..self.head }
    }

    /// Traits of the person: the message's own; if there are none, those of its context.
    fn person_traits(&mut self) -> Vec<Trait> {
        let mut traits = std::mem::take(&mut self.parts.traits);
        for (name, value) in std::mem::take(&mut self.parts.context_traits).0 {
            if !traits.0.iter().any(|(known, _)| *known == name) {
                traits.0.push((name, value));
            }
        }
        traits.into_traits(&mut self.ignored)
    }

    /// An event about the person; refused if nobody is named.
    fn about_person(&mut self, body: Body) -> Result<Event, Rejection> {
        if self.head.named.is_empty() {
            let detail = "a message needs userId, anonymousId or another identifier that is not blocked";
            return Err(self.ignored.nobody(Rejection::new(reason::IDENTIFIER_MISSING, "", detail)));
        }
        let traits = self.person_traits();
        Ok(self.head().event(traits, body))
    }

    /// The identify event of a message that is not configured as an event; `None` if it names nobody.
    fn identity_only(&mut self) -> Option<Event> {
        if self.head.named.people.is_empty() {
            return None;
        }
        let traits = self.person_traits();
        Some(self.head().event(traits, Body::Identify(Identify {})))
    }

    /// A touch or a milestone if the configuration names the event; otherwise an identify event.
    fn track(&mut self, meaning: Option<&Meaning>, name: Scalar<'a>) -> Result<Option<Event>, Rejection> {
        let Some(name) = name.text("event")? else {
            return Err(Rejection::new(reason::FIELD_MISSING, "event", "a track message names its event"));
        };
        match meaning {
            None => Ok(self.identity_only()),
            Some(Meaning::Touch) => {
                let fields = self.touch_fields(name);
                self.touch(fields).map(Some)
            }
            Some(Meaning::Milestone(kind)) => self.milestone(kind).map(Some),
        }
    }

    fn touch_fields(&mut self, touch_type: Cow<'a, str>) -> TouchFields<'a> {
        let dimensions = self.dimensions();
        TouchFields { dimensions, ..touched::fields(&mut self.parts, touch_type, &mut self.ignored) }
    }

    /// The dimensions of the properties, completed by those of the context.
    fn dimensions(&mut self) -> Dimensions {
        let rules = &self.rules.dimensions;
        let [own, around] = [&mut self.parts.properties.dimensions, &mut self.parts.context.dimensions].map(std::mem::take);
        if rules.is_empty() {
            // Without declared dimensions, properties of this name may mean anything: they are not read.
            return Dimensions::new();
        }
        let mut dimensions = rules.read(RawDimensions::of(around), &mut self.ignored);
        dimensions.extend(rules.read(RawDimensions::of(own), &mut self.ignored));
        dimensions
    }

    fn milestone(&mut self, kind: &str) -> Result<Event, Rejection> {
        let dimensions = self.dimensions();
        let ignored = &mut self.ignored;
        let Properties { object_id, value, revenue, currency, .. } = std::mem::take(&mut self.parts.properties);
        let object_id = ignored.read(object_id.text("properties.object_id")).flatten();
        let value = amount_in(value, "properties.value", ignored);
        let revenue = amount_in(revenue, "properties.revenue", ignored);
        let currency = ignored.read(currency.text("properties.currency")).map(Given::of);
        let mut fields = MilestoneFields {
            kind: kind.into(),
            // Without an object id, each event is an object of its own.
            object_id: object_id.unwrap_or_else(|| self.head.event_id.as_str().into()),
            value: if matches!(value, Given::Is(_)) { value } else { revenue },
            dimensions,
            ..MilestoneFields::default()
        };
        fields.set_currency(currency, ignored);
        let version = self.rules.milestone(fields, &self.head.receipt, ignored)?;
        let traits = self.person_traits();
        Ok(self.head().event(traits, Body::Milestone(version)))
    }

    /// A touch, unless the visitor was already on the site.
    fn page(&mut self, touch_type: &'static str) -> Result<Option<Event>, Rejection> {
        let fields = self.touch_fields(touch_type.into());
        if self.rules.touches.is_own_referrer(&fields.url, &fields.referrer) {
            return Ok(self.identity_only());
        }
        self.touch(fields).map(Some)
    }

    /// A touch of the identifiers that the message, or a click id in its URL, names.
    fn touch(&mut self, fields: TouchFields<'_>) -> Result<Event, Rejection> {
        let touch = tolerant::touch(self.rules, fields, &self.head.receipt, &mut self.head.named, &mut self.ignored)?;
        self.about_person(Body::Touch(touch))
    }

    /// The person belongs to the account. Statements about the account become an event of their own.
    fn group(&mut self, out: &mut Decoded) -> Result<Event, Rejection> {
        if self.head.named.accounts.is_empty() {
            let missing = "a group message needs groupId: it says only who is there";
            let missing = Rejection::new(reason::IDENTIFIER_MISSING, "groupId", missing);
            if self.head.named.people.is_empty() {
                return Err(self.ignored.nobody(missing));
            }
            self.ignored.note(missing);
        }
        let person = std::mem::take(&mut self.parts.context_traits).into_traits(&mut self.ignored);
        let account = std::mem::take(&mut self.parts.traits).into_traits(&mut self.ignored);
        let head = self.head();
        if head.named.people.is_empty() {
            return Ok(head.event(account, Body::Account(AccountRecord::default())));
        }
        if !account.is_empty() && !head.named.accounts.is_empty() {
            out.events.push(Event {
                account_identifiers: head.named.accounts.clone(),
                traits: account,
                body: Some(Body::Account(AccountRecord::default())),
                ..head.receipt.event(format!("{}:account", head.event_id), head.time_ms)
            });
        }
        Ok(head.event(person, Body::Identify(Identify {})))
    }

    fn alias(&mut self) -> Result<Event, Rejection> {
        public::check(&self.head.receipt, "type", Some("ids are joined"))?;
        if self.head.named.people.len() < 2 {
            let missing = "an alias message needs userId and previousId";
            return Err(self.ignored.nobody(Rejection::new(reason::IDENTIFIER_MISSING, "previousId", missing)));
        }
        Ok(self.head().event(Vec::new(), Body::Link(Link {})))
    }
}
