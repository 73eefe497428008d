//! One block, smaller and back. Each block stands for itself, so that several can be at work at the same time.

use flate2::read::{GzDecoder, GzEncoder};
use geode_types::Compression;
use std::io::{self, Read};
use zstd::bulk::Compressor;

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

/// Makes blocks smaller, one after the other. What zstd needs for that, more than a block, is made once.
pub(super) struct Shrinker {
    compression: Compression,
    zstd: Option<Compressor<'static>>,
}

impl Shrinker {
    pub(super) fn new(compression: Compression) -> Self {
        Self {
            compression,
            zstd: None,
        }
    }

    /// Adds the block, compressed, to `out`; false, and nothing is added, when that would not make it smaller.
    pub(super) fn shrink(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<bool> {
        let begin = out.len();
        match self.compression {
            Compression::None => return Ok(false),
            Compression::Gzip => {
                GzEncoder::new(plain, flate2::Compression::default()).read_to_end(out)?;
            }
            Compression::Lz4 => {
                let most = lz4_flex::block::get_maximum_output_size(plain.len());
                out.resize(begin + most, 0);
                let shrunk = lz4_flex::block::compress_into(plain, &mut out[begin..]);
                out.truncate(begin + shrunk.map_err(io::Error::other)?);
            }
            Compression::Zstd => {
                let zstd = match &mut self.zstd {
                    Some(zstd) => zstd,
                    none => none.insert(Compressor::new(ZSTD_LEVEL)?),
                };
                out.resize(begin + zstd::zstd_safe::compress_bound(plain.len()), 0);
                let length = zstd.compress_to_buffer(plain, &mut out[begin..])?;
                out.truncate(begin + length);
            }
        }
        let is_smaller = out.len() - begin < plain.len();
        if !is_smaller {
            out.truncate(begin);
        }
        Ok(is_smaller)
    }
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
