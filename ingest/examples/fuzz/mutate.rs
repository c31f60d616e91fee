//! Variants of texts that keep enough of their structure to be looked at: they are changed token by token, not only byte by byte.

use std::ops::Range;

use rand_core::RngCore;

/// Texts that break what is built on them, in any format.
const NASTY: [&str; 36] = [
    "null",
    "true",
    "0",
    "-1",
    "1e9",
    "1.5",
    "9223372036854775808",
    "1e400",
    "\"\"",
    "\" \"",
    "[]",
    "{}",
    "[[[[",
    "}}",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\u{200b}",
    "\u{202e}",
    "\u{2066}",
    "\u{feff}",
    "\u{3164}",
    "\u{1f}",
    "；",
    "１３８",
    "张",
    "İ",
    "ß",
    "%",
    "%25%32%35",
    "%ff%fe",
    "&",
    "=",
    "+",
    "//",
    "\"2022-02-30\"",
    "1646013960000",
];

/// Makes inputs out of a corpus.
pub struct Mutator<'a> {
    corpus: &'a [Vec<u8>],
    tokens: Vec<Vec<Range<usize>>>,
    words: &'static [&'static str],
}

fn below(random: &mut impl RngCore, limit: usize) -> usize {
    usize::try_from(random.next_u64() % u64::try_from(limit.max(1)).unwrap_or(1)).unwrap_or(0)
}

impl<'a> Mutator<'a> {
    /// With a corpus that is not empty, and words of the format.
    pub fn new(corpus: &'a [Vec<u8>], words: &'static [&'static str]) -> Self {
        Self { corpus, tokens: corpus.iter().map(|text| tokens(text)).collect(), words }
    }

    /// Writes an input: one of the corpus, changed up to eight times; one in 64 is left as it is.
    pub fn make(&self, random: &mut impl RngCore, input: &mut Vec<u8>) {
        input.clear();
        input.extend_from_slice(self.one(random).0);
        if below(random, 64) == 0 {
            return;
        }
        // Most are changed once: what is changed often is refused at its first brace.
        for _ in 0..8 {
            self.change(random, input);
            if below(random, 2) == 0 {
                break;
            }
        }
    }

    fn one(&self, random: &mut impl RngCore) -> (&[u8], &[Range<usize>]) {
        let at = below(random, self.corpus.len());
        (self.corpus.get(at).map_or(&[], Vec::as_slice), self.tokens.get(at).map_or(&[], Vec::as_slice))
    }

    /// A token of another text of the corpus, a word of the format, or something nasty.
    fn other(&self, random: &mut impl RngCore) -> &[u8] {
        match below(random, 3) {
            0 => {
                let (text, tokens) = self.one(random);
                tokens.get(below(random, tokens.len())).and_then(|token| text.get(token.clone())).unwrap_or_default()
            }
            1 if !self.words.is_empty() => self.words.get(below(random, self.words.len())).map_or(&[], |word| word.as_bytes()),
            _ => NASTY.get(below(random, NASTY.len())).map_or(&[], |text| text.as_bytes()),
        }
    }

    fn change(&self, random: &mut impl RngCore, input: &mut Vec<u8>) {
        let all = tokens(input);
        let token = all.get(below(random, all.len())).cloned().unwrap_or(0..0);
        let group = || closing(input, &all, &token).unwrap_or(token.clone());
        match below(random, 14) {
            0 => {
                if let Some(byte) = input.get_mut(token.start) {
                    *byte ^= 1 << below(random, 8);
                }
            }
            1 => {
                let byte = random.next_u32().to_le_bytes()[0];
                input.insert(token.start.min(input.len()), byte);
            }
            2 => drop(input.splice(token, [])),
            3 => {
                let group = group();
                drop(input.splice(group, []));
            }
            4 | 5 => drop(input.splice(token, self.other(random).iter().copied())),
            6 => {
                let group = group();
                drop(input.splice(group, self.other(random).iter().copied()));
            }
            7 => drop(input.splice(token.start..token.start, self.other(random).iter().copied())),
            // Into a text: what follows its first character stays.
            8 => {
                let at = (token.start + 1).min(input.len());
                let other = self.other(random);
                let inner = other.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(other);
                drop(input.splice(at..at, inner.iter().copied()));
            }
            9 => twice(random, input, &group()),
            10 => {
                let other = all.get(below(random, all.len())).cloned().unwrap_or(0..0);
                let copy = input.get(other).unwrap_or_default().to_vec();
                drop(input.splice(token, copy));
            }
            11 => {
                let (text, tokens) = self.one(random);
                let from = tokens.get(below(random, tokens.len())).map_or(0, |token| token.start);
                input.truncate(token.start);
                input.extend_from_slice(text.get(from..).unwrap_or_default());
            }
            12 => {
                let deep = 1 + below(random, 40);
                let group = group();
                input.splice(group.end..group.end, std::iter::repeat_n(b']', deep));
                input.splice(group.start..group.start, std::iter::repeat_n(b'[', deep));
            }
            // Rarely, for it makes inputs long: up to the limits and beyond.
            _ if below(random, 16) == 0 => {
                let copy = input.get(token.clone()).unwrap_or_default().to_vec();
                let times = (1 << below(random, 12)).min(300_000 / copy.len().max(1));
                let many: Vec<u8> = std::iter::repeat_n(copy, times).flatten().collect();
                drop(input.splice(token.end..token.end, many));
            }
            _ => {}
        }
    }
}

/// The tokens of JSON, XML, a URL or a CSV row: strings without escapes, tags, words, and every other byte alone.
fn tokens(text: &[u8]) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(first) = text.get(at) {
        let length = match first {
            b'"' => text.iter().skip(at + 1).position(|byte| *byte == b'"').map_or(1, |end| end + 2),
            b'<' => text.iter().skip(at).position(|byte| *byte == b'>').map_or(1, |end| end + 1),
            byte if is_word(*byte) => text.iter().skip(at).take_while(|byte| is_word(**byte)).count(),
            _ => 1,
        };
        if !first.is_ascii_whitespace() {
            out.push(at..at + length);
        }
        at += length;
    }
    out
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || matches!(byte, b'_' | b'.' | b'-' | b'+')
}

/// From an opening bracket to its closing one.
fn closing(text: &[u8], all: &[Range<usize>], token: &Range<usize>) -> Option<Range<usize>> {
    let byte = |token: &Range<usize>| text.get(token.start).copied();
    if !matches!(byte(token), Some(b'{' | b'[')) {
        return None;
    }
    let from = all.binary_search_by_key(&token.start, |token| token.start).ok()?;
    let mut depth = 0usize;
    for other in all.get(from..)? {
        match byte(other) {
            Some(b'{' | b'[') => depth += 1,
            Some(b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return Some(token.start..other.end);
        }
    }
    None
}

/// The same key, value or event twice.
fn twice(random: &mut impl RngCore, input: &mut Vec<u8>, group: &Range<usize>) {
    let copy = input.get(group.clone()).unwrap_or_default().to_vec();
    let comma: &[u8] = if below(random, 2) == 0 { b"," } else { b"" };
    drop(input.splice(group.end..group.end, comma.iter().copied().chain(copy)));
}
