//! From a corpus to an input: pieces are cut out, doubled, exchanged and bent. Only the random numbers decide.

use std::collections::BTreeSet;
use std::ops::Range;

/// Longer inputs are cut.
const BYTES_MAX: usize = 16 << 10;
/// The most changes to one input.
const CHANGES_MAX: u64 = 8;
/// Bytes at which formats change their mind.
const EDGES: [u8; 10] = [0x00, 0x01, 0x1f, 0x20, 0x7f, 0x80, 0x81, 0xc0, 0xfe, 0xff];

/// Random numbers of which the first says all (SplitMix64, Steele et al. 2014).
#[derive(Clone, Copy, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next one.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// One below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit.max(1)
    }

    fn place(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    fn range(&mut self, length: usize) -> Range<usize> {
        let (one, other) = (self.place(length + 1), self.place(length + 1));
        // Short pieces are the interesting ones.
        let longest = if self.below(4) == 0 { length } else { 12 };
        let start = one.min(other);
        start..one.max(other).min(start + longest)
    }
}

/// What inputs are made of.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    /// Inputs that mean something.
    pub inputs: Vec<Vec<u8>>,
    /// Of texts: words, numbers and signs to put in or exchange; none for what is not text.
    pub words: Vec<Vec<u8>>,
    /// Of texts: what stands in them between brackets, brackets included.
    pub pieces: Vec<Vec<u8>>,
}

impl Corpus {
    /// Texts, and what they consist of.
    pub fn of_texts<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        let inputs: Vec<Vec<u8>> = texts.map(|text| text.as_bytes().to_vec()).collect();
        let parts = |split: fn(&[u8]) -> Vec<Range<usize>>| {
            let all = inputs
                .iter()
                .flat_map(|input| split(input).into_iter().map(|range| input[range].to_vec()));
            all.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
        };
        Self {
            words: parts(words),
            pieces: parts(pieces),
            inputs,
        }
    }
}

/// Words, numbers, quoted texts and single signs.
fn words(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text.get(at) {
        let rest = &text[at + 1..];
        let length = match first {
            b'\'' | b'"' | b'`' => rest
                .iter()
                .position(|byte| byte == first)
                .map_or(rest.len(), |end| end + 1),
            _ if is_word(*first) => rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len()),
            _ => 0,
        };
        if !first.is_ascii_whitespace() {
            found.push(at..at + 1 + length);
        }
        at += 1 + length;
    }
    found
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

/// What stands between brackets of one kind, brackets included, whatever is within.
fn pieces(text: &[u8]) -> Vec<Range<usize>> {
    let mut open: Vec<(u8, usize)> = Vec::new();
    let mut found = Vec::new();
    for word in words(text) {
        match text[word.start] {
            b'(' => open.push((b')', word.start)),
            b'[' => open.push((b']', word.start)),
            b'{' => open.push((b'}', word.start)),
            close @ (b')' | b']' | b'}') => match open.pop() {
                Some((wanted, start)) if wanted == close => found.push(start..word.end),
                _ => open.clear(),
            },
            _ => {}
        }
    }
    found
}

/// The input of a case.
pub fn bend(corpus: &Corpus, case: u64) -> Vec<u8> {
    let mut random = Random(case);
    let mut bytes = pick(&corpus.inputs, &mut random).to_vec();
    // Every change of a text makes it less likely to be taken at all, so that only its beginning would be tried.
    let most = if corpus.words.is_empty() { CHANGES_MAX } else { 3 };
    for _ in 0..=random.below(most) {
        if corpus.words.is_empty() || random.below(6) == 0 {
            change(&mut bytes, corpus, &mut random);
        } else {
            change_text(&mut bytes, corpus, &mut random);
        }
    }
    bytes.truncate(BYTES_MAX);
    bytes
}

/// Exchanges, doubles or removes what belongs together.
fn change_text(text: &mut Vec<u8>, corpus: &Corpus, random: &mut Random) {
    let choice = random.below(5);
    let ranges = if choice < 2 { pieces(text) } else { words(text) };
    let Some(range) = ranges.get(random.place(ranges.len())).cloned() else {
        return;
    };
    let first = text[range.start];
    let alike = |other: &&Vec<u8>| match other.first() {
        Some(other) => is_word(*other) == is_word(first) && (choice >= 2 || *other == first),
        None => false,
    };
    // The first one that is of the same kind, from some place on.
    let from = if choice < 2 { &corpus.pieces } else { &corpus.words };
    let start = random.place(from.len());
    let other = from.iter().cycle().skip(start).take(from.len()).find(alike);
    match (choice, other) {
        (0..=3, Some(other)) => drop(text.splice(range, other.iter().copied())),
        (_, _) if random.below(2) == 0 => drop(text.drain(range)),
        _ => {
            let word = text[range.clone()].to_vec();
            text.splice(range.end..range.end, [b" ".to_vec(), word].concat());
        }
    }
}

fn pick<'a>(from: &'a [Vec<u8>], random: &mut Random) -> &'a [u8] {
    let place = random.place(from.len());
    from.get(place).map_or(&[], Vec::as_slice)
}

fn change(bytes: &mut Vec<u8>, corpus: &Corpus, random: &mut Random) {
    let range = random.range(bytes.len());
    match random.below(8) {
        0 => drop(bytes.drain(range)),
        1 => {
            let piece = bytes[range].to_vec();
            insert(bytes, &piece, random);
        }
        2 | 3 if !corpus.words.is_empty() => {
            let mut word = pick(&corpus.words, random).to_vec();
            word.push(b' ');
            insert(bytes, &word, random);
        }
        4 if !corpus.words.is_empty() => {
            let word = pick(&corpus.words, random).to_vec();
            bytes.splice(range, word);
        }
        5 => {
            let other = pick(&corpus.inputs, random);
            let piece = other[random.range(other.len())].to_vec();
            bytes.splice(range, piece);
        }
        6 => {
            let place = random.place(bytes.len());
            let bit = 1 << random.below(8);
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= bit;
            }
        }
        _ => {
            let place = random.place(bytes.len());
            let edge = EDGES[random.place(EDGES.len())];
            if let Some(byte) = bytes.get_mut(place) {
                *byte = edge;
            }
        }
    }
}

fn insert(bytes: &mut Vec<u8>, piece: &[u8], random: &mut Random) {
    let place = random.place(bytes.len() + 1);
    bytes.splice(place..place, piece.iter().copied());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_its_number() {
        let corpus = Corpus::of_texts(["MATCH (n) RETURN n[0]", "", "WHERE (x)"].into_iter());
        let all: Vec<_> = (0..500).map(|case| bend(&corpus, case)).collect();
        let again: Vec<_> = (0..500).map(|case| bend(&corpus, case)).collect();
        assert_eq!(all, again);
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert!(different.len() > 100, "{} different inputs", different.len());
    }

    #[test]
    fn texts_are_taken_apart_where_they_hold_together() {
        let corpus = Corpus::of_texts(["f(x, [1]) 'a (b' (("].into_iter());
        let texts = |parts: &[Vec<u8>]| {
            parts
                .iter()
                .map(|part| String::from_utf8_lossy(part).into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(texts(&corpus.pieces), ["(x, [1])", "[1]"]);
        assert_eq!(
            texts(&corpus.words),
            ["'a (b'", "(", ")", ",", "1", "[", "]", "f", "x"]
        );
    }

    #[test]
    fn nothing_comes_of_nothing_without_harm() {
        for case in 0..500 {
            let _ = bend(&Corpus::default(), case);
        }
    }
}
