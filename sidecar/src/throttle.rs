//! Holds a backup back while the member beside us answers later than it does without one: what it answers us late, it answers its clients late.

use crate::link::Server;
use futures::future::BoxFuture;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Poller, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, ReadBuf};

/// After so many bytes the member is asked something.
const PIECE: u64 = 1024 * 1024;
/// Answers within this time are quick, whatever the quickest one was.
const QUICK: Duration = Duration::from_millis(2);
/// One pause is at most so long, so that a backup of a member that is always slow ends all the same.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Nor is it more than so many times as long as the work before it.
const PAUSE_FACTOR_MAX: f64 = 9.0;

/// How long answers take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Throttle {
    /// Without a backup.
    usual: Duration,
}

impl Throttle {
    /// The member answered so quickly before the backup began.
    pub(crate) fn new(usual: Duration) -> Self {
        Self {
            usual: usual.max(QUICK),
        }
    }

    /// How long to pause after so much work, when an answer takes so long now. None up to twice the usual time; then so long that the share of
    /// the time that is worked is as much smaller as the answer is later.
    fn pause(&mut self, answered: Duration, worked: Duration) -> Duration {
        self.usual = self.usual.min(answered.max(QUICK));
        let late = answered.as_secs_f64() / self.usual.as_secs_f64() - 2.0;
        worked.mul_f64(late.clamp(0.0, PAUSE_FACTOR_MAX)).min(PAUSE_MAX)
    }
}

/// How long the member needs for an answer.
pub(crate) async fn ask(server: &dyn Server) -> Duration {
    let begin = Instant::now();
    // One that fails tells how long that took.
    let _ = server.status().await;
    begin.elapsed()
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

    /// How long a backup reads from a member that needs so long for an answer.
    async fn time_to_read(answer: Duration) -> Duration {
        let server = Arc::new(FakeServer::default());
        server.state().late = answer;
        let mut throttled = Throttled::new(Slow::default(), server, Throttle::new(QUICK));
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
        let (mut throttle, work) = (Throttle::new(Duration::from_millis(5)), Duration::from_millis(10));
        let mut pause = |answered: u64| throttle.pause(Duration::from_millis(answered), work).as_millis();
        assert_eq!((pause(5), pause(10)), (0, 0));
        assert_eq!((pause(15), pause(30)), (10, 40));
        assert_eq!(pause(5000), 90, "nine times the work at most");
        let long = throttle.pause(Duration::from_secs(5), Duration::from_secs(5));
        assert_eq!(long, PAUSE_MAX);
        // It was asked at a bad moment before: the quickest answer is the usual one, but none is quicker than quick.
        assert_eq!(throttle.pause(Duration::from_micros(100), work), Duration::ZERO);
        assert_eq!(
            throttle.pause(Duration::from_millis(8), work),
            Duration::from_millis(20)
        );
    }
}
