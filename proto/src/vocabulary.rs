//! The vocabulary of settings, records and rows, with synonyms in English and Chinese: models, kinds of milestones, roles and channels.
//! Identifier kinds are in [`kind`](crate::kind), with their ranks.

/// A term and its synonyms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Term {
    /// The term.
    pub name: &'static str,
    /// Its name in English.
    pub english: &'static str,
    /// Its name in Chinese.
    pub chinese: &'static str,
    /// Synonyms; case, spaces, `-`, `_` and `&` are ignored.
    pub also: &'static [&'static str],
}

impl Term {
    const fn new(name: &'static str, english: &'static str, chinese: &'static str, also: &'static [&'static str]) -> Self {
        Self { name, english, chinese, also }
    }

    /// Whether this text is a name or a synonym of it.
    pub fn is_called(&self, text: &str) -> bool {
        let text = folded(text);
        [self.name, self.english, self.chinese].iter().chain(self.also).any(|known| folded(known) == text)
    }
}

/// A text without case, spaces, `-`, `_` and `&`: for comparisons.
pub fn folded(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '_' | '&')).flat_map(char::to_lowercase).collect()
}

/// The kind that begins the funnel; an [`MQL`] stands in for it.
pub const LEAD: &str = "lead";
/// Marketing-qualified lead.
pub const MQL: &str = "mql";
/// The deal is won; ends a life cycle.
pub const CLOSED_WON: &str = "closed_won";
/// The deal is lost.
pub const CLOSED_LOST: &str = "closed_lost";

/// The built-in kinds of milestones, in the order of a B2B cycle.
pub const MILESTONES: [Term; 12] = [
    Term::new(LEAD, "Lead", "线索", &["潜在客户"]),
    Term::new(MQL, "Marketing-qualified lead", "市场认可线索", &["市场合格线索"]),
    Term::new("sal", "Sales-accepted lead", "销售接受线索", &["销售认可线索"]),
    Term::new("meeting", "Meeting", "会议", &["拜访"]),
    Term::new("evaluation", "Evaluation", "评估", &["方案评估"]),
    Term::new("opportunity", "Opportunity", "商机", &["销售机会"]),
    Term::new("proposal", "Proposal", "报价", &["方案报价"]),
    Term::new("negotiation", "Negotiation", "谈判", &["商务谈判"]),
    Term::new(CLOSED_WON, "Closed won", "赢单", &["成交"]),
    Term::new(CLOSED_LOST, "Closed lost", "输单", &["丢单"]),
    Term::new("implemented", "Implemented", "已交付", &["已实施"]),
    Term::new("expansion", "Expansion", "增购", &["扩展销售"]),
];

/// The types of models, each with synonyms. Six learn from paths. The last five are presets: `position` or `staged` with fixed parameters.
pub const MODELS: [Term; 21] = [
    Term::new("first_touch", "First touch", "首次互动", &["FTA", "first click", "首次触点"]),
    Term::new("last_touch", "Last touch", "末次互动", &["LTA", "last click", "末次触点"]),
    Term::new("last_non_direct", "Last non-direct touch", "末次非直接", &["LNTA", "LNDA", "last non-direct click"]),
    Term::new("lead_conversion", "Lead conversion touch", "初始注册", &["LCTA", "lead creation touch"]),
    Term::new("linear", "Linear", "线性", &["LA", "even"]),
    Term::new("time_decay", "Time decay", "时间衰减", &["TDA"]),
    Term::new("position", "Position-based", "基于位置", &["PBA"]),
    Term::new("staged", "Stage-based", "基于阶段", &[]),
    Term::new("custom", "Custom", "自定义", &[]),
    Term::new("time_weighted", "Time-weighted (bathtub)", "时间加权", &["TWA", "bathtub"]),
    Term::new(
        "markov",
        "Markov chain",
        "马尔可夫链",
        &["Markov model", "removal effect", "马尔科夫链", "马尔可夫", "移除效应"],
    ),
    Term::new("shapley", "Shapley value", "沙普利值", &["夏普利值", "Shapley sum game"]),
    Term::new("shapley_rate", "Shapley value of conversion rates", "转化率沙普利值", &["Shapley rate game"]),
    Term::new("spm", "Simple probabilistic model", "简单概率模型", &["probabilistic"]),
    Term::new(
        "blr",
        "Bagged logistic regression",
        "装袋逻辑回归",
        &["bagging logistic regression", "logistic regression", "逻辑回归"],
    ),
    Term::new("apriori", "Association rules", "关联规则", &["Apriori rules"]),
    Term::new("u_shaped", "U-shaped", "U型", &["U", "U shape", "U 型归因"]),
    Term::new("j_shaped", "J-shaped", "J型", &["J", "J shape"]),
    Term::new("inverse_j", "Inverse J", "反J型", &["inverse J-shaped", "reverse J", "倒J型"]),
    Term::new("w_shaped", "W-shaped", "W型", &["W", "W shape"]),
    Term::new("full_path", "Full path", "全路径", &["Z", "Z-shaped", "full path attribution", "全链路"]),
];

/// The roles of people in deals, with the spellings of CRMs and people.
pub const ROLES: [Term; 10] = [
    Term::new("decision_maker", "Decision maker", "决策者", &["economic decision maker", "决策人"]),
    Term::new("economic_buyer", "Economic buyer", "经济购买者", &["budget holder", "预算负责人"]),
    Term::new("executive_sponsor", "Executive sponsor", "高层支持者", &["发起人"]),
    Term::new("champion", "Champion", "支持者", &["内线"]),
    Term::new("influencer", "Influencer", "影响者", &["影响人"]),
    Term::new("evaluator", "Evaluator", "评估者", &["评估人"]),
    Term::new("technical_buyer", "Technical buyer", "技术购买者", &["technical evaluator", "技术负责人"]),
    Term::new("user", "User", "使用者", &["end user", "business user", "最终用户", "业务用户"]),
    Term::new("legal", "Legal & compliance", "法务", &["legal", "法务合规"]),
    Term::new("blocker", "Blocker", "反对者", &[]),
];

/// The channels that the built-in rules give, and that of a visit without a source. Senders may name others.
pub const CHANNELS: [Term; 27] = [
    Term::new(DIRECT, "Direct", "直接访问", &[]),
    Term::new("organic_search", "Organic search", "自然搜索", &["SEO"]),
    Term::new("paid_search", "Paid search", "付费搜索", &["SEM", "竞价"]),
    Term::new("organic_social", "Organic social", "自然社交", &[]),
    Term::new("paid_social", "Paid social", "付费社交", &["信息流"]),
    Term::new("organic_video", "Organic video", "自然视频", &[]),
    Term::new("paid_video", "Paid video", "付费视频", &[]),
    Term::new("organic_shopping", "Organic shopping", "自然购物", &[]),
    Term::new("paid_shopping", "Paid shopping", "付费购物", &[]),
    Term::new("display", "Display", "展示广告", &[]),
    Term::new("cross_network", "Cross-network", "跨网络", &[]),
    Term::new("paid_other", "Paid other", "其他付费", &[]),
    Term::new("affiliates", "Affiliates", "联盟营销", &[]),
    Term::new("referral", "Referral", "引荐", &[]),
    Term::new("ai_assistant", "AI assistant", "AI 助手", &[]),
    Term::new("email", "Email", "邮件", &["EDM"]),
    Term::new("sms", "SMS", "短信", &[]),
    Term::new("mobile_push", "Mobile push", "推送通知", &[]),
    Term::new("audio", "Audio", "音频", &["podcast", "播客"]),
    Term::new("wechat", "WeChat", "微信", &["公众号"]),
    Term::new("wecom", "WeCom", "企业微信", &[]),
    Term::new("live_stream", "Live stream", "直播", &[]),
    Term::new("offline_event", "Offline event", "线下活动", &["trade show", "展会"]),
    Term::new("offline", "Offline", "线下", &[]),
    Term::new("sales", "Sales", "销售", &[]),
    Term::new("crm_campaign", "CRM campaign", "CRM 市场活动", &[]),
    Term::new("unassigned", "Unassigned", "未分配", &[]),
];

/// The term with this name or synonym.
pub fn find<'t>(terms: &'t [Term], text: &str) -> Option<&'t Term> {
    terms.iter().find(|term| term.is_called(text))
}

/// A role for comparison: its name in [`ROLES`] if it is there, else in lower case with `_` between words.
pub fn role(text: &str) -> String {
    let plain = || text.split([' ', '-', '_']).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_").to_lowercase();
    find(&ROLES, text).map_or_else(plain, |term| term.name.to_owned())
}

/// Anchors that a model may name beside kinds of milestones: the first touch, the last, and that of the milestone that closes the deal.
pub const ANCHORS: [&str; 3] = ["first", "last", "close"];

/// The channel of a visit without a source.
pub const DIRECT: &str = "direct";

/// `touch_id` and `channel` of the only row of a milestone whose journey is empty.
pub const UNATTRIBUTED: &str = "unattributed";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_term_is_called_by_any_of_its_names() {
        let [lead, mql, ..] = MILESTONES;
        for name in ["MQL", "marketing qualified lead", "市场认可线索", " mql "] {
            assert!(mql.is_called(name) && !lead.is_called(name), "{name}");
        }
    }

    #[test]
    fn no_name_means_two_words_of_a_list() {
        for list in [&MILESTONES[..], &MODELS, &ROLES, &CHANNELS] {
            let all = list.iter().flat_map(|term| {
                let names = [term.name, term.english, term.chinese].into_iter().chain(term.also.iter().copied());
                names.map(folded).collect::<BTreeSet<_>>()
            });
            let all: Vec<String> = all.collect();
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
        }
    }

    #[test]
    fn models_are_found_by_the_names_that_people_search() {
        let asked = [
            ("FTA", "first_touch"),
            ("首次互动", "first_touch"),
            ("Last Touch", "last_touch"),
            ("lnta", "last_non_direct"),
            ("LCTA", "lead_conversion"),
            ("线性", "linear"),
            ("Time-Decay", "time_decay"),
            ("U型", "u_shaped"),
            ("u", "u_shaped"),
            ("J", "j_shaped"),
            ("inverse J", "inverse_j"),
            ("W型", "w_shaped"),
            ("Full Path", "full_path"),
            ("TWA", "time_weighted"),
            ("Markov", "markov"),
            ("马尔可夫链", "markov"),
            ("Shapley", "shapley"),
            ("SPM", "spm"),
            ("BLR", "blr"),
            ("逻辑回归", "blr"),
            ("Apriori", "apriori"),
        ];
        for (name, model) in asked {
            assert_eq!(find(&MODELS, name).map(|term| term.name), Some(model), "{name}");
        }
        assert_eq!(find(&MODELS, "x_shaped"), None);
    }

    #[test]
    fn a_role_is_one_in_any_writing() {
        for text in ["Decision Maker", "DECISION_MAKER", "决策者", "decision-maker"] {
            assert_eq!(role(text), "decision_maker");
        }
        assert_eq!(
            (role("Head of IT"), role("head_of_it"), role("CIO")),
            ("head_of_it".into(), "head_of_it".into(), "cio".into())
        );
    }
}
