//! Rows on their way out: encoded where they are made, in frames of bounded size, with back-pressure.

use super::refusal;
use geode_types::{ErrorClass, QueryError, Value, encode_value};
use geode_wire::FRAME_BYTES_MAX;
use geode_wire::client::Rows;
use std::ops::ControlFlow;
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// A frame of rows is sent when it passes this size.
const ROWS_FRAME_BYTES: usize = 256 << 10;
/// Room in a frame for what is around the rows.
const FRAME_OVERHEAD_BYTES: usize = 1024;
/// What a writing statement may return: its rows wait here until it is committed.
const MAX_WRITE_RESULT_BYTES: usize = 64 << 20;
/// Frames that wait for a slow reader.
pub(crate) const FRAMES_WAITING: usize = 4;

/// A piece of an answer.
#[derive(Debug)]
pub(crate) enum Output {
    /// Names of the columns; first, and exactly once.
    Columns(Vec<String>),
    /// Some rows.
    Rows(Rows),
}

/// Where pieces of an answer go.
pub(crate) type OutputSender = mpsc::Sender<Output>;

/// Takes rows from the executor, on its thread.
pub(super) struct RowSink {
    pending: Rows,
    buffer: Vec<u8>,
    to: Destination,
    /// Why no more rows are taken.
    pub(super) stopped: Option<QueryError>,
}

pub(super) enum Destination {
    /// Straight to the reader, after the names of the columns.
    Stream {
        columns: Option<Vec<String>>,
        out: OutputSender,
        handle: Handle,
        deadline: Instant,
    },
    /// Kept until the statement has ended, or is committed.
    Hold { frames: Vec<Rows>, bytes: usize },
}

impl Destination {
    /// Keeps everything.
    pub(super) fn hold() -> Self {
        Self::Hold {
            frames: Vec::new(),
            bytes: 0,
        }
    }
}

impl RowSink {
    pub(super) fn new(to: Destination) -> Self {
        Self {
            pending: Rows {
                count: 0,
                data: bytes::Bytes::new(),
            },
            buffer: Vec::new(),
            to,
            stopped: None,
        }
    }

    /// Takes a batch; breaks when rows cannot be taken any more.
    pub(super) fn take(&mut self, batch: Vec<Vec<Value>>) -> ControlFlow<()> {
        for row in batch {
            let before = self.buffer.len();
            for value in &row {
                encode_value(value, &mut self.buffer);
            }
            if self.buffer.len() - before > FRAME_BYTES_MAX - FRAME_OVERHEAD_BYTES {
                let bytes = self.buffer.len() - before;
                return self.stop(too_large(format!(
                    "a row of {bytes} bytes does not fit a frame of {FRAME_BYTES_MAX}"
                )));
            }
            self.pending.count += 1;
            if self.buffer.len() >= ROWS_FRAME_BYTES {
                // A large row would make the frame too large together with those before it: it goes into the next one.
                let cut = if self.buffer.len() > FRAME_BYTES_MAX - FRAME_OVERHEAD_BYTES {
                    before
                } else {
                    self.buffer.len()
                };
                self.flush_at(cut)?;
            }
        }
        match self.to {
            Destination::Stream { .. } => self.flush_at(self.buffer.len()),
            Destination::Hold { .. } => ControlFlow::Continue(()),
        }
    }

    /// What was held back.
    pub(super) fn into_held(mut self) -> Vec<Rows> {
        let end = self.buffer.len();
        let _ = self.flush_at(end);
        match self.to {
            Destination::Hold { frames, .. } => frames,
            Destination::Stream { .. } => Vec::new(),
        }
    }

    /// Sends the first `cut` bytes, which are all pending rows or all but the last.
    fn flush_at(&mut self, cut: usize) -> ControlFlow<()> {
        let rest = self.buffer.split_off(cut);
        let kept = u32::from(!rest.is_empty());
        let frame = Rows {
            count: self.pending.count - kept,
            data: std::mem::replace(&mut self.buffer, rest).into(),
        };
        self.pending.count = kept;
        if frame.count == 0 {
            return ControlFlow::Continue(());
        }
        match &mut self.to {
            Destination::Hold { frames, bytes } => {
                *bytes += frame.data.len();
                frames.push(frame);
                if *bytes > MAX_WRITE_RESULT_BYTES {
                    return self.stop(too_large(format!(
                        "a statement that writes returns more than {MAX_WRITE_RESULT_BYTES} bytes"
                    )));
                }
                ControlFlow::Continue(())
            }
            Destination::Stream { .. } => {
                self.send_columns()?;
                self.send(Output::Rows(frame))
            }
        }
    }

    /// All rows were taken: a reader of none learns the names of the columns all the same.
    pub(super) fn send_columns(&mut self) -> ControlFlow<()> {
        match &mut self.to {
            Destination::Stream { columns, .. } => match columns.take() {
                Some(columns) => self.send(Output::Columns(columns)),
                None => ControlFlow::Continue(()),
            },
            Destination::Hold { .. } => ControlFlow::Continue(()),
        }
    }

    fn send(&mut self, piece: Output) -> ControlFlow<()> {
        let Destination::Stream {
            out,
            handle,
            deadline,
            ..
        } = &self.to
        else {
            return ControlFlow::Continue(());
        };
        match handle.block_on(tokio::time::timeout_at((*deadline).into(), out.send(piece))) {
            Ok(Ok(())) => ControlFlow::Continue(()),
            Ok(Err(_)) => ControlFlow::Break(()),
            Err(_) => self.stop(refusal::too_slow("the reader did not take the rows in time")),
        }
    }

    fn stop(&mut self, error: QueryError) -> ControlFlow<()> {
        self.stopped = Some(error);
        ControlFlow::Break(())
    }
}

fn too_large(message: String) -> QueryError {
    QueryError::runtime(ErrorClass::LimitError, "ResultTooLarge", "5GL11", message)
        .hint("return less: name properties instead of whole nodes, or use LIMIT")
}

#[cfg(test)]
mod tests {
    use super::*;
    use geode_types::decode_value;

    fn held(rows: Vec<Vec<Value>>) -> Result<Vec<Rows>, QueryError> {
        let mut sink = RowSink::new(Destination::hold());
        match sink.take(rows) {
            ControlFlow::Continue(()) => Ok(sink.into_held()),
            ControlFlow::Break(()) => Err(sink.stopped.unwrap()),
        }
    }

    #[test]
    fn rows_are_cut_into_frames_that_fit_and_none_is_lost() {
        let text = |bytes: usize| Value::String("x".repeat(bytes));
        let rows: Vec<_> = [
            10,
            ROWS_FRAME_BYTES,
            5,
            5,
            FRAME_BYTES_MAX - 2 * FRAME_OVERHEAD_BYTES,
            7,
        ]
        .iter()
        .map(|bytes| vec![text(*bytes), Value::Int(1)])
        .collect();
        let frames = held(rows.clone()).unwrap();
        let mut back = Vec::new();
        for frame in &frames {
            assert!(frame.data.len() <= FRAME_BYTES_MAX - FRAME_OVERHEAD_BYTES);
            let mut data = frame.data.as_ref();
            for _ in 0..frame.count {
                back.push(vec![
                    decode_value(&mut data).unwrap(),
                    decode_value(&mut data).unwrap(),
                ]);
            }
            assert!(data.is_empty());
        }
        assert!(back == rows && frames.len() >= 3, "{}", frames.len());
    }

    #[test]
    fn a_row_larger_than_a_frame_is_an_error_that_says_so() {
        let error = held(vec![vec![Value::String("x".repeat(FRAME_BYTES_MAX))]]).unwrap_err();
        assert_eq!(error.detail, "ResultTooLarge");
    }
}
