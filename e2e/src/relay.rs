//! A bad line to S3 for pods: this process passes their requests on, lets some of them fail as a service under load does, and can be away
//! altogether. It listens on this machine's address towards the S3 server, which pods of the test cluster reach.

use crate::S3;
use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Nobody says nothing for longer.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct State {
    /// One of so many requests fails; none when 0.
    every: AtomicUsize,
    away: AtomicBool,
    requests: AtomicUsize,
    failed: AtomicUsize,
}

/// The line.
pub struct Relay {
    endpoint: String,
    state: Arc<State>,
}

impl Relay {
    /// To the S3 server; works until told otherwise.
    pub fn to(s3: &S3) -> Result<Self> {
        let target = s3.endpoint.trim_start_matches("http://").to_owned();
        // No packet is sent: the kernel only says by which of our addresses it would go.
        let way = UdpSocket::bind("0.0.0.0:0")?;
        way.connect(&target)
            .with_context(|| format!("no way to {target}"))?;
        let listener = TcpListener::bind((way.local_addr()?.ip(), 0))?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(State::default());
        let kept = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (target, state) = (target.clone(), state.clone());
                // What breaks here is what the test is about.
                thread::spawn(move || exchange(client, &target, &state));
            }
        });
        Ok(Self {
            endpoint,
            state: kept,
        })
    }

    /// The S3 server, by this line.
    pub fn s3(&self, s3: &S3) -> S3 {
        S3 {
            endpoint: self.endpoint.clone(),
            ..s3.clone()
        }
    }

    /// One of so many requests fails from now on: in turn with an error of the service, with a connection that breaks before anything is done, and
    /// with one that breaks after everything is done.
    pub fn fail_one_of(&self, every: usize) {
        self.state.every.store(every, Ordering::Relaxed);
    }

    /// Whether it is away: connections break, and nothing is done.
    pub fn away(&self, away: bool) {
        self.state.away.store(away, Ordering::Relaxed);
    }

    /// Requests so far, and how many of them failed.
    pub fn count(&self) -> (usize, usize) {
        let State { requests, failed, .. } = &*self.state;
        (requests.load(Ordering::Relaxed), failed.load(Ordering::Relaxed))
    }
}

impl State {
    /// Whether this request fails, and in which of three ways.
    fn draw(&self) -> Option<usize> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if self.away.load(Ordering::Relaxed) {
            self.failed.fetch_add(1, Ordering::Relaxed);
            return Some(1);
        }
        let every = self.every.load(Ordering::Relaxed);
        (every > 0 && number.is_multiple_of(every)).then(|| self.failed.fetch_add(1, Ordering::Relaxed) % 3)
    }
}

/// One request; the connection ends with it.
fn exchange(mut client: TcpStream, target: &str, state: &State) -> std::io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    let Some(request) = read_request(&mut client)? else {
        return Ok(());
    };
    let way = state.draw();
    match way {
        Some(0) => {
            let body = "<Error><Code>SlowDown</Code><Message>injected</Message></Error>";
            let head = format!(
                "HTTP/1.1 503 SlowDown\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            return client.write_all((head + body).as_bytes());
        }
        Some(1) => return Ok(()),
        _ => {}
    }
    let mut server = TcpStream::connect(target)?;
    server.set_read_timeout(Some(PATIENCE))?;
    server.write_all(&request)?;
    if way.is_some() {
        return server.read_to_end(&mut Vec::new()).map(drop);
    }
    std::io::copy(&mut server, &mut client).map(drop)
}

/// Head and body, with the wish that the connection ends after the answer; `None` when the client says nothing.
fn read_request(client: &mut TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let (mut request, mut piece) = (Vec::new(), [0; 16 * 1024]);
    let mut more = |client: &mut TcpStream, request: &mut Vec<u8>| -> std::io::Result<bool> {
        let read = client.read(&mut piece)?;
        request.extend(&piece[..read]);
        Ok(read > 0)
    };
    let head = loop {
        if let Some(at) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break at + 4;
        }
        if !more(client, &mut request)? {
            return Ok(None);
        }
    };
    let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
    let header = |name: &str| {
        text.lines()
            .find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
    };
    let length: usize = header("content-length:").map_or(0, |value| value.parse().unwrap_or(0));
    if header("expect:").is_some() {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    while request.len() < head + length {
        if !more(client, &mut request)? {
            return Ok(None);
        }
    }
    let first_line = text.find("\r\n").unwrap_or(0) + 2;
    request.splice(first_line..first_line, *b"Connection: close\r\n");
    Ok(Some(request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_five_requests_fails_in_turn_in_each_way_and_none_passes_while_it_is_away() {
        let state = State::default();
        state.every.store(5, Ordering::Relaxed);
        let drawn: Vec<Option<usize>> = (0..15).map(|_| state.draw()).collect();
        let failed: Vec<usize> = drawn.iter().flatten().copied().collect();
        assert_eq!((failed, drawn[4]), (vec![0, 1, 2], Some(0)));
        state.away.store(true, Ordering::Relaxed);
        assert!((0..5).all(|_| state.draw() == Some(1)));
    }
}
