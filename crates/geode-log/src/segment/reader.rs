//! Reads and verifies a segment from any source of bytes, record by record, in bounded memory.

use super::{
    BODY_OVERHEAD, FOOTER_BYTES, FOOTER_MARK, Footer, HEADER_BYTES, Header, Position, RECORD_BYTES_MAX,
    Record, RecordKind, SegmentError,
};
use bytes::Bytes;
use std::io::{self, Read};
use xxhash_rust::xxh3::Xxh3;

/// Verifies a sealed segment while it iterates over its records. After the last record the footer has been checked against everything
/// that was read, and [`SegmentReader::footer`] holds it; a segment whose iteration ended without an error is whole.
pub struct SegmentReader<R> {
    source: R,
    header: Header,
    footer: Option<Footer>,
    hash: Xxh3,
    offset: u64,
    count: u64,
    last: Option<Position>,
    /// Checksum and body of the record that was read last.
    record: Vec<u8>,
    ended: bool,
}

impl<R: Read> SegmentReader<R> {
    /// Reads the header. `source` should be buffered.
    pub fn new(mut source: R) -> Result<Self, SegmentError> {
        let mut bytes = [0; HEADER_BYTES];
        fill(&mut source, &mut bytes, 0)?;
        let header = Header::decode(&bytes)?;
        let mut hash = Xxh3::new();
        hash.update(&bytes);
        Ok(Self {
            source,
            header,
            footer: None,
            hash,
            offset: HEADER_BYTES as u64,
            count: 0,
            last: None,
            record: Vec::new(),
            ended: false,
        })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The footer, once every record has been read.
    pub fn footer(&self) -> Option<&Footer> {
        self.footer.as_ref()
    }

    /// Reads everything that is left; the footer.
    pub fn verify(mut self) -> Result<Footer, SegmentError> {
        while self.step()?.is_some() {}
        self.footer
            .ok_or_else(|| SegmentError::damaged(self.offset, "the segment has no footer"))
    }

    /// Reads and checks the next record, which stays in `record`.
    fn step(&mut self) -> Result<Option<(Position, RecordKind)>, SegmentError> {
        let mut length = [0; 4];
        fill(&mut self.source, &mut length, self.offset)?;
        let number = u32::from_le_bytes(length);
        if number == FOOTER_MARK {
            self.finish(length)?;
            return Ok(None);
        }
        let size = number as usize;
        if !(BODY_OVERHEAD..=BODY_OVERHEAD + RECORD_BYTES_MAX).contains(&size) {
            return Err(SegmentError::damaged(
                self.offset,
                "the length of a record is impossible",
            ));
        }
        self.record.resize(4 + size, 0);
        fill(&mut self.source, &mut self.record, self.offset)?;
        let crc = super::read_u32(&self.record, 0).unwrap_or_default();
        let (position, kind) = Record::check_body(&length, crc, &self.record[4..])
            .map_err(|reason| SegmentError::damaged(self.offset, reason))?;
        self.check_order(position)?;
        self.hash.update(&length);
        self.hash.update(&self.record);
        self.offset += 8 + size as u64;
        self.count += 1;
        self.last = Some(position);
        Ok(Some((position, kind)))
    }

    fn check_order(&self, position: Position) -> Result<(), SegmentError> {
        let due = self.header.first.0 + self.count;
        let term_before = self.last.map_or(self.header.previous_term, |last| last.term);
        if position.index.0 != due {
            let reason = format!("record {} stands where {due} should", position.index);
            return Err(SegmentError::damaged(self.offset, &reason));
        }
        if position.term < term_before {
            return Err(SegmentError::damaged(
                self.offset,
                "the term of a record is lower than the one before",
            ));
        }
        Ok(())
    }

    fn finish(&mut self, mark: [u8; 4]) -> Result<(), SegmentError> {
        let mut bytes = [0; FOOTER_BYTES];
        bytes[..4].copy_from_slice(&mark);
        fill(&mut self.source, &mut bytes[4..], self.offset)?;
        let footer = Footer::decode(&bytes)
            .ok_or_else(|| SegmentError::damaged(self.offset, "the footer is damaged"))?;
        if footer.count != self.count || Some(footer.last) != self.last {
            return Err(SegmentError::damaged(
                self.offset,
                "the footer does not match the records",
            ));
        }
        if footer.content_hash != self.hash.digest() {
            return Err(SegmentError::damaged(
                self.offset,
                "the hash of the segment does not match",
            ));
        }
        let mut beyond = [0; 1];
        if self.source.read(&mut beyond)? != 0 {
            return Err(SegmentError::damaged(
                self.offset + FOOTER_BYTES as u64,
                "bytes follow the footer",
            ));
        }
        self.footer = Some(footer);
        Ok(())
    }
}

impl<R: Read> Iterator for SegmentReader<R> {
    type Item = Result<Record, SegmentError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.step().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        let record = |(position, kind)| Record {
            position,
            kind,
            payload: Bytes::copy_from_slice(&self.record[4 + BODY_OVERHEAD..]),
        };
        next.map(|read| read.map(record))
    }
}

fn fill(source: &mut impl Read, bytes: &mut [u8], offset: u64) -> Result<(), SegmentError> {
    source.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => SegmentError::damaged(offset, "the segment ends too early"),
        _ => SegmentError::Io(error),
    })
}
