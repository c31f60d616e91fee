//! WeChat's encryption of pushes, the same for official accounts and WeCom: AES-256-CBC under the EncodingAESKey, whose first 16 bytes
//! are the initial vector. In the clear: 16 random bytes, the length of the message (4 bytes, big-endian), the message, the app id; padded
//! as PKCS#7 does, but to blocks of 32 bytes: up to 32 bytes of padding are right.
//!
//! Source: WeChat's documentation of encrypted messages and WeCom's of callbacks.

use aes::Aes256;
use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use cbc::cipher::{Block, BlockModeDecrypt, KeyIvInit};
use subtle::ConstantTimeEq;
use tributary_runtime::config::Secret;

use super::SignatureError;

/// The length of an EncodingAESKey.
const KEY_CHARACTERS: usize = 43;
const RANDOM_BYTES: usize = 16;
const PADDING_MAX: usize = 32;

/// The 43 characters are random, so the last one may have bits that do not belong to a byte.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true).with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// Decrypts pushes for one app.
pub(super) struct Crypt {
    keys: Vec<[u8; 32]>,
    app_id: String,
}

impl Crypt {
    /// With these EncodingAESKeys; `None` if one is invalid.
    pub(super) fn new(keys: &[Secret], app_id: &str) -> Option<Self> {
        let key = |key: &Secret| {
            let text = Some(key.expose()).filter(|text| text.len() == KEY_CHARACTERS)?;
            KEY_BASE64.decode(text).ok()?.try_into().ok()
        };
        Some(Self { keys: keys.iter().map(key).collect::<Option<_>>()?, app_id: app_id.to_owned() })
    }

    /// Decrypts a text. To be called only after its signature was verified: the error has no details.
    ///
    /// # Errors
    /// [`SignatureError::Undecipherable`].
    pub(super) fn open(&self, text: &str) -> Result<Vec<u8>, SignatureError> {
        let sealed = STANDARD.decode(text).map_err(|_| SignatureError::Undecipherable)?;
        self.keys.iter().find_map(|key| self.open_with(key, sealed.clone())).ok_or(SignatureError::Undecipherable)
    }

    fn open_with(&self, key: &[u8; 32], mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        let mut cipher = cbc::Decryptor::<Aes256>::new_from_slices(key, key.get(..16)?).ok()?;
        for block in bytes.chunks_mut(16) {
            let block: &mut Block<Aes256> = block.try_into().ok()?;
            cipher.decrypt_block(block);
        }
        let padding = usize::from(*bytes.last()?);
        let end = bytes.len().checked_sub(padding).filter(|_| (1..=PADDING_MAX).contains(&padding))?;
        if bytes.get(end..)?.iter().any(|byte| usize::from(*byte) != padding) {
            return None;
        }
        let (length, rest) = bytes.get(RANDOM_BYTES..end)?.split_at_checked(4)?;
        let length = usize::try_from(u32::from_be_bytes(length.try_into().ok()?)).ok()?;
        let (message, app_id) = rest.split_at_checked(length)?;
        bool::from(app_id.ct_eq(self.app_id.as_bytes())).then(|| message.to_vec())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use cbc::cipher::BlockModeEncrypt;
    use proptest::prelude::*;

    use super::*;

    pub(crate) const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
    pub(crate) const APP_ID: &str = "wx1234567890abcdef";

    /// Encrypts as WeChat does.
    pub(crate) fn seal(message: &[u8], app_id: &str, padding: impl Fn(usize) -> u8) -> String {
        let key = KEY_BASE64.decode(KEY).unwrap();
        let mut clear = b"0123456789abcdef".to_vec();
        clear.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        clear.extend([message, app_id.as_bytes()].concat());
        let missing = 32 - clear.len() % 32;
        clear.extend(std::iter::repeat_n(padding(missing), missing));
        let mut cipher = cbc::Encryptor::<Aes256>::new_from_slices(&key, &key[..16]).unwrap();
        for block in clear.chunks_mut(16) {
            cipher.encrypt_block(block.try_into().unwrap());
        }
        STANDARD.encode(clear)
    }

    pub(crate) fn whole(missing: usize) -> u8 {
        u8::try_from(missing).unwrap()
    }

    fn crypt(keys: &[&str]) -> Crypt {
        let keys: Vec<Secret> = keys.iter().map(|key| Secret::new(*key)).collect();
        Crypt::new(&keys, APP_ID).unwrap()
    }

    #[test]
    fn decrypts_what_another_implementation_encrypted() {
        // From Python's `cryptography`; its 28 bytes of padding are more than an AES block.
        let sealed = "Q3stYC6hdFzMh9T8HCvyDLvoDnzRxRst1MI9XzAiz9EMrvr8VFdRsoT8H6v68JM6DYd/puWIhZ+zw4uQeClr0IaMqx0qTbr5lZP5ywqlC0eWEfJoZxFkSrPTmlq+0NnN";
        assert_eq!(crypt(&[KEY]).open(sealed).unwrap(), b"594810938274193847512345678901");
    }

    #[test]
    fn either_of_two_keys_opens_and_another_app_id_does_not() {
        let other = "G".repeat(43);
        let sealed = seal(b"<xml/>", APP_ID, whole);
        assert_eq!(crypt(&[&other, KEY]).open(&sealed).unwrap(), b"<xml/>");
        assert_eq!(crypt(&[&other]).open(&sealed), Err(SignatureError::Undecipherable));
        assert_eq!(crypt(&[KEY]).open(&seal(b"<xml/>", "wx1234567890abcdee", whole)), Err(SignatureError::Undecipherable));
    }

    #[test]
    fn a_text_that_is_not_encrypted_is_refused() {
        let crypt = crypt(&[KEY]);
        for text in ["", "%", "AAAA", "AAAAAAAAAAAAAAAAAAAAAA==", &STANDARD.encode([7; 64])] {
            assert_eq!(crypt.open(text), Err(SignatureError::Undecipherable), "{text}");
        }
        assert_eq!(crypt.open(&seal(b"x", APP_ID, |_| 0)), Err(SignatureError::Undecipherable));
        assert_eq!(crypt.open(&seal(b"x", APP_ID, |_| 33)), Err(SignatureError::Undecipherable));
        assert_eq!(crypt.open(&seal(b"x", APP_ID, |missing| whole(missing) - 1)), Err(SignatureError::Undecipherable));
    }

    #[test]
    fn keys_have_43_characters() {
        assert!(Crypt::new(&[Secret::new("short")], APP_ID).is_none());
        assert!(Crypt::new(&[Secret::new("%".repeat(43))], APP_ID).is_none());
    }

    proptest! {
        #[test]
        fn every_length_comes_back(message in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(crypt(&[KEY]).open(&seal(&message, APP_ID, whole)).unwrap(), message);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = crypt(&[KEY]).open(&STANDARD.encode(bytes));
        }
    }
}
