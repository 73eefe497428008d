//! From the bytes of an object, in pieces as they arrive, to what was stored. Objects that are not coded pass as they are.

use super::header::{self, Header};
use super::seal::TAG_BYTES;
use super::{Codec, DecodeError, LAST, LENGTH, MAGIC, RAW, block_context, compression};
use crate::content::{Counted, Sha256};

/// Decodes one object.
pub struct Decoder {
    codec: Codec,
    name: String,
    state: State,
    /// Arrived, and not used yet.
    pending: Vec<u8>,
    plain: Counted,
}

enum State {
    /// Which format it is shows with the first bytes.
    Unknown,
    Plain,
    Blocks {
        header: Header,
        number: u64,
    },
    /// The last block has been read.
    Ended(Header),
}

impl Decoder {
    /// For the object `name`.
    pub fn new(codec: &Codec, name: &str) -> Self {
        Self {
            codec: codec.clone(),
            name: name.to_owned(),
            state: State::Unknown,
            pending: Vec::new(),
            plain: Counted::default(),
        }
    }

    /// Takes the next bytes of the object; what they hold comes to `out`.
    pub fn push(&mut self, stored: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let before = out.len();
        self.pending.extend_from_slice(stored);
        while self.step(out)? {}
        self.plain.note(&out[before..]);
        Ok(())
    }

    /// The object has ended: how long what it holds is, and its hash.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(u64, Sha256), DecodeError> {
        if matches!(self.state, State::Unknown) {
            // Too short for a coded object.
            if self.pending.starts_with(&MAGIC) {
                return Err(DecodeError::Truncated);
            }
            self.plain.note(&self.pending);
            out.append(&mut self.pending);
            return Ok(self.plain.finish());
        }
        let found = self.plain.finish();
        match self.state {
            State::Ended(header) => match header.identity {
                Some(identity) if identity != found => Err(DecodeError::Damaged(format!(
                    "it holds {} bytes with SHA-256 {}; its header says {} and {}",
                    found.0, found.1, identity.0, identity.1
                ))),
                _ => Ok(found),
            },
            State::Blocks { .. } => Err(DecodeError::Truncated),
            State::Plain | State::Unknown => Ok(found),
        }
    }

    /// Uses what has arrived; false when more has to.
    fn step(&mut self, out: &mut Vec<u8>) -> Result<bool, DecodeError> {
        match std::mem::replace(&mut self.state, State::Unknown) {
            State::Unknown if self.pending.len() < MAGIC.len() => Ok(false),
            State::Unknown if !self.pending.starts_with(&MAGIC) => {
                self.state = State::Plain;
                Ok(true)
            }
            State::Unknown => {
                let read = header::read(&self.name, &self.pending, |id, fingerprint| {
                    self.codec.key(id, fingerprint)
                })?;
                let Some((end, header)) = read else {
                    return Ok(false);
                };
                self.pending.drain(..end);
                self.state = State::Blocks { header, number: 0 };
                Ok(true)
            }
            State::Plain => {
                out.append(&mut self.pending);
                self.state = State::Plain;
                Ok(false)
            }
            State::Blocks { header, number } => {
                let Some(block) = take_block(&header, number, &mut self.pending)? else {
                    self.state = State::Blocks { header, number };
                    return Ok(false);
                };
                out.extend_from_slice(&block.plain);
                self.state = if block.is_last {
                    State::Ended(header)
                } else {
                    State::Blocks {
                        header,
                        number: number + 1,
                    }
                };
                Ok(true)
            }
            State::Ended(_) if !self.pending.is_empty() => Err(DecodeError::Damaged(
                "something follows its last block".to_owned(),
            )),
            State::Ended(header) => {
                self.state = State::Ended(header);
                Ok(false)
            }
        }
    }
}

struct Block {
    plain: Vec<u8>,
    is_last: bool,
}

fn take_block(header: &Header, number: u64, pending: &mut Vec<u8>) -> Result<Option<Block>, DecodeError> {
    let damaged = |what: &str| DecodeError::Damaged(format!("its block {number} is damaged: {what}"));
    let Some(word) = pending.first_chunk::<4>() else {
        return Ok(None);
    };
    let word = u32::from_le_bytes(*word);
    let length = (word & LENGTH) as usize;
    if length > header.block_bytes + TAG_BYTES {
        return Err(damaged("it is longer than a block may be"));
    }
    let check_bytes = if header.sealing.is_some() { 0 } else { 4 };
    if pending.len() < 4 + length + check_bytes {
        return Ok(None);
    }
    let mut payload = pending[4..4 + length].to_vec();
    let bound_to = block_context(&header.context, number, word & !LENGTH);
    if let Some(sealing) = &header.sealing {
        if !sealing.open(number + 1, &bound_to, &mut payload) {
            return Err(damaged(
                "it does not open with its key; it was altered or belongs elsewhere",
            ));
        }
    } else {
        let check = crc32c::crc32c_append(crc32c::crc32c(&bound_to), &payload);
        if check.to_le_bytes() != pending[4 + length..8 + length] {
            return Err(damaged("its checksum does not match"));
        }
    }
    pending.drain(..4 + length + check_bytes);
    let plain = if word & RAW == 0 {
        let grown = compression::grow(header.compression, &payload, header.block_bytes);
        grown.map_err(|error| damaged(&error.to_string()))?
    } else {
        payload
    };
    let is_last = word & LAST != 0;
    if is_last != (plain.len() < header.block_bytes) {
        return Err(damaged("only the last block is shorter than the others"));
    }
    Ok(Some(Block { plain, is_last }))
}
