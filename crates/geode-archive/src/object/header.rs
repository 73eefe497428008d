//! The head of a coded object (docs/formats/archive-object.md): how its blocks are compressed and sealed, and what it is the coding of.

use super::compression;
use super::seal::{Sealing, TAG_BYTES};
use super::{DecodeError, MAGIC};
use crate::content::Sha256;
use crate::keys::{Fingerprint, KEY_ID_MAX, Key, KeyError};
use geode_types::Compression;

/// The version that is written, and the newest that is read.
pub(super) const VERSION: u16 = 1;
/// A header is never longer.
pub(super) const HEADER_BYTES_MAX: usize = FIXED + KEY_ID_MAX + IDENTITY_BYTES + TAG_BYTES + 4;
/// Blocks of a well-formed object are never larger.
const BLOCK_BYTES_MAX: u32 = 16 << 20;

const FIXED: usize = 57;
const IDENTITY_BYTES: usize = 41;
const SALT_BYTES: usize = 32;

/// What an object is the coding of, when that was known before it was written: length and hash.
pub(super) type Identity = Option<(u64, Sha256)>;

#[derive(Debug)]
pub(super) struct Header {
    pub(super) compression: Compression,
    pub(super) block_bytes: usize,
    pub(super) sealing: Option<Sealing>,
    pub(super) identity: Identity,
    /// Hash of the header and the object's name: what every block is bound to.
    pub(super) context: Sha256,
}

/// The bytes of a header, and the header.
pub(super) fn write(
    name: &str,
    compression: Compression,
    block_bytes: u32,
    key: Option<&Key>,
    identity: Identity,
) -> (Vec<u8>, Header) {
    let salt: [u8; SALT_BYTES] = if key.is_some() {
        rand::random()
    } else {
        [0; SALT_BYTES]
    };
    let mut bytes = Vec::with_capacity(HEADER_BYTES_MAX);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.push(compression::number(compression));
    bytes.push(u8::from(key.is_some()));
    bytes.extend_from_slice(&block_bytes.to_le_bytes());
    bytes.extend_from_slice(&salt);
    bytes.extend_from_slice(&key.map_or([0; 8], |key| key.fingerprint.0));
    let id = key.map_or("", |key| key.id.as_str());
    bytes.push(id.len() as u8);
    bytes.extend_from_slice(id.as_bytes());
    let mut told = identity_bytes(identity);
    let sealing = key.map(|key| Sealing::new(key, &salt));
    if let Some(sealing) = &sealing {
        sealing.seal(0, &context(&bytes, name).0, &mut told, 0);
    }
    bytes.extend_from_slice(&told);
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    let header = Header {
        compression,
        block_bytes: block_bytes as usize,
        sealing,
        identity,
        context: context(&bytes, name),
    };
    (bytes, header)
}

/// Reads a header from the beginning of an object; `None` while there are not enough bytes.
pub(super) fn read(
    name: &str,
    bytes: &[u8],
    find: impl FnOnce(&str, Fingerprint) -> Result<Key, KeyError>,
) -> Result<Option<(usize, Header)>, DecodeError> {
    let damaged = |what: &str| DecodeError::Damaged(format!("its header is damaged: {what}"));
    if bytes.len() < FIXED {
        return Ok(None);
    }
    let version = u16::from_le_bytes([bytes[8], bytes[9]]);
    if version != VERSION {
        return Err(DecodeError::Newer(version));
    }
    let is_sealed = match bytes[11] {
        0 => false,
        1 => true,
        other => return Err(damaged(&format!("there is no cipher {other}"))),
    };
    let told_at = FIXED + usize::from(bytes[56]);
    let checked = told_at + IDENTITY_BYTES + if is_sealed { TAG_BYTES } else { 0 };
    let Some(check) = bytes.get(checked..checked + 4) else {
        return Ok(None);
    };
    if crc32c::crc32c(&bytes[..checked]).to_le_bytes() != check {
        return Err(damaged("its checksum does not match"));
    }
    let compression =
        compression::from_number(bytes[10]).ok_or_else(|| damaged("there is no such compression"))?;
    let block_bytes = u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]);
    if !(1..=BLOCK_BYTES_MAX).contains(&block_bytes) {
        return Err(damaged("blocks have no such size"));
    }
    let mut told = bytes[told_at..checked].to_vec();
    let sealing = if is_sealed {
        let mut fingerprint = [0; 8];
        fingerprint.copy_from_slice(&bytes[48..56]);
        let id = String::from_utf8_lossy(&bytes[FIXED..told_at]);
        let key = find(&id, Fingerprint(fingerprint))?;
        let sealing = Sealing::new(&key, &bytes[16..48]);
        if !sealing.open(0, &context(&bytes[..told_at], name).0, &mut told) {
            return Err(DecodeError::Damaged(format!(
                "its header does not open with the key {id}: it was altered, or belongs to an object of another name"
            )));
        }
        Some(sealing)
    } else {
        None
    };
    let end = checked + 4;
    let header = Header {
        compression,
        block_bytes: block_bytes as usize,
        sealing,
        identity: read_identity(&told),
        context: context(&bytes[..end], name),
    };
    Ok(Some((end, header)))
}

fn context(bytes: &[u8], name: &str) -> Sha256 {
    let mut both = bytes.to_vec();
    both.extend_from_slice(name.as_bytes());
    Sha256::of(&both)
}

fn identity_bytes(identity: Identity) -> Vec<u8> {
    let (length, hash) = identity.unwrap_or((0, Sha256([0; 32])));
    let mut bytes = vec![u8::from(identity.is_some())];
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&hash.0);
    bytes
}

fn read_identity(bytes: &[u8]) -> Identity {
    let (known, rest) = bytes.split_first()?;
    let (length, hash) = rest.split_first_chunk::<8>()?;
    let hash: [u8; 32] = hash.try_into().ok()?;
    (*known == 1).then(|| (u64::from_le_bytes(*length), Sha256(hash)))
}
