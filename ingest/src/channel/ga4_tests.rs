//! A second copy of GA4's default channel group, written straight from its description
//! (https://support.google.com/analytics/answer/9756891), and compared with the rules.

use std::sync::LazyLock;

use proptest::prelude::*;
use regex::RegexBuilder;

use super::*;

static CHANNELS: LazyLock<Channels> = LazyLock::new(|| Channels::new(&[], &[], None).unwrap());

/// Sources with GA4's category. Sites that this project treats differently (WeChat, webmail) are left out.
const SOURCES: [(&str, &str); 30] = [
    ("", ""),
    ("(direct)", ""),
    ("(not set)", ""),
    ("partner.example", ""),
    ("google", "search"),
    ("www.google.co.th", "search"),
    ("baidu", "search"),
    ("m.baidu.com", "search"),
    ("cn.bing.com", "search"),
    ("de.search.yahoo.com", "search"),
    ("yandex.com.tr", "search"),
    ("360.cn", "search"),
    ("facebook", "social"),
    ("l.facebook.com", "social"),
    ("tiktok", "social"),
    ("t.co", "social"),
    ("douban.com", "social"),
    ("answers.yahoo.com", "social"),
    ("blog.naver.com", "social"),
    ("pinterest.co.uk", "social"),
    ("youtube", "video"),
    ("m.youtube.com", "video"),
    ("youku", "video"),
    ("amazon", "shopping"),
    ("ebay.com.au", "shopping"),
    ("shopping.yahoo.co.jp", "shopping"),
    ("igshopping", "shopping"),
    ("email", ""),
    ("sms", ""),
    ("firebase", ""),
];

const MEDIUMS: [&str; 34] = [
    "",
    "(none)",
    "(not set)",
    "cpc",
    "cpm",
    "ppc",
    "CPV",
    "retargeting",
    "paid",
    "paid-social",
    "paid_search",
    "xpaid",
    "display",
    "banner",
    "expandable",
    "interstitial",
    "social",
    "social-network",
    "social-media",
    "sm",
    "social network",
    "social media",
    "my-video",
    "organic",
    "referral",
    "app",
    "link",
    "email",
    "e mail",
    "affiliate",
    "audio",
    "sms",
    "web push",
    "mobile-notification",
];

const CAMPAIGNS: [&str; 9] =
    ["", "brand", "cross-network", "a Cross-Network b", "shop", "eshop", "workshop", "bishop week", "spring shopping"];

/// GA4's channel, in snake case.
fn ga4(category: &str, source: &str, medium: &str, campaign: &str) -> &'static str {
    let is = |pattern: &str, text: &str| {
        let whole = format!("^(?:{pattern})$");
        RegexBuilder::new(&whole).case_insensitive(true).dot_matches_new_line(true).build().unwrap().is_match(text)
    };
    let paid = is(".*cp.*|ppc|retargeting|paid.*", medium);
    let shop = is(".*(([^a-df-z]|^)shop|shopping).*", campaign);
    let email = "email|e-mail|e_mail|e mail";
    let of = |wanted: &str| category == wanted;
    if source == "(direct)" && is(r"\(not set\)|\(none\)", medium) {
        "direct"
    } else if is(".*cross-network.*", campaign) {
        "cross_network"
    } else if (of("shopping") || shop) && paid {
        "paid_shopping"
    } else if of("search") && paid {
        "paid_search"
    } else if of("social") && paid {
        "paid_social"
    } else if of("video") && paid {
        "paid_video"
    } else if is("display|banner|expandable|interstitial|cpm", medium) {
        "display"
    } else if paid {
        "paid_other"
    } else if of("shopping") || shop {
        "organic_shopping"
    } else if of("social") || is("social|social-network|social-media|sm|social network|social media", medium) {
        "organic_social"
    } else if of("video") || is(".*video.*", medium) {
        "organic_video"
    } else if of("search") || is("organic", medium) {
        "organic_search"
    } else if is("referral|app|link", medium) {
        "referral"
    } else if is(email, source) || is(email, medium) {
        "email"
    } else if is("affiliate", medium) {
        "affiliates"
    } else if is("audio", medium) {
        "audio"
    } else if is("sms", source) || is("sms", medium) {
        "sms"
    } else if is(".*push", medium) || is(".*(mobile|notification).*", medium) || is("firebase", source) {
        "mobile_push"
    } else {
        "unassigned"
    }
}

/// The sender gave nothing, so GA4 itself would have written `(direct)` and `(none)`.
fn nothing_known(source: &str, medium: &str, campaign: &str) -> bool {
    let blank = |text: &str| ["", "(not set)", "(none)"].contains(&text);
    (source.is_empty() && blank(medium) && (blank(campaign) || campaign == "(direct)"))
        || (source == "(direct)" && medium.is_empty())
}

#[test]
fn every_combination_gives_the_channel_of_ga4() {
    for (source, category) in SOURCES {
        for (medium, campaign) in MEDIUMS.iter().flat_map(|medium| CAMPAIGNS.map(|campaign| (*medium, campaign))) {
            let expected =
                if nothing_known(source, medium, campaign) { "direct" } else { ga4(category, source, medium, campaign) };
            let found = CHANNELS.classify(Evidence { source, medium, campaign, ..Evidence::default() });
            assert_eq!(found, expected, "{source} / {medium} / {campaign}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Also for any other words: our own channels are given only where GA4 has none.
    #[test]
    fn our_channels_begin_where_ga4_ends(
        at in 0..SOURCES.len(),
        medium in "(paid|cp|shop|video|push|sm|mobile|live|call| |_|-|[a-z0-9]|\\PC){0,4}",
        campaign in "(cross-network|shop|shopping|e|a| |-|\\PC){0,4}",
    ) {
        let (source, category) = SOURCES[at];
        let expected = ga4(category, source, &medium, &campaign);
        let found = CHANNELS.classify(Evidence { source, medium: &medium, campaign: &campaign, ..Evidence::default() });
        prop_assert!(expected == "unassigned" || nothing_known(source, &medium, &campaign) || found == expected, "{} for {}", found, expected);
    }
}
