//! Unfilled macros and template variables: `{{user_id}}`, `${userId}`, `%USER_ID%`, `__CLICK_ID__`, `*|EMAIL|*`.

/// Brackets of macros of template languages and advertising networks, with any content.
const ENCLOSED: [(&str, &str); 14] = [
    ("{", "}"),
    ("${", "}"),
    ("#{", "}"),
    ("@{", "}"),
    ("%{", "}"),
    ("$(", ")"),
    ("__", "__"),
    ("%%", "%%"),
    ("@@", "@@"),
    ("##", "##"),
    ("$$", "$$"),
    ("[[", "]]"),
    ("*|", "|*"),
    ("<%", "%>"),
];
/// Brackets that mean a macro only around a name, because they may enclose other things.
const AROUND_NAMES: [(&str, &str); 8] =
    [("<", ">"), ("%", "%"), ("[", "]"), ("#", "#"), ("$", "$"), ("@", "@"), ("~", "~"), ("|", "|")];
/// Texts that cannot occur in an id, at any place.
const WITHIN: [(&str, &str); 10] = [
    ("{{", "}}"),
    ("${", "}"),
    ("#{", "}"),
    ("<%", "%>"),
    ("{%", "%}"),
    ("*|", "|*"),
    ("&lt;", "&gt;"),
    ("%7B%7B", "%7D%7D"),
    ("%7b%7b", "%7d%7d"),
    ("%24%7B", "%7D"),
];

/// Every macro has one of these characters, unless it begins with `_` or `@`.
fn is_mark(byte: u8) -> bool {
    matches!(byte, b'{' | b'<' | b'[' | b'%' | b'$' | b'#' | b'*' | b'&' | b'|' | b'~')
}

/// Whether the whole text is a macro, by its brackets.
pub(crate) fn is_macro(text: &str) -> bool {
    // Every macro begins with one of these.
    if !text.bytes().next().is_some_and(|first| b"{$#@%_[*<".contains(&first)) {
        return false;
    }
    ENCLOSED.iter().any(|(before, behind)| inside(text, before, behind).is_some())
        || [("<", ">"), ("%", "%")].iter().any(|(before, behind)| inside(text, before, behind).is_some_and(is_name))
}

/// Whether a text is a macro or contains one, where an id is expected.
pub(crate) fn is_unfilled(text: &str) -> bool {
    // Most ids have none of the characters that macros need. Without early exit, so that the compiler can use SIMD.
    let marked = text.bytes().fold(false, |marked, byte| marked | is_mark(byte));
    if !marked && !text.starts_with(['_', '@']) {
        return false;
    }
    let braces = inside(text, "{", "}").is_some_and(|inner| inner.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'));
    // {3F2504E0-4F89-11D3-9A0C-0305E82C3301} is an id as Windows writes it, not a macro.
    (!braces && is_macro(text))
        || AROUND_NAMES.iter().any(|(before, behind)| inside(text, before, behind).is_some_and(is_name))
        || text.strip_prefix('$').is_some_and(|name| is_name(name) && !name.contains([':', '-']) && !has_digit(name))
        || WITHIN.iter().any(|(before, behind)| text.split_once(before).is_some_and(|(_, rest)| rest.contains(behind)))
}

fn inside<'t>(text: &'t str, before: &str, behind: &str) -> Option<&'t str> {
    text.strip_prefix(before)?.strip_suffix(behind).filter(|inner| !inner.is_empty())
}

/// Whether it looks like the name of a variable: `user_id`, `contact.Email`, `User ID`.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | ' '))
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfilled_macros_of_any_syntax_are_recognised() {
        for text in [
            "{gclid}",
            "{{ user.id }}",
            "{{{id}}}",
            "${userId}",
            "#{id}",
            "@{id}",
            "%{id}",
            "$(id)",
            "__USER_ID__",
            "%%ID%%",
            "@@id@@",
            "[[id]]",
            "*|EMAIL|*",
            "<%= id %>",
            "%USER_ID%",
            "<user_id>",
            "<用户>",
        ] {
            assert!(is_macro(text) && is_unfilled(text), "{text}");
        }
        for text in [
            "[user_id]",
            "#USER_ID#",
            "$user_id",
            "$userId",
            "u-{{id}}",
            "https://a.example/${id}/x",
            "|id|",
            "{% id %}",
            "&lt;user_id&gt;",
            "%7B%7Buser_id%7D%7D",
            "&lt;user_id&gt;",
            "%7B%7Buser_id%7D%7D",
        ] {
            assert!(is_unfilled(text), "{text}");
        }
        for text in [
            "{3F2504E0-4F89-11D3-9A0C-0305E82C3301}",
            "$device:18c3-7f",
            "$5",
            "li@b.example",
            "<li@b.example>",
            "50%",
            "a_b",
            "_x_",
            "____",
            "{}",
            "Cj0KCQ_x-y",
            "100%%",
            "[1]",
            "",
        ] {
            assert!(!is_unfilled(text), "{text}");
        }
    }
}
