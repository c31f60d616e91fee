//! Checks a national number from the first digit to the last. The library's own check accepts a number that only begins like a valid one
//! (`phonenumber` 0.3: `Descriptor::is_match` looks at the start of the match only).

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use phonenumber::PhoneNumber;
use phonenumber::metadata::DATABASE;
use regex::Regex;

/// The patterns of a country code, one per type of number that a person can have.
type Patterns = Arc<[Regex]>;

static KNOWN: OnceLock<RwLock<BTreeMap<u16, Patterns>>> = OnceLock::new();

/// Whether the whole number matches a pattern of its country code.
pub(super) fn is_whole(number: &PhoneNumber) -> bool {
    let national = number.national().to_string();
    patterns(number.code().value()).iter().any(|pattern| pattern.is_match(&national))
}

fn patterns(code: u16) -> Patterns {
    let known = KNOWN.get_or_init(RwLock::default);
    if let Some(patterns) = known.read().unwrap_or_else(PoisonError::into_inner).get(&code) {
        return patterns.clone();
    }
    let compiled = compiled(code);
    known.write().unwrap_or_else(PoisonError::into_inner).entry(code).or_insert(compiled).clone()
}

fn compiled(code: u16) -> Patterns {
    let mut patterns = Vec::new();
    for country in DATABASE.by_code(&code).into_iter().flatten() {
        let all = country.descriptors();
        for kind in [all.fixed_line(), all.mobile(), all.personal_number(), all.voip(), all.pager()].into_iter().flatten() {
            patterns.extend(Regex::new(&format!("^(?x:{})$", kind.national_number().as_str())).ok());
        }
    }
    patterns.into()
}
