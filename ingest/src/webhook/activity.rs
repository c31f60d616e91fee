//! Sales activities as CRMs record them: calls, meetings, mails.

use std::borrow::Cow;

use crate::touch::TouchFields;

/// Words that show the type of an activity, in English and Chinese; the first match gives the type.
const TYPES: [(&str, &[&str]); 7] = [
    ("demo", &["demo", "demonstration", "演示"]),
    ("proposal", &["proposal", "quote", "quotation", "报价", "方案"]),
    ("visit", &["visit", "onsite", "拜访"]),
    ("meeting", &["meeting", "meet", "会议", "会面", "约见"]),
    ("call", &["call", "phone", "电话", "致电", "来电"]),
    ("email", &["email", "mail", "e-mail", "listemail", "邮件"]),
    ("note", &["note", "备注"]),
];

/// The type of an activity, from texts that may show it, most reliable first; `other` if none does.
pub(super) fn type_of<'a>(texts: impl IntoIterator<Item = &'a str>, other: &'static str) -> &'static str {
    texts.into_iter().find_map(known_type).unwrap_or(other)
}

fn known_type(text: &str) -> Option<&'static str> {
    let text = text.to_lowercase();
    // An English word must be a whole word; Chinese has no spaces.
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '-').collect();
    let tells = |word: &str| if word.is_ascii() { words.contains(&word) } else { text.contains(word) };
    TYPES.iter().find(|(_, known)| known.iter().any(|word| tells(word))).map(|(name, _)| *name)
}

/// The touch of an activity of this type. Its outcome becomes the content, which reports show and no rule uses.
pub(super) fn touch<'a>(crm: &'static str, kind: &'static str, outcome: impl Into<Cow<'a, str>>) -> TouchFields<'a> {
    TouchFields {
        channel: "sales".into(),
        source: crm.into(),
        medium: kind.into(),
        touch_type: kind.into(),
        content: outcome.into(),
        ..TouchFields::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_comes_from_the_most_specific_text_that_has_one() {
        for (texts, expected) in [
            (["Call", "Re: demo", ""], "call"),
            (["", "Demo call with Li", "Call"], "demo"),
            (["", "电话沟通", "Task"], "call"),
            (["Other", "Recall of parts", "ListEmail"], "email"),
            (["", "", "Task"], "task"),
        ] {
            assert_eq!(type_of(texts, "task"), expected, "{texts:?}");
        }
    }
}
