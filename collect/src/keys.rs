//! Write keys. The time of a look-up reveals nothing about them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tributary_ingest::Trust;

use crate::rate_limit::{Rate, RateLimit};
use crate::settings::Settings;

/// A configured write key.
#[derive(Debug)]
pub struct Known {
    digest: [u8; 32],
    /// The rate limit of its senders.
    pub limit: RateLimit,
    /// Who could have it.
    pub trust: Trust,
}

/// All write keys.
#[derive(Debug)]
pub struct WriteKeys(Vec<Known>);

impl WriteKeys {
    /// From the settings; each key has this rate.
    pub fn new(settings: &Settings, rate: &Rate) -> Self {
        let known = settings.write_keys.values().map(|key| Known {
            digest: Sha256::digest(key.key.expose()).into(),
            limit: RateLimit::new(rate.clone()),
            trust: settings.trust(key),
        });
        Self(known.collect())
    }

    /// A key; `None` if it is not configured.
    pub fn find(&self, key: &str) -> Option<&Known> {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let same = |known: &&Known| bool::from(known.digest.ct_eq(&digest));
        self.0.iter().fold(None, |found, known| if same(&known) { Some(known) } else { found })
    }
}

/// The user in HTTP basic authentication, where libraries put the write key. The password is ignored.
pub fn basic_user(authorization: &str) -> Option<String> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    text.split_once(':').map(|(user, _)| user.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::WriteKey;

    #[test]
    fn keys_are_found_by_their_whole_text() {
        let trusted = WriteKey { trust: Trust::Trusted, ..WriteKey::public("abcdefghij") };
        let write_keys = [("web".to_owned(), WriteKey::public("0123456789")), ("backend".to_owned(), trusted)].into();
        let mut settings = Settings { write_keys, ..Settings::default() };
        let trust = |settings: &Settings| {
            let keys = WriteKeys::new(settings, &Rate::new(1, 1));
            ["0123456789", "abcdefghij"].map(|key| keys.find(key).map(|key| key.trust))
        };
        assert_eq!(trust(&settings), [Some(Trust::Public), Some(Trust::Trusted)]);
        let keys = WriteKeys::new(&settings, &Rate::new(1, 1));
        for key in ["", "012345678", "01234567890", "web"] {
            assert!(keys.find(key).is_none(), "{key}");
        }
        settings.public_keys = false;
        assert_eq!(trust(&settings), [Some(Trust::Trusted); 2]);
    }

    #[test]
    fn basic_auth() {
        assert_eq!(basic_user("Basic a2V5Og==").as_deref(), Some("key"));
        assert_eq!(basic_user("basic a2V5OnB3").as_deref(), Some("key"));
        for text in ["", "Basic", "Basic %", "Bearer a2V5Og==", "Basic a2V5"] {
            assert_eq!(basic_user(text), None, "{text}");
        }
    }
}
