//! Holds a backup back while the member beside us answers later than it does without one: what it answers us late, it answers its clients late.
//! Beside writes it works half of the time at most, as all of them wait for processors and disks that it takes.

use crate::link::Server;
use futures::future::BoxFuture;
use geode_types::LogIndex;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Poller, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, ReadBuf};

/// After so many bytes the member is asked something.
const PIECE: u64 = 1024 * 1024;
/// Answers within this time are quick, whatever the quickest one was.
const QUICK: Duration = Duration::from_millis(1);
/// One pause is at most so long, so that a backup of a member that is always slow ends all the same.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Nor is it more than so many times as long as the work before it.
const PAUSE_FACTOR_MAX: f64 = 9.0;

/// A pause beside writes is at least so many times as long as the work before it.
const PAUSE_FACTOR_BESIDE_WRITES: f64 = 1.0;

/// What the member answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// How long that took.
    took: Duration,
    /// Up to where it has applied the log; nothing when it failed to say so.
    applied: Option<LogIndex>,
}

/// What is known of the member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Throttle {
    /// How long answers take without a backup.
    usual: Duration,
    /// What it had applied when it was asked last.
    applied: Option<LogIndex>,
}

impl Throttle {
    /// The member answered so before the backup began.
    pub(crate) fn new(answer: Answer) -> Self {
        Self {
            usual: answer.took.max(QUICK),
            applied: answer.applied,
        }
    }

    /// How long to pause after so much work, when the member answers so now. None up to twice the usual time, where nothing is written; then so
    /// long that the share of the time that is worked is as much smaller as the answer is later.
    fn pause(&mut self, answer: Answer, worked: Duration) -> Duration {
        self.usual = self.usual.min(answer.took.max(QUICK));
        let is_written = answer.applied > self.applied && self.applied.is_some();
        self.applied = answer.applied.or(self.applied);
        let least = if is_written {
            PAUSE_FACTOR_BESIDE_WRITES
        } else {
            0.0
        };
        let late = answer.took.as_secs_f64() / self.usual.as_secs_f64() - 2.0;
        worked.mul_f64(late.clamp(least, PAUSE_FACTOR_MAX)).min(PAUSE_MAX)
    }
}

/// How the member answers now.
pub(crate) async fn ask(server: &dyn Server) -> Answer {
    let begin = Instant::now();
    // One that fails tells how long that took.
    let status = server.status().await;
    Answer {
        took: begin.elapsed(),
        applied: status.ok().map(|status| status.applied),
    }
}

/// A snapshot that is read at the pace of a throttle.
pub(crate) struct Throttled<R> {
    inner: R,
    server: Arc<dyn Server>,
    throttle: Throttle,
    read: u64,
    since: Instant,
    pause: Option<BoxFuture<'static, Throttle>>,
}

impl<R> Throttled<R> {
    pub(crate) fn new(inner: R, server: Arc<dyn Server>, throttle: Throttle) -> Self {
        Self {
            inner,
            server,
            throttle,
            read: 0,
            since: Instant::now(),
            pause: None,
        }
    }

    fn begin_pause(&mut self) {
        let (server, mut throttle) = (self.server.clone(), self.throttle);
        let worked = self.since.elapsed();
        self.pause = Some(Box::pin(async move {
            let pause = throttle.pause(ask(&*server).await, worked);
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            throttle
        }));
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Throttled<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Poller<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(pause) = &mut self.pause {
            let throttle = ready!(pause.as_mut().poll(cx));
            (self.throttle, self.pause, self.since) = (throttle, None, Instant::now());
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.read += (buf.filled().len() - before) as u64;
        if self.read >= PIECE {
            self.read = 0;
            self.begin_pause();
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeServer;
    use tokio::io::AsyncReadExt;
    use tokio::time::Sleep;

    const PIECES: u64 = 4;
    const WORK: Duration = Duration::from_millis(20);
    const LATE: Duration = Duration::from_millis(100);

    /// A snapshot that takes [`WORK`] for each piece, from when it is asked for it.
    #[derive(Default)]
    struct Slow {
        read: u64,
        work: Option<Pin<Box<Sleep>>>,
    }

    impl AsyncRead for Slow {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Poller<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if self.read == PIECES * PIECE {
                return Poll::Ready(Ok(()));
            }
            let work = self
                .work
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(WORK)));
            ready!(work.as_mut().poll(cx));
            let rest = PIECE - self.read % PIECE;
            let length = buf.remaining().min(rest as usize);
            buf.put_slice(&vec![7; length]);
            self.read += length as u64;
            if self.read.is_multiple_of(PIECE) {
                self.work = None;
            }
            Poll::Ready(Ok(()))
        }
    }

    fn answered(took: Duration, applied: Option<u64>) -> Answer {
        Answer {
            took,
            applied: applied.map(LogIndex),
        }
    }

    /// How long a backup reads from a member that needs so long for an answer.
    async fn time_to_read(answer: Duration) -> Duration {
        let server = Arc::new(FakeServer::default());
        server.state().late = answer;
        let throttle = Throttle::new(answered(QUICK, None));
        let mut throttled = Throttled::new(Slow::default(), server, throttle);
        let begin = Instant::now();
        let mut all = Vec::new();
        throttled.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, vec![7; (PIECES * PIECE) as usize]);
        begin.elapsed()
    }

    #[tokio::test]
    async fn a_backup_is_held_back_while_the_member_answers_later_and_nothing_of_it_is_lost() {
        let (usual, late) = (time_to_read(Duration::ZERO).await, time_to_read(LATE).await);
        let pauses = WORK.mul_f64(PAUSE_FACTOR_MAX) * PIECES as u32;
        assert!(late >= pauses + (WORK + LATE) * PIECES as u32, "{late:?}");
        assert!(usual < late, "{usual:?} {late:?}");
    }

    #[test]
    fn a_member_that_answers_as_usual_holds_nothing_back_and_a_late_one_does_within_bounds() {
        let work = Duration::from_millis(10);
        let idle = |took| answered(took, Some(7));
        let mut throttle = Throttle::new(idle(Duration::from_millis(5)));
        let mut pause = |took: u64| {
            throttle
                .pause(idle(Duration::from_millis(took)), work)
                .as_millis()
        };
        assert_eq!((pause(5), pause(10)), (0, 0));
        assert_eq!((pause(15), pause(30)), (10, 40));
        assert_eq!(pause(5000), 90, "nine times the work at most");
        let long = throttle.pause(idle(Duration::from_secs(5)), Duration::from_secs(5));
        assert_eq!(long, PAUSE_MAX);
        // It was asked at a bad moment before: the quickest answer is the usual one, but none is quicker than quick.
        assert_eq!(
            throttle.pause(idle(Duration::from_micros(100)), work),
            Duration::ZERO
        );
        assert_eq!(
            throttle.pause(idle(Duration::from_millis(8)), work),
            Duration::from_millis(60)
        );
    }

    #[test]
    fn beside_writes_a_backup_works_half_of_the_time_at_most() {
        let work = Duration::from_millis(10);
        let mut throttle = Throttle::new(answered(QUICK, Some(7)));
        let mut pause = |applied| throttle.pause(answered(QUICK, applied), work);
        assert_eq!((pause(Some(7)), pause(Some(8))), (Duration::ZERO, work));
        // Who says nothing has written nothing, as far as is known.
        assert_eq!((pause(None), pause(Some(9))), (Duration::ZERO, work));
    }
}
