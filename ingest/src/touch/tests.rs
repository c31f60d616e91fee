//! Tests of the touches that visits give.

use super::*;
use crate::normalise::blocked::BlockedValues;
use crate::normalise::phone::Region;
use crate::receipt::Trust;

fn touch(url: &str, referrer: &str) -> (String, String, String) {
    let rules = TouchRules {
        channels: Channels::new(&[], &[], None).unwrap(),
        own_sites: vec!["a-pay.example".into()],
        click_ids: false,
        digest: 0,
    };
    let fields = TouchFields { url: url.into(), referrer: referrer.into(), ..TouchFields::default() };
    let kinds =
        IdentifierRules::new(&tributary_proto::kind::Kinds::default(), BlockedValues::new(&[]), Region::parse("CN").unwrap());
    let receipt = Receipt::new(Source::Utm, None, Trust::Trusted);
    let touch = rules.touch(fields, &receipt, &kinds, &mut Sorted::default()).unwrap();
    (touch.channel, touch.source, touch.medium)
}

const PAGE: &str = "https://www.a-corp.example/p";

/// URL and referrer of visits, with the expected channel, source and medium.
const VISITS: &[(&str, &str, (&str, &str, &str))] = &[
    (PAGE, "", ("direct", "", "")),
    (PAGE, "https://shop.a-corp.example/", ("direct", "", "")),
    (PAGE, "https://checkout.a-pay.example/", ("direct", "", "")),
    (PAGE, "https://www.baidu.com/link?url=x", ("organic_search", "baidu", "organic")),
    (PAGE, "https://www.zhihu.com/q/1", ("organic_social", "zhihu", "social")),
    (PAGE, "https://mp.weixin.qq.com/s/x", ("wechat", "wechat", "referral")),
    (PAGE, "https://www.Partner.example/x", ("referral", "partner.example", "referral")),
    ("https://www.a-corp.example/?bd_vid=1", "https://www.baidu.com/", ("paid_search", "baidu", "cpc")),
    ("https://www.a-corp.example/?gdt_vid=1", "", ("paid_social", "wechat", "cpc")),
    ("https://www.a-corp.example/?fbclid=1", "", ("organic_social", "facebook", "")),
    ("https://www.a-corp.example/?utm_source=baidu&bd_vid=1", "", ("paid_search", "baidu", "cpc")),
    ("https://www.a-corp.example/?yclid=1", "https://yandex.kz/", ("paid_search", "yandex", "cpc")),
    ("https://www.a-corp.example/?yclid=1", "https://search.yahoo.co.jp/", ("paid_search", "yahoo", "cpc")),
    ("https://www.a-corp.example/?clickid=1", "", ("paid_social", "oceanengine", "cpc")),
    ("https://www.a-corp.example/?clickid=1&utm_source=toutiao", "", ("paid_social", "toutiao", "cpc")),
    ("https://www.a-corp.example/?clickid=1&utm_source=partner", "", ("unassigned", "partner", "")),
    // A click id of one network in a link that names another.
    ("https://www.a-corp.example/?gclid=1&utm_source=linkedin", "", ("organic_social", "linkedin", "")),
    ("https://www.a-corp.example/?gclid=1&utm_source=youtube", "", ("paid_video", "youtube", "cpc")),
    ("https://www.a-corp.example/?gclid=1&utm_source=spring", "", ("paid_other", "spring", "cpc")),
    // A source that shows the channel, although the link was copied from an ad.
    ("https://www.a-corp.example/?gclid=1&utm_source=newsletter", "", ("email", "newsletter", "")),
    ("https://www.a-corp.example/?msclkid=1&utm_source=newsletter", "", ("email", "newsletter", "")),
    ("https://www.a-corp.example/?gclid=1&utm_source=email", "", ("email", "email", "")),
    ("https://www.a-corp.example/?bd_vid=1&utm_source=edm", "", ("email", "edm", "")),
    ("https://www.a-corp.example/?ef_id=1&utm_source=email", "", ("email", "email", "")),
    ("https://www.a-corp.example/?gclid=1&utm_source=sms", "", ("sms", "sms", "")),
    ("https://www.a-corp.example/?mc_cid=1&utm_source=newsletter", "", ("email", "newsletter", "email")),
    ("https://www.a-corp.example/?gclid=1&utm_source=gmail", "", ("paid_other", "gmail", "cpc")),
    ("https://www.a-corp.example/?gclid=1&utm_source=google", "", ("paid_search", "google", "cpc")),
    ("https://www.a-corp.example/?gclid=1&utm_source=newsletter&utm_medium=cpc", "", ("paid_other", "newsletter", "cpc")),
    ("https://www.a-corp.example/?gclid=undefined&bd_vid=null", "", ("direct", "", "")),
    // A parameter name in general use.
    ("https://www.a-corp.example/?callback=1", "", ("direct", "", "")),
    ("https://www.a-corp.example/?callback=1&utm_source=partner", "", ("unassigned", "partner", "")),
    ("https://www.a-corp.example/?callback=1&utm_source=kuaishou", "", ("paid_video", "kuaishou", "cpc")),
    ("https://www.a-corp.example/?track_id=1", "https://www.bilibili.com/v/1", ("paid_video", "bilibili", "cpc")),
    // A paid click, on whatever network.
    ("https://www.a-corp.example/?hsa_acc=1&hsa_net=linkedin&hsa_cam=2", "", ("paid_social", "linkedin", "cpc")),
    ("https://www.a-corp.example/?hsa_cam=1&hsa_net=adwords&hsa_src=g", "", ("paid_search", "adwords", "cpc")),
    ("https://www.a-corp.example/?hsa_net=linkedin&hsa_cam=2", "", ("paid_social", "linkedin", "cpc")),
    ("https://www.a-corp.example/?hsa_net=facebook&hsa_grp=2&hsa_ad=3", "", ("paid_social", "facebook", "cpc")),
    ("https://www.a-corp.example/?hsa_ver=3", "", ("paid_other", "", "cpc")),
    // Adobe's ids contain the network.
    ("https://www.a-corp.example/?s_kwcid=AL!4425!3!55!e!!g!!b2b", "", ("paid_search", "google", "cpc")),
    ("https://www.a-corp.example/?s_kwcid=AL%214425%2110%2155%21e", "", ("paid_search", "bing", "cpc")),
    ("https://www.a-corp.example/?s_kwcid=AL!4425!45!1!2", "", ("paid_social", "facebook", "cpc")),
    ("https://www.a-corp.example/?s_kwcid=AL!4425!88!1!2", "", ("paid_search", "baidu", "cpc")),
    ("https://www.a-corp.example/?s_kwcid=AC!x3!y10", "", ("display", "", "display")),
    ("https://www.a-corp.example/?s_kwcid=AL!4425!3!1&utm_source=youtube", "", ("paid_video", "youtube", "cpc")),
    ("https://www.a-corp.example/?ef_id=Cj0KCQjw_x:G:s", "", ("paid_search", "google", "cpc")),
    ("https://www.a-corp.example/?ef_id=0a1b2c3d4e5f60718293a4b5c6d7e8f9:G:s", "", ("paid_search", "bing", "cpc")),
    ("https://www.a-corp.example/?ef_id=WcmibgAAAHJK1RyY:1551968087687:d", "", ("display", "", "display")),
    ("https://www.a-corp.example/?ef_id=1", "https://www.google.com/", ("paid_other", "", "cpc")),
    // A host between two pages of the same visit.
    (PAGE, "https://accounts.google.co.jp/o/oauth2", ("direct", "", "")),
    (PAGE, "https://a-corp.okta.com/login", ("direct", "", "")),
    (PAGE, "https://excashier.alipay.com/", ("direct", "", "")),
    (PAGE, "https://id.apple.com/", ("direct", "", "")),
    (PAGE, "https://auth.openai.com/", ("direct", "", "")),
    (PAGE, "https://Login.huawei.com/", ("direct", "", "")),
    (PAGE, "https://sso.partner.example/", ("direct", "", "")),
    (PAGE, "https://login.partner.co.uk/", ("direct", "", "")),
    (PAGE, "https://login.com/", ("referral", "login.com", "referral")),
    (PAGE, "https://id.wikipedia.org/", ("referral", "id.wikipedia.org", "referral")),
    // Not every site of a social network's company is a social network.
    (PAGE, "https://docs.qq.com/doc/1", ("referral", "docs.qq.com", "referral")),
    (PAGE, "https://alidocs.dingtalk.com/i/1", ("referral", "alidocs.dingtalk.com", "referral")),
    (PAGE, "https://meeting.tencent.com/", ("referral", "meeting.tencent.com", "referral")),
    (PAGE, "https://account.microsoft.com/", ("direct", "", "")),
    (PAGE, "https://user.qzone.qq.com/1", ("organic_social", "qq", "social")),
    (PAGE, "https://ima.qq.com/", ("ai_assistant", "ima", "referral")),
    // Other sites of a search engine's company.
    (PAGE, "https://docs.google.com/d/1", ("referral", "docs.google.com", "referral")),
    (PAGE, "https://images.google.de/", ("organic_search", "google", "organic")),
    (PAGE, "https://pan.baidu.com/s/1", ("referral", "pan.baidu.com", "referral")),
    (PAGE, "https://m.baidu.com/", ("organic_search", "baidu", "organic")),
    (PAGE, "https://chatgpt.com/", ("ai_assistant", "chatgpt", "referral")),
    ("https://www.a-corp.example/?utm_source=chatgpt.com&utm_medium=cpc", "", ("paid_other", "chatgpt.com", "cpc")),
    (PAGE, "android-app://com.Slack/", ("organic_social", "slack", "social")),
    ("https://www.a-corp.example/?utm_source=undefined&utm_medium={{ad}}", "", ("direct", "", "")),
    (
        "https://www.a-corp.example/?utm_source=x.partner&utm_medium=email",
        "https://mail.qq.com/",
        ("email", "x.partner", "email"),
    ),
];

#[test]
fn missing_fields_are_found_in_url_and_referrer() {
    for (url, referrer, expected) in VISITS.iter().copied() {
        let (channel, source, medium) = touch(url, referrer);
        assert_eq!((channel.as_str(), source.as_str(), medium.as_str()), expected, "{url} from {referrer}");
    }
}
