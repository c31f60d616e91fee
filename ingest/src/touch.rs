//! Completes a touch: campaign parameters, click ids and the referrer fill missing fields, then the rules name the channel.

use std::borrow::Cow;

use tributary_proto::vocabulary::DIRECT;
use tributary_proto::{self as proto, Origin, Source, Touch};
use tributary_runtime::stage::Rejection;

use crate::channel::{Channels, ClickId, Evidence, UNASSIGNED};
use crate::click_ids;
use crate::dimensions::Dimensions;
use crate::identifiers::Sorted;
use crate::landing::{self, Landing, Seen};
use crate::normalise::IdentifierRules;
use crate::normalise::text::has_no_value;
use crate::origin;
use crate::receipt::Receipt;

/// The fields of a touch as a sender gives them; empty if missing.
#[derive(Debug, Default)]
pub(crate) struct TouchFields<'a> {
    pub(crate) channel: Cow<'a, str>,
    pub(crate) source: Cow<'a, str>,
    pub(crate) medium: Cow<'a, str>,
    pub(crate) campaign: Cow<'a, str>,
    pub(crate) content: Cow<'a, str>,
    pub(crate) term: Cow<'a, str>,
    pub(crate) touch_type: Cow<'a, str>,
    pub(crate) url: Cow<'a, str>,
    pub(crate) referrer: Cow<'a, str>,
    pub(crate) dimensions: Dimensions,
}

/// How the source of a touch was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceFrom {
    /// There is no source.
    Nothing,
    /// From a field of the sender.
    Sender,
    /// From a parameter of the URL.
    Parameters,
    /// From a click id in the URL.
    ClickId,
    /// From the referrer.
    Referrer,
}

/// The channel rules, and the operator's own sites.
#[derive(Debug)]
pub(crate) struct TouchRules {
    pub(crate) channels: Channels,
    /// Domains in lower case; their subdomains are own sites, too.
    pub(crate) own_sites: Vec<String>,
    /// Whether click ids in landing URLs are identifiers.
    pub(crate) click_ids: bool,
    /// The version of everything that decides a channel: see [`Origin`].
    pub(crate) digest: u32,
}

/// The bits of [`Origin::found`], in the order of its documentation.
const FOUND: [u32; 6] = [1, 2, 4, 8, 16, 32];

/// Which of a touch's fields were filled in.
pub(crate) struct Filled {
    /// How the source was found.
    pub(crate) from: SourceFrom,
    /// The fields that the sender did not give, as in [`Origin::found`].
    found: u32,
}

impl TouchRules {
    /// Builds the touch of the identifiers in `named`, to which its click ids are added.
    ///
    /// # Errors
    /// When a URL exceeds a limit.
    pub(crate) fn touch(
        &self,
        fields: TouchFields<'_>,
        receipt: &Receipt,
        kinds: &IdentifierRules,
        named: &mut Sorted,
    ) -> Result<Touch, Rejection> {
        let (mut fields, mut seen) = (fields, Vec::new());
        // A click id identifies a visitor no better than a cookie, so this comes first.
        let identified = named.identified();
        let (names_source, found) = self.name_channel(&mut fields, receipt.source, self.click_ids.then_some(&mut seen))?;
        click_ids::name(&seen, kinds, named);
        let is_on_a_page = !fields.url.is_empty();
        let origin = Origin {
            url: origin::url(fields.url, &self.channels).into_owned(),
            referrer: origin::referrer(&fields.referrer),
            found,
            rules: self.digest,
            input: receipt.source.into(),
        };
        Ok(Touch {
            digital: matches!(receipt.source, Source::Sdk | Source::Utm) || is_on_a_page,
            names_source,
            device: 0,
            public: receipt.is_public(),
            channel: fields.channel.into_owned(),
            source: fields.source.into_owned(),
            medium: fields.medium.into_owned(),
            campaign: fields.campaign.into_owned(),
            content: fields.content.into_owned(),
            term: fields.term.into_owned(),
            touch_type: fields.touch_type.into_owned(),
            identified,
            origin: Some(origin),
            dimensions: (!fields.dimensions.is_empty()).then_some(proto::Dimensions { values: fields.dimensions }),
        })
    }

    /// The touch as these rules classify it, from the input of its original classification.
    pub(crate) fn reclassified(&self, touch: &Touch, origin: &Origin) -> Touch {
        let [channel, source, medium, campaign, content, term] = FOUND.map(|bit| origin.found & bit == 0);
        let given = |given: bool, value: &'_ str| if given { Cow::Owned(value.to_owned()) } else { Cow::Borrowed("") };
        let mut fields = TouchFields {
            channel: given(channel, &touch.channel),
            source: given(source, &touch.source),
            medium: given(medium, &touch.medium),
            campaign: given(campaign, &touch.campaign),
            content: given(content, &touch.content),
            term: given(term, &touch.term),
            touch_type: Cow::Borrowed(&touch.touch_type),
            url: Cow::Borrowed(&origin.url),
            referrer: Cow::Borrowed(&origin.referrer),
            dimensions: Dimensions::new(),
        };
        let input = Source::try_from(origin.input).unwrap_or_default();
        // Stored URLs are within the limits, so this does not happen.
        let Ok((names_source, _)) = self.name_channel(&mut fields, input, None) else { return touch.clone() };
        let [channel, source, medium, campaign, content, term] =
            [fields.channel, fields.source, fields.medium, fields.campaign, fields.content, fields.term].map(Cow::into_owned);
        Touch { channel, source, medium, campaign, content, term, names_source, ..touch.clone() }
    }

    /// Fills in missing fields, including the channel; returns whether the touch names its source, and [`Origin::found`].
    fn name_channel(
        &self,
        fields: &mut TouchFields<'_>,
        input: Source,
        hear: Option<&mut Vec<Seen>>,
    ) -> Result<(bool, u32), Rejection> {
        let said = !fields.channel.is_empty();
        let Filled { from, found } = self.fill(fields, hear)?;
        let parameters = [&fields.source, &fields.medium, &fields.campaign].iter().any(|field| !field.is_empty());
        if !said {
            fields.channel = Cow::Owned(self.channels.classify(evidence(fields, input)).to_owned());
        }
        Ok((fields.channel != DIRECT && (said || (from != SourceFrom::Referrer && parameters)), found))
    }

    /// Whether the referrer is on the page's own site: same host or registrable domain, or configured as own.
    pub(crate) fn is_own_referrer(&self, url: &str, referrer: &str) -> bool {
        let Some(from) = landing::host(referrer) else { return false };
        let own = |own: &String| {
            let Some(front) = from.len().checked_sub(own.len()) else { return false };
            let tail = from.get(front..).is_some_and(|tail| tail.eq_ignore_ascii_case(own));
            tail && (front == 0 || from.get(..front).is_some_and(|rest| rest.ends_with('.')))
        };
        if self.own_sites.iter().any(own) {
            return true;
        }
        let Some(to) = landing::host(url) else { return false };
        from.eq_ignore_ascii_case(to) || same_site(from, to)
    }

    /// Fills in missing fields except the channel, and returns which; `hear` gets the parameters that were found.
    ///
    /// # Errors
    /// When a URL exceeds a limit.
    pub(crate) fn fill(&self, fields: &mut TouchFields<'_>, hear: Option<&mut Vec<Seen>>) -> Result<Filled, Rejection> {
        for said in [&mut fields.source, &mut fields.medium, &mut fields.campaign, &mut fields.content, &mut fields.term] {
            if has_no_value(said) {
                *said = Cow::Borrowed("");
            }
        }
        let TouchFields { channel, source, medium, campaign, content, term, .. } = &*fields;
        let open = FOUND.iter().zip([channel, source, medium, campaign, content, term]).filter(|(_, field)| field.is_empty());
        let found = open.map(|(bit, _)| bit).sum();
        let mut from = if fields.source.is_empty() { SourceFrom::Nothing } else { SourceFrom::Sender };
        if !fields.url.is_empty() {
            let landing = landing::read(&fields.url, "url", &self.channels, hear)?;
            from = self.fill_from_landing(fields, landing, from);
        }
        if fields.source.is_empty() && fields.medium.is_empty() && fields.campaign.is_empty() && !fields.referrer.is_empty() {
            self.fill_from_referrer(fields);
            if !fields.source.is_empty() {
                from = SourceFrom::Referrer;
            }
        }
        Ok(Filled { from, found })
    }

    fn fill_from_landing<'a>(&self, fields: &mut TouchFields<'a>, landing: Landing<'a>, from: SourceFrom) -> SourceFrom {
        let mut from = from;
        fill(&mut fields.source, landing.source.value);
        if from == SourceFrom::Nothing && !fields.source.is_empty() {
            from = SourceFrom::Parameters;
        }
        fill(&mut fields.medium, landing.medium.value);
        fill(&mut fields.campaign, landing.campaign.value);
        fill(&mut fields.content, landing.content.value);
        fill(&mut fields.term, landing.term.value);
        let Some(id) = landing.click_id.and_then(|at| self.channels.click_id(at)) else { return from };
        let kind = landing.by_value.and_then(|at| id.by_value.get(at));
        let medium = kind.map(|kind| &kind.medium).filter(|medium| !medium.is_empty()).unwrap_or(&id.medium);
        let network = self.network(id, &fields.referrer);
        if !self.is_of_network(id, network, fields) || self.is_outvoted(id, medium, network, fields) {
            return from;
        }
        // The network's medium counts if the link names none. A source in the link is more precise than the network.
        if fields.medium.is_empty() {
            fields.medium = Cow::Owned(medium.clone());
        }
        let network = kind.map(|kind| kind.source.as_str()).filter(|source| !source.is_empty()).unwrap_or(network);
        if fields.source.is_empty() && !network.is_empty() {
            fields.source = Cow::Owned(network.to_owned());
            from = SourceFrom::ClickId;
        }
        from
    }

    /// Whether a source other than the network's overrides the click id: `utm_source=newsletter` is email, although its link was copied
    /// from an ad. Sources that show no channel (`spring`), and sites that also advertise, do not.
    fn is_outvoted(&self, id: &ClickId, medium: &str, network: &str, fields: &TouchFields<'_>) -> bool {
        let is_network = |source: &str| self.is_same_site(&fields.source, source);
        if fields.source.is_empty()
            || !fields.medium.is_empty()
            || is_network(network)
            || id.sisters.iter().any(|s| is_network(s))
        {
            return false;
        }
        let own = evidence(fields, Source::Unspecified);
        let channel = self.channels.classify(own);
        let says_how = !matches!(channel, UNASSIGNED | DIRECT | "referral") && !channel.starts_with("organic");
        says_how && channel != self.channels.classify(Evidence { medium, ..own })
    }

    /// Whether a click id counts: not if the link names another site as its source, because links are copied together with the click ids in
    /// them.
    fn is_of_network(&self, id: &ClickId, network: &str, fields: &TouchFields<'_>) -> bool {
        if network.is_empty() {
            return true;
        }
        let is_network = |source: &str| {
            self.is_same_site(source, network) || id.sisters.iter().any(|sister| self.is_same_site(source, sister))
        };
        if fields.source.is_empty() {
            let site = landing::host(&fields.referrer).and_then(|host| self.channels.sites().find_host(host));
            return !id.needs_network || site.is_some_and(|site| is_network(&site.name));
        }
        let is_of_others = id.common_name || id.needs_network || self.channels.sites().find_name(&fields.source).is_some();
        !is_of_others || is_network(&fields.source)
    }

    /// The network of a click id. If several networks use the same name: the one whose site is the referrer.
    fn network<'i>(&self, id: &'i ClickId, referrer: &str) -> &'i str {
        if id.or_sources.is_empty() {
            return &id.source;
        }
        let site = landing::host(referrer).and_then(|host| self.channels.sites().find_host(host));
        let other = site.and_then(|site| id.or_sources.iter().find(|source| **source == site.name));
        other.unwrap_or(&id.source)
    }

    fn is_same_site(&self, a: &str, b: &str) -> bool {
        let name = |source| self.channels.sites().find_name(source).map(|site| site.name.as_str());
        a.eq_ignore_ascii_case(b) || name(a).is_some_and(|site| Some(site) == name(b))
    }

    fn fill_from_referrer(&self, fields: &mut TouchFields<'_>) {
        if self.is_own_referrer(&fields.url, &fields.referrer) {
            return;
        }
        let Some(host) = landing::host(&fields.referrer) else { return };
        if self.channels.sites().is_between_pages(host) {
            return;
        }
        let (source, medium) = match self.channels.sites().find_host(host) {
            Some(site) if site.category == "search" => (site.name.clone(), "organic"),
            Some(site) if site.category == "social" => (site.name.clone(), "social"),
            Some(site) => (site.name.clone(), "referral"),
            None => {
                let host = host.to_ascii_lowercase();
                (host.strip_prefix("www.").map_or(host.clone(), str::to_owned), "referral")
            }
        };
        fields.source = Cow::Owned(source);
        fields.medium = Cow::Borrowed(medium);
    }
}

fn fill<'a>(field: &mut Cow<'a, str>, value: Cow<'a, str>) {
    if field.is_empty() {
        *field = value;
    }
}

/// The input of the channel rules.
pub(crate) fn evidence<'a>(fields: &'a TouchFields<'_>, input: Source) -> Evidence<'a> {
    Evidence {
        source: &fields.source,
        medium: &fields.medium,
        campaign: &fields.campaign,
        touch_type: &fields.touch_type,
        input: input_name(input),
    }
}

/// Whether two hosts have the same registrable domain, by the public suffix list.
fn same_site(a: &str, b: &str) -> bool {
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    match (psl::domain_str(&a), psl::domain_str(&b)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

/// The name of a raw input in rules and metrics.
pub(crate) fn input_name(source: Source) -> &'static str {
    match source {
        Source::Unspecified => "",
        Source::Sdk => "sdk",
        Source::Utm => "utm",
        Source::Webhook => "webhook",
        Source::Offline => "offline",
    }
}

#[cfg(test)]
mod tests;
