//! WeChat's signature, of official accounts and of WeCom: SHA-1 over token, timestamp and nonce in the order of their bytes; of an
//! encrypted push over its encrypted text too.
//!
//! In the plain mode the body is not signed: anybody who has seen one signature could send another body with it. So a signature is accepted
//! once; prefer the encrypted mode. Source: WeChat's documentation "Getting started", WeCom's of callbacks.

use std::borrow::Cow;

use quick_xml::events::Event as Xml;
use quick_xml::reader::Reader;
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;
use tributary_ingest::limits::{XML_BYTES_MAX, XML_DEPTH_MAX};
use tributary_runtime::config::Secret;

use super::replay::Fingerprint;
use super::settings::{Encoding, WebhookSettings};
use super::wechat_crypt::Crypt;
use super::{Problem, Push, ReplayKey, SECRETS_MAX, Scheme, SignatureError, Verified, check_age, decode, problem};

/// Longest text that is echoed to prove that the token is known, bytes.
const ECHO_BYTES_MAX: usize = 1_024;

pub(super) struct WeChat {
    tokens: Vec<Secret>,
    crypt: Option<Crypt>,
    max_age_ms: i64,
}

impl WeChat {
    pub(super) fn compile(settings: &WebhookSettings) -> Result<Self, Problem> {
        let WebhookSettings { secrets, app_id, aes_keys, max_age_s, .. } = settings;
        let crypt = match aes_keys.len() {
            0 => None,
            1..=SECRETS_MAX if app_id.is_empty() => return problem("app_id", "encrypted pushes are checked for their app id"),
            1..=SECRETS_MAX => match Crypt::new(aes_keys, app_id) {
                Some(crypt) => Some(crypt),
                None => return problem("aes_keys", "an EncodingAESKey has 43 letters and digits"),
            },
            _ => return problem("aes_keys", "expected one key, or two while one is being replaced"),
        };
        Ok(Self { tokens: secrets.clone(), crypt, max_age_ms: i64::from(*max_age_s) * 1_000 })
    }

    /// Checks the signature in the parameter `name` over timestamp, nonce and `sealed`.
    fn check_signature(&self, push: &Push<'_>, name: &'static str, sealed: Option<&str>) -> Result<ReplayKey, SignatureError> {
        let (time, nonce) = (push.parameter("timestamp")?, push.parameter("nonce")?);
        let shown = decode(push.parameter(name)?, Encoding::Hex).ok_or(SignatureError::Malformed(name))?;
        let signed = |token: &Secret| {
            let mut parts: Vec<&str> = [token.expose(), time, nonce].into_iter().chain(sealed).collect();
            parts.sort_unstable();
            let digest = parts.iter().fold(Sha1::new(), |digest, part| digest.chain_update(part)).finalize();
            bool::from(digest.ct_eq(&shown))
        };
        if !self.tokens.iter().fold(false, |found, token| signed(token) | found) {
            return Err(SignatureError::Wrong);
        }
        // The parts are concatenated before hashing: with other lengths, other parts could give the same text.
        let digits = time.len() == 10 && time.bytes().all(|byte| byte.is_ascii_digit());
        let sent_s: i64 = time.parse().ok().filter(|_| digits).ok_or(SignatureError::Malformed("timestamp"))?;
        let sent_ms = sent_s * 1_000;
        check_age(sent_ms, push.now_ms, self.max_age_ms)?;
        Ok(ReplayKey { fingerprint: Fingerprint::of(&shown), sent_ms, max_age_ms: self.max_age_ms })
    }

    /// The answer to WeChat's verification of the URL. WeCom encrypts the request, an official account does not.
    fn echo(&self, push: &Push<'_>) -> Result<Verified<'static>, SignatureError> {
        let text = push.parameter("echostr")?;
        if text.len() > ECHO_BYTES_MAX {
            return Err(SignatureError::Malformed("echostr"));
        }
        let Some(crypt) = self.crypt.as_ref().filter(|_| push.parameter("msg_signature").is_ok()) else {
            let replay_key = self.check_signature(push, "signature", None)?;
            return Ok(Verified::Echo { text: text.to_owned(), replay_key });
        };
        let replay_key = self.check_signature(push, "msg_signature", Some(text))?;
        let text = String::from_utf8(crypt.open(text)?).map_err(|_| SignatureError::Undecipherable)?;
        Ok(Verified::Echo { text, replay_key })
    }
}

impl Scheme for WeChat {
    fn check<'a>(&self, push: &Push<'a>) -> Result<Verified<'a>, SignatureError> {
        if push.method == "GET" {
            return self.echo(push);
        }
        let Some(crypt) = &self.crypt else {
            let replay_key = self.check_signature(push, "signature", None)?;
            return Ok(Verified::Push { body: Cow::Borrowed(push.body), replay_key: Some(replay_key) });
        };
        let sealed = sealed(push.body)?;
        let replay_key = self.check_signature(push, "msg_signature", Some(&sealed))?;
        Ok(Verified::Push { body: Cow::Owned(crypt.open(&sealed)?), replay_key: Some(replay_key) })
    }
}

/// The text of the tag `Encrypt`. It is read before the signature is checked, within the limits for all XML.
fn sealed(body: &[u8]) -> Result<String, SignatureError> {
    const MALFORMED: SignatureError = SignatureError::Malformed("the XML");
    let xml = std::str::from_utf8(body).ok().filter(|xml| xml.len() <= XML_BYTES_MAX).ok_or(MALFORMED)?;
    let mut reader = Reader::from_str(xml);
    let (mut depth, mut inside, mut text) = (0usize, false, String::new());
    loop {
        match reader.read_event().map_err(|_| MALFORMED)? {
            Xml::Start(tag) => {
                depth += 1;
                inside = depth == 2 && tag.name().as_ref() == "Encrypt";
                if depth > XML_DEPTH_MAX {
                    return Err(MALFORMED);
                }
            }
            Xml::End(_) if inside => return Ok(text.trim_ascii().to_owned()),
            Xml::End(_) => depth = depth.saturating_sub(1),
            Xml::Text(part) if inside => text.push_str(&part),
            Xml::CData(part) if inside => text.push_str(&part),
            Xml::DocType(_) | Xml::GeneralRef(_) => return Err(MALFORMED),
            Xml::Eof => return Err(SignatureError::Missing("the tag Encrypt")),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::super::tests::{NOW_MS, query, secrets};
    use super::super::wechat_crypt::tests::{APP_ID, KEY, seal, whole};
    use super::*;

    const PLAIN: &str = "timestamp=1700000000&nonce=1372623149&signature=9917ff46865f8176e5707c47ae6f52a8ead2fdc1";

    fn settings(aes_keys: &[&str]) -> WebhookSettings {
        let app_id = APP_ID.to_owned();
        WebhookSettings {
            secrets: secrets(&["another", "tokentoken"]),
            aes_keys: secrets(aes_keys),
            app_id,
            ..Default::default()
        }
    }

    fn check(settings: &WebhookSettings, method: &str, text: &str, body: &str, now_ms: i64) -> Result<String, SignatureError> {
        let (headers, query) = (HeaderMap::new(), query(text));
        let push = Push { method, path_and_query: "", query: &query, headers: &headers, body: body.as_bytes(), now_ms };
        match WeChat::compile(settings).unwrap().check(&push)? {
            Verified::Echo { text, .. } => Ok(format!("echo {text}")),
            Verified::Push { body, replay_key } => {
                let replay_key = replay_key.unwrap();
                assert_eq!((replay_key.sent_ms, replay_key.max_age_ms), (NOW_MS, 300_000));
                Ok(String::from_utf8(body.into_owned()).unwrap())
            }
        }
    }

    /// The query of an encrypted push, signed with the token.
    fn signed(sealed: &str) -> String {
        let mut parts = ["tokentoken", "1700000000", "1372623149", sealed];
        parts.sort_unstable();
        let digest: String = Sha1::digest(parts.concat()).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("timestamp=1700000000&nonce=1372623149&signature=x&encrypt_type=aes&msg_signature={digest}")
    }

    #[test]
    fn plain_pushes_are_signed_by_the_token() {
        let settings = settings(&[]);
        assert_eq!(check(&settings, "POST", PLAIN, "<xml/>", NOW_MS), Ok("<xml/>".into()));
        assert_eq!(check(&settings, "POST", PLAIN, "<xml/>", NOW_MS + 300_001), Err(SignatureError::Old));
        let other = PLAIN.replace("nonce=1372623149", "nonce=1372623148");
        assert_eq!(check(&settings, "POST", &other, "<xml/>", NOW_MS), Err(SignatureError::Wrong));
        assert_eq!(check(&settings, "POST", "nonce=1", "<xml/>", NOW_MS), Err(SignatureError::Missing("timestamp")));
        let twice = format!("{PLAIN}&nonce=1");
        assert_eq!(check(&settings, "POST", &twice, "<xml/>", NOW_MS), Err(SignatureError::Malformed("nonce")));
    }

    #[test]
    fn the_parts_cannot_be_cut_elsewhere() {
        // Sorted and concatenated it is the same text, and so has the same signature.
        let moved = PLAIN.replace("timestamp=1700000000&nonce=1372623149", "timestamp=91700000000&nonce=137262314");
        assert_eq!(check(&settings(&[]), "POST", &moved, "", NOW_MS), Err(SignatureError::Malformed("timestamp")));
    }

    #[test]
    fn the_handshake_is_answered_with_the_token() {
        let asked = format!("{PLAIN}&echostr=5948109");
        assert_eq!(check(&settings(&[]), "GET", &asked, "", NOW_MS), Ok("echo 5948109".into()));
        // An official account does not encrypt this request in any mode.
        assert_eq!(check(&settings(&[KEY]), "GET", &asked, "", NOW_MS), Ok("echo 5948109".into()));
        assert_eq!(check(&settings(&[]), "GET", &asked.replace("9917", "9918"), "", NOW_MS), Err(SignatureError::Wrong));
        // WeCom encrypts it. Encrypted and signed by another implementation (Python's `cryptography` and `hashlib`).
        let sealed = "Q3stYC6hdFzMh9T8HCvyDLvoDnzRxRst1MI9XzAiz9EMrvr8VFdRsoT8H6v68JM6DYd/puWIhZ+zw4uQeClr0IaMqx0qTbr5lZP5ywqlC0eWEfJoZxFkSrPTmlq+0NnN";
        let text: String = url::form_urlencoded::byte_serialize(sealed.as_bytes()).collect();
        let asked = format!(
            "timestamp=1700000000&nonce=1372623149&msg_signature=e0578fd633981525d25f3027e354f957e3553b28&echostr={text}"
        );
        assert_eq!(check(&settings(&[KEY]), "GET", &asked, "", NOW_MS), Ok("echo 594810938274193847512345678901".into()));
    }

    #[test]
    fn encrypted_pushes_are_decrypted() {
        let settings = settings(&[KEY]);
        let push = |sealed: &str| format!("<xml><ToUserName>gh</ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>");
        let sealed = seal("<xml>\u{4f60}</xml>".as_bytes(), APP_ID, whole);
        let query = signed(&sealed);
        assert_eq!(check(&settings, "POST", &query, &push(&sealed), NOW_MS), Ok("<xml>\u{4f60}</xml>".into()));
        assert_eq!(check(&settings, "POST", &query, &push(&sealed), NOW_MS - 300_001), Err(SignatureError::Old));
        let other = seal(b"<xml/>", APP_ID, whole);
        assert_eq!(check(&settings, "POST", &query, &push(&other), NOW_MS), Err(SignatureError::Wrong));
        // For another app, although correctly signed.
        let foreign = seal(b"<xml/>", "wx0", whole);
        let found = check(&settings, "POST", &signed(&foreign), &push(&foreign), NOW_MS);
        assert_eq!(found, Err(SignatureError::Undecipherable));
        // A plain push is not accepted if encrypted ones are expected.
        assert_eq!(check(&settings, "POST", PLAIN, "<xml><a/></xml>", NOW_MS), Err(SignatureError::Missing("the tag Encrypt")));
        assert!(check(&settings, "POST", PLAIN, &push(&sealed), NOW_MS).is_err());
    }

    #[test]
    fn xml_is_read_within_limits() {
        for body in ["", "<xml>", "<!DOCTYPE a><xml><Encrypt>x</Encrypt></xml>", "<xml><Encrypt>&a;</Encrypt></xml>", "{}"] {
            assert!(sealed(body.as_bytes()).is_err(), "{body}");
        }
        assert!(sealed(format!("{}<Encrypt>x</Encrypt>", "<a>".repeat(XML_DEPTH_MAX + 1)).as_bytes()).is_err());
        assert!(sealed(format!("<xml><Encrypt>{}</Encrypt></xml>", "x".repeat(XML_BYTES_MAX)).as_bytes()).is_err());
        assert!(sealed(b"<xml><a><Encrypt>x</Encrypt></a></xml>").is_err());
        assert_eq!(sealed(b"<xml>\n<a>y</a><Encrypt> x </Encrypt></xml>"), Ok("x".to_owned()));
    }

    #[test]
    fn encryption_needs_an_app_id_and_a_whole_key() {
        let field = |settings: &WebhookSettings| WeChat::compile(settings).err().map(|problem| problem.field);
        assert_eq!(field(&WebhookSettings { app_id: String::new(), ..settings(&[KEY]) }), Some("app_id"));
        assert_eq!(field(&settings(&["short"])), Some("aes_keys"));
        assert_eq!(field(&settings(&[KEY, KEY, KEY])), Some("aes_keys"));
    }
}
