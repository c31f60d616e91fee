//! SDK messages of the Segment specification (<https://segment.com/docs/connections/spec/>).

mod message;
mod time;

use std::borrow::Cow;

use tributary_proto::event::Body;
use tributary_proto::{AccountRecord, Event, Identify, Link, Source, Trait};
use tributary_runtime::stage::Rejection;

use message::{Campaign, Message, Page};
use time::time;

use crate::decoded::Decoded;
use crate::identifiers::{Identifiers, Sorted};
use crate::milestone::{Given, MilestoneFields, amount};
use crate::rules::{Meaning, Rules};
use crate::scalar::{Scalar, json_rejection};
use crate::touch::TouchFields;
use crate::{content, native, reason};

/// Fields that are not part of a message's content: its id, and what changes when it is sent again.
const NOT_CONTENT: [&str; 3] = ["messageId", "sentAt", "receivedAt"];

/// Decodes one message; a record without `type` is a native one.
///
/// # Errors
/// When it is refused; nothing was added to `out` then.
pub(crate) fn decode(rules: &Rules, text: &str, received_ms: Option<i64>, out: &mut Decoded) -> Result<(), Rejection> {
    let mut message: Message<'_> = serde_json::from_str(text).map_err(|error| json_rejection(&error))?;
    let Some(kind) = std::mem::take(&mut message.kind).text("type")? else {
        return native::decode(rules, text, Source::Sdk, received_ms, out);
    };
    let kind = Kind::read(&kind)?;
    let received_at_ms = rules.received_ms(std::mem::take(&mut message.received_at), "receivedAt")?;
    let received_ms = received_at_ms.or(received_ms);
    let time_ms = time(rules, &mut message, received_at_ms, received_ms)?;
    let event_id = match native::event_id(std::mem::take(&mut message.message_id), "messageId")? {
        Some(id) => id,
        None => content::hash(text, &NOT_CONTENT).map_err(|error| json_rejection(&error))?,
    };
    if would_touch(rules, kind, &message) && is_bot(rules, &mut message)? {
        out.bots += 1;
        return Ok(());
    }
    let (named, dropped) = identifiers(rules, kind, &mut message)?;
    let head = Head { event_id, time_ms, named };
    let event = match kind {
        Kind::Track => track(rules, message, head, received_ms)?,
        Kind::Page | Kind::Screen => page(rules, kind, message, head)?,
        Kind::Identify => Some(head.require()?.event(person_traits(message)?, Body::Identify(Identify {}))),
        Kind::Group => Some(group(message, head, out)?),
        Kind::Alias => Some(alias(head)?),
    };
    out.blocked += dropped.blocked;
    out.undeclared += dropped.undeclared;
    out.without_event += u64::from(event.is_none());
    out.events.extend(event);
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Track,
    Page,
    Screen,
    Identify,
    Group,
    Alias,
}

impl Kind {
    fn read(kind: &str) -> Result<Self, Rejection> {
        Ok(match kind {
            "track" => Self::Track,
            "page" => Self::Page,
            "screen" => Self::Screen,
            "identify" => Self::Identify,
            "group" => Self::Group,
            "alias" => Self::Alias,
            _ => {
                let detail = "expected track, identify, page, screen, group or alias";
                return Err(Rejection::new(reason::KIND_UNKNOWN, "type", detail));
            }
        })
    }
}

/// Whether a message of a person may be a touch.
fn would_touch(rules: &Rules, kind: Kind, message: &Message<'_>) -> bool {
    match (kind, &message.event) {
        (Kind::Page | Kind::Screen, _) => true,
        (Kind::Track, Scalar::Text(name)) => rules.meanings.get(&**name) == Some(&Meaning::Touch),
        _ => false,
    }
}

fn is_bot(rules: &Rules, message: &mut Message<'_>) -> Result<bool, Rejection> {
    let agent = message.context.as_mut().map(|context| std::mem::take(&mut context.user_agent)).unwrap_or_default();
    Ok(agent.text("context.userAgent")?.is_some_and(|agent| rules.bots.is_bot(&agent)))
}

/// What all events of a message have in common.
struct Head {
    event_id: String,
    time_ms: i64,
    named: Sorted,
}

impl Head {
    /// Refuses a message that names nobody.
    fn require(self) -> Result<Self, Rejection> {
        if self.named.is_empty() {
            let detail = "a message needs userId, anonymousId or another identifier that is not blocked";
            return Err(Rejection::new(reason::IDENTIFIER_MISSING, "", detail));
        }
        Ok(self)
    }

    fn event(self, traits: Vec<Trait>, body: Body) -> Event {
        Event {
            event_id: self.event_id,
            time_ms: self.time_ms,
            source: Source::Sdk.into(),
            identifiers: self.named.people,
            account_identifiers: self.named.accounts,
            traits,
            body: Some(body),
        }
    }
}

/// How many identifiers were dropped, and why.
struct Dropped {
    blocked: u64,
    undeclared: u64,
}

fn identifiers(rules: &Rules, kind: Kind, message: &mut Message<'_>) -> Result<(Sorted, Dropped), Rejection> {
    let kinds = &rules.identifiers;
    let (mut found, mut undeclared) = (Identifiers::default(), 0);
    let mut add = |kind: &str, value: &Scalar<'_>, field: &str| match kinds.find(kind) {
        Some(rule) => found.add(kinds, rule, value, field),
        None => {
            undeclared += 1;
            Ok(())
        }
    };
    add("user_id", &message.user_id, "userId")?;
    add("anonymous_id", &message.anonymous_id, "anonymousId")?;
    if kind == Kind::Alias {
        // Libraries send the cookie here unless told otherwise (analytics.js: `previousId || user.anonymousId()`).
        add("anonymous_id", &message.previous_id, "previousId")?;
    }
    // A group's traits are the account's, not the person's.
    if kind != Kind::Group {
        add("email", &message.traits.take("email")?, "traits.email")?;
        add("phone", &message.traits.take("phone")?, "traits.phone")?;
    }
    add("crm_account", &message.group_id, "groupId")?;
    if let Some(context) = &mut message.context {
        add("email", &context.traits.take("email")?, "context.traits.email")?;
        add("phone", &context.traits.take("phone")?, "context.traits.phone")?;
        add("crm_account", &context.group_id, "context.groupId")?;
        for external in context.external_ids.iter().flatten() {
            if let Scalar::Text(kind) = &external.kind {
                add(kind, &external.id, "context.externalIds")?;
            }
        }
    }
    let blocked = found.blocked;
    Ok((found.sorted(), Dropped { blocked, undeclared }))
}

/// Traits of the person: the message's own, else those of its context.
fn person_traits(message: Message<'_>) -> Result<Vec<Trait>, Rejection> {
    let mut traits = message.traits;
    let context = message.context.map(|context| context.traits).unwrap_or_default();
    for (name, value) in context.0 {
        if !traits.0.iter().any(|(known, _)| *known == name) {
            traits.0.push((name, value));
        }
    }
    traits.into_traits()
}

/// A touch or a milestone where the configuration names the event; else what it says of its person.
fn track(rules: &Rules, mut message: Message<'_>, head: Head, received_ms: Option<i64>) -> Result<Option<Event>, Rejection> {
    let Some(name) = std::mem::take(&mut message.event).text("event")? else {
        return Err(Rejection::new(reason::FIELD_MISSING, "event", "a track message names its event"));
    };
    let body = match rules.meanings.get(&*name) {
        None => return identity_only(message, head),
        Some(Meaning::Touch) => {
            let fields = touch_fields(&mut message, name)?;
            return touch(rules, fields, message, head);
        }
        Some(Meaning::Milestone(kind)) => {
            let properties = message.properties.take().unwrap_or_default();
            let object_id = properties.object_id.text("properties.object_id")?;
            Body::Milestone(rules.milestone(
                MilestoneFields {
                    kind: kind.into(),
                    // Without an object each event is one of its own.
                    object_id: object_id.unwrap_or_else(|| head.event_id.as_str().into()),
                    value: match properties.value.or(properties.revenue) {
                        Some(raw) => amount(raw, "properties.value")?,
                        None => Given::Nothing,
                    },
                    currency: Given::of(properties.currency.text("properties.currency")?),
                    ..MilestoneFields::default()
                },
                received_ms,
            )?)
        }
    };
    Ok(Some(head.event(person_traits(message)?, body)))
}

/// A touch, unless the visitor was on the site already.
fn page(rules: &Rules, kind: Kind, mut message: Message<'_>, head: Head) -> Result<Option<Event>, Rejection> {
    let touch_type = Cow::Borrowed(if kind == Kind::Page { "page" } else { "screen" });
    let fields = touch_fields(&mut message, touch_type)?;
    if rules.touches.is_own_referrer(&fields.url, &fields.referrer) {
        return identity_only(message, head);
    }
    touch(rules, fields, message, head)
}

/// A touch of whom the message, or a click id in its URL, names.
fn touch(rules: &Rules, fields: TouchFields<'_>, message: Message<'_>, mut head: Head) -> Result<Option<Event>, Rejection> {
    let touch = rules.touches.touch(fields, Source::Sdk, &rules.identifiers, &mut head.named)?;
    Ok(Some(head.require()?.event(person_traits(message)?, Body::Touch(touch))))
}

/// What a message that is no event of interest says of its person; nothing where it names none.
fn identity_only(message: Message<'_>, head: Head) -> Result<Option<Event>, Rejection> {
    if head.named.people.is_empty() {
        return Ok(None);
    }
    Ok(Some(head.event(person_traits(message)?, Body::Identify(Identify {}))))
}

/// The person belongs to the account; what is said of the account is an event of its own.
fn group(message: Message<'_>, head: Head, out: &mut Decoded) -> Result<Event, Rejection> {
    if head.named.accounts.is_empty() {
        return Err(Rejection::new(reason::IDENTIFIER_MISSING, "groupId", "a group message needs groupId"));
    }
    let person = message.context.map(|context| context.traits).unwrap_or_default().into_traits()?;
    let account = message.traits.into_traits()?;
    if head.named.people.is_empty() {
        return Ok(head.event(account, Body::Account(AccountRecord {})));
    }
    if !account.is_empty() {
        out.events.push(Event {
            event_id: format!("{}:account", head.event_id),
            time_ms: head.time_ms,
            source: Source::Sdk.into(),
            account_identifiers: head.named.accounts.clone(),
            traits: account,
            body: Some(Body::Account(AccountRecord {})),
            ..Event::default()
        });
    }
    Ok(head.event(person, Body::Identify(Identify {})))
}

fn alias(head: Head) -> Result<Event, Rejection> {
    if head.named.people.len() < 2 {
        let detail = "an alias message needs userId and previousId";
        return Err(Rejection::new(reason::IDENTIFIER_MISSING, "previousId", detail));
    }
    Ok(head.event(Vec::new(), Body::Link(Link {})))
}

/// Campaign, page and referrer, from the context, else (a page's) from the properties.
fn touch_fields<'a>(message: &mut Message<'a>, touch_type: Cow<'a, str>) -> Result<TouchFields<'a>, Rejection> {
    let context = message.context.as_mut();
    let (campaign, page) = context.map(|context| (context.campaign.take(), context.page.take())).unwrap_or_default();
    let (Campaign { source, medium, name, content, term }, Page { mut url, mut referrer, search }) =
        (campaign.unwrap_or_default(), page.unwrap_or_default());
    if let Some(properties) = &mut message.properties {
        if url.is_null() {
            url = std::mem::take(&mut properties.url);
        }
        if referrer.is_null() {
            referrer = std::mem::take(&mut properties.referrer);
        }
    }
    let text = |value: Scalar<'a>, field| value.text(field).map(Option::unwrap_or_default);
    let mut url = text(url, "context.page.url")?;
    let search = text(search, "context.page.search")?;
    // Some libraries send the canonical URL, which has lost its query.
    if !search.is_empty() && !url.is_empty() && !url.contains('?') {
        let separator = if search.starts_with('?') { "" } else { "?" };
        url = Cow::Owned(format!("{url}{separator}{search}"));
    }
    Ok(TouchFields {
        channel: Cow::Borrowed(""),
        source: text(source, "context.campaign.source")?,
        medium: text(medium, "context.campaign.medium")?,
        campaign: text(name, "context.campaign.name")?,
        content: text(content, "context.campaign.content")?,
        term: text(term, "context.campaign.term")?,
        touch_type,
        url,
        referrer: text(referrer, "context.page.referrer")?,
    })
}
