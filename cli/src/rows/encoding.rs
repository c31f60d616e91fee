//! Detects the encoding of a text file, and converts it to UTF-8 with a buffer of a few kilobytes.

use std::io::{self, Read};

use chardetng::EncodingDetector;
use encoding_rs::{
    BIG5, CoderResult, DecoderResult, EUC_JP, EUC_KR, Encoding, GB18030, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1250,
    WINDOWS_1252, WINDOWS_1254,
};

use super::chance::is_utf8_by_chance;
use super::likely;

/// Bytes per read.
const CHUNK: usize = 64 << 10;
/// Bytes examined to distinguish encodings.
const LOOKED_AT: u64 = 4 << 20;
/// Bytes examined for zeros in every other byte.
const SAMPLE: usize = 4 << 10;

/// The legacy encodings that are distinguished. GB18030 contains GBK.
const OLD: [&Encoding; 6] = [GB18030, BIG5, SHIFT_JIS, EUC_JP, EUC_KR, WINDOWS_1252];
/// How many letters outside ASCII are needed to distinguish Western Europe from encodings with the same bytes.
const LATIN_LETTERS_MIN: usize = 32;

/// The encoding of a text: by its byte order mark; by the zeros of UTF-16; UTF-8 if all of it is valid (and not by chance); else the legacy
/// encoding that fits its bytes far better than the others. `None` if none or several fit: a wrong encoding would change names without
/// anybody noticing.
///
/// # Errors
/// When it cannot be read.
pub fn detect(open: &dyn Fn() -> io::Result<Box<dyn Read>>) -> io::Result<Option<&'static Encoding>> {
    let mut sample = Vec::with_capacity(SAMPLE);
    open()?.take(SAMPLE as u64).read_to_end(&mut sample)?;
    if let Some((encoding, _)) = Encoding::for_bom(&sample) {
        return Ok(Some(encoding));
    }
    if let Some(encoding) = utf16(&sample) {
        return Ok(Some(encoding));
    }
    if is_all(UTF_8, open()?)? {
        return Ok(if is_utf8_by_chance(open()?)? { None } else { Some(UTF_8) });
    }
    let mut valid = Vec::new();
    for encoding in OLD {
        if is_all(encoding, open()?)? {
            valid.push(encoding);
        }
    }
    match likely::decide(&valid, open()?)? {
        Some(found) if found == WINDOWS_1252 && !is_western(open()?)? => Ok(None),
        found => Ok(found),
    }
}

/// UTF-16 without a byte order mark: every other byte of ASCII text is zero.
fn utf16(sample: &[u8]) -> Option<&'static Encoding> {
    let zeros = |side: usize| sample.iter().skip(side).step_by(2).filter(|byte| **byte == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    let most = sample.len() / 8;
    match (first > most, second > most) {
        (true, false) => Some(UTF_16BE),
        (false, true) => Some(UTF_16LE),
        _ => None,
    }
}

/// Whether a text of Latin letters is in the encoding of Western Europe, not in those of Central Europe, Turkey or Russia, which use the
/// same bytes: either its letters are the same in all of them, or there are many and they look Western.
fn is_western(reader: Box<dyn Read>) -> io::Result<bool> {
    let (mut detector, mut raw) = (EncodingDetector::new(), vec![0; CHUNK]);
    let (mut reader, mut letters, mut same) = (reader.take(LOOKED_AT), 0, true);
    loop {
        let length = reader.read(&mut raw)?;
        let read = raw.get(..length).unwrap_or_default();
        detector.feed(read, length == 0);
        for byte in read.iter().filter(|byte| !byte.is_ascii()) {
            letters += usize::from(*byte >= 0xc0);
            same &= is_everywhere(*byte);
        }
        if length == 0 {
            return Ok(same || (letters >= LATIN_LETTERS_MIN && detector.guess(None, false) == WINDOWS_1252));
        }
    }
}

/// Whether a byte is the same character in the encodings of Western and Central Europe and of Turkey.
fn is_everywhere(byte: u8) -> bool {
    let text = [byte];
    let read = |encoding: &'static Encoding| encoding.decode_without_bom_handling(&text).0.into_owned();
    read(WINDOWS_1252) == read(WINDOWS_1250) && read(WINDOWS_1252) == read(WINDOWS_1254)
}

fn is_all(encoding: &'static Encoding, mut reader: Box<dyn Read>) -> io::Result<bool> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let (mut raw, mut text) = (vec![0; CHUNK], vec![0; 4 * CHUNK]);
    loop {
        let length = reader.read(&mut raw)?;
        let mut from = 0;
        loop {
            let rest = raw.get(from..length).unwrap_or_default();
            match decoder.decode_to_utf8_without_replacement(rest, &mut text, length == 0) {
                (DecoderResult::Malformed(..), ..) => return Ok(false),
                (DecoderResult::InputEmpty, ..) => break,
                (DecoderResult::OutputFull, read, _) => from += read,
            }
        }
        if length == 0 {
            return Ok(true);
        }
    }
}

/// A reader that converts text to UTF-8. Invalid bytes become U+FFFD; a byte order mark is dropped.
pub struct Utf8<R> {
    inner: R,
    decoder: encoding_rs::Decoder,
    raw: Vec<u8>,
    raw_at: usize,
    text: Vec<u8>,
    text_at: usize,
    ended: bool,
}

impl<R: Read> Utf8<R> {
    /// Reads text of this encoding.
    pub fn new(inner: R, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_with_bom_removal();
        Self { inner, decoder, raw: Vec::new(), raw_at: 0, text: Vec::new(), text_at: 0, ended: false }
    }

    /// Decodes more; the text is empty only at the end.
    fn fill(&mut self) -> io::Result<()> {
        self.text_at = 0;
        self.text.clear();
        while self.text.is_empty() && !(self.ended && self.raw_at == self.raw.len()) {
            if self.raw_at == self.raw.len() {
                self.raw.resize(CHUNK, 0);
                let length = self.inner.read(&mut self.raw)?;
                self.raw.truncate(length);
                self.raw_at = 0;
                self.ended = length == 0;
            }
            self.text.resize(CHUNK, 0);
            let rest = self.raw.get(self.raw_at..).unwrap_or_default();
            let (result, read, written, _) = self.decoder.decode_to_utf8(rest, &mut self.text, self.ended);
            self.raw_at += read;
            self.text.truncate(written);
            if self.ended && result == CoderResult::InputEmpty {
                break;
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Utf8<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.text_at == self.text.len() && !(self.ended && self.raw_at == self.raw.len()) {
            self.fill()?;
        }
        let rest = self.text.get(self.text_at..).unwrap_or_default();
        let length = rest.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..length), rest.get(..length)) {
            to.copy_from_slice(from);
        }
        self.text_at += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8]) -> Option<(&'static str, String)> {
        let bytes = bytes.to_vec();
        let copy = bytes.clone();
        let encoding = detect(&move || Ok(Box::new(io::Cursor::new(copy.clone())))).unwrap()?;
        let mut text = String::new();
        Utf8::new(bytes.as_slice(), encoding).read_to_string(&mut text).unwrap();
        Some((encoding.name(), text))
    }

    #[test]
    fn every_encoding_gives_the_same_text() {
        let text = "timestamp,campaign\n2022-04-13,峰会展台\n".repeat(5_000);
        let units: Vec<u16> = text.encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for (bytes, name) in [
            (text.clone().into_bytes(), "UTF-8"),
            ([b"\xef\xbb\xbf", text.as_bytes()].concat(), "UTF-8"),
            (GB18030.encode(&text).0.into_owned(), "gb18030"),
            ([b"\xff\xfe", little.as_slice()].concat(), "UTF-16LE"),
            ([b"\xfe\xff", big.as_slice()].concat(), "UTF-16BE"),
            (little, "UTF-16LE"),
            (big, "UTF-16BE"),
        ] {
            let (found, read) = found(&bytes).unwrap();
            assert_eq!(found, name);
            assert!(read == text, "{name}");
        }
        for (encoding, text) in [
            (BIG5, "展會,陳先生"),
            (BIG5, "姓名,電話,公司"),
            (SHIFT_JIS, "東京展示会,田中さん"),
            (EUC_JP, "東京展示会,田中さん"),
            (EUC_JP, "氏名,会社名,電話番号,株式会社サンプル"),
            (EUC_JP, "ﾔﾏﾀﾞ,資料請求のお問い合わせ"),
            (EUC_KR, "서울 전시회 방문, 김철수, 삼성전자 마케팅부"),
            (WINDOWS_1252, "Jürgen Groß, München"),
            (GB18030, "百度竞价,上海展览会"),
            (GB18030, "李雷,上海某某科技有限公司"),
        ] {
            let text = format!("timestamp,campaign\n2026-03-01,{text}\n");
            assert_eq!(found(&encoding.encode(&text).0), Some((encoding.name(), text.clone())), "{text}");
        }
        // For these, several encodings fit, or only one that is not distinguished.
        let (cyrillic, polish, latin2) = (encoding_rs::WINDOWS_1251, encoding_rs::WINDOWS_1250, encoding_rs::ISO_8859_2);
        for (encoding, text) in [
            (GB18030, "峰会"),
            (GB18030, "欧元"),
            (EUC_KR, "치타"),
            (EUC_KR, "서울"),
            (BIG5, "展"),
            (EUC_JP, "東京"),
            (EUC_JP, "田中"),
            (WINDOWS_1252, "à"),
            (cyrillic, "Москва, выставка"),
            (polish, "Łódź, żółć"),
            (latin2, "Dvořák, Plzeň"),
        ] {
            let text = format!("timestamp,campaign\n2026-03-01,{text}\n");
            assert_eq!(found(&encoding.encode(&text).0), None, "{text}");
        }
        assert_eq!(found(b"a,b\n\xff\xff\n"), None);
        assert_eq!(found(b"").unwrap().1, "");
    }
}
