//! Ids of profiles, accounts and their units.

use tributary_proto::{AccountIs, Hash128, Identifier, Placement, kind};

/// The id of the profile whose oldest identifier has this hash.
pub fn profile_id(oldest: Hash128) -> String {
    format!("p_{oldest}")
}

/// Whether a profile is named after the identifier with this hash.
pub fn is_called_after(profile_id: &str, hash: Hash128) -> bool {
    profile_id.strip_prefix("p_").and_then(|digits| u128::from_str_radix(digits, 16).ok()) == Some(hash.0)
}

/// The key of a profile's unit while the profile has no account.
pub fn profile_unit(profile_id: &str) -> String {
    format!("p:{profile_id}")
}

/// The key of the unit of the account that this identifier stands for.
pub fn account_unit(account: &Identifier) -> String {
    format!("a:{}:{}", account.kind, account.value)
}

/// The account identifier that gives an account's unit its key.
pub fn account_named(unit: &str) -> Option<Identifier> {
    let (kind, value) = unit.strip_prefix("a:")?.split_once(':')?;
    Some(Identifier::new(kind, "", value))
}

/// The placement of an identifier that is a profile or account of its own.
pub fn lone_placement(identifier: &Identifier, hash: Hash128) -> Placement {
    if kind::is_account(&identifier.kind) {
        let (unit, account_id) = (account_unit(identifier), identifier.value.to_string());
        return Placement { unit, account_id, ..Placement::default() };
    }
    let profile_id = profile_id(hash);
    Placement { unit: profile_unit(&profile_id), profile_id, ..Placement::default() }
}

/// Unit and id of the account of an account identifier: as it last answered, else those of the identifier alone.
pub fn account_of(account: &Identifier, told: Option<AccountIs>) -> (String, String) {
    told.map_or_else(|| (account_unit(account), account.value.to_string()), |told| (told.unit, told.account_id))
}
