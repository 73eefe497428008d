//! Reads and verifies a segment from any source of bytes, record by record, in bounded memory.

use super::{
    BODY_OVERHEAD, FOOTER_BYTES, FOOTER_MARK, Footer, HEADER_BYTES, Header, RECORD_BYTES_MAX, Record,
    SegmentError,
};
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
    last: Option<super::Position>,
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
        for record in self.by_ref() {
            record?;
        }
        self.footer
            .ok_or_else(|| SegmentError::damaged(self.offset, "the segment has no footer"))
    }

    fn step(&mut self) -> Result<Option<Record>, SegmentError> {
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
        let mut rest = vec![0; 4 + size];
        fill(&mut self.source, &mut rest, self.offset)?;
        let crc = super::read_u32(&rest, 0).unwrap_or_default();
        let record = Record::decode_body(&length, crc, &rest[4..])
            .map_err(|reason| SegmentError::damaged(self.offset, reason))?;
        self.check_order(&record)?;
        self.hash.update(&length);
        self.hash.update(&rest);
        self.offset += 8 + size as u64;
        self.count += 1;
        self.last = Some(record.position);
        Ok(Some(record))
    }

    fn check_order(&self, record: &Record) -> Result<(), SegmentError> {
        let due = self.header.first.0 + self.count;
        let term_before = self.last.map_or(self.header.previous_term, |last| last.term);
        if record.position.index.0 != due {
            let reason = format!("record {} stands where {due} should", record.position.index);
            return Err(SegmentError::damaged(self.offset, &reason));
        }
        if record.position.term < term_before {
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
        next
    }
}

fn fill(source: &mut impl Read, bytes: &mut [u8], offset: u64) -> Result<(), SegmentError> {
    source.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => SegmentError::damaged(offset, "the segment ends too early"),
        _ => SegmentError::Io(error),
    })
}
