//! Every family of campaign parameters and click ids, and every kind of referrer, as they reach a page.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a failing test panics")]

use std::sync::LazyLock;

use encoding_rs::GBK;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use proptest::prelude::*;
use tributary_ingest::{Classified, Decoder, Settings};
use tributary_proto::kind::Kinds;

static DECODER: LazyLock<Decoder> = LazyLock::new(|| Decoder::new(&Settings::default(), &Kinds::default()).unwrap());

const PAGE: &str = "https://www.a-corp.example/p";

fn classify(url: &str, referrer: &str) -> Classified {
    DECODER.classify(url, referrer).unwrap()
}

/// channel: source / medium / campaign.
fn line(found: &Classified) -> String {
    format!("{}: {} / {} / {}", found.channel, found.source, found.medium, found.campaign)
}

#[test]
fn click_ids() {
    for (id, expected) in [
        ("gclid", "paid_search: google / cpc / "),
        ("gbraid", "paid_search: google / cpc / "),
        ("wbraid", "paid_search: google / cpc / "),
        ("gad_source", "paid_search: google / cpc / "),
        ("gad_campaignid", "paid_search: google / cpc / 1"),
        ("dclid", "display: google / display / "),
        ("srsltid", "organic_search: google /  / "),
        ("msclkid", "paid_search: bing / cpc / "),
        ("fbclid", "organic_social: facebook /  / "),
        ("li_fat_id", "paid_social: linkedin / cpc / "),
        ("twclid", "paid_social: twitter / cpc / "),
        ("ttclid", "paid_social: tiktok / cpc / "),
        ("ScCid", "paid_social: snapchat / cpc / "),
        ("yclid", "paid_search: yandex / cpc / "),
        ("epik", "paid_social: pinterest / cpc / "),
        ("rdt_cid", "paid_social: reddit / cpc / "),
        ("irclid", "affiliates: impact / affiliate / "),
        ("tblci", "paid_other: taboola / cpc / "),
        ("obclick_id", "paid_other: outbrain / cpc / "),
        ("mc_cid", "email: mailchimp / email / 1"),
        ("mc_eid", "email: mailchimp / email / "),
        ("bd_vid", "paid_search: baidu / cpc / "),
        ("qz_gdt", "paid_social: tencent_ads / cpc / "),
        ("gdt_vid", "paid_social: wechat / cpc / "),
        ("qhclickid", "paid_search: 360 / cpc / "),
        ("uctrackid", "paid_search: shenma / cpc / "),
        ("clickid", "paid_social: oceanengine / cpc / "),
        ("sg_vid", "paid_search: sogou / cpc / "),
    ] {
        assert_eq!(line(&classify(&format!("{PAGE}?{id}=1"), "")), expected, "{id}");
        // A network that proves no medium leaves the one that the link names; and nobody is proved by nothing.
        let named = classify(&format!("{PAGE}?{id}=1&utm_medium=email"), "");
        assert_eq!((named.medium.as_str(), named.source_from), ("email", "click id"), "{id}");
        assert_eq!(line(&classify(&format!("{PAGE}?{id}="), "")), "direct:  /  / ", "{id}");
    }
}

#[test]
fn families_of_campaign_parameters() {
    for (query, fields, tells_nothing) in [
        ("utm_source=s&utm_medium=m&utm_campaign=c&utm_content=n&utm_term=t", "s m c n t", 0),
        ("utm_source=s&utm_id=7&utm_source_platform=p&utm_creative_format=f&utm_marketing_tactic=x", "s - 7 - -", 3),
        ("utm_source=s&utm_id=7&utm_campaign=c&gad_campaignid=9", "s cpc c - -", 0),
        ("hmsr=s&hmmd=m&hmpl=c&hmcu=u&hmkw=t&hmci=n", "s m c n t", 0),
        (
            "mtm_source=s&mtm_medium=m&mtm_campaign=c&mtm_content=n&mtm_kwd=t&mtm_group=g&mtm_placement=p&mtm_cid=9",
            "s m c n t",
            2,
        ),
        ("pk_source=s&pk_medium=m&pk_campaign=c&pk_content=n&pk_keyword=t&pk_cid=9", "s m c n t", 0),
        ("qhclickid=1&qh_keywordid=t&qh_planid=c&qh_unitid=u&qh_creative=n", "360 cpc c n t", 1),
        ("gclid=1&gclsrc=aw.ds", "google cpc - - -", 1),
    ] {
        let found = classify(&format!("{PAGE}?{query}"), "");
        let said = [&found.source, &found.medium, &found.campaign, &found.content, &found.term];
        assert_eq!(said.map(|text| if text.is_empty() { "-" } else { text }).join(" "), fields, "{query}");
        assert_eq!(found.parameters.len(), query.split('&').count(), "{query}");
        assert_eq!(found.parameters.iter().filter(|found| found.tells.is_empty()).count(), tells_nothing, "{query}");
    }
}

#[test]
fn referrers() {
    for (referrer, expected) in [
        ("https://www.google.com.hk/", "organic_search: google / organic / "),
        ("android-app://com.google.android.googlequicksearchbox/", "organic_search: google / organic / "),
        ("https://m.baidu.com/s?wd=x", "organic_search: baidu / organic / "),
        ("https://yz.m.sm.cn/s?q=x", "organic_search: shenma / organic / "),
        ("https://quark.sm.cn/", "organic_search: shenma / organic / "),
        ("https://so.toutiao.com/search", "organic_search: toutiao_search / organic / "),
        ("https://www.sogou.com/link", "organic_search: sogou / organic / "),
        ("https://www.so.com/link", "organic_search: 360 / organic / "),
        ("https://tieba.baidu.com/p/1", "organic_social: baidu_tieba / social / "),
        ("https://www.xiaohongshu.com/explore/1", "organic_social: xiaohongshu / social / "),
        ("https://out.reddit.com/", "organic_social: reddit / social / "),
        ("https://lnkd.in/x", "organic_social: linkedin / social / "),
        ("https://www.bilibili.com/video/1", "organic_video: bilibili / referral / "),
        ("https://youtu.be/x", "organic_video: youtube / referral / "),
        ("https://item.jd.com/1.html", "organic_shopping: jd / referral / "),
        ("https://www.amazon.co.jp/x", "organic_shopping: amazon / referral / "),
        ("https://mp.weixin.qq.com/s/x", "wechat: wechat / referral / "),
        ("https://work.weixin.qq.com/x", "wecom: wecom / referral / "),
        ("https://mail.163.com/", "email: webmail / referral / "),
        ("android-app://com.google.android.gm/", "email: webmail / referral / "),
        ("https://chatgpt.com/", "ai_assistant: chatgpt / referral / "),
        ("https://WWW.Partner.example:8443/x", "referral: partner.example / referral / "),
        ("https://docs.a-corp.example/", "direct:  /  / "),
        ("not a url", "direct:  /  / "),
    ] {
        let found = classify(PAGE, referrer);
        assert_eq!(line(&found), expected, "{referrer}");
        assert_eq!(found.source_from, if found.source.is_empty() { "" } else { "referrer" }, "{referrer}");
    }
}

#[test]
fn the_rule_is_named() {
    let found = classify(&format!("{PAGE}?utm_source=baidu&utm_medium=cpc"), "");
    assert!(found.rule.starts_with("built-in channels.toml:"), "{}", found.rule);
    assert_eq!(found.conditions, "source_site = search, medium = @paid");
    let found = classify(&format!("{PAGE}?utm_source=partner&utm_medium=y"), "");
    assert_eq!((found.channel.as_str(), found.rule.as_str()), ("unassigned", ""));
}

/// Text that is nearly a link.
fn link() -> impl Strategy<Value = String> {
    let pieces = [
        "https://",
        "a.example",
        "/",
        "?",
        "&",
        "=",
        ";",
        "#",
        "#/",
        "!/",
        "%",
        "%25",
        "%3D",
        "%26",
        "%CF%C4",
        "%E5%A4%8F",
        "[]",
        "amp;",
        "+",
        "utm_source",
        "UTM_MEDIUM",
        "gclid",
        "clickid",
        "hmsr",
        "google",
        "cpc",
        "：",
        "\u{0}",
        "..",
    ];
    prop::collection::vec(
        prop_oneof![5 => prop::sample::select(pieces.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,5}"],
        0..40,
    )
    .prop_map(|pieces| pieces.concat())
}

fn encoded(text: &str, how: u8) -> String {
    let gbk = GBK.encode(text).0;
    let once = match how {
        0 | 1 => percent_encode(text.as_bytes(), NON_ALPHANUMERIC).to_string(),
        _ => percent_encode(&gbk, NON_ALPHANUMERIC).to_string(),
    };
    if how % 2 == 1 { once.replace('%', "%25") } else { once }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics_and_the_same_text_gives_the_same_answer(url in link(), referrer in link()) {
        prop_assert_eq!(DECODER.classify(&url, &referrer), DECODER.classify(&url, &referrer));
    }

    #[test]
    fn no_bytes_panic(url in prop::collection::vec(any::<u8>(), 0..300), referrer in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = DECODER.classify(&String::from_utf8_lossy(&url), &String::from_utf8_lossy(&referrer));
        // The same bytes inside a value.
        let found = classify(&format!("{PAGE}?utm_source={}", percent_encode(&url, NON_ALPHANUMERIC)), "");
        prop_assert!(found.parameters.len() <= 1);
    }

    /// However a link spells its parameters, and whatever else it has, the answer is the same.
    #[test]
    fn the_spelling_of_a_link_does_not_matter(
        campaign in "[夏季活动上海峰会产品发布]{2,8}",
        how in 0u8..4,
        upper in any::<bool>(),
        glue in prop::sample::select(vec!["?", "?a=1&", "?a=1?", "?a=1;", "#", "#top?", "#/route?", "?amp;", "?x[]=1&"]),
        turned in any::<bool>(),
    ) {
        let plain = classify(&format!("{PAGE}?utm_source=baidu&utm_medium=cpc&utm_campaign={campaign}"), "");
        let name = |name: &str| if upper { name.to_uppercase() } else { name.to_owned() };
        let mut pairs = [
            format!("{}=baidu", name("utm_source")),
            format!("{}=cpc", name("utm_medium")),
            format!("{}={}", name("utm_campaign"), encoded(&campaign, how)),
        ];
        if turned {
            pairs.reverse();
        }
        let messy = classify(&format!("{PAGE}{glue}{}", pairs.join("&")), "");
        prop_assert_eq!(line(&messy), line(&plain));
        prop_assert_eq!(messy.rule, plain.rule);
    }
}
