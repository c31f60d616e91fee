//! Text that is valid UTF-8 by chance: some pairs of bytes in GBK and in Korean encodings are UTF-8 letters that nobody would write side by
//! side.

use std::io::{self, Read};

/// This many two-byte letters never occur by chance.
const LETTERS_MIN: u32 = 32;
/// Bytes per read.
const CHUNK: usize = 64 << 10;

/// What was seen of a text so far.
#[derive(Default)]
struct Seen {
    /// The first byte of a two-byte letter.
    lead: Option<u8>,
    letters: u32,
    /// Whether a character has more than two bytes, which does not happen by chance.
    longer: bool,
    /// Whether the current word has an ASCII letter.
    ascii: bool,
    /// The alphabets of the two-byte letters in the current word: the last one, and whether there are two.
    alphabet: Option<Alphabet>,
    several: bool,
    length: u32,
    odd: bool,
}

/// Alphabets with two-byte letters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    Latin,
    Greek,
    Cyrillic,
    Other,
}

/// Whether a text that is valid UTF-8 may be in another encoding.
///
/// # Errors
/// When it cannot be read.
pub(super) fn is_utf8_by_chance(mut text: impl Read) -> io::Result<bool> {
    let mut raw = vec![0; CHUNK];
    let mut seen = Seen::default();
    loop {
        let length = text.read(&mut raw)?;
        raw.get(..length).unwrap_or_default().iter().for_each(|byte| seen.feed(*byte));
        if seen.longer || seen.letters >= LETTERS_MIN {
            return Ok(false);
        }
        if length == 0 {
            seen.end_word();
            return Ok(seen.odd);
        }
    }
}

impl Seen {
    fn feed(&mut self, byte: u8) {
        match (self.lead.take(), byte) {
            (Some(lead), _) => self.letter(u32::from(lead & 0x1f) << 6 | u32::from(byte & 0x3f)),
            (None, 0xc2..=0xdf) => self.lead = Some(byte),
            (None, 0xe0..) => self.longer = true,
            (None, _) if byte.is_ascii_alphabetic() => self.ascii = true,
            (None, _) => self.end_word(),
        }
    }

    fn letter(&mut self, code: u32) {
        let alphabet = match code {
            // Signs are not part of a word.
            0x80..0xc0 => return self.end_word(),
            0xc0..0x250 => Alphabet::Latin,
            0x370..0x400 => Alphabet::Greek,
            0x400..0x460 => Alphabet::Cyrillic,
            _ => Alphabet::Other,
        };
        self.letters += 1;
        self.length += 1;
        self.several |= self.alphabet.is_some_and(|known| known != alphabet);
        self.alphabet = Some(alphabet);
    }

    /// Suspicious words: those with two alphabets, and those of Latin letters without any ASCII letter.
    fn end_word(&mut self) {
        let foreign = self.length > 1 && self.alphabet == Some(Alphabet::Latin) && !self.ascii;
        self.odd |= self.several || foreign;
        (self.ascii, self.several, self.alphabet, self.length) = (false, false, None, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_utf8_only_by_chance() {
        let by_chance = |bytes: &[u8]| is_utf8_by_chance(bytes).unwrap();
        for text in ["", "plain", "Müller, Jürgen, où, Öl", "Москва,луо", "Αθήνα", "Łódź", "£5 · 3°", "شركة", "峰会"]
        {
            assert!(!by_chance(text.as_bytes()), "{text}");
        }
        assert!(by_chance(&encoding_rs::GBK.encode("欧元").0));
        assert!(by_chance(&encoding_rs::EUC_KR.encode("치타").0));
        assert!(!by_chance(&"欧元".repeat(20).into_bytes()));
    }
}
