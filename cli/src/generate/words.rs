//! The vocabulary of the invented market. Companies and people do not exist; our site and theirs are under `.example`.

/// Our site.
pub(super) const SITE: &str = "https://www.a-corp.example";
/// Our official account: the scope of its followers' OpenIDs.
pub(super) const OFFICIAL_ACCOUNT: &str = "gh_acorp";
/// Our open-platform account: the scope of UnionIDs.
pub(super) const OPEN_PLATFORM: &str = "op_acorp";
/// The domain of private mailboxes, to be on the list of free-mail domains.
pub(super) const FREE_MAIL: &str = "freemail.example";

/// How visitors arrive at the site: the landing page's query (`{}` stands for the campaign, `[]` for a click id) and the referrer.
pub(super) const ARRIVALS: [(&str, &str); 14] = [
    ("utm_source=baidu&utm_medium=cpc&utm_campaign={}&bd_vid=[]", "https://www.baidu.com/"),
    ("utm_source=baidu&utm_medium=cpc&utm_campaign={}&utm_term=crm&bd_vid=[]", "https://www.baidu.com/"),
    ("utm_source=google&utm_medium=cpc&utm_campaign={}&gclid=[]", "https://www.google.com/"),
    ("utm_source=360&utm_medium=cpc&utm_campaign={}&qhclickid=[]", "https://www.so.com/"),
    ("utm_source=tencent&utm_medium=cpm&utm_campaign={}&utm_content=banner-a&qz_gdt=[]", ""),
    ("utm_source=wechat&utm_medium=moments&utm_campaign={}&gdt_vid=[]", ""),
    ("utm_source=linkedin&utm_medium=paid-social&utm_campaign={}&li_fat_id=[]", "https://www.linkedin.com/"),
    ("utm_source=newsletter&utm_medium=email&utm_campaign={}&utm_content=issue-[]", ""),
    ("utm_source=partner&utm_medium=affiliate&utm_campaign={}", "https://blog.partner.example/"),
    ("", "https://www.baidu.com/"),
    ("", "https://www.google.com/"),
    ("", "https://www.zhihu.com/"),
    ("", "https://news.industry.example/reviews"),
    ("", ""),
];

/// Campaigns.
pub(super) const CAMPAIGNS: [&str; 10] = [
    "brand-q1",
    "brand-q2",
    "whitepaper",
    "summer-launch",
    "competitor",
    "retargeting",
    "manufacturing",
    "finance",
    "webinar-ai",
    "partner-week",
];

/// Campaigns with Chinese names, as many advertisers have.
pub(super) const CAMPAIGNS_ZH: [&str; 4] = ["华东数字化", "春季发布会", "制造业白皮书", "品牌词"];

/// Pages of our site.
pub(super) const PAGES: [&str; 8] = ["/", "/product", "/pricing", "/cases", "/docs/start", "/security", "/about", "/blog/roi"];

/// Events of forms, as the SDK names them.
pub(super) const FORMS: [&str; 4] = ["Form Submitted", "Trial Requested", "Demo Requested", "Content Downloaded"];

/// Trade shows.
pub(super) const SHOWS: [&str; 4] = ["2023华东数字化峰会", "smart-factory-expo", "fintech-forum", "saas-summit"];

/// Beginnings of company names.
pub(super) const COMPANIES: [&str; 12] = [
    "hengxin", "boyuan", "jinhai", "lantian", "mingda", "qianshan", "ruifeng", "shuntong", "tianhe", "wanli", "xingyu",
    "zhongyi",
];

/// Family names.
pub(super) const FAMILIES: [(&str, &str); 12] = [
    ("wang", "王"),
    ("li", "李"),
    ("zhang", "张"),
    ("liu", "刘"),
    ("chen", "陈"),
    ("yang", "杨"),
    ("huang", "黄"),
    ("zhao", "赵"),
    ("wu", "吴"),
    ("zhou", "周"),
    ("xu", "徐"),
    ("sun", "孙"),
];

/// Titles.
pub(super) const TITLES: [&str; 6] = ["CIO", "IT经理", "采购总监", "运营负责人", "CEO", "市场经理"];

/// Currencies of deals, with their decimals, and a factor from yuan in thousandths. More entries make one more likely.
pub(super) const CURRENCIES: [(&str, u32, u64); 10] = [
    ("CNY", 2, 1_000),
    ("CNY", 2, 1_000),
    ("CNY", 2, 1_000),
    ("CNY", 2, 1_000),
    ("CNY", 2, 1_000),
    ("CNY", 2, 1_000),
    ("USD", 2, 140),
    ("HKD", 2, 1_100),
    ("EUR", 2, 130),
    ("JPY", 0, 20_000),
];
