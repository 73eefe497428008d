//! Checkpoints: names of moments that a restore can go back to. Replicated like everything else, so that a base backup knows those that are
//! older than itself.

use crate::codec::{Decoded, end_of, put_u64, take_u64, unzigzag, zigzag};
use crate::error::{GraphError, Result};
use crate::keys::{self, CHECKPOINTS, HEAD, Key};
use geode_store::Reader;
use geode_types::{Checkpoint, LogIndex};

/// The most checkpoints that a database has at a time: every base backup lists them.
pub const MAX_CHECKPOINTS: usize = 1000;

pub(crate) fn key(name: &str) -> Vec<u8> {
    keys::named(CHECKPOINTS, None, name)
}

/// What is stored under the name.
pub(crate) fn encode(index: LogIndex, at_micros: i64, out: &mut Vec<u8>) {
    put_u64(index.0, out);
    put_u64(zigzag(at_micros), out);
}

fn decode(name: String, mut bytes: &[u8]) -> Decoded<Checkpoint> {
    let checkpoint = Checkpoint {
        name,
        index: LogIndex(take_u64(&mut bytes)?),
        at_micros: unzigzag(take_u64(&mut bytes)?),
    };
    end_of(bytes).map(|()| checkpoint)
}

/// All checkpoints, oldest first.
pub fn checkpoints(read: &impl Reader) -> Result<Vec<Checkpoint>> {
    let start = Key::new(CHECKPOINTS);
    let mut all = Vec::new();
    for entry in read.range(&start, Some(&start.end()))? {
        let (key, bytes) = entry?;
        let name = String::from_utf8(key[HEAD..].to_vec())
            .map_err(|_| GraphError::corrupt("a checkpoint's name"))?;
        all.push(decode(name, bytes).map_err(GraphError::undecodable("a checkpoint"))?);
    }
    all.sort_by_key(|checkpoint| checkpoint.index);
    Ok(all)
}
