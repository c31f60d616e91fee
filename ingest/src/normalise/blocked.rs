//! Placeholder values that broken senders write when they know no identifier. Used as an identifier, one of them would join strangers.

use super::placeholders::{BUILT_IN, is_word, names_nobody};

/// The blocked values: the built-in ones and those of the configuration.
#[derive(Debug)]
pub struct BlockedValues {
    /// Values in lower case, by length in bytes: most values have a length that no blocked value has.
    by_length: Vec<Vec<String>>,
}

impl BlockedValues {
    /// The built-in values and `extra` ones. Case and surrounding quotes are ignored.
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

    /// Whether the value, quoted or not and in any case, identifies nobody: blank, blocked, only zeros, or an unfilled template.
    pub fn contains(&self, value: &str) -> bool {
        let value = unquote(value);
        if names_nobody(value) {
            return true;
        }
        // `:user_id`, `(blank)`, `@id`.
        let bare = value.trim_matches(|c: char| c.is_ascii_punctuation());
        if bare.len() < value.len() && is_word(&BUILT_IN, bare) {
            return true;
        }
        if value.is_ascii() {
            return self.by_length.get(value.len()).is_some_and(|list| list.iter().any(|b| b.eq_ignore_ascii_case(value)));
        }
        let lower = value.to_lowercase();
        self.by_length.get(lower.len()).is_some_and(|list| list.contains(&lower))
    }
}

/// Whether a parameter's value is none where an id is expected; does not use the configuration's blocked values.
pub(crate) fn says_nothing(value: &str) -> bool {
    let value = unquote(value);
    names_nobody(value) || BUILT_IN.iter().any(|word| word.eq_ignore_ascii_case(value))
}

/// The value without surrounding white space, quotes and backslashes of escaped quotes.
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
        for value in [
            "cookie-7f3a",
            "nullable",
            "01",
            "oZhang",
            "张",
            "null@b-corp.example",
            "-6938423423",
            "null-7f3a",
            "88888888",
            "nono",
            "user-7",
            "a@b.example",
            "no-1",
            "003000000000001",
            "@7",
            "no",
        ] {
            assert!(!blocked.contains(value), "{value}");
        }
    }

    #[test]
    fn placeholders_of_any_form_name_nobody() {
        let blocked = BlockedValues::new(&[]);
        for value in [
            "***",
            "${userId}",
            "{{user_id}}",
            "%USER_ID%",
            "<user_id>",
            "\"$user_id\"",
            "未知",
            "undefined|undefined",
            "null-null",
            "None:None",
            "-1",
            "-2",
            "nullnull",
            "unknown-device",
            "no_user",
            ":user_id",
            "(空白)",
            "003000000000000AAA",
            "003000000000000",
            "a@a.com",
            "123@123.com",
            "User@Example.com",
            "无@无.com",
            "None@None",
            "000000000000000AAA",
            "00000000-0000-0000-0000-000000000000",
            "00:00:00:00:00:00",
            "02:00:00:00:00:00",
            "FF:FF:FF:FF:FF:FF",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "9774D56D682E549C",
            "#N/A",
            "null@null.com",
            "Undefined@undefined.com",
            "test@test.com",
            "noemail@b-corp.example",
        ] {
            assert!(blocked.contains(value), "{value}");
        }
    }
}
