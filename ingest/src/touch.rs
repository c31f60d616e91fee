//! From what a sender says of a touch to the touch: campaign parameters, click ids and the referrer fill what is not said, then the
//! rules name the channel.

use std::borrow::Cow;

use tributary_proto::vocabulary::DIRECT;
use tributary_proto::{Source, Touch};
use tributary_runtime::stage::Rejection;

use crate::channel::{Channels, ClickId, Evidence, Site};
use crate::click_ids;
use crate::identifiers::Sorted;
use crate::landing::{self, Landing, Seen};
use crate::normalise::IdentifierRules;
use crate::normalise::text::has_no_value;

/// What a sender says of a touch; fields are empty where it says nothing.
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
}

/// Where the source of a touch is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceFrom {
    /// It is not known.
    Nothing,
    /// The sender names it.
    Sender,
    /// A parameter of the URL names it.
    Parameters,
    /// A click id in the URL proves it.
    ClickId,
    /// The referrer is it.
    Referrer,
}

/// The rules for channels, and which sites are the operator's own.
#[derive(Debug)]
pub(crate) struct TouchRules {
    pub(crate) channels: Channels,
    /// Domains in lower case, whose subdomains are own too.
    pub(crate) own_sites: Vec<String>,
    /// Whether click ids of landing URLs are identifiers.
    pub(crate) click_ids: bool,
}

impl TouchRules {
    /// Builds the touch of those who are `named`, to whom its click ids are added.
    ///
    /// # Errors
    /// When a URL breaks a limit.
    pub(crate) fn touch(
        &self,
        fields: TouchFields<'_>,
        input: Source,
        kinds: &IdentifierRules,
        named: &mut Sorted,
    ) -> Result<Touch, Rejection> {
        let (mut fields, mut seen) = (fields, Vec::new());
        // A click id is not more than a cookie: it does not make a visitor identified.
        let identified = named.identified();
        let said = !fields.channel.is_empty();
        let from = self.fill(&mut fields, self.click_ids.then_some(&mut seen))?;
        let parameters = [&fields.source, &fields.medium, &fields.campaign].iter().any(|field| !field.is_empty());
        click_ids::name(&seen, kinds, named);
        if fields.channel.is_empty() {
            fields.channel = Cow::Owned(self.channels.classify(evidence(&fields, input)).to_owned());
        }
        Ok(Touch {
            digital: matches!(input, Source::Sdk | Source::Utm) || !fields.url.is_empty(),
            names_source: fields.channel != DIRECT && (said || (from != SourceFrom::Referrer && parameters)),
            device: 0,
            channel: fields.channel.into_owned(),
            source: fields.source.into_owned(),
            medium: fields.medium.into_owned(),
            campaign: fields.campaign.into_owned(),
            content: fields.content.into_owned(),
            term: fields.term.into_owned(),
            touch_type: fields.touch_type.into_owned(),
            identified,
        })
    }

    /// Whether the referrer is the page's own site: the same host or registrable domain, or one that the configuration calls own.
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

    /// Fills what the sender does not say, and tells where the source is from; `hear` is told of the parameters found.
    ///
    /// # Errors
    /// When a URL breaks a limit.
    pub(crate) fn fill(&self, fields: &mut TouchFields<'_>, hear: Option<&mut Vec<Seen>>) -> Result<SourceFrom, Rejection> {
        for said in [&mut fields.source, &mut fields.medium, &mut fields.campaign, &mut fields.content, &mut fields.term] {
            if has_no_value(said) {
                *said = Cow::Borrowed("");
            }
        }
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
        Ok(from)
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
        let network = self.network(id, &fields.referrer);
        if !self.is_of_network(id, network, fields) {
            return from;
        }
        // The network's own medium holds where the link names no other; a source the link names is finer than the network.
        if fields.medium.is_empty() {
            fields.medium = Cow::Owned(id.medium.clone());
        }
        if fields.source.is_empty() && !network.is_empty() {
            fields.source = Cow::Owned(network.to_owned());
            from = SourceFrom::ClickId;
        }
        from
    }

    /// Whether a click id says anything of a visit: not where the link names a site of somebody else, for links are copied with the ids
    /// of the click before.
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

    /// The network of a click id: of several that call it the same, the one whose site the visit comes from.
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
        let (source, medium) = match self.channels.sites().find_host(host) {
            Some(site) if site.category == Site::NO_REFERRER => return,
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

/// What the rules look at.
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
mod tests {
    use super::*;
    use crate::normalise::blocked::BlockedValues;
    use crate::normalise::phone::Region;

    fn touch(url: &str, referrer: &str) -> (String, String, String) {
        let rules = TouchRules {
            channels: Channels::new(&[], &[], None).unwrap(),
            own_sites: vec!["a-pay.example".into()],
            click_ids: false,
        };
        let fields = TouchFields { url: url.into(), referrer: referrer.into(), ..TouchFields::default() };
        let kinds = IdentifierRules::new(
            &tributary_proto::kind::Kinds::default(),
            BlockedValues::new(&[]),
            Region::parse("CN").unwrap(),
        );
        let touch = rules.touch(fields, Source::Utm, &kinds, &mut Sorted::default()).unwrap();
        (touch.channel, touch.source, touch.medium)
    }

    #[test]
    fn what_is_not_said_is_found_in_url_and_referrer() {
        let page = "https://www.a-corp.example/p";
        for (url, referrer, expected) in [
            (page, "", ("direct", "", "")),
            (page, "https://shop.a-corp.example/", ("direct", "", "")),
            (page, "https://checkout.a-pay.example/", ("direct", "", "")),
            (page, "https://www.baidu.com/link?url=x", ("organic_search", "baidu", "organic")),
            (page, "https://www.zhihu.com/q/1", ("organic_social", "zhihu", "social")),
            (page, "https://mp.weixin.qq.com/s/x", ("wechat", "wechat", "referral")),
            (page, "https://www.Partner.example/x", ("referral", "partner.example", "referral")),
            ("https://www.a-corp.example/?bd_vid=1", "https://www.baidu.com/", ("paid_search", "baidu", "cpc")),
            ("https://www.a-corp.example/?gdt_vid=1", "", ("paid_social", "wechat", "cpc")),
            ("https://www.a-corp.example/?fbclid=1", "", ("organic_social", "facebook", "")),
            ("https://www.a-corp.example/?utm_source=baidu&bd_vid=1", "", ("paid_search", "baidu", "cpc")),
            ("https://www.a-corp.example/?yclid=1", "https://yandex.kz/", ("paid_search", "yandex", "cpc")),
            ("https://www.a-corp.example/?yclid=1", "https://search.yahoo.co.jp/", ("paid_search", "yahoo", "cpc")),
            ("https://www.a-corp.example/?clickid=1", "", ("paid_social", "oceanengine", "cpc")),
            ("https://www.a-corp.example/?clickid=1&utm_source=toutiao", "", ("paid_social", "toutiao", "cpc")),
            ("https://www.a-corp.example/?clickid=1&utm_source=partner", "", ("unassigned", "partner", "")),
            // A click id of one network, in a link of another.
            ("https://www.a-corp.example/?gclid=1&utm_source=linkedin", "", ("organic_social", "linkedin", "")),
            ("https://www.a-corp.example/?gclid=1&utm_source=youtube", "", ("paid_video", "youtube", "cpc")),
            ("https://www.a-corp.example/?gclid=1&utm_source=spring", "", ("paid_other", "spring", "cpc")),
            // A name that anybody may give to something.
            ("https://www.a-corp.example/?callback=1", "", ("direct", "", "")),
            ("https://www.a-corp.example/?callback=1&utm_source=partner", "", ("unassigned", "partner", "")),
            ("https://www.a-corp.example/?callback=1&utm_source=kuaishou", "", ("paid_video", "kuaishou", "cpc")),
            ("https://www.a-corp.example/?track_id=1", "https://www.bilibili.com/v/1", ("paid_video", "bilibili", "cpc")),
            // A click that was paid, on whatever network.
            ("https://www.a-corp.example/?hsa_acc=1&hsa_net=linkedin&hsa_cam=2", "", ("paid_social", "linkedin", "cpc")),
            ("https://www.a-corp.example/?ef_id=1", "https://www.google.com/", ("paid_other", "", "cpc")),
            // Between two pages of the same visit.
            (page, "https://accounts.google.co.jp/o/oauth2", ("direct", "", "")),
            (page, "https://a-corp.okta.com/login", ("direct", "", "")),
            (page, "https://excashier.alipay.com/", ("direct", "", "")),
            // What else a search company runs.
            (page, "https://docs.google.com/d/1", ("referral", "docs.google.com", "referral")),
            (page, "https://images.google.de/", ("organic_search", "google", "organic")),
            (page, "https://pan.baidu.com/s/1", ("referral", "pan.baidu.com", "referral")),
            (page, "https://m.baidu.com/", ("organic_search", "baidu", "organic")),
            (page, "https://chatgpt.com/", ("ai_assistant", "chatgpt", "referral")),
            ("https://www.a-corp.example/?utm_source=chatgpt.com&utm_medium=cpc", "", ("paid_other", "chatgpt.com", "cpc")),
            (page, "android-app://com.Slack/", ("organic_social", "slack", "social")),
            ("https://www.a-corp.example/?utm_source=undefined&utm_medium={{ad}}", "", ("direct", "", "")),
            (
                "https://www.a-corp.example/?utm_source=x.partner&utm_medium=email",
                "https://mail.qq.com/",
                ("email", "x.partner", "email"),
            ),
        ] {
            let (channel, source, medium) = touch(url, referrer);
            assert_eq!((channel.as_str(), source.as_str(), medium.as_str()), expected, "{url} from {referrer}");
        }
    }
}
