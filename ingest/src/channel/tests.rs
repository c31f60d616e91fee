use super::*;

fn channels() -> Channels {
    Channels::new(&[], &[], None).unwrap()
}

fn channel(source: &str, medium: &str, campaign: &str) -> String {
    channels().classify(Evidence { source, medium, campaign, ..Evidence::default() }).to_owned()
}

/// GA4's table: source, medium, campaign, channel.
#[test]
fn ga4_default_channel_group() {
    for (source, medium, campaign, expected) in [
        ("(direct)", "(none)", "", "direct"),
        ("(direct)", "(not set)", "x", "direct"),
        ("", "", "", "direct"),
        ("google", "cpc", "all cross-network 7", "cross_network"),
        ("(direct)", "(none)", "cross-network", "direct"),
        ("amazon", "cpc", "", "paid_shopping"),
        ("google", "cpc", "spring shopping", "paid_shopping"),
        ("google", "cpc", "eshop", "paid_shopping"),
        ("google", "cpc", "bishop", "paid_search"),
        ("google", "cpc", "brand", "paid_search"),
        ("BAIDU", "CPC", "brand", "paid_search"),
        ("google", "paidsearch", "", "paid_search"),
        ("google", "retargeting", "", "paid_search"),
        ("google", "cpm", "", "paid_search"),
        ("facebook", "ppc", "", "paid_social"),
        ("linkedin", "paid_social", "", "paid_social"),
        ("youtube", "cpv", "", "paid_video"),
        ("youtube", "cpc", "", "paid_video"),
        ("dsp.example", "cpm", "", "display"),
        ("dsp.example", "banner", "", "display"),
        ("dsp.example", "cpc", "", "paid_other"),
        ("etsy", "", "", "organic_shopping"),
        ("news", "post", "shop week", "organic_shopping"),
        ("facebook", "", "", "organic_social"),
        ("m.facebook.com", "referral", "", "organic_social"),
        ("partner", "social media", "", "organic_social"),
        ("vimeo", "", "", "organic_video"),
        ("partner", "my-video-ad", "", "organic_video"),
        ("bing", "", "", "organic_search"),
        ("partner", "organic", "", "organic_search"),
        ("partner.example", "referral", "", "referral"),
        ("partner", "app", "", "referral"),
        ("partner", "link", "", "referral"),
        ("email", "x", "", "email"),
        ("newsletter", "e-mail", "", "email"),
        ("partner", "affiliate", "", "affiliates"),
        ("spotify", "audio", "", "audio"),
        ("sms", "x", "", "sms"),
        ("partner", "sms", "", "sms"),
        ("partner", "web push", "", "mobile_push"),
        ("partner", "mobile", "", "mobile_push"),
        ("partner", "in-app notification", "", "mobile_push"),
        ("firebase", "x", "", "mobile_push"),
        ("partner", "y", "", "unassigned"),
        ("", "", "campaign only", "unassigned"),
    ] {
        assert_eq!(channel(source, medium, campaign), expected, "{source} / {medium} / {campaign}");
    }
}

#[test]
fn china_offline_and_sales() {
    for (source, medium, expected) in [
        ("baidu", "organic", "organic_search"),
        ("so.com", "", "organic_search"),
        ("神马", "cpc", "paid_search"),
        ("zhihu", "answer", "organic_social"),
        ("xhs", "note", "organic_social"),
        ("抖音", "", "organic_video"),
        ("official_account", "article", "wechat"),
        ("wechat", "cpc", "paid_social"),
        ("mp.weixin.qq.com", "referral", "wechat"),
        ("work.weixin.qq.com", "referral", "wecom"),
        ("wecom", "qr", "wecom"),
        ("tieba.baidu.com", "referral", "organic_social"),
        ("v.qq.com", "referral", "organic_video"),
        ("summit", "booth", "offline_event"),
        ("field", "meeting", "sales"),
        ("weike", "live", "live_stream"),
        ("mail.qq.com", "referral", "email"),
        ("wechat", "social", "wechat"),
        ("linkedin", "webinar", "organic_social"),
        ("partner", "webinar", "live_stream"),
        ("partner", "短信", "sms"),
        ("yuanbao.tencent.com", "referral", "ai_assistant"),
        ("deepseek", "cpc", "paid_other"),
        ("baidu", "竞价", "paid_search"),
        ("zhihu", "feed", "organic_social"),
        ("toutiao", "信息流", "paid_social"),
        ("partner", "edm", "email"),
        ("booth", "二维码", "offline"),
        ("partner", "podcast", "audio"),
        ("partner", "电子邮件", "email"),
        ("partner", "newsletters", "email"),
        ("partner", "小程序", "wechat"),
        ("partner", "企微", "wecom"),
        ("booth", "qr-code", "offline"),
        ("docs.google.com", "", "unassigned"),
    ] {
        assert_eq!(channel(source, medium, ""), expected, "{source} / {medium}");
    }
    let offline = |touch_type| Evidence { input: "offline", touch_type, ..Evidence::default() };
    let imported = Evidence { input: "offline", source: "linkedin", medium: "webinar", ..Evidence::default() };
    assert_eq!(channels().classify(imported), "live_stream");
    assert_eq!(channels().classify(offline("")), "offline");
    assert_eq!(channels().classify(offline("call")), "sales");
    assert_eq!(channels().classify(offline("展会")), "offline_event");
}

#[test]
fn rules_of_the_configuration_come_first() {
    let rule = Rule { channel: "partner".into(), source: Some(vec!["google".into()]), ..Rule::default() };
    let site =
        Site { name: "b-mall".into(), category: "shopping".into(), domains: vec!["b.example".into()], ..Site::default() };
    let channels = Channels::new(&[rule], &[site], None).unwrap();
    assert_eq!(channels.classify(Evidence { source: "google", medium: "cpc", ..Evidence::default() }), "partner");
    assert_eq!(channels.classify(Evidence { source: "m.b.example", ..Evidence::default() }), "organic_shopping");
}

#[test]
fn all_errors_of_the_rules_are_reported_at_once() {
    let bad = [
        Rule::default(),
        Rule { channel: "x".into(), medium: Some(vec!["@nobody".into()]), ..Rule::default() },
        Rule { channel: "x".into(), source_site: vec!["no_such".into()], ..Rule::default() },
        Rule { channel: "x".into(), campaign_regex: Some("(".into()), ..Rule::default() },
    ];
    let problems = Channels::new(&bad, &[], None).unwrap_err();
    let fields: Vec<&str> = problems.iter().map(|(field, _)| field.as_str()).collect();
    let expected = [
        "channel_rules[0].channel",
        "channel_rules[1].medium",
        "channel_rules[2].source_site",
        "channel_rules[3].campaign_regex",
    ];
    assert_eq!(fields, expected);
}

fn file(text: &str) -> Result<ChannelFile, String> {
    ChannelFile::parse("mine.toml", text.to_owned())
}

#[test]
fn a_file_of_the_operator_comes_before_the_built_in_data() {
    let text = r#"
        click_id = [{ parameter = "b_click", source = "b-mall", medium = "cpc" }]
        sets = { paid = ["bought"] }
        [parameters]
        source = ["from"]
        [[site]]
        name = "b-mall"
        category = "marketplace"
        domains = ["b-mall.*"]
        [[rule]]
        channel = "marketplace"
        source_site = ["marketplace"]
        [[rule]]
        channel = "bought"
        medium = ["@paid"]
    "#;
    let channels = Channels::new(&[], &[], Some(&file(text).unwrap())).unwrap();
    let verdict = |source, medium| channels.explain(Evidence { source, medium, ..Evidence::default() });
    let found = verdict("www.b-mall.co.uk", "cpc");
    assert_eq!((found.channel, found.place, found.conditions), ("marketplace", "mine.toml:10", "source_site = marketplace"));
    assert_eq!(verdict("google", "bought").channel, "bought");
    assert_eq!(verdict("google", "cpc").channel, "organic_search", "the set was replaced");
    assert!(channels.parameter("from").is_some() && channels.parameter("utm_source").is_some());
    assert_eq!(channels.click_id(0).unwrap().parameter, "b_click");

    let alone = file("without_built_in_rules = true\n[[rule]]\nchannel = 'x'\nsource = ['google']").unwrap();
    let channels = Channels::new(&[], &[], Some(&alone)).unwrap();
    assert_eq!(channels.classify(Evidence { source: "google", ..Evidence::default() }), "x");
    assert_eq!(channels.classify(Evidence { source: "bing", ..Evidence::default() }), UNASSIGNED);
}

#[test]
fn what_is_wrong_in_a_file_is_named_with_its_line() {
    for (text, expected) in [
        ("[[rule]]\nchanel = 'x'", "mine.toml:2: unknown field `chanel`"),
        ("sets = {\n", "mine.toml:"),
        ("[[rule]]\nchannel = 'x'\nmedium = 'cpc'", "mine.toml:3: "),
    ] {
        let found = file(text).unwrap_err();
        assert!(found.starts_with(expected), "{found}");
    }
    for (text, expected) in [
        ("\n\n[[rule]]\nchannel = 'x'\nmedium = ['@nobody']", "mine.toml:3: medium: there is no set `nobody`"),
        ("[[rule]]\nchannel = ''", "mine.toml:1: channel: must not be blank"),
        ("\n[[site]]\nname = 'x'", "mine.toml:2: name: a site needs a name and a category"),
        ("[[site]]\nname = 'x'\ncategory = 'y'\ndomains = ['*.x']", "mine.toml:1: domains: `*` stands only"),
        ("click_id = [{ parameter = 'x', source = '' }]", "click_id: needs a parameter, and a source or a medium"),
    ] {
        let problems = Channels::new(&[], &[], Some(&file(text).unwrap())).unwrap_err();
        let [(setting, problem)] = problems.as_slice() else { panic!("{problems:?}") };
        assert_eq!(setting, "channels_file");
        assert!(problem.starts_with(expected), "{problem}");
    }
}

#[test]
fn a_name_under_any_public_suffix_is_the_site_and_nobody_elses() {
    for (source, expected) in [
        ("www.google.co.th", "organic_search"),
        ("google.evil.example", "unassigned"),
        ("google.github.io", "unassigned"),
        ("notgoogle.com", "unassigned"),
        ("mail.google.com", "email"),
        ("smile.amazon.com.au", "organic_shopping"),
        ("com", "unassigned"),
        (".", "unassigned"),
        ("..google.com", "organic_search"),
    ] {
        assert_eq!(channel(source, "x", ""), expected, "{source}");
    }
}

/// The lists that `scripts/refresh_lists` writes, and our own.
const LISTS: [&str; 4] = [
    include_str!("../../rules/sites.toml"),
    include_str!("../../rules/channels.toml"),
    include_str!("../../rules/sites_listed.toml"),
    CLICK_IDS,
];
const CLICK_IDS: &str = include_str!("../../rules/click_ids_listed.txt");
/// Parameters that other lists call click ids, but we do not: `gclsrc` says which of Google's tags wrote the id beside it, and no network
/// documents `bfcid`.
const NO_CLICK_IDS: [&str; 2] = ["gclsrc", "bfcid"];

#[test]
fn lists_have_their_origin_and_date() {
    for list in LISTS {
        let head: String = list.lines().take_while(|line| line.starts_with('#') || line.is_empty()).collect();
        assert!(head.contains("2026") && (head.contains("Source") || head.contains("support.google.com")), "{head}");
    }
}

#[test]
fn the_click_ids_of_other_projects_lists_are_recognised() {
    let listing = channels().list();
    let listed: Vec<&str> = CLICK_IDS.lines().filter(|line| !line.starts_with('#')).collect();
    let unknown: Vec<_> = listed
        .iter()
        .filter(|name| !NO_CLICK_IDS.contains(name) && !listing.click_ids.iter().any(|known| known.parameter == **name))
        .collect();
    assert!(unknown.is_empty() && listed.len() > 10, "say in channels.toml what these prove: {unknown:?}");
}

#[test]
fn our_site_lists_win_over_those_of_others() {
    for (host, name, category) in [
        ("search.rr.com", "search.rr.com", "search"),
        ("webmail.freenet.de", "webmail", "email"),
        ("badoo.com", "badoo.com", "social"),
        ("www.baidu.com", "baidu", "search"),
    ] {
        let channels = channels();
        let found = channels.sites.find_host(host).unwrap();
        assert_eq!((&*found.name, &*found.category), (name, category), "{host}");
    }
}
