//! Values that broken senders write where they know no identifier. One of them taken for an id would join strangers.

/// Written as text by a language or a library that had no value, or by a form nobody filled in. Lower case.
/// Sources: the block lists of PostHog and RudderStack for `distinct_id`, and their Chinese counterparts.
const BUILT_IN: [&str; 32] = [
    "null",
    "(null)",
    "<null>",
    "nil",
    "none",
    "nan",
    "n/a",
    "na",
    "undefined",
    "unknown",
    "anonymous",
    "anonymous_id",
    "anonymousid",
    "guest",
    "distinct_id",
    "distinctid",
    "user_id",
    "userid",
    "id",
    "email",
    "phone",
    "not_authenticated",
    "not set",
    "(not set)",
    "true",
    "false",
    "[object object]",
    "[object undefined]",
    "{}",
    "[]",
    "无",
    "匿名",
];

/// The blocked values: the built-in ones and those of the configuration.
#[derive(Debug)]
pub struct BlockedValues {
    /// Lower-case values, by their length in bytes: most values have a length that no blocked one has.
    by_length: Vec<Vec<String>>,
}

impl BlockedValues {
    /// The built-in values and `extra` ones, compared without case and without quotes around them.
    pub fn new(extra: &[String]) -> Self {
        let mut by_length: Vec<Vec<String>> = Vec::new();
        for value in BUILT_IN.iter().copied().map(str::to_owned).chain(extra.iter().map(|value| unquote(value).to_lowercase()))
        {
            if by_length.len() <= value.len() {
                by_length.resize_with(value.len() + 1, Vec::new);
            }
            if let Some(values) = by_length.get_mut(value.len())
                && !values.contains(&value)
            {
                values.push(value);
            }
        }
        Self { by_length }
    }

    /// Whether the value, quoted or not and in any case, names nobody: blank, blocked, or nothing but zeros.
    pub fn contains(&self, value: &str) -> bool {
        let value = unquote(value);
        if value.bytes().all(|byte| matches!(byte, b'0' | b'-' | b' ' | b'+' | b':' | b'.')) {
            return true;
        }
        if value.is_ascii() {
            return self.by_length.get(value.len()).is_some_and(|list| list.iter().any(|b| b.eq_ignore_ascii_case(value)));
        }
        let lower = value.to_lowercase();
        self.by_length.get(lower.len()).is_some_and(|list| list.contains(&lower))
    }
}

/// The value without white space, quotes and the backslashes of escaped quotes around it.
fn unquote(value: &str) -> &str {
    if let (Some(first), Some(last)) = (value.as_bytes().first(), value.as_bytes().last())
        && first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
    {
        return value;
    }
    value.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '\\' | '“' | '”' | '‘' | '’'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_what_names_nobody() {
        let blocked = BlockedValues::new(&["Kiosk-1".into(), "前台".into()]);
        for value in [
            "",
            "  ",
            "null",
            "Null",
            "\"null\"",
            "\\\"undefined\\\"",
            "'None'",
            "[object Object]",
            "0",
            "00000000-0000-0000-0000-000000000000",
            "anonymous",
            "“匿名”",
            "KIOSK-1",
            "前台",
            "-",
            "NaN",
        ] {
            assert!(blocked.contains(value), "{value}");
        }
        for value in ["cookie-7f3a", "nullable", "01", "oZhang", "张", "null@b-corp.example"] {
            assert!(!blocked.contains(value), "{value}");
        }
    }
}
