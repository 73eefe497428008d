//! One block, smaller and back. Each block stands for itself, so that several can be at work at the same time.

use flate2::read::{GzDecoder, GzEncoder};
use geode_types::Compression;
use std::io::{self, Read};

/// Level of zstd: its default, a good trade for data that is read once.
const ZSTD_LEVEL: i32 = 3;

/// The number of a compression in the format.
pub(super) fn number(compression: Compression) -> u8 {
    match compression {
        Compression::None => 0,
        Compression::Gzip => 1,
        Compression::Lz4 => 2,
        Compression::Zstd => 3,
    }
}

pub(super) fn from_number(wanted: u8) -> Option<Compression> {
    Compression::ALL
        .into_iter()
        .find(|known| number(*known) == wanted)
}

/// The block compressed; `None` when that would not make it smaller.
pub(super) fn shrink(compression: Compression, plain: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let small = match compression {
        Compression::None => return Ok(None),
        Compression::Gzip => {
            let mut small = Vec::with_capacity(plain.len() / 2);
            GzEncoder::new(plain, flate2::Compression::default()).read_to_end(&mut small)?;
            small
        }
        Compression::Lz4 => lz4_flex::block::compress(plain),
        Compression::Zstd => zstd::bulk::compress(plain, ZSTD_LEVEL)?,
    };
    Ok((small.len() < plain.len()).then_some(small))
}

/// The block as it was; an error when it is larger than a block may be.
pub(super) fn grow(compression: Compression, small: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    let plain = match compression {
        Compression::None => small.to_vec(),
        Compression::Gzip => {
            let mut plain = Vec::with_capacity(limit);
            GzDecoder::new(small)
                .take(limit as u64 + 1)
                .read_to_end(&mut plain)?;
            plain
        }
        Compression::Lz4 => lz4_flex::block::decompress(small, limit).map_err(io::Error::other)?,
        Compression::Zstd => zstd::bulk::decompress(small, limit)?,
    };
    if plain.len() > limit {
        return Err(io::Error::other("it holds more than a block"));
    }
    Ok(plain)
}
