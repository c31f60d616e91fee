//! Company names as accounts of last resort: if nothing else names the account of some people, those who give the same company name are in
//! the same account, and in the CRM's account of that name. Only if the configuration names the traits that hold it
//! (`ingest.company_names`).
//!
//! A name is an identifier of accounts and never of people: it joins nobody. Names are written in many ways, so they are compared without
//! the legal form, case, punctuation and white space, and with full-width characters as ASCII.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value;
use tributary_proto::event::Body;
use tributary_proto::{Event, Identifier, Trait, kind};

use crate::limits::ID_BYTES_MAX;
use crate::normalise::IdentifierRules;
use crate::normalise::text::{clean, narrow};

/// The trait of an account that is its name.
const NAME: &str = "name";
/// Fewest characters of a name: shorter ones are abbreviations or mistakes.
const CHARACTERS_MIN: usize = 2;

/// Legal forms at the end or the beginning of Chinese and Japanese names. Longer ones come first.
const FORMS_WITHOUT_SPACE: [&str; 12] = [
    "股份有限公司",
    "有限责任公司",
    "有限責任公司",
    "股份公司",
    "有限公司",
    "无限公司",
    "株式会社",
    "有限会社",
    "合同会社",
    "주식회사",
    "유한회사",
    "公司",
];

/// Legal forms at the end of a name, as separate words, without punctuation.
const FORMS: [&str; 47] = [
    "inc",
    "incorporated",
    "corp",
    "corporation",
    "co",
    "company",
    "ltd",
    "limited",
    "llc",
    "llp",
    "lp",
    "plc",
    "pty",
    "pte",
    "pvt",
    "private",
    "gmbh",
    "mbh",
    "ag",
    "kg",
    "kgaa",
    "ug",
    "ohg",
    "ek",
    "ev",
    "eg",
    "se",
    "sa",
    "sas",
    "sarl",
    "sasu",
    "srl",
    "spa",
    "sl",
    "slu",
    "bv",
    "nv",
    "ab",
    "as",
    "aps",
    "oy",
    "oyj",
    "sro",
    "zoo",
    "doo",
    "kk",
    "jsc",
];

/// What people without a company write, without punctuation and white space.
const NO_COMPANY: [&str; 34] = [
    "self",
    "selfemployed",
    "freelance",
    "freelancer",
    "individual",
    "personal",
    "private",
    "student",
    "none",
    "na",
    "no",
    "nil",
    "test",
    "testcompany",
    "company",
    "mycompany",
    "yourcompany",
    "home",
    "other",
    "others",
    "unknown",
    "retired",
    "无",
    "没有",
    "暂无",
    "个人",
    "自由职业",
    "自由职业者",
    "个体",
    "个体户",
    "学生",
    "测试",
    "其他",
    "公司",
];

/// Which traits contain names of companies.
#[derive(Debug, Default)]
pub(crate) struct CompanyNames {
    /// Traits of people.
    traits: Vec<String>,
}

impl CompanyNames {
    /// `traits` are the traits of people that contain the name; none switches it off.
    pub(crate) fn new(traits: &[String]) -> Self {
        Self { traits: traits.iter().map(|name| name.trim().to_owned()).collect() }
    }

    /// Adds the company's name as an account identifier, if the event names no other account, or is a CRM's record of an account.
    ///
    /// Not for public events (they name no account), milestones (they belong to their people's account), and links (they mean only the
    /// identifiers they name).
    pub(crate) fn add_to(&self, event: &mut Event, rules: &IdentifierRules) {
        if self.traits.is_empty() || event.public {
            return;
        }
        let held_by = |names: &[String]| {
            let mut found = names.iter().filter_map(|name| event.traits.iter().find(|held| same(&held.name, name)));
            found.find_map(|held| of(held, rules))
        };
        let name = match &event.body {
            Some(Body::Touch(_) | Body::Identify(_))
                if event.account_identifiers.is_empty() && !event.identifiers.is_empty() =>
            {
                held_by(&self.traits)
            }
            Some(Body::Account(_)) if event.identifiers.is_empty() => {
                let is_crms = event.account_identifiers.iter().any(|id| id.kind == kind::CRM_ACCOUNT);
                if is_crms { held_by(&[NAME.to_owned()]) } else { None }
            }
            _ => None,
        };
        event.account_identifiers.extend(name);
    }
}

fn same(held: &str, name: &str) -> bool {
    held.eq_ignore_ascii_case(name)
}

/// The identifier of a company with this name; `None` if it is not a name.
fn of(held: &Trait, rules: &IdentifierRules) -> Option<Identifier> {
    let written = written(&held.value)?;
    let name = normalise(&written)?;
    let is_none = NO_COMPANY.contains(&name.as_str()) || rules.is_blocked(&clean(&written)) || rules.is_blocked(&name);
    (!is_none).then(|| Identifier::new(kind::COMPANY_NAME, "", name))
}

/// The name in a trait: the trait itself; if it is an object, as Segment's `company`, the object's name.
fn written(held: &str) -> Option<Cow<'_, str>> {
    match held.trim_start().chars().next()? {
        '{' => {
            let object: Value = serde_json::from_str(held).ok()?;
            Some(object.get(NAME)?.as_str()?.to_owned().into())
        }
        '[' => None,
        _ => Some(held.into()),
    }
}

/// A company's name in normal form, the value of a `company_name`; `None` if it names no company. Normalising the result again changes
/// nothing.
pub fn normalise(name: &str) -> Option<String> {
    let narrowed = narrow(&clean(name)).to_lowercase();
    let plain: String = narrowed.chars().filter(|c| !matches!(c, '.' | '\'' | '’' | '`' | '"' | '“' | '”')).collect();
    let mut words: Vec<&str> = plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let forms: BTreeSet<&str> = FORMS.into_iter().collect();
    while let Some((last, before)) = words.split_last()
        && forms.contains(last)
        && before.iter().map(|word| word.chars().count()).sum::<usize>() >= CHARACTERS_MIN
    {
        words.pop();
    }
    let joined = without_form(&words.concat()).to_owned();
    let characters = joined.chars().count();
    let is_name = characters >= CHARACTERS_MIN && joined.chars().any(char::is_alphabetic) && joined.len() <= ID_BYTES_MAX;
    (is_name && !forms.contains(joined.as_str())).then_some(joined)
}

/// A name without the legal forms that are written without a space.
fn without_form(name: &str) -> &str {
    let mut left = name;
    loop {
        let shorter = FORMS_WITHOUT_SPACE.iter().find_map(|form| left.strip_suffix(form).or_else(|| left.strip_prefix(form)));
        match shorter.filter(|shorter| shorter.chars().count() >= CHARACTERS_MIN) {
            Some(shorter) => left = shorter,
            None => return left,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_company_is_written_in_many_ways() {
        for (same, name) in [
            (
                &[
                    "上海某某科技有限公司",
                    "上海某某科技股份有限公司",
                    " 上海某某科技 ",
                    "上海某某科技有限责任公司",
                    "上海某某科技公司",
                ][..],
                "上海某某科技",
            ),
            (&["ACME, Inc.", "Acme Inc", "ACME INCORPORATED", "Acme Co., Ltd.", "ＡＣＭＥ　Ｉｎｃ．", "A.C.M.E. Corp"], "acme"),
            (&["Müller GmbH & Co. KG", "müller gmbh", "MÜLLER", "Müller Gmbh"], "müller"),
            (&["Foo S.A.", "foo sa", "FOO S.p.A.", "Foo B.V.", "Foo Pty Ltd"], "foo"),
            (&["株式会社サンプル", "サンプル株式会社"], "サンプル"),
            (&["华为（深圳）有限公司", "华为(深圳)有限公司"], "华为深圳"),
            (&["O'Neil Ltd", "ONeil", "o’neil limited"], "oneil"),
            (&["3M Company", "3m"], "3m"),
            (&["A Corp", "A-Corp, Inc."], "acorp"),
        ] {
            for written in same {
                assert_eq!(normalise(written).as_deref(), Some(name), "{written}");
            }
        }
    }

    #[test]
    fn others_stay_others() {
        for (a, b) in [
            ("Acme Germany GmbH", "Acme France SAS"),
            ("华为（深圳）有限公司", "华为（上海）有限公司"),
            ("Alibaba Group", "Alibaba Cloud"),
        ] {
            assert_ne!(normalise(a), normalise(b));
        }
    }

    #[test]
    fn a_placeholder_is_no_company_name() {
        for none in ["", " ", "-", "A", "123", "12-34", "？", "Ａ", "\u{200b}"] {
            assert_eq!(normalise(none), None, "{none}");
        }
        assert_eq!(normalise(&"长".repeat(ID_BYTES_MAX)), None);
    }

    #[test]
    fn a_name_that_was_normalised_stays_as_it_is() {
        for name in
            ["Limited Company Ltd", "公司公司", "有限公司有限公司", "Co Ltd", "The Gmbh AG", "Inc", "株式会社公司甲乙有限公司"]
        {
            let once = normalise(name);
            assert_eq!(once.as_deref().and_then(normalise), once, "{name}");
        }
    }
}
