//! The fields of a touch in a message.

use std::borrow::Cow;

use super::Parts;
use super::message::{Campaign, Page};
use crate::ignored::Ignored;
use crate::scalar::Scalar;
use crate::touch::TouchFields;

/// Campaign, page and referrer, from the context; if missing there, for pages, from the properties.
pub(super) fn fields<'a>(parts: &mut Parts<'a>, touch_type: Cow<'a, str>, ignored: &mut Ignored) -> TouchFields<'a> {
    let Campaign { source, medium, name, content, term } =
        parts.context.campaign.take("context.campaign", ignored).unwrap_or_default();
    let Page { url, referrer, search } = parts.context.page.take("context.page", ignored).unwrap_or_default();
    let mut text = |value: Scalar<'a>, field| ignored.read(value.text(field)).flatten().unwrap_or_default();
    let mut url = text(url, "context.page.url");
    if url.is_empty() {
        url = text(std::mem::take(&mut parts.properties.url), "properties.url");
    }
    let mut referrer = text(referrer, "context.page.referrer");
    if referrer.is_empty() {
        referrer = text(std::mem::take(&mut parts.properties.referrer), "properties.referrer");
    }
    let search = text(search, "context.page.search");
    // Some libraries send the canonical URL, which lacks the query.
    if !search.is_empty() && !url.is_empty() && !url.contains('?') {
        let separator = if search.starts_with('?') { "" } else { "?" };
        url = Cow::Owned(format!("{url}{separator}{search}"));
    }
    TouchFields {
        channel: Cow::Borrowed(""),
        source: text(source, "context.campaign.source"),
        medium: text(medium, "context.campaign.medium"),
        campaign: text(name, "context.campaign.name"),
        content: text(content, "context.campaign.content"),
        term: text(term, "context.campaign.term"),
        touch_type,
        url,
        referrer,
        ..TouchFields::default()
    }
}
