//! The records of a chain of segment files, proven to follow each other by index, term and cluster.

use super::RestoreError;
use geode_log::segment::{Header, SegmentReader};
use geode_log::{Position, Record};
use geode_types::ClusterId;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

const BUFFER_BYTES: usize = 256 * 1024;

/// Walks over segments, oldest first.
pub(super) struct Chain {
    cluster: ClusterId,
    /// The last record that was walked over or that the base backup ends with.
    last: Option<Position>,
}

impl Chain {
    /// A chain that continues after `last`; from the first entry of all when it is `None`.
    pub(super) fn after(cluster: ClusterId, last: Option<Position>) -> Self {
        Self { cluster, last }
    }

    /// Gives every record of a segment that comes after the last one to `visit`, until that says `false`. Whether it wants more.
    pub(super) fn segment(
        &mut self,
        path: &Path,
        mut visit: impl FnMut(Record) -> Result<bool, RestoreError>,
    ) -> Result<bool, RestoreError> {
        let file = File::open(path).map_err(|source| RestoreError::Io {
            act: "open",
            path: path.to_owned(),
            source,
        })?;
        let damaged = |source| RestoreError::Segment {
            path: path.to_owned(),
            source,
        };
        let mut reader = SegmentReader::new(BufReader::with_capacity(BUFFER_BYTES, file)).map_err(damaged)?;
        self.check_header(path, reader.header())?;
        for record in reader.by_ref() {
            let record = record.map_err(damaged)?;
            let position = record.position;
            if let Some(last) = self.last.filter(|last| position.index <= last.index) {
                if position.index == last.index && position.term != last.term {
                    let reason = format!(
                        "entry {} is of term {}, not of {}",
                        position.index, position.term, last.term
                    );
                    return Err(chain_error(path, reason));
                }
                continue;
            }
            self.last = Some(position);
            if !visit(record)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn check_header(&self, path: &Path, header: &Header) -> Result<(), RestoreError> {
        if header.cluster != self.cluster {
            return Err(chain_error(
                path,
                format!(
                    "it belongs to cluster {}, not to {}",
                    header.cluster, self.cluster
                ),
            ));
        }
        let due = self.last.map_or(0, |last| last.index.0 + 1);
        if header.first.0 > due {
            return Err(chain_error(
                path,
                format!("it begins with entry {}, but {due} is next", header.first),
            ));
        }
        let last = self.last.filter(|_| header.first.0 == due);
        match last {
            Some(last) if last.term != header.previous_term => {
                let reason = format!(
                    "it follows an entry of term {}, but the one before it is of {}",
                    header.previous_term, last.term
                );
                Err(chain_error(path, reason))
            }
            _ => Ok(()),
        }
    }
}

fn chain_error(path: &Path, reason: String) -> RestoreError {
    RestoreError::Chain {
        path: path.to_owned(),
        reason,
    }
}
