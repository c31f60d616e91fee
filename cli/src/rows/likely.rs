//! Chooses between the possible encodings of a text, by how common its characters would be in each.
//!
//! The old encodings of East Asia use the same bytes, so a few characters of one are valid in another, as other characters. Each encoding
//! has an area for common characters; the others are rare names. Read in the wrong encoding, most of a text falls outside that area. An
//! encoding is accepted if it explains the text a thousand times better than every other one; otherwise the encoding is unknown.

use std::collections::BTreeSet;
use std::io::{self, Read};

use encoding_rs::{BIG5, EUC_JP, EUC_KR, Encoding, GB18030, SHIFT_JIS, WINDOWS_1252};

/// How much better the best encoding must be than the second, as a logarithm: a thousand times.
const DECISIVE: f64 = 6.9;
/// The smallest share of common characters in a text.
const COMMON_SHARE_MIN: f64 = 0.8;
/// The expected share of common characters.
const COMMON: f64 = 0.97;
/// Characters that are frequent in lists of people, companies and campaigns, simplified and traditional; and how much more often one of
/// them occurs than another common one.
const FREQUENT: &str = "的一是在有中上大人公司限科技海北京市展文化名称姓手机位地址活部理李信息合工金\
    国广电话邮职时间备动场经总张刘陈业务资团网软来询务\
    國廣電話郵職時間備動場經總張劉陳業務資團網軟來詢";
const FREQUENTLY: f64 = 10.0;
/// The number of letters of Western Europe outside ASCII, approximately.
const LATIN_LETTERS: f64 = 40.0;
/// The number of ASCII characters, approximately.
const ASCII: f64 = 95.0;
/// The number of half-width katakana.
const HALF_WIDTH: f64 = 63.0;
/// How rarely one of them is next to an ASCII letter.
const HALF_WIDTH_BESIDE_LETTER: f64 = 0.02;
/// How rarely another East Asian character is.
const WIDE_BESIDE_LETTER: f64 = 0.2;
/// How much more often than another common character a kana occurs in Japanese, and how much less often a kanji: about half of a text is
/// kana.
const KANA: f64 = 9.7;
const KANJI: f64 = 0.5;
/// Bytes per read.
const CHUNK: usize = 64 << 10;

/// A candidate encoding, and the statistics of the text under it.
pub(super) struct Hypothesis {
    pub encoding: &'static Encoding,
    /// The numbers of common and of rare characters in it.
    sizes: (f64, f64),
    /// The bytes of the frequent characters.
    frequent: BTreeSet<[u8; 2]>,
    /// The first byte of the current character.
    lead: Option<u8>,
    last: Last,
    /// The logarithm of the likelihood of the text.
    likely: f64,
    common: u64,
    seen: u64,
}

/// The class of the last character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// An ASCII letter.
    Letter,
    /// Any other ASCII character.
    Sign,
    /// A half-width katakana.
    HalfWidth,
    /// Any other character outside ASCII.
    Wide,
}

impl Hypothesis {
    fn of(encoding: &'static Encoding) -> Self {
        // By the layout of their tables: Chinese by frequency, kana and kanji by frequency, Korean syllables.
        let sizes = match encoding {
            _ if encoding == GB18030 => (3_755.0, 20_000.0),
            _ if encoding == BIG5 => (5_401.0, 8_000.0),
            _ if encoding == SHIFT_JIS || encoding == EUC_JP => (3_200.0, 3_700.0),
            _ if encoding == EUC_KR => (2_350.0, 14_000.0),
            _ => (LATIN_LETTERS, 88.0),
        };
        let one = |c: char| {
            let mut text = [0; 4];
            let text = c.encode_utf8(&mut text);
            let (bytes, _, unmappable) = encoding.encode(text);
            <[u8; 2]>::try_from(&*bytes).ok().filter(|_| !unmappable)
        };
        let frequent = FREQUENT.chars().filter_map(one).collect();
        Self { encoding, sizes, frequent, lead: None, last: Last::Sign, likely: 0.0, common: 0, seen: 0 }
    }

    fn feed(&mut self, byte: u8) {
        let Some(lead) = self.lead.take() else {
            match byte {
                0..0x80 => self.pass(byte),
                // Words of Western Europe are ASCII except for single letters.
                _ if self.encoding == WINDOWS_1252 => self.count(is_latin(byte) && self.last != Last::Wide, 1.0),
                0xa1..=0xdf if self.encoding == SHIFT_JIS => {
                    self.count(true, self.beside(HALF_WIDTH_BESIDE_LETTER) * self.sizes.0 / HALF_WIDTH);
                    self.last = Last::HalfWidth;
                }
                // A rare character has three bytes: only the last two are counted.
                0x8f if self.encoding == EUC_JP => {}
                _ => self.lead = Some(byte),
            }
            return;
        };
        if lead == 0x8e && self.encoding == EUC_JP {
            self.count(true, self.beside(HALF_WIDTH_BESIDE_LETTER) * self.sizes.0 / HALF_WIDTH);
            self.last = Last::HalfWidth;
            return;
        }
        let is_common = match self.encoding {
            encoding if encoding == EUC_JP => matches!((lead, byte), (0xa1..=0xa5 | 0xb0..=0xcf, 0xa1..)),
            encoding if encoding == GB18030 => matches!((lead, byte), (0xa1..=0xa3 | 0xb0..=0xd7, 0xa1..)),
            encoding if encoding == BIG5 => matches!(u16::from_be_bytes([lead, byte]), 0xa140..=0xa3bf | 0xa440..=0xc67e),
            encoding if encoding == SHIFT_JIS => matches!(u16::from_be_bytes([lead, byte]), 0x8140..=0x8396 | 0x889f..=0x9872),
            _ => matches!((lead, byte), (0xa1..=0xa3 | 0xb0..=0xc8, 0xa1..)),
        };
        let of_script = match lead {
            0xa4 | 0xa5 if self.encoding == EUC_JP => KANA,
            _ if self.encoding == EUC_JP => KANJI,
            _ => 1.0,
        };
        let often = if self.frequent.contains(&[lead, byte]) { FREQUENTLY } else { 1.0 };
        self.count(is_common, often * of_script * self.beside(WIDE_BESIDE_LETTER));
    }

    /// The likelihood factor for the position of a character that is this rare beside a letter.
    fn beside(&self, seldom: f64) -> f64 {
        if self.last == Last::Letter { seldom } else { 1.0 }
    }

    /// Skips an ASCII character.
    fn pass(&mut self, byte: u8) {
        let is_letter = byte.is_ascii_alphabetic();
        let beside = match self.last {
            Last::HalfWidth if is_letter => HALF_WIDTH_BESIDE_LETTER,
            Last::Wide if is_letter && self.encoding != WINDOWS_1252 => WIDE_BESIDE_LETTER,
            _ => 1.0,
        };
        self.likely += (beside / ASCII).ln();
        self.last = if is_letter { Last::Letter } else { Last::Sign };
    }

    /// Counts a character outside ASCII; `often` is how often it occurs, relative to others of its class.
    fn count(&mut self, is_common: bool, often: f64) {
        let (common, rare) = self.sizes;
        let one = if is_common { COMMON / common } else { (1.0 - COMMON) / rare };
        self.likely += (one * often).ln();
        self.common += u64::from(is_common);
        self.seen += 1;
        self.last = Last::Wide;
    }

    fn is_plausible(&self) -> bool {
        self.common as f64 >= COMMON_SHARE_MIN * self.seen as f64
    }
}

/// A letter or sign of Windows-1252 that occurs in texts.
fn is_latin(byte: u8) -> bool {
    let is_sign =
        matches!(byte, 0x80 | 0x85 | 0x91..=0x97 | 0x99 | 0xa0 | 0xa3 | 0xa7 | 0xab | 0xae | 0xb0 | 0xb4 | 0xb7 | 0xbb);
    is_sign || (byte >= 0xc0 && !matches!(byte, 0xd0 | 0xd7 | 0xde | 0xf0 | 0xf7 | 0xfe))
}

/// The encoding of the text among these; `None` if it is undecided.
///
/// # Errors
/// When it cannot be read.
pub(super) fn decide(valid: &[&'static Encoding], mut text: impl Read) -> io::Result<Option<&'static Encoding>> {
    let mut hypotheses: Vec<Hypothesis> = valid.iter().map(|encoding| Hypothesis::of(encoding)).collect();
    let mut raw = vec![0; CHUNK];
    loop {
        let length = text.read(&mut raw)?;
        if length == 0 {
            break;
        }
        for hypothesis in &mut hypotheses {
            raw.get(..length).unwrap_or_default().iter().for_each(|byte| hypothesis.feed(*byte));
        }
    }
    hypotheses.sort_by(|a, b| b.likely.total_cmp(&a.likely));
    let mut ranked = hypotheses.iter();
    let (best, next) = (ranked.next(), ranked.next());
    let found = best.filter(|best| best.is_plausible() && next.is_none_or(|next| best.likely - next.likely >= DECISIVE));
    Ok(found.map(|best| best.encoding))
}
