//! A wrapper that makes a store fail on demand: what is normal life for a network service, made reproducible.

use super::{Answer, ErrorKind, Listed, ObjectError, ObjectInfo, ObjectStore, Put, Reader, Stored};
use crate::content::Content;
use jiff::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};

/// The calls of [`ObjectStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `put_if_absent`
    Put,
    /// `put_stream`
    PutStream,
    /// `get`
    Get,
    /// `head`
    Head,
    /// `list`
    List,
    /// `delete`
    Delete,
}

/// What a call suffers instead of, or before, its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 503, nothing done.
    Unavailable,
    /// 403, nothing done.
    Denied,
    /// The work is done and the answer is lost.
    AnswerLost,
    /// It takes this long and then works.
    Slow(Duration),
    /// For `get`: the stream breaks after this many bytes.
    BreaksAfter(u64),
}

/// A store that suffers the faults it was given, oldest first, and then works.
#[derive(Debug)]
pub struct FailingStore {
    inner: Arc<dyn ObjectStore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    faults: HashMap<Operation, VecDeque<Fault>>,
    calls: HashMap<Operation, u64>,
}

impl FailingStore {
    /// Around a store; works until told otherwise.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self {
            inner,
            state: Mutex::default(),
        }
    }

    /// The next `times` calls of an operation suffer this fault.
    pub fn fail(&self, operation: Operation, fault: Fault, times: usize) {
        let mut state = self.state();
        let faults = state.faults.entry(operation).or_default();
        faults.extend(std::iter::repeat_n(fault, times));
    }

    /// No more faults.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// How often an operation was called.
    pub fn calls(&self, operation: Operation) -> u64 {
        self.state().calls.get(&operation).copied().unwrap_or(0)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn error(&self, kind: ErrorKind, operation: Operation, key: &str, detail: &str) -> ObjectError {
        ObjectError::new(kind, format!("{operation:?} {}", self.inner.url(key)), detail)
    }

    async fn suffer(&self, operation: Operation, key: &str) -> Result<Option<Fault>, ObjectError> {
        let fault = {
            let mut state = self.state();
            *state.calls.entry(operation).or_default() += 1;
            state.faults.get_mut(&operation).and_then(VecDeque::pop_front)
        };
        match fault {
            Some(Fault::Unavailable) => {
                Err(self.error(ErrorKind::Unavailable, operation, key, "503 SlowDown (injected)"))
            }
            Some(Fault::Denied) => {
                Err(self.error(ErrorKind::Denied, operation, key, "403 AccessDenied (injected)"))
            }
            Some(Fault::Slow(time)) => {
                tokio::time::sleep(time).await;
                Ok(None)
            }
            other => Ok(other),
        }
    }

    fn lost(&self, fault: Option<Fault>, operation: Operation, key: &str) -> Result<(), ObjectError> {
        match fault {
            Some(Fault::AnswerLost) => Err(self.error(
                ErrorKind::Unavailable,
                operation,
                key,
                "the answer was lost (injected)",
            )),
            _ => Ok(()),
        }
    }
}

impl ObjectStore for FailingStore {
    fn put_if_absent<'a>(&'a self, key: &'a str, content: &'a Content) -> Answer<'a, Put> {
        Box::pin(async move {
            let fault = self.suffer(Operation::Put, key).await?;
            let put = self.inner.put_if_absent(key, content).await?;
            self.lost(fault, Operation::Put, key).map(|()| put)
        })
    }

    fn put_stream<'a>(
        &'a self,
        key: &'a str,
        body: &'a mut (dyn AsyncRead + Send + Unpin),
    ) -> Answer<'a, Stored> {
        Box::pin(async move {
            let fault = self.suffer(Operation::PutStream, key).await?;
            let stored = self.inner.put_stream(key, body).await?;
            self.lost(fault, Operation::PutStream, key).map(|()| stored)
        })
    }

    fn get_range<'a>(&'a self, key: &'a str, offset: u64, length: Option<u64>) -> Answer<'a, Reader> {
        Box::pin(async move {
            let fault = self.suffer(Operation::Get, key).await?;
            let inner = self.inner.get_range(key, offset, length).await?;
            Ok(match fault {
                Some(Fault::BreaksAfter(left)) => Box::new(BreakingReader { inner, left }),
                _ => inner,
            })
        })
    }

    fn head<'a>(&'a self, key: &'a str) -> Answer<'a, Option<ObjectInfo>> {
        Box::pin(async move {
            self.suffer(Operation::Head, key).await?;
            self.inner.head(key).await
        })
    }

    fn stored_at<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Timestamp>> {
        Box::pin(async move {
            self.suffer(Operation::Head, key).await?;
            self.inner.stored_at(key).await
        })
    }

    fn list<'a>(&'a self, prefix: &'a str, after: &'a str) -> Answer<'a, Vec<Listed>> {
        Box::pin(async move {
            self.suffer(Operation::List, prefix).await?;
            self.inner.list(prefix, after).await
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let fault = self.suffer(Operation::Delete, key).await?;
            self.inner.delete(key).await?;
            self.lost(fault, Operation::Delete, key)
        })
    }

    fn url(&self, key: &str) -> String {
        self.inner.url(key)
    }
}

struct BreakingReader {
    inner: Reader,
    left: u64,
}

impl AsyncRead for BreakingReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(std::io::Error::other("the connection broke (injected)")));
        }
        let limit = buf.remaining().min(self.left as usize);
        let mut part = vec![0; limit];
        let mut part = ReadBuf::new(&mut part);
        let polled = Pin::new(&mut self.inner).poll_read(cx, &mut part);
        buf.put_slice(part.filled());
        self.left -= part.filled().len() as u64;
        polled
    }
}
