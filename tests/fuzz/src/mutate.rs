//! From a corpus to an input: pieces are cut out, doubled, exchanged and bent. Only the random numbers decide.

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

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
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
    /// Words to put in; none for what is not text.
    pub words: Vec<Vec<u8>>,
}

/// The input of a case.
pub fn bend(corpus: &Corpus, case: u64) -> Vec<u8> {
    let mut random = Random(case);
    let mut bytes = pick(&corpus.inputs, &mut random).to_vec();
    for _ in 0..=random.below(CHANGES_MAX) {
        change(&mut bytes, corpus, &mut random);
    }
    bytes.truncate(BYTES_MAX);
    bytes
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
        let corpus = Corpus {
            inputs: vec![b"MATCH (n) RETURN n".to_vec(), Vec::new()],
            words: vec![b"WHERE".to_vec()],
        };
        let all: Vec<_> = (0..500).map(|case| bend(&corpus, case)).collect();
        let again: Vec<_> = (0..500).map(|case| bend(&corpus, case)).collect();
        assert_eq!(all, again);
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert!(different.len() > 400, "{} different inputs", different.len());
    }

    #[test]
    fn nothing_comes_of_nothing_without_harm() {
        for case in 0..500 {
            let _ = bend(&Corpus::default(), case);
        }
    }
}
