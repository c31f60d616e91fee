//! Write keys: who may send. Looked up in a time that tells nothing about them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tributary_runtime::config::Secret;

use crate::bucket::{Bucket, Rate};

/// A key that is known.
#[derive(Debug)]
struct Known {
    digest: [u8; 32],
    bucket: Bucket,
}

/// All write keys.
#[derive(Debug)]
pub struct WriteKeys(Vec<Known>);

impl WriteKeys {
    /// These keys, each of which may send at this rate.
    pub fn new(keys: &BTreeMap<String, Secret>, rate: &Rate) -> Self {
        let known = |key: &Secret| Known { digest: Sha256::digest(key.expose()).into(), bucket: Bucket::new(rate.clone()) };
        Self(keys.values().map(known).collect())
    }

    /// The bucket of a key; `None` for a key that is not known.
    pub fn find(&self, key: &str) -> Option<&Bucket> {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let same = |known: &&Known| bool::from(known.digest.ct_eq(&digest));
        self.0.iter().fold(None, |found, known| if same(&known) { Some(&known.bucket) } else { found })
    }
}

/// The user of HTTP basic auth, which is how libraries send the write key; the password is not looked at.
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

    #[test]
    fn keys_are_found_by_their_whole_text() {
        let keys = [("web", "0123456789"), ("web-next", "abcdefghij")];
        let keys = WriteKeys::new(&keys.map(|(name, key)| (name.to_owned(), Secret::new(key))).into(), &Rate::new(1, 1));
        assert!(keys.find("0123456789").is_some() && keys.find("abcdefghij").is_some());
        for key in ["", "012345678", "01234567890", "web"] {
            assert!(keys.find(key).is_none(), "{key}");
        }
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
