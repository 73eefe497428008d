//! AES-256-GCM under a key that is drawn for each object, so that a counter is a nonce that never comes twice.

use crate::keys::Key;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// Bytes that sealing adds.
pub(super) const TAG_BYTES: usize = 16;

/// Boxed: the key is far larger than what else is known of an object.
pub(super) struct Sealing(Box<LessSafeKey>);

impl std::fmt::Debug for Sealing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealing")
    }
}

impl Sealing {
    pub(super) fn new(key: &Key, salt: &[u8]) -> Self {
        let derived = key.derive(salt, b"geode archive object 1");
        let key = UnboundKey::new(&AES_256_GCM, &derived).expect("invariant: a key has 32 bytes");
        Self(Box::new(LessSafeKey::new(key)))
    }

    /// Seals in place what stands at `from` and behind it. No number may be used twice.
    pub(super) fn seal(&self, number: u64, bound_to: &[u8], bytes: &mut Vec<u8>, from: usize) {
        let sealed =
            self.0
                .seal_in_place_separate_tag(nonce(number), Aad::from(bound_to), &mut bytes[from..]);
        let tag = sealed.expect("invariant: blocks are far smaller than AES-GCM's limit");
        bytes.extend_from_slice(tag.as_ref());
    }

    /// Opens in place; false when it is not what was sealed.
    pub(super) fn open(&self, number: u64, bound_to: &[u8], bytes: &mut Vec<u8>) -> bool {
        let opened = self.0.open_in_place(nonce(number), Aad::from(bound_to), bytes);
        let length = opened.map(|plain| plain.len());
        if let Ok(length) = length {
            bytes.truncate(length);
        }
        length.is_ok()
    }
}

fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[NONCE_LEN - 8..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}
