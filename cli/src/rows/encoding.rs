//! Which encoding a text file has, and its text as UTF-8, without ever holding more than a few kilobytes of it.

use std::io::{self, Read};

use chardetng::EncodingDetector;
use encoding_rs::{
    BIG5, CoderResult, DecoderResult, EUC_KR, Encoding, GB18030, GBK, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252,
};

/// How much is read at a time, bytes.
const CHUNK: usize = 64 << 10;
/// How much is looked at to tell encodings apart, bytes.
const LOOKED_AT: u64 = 4 << 20;
/// How much tells whether every other byte is a zero, bytes.
const SAMPLE: usize = 4 << 10;

/// The encoding of a text: by its byte order mark, by the zeros of UTF-16, UTF-8 where all of it is, else Big5, Shift JIS, EUC-KR or
/// Windows-1252 where its bytes look like that, else GBK (as GB18030, which contains it). `None` where some of it is of none of these.
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
        return Ok(Some(UTF_8));
    }
    for encoding in [looks_like(open()?)?, GB18030] {
        if is_all(encoding, open()?)? {
            return Ok(Some(encoding));
        }
    }
    Ok(None)
}

/// UTF-16 without a byte order mark: half of what a header's ASCII has are zeros, on one side.
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

/// What the bytes look like. A few characters of GBK look like encodings that nobody uses here: they are not asked for.
fn looks_like(reader: Box<dyn Read>) -> io::Result<&'static Encoding> {
    let (mut detector, mut raw) = (EncodingDetector::new(), vec![0; CHUNK]);
    let mut reader = reader.take(LOOKED_AT);
    loop {
        let length = reader.read(&mut raw)?;
        detector.feed(raw.get(..length).unwrap_or_default(), length == 0);
        if length == 0 {
            break;
        }
    }
    let found = detector.guess(None, false);
    let known = [BIG5, SHIFT_JIS, EUC_KR, WINDOWS_1252].contains(&found);
    Ok(if found != GBK && known { found } else { GB18030 })
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

/// A reader of the text as UTF-8; what cannot be decoded becomes U+FFFD, a byte order mark is dropped.
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

    /// Decodes more; the text stays empty only at the end.
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
            (EUC_KR, "서울 전시회 방문"),
            (WINDOWS_1252, "Jürgen Groß, München"),
            (GB18030, "峰会"),
            (GB18030, "百度,竞价"),
            (GB18030, "李雷,上海展览"),
        ] {
            let text = format!("timestamp,campaign\n2026-03-01,{text}\n");
            assert_eq!(found(&encoding.encode(&text).0), Some((encoding.name(), text.clone())), "{text}");
        }
        assert_eq!(found(b"a,b\n\xff\xff\n"), None);
        assert_eq!(found(b"").unwrap().1, "");
    }
}
