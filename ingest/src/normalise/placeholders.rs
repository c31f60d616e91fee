//! Placeholders: words, ids and addresses that stand for nobody, and their forms. Reviewed in November 2026.

use std::sync::LazyLock;

use super::unfilled::is_unfilled;

/// Texts that languages and libraries write for a missing value, or that are left in unfilled forms. Lower case. Sources: the block lists
/// of PostHog and RudderStack for `distinct_id`, and their Chinese counterparts.
pub(super) const BUILT_IN: [&str; 105] = [
    "null",
    "(null)",
    "<null>",
    "nil",
    "none",
    "nan",
    "n/a",
    "n.a.",
    "n.a",
    "n\\a",
    "nouser",
    "na",
    "undefined",
    "unknown",
    "anonymous",
    "anonymous_id",
    "anonymousid",
    "anon",
    "guest",
    "visitor",
    "distinct_id",
    "distinctid",
    "user_id",
    "userid",
    "user-id",
    "id",
    "email",
    "phone",
    "uuid",
    "guid",
    "openid",
    "unionid",
    "device_id",
    "deviceid",
    "client_id",
    "clientid",
    "customer_id",
    "android_id",
    "not_authenticated",
    "not set",
    "(not set)",
    "not_set",
    "not provided",
    "not available",
    "not applicable",
    "not logged in",
    "unspecified",
    "empty",
    "blank",
    "missing",
    "placeholder",
    "string",
    "tbd",
    "true",
    "false",
    "[object object]",
    "[object undefined]",
    "[object promise]",
    "[object null]",
    "{}",
    "[]",
    "#n/a",
    "#ref!",
    "#value!",
    "#name?",
    "#null!",
    "xxx",
    "xxxx",
    "xxxxx",
    "xxxxxx",
    "无",
    "空",
    "空白",
    "匿名",
    "匿名用户",
    "游客",
    "访客",
    "未知",
    "未知用户",
    "未登录",
    "未填写",
    "未提供",
    "未定义",
    "未设置",
    "暂无",
    "没有",
    "不详",
    "不明",
    "待定",
    "佚名",
    "保密",
    // What Android returns for an address that apps may not read, and ids that many phones and emulators share.
    "02:00:00:00:00:00",
    "02-00-00-00-00-00",
    "020000000000",
    "9774d56d682e549c",
    "0123456789abcdef",
    "012345678912345",
    "004999010640000",
    "dead00beef",
    // Hashes of the empty text: SHA-256, SHA-1, MD5.
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "d41d8cd98f00b204e9800998ecf8427e",
    // SHA-256 of null, undefined and none.
    "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b",
    "eb045d78d273107348b0300c01d29b7552d622abbc6faf81b3ec55359aa9950c",
    "140bedbf9c3f6d56a9846d2ba7088798683f4da0c248231336e6a05679e4fdfe",
];

/// Words for a missing value from which programs compose values: `undefined|undefined`, `nullnull`.
const NOTHING: [&str; 13] =
    ["undefined", "null", "nil", "none", "nan", "unknown", "anonymous", "guest", "n/a", "no", "not", "未知", "无"];
/// Words that occur together with such words: `unknown-device`, `no_user`, `not found`.
const OF_WHAT: [&str; 14] = [
    "user",
    "device",
    "id",
    "visitor",
    "customer",
    "client",
    "member",
    "name",
    "found",
    "set",
    "given",
    "provided",
    "available",
    "用户",
];

/// Local parts of made-up addresses, with any domain.
const NO_ADDRESS: [&str; 14] = [
    "undefined",
    "noemail",
    "no-email",
    "no_email",
    "no.email",
    "nomail",
    "no-mail",
    "notprovided",
    "not-provided",
    "not_provided",
    "donotemail",
    "noaddress",
    "noemailprovided",
    "xxx",
];
/// Words for a missing value on both sides of the `@`: `null@null.com`, `test@test.com`.
const NO_DOMAIN: [&str; 28] = [
    "null",
    "undefined",
    "none",
    "nil",
    "nan",
    "na",
    "no",
    "unknown",
    "anonymous",
    "anon",
    "guest",
    "noemail",
    "no-email",
    "nomail",
    "empty",
    "email",
    "mail",
    "test",
    "fake",
    "nobody",
    "nowhere",
    "example",
    "xx",
    "xxx",
    "xxxx",
    "无",
    "没有",
    "未知",
];

/// What people type into a required field: `a@a.com`, `123@123.com`.
const TYPED: [&str; 16] =
    ["a", "b", "x", "aa", "aaa", "abc", "asd", "asdf", "qwe", "qwerty", "1", "11", "111", "123", "1234", "123456"];
/// Domains reserved for examples (RFC 2606): nobody has an address there.
const RESERVED: [&str; 3] = ["example.com", "example.net", "example.org"];

/// Valid numbers in E.164 that people make up; invalid ones (11111111111, 12345678901 in China) are refused anyway. The first is in every
/// Chinese example; 12345678901 has an area code of Ohio.
const TYPED_NUMBERS: [&str; 3] = ["+8613800138000", "+12345678901", "+12345678900"];
/// A number that ends with this many equal digits is made up: 138 0000 0000, 8888 8888.
const SAME_DIGITS: usize = 8;

/// Whether a value is a placeholder of any form.
pub(super) fn names_nobody(value: &str) -> bool {
    is_zero(value) || is_made_of_nothing(value) || is_nobodys_number(value)
}

/// Whether a phone number in E.164 is a placeholder.
fn is_nobodys_number(value: &str) -> bool {
    let Some(digits) = value.strip_prefix('+') else { return false };
    let last = digits.len().checked_sub(SAME_DIGITS).and_then(|at| digits.get(at..)).unwrap_or_default().as_bytes();
    let same = last.first().is_some_and(|first| first.is_ascii_digit() && last.iter().all(|digit| digit == first));
    same || TYPED_NUMBERS.contains(&value)
}

/// Whether it consists of zeros and punctuation only; also Salesforce's `003000000000000AAA`, where the zeros are between a prefix and a
/// checksum.
fn is_zero(value: &str) -> bool {
    let is_zero = |text: &str| text.bytes().all(|byte| byte == b'0');
    let value = if value.len() == 18 { value.strip_suffix("AAA").unwrap_or(value) } else { value };
    let record = value.len() == 15 && value.get(3..).is_some_and(is_zero);
    record || value.bytes().all(|byte| byte == b'0' || byte == b' ' || byte.is_ascii_punctuation())
}

/// Whether it is a macro, or composed only of words for a missing value.
fn is_made_of_nothing(value: &str) -> bool {
    is_unfilled(value)
        || is_one_digit(value)
        || is_small_negative(value)
        || is_nobodys_address(value)
        || (may_be_words(value) && (is_composed(value) || NOTHING.iter().any(|word| is_repeated(value, word))))
}

/// Whether it is composed of words, one of them for a missing value: `undefined|undefined`, `no-user`.
fn is_composed(value: &str) -> bool {
    let (mut nothing, mut parts) = (false, 0);
    let all = value.split(is_separator).filter(|part| !part.is_empty()).all(|part| {
        let none = is_word(&NOTHING, part);
        (nothing, parts) = (nothing | none, parts + 1);
        none || is_word(&OF_WHAT, part)
    });
    all && nothing && parts > 1
}

/// Whether it begins like one of the words, or with a separator: most ids do not.
fn may_be_words(value: &str) -> bool {
    static BEGINNINGS: LazyLock<[bool; 256]> = LazyLock::new(|| {
        let mut beginnings = [false; 256];
        let separators = (0..0x80).filter(|byte| is_separator(char::from(*byte)));
        for first in NOTHING.iter().chain(&OF_WHAT).filter_map(|word| word.bytes().next()).chain(separators) {
            for first in [first.to_ascii_lowercase(), first.to_ascii_uppercase()] {
                if let Some(begins) = beginnings.get_mut(usize::from(first)) {
                    *begins = true;
                }
            }
        }
        beginnings
    });
    value.bytes().next().is_some_and(|first| BEGINNINGS.get(usize::from(first)).copied().unwrap_or_default())
}

/// Characters between the parts of a composed value.
fn is_separator(c: char) -> bool {
    matches!(c, '|' | ':' | ';' | ',' | '-' | '_' | '/' | '.' | ' ')
}

/// Whether it is one of these words, in any case.
pub(super) fn is_word(words: &[&str], text: &str) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Whether it is a word repeated: `nullnull`. Short words do not count, because real names repeat those.
fn is_repeated(value: &str, word: &str) -> bool {
    word.len() > 2
        && value.len() > word.len()
        && value.len().is_multiple_of(word.len())
        && value.as_bytes().chunks(word.len()).all(|chunk| chunk.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether it is what programs return for *not found*: `-1`, `-999`.
fn is_small_negative(value: &str) -> bool {
    value.strip_prefix('-').is_some_and(|number| {
        (1..5).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    })
}

/// Whether it has the form of a UUID or of a MAC address with a single repeated digit: `ffffffff-ffff-...`, `xx:xx:xx:xx:xx:xx`.
fn is_one_digit(value: &str) -> bool {
    let bytes = value.as_bytes();
    let [first, second, ..] = bytes else { return false };
    if !matches!(bytes.len(), 17 | 32 | 36) || !second.eq_ignore_ascii_case(first) {
        return false;
    }
    let digits = bytes.iter().filter(|byte| byte.eq_ignore_ascii_case(first)).count();
    let others = bytes.iter().filter(|byte| matches!(byte, b'-' | b':')).count();
    matches!((digits, others), (12, 5) | (32, 0 | 4)) && digits + others == bytes.len()
}

/// Whether it is an address that is a placeholder.
fn is_nobodys_address(value: &str) -> bool {
    let Some((local, domain)) = value.split_once('@') else { return false };
    let name = domain.split_once('.').map_or(domain, |(name, _)| name);
    is_word(&NO_ADDRESS, local)
        || (is_word(&NO_DOMAIN, local) && is_word(&NO_DOMAIN, name))
        || (is_word(&TYPED, local) && local.eq_ignore_ascii_case(name))
        || is_word(&RESERVED, domain)
}
