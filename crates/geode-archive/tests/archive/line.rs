//! A bad line to a real S3 server: a proxy of our own that answers 500 and 503, breaks connections before or after the server has done
//! its work, breaks answers in the middle, or says nothing. What goes wrong is drawn from a seed.

use crate::s3::{self, Server};
use geode_archive::{Content, ErrorKind, ObjectError, ObjectStore, Put, S3Store};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const OBJECTS: usize = 30;
const ATTEMPTS_MAX: usize = 30;

/// What a request suffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mishap {
    /// 503 SlowDown, nothing done.
    SlowDown,
    /// 500 InternalError, nothing done.
    InternalError,
    /// 403 RequestTimeTooSkewed, nothing done.
    Skewed,
    /// The connection breaks, nothing done.
    Broken,
    /// It is done, and the connection breaks before the answer.
    AnswerLost,
    /// It is done, and the connection breaks in the middle of the answer.
    AnswerTorn,
    /// Nothing is done and nothing is said.
    Silence,
}

const PASSING: [Mishap; 5] = [
    Mishap::SlowDown,
    Mishap::InternalError,
    Mishap::Broken,
    Mishap::AnswerLost,
    Mishap::AnswerTorn,
];

/// The line; works unless told otherwise.
struct Line {
    endpoint: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// For the next requests, in order; `None`: it passes.
    next: VecDeque<Option<Mishap>>,
    /// Of a hundred requests, so many suffer one of [`PASSING`].
    percent: u32,
    dice: Option<StdRng>,
    suffered: BTreeMap<Mishap, usize>,
}

impl State {
    fn draw(&mut self) -> Option<Mishap> {
        let drawn = self.next.pop_front().unwrap_or_else(|| {
            let dice = self.dice.as_mut()?;
            (dice.random_range(0..100) < self.percent).then(|| PASSING[dice.random_range(0..PASSING.len())])
        });
        if let Some(mishap) = drawn {
            *self.suffered.entry(mishap).or_default() += 1;
        }
        drawn
    }
}

impl Line {
    async fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let target = server.endpoint().trim_start_matches("http://").to_owned();
        let state: Arc<Mutex<State>> = Arc::default();
        let kept = state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Whatever breaks here is what the tests are about.
                let (target, state) = (target.clone(), state.clone());
                tokio::spawn(async move { exchange(client, &target, &state).await });
            }
        });
        Self {
            endpoint,
            state: kept,
        }
    }

    async fn store(&self, server: &Server) -> S3Store {
        let mut options = server.options("wal", "p");
        options.endpoint = Some(self.endpoint.clone());
        S3Store::new(options).await
    }

    fn next(&self, mishaps: &[Option<Mishap>]) {
        self.state.lock().unwrap().next.extend(mishaps);
    }

    fn bad(&self, seed: u64, percent: u32) {
        let mut state = self.state.lock().unwrap();
        (state.dice, state.percent) = (Some(StdRng::seed_from_u64(seed)), percent);
    }

    fn suffered(&self) -> BTreeMap<Mishap, usize> {
        self.state.lock().unwrap().suffered.clone()
    }
}

/// One request of a client; the connection ends with it.
async fn exchange(mut client: TcpStream, target: &str, state: &Mutex<State>) -> std::io::Result<()> {
    let Some(request) = read_request(&mut client).await? else {
        return Ok(());
    };
    let mishap = state.lock().unwrap().draw();
    let refusal = match mishap {
        Some(Mishap::SlowDown) => Some((503, "SlowDown")),
        Some(Mishap::InternalError) => Some((500, "InternalError")),
        Some(Mishap::Skewed) => Some((403, "RequestTimeTooSkewed")),
        Some(Mishap::Broken) => return Ok(()),
        Some(Mishap::Silence) => {
            // Until the client gives up.
            let _ = client.read_to_end(&mut Vec::new()).await;
            return Ok(());
        }
        _ => None,
    };
    if let Some((status, code)) = refusal {
        let body = format!("<Error><Code>{code}</Code><Message>injected</Message></Error>");
        let head = format!(
            "HTTP/1.1 {status} {code}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        return client.write_all((head + &body).as_bytes()).await;
    }
    let mut server = TcpStream::connect(target).await?;
    server.write_all(&request).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    match mishap {
        Some(Mishap::AnswerLost) => Ok(()),
        Some(Mishap::AnswerTorn) => client.write_all(&answer[..answer.len() / 2]).await,
        _ => client.write_all(&answer).await,
    }
}

/// Head and body, with the wish that the connection ends after the answer; `None` when the client says nothing.
async fn read_request(client: &mut TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut request = Vec::new();
    let head = loop {
        if let Some(at) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break at + 4;
        }
        if client.read_buf(&mut request).await? == 0 {
            return Ok(None);
        }
    };
    let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
    let header = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name).map(|value| value.trim().to_owned()))
    };
    let length: usize = header("content-length:").map_or(0, |value| value.parse().unwrap());
    if header("expect:").is_some() {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    while request.len() < head + length {
        if client.read_buf(&mut request).await? == 0 {
            return Ok(None);
        }
    }
    let first_line = request.windows(2).position(|bytes| bytes == b"\r\n").unwrap() + 2;
    request.splice(first_line..first_line, *b"Connection: close\r\n");
    Ok(Some(request))
}

/// Until it works, as the archive's loop would; every failure in between must be worth another try.
async fn persist<T>(mut attempt: impl AsyncFnMut() -> Result<T, ObjectError>) -> T {
    for _ in 0..ATTEMPTS_MAX {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => assert_eq!(error.kind, ErrorKind::Unavailable, "{error}"),
        }
    }
    panic!("not done after {ATTEMPTS_MAX} attempts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_bad_line_everything_is_stored_once_and_read_whole() {
    let server = s3::Server::start("wal");
    let line = Line::to(&server).await;
    let store = line.store(&server).await;
    line.bad(48, 40);
    let mut dice = StdRng::seed_from_u64(49);
    let contents: Vec<Vec<u8>> = (0..OBJECTS)
        .map(|_| {
            let mut bytes = vec![0; dice.random_range(1..200_000)];
            dice.fill(&mut bytes[..]);
            bytes
        })
        .collect();
    let key = |number: usize| format!("c/wal/{number}.seg");
    for (number, bytes) in contents.iter().enumerate() {
        let content = Content::from_bytes(bytes.clone());
        let put = persist(async || store.put_if_absent(&key(number), &content).await).await;
        assert_ne!(
            put,
            Put::Conflict,
            "our own bytes, stored when the answer was lost"
        );
        let other = Content::from_bytes("other");
        let put = persist(async || store.put_if_absent(&key(number), &other).await).await;
        assert_eq!(put, Put::Conflict, "{}", key(number));
    }
    let listed = persist(async || store.list("c/", "").await).await;
    assert_eq!(listed.len(), OBJECTS);
    for (number, bytes) in contents.iter().enumerate() {
        let read = persist(async || {
            let mut read = Vec::new();
            let mut reader = store.get(&key(number), 0).await?;
            let whole = reader.read_to_end(&mut read).await;
            whole.map_err(|error| ObjectError::new(ErrorKind::Unavailable, "read", error))?;
            Ok(read)
        })
        .await;
        assert!(
            read == *bytes,
            "{} is {} bytes, not {}",
            key(number),
            read.len(),
            bytes.len()
        );
    }
    let suffered = line.suffered();
    assert_eq!(
        suffered.len(),
        PASSING.len(),
        "hardly anything went wrong: {suffered:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_key_is_known_also_when_the_server_ends_the_connection_instead_of_an_answer() {
    let server = s3::Server::start("wal");
    let line = Line::to(&server).await;
    let store = line.store(&server).await;
    let content = Content::from_bytes(vec![7; 3_000_000]);
    line.next(&[Some(Mishap::Broken)]);
    let nothing = store.put_if_absent("c/a", &content).await.unwrap_err();
    assert_eq!(nothing.kind, ErrorKind::Unavailable, "{nothing}");
    assert_eq!(store.put_if_absent("c/a", &content).await.unwrap(), Put::Created);
    for (content, due) in [
        (content, Put::SameContent),
        (Content::from_bytes("other"), Put::Conflict),
    ] {
        line.next(&[Some(Mishap::Broken)]);
        assert_eq!(store.put_if_absent("c/a", &content).await.unwrap(), due);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_in_parts_that_breaks_is_mended_or_leaves_no_object() {
    let server = s3::Server::start("wal");
    let line = Line::to(&server).await;
    let store = line.store(&server).await;
    // Two parts.
    let big: Vec<u8> = (0..12 << 20).map(|at: u32| (at % 251) as u8).collect();
    let mut broken = 0;
    for request in 0..5 {
        let key = format!("c/base/{request}/snapshot.zst");
        let mut mishaps = vec![None; request];
        mishaps.push(Some(Mishap::Broken));
        line.next(&mishaps);
        // Tidying up may fail and parts are sent again; a lost begin or completion ends the upload.
        if let Err(error) = store.put_stream(&key, &mut big.as_slice()).await {
            assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
            assert_eq!(store.head(&key).await.unwrap(), None, "half an object");
            let stored = store.put_stream(&key, &mut big.as_slice()).await.unwrap();
            assert_eq!(stored.bytes, big.len() as u64);
            broken += 1;
        }
        let mut read = Vec::new();
        store
            .get(&key, 0)
            .await
            .unwrap()
            .read_to_end(&mut read)
            .await
            .unwrap();
        assert!(read == big, "{key} differs");
    }
    assert_eq!(broken, 2, "uploads that broke");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_says_nothing_is_given_up_and_a_wrong_clock_is_told_apart() {
    let server = s3::Server::start("wal");
    let line = Line::to(&server).await;
    let store = line.store(&server).await;
    line.next(&[Some(Mishap::Skewed), Some(Mishap::Silence)]);
    let skewed = store.head("k").await.unwrap_err();
    assert_eq!(skewed.kind, ErrorKind::Denied, "{skewed}");
    let began = std::time::Instant::now();
    let silent = store.head("k").await.unwrap_err();
    assert_eq!(silent.kind, ErrorKind::Unavailable, "{silent}");
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
    assert_eq!(store.head("k").await.unwrap(), None);
}
