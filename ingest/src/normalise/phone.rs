//! Phone numbers in E.164, by the rules of libphonenumber.

use std::fmt::Write;

use phonenumber::metadata::DATABASE;

use crate::normalise::text::narrow;

/// Longest number in digits (E.164, section 6).
const DIGITS_MAX: usize = 15;

/// The region whose national numbers come without a country code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region(phonenumber::country::Id);

impl Region {
    /// Reads an ISO 3166-1 alpha-2 code in upper case; `None` when it is none.
    pub fn parse(code: &str) -> Option<Self> {
        code.parse().ok().map(Self)
    }

    /// The number as `+` and digits, with `;ext=` where an extension tells people behind one switchboard apart (RFC 3966);
    /// `None` when it is not a number of a possible length.
    pub fn e164(self, raw: &str) -> Option<String> {
        let narrowed = narrow(raw);
        let text = narrowed.trim();
        if text.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            return self.by_library(text);
        }
        // The library minds where separators stand; people do not.
        let compact: String = text.chars().filter(|c| !is_separator(*c)).collect();
        self.chinese_mobile(&compact).or_else(|| self.by_library(&compact))
    }

    /// The same as [`Self::by_library`] for the numbers that are nearly all of a Chinese sender's; a test compares them.
    fn chinese_mobile(self, text: &str) -> Option<String> {
        let national = match text.strip_prefix("+86") {
            Some(rest) => rest,
            None if self.0 == phonenumber::country::CN => text,
            None => return None,
        };
        let bytes = national.as_bytes();
        // 179xx dials through a carrier: the library strips it.
        let mobile = matches!(bytes, [b'1', b'3'..=b'9', ..]) && !bytes.starts_with(b"179");
        (mobile && bytes.len() == 11 && bytes.iter().all(u8::is_ascii_digit)).then(|| format!("+86{national}"))
    }

    fn by_library(self, text: &str) -> Option<String> {
        // The library takes letters for keypad digits; an id or a word is not a number.
        if text.len() > 64 || text.bytes().filter(u8::is_ascii_digit).count() < 5 || has_word(text) {
            return None;
        }
        // The library reads `ext`, not the `;ext=` of RFC 3966 that is written here.
        let number = match text.split_once(";ext=") {
            Some((main, extension)) => phonenumber::parse(Some(self.0), format!("{main} ext {extension}")),
            None => phonenumber::parse(Some(self.0), text),
        };
        let number = number.ok()?;
        let national = number.national().to_string();
        let possible = number.metadata(&DATABASE)?.descriptors().general().possible_length();
        let length_ok = possible.is_empty() || possible.iter().any(|length| usize::from(*length) == national.len());
        let mut out = format!("+{}{national}", number.code().value());
        if !length_ok || out.len() > DIGITS_MAX + 1 || !is_e164(&out) {
            return None;
        }
        if let Some(extension) = number.extension() {
            write!(out, ";ext={extension}").ok()?;
        }
        Some(out)
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '-' | '.' | '(' | ')' | '\u{2010}'..='\u{2015}')
}

fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether there are letters other than those that introduce an extension (`ext`, `x`) or a `tel:` link.
fn has_word(text: &str) -> bool {
    let text = text.strip_prefix("tel:").unwrap_or(text);
    text.split(|c: char| !c.is_alphabetic()).any(|word| !matches!(word, "" | "ext" | "Ext" | "EXT" | "x" | "X" | "extn"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cn() -> Region {
        Region::parse("CN").unwrap()
    }

    #[test]
    fn numbers() {
        for (raw, expected) in [
            ("13800001111", Some("+8613800001111")),
            ("138 0000 1111", Some("+8613800001111")),
            ("+86 138-0000-1111", Some("+8613800001111")),
            ("(+86)13800001111", Some("+8613800001111")),
            ("0086 13800001111", Some("+8613800001111")),
            ("8613800001111", Some("+8613800001111")),
            ("１３８００００１１１１", Some("+8613800001111")),
            ("010-65551234", Some("+861065551234")),
            ("+1 (415) 555-2671", Some("+14155552671")),
            ("+44 20 7946 0958", Some("+442079460958")),
            ("12345", None),
            ("138000011112222", None),
            ("1.38E+10", None),
            ("oZhang12345678", None),
            ("", None),
        ] {
            assert_eq!(cn().e164(raw).as_deref(), expected, "{raw}");
        }
        assert_eq!(Region::parse("US").unwrap().e164("(415) 555-2671").as_deref(), Some("+14155552671"));
        assert_eq!(Region::parse("XX"), None);
    }

    #[test]
    fn extensions_tell_people_apart() {
        let one = cn().e164("+1 415 555 2671 ext 801").unwrap();
        assert_eq!(one, "+14155552671;ext=801");
        assert_eq!(cn().e164(&one), Some(one));
    }

    proptest! {
        /// The short cut must not have an opinion of its own.
        #[test]
        fn short_cut_agrees_with_the_library(text in "(\\+?86|\\+1|\\+)?1[0-9]{9,11}") {
            if let Some(quick) = cn().chinese_mobile(&text) {
                prop_assert_eq!(Some(quick), cn().by_library(&text), "{}", text);
            }
        }

        #[test]
        fn separators_do_not_matter(number in "\\+861[3-8][0-9]{9}", at in prop::collection::vec(0usize..14, 0..4)) {
            let mut text = number.clone();
            at.iter().for_each(|at| text.insert((*at).max(1), '-'));
            prop_assert_eq!(cn().e164(&text), cn().e164(&number));
        }
    }
}
